"""Predictions do not depend on how a run went about them: the same bytes, on real images.

Batch size alone may move the last bits of a probability: the libraries' kernels add in another order for
another number of images. The classes are the same then, and probabilities within ``CLOSE`` (found: 2.3e-6).
"""

from __future__ import annotations

import csv
import dataclasses
import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli.evaluate import weights_at_hand
from benchmark.executors import executor, settings_of
from benchmark.image_cache import images_home
from benchmark.planning import Contestant, plan
from benchmark.predictions import Predictions, read_predictions
from benchmark.runner import Options, run_pass
from benchmark.store import PREDICTIONS, Store
from models_zoo.spec import MODELS
from shifts.catalogue import add
from shifts.perturbations.severities import corruption
from shifts.registry import resolve
from shifts.spec import SHIFTS, ShiftSpec
from tests.models_zoo.test_tflite_models import SMALL
from tests.shifts import imagenet_layouts as layouts

CLOSE = 1e-5
CORRUPTIONS = ("gaussian-noise", "jpeg-compression")
PLAIN = Options(device="cpu", workers=1, image_cache=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Networks, shifts, and the files of one pass over them in one process, which all others must equal."""

    contestants: tuple[Contestant, ...]
    shifts: tuple[ShiftSpec, ...]
    folder: Path
    options: Options
    expected: dict[str, bytes]


def contestants(real_data: Path, *names: str, weights: str | None = None) -> tuple[Contestant, ...]:
    found = []
    for name in names:
        path = None if weights is None else real_data / weights.format(name.rpartition("-")[2])
        found.append(weights_at_hand(MODELS.get(name), weights=path, precision="float32", data_dir=None))
    return tuple(found)


def photographs(real_data: Path, folder: Path) -> tuple[tuple[Contestant, ...], tuple[ShiftSpec, ...], int]:
    """40 photographs of many sizes, plain and corrupted, for a MobileNet quantised and in floats."""
    path = real_data / "imagenet_sample" / "imagenet_sample_300.tar"
    rows = list(csv.DictReader(io.StringIO((path.parent / "imagenet_sample_300.csv").read_text())))[::7][:40]
    with tarfile.open(path) as archive:
        files = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr] # files
    items = [
        layouts.Item(int(row["label"]), f"{row['key']}.JPEG", files[f"{row['key']}.jpg"]) for row in rows
    ]
    add("imagenet-val", layouts.write_folders(folder / "val", items), partial=True, data_dir=folder)
    graph = real_data / "imagenet_weights" / f"{SMALL}.graph.json"
    shifts = ["imagenet-val", *(f"imagenet-c-online/{name}/3" for name in CORRUPTIONS)]
    return (
        contestants(real_data, f"tflite:{graph}", f"tflite-float:{graph}"),
        tuple(map(SHIFTS.get, shifts)),
        16,
    )


def cifar10(real_data: Path, folder: Path) -> tuple[tuple[Contestant, ...], tuple[ShiftSpec, ...], int]:
    """150 JPEG images of CIFAR-10, plain and corrupted, for two trained ResNets."""
    add("cifar10-jpeg75", real_data / "cifar10" / "cifar10_test_jpeg.npz", data_dir=folder)
    plain = SHIFTS.get("cifar10-jpeg75").limited(150)
    corrupted = [
        dataclasses.replace(
            plain, name=f"{plain.name}/{name}/3", perturbations=(corruption(name, 3, "cifar"),)
        )
        for name in CORRUPTIONS
    ]
    names = ("cifar10-resnet20", "cifar10-resnet32")
    return contestants(real_data, *names, weights="cifar10/{}.safetensors"), (plain, *corrupted), 64


ON_PHOTOGRAPHS = pytest.mark.parametrize("made", [photographs], indirect=True, ids=["photographs"])


@pytest.fixture(scope="module", params=[photographs, cifar10], ids=lambda made: made.__name__)
def made(request: pytest.FixtureRequest, real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("exactness")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(folder / "cache"))
        models, shifts, size = request.param(real_data, folder)
        options = dataclasses.replace(PLAIN, batch_size=size, data_dir=folder)
        expected = measured(models, shifts, folder / "expected", options)
        assert len(set(expected.values())) == len(models) * len(shifts)
        return World(contestants=models, shifts=shifts, folder=folder, options=options, expected=expected)


@pytest.fixture
def world(made: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("ROBUSTBENCH_SHIFT_CACHE", str(made.folder / "cache"))
    return made


def files(results: Path) -> dict[str, bytes]:
    return {str(path.relative_to(results)): path.read_bytes() for path in results.rglob(PREDICTIONS)}


def measured(
    models: Sequence[Contestant], shifts: Sequence[ShiftSpec], results: Path, options: Options
) -> dict[str, bytes]:
    for one in plan(models, shifts, store=Store(results), data_dir=options.data_dir).passes:
        for result in run_pass(one, options=options):
            assert result.error is None
    return files(results)


def variant(world: World, results: Path, **changed: object) -> dict[str, bytes]:
    options = dataclasses.replace(world.options, **changed)  # type: ignore[arg-type] # fields of Options
    return measured(world.contestants, world.shifts, results, options)


@pytest.mark.parametrize("workers", [0, 3])
def test_threads_that_read_ahead_move_no_byte(world: World, tmp_path: Path, workers: int) -> None:
    assert variant(world, tmp_path, workers=workers) == world.expected


def test_the_image_cache_moves_no_byte(world: World, tmp_path: Path) -> None:
    assert variant(world, tmp_path / "cold", image_cache=True) == world.expected
    assert list(images_home().iterdir()), "it was filled"
    assert variant(world, tmp_path / "warm", image_cache=True, workers=3) == world.expected


def test_models_in_turns_give_the_same_bytes(world: World, tmp_path: Path) -> None:
    assert variant(world, tmp_path, model_memory=1) == world.expected


def test_company_and_order_move_no_byte(world: World, tmp_path: Path) -> None:
    """Each cell by itself, last first, and all in one pass the other way round."""
    for model in reversed(world.contestants):
        for shift in reversed(world.shifts):
            measured([model], [shift], tmp_path / "alone", world.options)
    assert files(tmp_path / "alone") == world.expected
    turned = measured(world.contestants[::-1], world.shifts[::-1], tmp_path / "turned", world.options)
    assert turned == world.expected


def test_an_interrupted_run_goes_on_to_the_same_bytes(world: World, tmp_path: Path) -> None:
    seen: list[int] = []

    def interrupt(done: int, total: int) -> None:
        seen.append(done)
        if done > total // 2:
            raise KeyboardInterrupt

    (work,) = plan(world.contestants, world.shifts, store=Store(tmp_path), data_dir=world.folder).passes
    with pytest.raises(KeyboardInterrupt):
        list(run_pass(work, options=world.options, progress=interrupt))
    assert seen and len(files(tmp_path)) < len(world.expected)
    assert variant(world, tmp_path) == world.expected


class Silent:
    """A watch that shows nothing."""

    def show(self, bar: int, description: str, done: int, total: int | None) -> None: ...

    def notice(self, sentence: str) -> None: ...


def by(name: str, settings: list[str], world: World, results: Path) -> dict[str, bytes]:
    chosen = executor(name)
    run: Callable[..., Iterator[object]] = resolve(chosen.run)
    store = Store(results)
    work = plan(world.contestants, world.shifts, store=store, data_dir=world.folder)
    for result in run(
        work, store=store, options=world.options, settings=settings_of(chosen, settings), watch=Silent()
    ):
        assert result.error is None  # type: ignore[attr-defined] # a Result
    return files(results)


@ON_PHOTOGRAPHS
def test_slurm_jobs_give_the_same_bytes(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit", reason="the extra [slurm] is not installed")
    monkeypatch.setattr("benchmark.slurm_executor.LOOK", 0.2)
    settings = ["cluster=local", "jobs=2", f"folder={tmp_path / 'jobs'}"]
    assert by("slurm", settings, world, tmp_path / "results") == world.expected


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    ray = pytest.importorskip("ray", reason="the extra [ray] is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        ray.init(
            num_cpus=2,
            object_store_memory=80 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
        yield
        ray.shutdown()


@ON_PHOTOGRAPHS
def test_ray_workers_give_the_same_bytes(cluster: None, world: World, tmp_path: Path) -> None:
    assert by("ray", ["workers=2", "cpus=1"], world, tmp_path) == world.expected


def columns(stored: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """What has to be equal, and the probabilities, of rows in the order of their ids."""
    order = np.argsort(stored.example_ids)
    exact = np.column_stack([stored.labels, stored.prediction, stored.top5])[order]
    close = np.column_stack([stored.confidence, stored.label_probability, stored.top5_probability])[order]
    return exact, close


def read(results: Path) -> dict[str, Predictions]:
    return {str(path.relative_to(results)): read_predictions(path) for path in results.rglob(PREDICTIONS)}


@pytest.mark.parametrize("size", [1, 7, 256])
def test_batches_of_another_size_give_the_same_classes(world: World, tmp_path: Path, size: int) -> None:
    variant(world, tmp_path, batch_size=size)
    expected, found = read(world.folder / "expected"), read(tmp_path)
    assert found.keys() == expected.keys()
    for name, one in found.items():
        (exact, close), (exact_before, close_before) = columns(one), columns(expected[name])
        np.testing.assert_array_equal(exact, exact_before)
        np.testing.assert_allclose(close, close_before, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("made", [cifar10], indirect=True, ids=["cifar10"])
@pytest.mark.parametrize("size", [128, 256])
def test_batches_that_are_cut_alike_give_the_same_bytes(world: World, tmp_path: Path, size: int) -> None:
    """A CPU takes 64 images of 32 × 32 at once, so multiples of 64 meet the networks in the same parts."""
    assert variant(world, tmp_path, batch_size=size) == world.expected
