"""Spectra of the features of trained models, for studies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.spectrum import Spectrum
    from models_zoo.spec import ModelSpec
    from shifts.spec import ShiftSpec


def spectrum_on(spec: ModelSpec, shift: ShiftSpec, *, data_dir: Path | None = None) -> Spectrum:
    """Of what the classifier of a model that is trained here sees in a shift: of length 1, centred.

    Args:
        spec: its weights are there.
    """
    from benchmark.features import features
    from benchmark.planning import contestant
    from benchmark.spectrum import spectrum
    from models_zoo.recipe import recipe_of, trained_file
    from shifts.data import load_shift

    one = contestant(spec, weights=trained_file(spec, data_dir=data_dir))
    device = "auto" if recipe_of(spec).accelerator else "cpu"
    found = features(one, load_shift(shift.name, data_dir=data_dir), device=device)
    return spectrum(found.values, ids=found.ids)
