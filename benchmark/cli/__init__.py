"""The command line: one module per command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any

import typer

from shifts.errors import UserError

INTERRUPTED = 130
NAME = "robustbench-shift"
# A command's word → the module here that declares it; --help shows them in this order.
COMMANDS = {
    "list": "listing",
    "show": "show",
    "eval": "evaluate",
    "report": "report",
    "plot": "plot",
    "compare": "compare",
    "agreement": "compare",
    "check": "check",
    "fit": "fit",
    "baselines": "baselines",
    "train": "train",
    "tune": "tune",
    "study": "study",
    "diagnose": "diagnose",
    "spectrum": "spectrum",
    "submit": "submit",
    "data": "data",
    "leaderboard": "service",
}


def program(word: str | None = None) -> typer.Typer:
    """The program as Typer has it.

    Args:
        word: a command; its module alone is imported then, and the options of the program itself, which come
            before a command, are left out. To declare all commands takes longer than most look-ups.
    """
    alone = word in COMMANDS
    app = typer.Typer(
        name=NAME,
        help="Accuracy and effective robustness of image classifiers under distribution shift.",
        no_args_is_help=True,
        add_completion=not alone,
        add_help_option=not alone,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_program)
    for module in [COMMANDS[str(word)]] if alone else dict.fromkeys(COMMANDS.values()):
        import_module(f"{__name__}.{module}").register(app)
    return app


def _say_version(asked: bool) -> None:
    if not asked:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        known = version(NAME)
    except PackageNotFoundError:
        known = "(not installed, so of no known version)"
    sys.stdout.write(f"{NAME} {known}\n")
    raise typer.Exit


def _program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """What comes before a command."""


# Typer brings its own copy of Click or uses the installed one, depending on its version.
_ClickException: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> None:
    """Run the program; a user's mistake ends with one message and exit code 2."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code."""
    from benchmark.cli.terminal import complain

    command = typer.main.get_command(program(next(iter(arguments), None)))
    try:
        code = command(arguments, prog_name=NAME, standalone_mode=False)
    except UserError as error:
        complain(error.message, hint=error.hint)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except typer.Exit as leaving:
        return int(leaving.exit_code)
    except BrokenPipeError:
        # The reader of our output (head, less) is gone; leave without a word.
        sys.stdout = None
        return 0
    except _ClickException as error:
        error.show()
        return int(error.exit_code)
    if code == INTERRUPTED:  # newer versions of Typer turn Ctrl-C into this code, without a word
        complain("interrupted", hint="what was measured is kept: run the same command again to go on")
    return code if isinstance(code, int) else 0
