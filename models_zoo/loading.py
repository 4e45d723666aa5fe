"""A model by its name, with its weights, ready to answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from models_zoo.overrides import check_declared
from models_zoo.reading import reading
from models_zoo.spec import MODELS
from shifts.errors import LabelSpaceError, WeightsError
from shifts.labels import ANY
from shifts.registry import resolve

if TYPE_CHECKING:
    from models_zoo.classifier import Classifier
    from models_zoo.spec import ModelSpec


def load_model(
    name: str,
    weights: str | Path | None = None,
    *,
    label_space: str | None = None,
    device: str = "auto",
    precision: str = "float32",
) -> Classifier:
    """Build a registered model and read its weights, fetching or training them where they are not there.

    Args:
        name: as in ``robustbench-shift list models``.
        weights: a file to use instead of the published or trained weights.
        label_space: the classes a zero-shot model shall tell apart; other models have their own.
        device: ``"auto"`` takes CUDA, then MPS, then the CPU.
        precision: ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Raises:
        UnknownNameError: no such model; names the nearest.
        WeightsError: weights missing, damaged, of another network, or wanting to run code.
        LabelSpaceError: the model's classes are not those asked for.
    """
    spec = MODELS.get(name)
    path = find_weights(spec) if weights is None else Path(weights)
    return load_spec(spec, path, label_space=label_space, device=device, precision=precision)


def build_model(name: str, *, label_space: str | None = None, device: str = "auto") -> Classifier:
    """The architecture of a registered model with random weights: to look at it, or to train it."""
    return load_spec(MODELS.get(name), None, label_space=label_space, device=device)


def find_weights(spec: ModelSpec) -> Path | None:
    """The weights of a model, trained or fetched now if they are not there; None where it has none.

    Raises:
        WeightsError: they cannot be fetched; says what to do.
    """
    if spec.recipe is not None:
        from models_zoo.training import train

        return train(spec)
    if spec.weights is not None:
        from models_zoo.weights import weights_file

        return weights_file(spec)
    return None


def load_spec(
    spec: ModelSpec,
    weights: Path | None,
    *,
    label_space: str | None = None,
    device: str = "auto",
    precision: str = "float32",
) -> Classifier:
    """Build the model of a declaration, registered or made by the caller, from a file that is there.

    Args:
        weights: None gives random ones.

    Raises:
        WeightsError, LabelSpaceError: as for ``load_model``.
        UserError: the declaration of a user's own model does not say all that it must.
    """
    if spec.label_space == ANY and label_space is None:
        raise LabelSpaceError(
            f"{spec.name!r} answers in any classes: say in which", hint="pass label_space, e.g. 'digits'"
        )
    if spec.label_space != ANY and label_space not in (None, spec.label_space):
        raise LabelSpaceError(
            f"{spec.name!r} answers in the classes of {spec.label_space!r}, not {label_space!r}"
        )
    check_declared(spec)
    with reading(spec.reading) as session, _same_chance(spec.reading.lenient):
        loaded: Classifier = resolve(spec.loader)(
            spec, weights=weights, label_space=label_space, device=device, precision=precision
        )
    if session.left_out:
        refuse_headless(loaded, session.left_out)
    loaded.notes = (*spec.notes, *session.notes)
    return loaded


@contextmanager
def _same_chance(wanted: bool) -> Iterator[None]:
    """Random values of what a file lacks are the same in every run: equal digests give equal logits."""
    if not wanted:
        yield
        return
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def refuse_headless(classifier: Classifier, left_out: list[str]) -> None:
    """Refuse a network whose answers come from a layer that the weights file does not hold.

    Raises:
        WeightsError: names the tensors.
    """
    network, head = getattr(classifier, "network", None), getattr(classifier, "head", None)
    if network is None:
        return
    own = {id(parameter) for parameter in head.parameters()} if head is not None else set()
    names = [name for name, parameter in network.named_parameters() if id(parameter) in own]
    if not names:  # without a declared head it is the last layer
        last = list(network.named_parameters())[-1:]
        names = [
            name for name, _ in network.named_parameters() if last and _layer(name) == _layer(last[0][0])
        ]
    lost = [name for name in names if name in left_out]
    if lost:
        raise WeightsError(
            f"the weights file has no fitting classifier head ({', '.join(lost)}); with a random one "
            "the model would answer at random",
            hint="say which classes it was trained on with --label-space, or give the file with the head",
        )


def _layer(parameter: str) -> str:
    return parameter.rpartition(".")[0]
