"""The study of splits: halves by hand, verdicts from numbers, and the planted mixture small."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from benchmark.cli import run
from benchmark.intervals import wilson
from benchmark.studies.support_halves import GROUPS, means, on_half, verdicts
from benchmark.studies.support_planted import SHARE, Split, held_to_truth, mixture_spec
from benchmark.studies.synthetic_suites import ARMS
from benchmark.support_report import support_report
from shifts.data import Shift, load_examples, load_shift
from shifts.support import DensityRatio

N = 2000
PLACES = (0.6, 0.7, 0.8, 0.9)


def answers(accuracy: float, weights: np.ndarray) -> np.ndarray:
    """Right on the first examples of those with weight, wrong on all others."""
    right = np.zeros(len(weights), dtype=np.bool_)
    right[np.flatnonzero(weights)[: round(accuracy * int((weights > 0).sum()))]] = True
    return right


def half(gain: float) -> dict[str, Any]:
    """Baselines on a probit line, one arm above it at the reference accuracy of one of them."""
    weights = np.repeat([0.0, 1.0], N)
    line = {f"b{x}": float(norm.cdf(norm.ppf(x) - 0.3)) for x in PLACES}
    accuracy = {**line, "m": line["b0.8"] + gain, "c": line["b0.8"]}
    references = {name: wilson(round(N * x), N) for name, x in zip(line, PLACES, strict=True)}
    references |= {"m": references["b0.8"], "c": references["b0.8"]}
    correct = {name: answers(value, weights) for name, value in accuracy.items()}
    arms = dict(zip(ARMS, ("m", "c"), strict=True))
    return on_half(correct, references, list(line), arms, weights, names=("r", "s"))


def test_a_half_has_what_was_put_in_and_does_not_see_the_other() -> None:
    one = half(0.1)
    assert one["n"] == one["effective_n"] == N
    assert one["line"]["slope"] == pytest.approx(1, abs=0.01)
    found = one["arms"]["pre-trained"]
    assert found["effective_robustness"]["value"] == pytest.approx(0.1, abs=0.002)
    assert found["gain"]["value"] == pytest.approx(0.1, abs=0.001)
    assert one["arms"]["control"]["effective_robustness"]["value"] == pytest.approx(0, abs=0.002)


def test_the_verdicts_follow_the_numbers() -> None:
    def numbers(gains: dict[str, list[float]]) -> dict[str, Any]:
        rows = [{"halves": {group: half(values[i]) for group, values in gains.items()}} for i in range(3)]
        return {"seeds": rows, "means": means(rows)}

    none, much, open_ended = [0.0, 0.001, -0.001], [0.1, 0.11, 0.09], [0.1, -0.1, 0.02]
    paper = numbers(dict(zip(GROUPS, (none, much, much), strict=True)))
    assert [one.outcome for one in verdicts(paper)] == ["reproduced"] * 5
    turned = numbers(dict(zip(GROUPS, (much, none, none), strict=True)))
    assert [one.outcome for one in verdicts(turned)] == ["not reproduced"] * 5
    noisy = numbers(dict(zip(GROUPS, (open_ended, open_ended[::-1], open_ended), strict=True)))
    assert {one.outcome for one in verdicts(noisy)[:3]} == {"within noise"}
    lacking = verdicts(numbers({"in": none, "out": much}))
    assert [one.outcome for one in lacking[3:]] == ["not tested"] * 2
    for row in paper["seeds"]:
        row["halves"][GROUPS[2]]["effective_n"] = 20
        row["halves"]["out"]["flags"] = ["weak fit"]
    assert [one.outcome for one in verdicts(paper)][1:] == ["not tested", "reproduced", *["not tested"] * 2]


def test_purity_and_recall_are_those_of_the_planted_parts() -> None:
    values = np.array([2.0, 2.0, 0.15, 0.01] * 50)
    ratio = DensityRatio(
        reference=np.full(100, 3.0),
        shift=values,
        reference_logits=np.full(100, -1.0),
        shift_logits=-np.log(values),
        temperature=1.0,
        strength=1.0,
    )
    truth = np.array([True, False, True, False] * 50)
    found = held_to_truth(Split(ratio=ratio, report=support_report(ratio), truth=truth))["truth"]
    assert (found["0.2"]["purity"]["value"], found["0.2"]["recall"]["value"]) == (0.5, 0.5)
    assert (found["0.1"]["purity"]["value"], found["0.1"]["recall"]["value"]) == (100 / 150, 1.0)


def test_the_mixture_keeps_the_images_it_says_it_keeps() -> None:
    spec = mixture_spec(3)
    mixed = Shift(spec, load_examples(spec.source, spec.split), content="")
    plain = load_shift("digits")
    stays = mixed.group_columns["part"].values == 1
    same = np.array([np.array_equal(mixed.item(i), plain.item(i)) for i in range(len(plain))])
    assert np.array_equal(same, stays)
    assert stays.mean() == pytest.approx(SHARE, abs=0.06)


def test_the_study_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ask = ["study", "support-split", "--smoke", "--results", str(tmp_path / "results"), "--json"]
    assert run([*ask, "-o", str(tmp_path)]) == 0
    document = json.loads(capsys.readouterr().out)
    for row in document["numbers"]["seeds"]:
        found = row["eyes"]["digits-mlp"]["truth"]["0.2"]
        assert min(found["purity"]["value"], found["recall"]["value"]) >= 0.99
        sizes = [row["halves"][side]["n"] for side in ("in", "out")]
        assert sum(sizes) == 597
    assert (tmp_path / "support-split.png").stat().st_size > 10_000
