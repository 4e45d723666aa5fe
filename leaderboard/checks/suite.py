"""Is everything there, and is it of the definitions and data that this version knows?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from leaderboard.keys import Keys
from leaderboard.manifest import Claim, Manifest
from leaderboard.suites import protocol_digest, suite_digest, suite_shifts
from shifts.digest import SHORT
from shifts.errors import UnknownNameError
from shifts.labels import ANY
from shifts.spec import SHIFTS, ShiftSpec

PARTIAL = ("limited", "partial")


def specs_of(manifest: Manifest) -> dict[str, ShiftSpec]:
    """The registered shifts among those that the manifest claims, by name."""
    return {claim.shift: SHIFTS.get(claim.shift) for claim in manifest.shifts if claim.shift in SHIFTS}


def incomplete(manifest: Manifest) -> Iterator[str]:
    """Shifts that are missing, foreign or there twice; evaluations of a part of the data."""
    try:
        wanted = [spec.name for spec in suite_shifts(manifest.suite)]
    except UnknownNameError as error:
        yield str(error)
        return
    claimed = [claim.shift for claim in manifest.shifts]
    missing = [name for name in wanted if name not in claimed]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        yield f"suite {manifest.suite!r} lacks {', '.join(missing[:5])}{more}"
    for name in dict.fromkeys(claimed):
        if name not in wanted:
            yield f"{name[:80]!r} is not of the suite {manifest.suite!r}"
        if claimed.count(name) > 1:
            yield f"{name[:80]!r} is there twice"
    for claim in manifest.shifts:
        for warning in claim.warnings:
            if warning.startswith(PARTIAL):
                yield f"{claim.shift} is not whole: {warning}"


def unknown_digests(manifest: Manifest, keys: Keys) -> Iterator[str]:
    """Shifts of another definition or other data than this version's, each told from the other."""
    specs = specs_of(manifest)
    for claim in manifest.shifts:
        spec = specs.get(claim.shift)
        if spec is None:
            continue  # `suite` names it
        if spec.digest(claim.content) != claim.shift_digest:
            yield (
                f"{claim.shift}@{claim.shift_digest[:SHORT]} is not how this version defines the shift on "
                f"data {claim.content[:SHORT]}: evaluate with this version"
            )
        elif claim.content not in keys.contents(spec):
            yield _other_data(claim, spec, keys)
    digests = {claim.shift: claim.shift_digest for claim in manifest.shifts}
    if suite_digest(digests) != manifest.suite_digest:
        yield "suite_digest is not that of the shifts' digests"
    if len(specs) == len(manifest.shifts) and protocol_digest(specs.values()) != manifest.protocol_digest:
        yield "protocol_digest is not that of this version's definitions"


def _other_data(claim: Claim, spec: ShiftSpec, keys: Keys) -> str:
    known = [content[:SHORT] for content in keys.contents(spec)]
    if known:
        return (
            f"{claim.shift} was measured on data {claim.content[:SHORT]} of {spec.source!r}, "
            f"known here is {', '.join(known)}"
        )
    return (
        f"no copy and no key of {spec.source!r} is here to check {claim.shift} by (data "
        f"{claim.content[:SHORT]}); whoever has the images can record one: leaderboard key {claim.shift}"
    )


def unfit(manifest: Manifest) -> Sequence[str]:
    """Shifts that ask for classes which a model of the declared label space cannot answer in."""
    card = manifest.model
    return [
        f"{name} asks for classes of {spec.label_space!r}, the card says {card.label_space!r}"
        for name, spec in specs_of(manifest).items()
        if card.label_space not in (ANY, spec.label_space)
        and (spec.pooling is None or spec.pooling.label_space != card.label_space)
    ]
