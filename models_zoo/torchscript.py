"""The tensors of a TorchScript archive, as OpenAI published CLIP's; its code is neither run nor compiled.

An archive holds a pickle of modules (``data.pkl``), the bytes of their tensors (``data/0``, ``data/1``, ...)
and the source of their classes (``code/``), which names their parameters and buffers. The pickle is read by a
reader that knows tensors and inert modules and refuses everything else.
"""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from shifts.errors import WeightsError

_TYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# Archives of early versions do not list the buffers.
_CLASS = re.compile(
    r"^class (\w+)\(Module\):\n  __parameters__ = \[(.*)\]\n(?:  __buffers__ = \[(.*)\]\n)?", re.M
)


class _Module:
    """A module of the archive: its class's name and its attributes."""

    kind = ""

    def __init__(self, *_: object) -> None:
        self.attributes: Mapping[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.attributes = state if isinstance(state, dict) else {}


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive with code in it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name for name in archive.namelist())


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Parameters and buffers by the names of ``state_dict()``.

    Raises:
        WeightsError: damaged, without tensors, or wanting to run code.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            reader = _Reader(archive, path)
            root = reader.load()
            owned = dict(reader.owned())
    except WeightsError:
        raise
    except Exception as error:
        # A damaged pickle or zip raises whatever the reader stumbles over.
        detail = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsError(
            f"{path} is not a readable TorchScript archive: {detail}",
            hint="it may be cut short; get the file again",
        ) from error
    found = dict(_walk(root, owned)) if isinstance(root, _Module) else {}
    if not found:
        raise WeightsError(f"{path} is a TorchScript archive without parameters")
    return found


class _Reader(pickle.Unpickler):
    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        names = archive.namelist()
        self._top = next(name for name in names if name.endswith("/data.pkl")).removesuffix("data.pkl")
        self._archive, self._path = archive, path
        self._storages: dict[str, torch.Tensor] = {}
        super().__init__(archive.open(f"{self._top}data.pkl"))

    def owned(self) -> Iterator[tuple[str, frozenset[str]]]:
        """Class → its parameters and buffers; other tensors of a module (masks) are no weights."""
        start = f"{self._top}code/"
        for name in self._archive.namelist():
            if name.startswith(start) and name.endswith(".py"):
                module = name.removeprefix(start).removesuffix(".py").replace("/", ".")
                for kind, *lists in _CLASS.findall(self._archive.read(name).decode()):
                    yield f"{module}.{kind}", frozenset(re.findall(r'"([^"]+)"', " ".join(lists)))

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return type("_Module", (_Module,), {"kind": f"{module}.{name}"})
        if module == "torch" and name in _TYPES:
            return _TYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch.jit._pickle":  # typed lists and dictionaries, among the attributes of modules
            return _plain
        raise WeightsError(
            f"{self._path} wants to use {module}.{name}, that is, to run code; "
            "nothing of it was run or loaded",
            hint="get the weights as .safetensors",
        )

    def persistent_load(self, reference: Any) -> torch.Tensor:
        _, kind, key, *_ = reference
        if key not in self._storages:
            member = self._archive.getinfo(f"{self._top}data/{key}")
            if member.compress_type != zipfile.ZIP_STORED:
                raise WeightsError(
                    f"{self._path} is packed as PyTorch packs no archive", hint="get the file again"
                )
            self._storages[key] = torch.frombuffer(bytearray(self._archive.read(member)), dtype=kind)
        return self._storages[key]


def _tensor(storage: torch.Tensor, offset: int, size: Any, stride: Any, *_: object) -> torch.Tensor:
    return torch.as_strided(storage, tuple(size), tuple(stride), offset)


def _plain(value: object = None, *_: object) -> object:
    return value


def _walk(
    module: _Module, owned: Mapping[str, frozenset[str]], prefix: str = ""
) -> Iterator[tuple[str, Any]]:
    for name, value in module.attributes.items():
        if isinstance(value, _Module):
            yield from _walk(value, owned, f"{prefix}{name}.")
        elif isinstance(value, torch.Tensor) and name in owned.get(module.kind, ()):
            yield prefix + name, value
