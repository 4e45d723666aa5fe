"""Models in turns: the same files whether all fit into memory or each is opened again and again."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import benchmark.batches
import benchmark.reading
import benchmark.runner
import benchmark.turns
from benchmark.chunks import Wanted
from benchmark.cli.evaluate import weights_at_hand
from benchmark.lineup import Entrant, Lineup, free_memory
from benchmark.memory import in_halves
from benchmark.planning import Plan, plan
from benchmark.reading import Reader
from benchmark.runner import Options, run_pass
from benchmark.store import PREDICTIONS, Store
from benchmark.track import Track
from models_zoo.classifier import TorchClassifier
from models_zoo.spec import MODELS, Preprocess
from shifts.data import Examples, Shift
from shifts.perturbations import on_device
from shifts.spec import SHIFTS

NAMES = ("digits-logreg-f10", "digits-logreg", "digits-logreg-f25")


def planned(root: Path) -> Plan:
    contestants = [
        weights_at_hand(MODELS.get(name), weights=None, precision="float32", data_dir=None) for name in NAMES
    ]
    shifts = [SHIFTS.get(name).limited(300) for name in ("digits", "digits/unseen-tint")]
    return plan(contestants, shifts, store=Store(root))


def files(root: Path, **options: Any) -> list[bytes]:
    work = planned(root)
    for one in work.passes:
        for result in run_pass(one, options=Options(device="cpu", batch_size=64, **options)):
            assert result.status == "ok", result.error
    return [(cell.folder / PREDICTIONS).read_bytes() for cell in work.cells]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each model was opened."""
    seen: Counter[str] = Counter()
    load = benchmark.runner.load_spec

    def counting(spec: Any, *arguments: Any, **options: Any) -> Any:
        seen[spec.name] += 1
        return load(spec, *arguments, **options)

    monkeypatch.setattr(benchmark.runner, "load_spec", counting)
    return seen


def test_models_that_do_not_fit_take_turns_to_the_same_bytes(
    trained_cache: Path, tmp_path: Path, opened: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = files(tmp_path / "together")
    assert set(opened.values()) == {1}
    opened.clear()
    assert files(tmp_path / "turns", model_memory=1) == together
    # Once to know it and once for its turn; the last one is still there when the turns begin.
    assert opened == {NAMES[0]: 2, NAMES[1]: 2, NAMES[2]: 1}
    opened.clear()
    monkeypatch.setattr(benchmark.turns, "SPOOL", 1)
    assert files(tmp_path / "small-spool", model_memory=1) == together
    assert max(opened.values()) > 3, "with so small a spool they are opened for every batch"


class Toy:
    """Something that counts as a model of a size."""

    def __init__(self, size: int) -> None:
        spec = MODELS.get("digits-logreg-f10")
        self.network = torch.nn.Linear(size // 4, 1, bias=False)
        self.made = 0
        self.spec = spec

    def __call__(self) -> TorchClassifier:
        self.made += 1
        return TorchClassifier(self.spec, self.network, device="cpu")


def test_what_was_used_longest_ago_makes_room() -> None:
    toys = {name: Toy(size) for name, size in {"a": 400, "b": 400, "c": 400, "huge": 4000}.items()}
    lineup = Lineup(room=1000, device="cpu")
    a, b, c = (lineup.enter(name, toys[name]) for name in "abc")
    assert [one.here for one in (a, b, c)] == [False, True, True]
    assert [one.size for one in (a, b, c)] == [400] * 3
    assert lineup.enter("b", toys["b"]) is b
    assert toys["b"].made == 1, "it is there"
    huge = lineup.enter("huge", toys["huge"])
    assert [one.here for one in (a, b, c, huge)] == [False, False, False, True]
    assert lineup.groups([a, b, huge, c]) == [[a, b], [huge], [c]]
    lineup.seat([a, b])
    assert not huge.here
    a.classifier()
    b.classifier()
    assert (a.here, b.here, toys["a"].made) == (True, True, 2)


def test_free_memory_is_that_of_the_machine() -> None:
    assert 2**20 < free_memory("cpu") < 2**50
    assert Lineup(room=None, device="cpu").room < free_memory("cpu")


def test_a_model_that_cannot_be_opened_again_fails_alone(
    trained_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reopen = Entrant.classifier

    def classifier(self: Entrant) -> Any:
        if self.spec.name == NAMES[0] and not self.here:
            raise OSError("gone")
        return reopen(self)

    monkeypatch.setattr(Entrant, "classifier", classifier)
    work = planned(tmp_path)
    results = [
        result
        for one in work.passes
        for result in run_pass(one, options=Options(device="cpu", model_memory=1))
    ]
    failed = {result.model for result in results if result.status == "error"}
    assert failed == {NAMES[0]}
    assert len(results) == len(work.cells)


def test_halves_come_in_order_and_other_errors_pass() -> None:
    asked = []

    def work(part: slice) -> list[int]:
        asked.append((part.start, part.stop))
        if part.stop - part.start > 3:
            raise MemoryError
        return list(range(part.start, part.stop))

    assert in_halves(work, 10) == list(range(10))
    assert asked[0] == (0, 10)

    def wrong(part: slice) -> list[int]:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        in_halves(wrong, 4)

    def never(part: slice) -> list[int]:
        raise MemoryError

    with pytest.raises(MemoryError):
        in_halves(never, 4)


class Tight:
    """Images that find memory only a few at a time; each is asked for again and again until it does."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.images[index]


@pytest.mark.parametrize("workers", [1, 3, 0])
def test_what_finds_no_memory_is_read_in_smaller_chunks(
    monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), dtype=np.uint8)
    examples = Examples(
        payloads=Tight(pixels), labels=np.zeros(40, np.int64), ids=[str(i) for i in range(40)]
    )
    rows = np.arange(40)
    stack = benchmark.reading.stacked

    def stacked(images: Any, **options: Any) -> Any:
        if len(images) > 5:
            raise MemoryError
        return stack(images, **options)

    monkeypatch.setattr(benchmark.reading, "stacked", stacked)
    square = Preprocess(resize=(2, 2), crop=(2, 2))
    reader = Reader(
        examples,
        content="c",
        decoded=Wanted(now=rows[:0], ever=rows[:0]),
        geometries={square: Wanted(now=rows, ever=rows)},
        cached=False,
        fill=False,
    )
    chunks = list(reader.chunks(16, workers=workers))
    assert [row for chunk in chunks for row in chunk.positions.tolist()] == rows.tolist()
    assert max(len(chunk.positions) for chunk in chunks) <= 5
    assert all(chunk.batch(square, chunk.positions).shape[0] == len(chunk.positions) for chunk in chunks)


def test_perturbing_and_preparing_find_memory_in_parts(
    trained_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = files(tmp_path / "roomy")
    perturb, stack = Shift.perturb, benchmark.batches.stacked

    def tight_perturb(self: Shift, images: Any, position: Any) -> Any:
        if len(images) > 20:
            raise MemoryError
        return perturb(self, images, position)

    def tight_stacked(images: Any, **options: Any) -> Any:
        if len(images) > 64:
            raise MemoryError
        return stack(images, **options)

    monkeypatch.setattr(Shift, "perturb", tight_perturb)
    monkeypatch.setattr(benchmark.batches, "stacked", tight_stacked)
    assert files(tmp_path / "tight") == expected


def test_answers_are_scored_in_their_order_beside_the_thread_that_asks(
    trained_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = files(tmp_path / "one-thread")
    scored: set[str] = set()
    take = Track.take

    def noting(self: Track, *arguments: Any, **options: Any) -> None:
        scored.add(threading.current_thread().name)
        take(self, *arguments, **options)

    monkeypatch.setattr(Track, "take", noting)
    monkeypatch.setattr(Entrant, "gpu", torch.device("cpu"))  # as if it were one
    assert files(tmp_path / "two-threads") == expected
    assert scored == {"score_0"}
    assert files(tmp_path / "in-turns", model_memory=1) == expected


def test_what_is_perturbed_on_a_device_has_a_digest_of_its_own(
    trained_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []
    perturb_on = on_device.perturb_on

    def noting(device: object, perturbations: Any, *arguments: Any) -> Any:
        used.extend(one.function for one in perturbations)
        return perturb_on(device, perturbations, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(on_device, "perturb_on", noting)
    shifts = [SHIFTS.get(name).limited(200) for name in ("digits", "digits/contrast/3", "digits/unseen-tint")]
    one = weights_at_hand(MODELS.get(NAMES[0]), weights=None, precision="float32", data_dir=None)
    here = plan([one], shifts, store=Store(tmp_path))
    there = plan([one], shifts, store=Store(tmp_path), on_device=True)
    same = [a.folder == b.folder for a, b in zip(here.cells, there.cells, strict=True)]
    assert same == [True, False, True], "no device does anything of its own with plain or tinted images"
    rows = {}
    for work in (here, there):
        for part in work.passes:
            for result in run_pass(part, options=Options(device="cpu", batch_size=64)):
                assert result.status == "ok", result.error
                noted = any("on the device" in warning for warning in result.warnings)
                assert noted == (work is there and result.shift == "digits/contrast/3")
                rows[work is there, result.shift] = result.accuracy
    assert set(used) == {"shifts.perturbations.digital:contrast"}
    # Contrast is exact on a device: the same pixels, and so the same answers.
    assert rows[True, "digits/contrast/3"] == rows[False, "digits/contrast/3"]
