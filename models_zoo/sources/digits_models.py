"""Scratch models for handwritten digits, and a pre-trained one: trained here, in seconds.

Every architecture is trained on each of the three reference distributions. Capacities, shares of the
training data and short schedules spread the accuracies, so that a baseline line can be fitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from models_zoo.recipe import Recipe, Stage
from models_zoo.spec import MODELS, ModelSpec, Preprocess

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from models_zoo.classifier import TorchClassifier

PIXELS = 3 * 16 * 16
REFERENCES = {"digits": "digits", "digits-tinted": "digits-tinted", "digits-imbalanced": "digits-imbalanced"}
PRETRAINED = "pretrained"
_NOISE = "models_zoo.sources.digits_models:pixel_noise"

_NETWORKS = "models_zoo.networks.small"
_LINEAR = {"network": f"{_NETWORKS}:linear", "arguments": {"pixels": PIXELS}}


def _parameters(made: Recipe) -> int:
    """Weights and biases, counted by hand."""
    width = int(made.arguments.get("width", 0))
    return {
        "linear": PIXELS * 10 + 10,
        "mlp": PIXELS * width + width + width * 10 + 10,
        "cnn": (27 + 2) * width + (18 * width + 4) * width + (72 * width + 8) * width + 40 * width + 10,
    }[str(made.network).partition(":")[2]]


def _mlp(width: int) -> dict[str, Any]:
    return {"network": f"{_NETWORKS}:mlp", "arguments": {"pixels": PIXELS, "width": width}}


def _cnn(width: int) -> dict[str, Any]:
    return {"network": f"{_NETWORKS}:cnn", "arguments": {"width": width}}


# name → network, share of the training data in percent, epochs, seed
_SCRATCH: dict[str, tuple[dict[str, Any], int, int, int]] = {
    "logreg": (_LINEAR, 100, 40, 0),
    "mlp": (_mlp(128), 100, 40, 0),
    "cnn": (_cnn(16), 100, 40, 0),
    **{f"logreg-f{share}": (_LINEAR, share, 40, 1) for share in (10, 25, 50)},
    **{
        f"mlp-w{width}-f{share}": (_mlp(width), share, 40, 1)
        for width in (16, 64)
        for share in (10, 25, 50, 100)
    },
    **{
        f"cnn-w{width}-f{share}": (_cnn(width), share, 40, 1)
        for width in (8, 16, 32)
        for share in (5, 10, 25, 50, 100)
    },
    **{f"cnn-e{epochs}": (_cnn(16), 100, epochs, 2) for epochs in (2, 4, 8, 16)},
}


def recipe(name: str) -> Recipe:
    """The recipe of a model of this family."""
    return _RECIPES[name]


def _scratch_recipe(reference: str, key: str) -> Recipe:
    network, share, epochs, seed = _SCRATCH[key]
    stage = Stage(shift=reference, share=share / 100, epochs=epochs, learning_rate=3e-3, augment=_NOISE)
    return Recipe(**network, stages=(stage,), seed=seed)


def _pretrained_recipe(reference: str) -> Recipe:
    """Pre-train on the disjoint 700 images, randomly tinted, padded and moved; then LP-FT on the reference.

    Linear probing before full fine-tuning (LP-FT, Kumar et al., arXiv 2202.10054) keeps the features that
    pre-training found; the numbers of epochs follow the miniature protocol of the first study.
    """
    augment = "models_zoo.sources.digits_models:diversify"
    return Recipe(
        **_cnn(16),
        stages=(
            Stage(shift="digits", split="pretrain", epochs=80, learning_rate=3e-3, augment=augment),
            Stage(
                shift=reference,
                epochs=4,
                learning_rate=3e-3,
                augment=_NOISE,
                trainable="head",
                fresh_head=True,
            ),
            Stage(shift=reference, epochs=20, learning_rate=1e-3, augment=_NOISE),
        ),
    )


_RECIPES: dict[str, Recipe] = {}
_TITLES = {"logreg": "logistic regression on pixels", "mlp": "one hidden layer", "cnn": "three convolutions"}


def _register(name: str, made: Recipe, *, reference: str, title: str, **fields: Any) -> None:
    _RECIPES[name] = made
    MODELS.register(
        ModelSpec(
            name=name,
            title=f"{title}, trained on {reference}",
            label_space="digits",
            preprocess=Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
            loader="models_zoo.sources.digits_models:load",
            recipe="models_zoo.sources.digits_models:recipe",
            arguments={"network": made.network, **made.arguments},
            parameters=_parameters(made),
            licence="MIT",
            citation="this project",
            source="trained on this machine by its recipe",
            suite="digits",
            **fields,
        )
    )


for _reference in REFERENCES:
    for _key in _SCRATCH:
        _register(
            f"{_reference}-{_key}",
            _scratch_recipe(_reference, _key),
            reference=_reference,
            title=f"{_TITLES[_key.split('-')[0]]} from scratch",
            family="standard",
            training_data=(_reference,),
        )
    _register(
        f"{_reference}-cnn-{PRETRAINED}",
        _pretrained_recipe(_reference),
        reference=_reference,
        title="three convolutions, pre-trained on varied digits",
        family="more-data",
        training_data=(_reference, "digits-varied"),
    )


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> TorchClassifier:
    """Build the network and read its weights."""
    from models_zoo.classifier import TorchClassifier
    from models_zoo.weights import load_into, load_state_dict
    from shifts.labels import LABEL_SPACES
    from shifts.registry import resolve

    arguments = dict(spec.arguments)
    network = resolve(arguments.pop("network"))(len(LABEL_SPACES.get(spec.label_space)), **arguments)
    if weights is not None:
        load_into(network, load_state_dict(weights), where=weights)
    return TorchClassifier(spec, network, head=network[-1], device=device, precision=precision)


def pixel_noise(images: NDArray[np.uint8], draw: np.random.Generator) -> NDArray[np.uint8]:
    """Gaussian noise of standard deviation 0.1 on [0, 1]: without it a small network reads single pixels."""
    import numpy as np

    noisy = images + draw.normal(scale=0.1 * 255.0, size=images.shape)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def diversify(images: NDArray[np.uint8], draw: np.random.Generator) -> NDArray[np.uint8]:
    """Pre-training variety: a tint of up to one half, 0–4 pixels of padding, a move of up to 2 pixels."""
    import numpy as np
    from PIL import Image

    result = np.empty_like(images)
    height, width = images.shape[1:3]
    for index, image in enumerate(images):
        alpha = draw.uniform(0.0, 0.5)
        tinted = (1.0 - alpha) * image + alpha * 255.0 * draw.uniform(size=3)
        border = int(draw.integers(0, 5))
        padded = np.pad(np.rint(tinted).astype(np.uint8), ((border, border), (border, border), (0, 0)))
        resized = Image.fromarray(padded).resize((width, height), Image.Resampling.BILINEAR)
        moved = np.roll(np.asarray(resized), tuple(draw.integers(-2, 3, size=2)), axis=(0, 1))
        result[index] = moved
    return pixel_noise(result, draw)
