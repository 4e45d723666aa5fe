"""Names and strengths of the corruptions, as data. Imports nothing heavy: it is read to list shifts.

The numbers of the profiles ``imagenet`` (224x224) and ``cifar`` (32x32) are those the published sets
ImageNet-C and CIFAR-10-C were made with (Hendrycks and Dietterich 2019, arXiv 1903.12261). Those of
``digits`` (16x16, white strokes on black, enlarged from 8x8) are ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from shifts.errors import UnknownNameError, UserError
from shifts.spec import Perturbation

SEVERITIES = (1, 2, 3, 4, 5)

COMMON = (
    "gaussian-noise",
    "shot-noise",
    "impulse-noise",
    "defocus-blur",
    "glass-blur",
    "motion-blur",
    "zoom-blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic-transform",
    "pixelate",
    "jpeg-compression",
)
"""The 15 that count for mCE."""

EXTRA = ("speckle-noise", "gaussian-blur", "spatter", "saturate")
"""The four for tuning; never part of mCE."""

FUNCTIONS: Mapping[str, str] = MappingProxyType(
    {
        "gaussian-noise": "shifts.perturbations.noise:gaussian_noise",
        "impulse-noise": "shifts.perturbations.noise:impulse_noise",
        "gaussian-blur": "shifts.perturbations.blur:gaussian_blur",
        "brightness": "shifts.perturbations.digital:brightness",
        "contrast": "shifts.perturbations.digital:contrast",
        "pixelate": "shifts.perturbations.digital:pixelate",
        "occlusion": "shifts.perturbations.digital:occlusion",
    }
)
"""Corruption → ``"module:function"``."""

Ladder = tuple[Mapping[str, Any], ...]


def _ladder(**columns: Sequence[Any]) -> Ladder:
    """Five keyword sets, severity 1 to 5, from one column of five values for each keyword."""
    return tuple(
        MappingProxyType(dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)
    )


_DIGITS: Mapping[str, Ladder] = {
    "gaussian-noise": _ladder(scale=(0.1, 0.2, 0.3, 0.45, 0.6)),
    "impulse-noise": _ladder(amount=(0.03, 0.08, 0.15, 0.25, 0.4)),
    "gaussian-blur": _ladder(sigma=(0.8, 1.2, 1.6, 2.0, 2.6)),
    "brightness": _ladder(amount=(0.1, 0.2, 0.35, 0.5, 0.7)),
    "contrast": _ladder(factor=(0.8, 0.65, 0.5, 0.35, 0.2)),
    "pixelate": _ladder(fraction=(0.75, 0.5, 0.375, 0.3125, 0.25)),
    "occlusion": _ladder(fraction=(0.2, 0.3, 0.4, 0.5, 0.6)),
}

PROFILES: Mapping[str, Mapping[str, Ladder]] = MappingProxyType({"digits": MappingProxyType(_DIGITS)})
"""Profile → corruption → keyword parameters of severity 1 to 5."""


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
