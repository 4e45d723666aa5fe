"""Weights: where they lie, whether they are the published ones, and reading them without running them."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_zoo.spec import HubFile
from shifts.digest import file_digest
from shifts.errors import UserError, WeightsError
from shifts.local import cache_home, write_atomic

if TYPE_CHECKING:
    import torch
    from torch import nn

    from models_zoo.spec import ModelSpec
    from shifts.spec import RemoteFile

WRAPPERS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and of torch.compile
SHOWN = 4


def weights_folder(spec: ModelSpec) -> Path:
    """Where the fetched weights of a model lie."""
    return cache_home() / "models" / re.sub(r"[^a-z0-9._-]+", "--", spec.name.lower())


def weights_file(
    spec: ModelSpec,
    override: Path | None = None,
    *,
    progress: Callable[[int, int | None], None] | None = None,
) -> Path:
    """The weights to use: the user's own file, or the published one, fetched unless it is there.

    Args:
        override: a file given by the user; it is not compared with the published one.
        progress: called with (bytes so far, bytes in all or None) while fetching.

    Raises:
        WeightsError: no file, not the published one, or it cannot be fetched; says what to do.
    """
    if override is not None:
        path = override.expanduser()
        if not path.is_file():
            raise WeightsError(
                f"{path} is {'a folder' if path.is_dir() else 'not there'}, not the weights of {spec.name!r}",
                hint="give a .safetensors file or a PyTorch state dict",
            )
        return path
    if spec.weights is None:
        raise WeightsError(
            f"{spec.name!r} has no published weights",
            hint=f"robustbench-shift train {spec.name}" if spec.recipe else "give a file with --weights",
        )
    if isinstance(spec.weights, HubFile):
        from models_zoo.hub import hub_file

        return hub_file(spec.weights, model=spec.name)
    path = weights_folder(spec) / spec.weights.filename
    if path.is_file() and _is_published(spec.weights, path):
        return path
    from shifts.download import DownloadError, download

    try:
        return download(spec.weights, path, progress=progress)
    except DownloadError as error:
        damaged = f" ({path} is there but damaged)" if path.is_file() else ""
        raise WeightsError(
            f"the weights of {spec.name!r} are not on this machine{damaged}: {error.message}",
            hint=f"{error.hint}; or give a copy with --weights FILE",
        ) from error


def weights_digest(path: Path) -> str:
    """Hex SHA-256 of a file, remembered by place, size and time, so that it is read only once.

    Raises:
        WeightsError: the file cannot be read.
    """
    memory = cache_home() / "weights-digests.json"
    try:
        key, stat = str(path.resolve()), path.stat()
        known = _remembered(memory)
        state = [stat.st_size, stat.st_mtime_ns]
        if key in known and known[key][:2] == state:
            return str(known[key][2])
        digest = file_digest(path)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    known[key] = [*state, digest]
    with suppress(UserError, OSError):  # a cache that cannot be written costs time, nothing else
        write_atomic(memory, json.dumps(known, indent=1, sort_keys=True))
    return digest


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a ``.safetensors`` file or a PyTorch checkpoint; nothing in it is run.

    The format is told by content. Checkpoints that keep the tensors under ``state_dict`` or ``model``,
    or that prefix every name with ``module.``, are unwrapped.

    Raises:
        WeightsError: damaged, no weights, or it wants to run code.
    """
    import torch

    found: Any = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    while isinstance(found, Mapping):
        inner = next((found[key] for key in WRAPPERS if isinstance(found.get(key), Mapping)), None)
        if inner is None:
            break
        found = inner
    if not isinstance(found, Mapping) or not found:
        raise WeightsError(
            f"{path} holds {'nothing' if found == {} else type(found).__name__}, not a network's tensors",
            hint="save network.state_dict(), not the network",
        )
    odd = next(
        (k for k, v in found.items() if not (isinstance(k, str) and isinstance(v, torch.Tensor))), None
    )
    if odd is not None:
        raise WeightsError(
            f"{path}: entry {odd!r} is {type(found[odd]).__name__}, not a tensor",
            hint="save network.state_dict() alone, or under the key 'state_dict'",
        )
    tensors = {str(name): value.detach() for name, value in found.items()}
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def load_into(network: nn.Module, state_dict: Mapping[str, torch.Tensor], *, where: Path | str) -> None:
    """Put weights into a network, all of them and nothing else.

    Args:
        where: names the weights in a message.

    Raises:
        WeightsError: names what is missing, unexpected, of another shape or not a number.
    """
    expected = network.state_dict()
    faults = []
    # Checkpoints older than PyTorch 0.4.1 do not count batches; inference does not look at the counts.
    missing = [k for k in expected if k not in state_dict and not k.endswith("num_batches_tracked")]
    if missing:
        faults.append(f"lacks {_some(missing)}")
    unexpected = [key for key in state_dict if key not in expected]
    if unexpected:
        faults.append(f"has {_some(unexpected)}, which the network has not")
    shapes = [
        f"{key} is {_shape(state_dict[key])} instead of {_shape(value)}"
        for key, value in expected.items()
        if key in state_dict and state_dict[key].shape != value.shape
    ]
    if shapes:
        faults.append(_some(shapes))
    if faults:
        raise WeightsError(
            f"{where} does not fit the network: it {'; '.join(faults)}",
            hint="name the model these weights belong to (robustbench-shift list models)",
        )
    broken = [key for key, value in state_dict.items() if value.is_floating_point() and value.isnan().any()]
    if broken:
        raise WeightsError(f"{where} holds values that are not numbers (NaN) in {_some(broken)}")
    network.load_state_dict(dict(state_dict), strict=False)


def _is_published(file: RemoteFile, path: Path) -> bool:
    if file.sha256:
        return weights_digest(path) == file.sha256
    from shifts.download import fault

    return fault(file, path) is None


def _remembered(memory: Path) -> dict[str, list[Any]]:
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {k: v for k, v in known.items() if isinstance(v, list) and len(v) == 3}


def _is_safetensors(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            start = stream.read(9)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
    # Eight bytes of header length, then the header, which is a JSON object.
    return path.suffix == ".safetensors" or (len(start) == 9 and start[8:] == b"{" and start[6:8] == b"\0\0")


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path} is not a readable safetensors file: {error}", hint="get the file again"
        ) from error
    return tensors


def _read_torch(path: Path) -> Any:
    import pickle

    import torch

    if fault_text := _not_weights(path):
        raise WeightsError(f"{path} is {fault_text}, not weights", hint="get the file again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about pickle protocols; what cannot be read raises
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"(?:GLOBAL |global )`?([A-Za-z_][\w.]*)", str(error))
        if wanted is None:
            raise WeightsError(f"{path} is not a readable checkpoint", hint="get the file again") from error
        raise WeightsError(
            f"{path} wants to use {wanted[1]}, that is, to run code; nothing of it was run or loaded",
            hint="get the weights as .safetensors, or as a state dict that holds tensors alone",
        ) from error
    except Exception as error:
        # Damaged files raise whatever the reader stumbles over: RuntimeError, EOFError, KeyError, ...
        detail = str(error).strip().partition("\n")[0] or type(error).__name__
        raise WeightsError(
            f"{path} is not a readable checkpoint: {detail}", hint="it may be cut short; get the file again"
        ) from error


def _not_weights(path: Path) -> str | None:
    with path.open("rb") as stream:
        start = stream.read(256)
    if not start:
        return "empty"
    return "a web page" if start.lstrip().lower().startswith((b"<!doctype", b"<html")) else None


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(str(size) for size in tensor.shape) or "a number"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
