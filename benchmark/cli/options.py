"""Options that mean the same wherever they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Opened by ``benchmark.store.open_store`` alone.
Results = Annotated[Path | None, typer.Option(help="The results: a folder or a URL; default ./results.")]
