"""Reading the tensors of a weights file; nothing in it is run."""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_zoo.reading import session
from shifts.errors import WeightsError

if TYPE_CHECKING:
    import torch

# Where training programs keep the network's tensors, and the averaged ones (EMA, SWA) beside them.
RAW = ("state_dict", "model_state_dict", "model", "network", "net", "module")
AVERAGED = ("state_dict_ema", "model_ema", "ema_state_dict", "model_ema_state_dict", "ema_model", "ema")
PREFIXES = ("module.",)  # of DataParallel and torch.optim.swa_utils.AveragedModel
AVERAGED_HOLDERS = ("ema_model.", "model_ema.", "ema.")  # the same, where both lie in one table of tensors
COMPILED = "_orig_mod."  # of torch.compile, wherever a compiled module stands
INDEX = ".index.json"
LARGEST_INDEX = 2**26  # bytes; the index of a network with a million tensors is smaller
LARGEST_GROWTH = 4  # PyTorch stores tensors as they are; a file that unpacks to more than this is none of its
# Plain containers that training programs put beside the tensors: making one runs nothing of the file.
HARMLESS: tuple[Any, ...] = (
    argparse.Namespace,
    pathlib.PosixPath,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
)


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a ``.safetensors`` file, a PyTorch checkpoint, or the shards that an index names.

    The format is told by content. Checkpoints that keep the tensors under ``state_dict``, ``model`` and the
    like, or whose names carry the prefixes of DataParallel or torch.compile, are unwrapped. Where raw and
    averaged weights are both there, the raw ones are taken unless the averaged ones are asked for, and
    which it was is noted (``models_zoo.reading``).

    Raises:
        WeightsError: damaged, no weights, or it wants to run code.
    """
    import torch

    if path.name.endswith(INDEX):
        return _read_shards(path)
    found: Any = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    found = _unwrapped(found, path)
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
    return _plain_names({str(name): value.detach() for name, value in found.items()})


def shards_of(index: Path) -> tuple[Path, ...]:
    """The files that an index of shards names; they lie beside it.

    Raises:
        WeightsError: it is no index, or names a file that is not there or elsewhere.
    """
    return tuple(index.parent / name for name in dict.fromkeys(_weight_map(index).values()))


def _weight_map(index: Path) -> dict[str, str]:
    """Tensor → file."""
    try:
        if index.stat().st_size > LARGEST_INDEX:
            raise WeightsError(f"{index} is too large for an index of shards")
        table = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        files = dict(table)
    except OSError as error:
        raise WeightsError(f"{index} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise WeightsError(f"{index} is not an index of shards", hint="get the file again") from error
    if not files:
        raise WeightsError(f"{index} names no tensor", hint="get the file again")
    for name in files.values():
        if not isinstance(name, str) or name != Path(name).name or name.endswith(INDEX):
            raise WeightsError(f"{index} names {name!r}, which is not a file beside it")
        if not (index.parent / name).is_file():
            raise WeightsError(
                f"{index} names {name}, which is not beside it", hint="put all shards into one folder"
            )
    return files


def _read_shards(index: Path) -> dict[str, torch.Tensor]:
    wanted = _weight_map(index)
    merged: dict[str, torch.Tensor] = {}
    for shard in shards_of(index):
        tensors = _read_safetensors(shard) if _is_safetensors(shard) else _read_torch(shard)
        for name, file in wanted.items():
            if file == shard.name:
                if name not in tensors:
                    raise WeightsError(f"{shard} lacks {name}, which {index.name} says it holds")
                merged[name] = tensors[name]
    return _plain_names(merged)


def _unwrapped(found: Any, path: Path) -> Any:
    """What lies under the keys of training programs, raw or averaged as asked for."""
    told = session()
    averaged = None
    while isinstance(found, Mapping):
        raw = next((key for key in RAW if isinstance(found.get(key), Mapping)), None)
        other = next((key for key in AVERAGED if isinstance(found.get(key), Mapping)), None)
        if raw is None and other is None:
            break
        if other is not None and (told.reading.ema or raw is None):
            averaged = other
            found = found[other]
            if raw is not None:
                told.notes.append(f"weights: the averaged ones ({other!r}), not the raw ones ({raw!r})")
            elif not told.reading.ema:
                told.notes.append(f"weights: averaged ones ({other!r}); the file holds no others")
            continue
        if other is not None:
            told.notes.append(
                f"weights: the raw ones ({raw!r}); the file also holds averaged ones ({other!r}, --ema)"
            )
        found = found[raw]
    if isinstance(found, Mapping) and "n_averaged" in found:  # of torch.optim.swa_utils.AveragedModel
        averaged = "n_averaged"
        found = {name: value for name, value in found.items() if name != "n_averaged"}
        if not told.reading.ema:
            told.notes.append("weights: averaged ones (AveragedModel)")
    held = isinstance(found, Mapping) and any(str(name).startswith(AVERAGED_HOLDERS) for name in found)
    if told.reading.ema and averaged is None and not held:
        raise WeightsError(
            f"{path} holds no averaged weights (looked for {', '.join(AVERAGED)})",
            hint="leave --ema out, or give the file that holds them",
        )
    return found


def _plain_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names without what wrapping a network adds to them."""
    tensors = {name.replace(COMPILED, ""): value for name, value in tensors.items()}
    while prefix := next((p for p in PREFIXES if all(name.startswith(p) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _is_safetensors(path: Path) -> bool:
    start = _beginning(path)
    # Eight bytes of header length, then the header, which is a JSON object.
    return start[8:9] == b"{" and start[6:8] == b"\0\0"


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: dict[str, torch.Tensor] = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path} is not a readable safetensors file: {error}",
            hint="it may be cut short; get the file again",
        ) from error
    return tensors


def _read_torch(path: Path) -> Any:
    import pickle

    import torch

    if fault := what_else(path):
        raise WeightsError(f"{path} is {fault[0]}, not weights", hint=fault[1])
    from models_zoo.torchscript import is_torchscript, read_tensors

    if is_torchscript(path):
        return read_tensors(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([*HARMLESS, *_numpy_numbers()]):
            warnings.simplefilter("ignore")  # about pickle protocols; what cannot be read raises
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"(?:GLOBAL |global )`?([A-Za-z_][\w.]*)", str(error))
        if wanted is None:
            raise WeightsError(f"{path} is not a readable checkpoint", hint="get the file again") from error
        raise WeightsError(
            f"{path} wants to use {wanted[1]}, that is, to run code; nothing of it was run or loaded",
            hint="get the weights as .safetensors, or as a state dict of tensors alone: where you trust the "
            "file and have its program, save them anew with torch.save(network.state_dict(), FILE)",
        ) from error
    except Exception as error:
        # Damaged files raise whatever the reader stumbles over: RuntimeError, EOFError, KeyError, ...
        detail = str(error).strip().partition("\n")[0] or type(error).__name__
        raise WeightsError(
            f"{path} is not a readable checkpoint: {detail}", hint="it may be cut short; get the file again"
        ) from error


def _numpy_numbers() -> list[Any]:
    """What numpy needs to bring back one number: a best accuracy beside the tensors is often one."""
    import numpy as np

    scalar: Any = np.float64(0).__reduce__()[0]
    kinds = {type(np.dtype(name)) for name in ("float32", "float64", "int32", "int64", "bool")}
    # Older versions of numpy wrote the same function under another module's name.
    return [scalar, (scalar, "numpy.core.multiarray.scalar"), np.dtype, *kinds]


def what_else(path: Path) -> tuple[str, str] | None:
    """What a file is that holds no PyTorch weights, with the way out; None where it may hold them."""
    again = "get the file again"
    start = _beginning(path)
    if not start:
        return "empty", again
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page", again
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS", "get the file itself: git lfs pull"
    if start.startswith(b"\x89HDF"):
        return "an HDF5 file of Keras", "convert it to .safetensors, or export the network to ONNX"
    if path.suffix == ".onnx":
        return "an ONNX graph", f"--model onnx:{path}"
    return _other_archive(path) if start.startswith(b"PK") else None


def _other_archive(path: Path) -> tuple[str, str] | None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return None  # torch.load says what is wrong with it
    names = [member.filename for member in members]
    whole = f"--model export:{path}"
    if any(name.endswith("archive_format") or "/models/" in name for name in names):
        return "an archive of torch.export", whole
    if sum(member.file_size for member in members) > LARGEST_GROWTH * path.stat().st_size:
        return (
            "an archive that unpacks to many times its size",
            "get the weights from where they are published",
        )
    return None


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(256)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}") from error
