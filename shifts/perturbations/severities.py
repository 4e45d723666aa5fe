"""Names and strengths of the corruptions, as data. Imports nothing heavy: it is read to list shifts.

The numbers of the profiles ``imagenet`` (224x224) and ``cifar`` (32x32) are those the published sets
ImageNet-C and CIFAR-10-C were made with (Hendrycks and Dietterich 2019, arXiv 1903.12261, and its
repository). Those of ``digits`` (16x16, white strokes on black, enlarged from 8x8) are ours: at severity 1
a small network trained on clean digits loses a point of accuracy or so, at severity 5 a fifth to four fifths.

Images corrupted in memory are not those of the published sets, even where the definition is followed to a
grey level: the draws differ, ImageNet-C was stored as JPEG of quality 85, and its frost photographs are not
here. The sets on disk are the protocol of record; figures of the two must not be mixed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from shifts.errors import UnknownNameError, UserError
from shifts.spec import Perturbation

SEVERITIES = (1, 2, 3, 4, 5)

FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "gaussian-noise": "shifts.perturbations.noise:gaussian_noise",
        "shot-noise": "shifts.perturbations.noise:shot_noise",
        "impulse-noise": "shifts.perturbations.noise:impulse_noise",
        "defocus-blur": "shifts.perturbations.blur:defocus_blur",
        "glass-blur": "shifts.perturbations.blur:glass_blur",
        "motion-blur": "shifts.perturbations.motion:motion_blur",
        "zoom-blur": "shifts.perturbations.motion:zoom_blur",
        "snow": "shifts.perturbations.weather:snow",
        "frost": "shifts.perturbations.frost:frost",
        "fog": "shifts.perturbations.weather:fog",
        "brightness": "shifts.perturbations.digital:brightness",
        "contrast": "shifts.perturbations.digital:contrast",
        "elastic-transform": "shifts.perturbations.elastic:elastic_transform",
        "pixelate": "shifts.perturbations.digital:pixelate",
        "jpeg-compression": "shifts.perturbations.digital:jpeg_compression",
        "speckle-noise": "shifts.perturbations.noise:speckle_noise",
        "gaussian-blur": "shifts.perturbations.blur:gaussian_blur",
        "spatter": "shifts.perturbations.weather:spatter",
        "saturate": "shifts.perturbations.digital:saturate",
        "occlusion": "shifts.perturbations.digital:occlusion",
    }
)
"""Corruption → ``"module:function"``, in the order of the published tables."""

COMMON = tuple(FUNCTIONS)[:15]
"""The 15 that count for mCE."""

EXTRA = tuple(FUNCTIONS)[15:19]
"""The four for tuning; never part of mCE."""

Ladder = tuple[Mapping[str, Any], ...]


def _ladder(**columns: Sequence[Any]) -> Ladder:
    """Keyword sets of rising severity, from one column of values for each keyword; None is left out."""
    return tuple(
        MappingProxyType({key: value for key, value in zip(columns, row, strict=True) if value is not None})
        for row in zip(*columns.values(), strict=True)
    )


def _profile(ladders: Mapping[str, Ladder]) -> Mapping[str, Ladder]:
    for name, ladder in ladders.items():
        assert name in FUNCTIONS and len(ladder) == len(SEVERITIES), name
    return MappingProxyType(dict(ladders))


# The published elastic transform scales with a side of 244, not 224 (its authors note the slip).
_IMAGENET = _profile(
    {
        "gaussian-noise": _ladder(scale=(0.08, 0.12, 0.18, 0.26, 0.38)),
        "shot-noise": _ladder(photons=(60, 25, 12, 5, 3)),
        "impulse-noise": _ladder(amount=(0.03, 0.06, 0.09, 0.17, 0.27)),
        "defocus-blur": _ladder(radius=(3, 4, 6, 8, 10), alias_sigma=(0.1, 0.5, 0.5, 0.5, 0.5)),
        "glass-blur": _ladder(sigma=(0.7, 0.9, 1, 1.1, 1.5), reach=(1, 2, 2, 3, 4), passes=(2, 1, 3, 2, 2)),
        "motion-blur": _ladder(radius=(10, 15, 15, 15, 20), sigma=(3, 5, 8, 12, 15)),
        "zoom-blur": _ladder(step=(0.01, 0.01, 0.02, 0.02, 0.03), count=(12, 16, 11, 13, 11)),
        "snow": _ladder(
            mean=(0.1, 0.2, 0.55, 0.55, 0.55),
            spread=(0.3, 0.3, 0.3, 0.3, 0.3),
            zoom=(3, 2, 4, 4.5, 2.5),
            threshold=(0.5, 0.5, 0.9, 0.85, 0.85),
            radius=(10, 12, 12, 12, 12),
            sigma=(4, 4, 8, 8, 12),
            keep=(0.8, 0.7, 0.7, 0.65, 0.55),
        ),
        "frost": _ladder(image_weight=(1, 0.8, 0.7, 0.65, 0.6), frost_weight=(0.4, 0.6, 0.7, 0.7, 0.75)),
        "fog": _ladder(amount=(1.5, 2, 2.5, 2.5, 3), decay=(2, 2, 1.7, 1.5, 1.4)),
        "brightness": _ladder(amount=(0.1, 0.2, 0.3, 0.4, 0.5)),
        "contrast": _ladder(factor=(0.4, 0.3, 0.2, 0.1, 0.05)),
        "elastic-transform": _ladder(
            strength=(488, 488, 12.2, 17.08, 29.28),
            sigma=(170.8, 19.52, 2.44, 2.44, 2.44),
            jitter=(24.4, 48.8, 4.88, 4.88, 4.88),
        ),
        "pixelate": _ladder(fraction=(0.6, 0.5, 0.4, 0.3, 0.25)),
        "jpeg-compression": _ladder(quality=(25, 18, 15, 10, 7)),
        "speckle-noise": _ladder(scale=(0.15, 0.2, 0.35, 0.45, 0.6)),
        "gaussian-blur": _ladder(sigma=(1, 2, 3, 4, 6)),
        "spatter": _ladder(
            mean=(0.65, 0.65, 0.65, 0.65, 0.67),
            spread=(0.3, 0.3, 0.3, 0.3, 0.4),
            sigma=(4, 3, 2, 1, 1),
            threshold=(0.69, 0.68, 0.68, 0.65, 0.65),
            opacity=(0.6, 0.6, 0.5, None, None),
            edge=(None, None, None, 1.5, 1.5),
        ),
        "saturate": _ladder(factor=(0.3, 0.1, 2, 5, 20), offset=(0, 0, 0, 0.1, 0.2)),
        "occlusion": _ladder(fraction=(0.2, 0.3, 0.4, 0.5, 0.6)),
    }
)

_CIFAR = _profile(
    {
        "gaussian-noise": _ladder(scale=(0.04, 0.06, 0.08, 0.09, 0.1)),
        "shot-noise": _ladder(photons=(500, 250, 100, 75, 50)),
        "impulse-noise": _ladder(amount=(0.01, 0.02, 0.03, 0.05, 0.07)),
        "defocus-blur": _ladder(radius=(0.3, 0.4, 0.5, 1, 1.5), alias_sigma=(0.4, 0.5, 0.6, 0.2, 0.1)),
        "glass-blur": _ladder(
            sigma=(0.05, 0.25, 0.4, 0.25, 0.4), reach=(1, 1, 1, 1, 1), passes=(1, 1, 1, 2, 2)
        ),
        "motion-blur": _ladder(radius=(6, 6, 6, 8, 9), sigma=(1, 1.5, 2, 2, 2.5)),
        "zoom-blur": _ladder(step=(0.01, 0.01, 0.01, 0.01, 0.01), count=(7, 12, 16, 21, 26)),
        "snow": _ladder(
            mean=(0.1, 0.1, 0.15, 0.25, 0.3),
            spread=(0.2, 0.2, 0.3, 0.3, 0.3),
            zoom=(1, 1, 1.75, 2.25, 1.25),
            threshold=(0.6, 0.5, 0.55, 0.6, 0.65),
            radius=(8, 10, 10, 12, 14),
            sigma=(3, 4, 4, 6, 12),
            keep=(0.95, 0.9, 0.9, 0.85, 0.8),
        ),
        "frost": _ladder(
            image_weight=(1, 1, 0.9, 0.85, 0.75),
            frost_weight=(0.2, 0.3, 0.4, 0.4, 0.45),
            stride=(5, 5, 5, 5, 5),
        ),
        "fog": _ladder(amount=(0.2, 0.5, 0.75, 1, 1.5), decay=(3, 3, 2.5, 2, 1.75)),
        "brightness": _ladder(amount=(0.05, 0.1, 0.15, 0.2, 0.3)),
        "contrast": _ladder(factor=(0.75, 0.5, 0.4, 0.3, 0.15)),
        "elastic-transform": _ladder(
            strength=(0, 1.6, 2.56, 3.2, 3.2),
            sigma=(0, 6.4, 1.92, 1.28, 0.96),
            jitter=(2.56, 2.24, 1.92, 1.6, 0.96),
        ),
        "pixelate": _ladder(fraction=(0.95, 0.9, 0.85, 0.75, 0.65)),
        "jpeg-compression": _ladder(quality=(80, 65, 58, 50, 40)),
        "speckle-noise": _ladder(scale=(0.06, 0.1, 0.12, 0.16, 0.2)),
        "gaussian-blur": _ladder(sigma=(0.4, 0.6, 0.7, 0.8, 1)),
        "spatter": _ladder(
            mean=(0.62, 0.65, 0.65, 0.65, 0.65),
            spread=(0.1, 0.1, 0.3, 0.1, 0.1),
            sigma=(0.7, 0.8, 1, 0.7, 0.5),
            threshold=(0.7, 0.7, 0.69, 0.69, 0.68),
            opacity=(0.5, 0.5, 0.5, None, None),
            edge=(None, None, None, 0.6, 0.6),
        ),
        "saturate": _ladder(factor=(0.3, 0.1, 1.5, 2, 2.5), offset=(0, 0, 0, 0.1, 0.2)),
        "occlusion": _ladder(fraction=(0.2, 0.3, 0.4, 0.5, 0.6)),
    }
)

_DIGITS = _profile(
    {
        "gaussian-noise": _ladder(scale=(0.1, 0.2, 0.3, 0.45, 0.6)),
        "impulse-noise": _ladder(amount=(0.03, 0.08, 0.15, 0.25, 0.4)),
        "brightness": _ladder(amount=(0.1, 0.2, 0.35, 0.5, 0.7)),
        "contrast": _ladder(factor=(0.8, 0.65, 0.5, 0.35, 0.2)),
        "pixelate": _ladder(fraction=(0.75, 0.5, 0.375, 0.3125, 0.25)),
        "gaussian-blur": _ladder(sigma=(0.8, 1.2, 1.6, 2.0, 2.6)),
        "occlusion": _ladder(fraction=(0.2, 0.3, 0.4, 0.5, 0.6)),
    }
)

PROFILES: Mapping[str, Mapping[str, Ladder]] = MappingProxyType(
    {"imagenet": _IMAGENET, "cifar": _CIFAR, "digits": _DIGITS}
)
"""Profile → corruption → keyword parameters of severity 1 to 5."""

UNORDERED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "imagenet": frozenset({"glass-blur", "elastic-transform", "saturate"}),
        "cifar": frozenset({"glass-blur", "frost", "elastic-transform", "spatter", "saturate"}),
        "digits": frozenset(),
    }
)
"""Profile → corruptions whose mean distance to the clean pixels falls somewhere as severity rises.

The published strengths make it so: elastic transform goes from wide waves to fine ripples, saturate from
pale to vivid, spatter from water to mud, glass blur and frost trade one parameter against another.
"""


def corruption(name: str, severity: int, profile: str) -> Perturbation:
    """The perturbation for a corruption at a severity.

    Args:
        name: of ``COMMON``, ``EXTRA`` or ``occlusion``.
        severity: 1 (mild) to 5.
        profile: ``imagenet``, ``cifar`` or ``digits``: the kind of images the strengths are made for.

    Raises:
        UnknownNameError: no such profile, or no such corruption in it.
        UserError: a severity outside 1 to 5.
    """
    if profile not in PROFILES:
        raise UnknownNameError(f"no corruption profile {profile!r}", hint=f"profiles: {', '.join(PROFILES)}")
    ladders = PROFILES[profile]
    if name not in ladders:
        raise UnknownNameError(
            f"profile {profile!r} has no corruption {name!r}", hint=f"it has: {', '.join(ladders)}"
        )
    if severity not in SEVERITIES:
        raise UserError(f"the severity of {name} must be one of 1, 2, 3, 4, 5, not {severity}")
    return Perturbation(function=FUNCTIONS[name], parameters=ladders[name][severity - 1])
