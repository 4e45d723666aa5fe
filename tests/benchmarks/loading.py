"""How much longer loading a model takes than the library's own loading of the same file; prints ratios.

Run it alone: ``python tests/benchmarks/loading.py [--smoke] [--json FILE]``. Each pair is measured in
turns, and the medians count.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from common import arguments, finish, timed, turns
from safetensors.torch import save_file
from torchvision import models

from models_zoo.loading import load_model

REPEATS = 7
NAMES = {
    "timm": ("resnet50.a1_in1k", "vit_base_patch16_224.augreg_in21k_ft_in1k"),
    "torchvision": ("resnet50", "vit_b_16"),
}
SMALL = {"timm": ("mobilenetv3_small_050.lamb_in1k",), "torchvision": ("mobilenet_v3_small",)}


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


def main() -> int:
    """Measure and print."""
    chosen = arguments(__doc__, smoke="a small model of each library once")
    names_of = SMALL if chosen.smoke else NAMES
    found = {}
    for prefix, make in (("timm", of_timm), ("torchvision", of_torchvision)):
        for name in names_of[prefix]:
            with tempfile.TemporaryDirectory() as folder:
                theirs, ours = make(name, Path(folder))
                theirs(), ours()
                seconds = turns(
                    {"library": timed(theirs), "here": timed(ours)}, 1 if chosen.smoke else REPEATS
                )
            own, here = (statistics.median(seconds[side]) for side in ("library", "here"))
            found[f"{prefix}:{name}"] = {"library": own, "here": here, "ratio": here / own}
    return finish(found, {}, chosen)


if __name__ == "__main__":
    raise SystemExit(main())
