"""Telling reference from shift by fine-tuned networks: the paper's own classifiers, where features do not do.

Section 5.2 and Appendix B.4 of Cohen-Wang et al. 2024 (arXiv 2403.00194): the last layer first, then all of
the network, AdamW with weight decay 0.1, 8 epochs of which the first warms up, batches of 64, gradients
clipped at 1, mirrored images; the learning rate is chosen from a list. They choose it by AUROC, here it is
what the calibrated cross-entropy of the first fold says (see ``shifts.support.density_ratio``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from benchmark.planning import Contestant
from models_zoo.augmentations import crop_and_flip
from models_zoo.devices import exact, pick_device
from models_zoo.optimising import learner, started
from models_zoo.preprocessing import for_cropped, normalise, prepare
from models_zoo.recipe import Stage
from models_zoo.schedules import learning_rates
from models_zoo.tuning.dfr import coefficients, folded, standardisation
from models_zoo.tuning.heads import put_head, set_linear
from shifts.data import Shift, generator
from shifts.errors import UserError
from shifts.support import FOLDS, DensityRatio, cross_validated_ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Mask = NDArray[np.bool_]

RATES = (1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4)
CHUNK = 256
MOST_BYTES = 4 << 30  # of prepared images held in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How the classifiers are fine-tuned.

    Attributes:
        rates: highest learning rates to choose from.
        flip: probability of mirroring an image; 0 where left and right matter.
    """

    epochs: int = 8
    batch_size: int = 64
    weight_decay: float = 0.1
    clip: float = 1.0
    rates: tuple[float, ...] = RATES
    flip: float = 0.5


def fine_tuned_ratio(
    one: Contestant,
    reference: Shift,
    shift: Shift,
    *,
    tuning: Tuning | None = None,
    folds: int = FOLDS,
    seed: int = 0,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> DensityRatio:
    """The density ratio by networks that are fine-tuned to tell reference from shift.

    Args:
        one: the model they start from, with its weights.
        progress: called with (classifiers trained, classifiers in all).

    Raises:
        UserError: the model has no linear last layer, the images are of several sizes or too many to hold in
            memory, or there are fewer than folds.
    """
    classifiers = _Classifiers(
        one,
        (reference, shift),
        tuning=tuning or Tuning(),
        seed=seed,
        device=torch.device(pick_device(device)),
    )
    return cross_validated_ratio(
        classifiers.score,
        reference_ids=reference.example_ids,
        shift_ids=shift.example_ids,
        settings=classifiers.tuning.rates,
        folds=folds,
        seed=seed,
        progress=progress,
    )


class _Classifiers:
    """Networks with two outputs, each from the same start; images are prepared once for all of them."""

    def __init__(
        self,
        one: Contestant,
        sets: tuple[Shift, Shift],
        *,
        tuning: Tuning,
        seed: int,
        device: torch.device,
    ) -> None:
        self.tuning, self.seed, self.device = tuning, seed, device
        self.preprocess = one.spec.preprocess
        self.target = torch.from_numpy(np.repeat([0, 1], [len(some) for some in sets]))
        self.network, self.head = started(one.spec, one.weights, label_space=sets[0].spec.label_space)
        self.network.to(device)
        self.images = torch.cat([part for some in sets for part in self._prepared(some)])
        self._features = self._seen_by_head()

    def score(self, train: Mask, test: Mask, rate: float) -> Floats:
        """Fine-tune on some examples and give the logits of others."""
        with torch.random.fork_rng(devices=[]), exact():
            torch.manual_seed(int(generator(self.seed, "support tuning").integers(2**31)))
            network = copy.deepcopy(self.network).requires_grad_(True)
            put_head(network, self.head, self._last_layer(train))
            self._tune(network, np.flatnonzero(train), rate=rate)
            logits = self._over(network, np.flatnonzero(test))
        difference: Floats = (logits[:, 1] - logits[:, 0]).numpy().astype(np.float64)
        return difference

    def _prepared(self, shift: Shift) -> list[torch.Tensor]:
        preprocess, parts, held = for_cropped(self.preprocess, shift.spec.cropped), [], 0
        for batch in shift.batches(CHUNK):
            parts.append(prepare(batch.images, preprocess))
            held += parts[-1].numel()
            if held > MOST_BYTES:
                raise UserError(
                    f"the images of {shift.spec.name!r} do not fit into {MOST_BYTES >> 30} GiB of memory",
                    hint="take fewer with --limit, or go without --fine-tune",
                )
        return parts

    def _seen_by_head(self) -> NDArray[np.float32]:
        """What the last layer sees of every image before any tuning: float32 (N, D)."""
        seen: list[torch.Tensor] = []
        layer = self.network.get_submodule(self.head)
        hook = layer.register_forward_pre_hook(
            lambda _module, inputs: seen.append(inputs[0].flatten(1).cpu())
        )
        try:
            self._over(self.network, np.arange(len(self.images)))
        finally:
            hook.remove()
        values: NDArray[np.float32] = torch.cat(seen).to(torch.float32).numpy()
        return values

    def _last_layer(self, train: Mask) -> nn.Linear:
        """A last layer fitted to the features, as linear probing before fine-tuning leaves it."""
        from sklearn.linear_model import LogisticRegression

        mean, scale = standardisation(self._features[train])
        model = LogisticRegression(C=1e-2, max_iter=5000)
        model.fit((self._features[train] - mean) / scale, self.target.numpy()[train])
        layer = nn.Linear(self._features.shape[1], 2)
        set_linear(layer, *folded(*coefficients(model, 2), mean=mean, scale=scale))
        return layer.to(self.device)

    def _tune(self, network: nn.Module, rows: NDArray[np.int64], *, rate: float) -> None:
        how, n = self.tuning, len(rows)
        size = min(how.batch_size, n)
        per_epoch = -(-n // size)
        stage = Stage(
            shift="-", epochs=how.epochs, warmup_epochs=min(1, how.epochs / 8), learning_rate=rate,
            weight_decay=how.weight_decay, batch_size=size,
        )  # fmt: skip
        rates = learning_rates(stage, steps=how.epochs * per_epoch, per_epoch=per_epoch)
        trained = list(network.parameters())
        optimiser = learner(stage, trained)
        network.train()
        for epoch in range(how.epochs):
            order = rows[generator(self.seed, "order", epoch).permutation(n)]
            for number in range(per_epoch):
                some = order[number * size : (number + 1) * size]
                if len(some) < 2:
                    continue  # one image has no batch statistics
                for group in optimiser.param_groups:
                    group["lr"] = rates[epoch * per_epoch + number]
                images = self._mirrored(some, generator(self.seed, "mirror", epoch, number))
                loss = nn.functional.cross_entropy(network(images), self.target[some].to(self.device))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
                nn.utils.clip_grad_norm_(trained, how.clip)
                optimiser.step()
        network.eval()

    def _mirrored(self, rows: NDArray[np.int64], draw: np.random.Generator) -> torch.Tensor:
        pixels = self.images[rows].permute(0, 2, 3, 1).numpy()
        changed = crop_and_flip(pixels, draw, pad=0, flip=self.tuning.flip)
        images = torch.from_numpy(np.ascontiguousarray(changed)).permute(0, 3, 1, 2).to(self.device)
        return normalise(images, self.preprocess)

    def _over(self, network: nn.Module, rows: NDArray[np.int64]) -> torch.Tensor:
        network.eval()
        with torch.inference_mode():
            parts = [
                network(normalise(self.images[rows[start : start + CHUNK]].to(self.device), self.preprocess))
                for start in range(0, len(rows), CHUNK)
            ]
            return torch.cat(parts).to("cpu", torch.float32)
