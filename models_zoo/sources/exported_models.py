"""``export:FILE``: a network as torch.export or TorchScript saved it. Such files are programs.

``torch.export.load`` unpickles without restriction, evaluates expressions of sizes as Python, and calls any
function that the graph names; TorchScript can read and write files. None of it can be checked beforehand, so
the user has to say that the file may run.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_zoo.own import check_input, file_given, in_batches_of, name_of, own_spec, tried
from models_zoo.spec import MODELS, LocalFile, ModelSpec
from shifts.errors import WeightsError

if TYPE_CHECKING:
    import torch

    from models_zoo.classifier import TorchClassifier

PREFIX = "export:"


def resolve(name: str) -> ModelSpec | None:
    """``export:FILE``; the preprocess and the classes are not in the file and have to be stated."""
    if not name.startswith(PREFIX):
        return None
    path = Path(name.removeprefix(PREFIX)).expanduser()
    return own_spec(
        name_of(PREFIX, path),
        title=f"{path.name}, as torch.export or TorchScript saved it",
        loader="models_zoo.sources.exported_models:load",
        weights=LocalFile(path=str(path)),
    )


MODELS.add_resolver(resolve)


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Open the program, if it is allowed to run.

    Raises:
        WeightsError: it is not allowed to, is damaged, or was saved in training mode.
        LabelSpaceError: the outputs are not the classes.
    """
    from torch import nn

    from models_zoo.classifier import TorchClassifier, pick_device

    path = file_given(weights, spec)
    kind = _kind(path)
    if not spec.reading.trust_code:
        raise WeightsError(
            f"{path} is {kind}, which runs code of the file when it is loaded; nothing of it was loaded",
            hint="where you trust it: --trust-code; else save network.state_dict(), or export it to ONNX",
        )
    on = pick_device(device)
    try:
        program, batch, size = (_script if kind == SCRIPT else _exported)(path, on)
    except WeightsError:
        raise
    except Exception as error:
        # Damaged programs raise whatever the reader stumbles over.
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        raise WeightsError(
            f"{path} is not {kind} that this version of torch can read: {first}",
            hint="save it with the installed version of torch, or get the file again",
        ) from error
    check_input(spec, size)

    class Program(nn.Module):
        def forward(self, images: torch.Tensor) -> Any:
            return program(images) if batch is None else in_batches_of(batch, images, program)

    return tried(TorchClassifier(spec, Program(), device=on, precision=precision))


SCRIPT = "a TorchScript archive"
EXPORTED = "an archive of torch.export"


def _kind(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise WeightsError(
            f"{path} is neither {EXPORTED} nor {SCRIPT}", hint="it may be cut short; get the file again"
        ) from error
    if any("/code/" in name for name in names):
        return SCRIPT
    if any(name.endswith("archive_format") or "/models/" in name for name in names):
        return EXPORTED
    raise WeightsError(
        f"{path} is neither {EXPORTED} nor {SCRIPT}",
        hint="weights go with a network: --model NAME --weights FILE",
    )


def _script(path: Path, device: str) -> tuple[Any, None, tuple[None, None]]:
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is no longer developed
        loaded: Any = vars(torch.jit)["load"](path, map_location=device)
    return loaded.eval(), None, (None, None)


def _exported(path: Path, device: str) -> tuple[Any, int | None, tuple[int | None, int | None]]:
    """The program, the batch it is bound to, and the height and width it takes."""
    import torch
    from torch.export.passes import move_to_device_pass

    loaded = torch.export.load(path)
    names = loaded.graph_signature.user_inputs
    nodes = {node.name: node for node in loaded.graph.nodes}
    shape = [size if isinstance(size, int) else None for size in nodes[str(names[0])].meta["val"].shape]
    if len(names) != 1 or len(shape) != 4:
        raise WeightsError(
            f"{path} takes {len(names)} inputs, the first of shape {shape}; a classifier takes images"
        )
    if any(_in_training(node) for node in loaded.graph.nodes):
        raise WeightsError(
            f"{path} was exported in training mode; its answers depend on chance and on batch mates",
            hint="call network.eval() before torch.export.export",
        )
    return move_to_device_pass(loaded, device).module(), shape[0], (shape[2], shape[3])


def _in_training(node: Any) -> bool:
    """Whether an operator of the graph does what it does in training only."""
    place = {"aten.dropout.default": 2, "aten.batch_norm.default": 5}.get(str(node.target))
    return place is not None and len(node.args) > place and node.args[place] is True
