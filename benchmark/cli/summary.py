"""Averages, worst cases and ranks below the table of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark.cli.terminal import out, percent

if TYPE_CHECKING:
    from benchmark.summary import KindSummary, ModelSummary


def print_summaries(found: Sequence[ModelSummary], *, base: str | None = None) -> None:
    """One line per model and kind of shift; nothing where there are references only."""
    from rich.markup import escape
    from rich.table import Table

    kinds = list(dict.fromkeys(one.kind for summary in found for one in summary.kinds))
    if not kinds:
        return
    ranked = any(summary.ranks for summary in found)
    scored = any(summary.mce for summary in found)
    console = out()
    console.print("[bold]by kind of shift[/]")
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model", no_wrap=True)
    table.add_column("kind")
    for name in ("shifts", "mean accuracy", "eff. rob."):
        table.add_column(name, justify="right", no_wrap=True)
    if base is not None:
        table.add_column(f"vs {base}", justify="right", no_wrap=True)
    if scored:
        table.add_column("mCE", justify="right")
    if ranked:
        table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("worst shift")
    table.add_column("worst group", no_wrap=True)
    for kind in kinds:
        for summary in found:
            for one in summary.kinds:
                if one.kind == kind:
                    cells = _cells(summary, one, base=base, ranked=ranked, scored=scored)
                    table.add_row(*(cell if "[dim]" in cell else escape(cell) for cell in cells))
    console.print(table)
    notes = ["mean accuracy in %, effective robustness as the mean over shifts in points"]
    if any(one.weak_lines for summary in found for one in summary.kinds):
        notes.append("(w): some of its lines are weak fits (r² below 0.7)")
    if base is not None:
        notes.append(f"vs {base}: relative robustness in points")
    if scored:
        notes.append("mCE against AlexNet in %, 15 corruptions")
    if ranked:
        notes.append("rank with its 95 % interval over shared images")
    console.print(f"[dim]{escape('; '.join(notes))}[/]")


def _cells(
    summary: ModelSummary, one: KindSummary, *, base: str | None, ranked: bool, scored: bool
) -> list[str]:
    effective = "–" if one.effective_robustness is None else f"{100 * one.effective_robustness:+.1f}"
    cells = [
        summary.model,
        one.kind,
        str(one.shifts),
        percent(one.accuracy),
        f"{effective} (w)" if one.weak_lines else effective,
    ]
    if base is not None:
        difference = one.relative_robustness
        cells.append("–" if difference is None else f"{100 * difference:+.1f}")
    if scored:
        cells.append(percent(summary.mce if one.kind == "corruption" else None))
    if ranked:
        places = [rank for rank in summary.ranks if rank.kind == one.kind]
        cells.append(f"{places[0].rank} ({places[0].low}–{places[0].high})" if places else "–")
    cells.append(f"{one.worst_shift} {100 * one.worst_accuracy.value:.1f}")
    group = one.worst_group
    cells.append("–" if group is None else f"{100 * group.value:.1f} on {one.worst_group_shift}")
    return cells
