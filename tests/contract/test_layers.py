"""Imports point to the left: shifts ← models_zoo ← benchmark ← leaderboard ← benchmark.cli."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FLOORS = ("shifts", "models_zoo", "benchmark", "leaderboard", "benchmark.cli")
HEAVY = {"torch", "pandas", "pyarrow", "numpy", "scipy", "sklearn", "PIL", "matplotlib", "cv2"}


def floor_of(module: str) -> int:
    """The highest floor whose name the module starts with; -1 for modules that are not ours."""
    found = [i for i, name in enumerate(FLOORS) if module == name or module.startswith(name + ".")]
    return max(found, default=-1)


def imports(path: Path) -> list[tuple[int, str]]:
    """(line, module) of every import in a file, those inside functions and strings of loaders included."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            found.append((node.lineno, node.module or ""))
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def modules() -> list[Path]:
    return sorted(path for name in FLOORS[:4] for path in (ROOT / name).rglob("*.py"))


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_to_the_left(path: Path) -> None:
    own = floor_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    wrong = [
        f"line {line}: {module}"
        for line, module in imports(path)
        if floor_of(module) > own or (floor_of(module) == 4 and own != 4)
    ]
    assert not wrong, f"{path.relative_to(ROOT)} imports from a floor above its own: {wrong}"


def test_the_rule_can_fail() -> None:
    assert floor_of("benchmark.cli.data") == 4
    assert floor_of("benchmark.runner") == 2
    assert floor_of("numpy") == -1


def loaded_modules(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running the code."""
    program = f"import sys\n{code}\nprint()\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["list", "models"],
        ["list", "shifts", "--json"],
        ["eval", "--help"],
        ["show", "digits"],
    ],
)
def test_start_up_imports_nothing_heavy(arguments: list[str]) -> None:
    code = f"from benchmark.cli import run\nassert run({arguments!r}) == 0"
    assert not loaded_modules(code) & {"torch", "pandas", "pyarrow", "sklearn", "matplotlib", "datasets"}


def test_declarations_import_nothing_heavy() -> None:
    code = (
        "from shifts.spec import SHIFTS, SOURCES\nfrom models_zoo.spec import MODELS\n"
        "from shifts.labels import LABEL_SPACES\n"
        "list(SHIFTS), list(SOURCES), list(MODELS), list(LABEL_SPACES)"
    )
    assert not loaded_modules(code) & HEAVY
