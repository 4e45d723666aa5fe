"""The system as a whole: known answers in, known numbers out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import benchmark.runner
from benchmark.planning import Plan, contestant, plan, with_references
from benchmark.predictions import read_predictions
from benchmark.result import Result
from benchmark.runner import Options, run_pass
from benchmark.store import PREDICTIONS, Store
from models_zoo.spec import MODELS
from shifts.data import load_shift
from shifts.errors import LabelSpaceError
from shifts.spec import SHIFTS


def run(models: list[str], shifts: list[str], root: Path, **options: int) -> tuple[Plan, list[Result]]:
    contestants = [contestant(MODELS.get(name), weights=None) for name in models]
    work = plan(contestants, [SHIFTS.get(name) for name in shifts], store=Store(root))
    results = [
        result for one in work.passes for result in run_pass(one, options=Options(device="cpu", **options))
    ]
    return work, results


def test_an_oracle_scores_one(tmp_path: Path) -> None:
    _, results = run(["toy-oracle"], ["toy", "toy/tint"], tmp_path)
    for result in results:
        assert result.status == "ok"
        assert result.accuracy is not None
        assert result.accuracy.value == 1.0
        assert result.accuracy.low < 1.0


@pytest.mark.parametrize("name", ["toy", "digits", "digits-imbalanced", "digits/spurious-tint"])
def test_a_constant_scores_the_frequency_of_its_class(name: str, tmp_path: Path) -> None:
    _, (result,) = run(["constant"], [name], tmp_path)
    shift = load_shift(name)
    assert result.accuracy is not None
    assert result.accuracy.value == (shift.labels == 0).mean()
    assert result.n == len(shift)
    assert result.metrics["balanced_accuracy"] is not None
    assert result.metrics["balanced_accuracy"].value == pytest.approx(1 / shift.num_classes)


def test_label_spaces_that_do_not_fit_are_refused_before_an_image_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("an image was read")

    monkeypatch.setattr("shifts.data.load_examples", refuse)
    monkeypatch.setattr(benchmark.runner, "load_examples", refuse)
    with pytest.raises(LabelSpaceError, match="toy"):
        run(["toy-oracle"], ["digits"], tmp_path)


def test_a_finished_evaluation_runs_no_model_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, results = run(["toy-oracle", "constant"], ["toy", "toy/tint"], tmp_path)
    assert len(results) == 4
    monkeypatch.setattr(benchmark.runner, "load_spec", None)
    again, nothing = run(["toy-oracle", "constant"], ["toy", "toy/tint"], tmp_path)
    assert nothing == []
    assert not again.passes
    assert {cell.folder for cell in first.cells} == set(again.finished)
    assert list(again.finished.values()) == [again.finished[cell.folder] for cell in again.cells]


def test_a_changed_digest_runs_again(tmp_path: Path) -> None:
    run(["toy-oracle"], ["toy"], tmp_path)
    limited = SHIFTS.get("toy").limited(10)
    work = plan([contestant(MODELS.get("toy-oracle"), weights=None)], [limited], store=Store(tmp_path))
    assert len(work.passes) == 1


@pytest.mark.parametrize("batch_size", [1, 13, 64, 1000])
@pytest.mark.parametrize("workers", [1, 3])
def test_batch_size_and_workers_change_no_byte(batch_size: int, workers: int, tmp_path: Path) -> None:
    names = ["digits/spurious-tint", "digits/gaussian-noise/3", "digits/label-shift"]
    work, _ = run(["constant"], names, tmp_path / "plain")
    other, _ = run(["constant"], names[::-1], tmp_path / "other", batch_size=batch_size, workers=workers)
    bytes_of = {
        cell.shift.name: (cell.folder / PREDICTIONS).read_bytes() for cell in (*work.cells, *other.cells)
    }
    for cell in work.cells:
        assert (cell.folder / PREDICTIONS).read_bytes() == bytes_of[cell.shift.name]


def test_predictions_hold_the_shift(tmp_path: Path) -> None:
    work, _ = run(["constant"], ["digits/spurious-tint"], tmp_path)
    predictions = read_predictions(work.cells[0].folder / PREDICTIONS)
    shift = load_shift("digits/spurious-tint")
    assert list(predictions.example_ids) == shift.example_ids
    np.testing.assert_array_equal(predictions.labels, shift.labels)
    np.testing.assert_array_equal(predictions.groups, shift.groups)
    assert predictions.header.group_columns["tint"] == ("differs", "agrees")


def test_references_come_along() -> None:
    names = [
        spec.name for spec in with_references([SHIFTS.get("digits/spurious-tint"), SHIFTS.get("digits/pad")])
    ]
    assert names == ["digits-tinted", "digits/spurious-tint", "digits", "digits/pad"]
