"""The recorded runs: their verdicts follow from their numbers, by the code as it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any

import pytest

from benchmark.studies import (
    curation,
    interventions,
    nmtune,
    noisy_pretraining,
    support_natural,
    support_planted,
    synthetic_shifts,
    synthetic_sweeps,
)
from benchmark.studies.study import STUDIES, Verdict

Derive = Callable[[Mapping[str, Any]], tuple[Verdict, ...]]
RECORDED: dict[str, Derive] = {
    "curation-cifar10": curation.verdicts,
    "interventions-cifar10": interventions.verdicts,
    "interventions-digits": interventions.verdicts,
    "nmtune-digits": nmtune.verdicts,
    "noisy-pretraining-digits": noisy_pretraining.verdicts,
    "synthetic-shifts-cifar10": synthetic_shifts.verdicts,
    "synthetic-shifts-digits": synthetic_shifts.verdicts,
    "synthetic-shifts-pacs": synthetic_shifts.verdicts,
    "support-split-digits": support_planted.verdicts,
    "support-split-pacs": support_natural.verdicts,
    "synthetic-sweeps-digits": synthetic_sweeps.verdicts,
}


@pytest.mark.parametrize("name", RECORDED)
def test_the_verdicts_follow_from_the_recorded_numbers(name: str) -> None:
    text = files("benchmark.studies").joinpath(f"results/{name}.json").read_text(encoding="utf-8")
    document = json.loads(text)
    study = STUDIES.get(document["study"])
    assert document["configuration"]["suite"] in study.suites
    assert len(document["configuration"]["seeds"]) == study.seeds
    assert not document["configuration"]["smoke"]
    derived = [(one.claim, one.outcome, one.evidence) for one in RECORDED[name](document["numbers"])]
    recorded = [(one["claim"], one["outcome"], one["evidence"]) for one in document["verdicts"]]
    assert derived == recorded
