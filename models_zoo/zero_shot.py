"""Zero-shot heads: class embeddings from a text tower, built once and kept on disk.

The embedding of a class is the mean over its prompts of the normalised text embeddings, normalised again
(Radford et al., arXiv 2103.00020, section 3.1.4). Text is embedded and images are compared with it in float32
whatever the precision of the image tower: the head is built once, and a logit in bfloat16 has ties.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from shifts.digest import digest
from shifts.local import cache_home

if TYPE_CHECKING:
    from models_zoo.prompts import Prompts

TEXTS = 256  # in one forward pass
QUIET = 2.0  # seconds before progress is shown
VERSION = 1  # raised when the same text tower and prompts would give another head

Encode = Callable[[list[str]], torch.Tensor]


class CosineHead(nn.Module):
    """Image embeddings (B, D) → logits (B, C): scaled cosine similarities to the classes, float32.

    Args:
        classes: float32 (C, D), normalised.
        scale: the temperature's inverse, as a factor.
        bias: added to every logit (models trained with a sigmoid loss).
    """

    classes: torch.Tensor

    def __init__(self, classes: torch.Tensor, *, scale: float, bias: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("classes", classes)
        self.scale, self.bias = scale, bias

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        with torch.autocast(features.device.type, enabled=False):
            unit = functional.normalize(features.float(), dim=-1)
            return self.scale * functional.linear(unit, self.classes) + self.bias


class ZeroShotNetwork(nn.Module):
    """An image tower under a cosine head; the text tower is not part of it.

    Args:
        tower: images (B, 3, h, w) → embeddings (B, D), or a tuple that begins with them.
    """

    def __init__(self, tower: nn.Module, head: CosineHead) -> None:
        super().__init__()
        self.tower, self.head = tower, head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        embedded = self.tower(images)
        logits: torch.Tensor = self.head(embedded[0] if isinstance(embedded, tuple) else embedded)
        return logits


def class_embeddings(
    prompts: Prompts, encode: Callable[[], Encode], *, identity: Mapping[str, Any] | None, label: str
) -> torch.Tensor:
    """The head of these prompts, from the cache if it is there.

    Args:
        encode: gives, when the head has to be built, a function from texts to embeddings (n, D).
        identity: what else decides the head (weights, architecture, tokenizer); None keeps nothing on disk.
        label: names the head in the progress display.

    Returns:
        float32 (C, D), normalised, on the CPU.
    """
    if identity is None:
        return _build(prompts, encode(), label=label)
    key = digest({"version": VERSION, "prompts": prompts, **identity})
    path = cache_home() / "heads" / f"{key}.safetensors"
    found = _read(path, key=key, num_classes=len(prompts.class_names))
    if found is None:
        found = _build(prompts, encode(), label=label)
        _write(path, found, key=key)
    return found


def _build(prompts: Prompts, encode: Encode, *, label: str) -> torch.Tensor:
    """Whole classes in every batch, so that a class does not depend on what comes after it."""
    per_class = len(prompts.templates)
    names = prompts.class_names
    step = max(TEXTS // per_class, 1)
    rows = []
    for start in _progress(range(0, len(names), step), len(names), per_class, label=label):
        texts = [text for name in names[start : start + step] for text in prompts.texts(name)]
        parts = [encode(texts[at : at + TEXTS]).float().cpu() for at in range(0, len(texts), TEXTS)]
        each = functional.normalize(torch.cat(parts), dim=-1)
        rows.append(functional.normalize(each.view(-1, per_class, each.shape[1]).mean(dim=1), dim=-1))
    return torch.cat(rows)


def _progress(starts: range, num_classes: int, per_class: int, *, label: str) -> Iterator[int]:
    """Pass on the starts; after two seconds say on stderr how far it is, as lines that fit into any log."""
    began = time.monotonic()
    shown = began + QUIET
    for start in starts:
        yield start
        done, now = min(start + starts.step, num_classes), time.monotonic()
        if now < shown or done == num_classes:
            continue
        shown = now + max(5.0, 0.1 * (now - began))
        left = (now - began) * (num_classes - done) / done
        print(  # noqa: T201 - a progress display of the caller's may be on; a line goes above it
            f"{label}: {done * per_class:,} of {num_classes * per_class:,} prompts embedded, "
            f"about {_duration(left)} left (once; the head is kept)",
            file=sys.stderr,
            flush=True,
        )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _read(path: Path, *, key: str, num_classes: int) -> torch.Tensor | None:
    """The kept head, or None where there is none, or one that is damaged: it is built again."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            classes: torch.Tensor = file.get_tensor("classes")
            told = file.metadata() or {}
    except (SafetensorError, OSError, KeyError):
        return None
    good = told.get("key") == key and told.get("sha256") == _sha256(classes) and len(classes) == num_classes
    return classes if good else None


def _write(path: Path, classes: torch.Tensor, *, key: str) -> None:
    """Keep a head; a cache that cannot be written costs time, nothing else."""
    from safetensors.torch import save_file

    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({"classes": classes}, partial, metadata={"key": key, "sha256": _sha256(classes)})
        partial.replace(path)


def _sha256(classes: torch.Tensor) -> str:
    return hashlib.sha256(classes.contiguous().numpy().tobytes()).hexdigest()
