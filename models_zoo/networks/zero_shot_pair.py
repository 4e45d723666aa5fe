"""A pair of towers that was trained here, as a classifier: classes are compared by their captions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from models_zoo.classifier import TorchClassifier
from models_zoo.fitting import load_into
from models_zoo.optimising import network_of
from models_zoo.prompts import prompts_for
from models_zoo.recipe import recipe_of
from models_zoo.weights import load_state_dict, weights_digest
from models_zoo.zero_shot import CosineHead, ZeroShotNetwork, class_embeddings

if TYPE_CHECKING:
    from pathlib import Path

    from models_zoo.spec import ModelSpec


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Build both towers, read their weights, and make the head of the classes from their prompts.

    Raises:
        WeightsError: damaged, or of another network.
        LabelSpaceError: not one class name for each class.
        UserError: a class name of which the text tower does not know a word.
    """
    prompts = prompts_for(spec, label_space or spec.label_space)
    network: Any = network_of(recipe_of(spec), len(prompts.class_names))[0].eval()
    identity = None
    if weights is not None:
        load_into(network, load_state_dict(weights), where=weights)
        identity = {"weights": weights_digest(weights), "towers": spec.arguments}

    def encode(texts: list[str]) -> torch.Tensor:
        with torch.inference_mode():
            found: torch.Tensor = network.encode_text(torch.from_numpy(network.tokenise(texts)))
        return found

    head = CosineHead(
        class_embeddings(prompts, lambda: encode, identity=identity, label=f"{spec.name}, head"),
        scale=float(network.inverse_temperature().detach()),
    )
    return TorchClassifier(
        spec, ZeroShotNetwork(network.visual, head), head=head, device=device, precision=precision
    )
