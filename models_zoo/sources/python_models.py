"""``python:package.module:factory``: a model that the user's own code makes, in the user's own environment.

``factory()`` gives a ``torch.nn.Module`` (normalised float32 images (B, 3, h, w) in, logits (B, M) out), or a
``models_zoo.classifier.Classifier`` (its ``logits`` and ``features`` are asked as they are). What the factory
carries as attributes need not be stated on the command line: ``preprocess`` (a ``Preprocess``, its fields as
a dict, or the name of a registered model) and ``label_space`` (a registered name). With ``--weights`` a
state dict is put into the module. The module may lie in the current folder. Asking for such a model runs its
code.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models_zoo.overrides import preprocess_from, suite_of
from models_zoo.own import last_linear, own_spec, tried
from models_zoo.spec import MODELS, ModelSpec, Preprocess
from shifts.errors import UserError
from shifts.labels import LABEL_SPACES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models_zoo.classifier import Classifier, Images

PREFIX = "python:"


def resolve(name: str) -> ModelSpec | None:
    """Import the module and read what the factory says of its model; the factory itself is not called.

    Raises:
        UserError: the module cannot be imported, or has no such factory.
    """
    if not name.startswith(PREFIX):
        return None
    reference = name.removeprefix(PREFIX)
    factory, module = _factory(reference)
    known: dict[str, Any] = {}
    if (stated := getattr(factory, "preprocess", None)) is not None:
        known["preprocess"] = _preprocess(stated, where=f"{reference}.preprocess")
    if (space := getattr(factory, "label_space", None)) is not None:
        known["label_space"] = LABEL_SPACES.get(str(space)).name
        known["suite"] = suite_of(known["label_space"])
    return own_spec(
        name,
        title=f"made by {reference}",
        loader="models_zoo.sources.python_models:load",
        arguments={"factory": reference, **_identity(module)},
        notes=(
            f"own code: the digest covers the source of {module.__name__} and its version, "
            "not what it imports or reads",
        ),
        **known,
    )


MODELS.add_resolver(resolve)


def load(
    spec: ModelSpec, *, weights: Path | None, label_space: str | None, device: str, precision: str = "float32"
) -> Classifier:
    """Call the factory.

    Raises:
        UserError: it gives neither a module nor a classifier, or a classifier with weights from a file.
        LabelSpaceError: the outputs are not the classes.
    """
    from torch import nn

    from models_zoo.classifier import TorchClassifier
    from models_zoo.heads import outputs_of
    from models_zoo.weights import load_into, load_state_dict

    reference = spec.arguments["factory"]
    made = _factory(reference)[0]()
    if isinstance(made, nn.Module):
        if weights is not None:
            load_into(made, load_state_dict(weights), where=weights)
        head = last_linear(made, outputs_of(spec.head, label_space=spec.label_space))
        return tried(TorchClassifier(spec, made, head=head, device=device, precision=precision))
    if not callable(getattr(made, "logits", None)):
        raise UserError(
            f"{reference}() gives {type(made).__name__}, neither a torch.nn.Module nor a Classifier"
        )
    if weights is not None:
        raise UserError(f"{reference}() gives a classifier of its own; it takes no weights from a file")
    return OwnClassifier(spec, made)


class OwnClassifier:
    """A user's classifier under the declaration that was evaluated."""

    def __init__(self, spec: ModelSpec, inner: Any) -> None:
        self.spec = spec
        self.inner = inner
        self.device_name = str(getattr(inner, "device_name", "unknown"))
        self.notes: tuple[str, ...] = ()

    def logits(self, images: Images) -> NDArray[np.float32]:
        import numpy as np

        from shifts.errors import LabelSpaceError

        found: NDArray[np.float32] = np.asarray(self.inner.logits(images), dtype=np.float32)
        expected = (len(images), len(LABEL_SPACES.get(self.spec.label_space)))
        if found.shape != expected:
            raise LabelSpaceError(
                f"{self.spec.name!r} gives logits of shape {found.shape}, expected is {expected} "
                f"for {self.spec.label_space!r}"
            )
        return found

    def features(self, images: Images) -> NDArray[np.float32]:
        import numpy as np

        return np.asarray(self.inner.features(images), dtype=np.float32)


def _factory(reference: str) -> tuple[Callable[[], Any], Any]:
    """The factory and its module, from the environment or the current folder."""
    name, colon, attribute = reference.partition(":")
    if not (name and colon and attribute):
        raise UserError(
            f"python:{reference} does not name a factory", hint="such as python:package.module:factory"
        )
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise UserError(
                f"there is no module {name!r} in this environment or in {here}",
                hint="install its package here, or run the command in the folder that holds it",
            ) from error
        raise UserError(f"{name} needs the module {error.name!r}, which is not installed") from error
    except Exception as error:
        raise UserError(f"{name} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(here)
    target: Any = module
    for part in attribute.split("."):
        target = getattr(target, part, None)
    if not callable(target):
        raise UserError(f"{name} has no function or class {attribute!r}")
    return target, module


def _preprocess(stated: Any, *, where: str) -> Preprocess:
    if isinstance(stated, Preprocess):
        return stated
    if isinstance(stated, Mapping):
        return preprocess_from(stated, where=where)
    if isinstance(stated, str):
        return MODELS.get(stated).preprocess
    raise UserError(f"{where} is {type(stated).__name__}, not a Preprocess, its fields or a model's name")


def _identity(module: Any) -> dict[str, str | None]:
    """What tells this state of the user's code."""
    from importlib.metadata import PackageNotFoundError, packages_distributions, version

    from shifts.digest import file_digest

    path = getattr(module, "__file__", None)
    found = getattr(module, "__version__", None)
    if found is None:
        top = module.__name__.partition(".")[0]
        try:
            found = version(packages_distributions()[top][0])
        except (KeyError, PackageNotFoundError):
            found = None
    return {
        "source": file_digest(Path(path)) if path else None,
        "version": None if found is None else str(found),
    }
