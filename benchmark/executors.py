"""Where the passes of a plan run: in this process, on a Ray cluster, as jobs of Slurm. Imports no torch.

An executor is a declaration; what it needs is imported when it is asked for. It is called as
``run(plan, store=…, options=…, settings=…, watch=…)`` and yields a result for every cell of
the plan's passes, whose files then lie in the cell's folder, byte for byte the same whoever ran it.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol, get_type_hints

from shifts.errors import UnknownNameError, UserError
from shifts.registry import Registry, resolve

if TYPE_CHECKING:
    from benchmark.planning import Plan
    from benchmark.result import Result
    from benchmark.runner import Options
    from benchmark.store import Store

HELP = "help"


class Previewed(Exception):
    """Nothing was run, as the user asked; the message is what would be."""


class Watch(Protocol):
    """What an executor tells while it runs."""

    def show(self, bar: int, description: str, done: int, total: int | None) -> None:
        """Rows done and in all, a row being one image for one model; ``bar`` numbers the displays."""

    def notice(self, sentence: str) -> None:
        """Something that the user wants to know of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """A way to run passes.

    Attributes:
        run: ``"module:function"``, see above.
        settings: ``"module:Class"``: a frozen dataclass of what the user may set; each field has a default
            and, in its metadata, ``help``.
        needs: modules that must be installed.
        extra: the extra of this package that installs them.
    """

    name: str
    title: str
    run: str
    settings: str
    needs: tuple[str, ...] = ()
    extra: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """Nothing to set."""


EXECUTORS: Registry[Executor] = Registry("executor")
EXECUTORS.register(
    Executor(
        name="local",
        title="this process",
        run="benchmark.executors:run_here",
        settings="benchmark.executors:Here",
    ),
    Executor(
        name="ray",
        title="the workers of a Ray cluster",
        run="benchmark.ray_executor:run_on_ray",
        settings="benchmark.ray_executor:RaySettings",
        needs=("ray",),
        extra="ray",
    ),
    Executor(
        name="slurm",
        title="an array of Slurm jobs",
        run="benchmark.slurm_executor:run_on_slurm",
        settings="benchmark.slurm_executor:SlurmSettings",
        needs=("submitit",),
        extra="slurm",
    ),
)


def executor(name: str) -> Executor:
    """The executor of that name, once what it needs is there.

    Raises:
        UnknownNameError: there is none; names those there are.
        UserError: a module is not installed; says how to install it.
    """
    found = EXECUTORS.find(name)
    if found is None:
        raise UnknownNameError(
            f"unknown executor {name!r}", hint=f"--executor takes {', '.join(EXECUTORS.names())}"
        )
    lacking = [module for module in found.needs if find_spec(module) is None]
    if lacking:
        raise UserError(
            f"the executor {name!r} needs {', '.join(lacking)}, which is not installed",
            hint=f"pip install 'robustbench-shift[{found.extra}]'",
        )
    return found


def settings_of(chosen: Executor, given: Sequence[str]) -> Any:
    """The settings of an executor from ``KEY=VALUE``; a key alone is a switch that is turned on.

    Raises:
        UnknownNameError: a key that the executor does not know; lists those it does.
        UserError: a value of another type.
    """
    kind: Any = resolve(chosen.settings)
    fields = {field.name.replace("_", "-"): field for field in dataclasses.fields(kind)}
    types = get_type_hints(kind)
    values: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if key not in fields:
            raise UnknownNameError(_unknown(chosen, key, list(fields)), hint=_known(fields))
        field = fields[key]
        values[field.name] = _value(key, value if equals else "true", types[field.name])
    return kind(**values)


def _unknown(chosen: Executor, key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    return f"the executor {chosen.name!r} has no setting {key!r}" + (
        f"; did you mean {near[0]!r}?" if near else ""
    )


def _known(fields: dict[str, dataclasses.Field[Any]]) -> str:
    if not fields:
        return "it has none"
    return "; ".join(f"{key}: {field.metadata[HELP]}" for key, field in fields.items())


def _value(key: str, text: str, kind: Any) -> Any:
    """A text as the type of its field, which may be optional.

    >>> _value("workers", "4", int | None), _value("dry-run", "true", bool)
    (4, True)
    """
    plain = next(one for one in (bool, int, float, str) if one in (kind, *getattr(kind, "__args__", ())))
    parse: Callable[[str], Any] = {"true": True, "false": False}.__getitem__ if plain is bool else plain
    try:
        return parse(text)
    except (ValueError, KeyError):
        says = "true or false" if plain is bool else f"a number ({plain.__name__})"
        raise UserError(f"{key}={text}: {key!r} takes {says}") from None


def setting(default: Any, says: str) -> Any:
    """A field of an executor's settings."""
    return dataclasses.field(default=default, metadata={HELP: says})


def run_here(plan: Plan, *, store: Store, options: Options, settings: Here, watch: Watch) -> Iterator[Result]:
    """One pass after the other in this process."""
    from benchmark.runner import run_pass

    for bar, one in enumerate(plan.passes):
        what = f"{one.source}: {len(one.cells)} evaluations"
        watch.show(bar, what, 0, None)
        yield from run_pass(
            one, options=options, progress=partial(watch.show, bar, what), notice=watch.notice
        )
