"""The moving parts of a stage: the network it starts with, what of it is trained, by which optimiser."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from models_zoo.adapters import add_adapters
from models_zoo.feeding import num_classes
from models_zoo.lamb import Lamb
from models_zoo.recipe import Optimiser, Recipe, Stage, start_of
from models_zoo.tuning.heads import head_fit_of, put_head
from shifts.errors import UserError
from shifts.labels import ANY, LABEL_SPACES
from shifts.registry import resolve
from shifts.spec import SHIFTS

if TYPE_CHECKING:
    from models_zoo.spec import ModelSpec

Trained = list[nn.Parameter]


def network_of(recipe: Recipe, classes: int, *, data_dir: Path | None = None) -> tuple[nn.Module, str]:
    """The network that the first stage starts with, and the name of its last layer.

    Raises:
        UserError: the model to start from has no linear last layer; WeightsError: it has no weights.
    """
    start = start_of(recipe)
    if start is None:
        assert recipe.network is not None, "a recipe has a network or a start"
        network: nn.Module = resolve(recipe.network)(classes, **recipe.arguments)
        linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
        return network, linear[-1]
    space = SHIFTS.get(recipe.stages[0].shift).label_space
    return started(start, _weights(recipe, start, data_dir), label_space=space)


def untrained(recipe: Recipe) -> tuple[nn.Module, str]:
    """The network as the last stage leaves it, with weights of no meaning, and the name of its last layer."""
    start = start_of(recipe)
    if start is None:
        network, head = network_of(recipe, num_classes(recipe.stages[0]))
    else:
        space = SHIFTS.get(recipe.stages[0].shift).label_space
        network, head = started(start, None, label_space=space, shapes=True)
    return network, put_heads(network, head, recipe)


def put_heads(network: nn.Module, head: str, recipe: Recipe, *, classes: int | None = None) -> str:
    """Put the last layers of all stages in place, one after the other, and give the name of the last.

    Args:
        classes: how many the layers answer in, in place of the stages' own.
    """
    for number, stage in enumerate(recipe.stages):
        outputs = num_classes(stage) if classes is None else classes
        if stage.head_fit is not None:
            layer = head_fit_of(stage.head_fit).build(width_of(network, head), outputs)
            head = put_head(network, head, layer)
        elif stage.fresh_head or (number == 0 and stage.objective is None):
            prepare_head(network, head, classes=outputs, fresh=stage.fresh_head)
    return head


def width_of(network: nn.Module, head: str) -> int:
    """How many features the last layer sees."""
    layer = network.get_submodule(head)
    assert isinstance(layer, nn.Linear)
    return layer.in_features


def _weights(recipe: Recipe, start: ModelSpec, data_dir: Path | None) -> Path:
    from models_zoo.weights import weights_file

    if recipe.start_weights is not None:
        return weights_file(start, Path(recipe.start_weights))
    if start.recipe is not None:
        from models_zoo.training import train

        return train(start, data_dir=data_dir)
    return weights_file(start)


def started(
    start: ModelSpec, weights: Path | None, *, label_space: str, shapes: bool = False
) -> tuple[nn.Module, str]:
    """The network of another model and the name of its last layer.

    A zero-shot head becomes a linear layer that answers alike and can be trained.

    Args:
        weights: None leaves them random.
        label_space: of the head, where the model answers in any classes.
        shapes: only these matter: a zero-shot head is not made from prompts of its classes.

    Raises:
        UserError: its last layer is no linear one.
    """
    from models_zoo.classifier import TorchClassifier
    from models_zoo.loading import load_spec
    from models_zoo.networks.library import trainable_head
    from models_zoo.zero_shot import CosineHead

    space = label_space if start.label_space == ANY else None
    if space is not None and shapes:
        start = dataclasses.replace(start, arguments={**start.arguments, "templates": ("{}",)})
        space = min(LABEL_SPACES, key=len).name
    classifier = load_spec(start, weights, label_space=space, device="cpu")
    head = classifier.head if isinstance(classifier, TorchClassifier) else None
    if not isinstance(classifier, TorchClassifier) or not isinstance(head, (nn.Linear, CosineHead)):
        raise UserError(
            f"{start.name!r} cannot be trained further: its last layer is not a linear one",
            hint="start from a model with a linear head, or train a head on its features",
        )
    name = next(name for name, module in classifier.network.named_modules() if module is head)
    # A copy: towers are shared between the classifiers of a process.
    network = copy.deepcopy(classifier.network)
    if isinstance(head, CosineHead):
        rows = head.get_buffer("classes")
        rows = rows[:1].expand(len(LABEL_SPACES.get(label_space)), -1) if shapes else rows
        put_head(network, name, trainable_head(rows, scale=head.scale, bias=head.bias))
    return network, name


def prepare_head(network: nn.Module, name: str, *, classes: int, fresh: bool) -> None:
    """Start the last layer anew, with one output for each class.

    Raises:
        UserError: the layer shall stay and has another number of outputs.
    """
    head = network.get_submodule(name)
    assert isinstance(head, nn.Linear)
    if head.out_features == classes and (not fresh or type(head) is nn.Linear):
        if fresh:
            head.reset_parameters()
        return
    if not fresh:
        raise UserError(
            f"the last layer has {head.out_features} outputs and the training data {classes} classes",
            hint="set fresh_head in the stage",
        )
    put_head(network, name, nn.Linear(head.in_features, classes))


def trained_parameters(network: nn.Module, head: nn.Module, stage: Stage) -> Trained:
    """Freeze what a stage leaves alone, and give the rest; the stage's adapters are put in place.

    Raises:
        UserError: the pattern fits no parameter.
    """
    if stage.lora is not None:
        trained = [*add_adapters(network, head, stage.lora), *head.parameters()]
    elif stage.trainable in ("all", "head"):
        trained = list((head if stage.trainable == "head" else network).parameters())
    else:
        named = network.named_parameters()
        trained = [parameter for name, parameter in named if fnmatchcase(name, stage.trainable)]
        if not trained:
            known = ", ".join(name for name, _ in list(network.named_parameters())[:4])
            raise UserError(
                f"no parameter is called {stage.trainable!r}", hint=f"their names are like {known}"
            )
    network.requires_grad_(False)
    for parameter in trained:
        parameter.requires_grad_(True)
    # A frozen body keeps its batch statistics: a linear probe must not move the features it probes.
    network.train(stage.trainable != "head")
    whole = stage.trainable == "all" and stage.lora is None
    for module in network.modules():
        own = list(module.parameters(recurse=False))
        if own and not any(parameter.requires_grad for parameter in own) and not whole:
            module.eval()
    return trained


def learner(stage: Stage, trained: Trained) -> torch.optim.Optimizer:
    """The optimiser; its learning rate is set anew before every step."""
    groups: list[dict[str, object]] = [{"params": trained, "weight_decay": stage.weight_decay}]
    if stage.decayed == "matrices":
        matrices = [parameter for parameter in trained if parameter.dim() > 1]
        rest = [parameter for parameter in trained if parameter.dim() <= 1]
        groups = [{**groups[0], "params": matrices}, {"params": rest, "weight_decay": 0.0}]
    return _OPTIMISERS[stage.optimiser](stage, groups)


_OPTIMISERS: dict[Optimiser, Callable[[Stage, Any], torch.optim.Optimizer]] = {
    "adamw": lambda stage, groups: torch.optim.AdamW(groups, lr=stage.learning_rate),
    "sgd": lambda stage, groups: torch.optim.SGD(
        groups, lr=stage.learning_rate, momentum=stage.momentum, nesterov=stage.nesterov
    ),
    "lamb": lambda stage, groups: Lamb(groups, lr=stage.learning_rate),
}


class Average:
    """The exponential moving average of a network's parameters; nothing where ``decay`` is None.

    Buffers (the statistics of batch normalisation) are the network's own.
    """

    def __init__(self, network: nn.Module, decay: float | None) -> None:
        self.decay = decay
        self.tensors: dict[str, torch.Tensor] = {}
        if decay is not None:
            self.tensors = {name: value.detach().clone() for name, value in network.named_parameters()}

    def load(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Go on from a saved average."""
        for name, value in self.tensors.items():
            value.copy_(tensors[name])

    def follow(self, network: nn.Module) -> None:
        """Take in the weights after a step."""
        if self.decay is None:
            return
        for name, value in network.named_parameters():
            self.tensors[name].lerp_(value.detach(), 1.0 - self.decay)

    def into(self, network: nn.Module) -> None:
        """Replace the weights by their average."""
        with torch.no_grad():
            for name, value in network.named_parameters():
                if name in self.tensors:
                    value.copy_(self.tensors[name])

    @contextmanager
    def in_place(self, network: nn.Module) -> Iterator[None]:
        """The network with the average in place of its weights."""
        if self.decay is None:
            yield
            return
        before = {name: value.detach().clone() for name, value in network.named_parameters()}
        self.into(network)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in network.named_parameters():
                    value.copy_(before[name])
