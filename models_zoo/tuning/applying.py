"""What a fitted last layer says of features, and the file it is kept in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNK = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Applied:
    """Answers to N feature vectors.

    Attributes:
        logits: float32 (N, C).
        tuned: float32 (N, D), what the classifier sees: of a linear probe the features themselves.
    """

    logits: NDArray[np.float32]
    tuned: NDArray[np.float32]


def apply_head(head: nn.Module, features: NDArray[np.float32]) -> Applied:
    """Logits and tuned features, in evaluation mode, some thousand rows at a time.

    Args:
        head: as a ``HeadFit`` leaves it; its last linear layer is the classifier.
        features: float32 (N, D).
    """
    classifier = [module for module in head.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[torch.Tensor] = []
    logits, tuned = [], []
    hook = classifier.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    try:
        with torch.inference_mode():
            head.eval()
            for start in range(0, len(features), CHUNK):
                # Copied: a memory map cannot be written to, which torch warns of.
                logits.append(head(torch.from_numpy(np.array(features[start : start + CHUNK]))))
                tuned.append(seen.pop())
    finally:
        hook.remove()
    return Applied(logits=torch.cat(logits).numpy(), tuned=torch.cat(tuned).numpy())


def save_head(head: nn.Module, path: Path, *, record: Mapping[str, Any]) -> None:
    """Write a last layer as safetensors, with what it was fitted by in the metadata."""
    from safetensors.torch import save

    from shifts.local import write_atomic

    tensors = {name: tensor.contiguous() for name, tensor in head.state_dict().items()}
    metadata = {"robustbench_shift": json.dumps(dict(record), sort_keys=True)}
    write_atomic(path, save(tensors, metadata=metadata))
