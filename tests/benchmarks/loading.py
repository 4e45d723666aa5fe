"""How much longer loading a model takes than the library's own loading of the same file; prints ratios.

Run it alone: ``python tests/benchmarks/loading.py``. Each pair is measured in turns, and the medians count.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torchvision import models

from models_zoo.loading import load_model

REPEATS = 7


def of_timm(name: str, folder: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    path = folder / "weights.safetensors"
    save_file(timm.create_model(name, pretrained=False).state_dict(), path)
    overlay = {"file": str(path)}
    return (
        lambda: timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay).eval(),
        lambda: load_model(f"timm:{name}", path, device="cpu"),
    )


def of_torchvision(name: str, folder: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    path = folder / "weights.pth"
    torch.save(models.get_model(name, weights=None).state_dict(), path)

    def theirs() -> object:
        network = models.get_model(name, weights=None)
        network.load_state_dict(torch.load(path, weights_only=True))
        return network.eval()

    return theirs, lambda: load_model(f"torchvision:{name}", path, device="cpu")


def main() -> None:
    for prefix, make, names in (
        ("timm", of_timm, ("resnet50.a1_in1k", "vit_base_patch16_224.augreg_in21k_ft_in1k")),
        ("torchvision", of_torchvision, ("resnet50", "vit_b_16")),
    ):
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                theirs, ours = make(name, Path(folder))
                theirs(), ours()
                pairs = [(_seconds(theirs), _seconds(ours)) for _ in range(REPEATS)]
            own, here = (statistics.median(column) for column in zip(*pairs, strict=True))
            print(f"{prefix}:{name}: the library {own:.2f} s, here {here:.2f} s, ratio {here / own:.2f}")


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
