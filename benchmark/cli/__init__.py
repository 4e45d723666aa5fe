"""The command line: one module per command. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys
from typing import Any

import typer

from benchmark.cli import (
    baselines,
    check,
    compare,
    diagnose,
    evaluate,
    fit,
    listing,
    plot,
    report,
    show,
    spectrum,
    study,
    submit,
    train,
    tune,
)
from benchmark.cli.data import app as data_app
from benchmark.cli.service import leaderboard_app
from shifts.errors import UserError

INTERRUPTED = 130

app = typer.Typer(
    name="robustbench-shift",
    help="Accuracy and effective robustness of image classifiers under distribution shift.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    listing,
    show,
    evaluate,
    report,
    plot,
    compare,
    check,
    fit,
    baselines,
    train,
    tune,
    study,
    diagnose,
    spectrum,
    submit,
):
    _command.register(app)
app.add_typer(data_app, name="data", help="Bring data sets onto this machine and check them.")
app.add_typer(leaderboard_app, name="leaderboard", help="Verify submissions and keep the board.")

# Typer brings its own copy of Click or uses the installed one, depending on its version.
_ClickException: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main() -> None:
    """Run the program; a user's mistake ends with one message and exit code 2."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code."""
    from benchmark.cli.terminal import complain

    try:
        code = app(arguments, prog_name="robustbench-shift", standalone_mode=False)
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
