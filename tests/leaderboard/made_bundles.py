"""Bundles of made-up networks that err as real ones do: on hard examples, with less confidence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leaderboard.checks.numbers import score
from leaderboard.container import MANIFEST, table_name, write_zip
from leaderboard.keys import Keys
from leaderboard.lints import Known
from leaderboard.manifest import Claim, Manifest, ModelCard
from leaderboard.suites import protocol_digest, suite_digest, suite_shifts
from leaderboard.table import Answers, encode
from shifts.data import Shift, generator
from shifts.spec import SHIFTS, SOURCES

SUITE = "digits-tinted"
Change = Callable[[Answers], Answers]


@cache
def opened(name: str) -> Shift:
    spec = SHIFTS.get(name)
    found = Keys().shift(spec, SOURCES.get(spec.source).content[spec.split])
    assert found is not None
    return found


def network(shift: str, *, skill: float, seed: int = 0) -> Answers:
    """Answers of a network: each example is as hard for one as for another, up to its own noise."""
    truth = opened(shift)
    n, classes = len(truth), truth.num_classes
    hard = np.array([generator("hard", example).normal() for example in truth.example_ids])
    near = np.array([generator("near", example).integers(1, classes) for example in truth.example_ids])
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 0.5, (n, classes))
    rows = np.arange(n)
    logits[rows, truth.labels] += 2 * (skill - hard + 0.3 * rng.normal(size=n))
    logits[rows, (truth.labels + near) % classes] += 1.0
    return answers_of(shift, logits)


def answers_of(shift: str, logits: NDArray[np.float64]) -> Answers:
    """Answers from logits (N, C)."""
    truth = opened(shift)
    rows = np.arange(len(truth))
    wide = logits - logits.max(axis=1, keepdims=True)
    probs = np.exp(wide) / np.exp(wide).sum(axis=1, keepdims=True)
    top = np.argsort(-logits, axis=1, kind="stable")[:, : min(5, truth.num_classes)]
    return Answers(
        example_ids=list(truth.example_ids),
        labels=truth.labels,
        top5=top,
        top5_probability=np.take_along_axis(probs, top, axis=1),
        label_log_probability=np.log(probs[rows, truth.labels]),
        squared_probability_sum=np.square(probs).sum(axis=1),
        groups={name: truth.groups[:, place] for place, name in enumerate(truth.group_columns)},
    )


@dataclass
class Made:
    """A bundle before it is written; ``change`` what you like, then ``write``."""

    manifest: Manifest
    files: dict[str, bytes]
    answers: dict[str, Answers] = field(default_factory=dict)

    def claim(self, place: int = -1, **changes: Any) -> Made:
        """Another claim for one shift."""
        claims = list(self.manifest.shifts)
        claims[place] = replace(claims[place], **changes)
        return self.changed(shifts=tuple(claims))

    def changed(self, **changes: Any) -> Made:
        return Made(replace(self.manifest, **changes), dict(self.files), self.answers)

    def members(self) -> dict[str, bytes]:
        return {MANIFEST: self.manifest.to_json().encode(), **self.files}

    def write(self, folder: Path) -> Path:
        path = folder / "bundle.zip"
        write_zip(path, self.members())
        return path

    def folder(self, folder: Path) -> Path:
        for name, data in self.members().items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        return folder


def made(
    answers: Mapping[str, Answers] | None = None,
    *,
    suite: str = SUITE,
    model: str = "made-up",
    rescore: bool = True,
    **card: Any,
) -> Made:
    """A whole and honest bundle of these answers, or of a network of skill 2 with seed 0.

    Args:
        rescore: claim what the answers give; otherwise what the network of skill 2 gives.
    """
    specs = suite_shifts(suite)
    given = dict(answers or {})
    claims, files, kept = [], {}, {}
    for spec in specs:
        truth, honest = opened(spec.name), network(spec.name, skill=2.0)
        mine = given.get(spec.name, honest)
        kept[spec.name] = mine
        name = table_name(spec.name)
        files[name] = encode(mine)
        claim = Claim(
            shift=spec.name,
            shift_digest=truth.digest,
            content=truth.content,
            model_digest=hashlib.sha256(model.encode()).hexdigest(),
            file=name,
            sha256=hashlib.sha256(files[name]).hexdigest(),
            n=len(mine),
            num_classes=truth.num_classes,
            group_columns={name: column.names for name, column in truth.group_columns.items()},
            metrics={},
        )
        found = score(mine if rescore else honest, claim, spec)
        worst = found.worst_group.label if found.worst_group else None
        claims.append(replace(claim, metrics=found.metrics, worst_group=worst, warnings=tuple(found.notes)))
    fields: dict[str, Any] = {
        "name": model,
        "title": "a made-up network",
        "authors": ("somebody",),
        "licence": "MIT",
        "family": "standard",
        "label_space": specs[0].label_space,
        "training_data": (specs[0].reference or specs[0].name,),
        **card,
    }
    manifest = Manifest(
        suite=suite,
        suite_digest=suite_digest({claim.shift: claim.shift_digest for claim in claims}),
        protocol_digest=protocol_digest(specs),
        model=ModelCard(**fields),
        contact="somebody@example.org",
        shifts=tuple(claims),
    )
    return Made(manifest, files, kept)


def tampered(change: Change, shift: str = "digits/spurious-tint") -> Made:
    """Claims of the honest network, with other rows under one shift."""
    return made({shift: change(network(shift, skill=2.0))}, rescore=False)


def known(name: str, *, skill: float, seed: int, suite: str = SUITE) -> Known:
    """An entry of a board."""
    answers = {spec.name: network(spec.name, skill=skill, seed=seed) for spec in suite_shifts(suite)}
    digests = {shift: opened(shift).digest for shift in answers}
    return Known(entry=f"{name}--entry", model=name, suite=suite, digests=digests, answers=answers.get)
