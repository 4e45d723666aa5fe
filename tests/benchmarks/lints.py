"""How often the lints flag what is genuine, and what forgeries they see.

``python tests/benchmarks/lints.py DATA``, where DATA is the folder with the published predictions. Rates come
with Clopper-Pearson intervals. A model is judged by the errors of the others on the same set.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

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


def rate(hits: list[bool]) -> str:
    """``3.1 % [1.0, 7.2] of 97``."""
    found = clopper_pearson(sum(hits), len(hits))
    return f"{found.value:7.1%} [{found.low:.1%}, {found.high:.1%}] of {found.n}"


def main(data: Path) -> None:
    rng = np.random.default_rng(1)
    verdicts: dict[str, list[bool]] = {"genuine": []}
    copies: dict[str, list[bool]] = {"genuine pair": []}
    unjudged = 0
    for one in real_sets(data):
        for model in range(len(one.wrong)):
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
        for first in range(len(said)):
            for second in range(first):
                copies["genuine pair"].append(copy_flagged(said[first], said[second], one.labels))
            for share in (0.0005, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1):
                copy = changed(said[first], classes, share, rng)
                hit = copy_flagged(copy, said[first], one.labels)
                copies.setdefault(f"{share:.2%} redrawn", []).append(hit)
    print(f"independent-errors flags (not judged, too inaccurate or too few errors: {unjudged})")
    for kind, hits in verdicts.items():
        print(f"  {kind:22} {rate(hits)}")
    print("copy flags")
    for kind, hits in copies.items():
        print(f"  {kind:22} {rate(hits)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
