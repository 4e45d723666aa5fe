"""How often the lints flag what is genuine, and what forgeries they see.

``python tests/benchmarks/lints.py [DATA] [--smoke] [--json FILE]``, where DATA is the folder with the
published predictions, or that of ``ROBUSTBENCH_SHIFT_TEST_DATA``.
Rates come with Clopper-Pearson intervals. A model is judged by the errors of the others on the same set.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
from common import ROOT, finish, parser

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmark.intervals import clopper_pearson
from tests.leaderboard.real_predictions import (
    changed,
    copy_flagged,
    flagged,
    forgeries,
    others_errors,
    real_sets,
)


def rate(hits: list[bool]) -> dict[str, float]:
    """The share that was flagged, its interval, and of how many."""
    found = clopper_pearson(sum(hits), len(hits))
    return {"flagged": found.value, "low": found.low, "high": found.high, "of": found.n}


def main() -> int:
    """Measure and print."""
    options = parser(__doc__, smoke="three models of each set")
    options.add_argument("data", nargs="?", type=Path)
    chosen = options.parse_args()
    real = os.environ.get("ROBUSTBENCH_SHIFT_TEST_DATA", ROOT.parent / "shared" / "data")
    data = chosen.data or Path(real)
    if not data.is_dir():
        print(f"the published predictions are not at {data}: nothing is measured")
        return finish({}, {}, chosen)
    most = 3 if chosen.smoke else None
    rng = np.random.default_rng(1)
    verdicts: dict[str, list[bool]] = {"genuine": []}
    copies: dict[str, list[bool]] = {"genuine pair": []}
    unjudged = 0
    for one in real_sets(data):
        for model in range(len(one.wrong))[:most]:
            hard = others_errors(one, model)
            verdict = flagged(one.wrong[model], hard, one.labels)
            if verdict is None:
                unjudged += 1
                continue
            verdicts["genuine"].append(verdict)
            for kind, wrong in forgeries(one, model, rng).items():
                verdicts.setdefault(kind, []).append(bool(flagged(wrong, hard, one.labels)))
        if one.predictions is None:
            continue
        said, classes = one.predictions, int(one.labels.max()) + 1
        for first in range(len(said))[:most]:
            for second in range(first):
                copies["genuine pair"].append(copy_flagged(said[first], said[second], one.labels))
            for share in (0.0005, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1):
                copy = changed(said[first], classes, share, rng)
                hit = copy_flagged(copy, said[first], one.labels)
                copies.setdefault(f"{share:.2%} redrawn", []).append(hit)
    print(f"independent-errors flags (not judged, too inaccurate or too few errors: {unjudged})")
    rates = {f"independent-errors, {kind}": rate(hits) for kind, hits in verdicts.items() if hits}
    rates |= {f"copy, {kind}": rate(hits) for kind, hits in copies.items() if hits}
    return finish(rates, {}, chosen)


if __name__ == "__main__":
    raise SystemExit(main())
