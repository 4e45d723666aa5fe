"""Image-text contrastive learning: every image against the captions of the batch, and the other way round.

Radford et al., arXiv 2103.00020, section 2.3. A network for it takes images and tokens and gives an embedding
of each; it reads captions by its ``tokenise``, and its ``inverse_temperature`` is what cosines are multiplied
by (``models_zoo.networks.two_tower``, ``models_zoo.networks.clip_pair``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional

from shifts.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models_zoo.objectives import Batch, Tokenise
    from shifts.data import Shift

    Integers = NDArray[np.int64]

Pair = tuple[torch.Tensor, torch.Tensor]
HIGHEST_SCALE = 100.0  # Radford et al., section 2.5


def info_nce(images: torch.Tensor, texts: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The mean of both cross-entropies over the scaled cosine similarities of a batch.

    Args:
        images, texts: float (B, D), row i of both belongs together.
        scale: the inverse temperature, a scalar.

    >>> unit = torch.eye(2)
    >>> round(float(info_nce(unit, unit, torch.tensor(1.0))), 4)  # ln(1 + 1/e)
    0.3133
    """
    unit, other = functional.normalize(images, dim=-1), functional.normalize(texts, dim=-1)
    logits = scale * unit @ other.T
    own = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrastive:
    """The objective: ``info_nce`` over the whole batch, whatever passes and processes it is split into.

    Of a batch in several passes the embeddings come first, without gradients; then the loss over all of
    them; then each pass again, with the gradient of its own embeddings (Gao et al., arXiv 2101.06983). The
    gradient is that of the undivided batch, unless the network has batch statistics.

    Attributes:
        caption: with the names of group columns of the shift in braces.
    """

    caption: str

    def captions(self, shift: Shift, rows: Integers, labels: Integers) -> list[str]:
        """One caption for each example; ``{class}`` is the name of its label.

        Raises:
            UserError: the shift has no column of that name.
        """
        columns = shift.columns(rows, labels=labels)
        try:
            return [
                self.caption.format(**{name: values[index] for name, values in columns.items()})
                for index in range(len(rows))
            ]
        except (KeyError, IndexError, ValueError) as error:
            raise UserError(
                f"the caption {self.caption!r} cannot be filled in: {error}",
                hint=f"{shift.spec.name!r} has the columns {', '.join(columns) or '(none)'}",
            ) from error

    def tokeniser(self, network: nn.Module) -> Tokenise:
        """The network's own.

        Raises:
            UserError: the network does not read captions.
        """
        found: Callable[..., Any] | None = getattr(network, "tokenise", None)
        if found is None:
            raise UserError(
                f"{type(network).__name__} has no text tower, and contrastive learning needs one",
                hint="see models_zoo.networks.two_tower",
            )
        return found

    def backward(self, batch: Batch) -> torch.Tensor:
        """The gradients of the share's own embeddings; of the scale in the first process alone."""
        parts = batch.parts()
        whole, seeds = len(parts) == 1, [int(torch.randint(2**31, ())) for _ in parts]
        # Batch statistics count once, though every part is computed twice.
        kept = {} if whole else {name: one.clone() for name, one in batch.network.named_buffers()}
        with torch.set_grad_enabled(whole):
            found = [_embedded(batch, part, seed) for part, seed in zip(parts, seeds, strict=True)]
        for name, one in batch.network.named_buffers():
            if name in kept:
                one.copy_(kept[name])
        own = [torch.cat([pair[side] for pair in found]).detach().requires_grad_(True) for side in (0, 1)]
        network: Any = batch.network
        scale: torch.Tensor = network.inverse_temperature()
        if not batch.processes.first:
            scale = scale.detach()
        place = batch.processes.share(batch.total)
        sides = []
        for side in own:
            rows = batch.processes.joined(side.detach(), batch.total)
            sides.append(torch.cat([rows[: place.start], side, rows[place.stop :]]).float())
        loss = info_nce(sides[0], sides[1], scale)
        batch.backward(loss)
        start = 0
        for part, seed, pair in zip(parts, seeds, found, strict=True):
            number = len(part[1])
            again = pair if whole else _embedded(batch, part, seed)
            grads = [side.grad[start : start + number] for side in own if side.grad is not None]
            torch.autograd.backward(again, grads)
            start += number
        return loss.detach() / batch.processes.count


def _embedded(batch: Batch, part: Pair, seed: int) -> Pair:
    """Both embeddings of a part; the same dropout whenever it is asked."""
    torch.manual_seed(seed)
    images, tokens = part
    with batch.mixed():
        pair: Pair = batch.forward(batch.inputs(images), tokens)
    return pair
