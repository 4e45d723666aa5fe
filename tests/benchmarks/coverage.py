"""How often 95 % intervals of effective robustness cover a planted truth.

``python tests/benchmarks/coverage.py [--smoke] [--json FILE] [--repeats N]`` prints for lines on every
scale, several numbers of baseline models and of images, the coverage of the analytic interval when the model
is measured on images of its own, and that of the paired bootstrap when all models share their images. The
tests hold a smaller version of both.
"""

from __future__ import annotations

import math

import numpy as np
from common import finish, parser

from benchmark.intervals import wilson
from benchmark.lines import BaselinePoint, fit_baseline
from benchmark.resampling import paired_effective_robustness
from benchmark.robustness import effective_robustness
from benchmark.scales import Scale, from_scale

SLOPE, INTERCEPT = 0.95, -0.3
ABOVE = 0.03  # planted effective robustness


def analytic(scale: Scale, models: int, n: int, *, scatter: float, repeats: int, seed: int) -> float:
    """Coverage over repeated draws of the baseline models and of all answers."""
    rng = np.random.default_rng(seed)
    scaled = {"probit": 1.0, "logit": 1.7, "linear": 0.3}[scale]
    slope = SLOPE if scale != "linear" else 0.9
    shift = INTERCEPT * scaled if scale != "linear" else -0.05
    middle = 0.6 if scale == "linear" else 0.5 * scaled
    covered = 0
    for _ in range(repeats):
        x = middle + scaled * rng.uniform(-0.8, 0.8, models) * (0.9 if scale != "linear" else 1.0)
        reference = np.clip(from_scale(x, scale), 0.01, 0.99)
        true = np.clip(
            from_scale(slope * x + shift + rng.normal(0, scatter * scaled, models), scale), 0.01, 0.99
        )
        points = [
            BaselinePoint(
                model=f"m{row}",
                reference_accuracy=rng.binomial(5 * n, a) / (5 * n),
                reference_n=5 * n,
                shift_accuracy=rng.binomial(n, b) / n,
                shift_n=n,
                family="",
            )
            for row, (a, b) in enumerate(zip(reference, true, strict=True))
        ]
        fit = fit_baseline(points, reference="reference", shift="shift", scale=scale)
        at = float(from_scale(np.array(middle), scale))
        planted = float(from_scale(np.array(slope * middle + shift), scale)) + ABOVE
        found = effective_robustness(
            fit,
            wilson(int(rng.binomial(5 * n, at)), 5 * n),
            wilson(int(rng.binomial(n, planted)), n),
        )
        covered += found.low <= ABOVE <= found.high
    return covered / repeats


def paired(models: int, n: int, *, repeats: int, seed: int) -> float:
    """Coverage over repeated draws of images that all models share; the models stay the same."""
    ability = np.concatenate([[0.6], np.linspace(-0.3, 1.5, models)])
    lift = np.zeros(models + 1)
    lift[0] = 0.2

    def answers(size: int, rng: np.random.Generator) -> list[np.ndarray]:
        return [
            (ability + gain - harder)[:, None]
            + rng.normal(0, 0.7, size)
            + rng.normal(0, 0.7, (models + 1, size))
            > 0
            for harder, gain in ((0.0, 0.0), (0.4, lift))
        ]

    many = answers(1_000_000 // models, np.random.default_rng(seed))
    truth = _difference(many, resamples=2).value
    covered = 0
    for repeat in range(repeats):
        found = _difference(answers(n, np.random.default_rng([seed, repeat])), resamples=1000, seed=repeat)
        covered += found.low <= truth <= found.high
    return covered / repeats


def _difference(sets: list[np.ndarray], *, resamples: int, seed: int = 0):  # type: ignore[no-untyped-def]
    reference, shift = sets
    return paired_effective_robustness(
        reference[0],
        shift[0],
        members_reference=reference[1:],
        members_shift=shift[1:],
        resamples=resamples,
        over_models=False,
        seed=seed,
    )


def main() -> int:
    """Print the table."""
    options = parser(__doc__, smoke="three repeats")
    options.add_argument("--repeats", type=int, default=1000)
    chosen = options.parse_args()
    repeats = 3 if chosen.smoke else chosen.repeats
    error = 1.96 * math.sqrt(0.95 * 0.05 / repeats)
    print(f"95 % intervals, {repeats} repeats (Monte Carlo error ±{100 * error:.1f} points)")
    found = {}
    for scale in ("probit", "logit", "linear"):
        for models, n in ((10, 1000), (30, 1000), (85, 10_000)):
            rate = analytic(scale, models, n, scatter=0.03, repeats=repeats, seed=0)  # type: ignore[arg-type]
            found[f"analytic, {scale}, {models} models, {n} images"] = {"coverage": rate}
    for models, n in ((10, 500), (30, 1000), (60, 2000)):
        rate = paired(models, n, repeats=repeats, seed=0)
        found[f"bootstrap, probit, {models} models, {n} images"] = {"coverage": rate}
    return finish(found, {}, chosen)


if __name__ == "__main__":
    raise SystemExit(main())
