"""Mean corruption error: top-1 errors on ImageNet-C in units of AlexNet's.

Hendrycks and Dietterich, ICLR 2019 (arXiv 1903.12261), section 4.2: CE of a corruption is the sum of a
model's errors over the five severities over that of AlexNet's; mCE is the mean over the 15 common
corruptions. The four extra ones never count. Fractions here; the literature prints percent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from types import MappingProxyType

from benchmark.estimate import Estimate
from shifts.perturbations.severities import COMMON, EXTRA, SEVERITIES

Errors = Mapping[str, Sequence[float]]

ALEXNET: Errors = MappingProxyType(
    {
        "gaussian-noise": (0.69528, 0.82542, 0.93554, 0.98138, 0.99452),
        "shot-noise": (0.71224, 0.85108, 0.93574, 0.98182, 0.99146),
        "impulse-noise": (0.78374, 0.89808, 0.94870, 0.98720, 0.99548),
        "defocus-blur": (0.65624, 0.73202, 0.85036, 0.91364, 0.94714),
        "glass-blur": (0.64308, 0.75054, 0.88806, 0.91622, 0.93344),
        "motion-blur": (0.58430, 0.70048, 0.82108, 0.89750, 0.92638),
        "zoom-blur": (0.70008, 0.76992, 0.80784, 0.84198, 0.87198),
        "snow": (0.71726, 0.88392, 0.86468, 0.91870, 0.94952),
        "frost": (0.61390, 0.79734, 0.88790, 0.89942, 0.93430),
        "fog": (0.67474, 0.76050, 0.84378, 0.87260, 0.94500),
        "brightness": (0.45140, 0.48502, 0.54048, 0.62166, 0.72440),
        "contrast": (0.64548, 0.76150, 0.88874, 0.97760, 0.99270),
        "elastic-transform": (0.52596, 0.70116, 0.55686, 0.64076, 0.80554),
        "pixelate": (0.52218, 0.54620, 0.73728, 0.87092, 0.91262),
        "jpeg-compression": (0.51002, 0.54718, 0.57294, 0.65458, 0.74778),
        "speckle-noise": (0.66192, 0.74440, 0.90246, 0.94548, 0.97268),
        "gaussian-blur": (0.54732, 0.70444, 0.82574, 0.89864, 0.95940),
        "spatter": (0.47196, 0.62194, 0.75052, 0.84132, 0.90182),
        "saturate": (0.59342, 0.65514, 0.51174, 0.70834, 0.82260),
    }
)
"""AlexNet's top-1 errors on the published images, severities 1 to 5; the normaliser of every published mCE.

Source: the table of github.com/hendrycks/robustness as kept, with all digits, by the code bases that
report mCE; averages over the severities recompute exactly.
"""

ALEXNET_CLEAN = 0.435
"""AlexNet's clean top-1 error, published to one decimal of a percent; only the relative mCE needs it."""


def corruption_errors(errors: Errors, *, normaliser: Errors = ALEXNET) -> dict[str, float]:
    """CE of each corruption given: the sum of five errors over that of the normaliser's.

    Args:
        errors: corruption → top-1 errors of severities 1 to 5, fractions.

    Raises:
        ValueError: an unknown corruption, not five severities, or an error outside [0, 1].

    >>> round(corruption_errors({"fog": [0.4, 0.5, 0.6, 0.6, 0.8]})["fog"], 4)
    0.7079
    """
    found = {}
    for name, row in errors.items():
        if name not in normaliser:
            raise ValueError(
                f"no normaliser for corruption {name!r}; there is one for {', '.join(normaliser)}"
            )
        _check(name, row)
        found[name] = math.fsum(row) / math.fsum(normaliser[name])
    return found


def mean_corruption_error(errors: Errors, *, n: int, level: float = 0.95) -> Estimate:
    """mCE over the 15 common corruptions; 1 is AlexNet, and lower is better.

    The interval is wide on purpose: the 75 errors are measured on the same images, so they err together,
    and how much is not known from the errors alone; it is taken as fully.

    Args:
        errors: as for ``corruption_errors``; the four extra corruptions may be there and are left out.
        n: images behind each error.

    Raises:
        ValueError: one of the 15 is missing, or as for ``corruption_errors``.

    >>> round(mean_corruption_error(ALEXNET, n=50_000).value, 12)
    1.0
    """
    common = _common(errors)
    value = math.fsum(corruption_errors(common).values()) / len(COMMON)
    scale = {name: 1.0 / (len(COMMON) * math.fsum(ALEXNET[name])) for name in COMMON}
    return _estimate(value, common, scale, extra=0.0, n=n, level=level)


def relative_mean_corruption_error(
    errors: Errors, clean: float, *, n: int, alexnet_clean: float = ALEXNET_CLEAN, level: float = 0.95
) -> Estimate:
    """Relative mCE: the degradation from the clean error, in units of AlexNet's degradation.

    Args:
        errors: as for ``mean_corruption_error``.
        clean: top-1 error on the clean images, a fraction.

    Raises:
        ValueError: as for ``mean_corruption_error``.

    >>> round(relative_mean_corruption_error(ALEXNET, ALEXNET_CLEAN, n=50_000).value, 12)
    1.0
    """
    common = _common(errors)
    _check("clean", [clean] * len(SEVERITIES))
    own = {name: math.fsum(ALEXNET[name]) - len(SEVERITIES) * alexnet_clean for name in COMMON}
    terms = [(math.fsum(common[name]) - len(SEVERITIES) * clean) / own[name] for name in COMMON]
    scale = {name: 1.0 / (len(COMMON) * own[name]) for name in COMMON}
    extra = len(SEVERITIES) * math.fsum(scale.values()) * _sd(clean, n)
    return _estimate(math.fsum(terms) / len(COMMON), common, scale, extra=extra, n=n, level=level)


def errors_of(accuracies: Mapping[str, float], *, family: str = "imagenet-c") -> dict[str, list[float]]:
    """Errors by corruption from accuracies by shift name; complete corruptions of one family alone.

    The published files (``imagenet-c``) and generated images (``imagenet-c-online``) are different data
    and never go into one mCE.

    Raises:
        ValueError: a corruption lacks some of its severities.

    >>> errors_of({f"imagenet-c/fog/{s}": 0.5 for s in range(1, 6)} | {"imagenet-v2": 0.6})
    {'fog': [0.5, 0.5, 0.5, 0.5, 0.5]}
    """
    found: dict[str, list[float]] = {}
    for name in (*COMMON, *EXTRA):
        names = [f"{family}/{name}/{severity}" for severity in SEVERITIES]
        there = [one for one in names if one in accuracies]
        if there and len(there) < len(names):
            missing = [one for one in names if one not in accuracies]
            raise ValueError(f"{', '.join(missing)} missing beside {there[0]}")
        if there:
            found[name] = [1.0 - accuracies[one] for one in names]
    return found


def _common(errors: Errors) -> dict[str, Sequence[float]]:
    missing = [name for name in COMMON if name not in errors]
    if missing:
        raise ValueError(f"mCE needs all 15 corruptions; missing: {', '.join(missing)}")
    return {name: errors[name] for name in COMMON}


def _check(name: str, row: Sequence[float]) -> None:
    if len(row) != len(SEVERITIES) or not all(0.0 <= error <= 1.0 for error in row):
        raise ValueError(f"{name}: expected five errors in [0, 1], not {list(row)}")


def _sd(error: float, n: int) -> float:
    return math.sqrt(error * (1.0 - error) / n)


def _estimate(
    value: float, errors: Errors, scale: Mapping[str, float], *, extra: float, n: int, level: float
) -> Estimate:
    for name, row in errors.items():
        _check(name, row)
    sd = extra + math.fsum(scale[name] * math.fsum(_sd(e, n) for e in row) for name, row in errors.items())
    half = NormalDist().inv_cdf(0.5 + level / 2.0) * sd
    return Estimate(
        value=value, low=value - half, high=value + half, level=level, method="normal, fully correlated", n=n
    )
