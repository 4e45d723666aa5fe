"""The answers of an entry that is on the board already, under another name."""

from __future__ import annotations

from collections.abc import Iterator

from leaderboard.lints import Case, Finding, Known

AGREEMENT = 0.999
# Of the examples that either of two published models gets wrong, at most 0.74 have the same answer of both
# (one network converted between two libraries), at most 0.61 for two that were trained apart.
SAME_ERRORS = 0.85
FEWEST = 100
FEWEST_ERRORS = 50


def same_answers(case: Case) -> Iterator[Finding]:
    """Agreement with every entry over all shifts that both were measured on, on all rows and on errors alone.

    Two very good models agree on nearly everything; they still err on different examples, or differently.
    """
    for entry in case.known:
        found = _agreement(case, entry)
        if found is None:
            continue
        agreement, errors, n_errors = found
        exact = agreement > AGREEMENT
        near = n_errors >= FEWEST_ERRORS and errors > SAME_ERRORS
        reason = f"{agreement:.2%} of its answers are those of {entry.entry}"
        if near and not exact:
            reason += f", and {errors:.0%} of those that either gets wrong (trained apart: at most 61 %)"
        yield Finding(
            shift="",
            value=agreement,
            threshold=AGREEMENT,
            flagged=exact or near,
            reason=reason,
            further={"entry": entry.entry, "same_on_errors": round(errors, 4), "errors": n_errors},
        )


def _agreement(case: Case, entry: Known) -> tuple[float, float, int] | None:
    same = rows = same_errors = errors = 0
    for one in case.scored:
        if entry.digests.get(one.spec.name) != one.claim.shift_digest:
            continue
        other = entry.answers(one.spec.name)
        if other is None or list(other.example_ids) != list(one.answers.example_ids):
            continue
        equal = one.answers.top5[:, 0] == other.top5[:, 0]
        either = ~one.answers.correct | ~other.correct
        same, rows = same + int(equal.sum()), rows + len(equal)
        same_errors, errors = same_errors + int((equal & either).sum()), errors + int(either.sum())
    if rows < FEWEST:
        return None
    return same / rows, same_errors / errors if errors else 0.0, errors
