"""What runs on the nodes of a Ray cluster, and how it comes by weights."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from models_zoo.weights import weights_digest
from shifts.local import cache_home, write_atomic

if TYPE_CHECKING:
    from benchmark.pieces import Piece
    from benchmark.planning import Contestant
    from benchmark.runner import Options
    from benchmark.worker import Greeting, Part, Split


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Instead of parts: SHA-256 of weights that the worker's machine does not have."""

    weights: tuple[str, ...]


class Actor:
    """What runs on the cluster; ``Worker`` behind it is loaded with torch on the node alone.

    Args:
        places: where the driver finds modules: a user's own code is looked for in the same folders.
        forbidden: environment variables of the driver that forbid to open a socket.
    """

    def __init__(self, options: Options, places: Sequence[str], forbidden: Mapping[str, str]) -> None:
        os.environ.update(forbidden)
        sys.path += [place for place in places if place not in sys.path]
        from benchmark.worker import Worker

        self._worker = Worker(options, node=ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]

    def greet(self, contents: Mapping[Split, str]) -> Greeting:
        return self._worker.greet(contents)

    def measure(self, piece: Piece, shipped: Mapping[str, Any]) -> list[Part] | Wanted:
        """Args: shipped: by SHA-256, references to weights in the object store."""
        contestants = {cell.contestant.digest: cell.contestant for cell in piece.cells}.values()
        lacking = {one.weights_digest for one in contestants if not _seen(one)}
        if unknown := tuple(sorted(str(one) for one in lacking if one not in shipped)):
            return Wanted(weights=unknown)
        return self._worker.measure(piece, weights=lambda one: _path(one, shipped))


def _kept(contestant: Contestant) -> Path:
    """Where weights lie that came through the object store."""
    assert contestant.weights is not None, "only files are shipped"
    return cache_home() / "shipped" / str(contestant.weights_digest) / contestant.weights.name


def _seen(contestant: Contestant) -> bool:
    """Whether this machine has the weights, under the driver's path or shipped before."""
    if contestant.weights is None or _kept(contestant).is_file():
        return True
    here = contestant.weights.is_file()
    return here and weights_digest(contestant.weights) == contestant.weights_digest


def _path(contestant: Contestant, shipped: Mapping[str, Any]) -> Path | None:
    if contestant.weights is None:
        return None
    kept = _kept(contestant)
    if not kept.is_file():
        if contestant.weights.is_file() and weights_digest(contestant.weights) == contestant.weights_digest:
            return contestant.weights
        write_atomic(kept, ray.get(shipped[str(contestant.weights_digest)]))
    return kept
