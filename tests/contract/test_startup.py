"""What every command leaves unimported while it only says how it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from benchmark.cli import COMMANDS, program, run

# The heaviest of what the package depends on: each takes longer to import than all help texts to print.
HEAVY = ("torch", "sklearn", "matplotlib", "pandas", "scipy")
PROGRAM = f"""
import sys
import typer
from benchmark.cli import program, run

def below(command, words):
    yield words
    for word, inner in getattr(command, "commands", {{}}).items():
        yield from below(inner, [*words, word])

asked = list(below(typer.main.get_command(program()), []))
codes = [run([*words, "--help"]) for words in asked]
came = [name for name in {HEAVY} if name in sys.modules]
print(len(asked), set(codes), came, file=sys.stderr)
sys.exit(0 if len(asked) > 30 and set(codes) == {{0}} and not came else 1)
"""


def test_no_help_of_any_command_imports_what_is_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list"], "Missing argument 'what'"),
        (["eval", "--model"], "requires an argument"),
        (["eval"], "Missing option '--model'"),
        (["eval", "--model", "constant", "--limit", "many"], "valid integer"),
    ],
)
def test_values_are_still_turned_and_missed(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words) == 2
    assert said.lower() in " ".join(capsys.readouterr().err.replace("│", " ").split()).lower()


def test_each_command_is_declared_by_the_module_that_is_imported_for_it() -> None:
    groups = {word: typer.main.get_command(program(word)) for word in COMMANDS}
    assert [word for word, group in groups.items() if word not in group.commands] == []
    everything = typer.main.get_command(program())
    assert list(everything.commands) == list(COMMANDS)
