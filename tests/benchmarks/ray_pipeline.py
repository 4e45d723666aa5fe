"""An evaluation as a user of Ray Data would write it: a pipeline over blocks of rows, in three settings.

What is done to an image is this program's own: its readers, its resize and crop, its scores. How the work is
cut, handed out and collected is Ray Data's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from models_zoo.classifier import Classifier
    from shifts.data import Shift

    Batch = dict[str, NDArray[Any]]

# On two cores: actors that take them whole leave nothing to tasks, which then wait for ever; and equal shares
# would be run as one, in the actors.
ACTOR, TASK = 0.5, 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Networks on images of a shift.

    Attributes:
        models: name and weights of each; they see the same pixels.
        number: images, a fixed pseudo-random choice.
        block: images in a block of rows and in a batch.
        files: a folder of the images' files, named by their rows in the choice.
        actors: that hold the networks.
    """

    shift: str
    data_dir: Path
    models: tuple[tuple[str, Path], ...]
    number: int
    block: int
    files: Path
    actors: int = 2

    def load(self) -> list[Classifier]:
        """The networks."""
        from models_zoo.loading import load_model

        return [load_model(name, weights, device="cpu") for name, weights in self.models]


@cache
def chosen(job: Job) -> Shift:
    """The images of a job; a process opens them once."""
    from shifts.data import load_shift

    return load_shift(job.shift, data_dir=job.data_dir, limit=job.number)


def read(batch: Batch, job: Job) -> Batch:
    """Rows → uint8 (B, h, w, 3), each read by the program, decoded, resized and cropped."""
    shift = chosen(job)
    return _shaped(
        batch["row"], [shift.base.opened(row) for row in shift.position[batch["row"]].tolist()], job
    )


def decoded(batch: Batch, job: Job) -> Batch:
    """The same from files that were read already."""
    from shifts.images import opened

    rows = np.array([int(Path(path).stem) for path in batch["path"]])
    return _shaped(rows, [opened(data, where="a file") for data in batch["bytes"]], job)


def _shaped(rows: NDArray[np.int64], images: list[Any], job: Job) -> Batch:
    from models_zoo.preprocessing import shaped
    from models_zoo.spec import MODELS

    preprocess = MODELS.get(job.models[0][0]).preprocess
    return {"row": rows, "image": np.stack([shaped(image, preprocess) for image in images])}


class Answers:
    """Holds the networks: rows with images → rows with the scores of each."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._models = job.load()

    def __call__(self, batch: Batch) -> Batch:
        import torch

        from benchmark.predictions import score
        from shifts.class_maps import in_shift_classes

        shift, rows = chosen(self.job), batch["row"]
        images = torch.from_numpy(np.array(batch["image"])).permute(0, 3, 1, 2)
        found = {"row": rows}
        for place, model in enumerate(self._models):
            columns = score(
                in_shift_classes(model.logits(images), shift.spec, head=model.spec.label_space),
                shift.labels[rows],
                ids=[shift.example_ids[row] for row in rows.tolist()],
                groups=shift.groups[rows],
                group_names=list(shift.group_columns),
            )
            found |= {f"{place} {name}": values for name, values in columns.items()}
        return found


class ReadAndAnswer(Answers):
    """Rows → scores: reads and decodes, too."""

    def __call__(self, batch: Batch) -> Batch:
        return super().__call__(read(batch, self.job))


def in_actors(job: Job) -> Any:
    """Actors with a core each do it all, as workers of pieces do."""
    return _in_pool(_rows(job), ReadAndAnswer, job, cpus=1)


def in_tasks(job: Job) -> Any:
    """Tasks read and decode, actors hold the networks; pixels go through the object store."""
    images = _rows(job).map_batches(read, fn_kwargs={"job": job}, num_cpus=TASK, batch_size=job.block)
    return _in_pool(images, Answers, job, cpus=ACTOR)


def from_files(job: Job) -> Any:
    """Ray Data reads the files, tasks decode them, actors hold the networks."""
    import ray.data

    files = [str(job.files / f"{row:05d}.jpg") for row in range(job.number)]
    images = ray.data.read_binary_files(
        files,
        include_paths=True,
        override_num_blocks=-(-job.number // job.block),
        num_cpus=TASK,
    ).map_batches(decoded, fn_kwargs={"job": job}, num_cpus=TASK, batch_size=job.block)
    return _in_pool(images, Answers, job, cpus=ACTOR)


def _rows(job: Job) -> Any:
    import ray.data

    return ray.data.from_items(
        [{"row": row} for row in range(job.number)], override_num_blocks=-(-job.number // job.block)
    )


def _in_pool(rows: Any, kind: type[Answers], job: Job, *, cpus: float) -> Any:
    import ray.data

    return rows.map_batches(
        kind,
        fn_constructor_kwargs={"job": job},
        compute=ray.data.ActorPoolStrategy(size=job.actors),
        num_cpus=cpus,
        batch_size=job.block,
    )


def collected(rows: Any) -> Batch:
    """All that comes out of a pipeline, in the order of the rows."""
    blocks = list(rows.iter_batches(batch_size=None, batch_format="numpy"))
    whole = {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}
    order = np.argsort(whole["row"])
    return {name: values[order] for name, values in whole.items()}
