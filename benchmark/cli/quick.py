"""Words of a command line without Pydantic where they are what was asked for already.

Newer versions of Typer have Pydantic turn every value into its type, also none into none and a word into a
word; to import it takes as long as everything else that a look-up does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any


def quickened(command: Any) -> Any:
    """The command, whose parameters and those of the commands below it take such values as they are."""
    # Not only command.params: --help is made when the parameters are asked for.
    command.get_params = partial(_parameters, command.get_params)
    for inner in getattr(command, "commands", {}).values():
        quickened(inner)
    return command


def _parameters(found: Callable[[Any], list[Any]], context: Any) -> list[Any]:
    parameters = found(context)
    for one in parameters:
        kind = getattr(one, "type_descriptor", None)
        several = getattr(one, "multiple", False) or one.nargs != 1
        # Other versions of Typer turn values in other ways.
        if kind is not None and not several and "process_value" not in vars(one):
            one.process_value = partial(_processed, one, kind.annotation, one.process_value)
    return parameters


def _processed(
    parameter: Any, annotation: Any, turned: Callable[[Any, Any], Any], context: Any, value: Any
) -> Any:
    """As Click's ``Parameter.process_value``, which looks for what is missing and calls back."""
    as_asked = value is None or (annotation in (str, bool) and type(value) is annotation)
    if not as_asked or (parameter.required and parameter.value_is_missing(value)):
        return turned(context, value)
    return value if parameter.callback is None else parameter.callback(context, parameter, value)
