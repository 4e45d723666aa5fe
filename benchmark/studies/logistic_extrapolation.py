"""Does the initialisation decide how a linear model extrapolates, and nothing else?

Theorem 4.1 and Figure 2 of Cohen-Wang et al. 2024 (arXiv 2403.00194): logistic regression on data in a
subspace, from zero, random and pre-trained weights. In support nothing depends on the start; outside the
support the start decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.studies.study import STUDIES, Findings, Setting, Study, Table, Verdict, decided

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from benchmark.estimate import Estimate

    Floats = NDArray[np.float64]

NAME = "logistic-extrapolation"
STUDIES.register(
    Study(
        name=NAME,
        title="what an initialisation decides: in support nothing, outside everything",
        citation="Cohen-Wang, Vendrow and Madry 2024, arXiv 2403.00194, Section 4, Theorem 4.1, Figure 2",
        run="benchmark.studies.logistic_extrapolation:run",
    )
)

STARTS = ("zero", "random", "pre-trained")
TESTS = ("reference", "in support", "out of support")
EXACT = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Dimensions of the inputs and of the reference's subspace, examples, and how strongly one coordinate
    follows the label."""

    dimensions: int = 20
    subspace: int = 12
    train: int = 400
    pretrain: int = 4000
    test: int = 5000
    aligned: float = 0.9
    ridge: float = 1.0


def run(setting: Setting) -> Findings:
    """Run the descents of every seed and compare them with the theorem."""
    import dataclasses

    from benchmark.intervals import mean_interval

    sizes = Sizes(test=1000) if setting.smoke else Sizes()
    trials = []
    for done, seed in enumerate(setting.seeds):
        setting.say("gradient descent", done, len(setting.seeds))
        trials.append(trial(sizes, seed=seed))
    means = {
        test: {start: mean_interval([one["accuracy"][test][start] for one in trials]) for start in STARTS}
        for test in TESTS
    }
    gains = {
        start: mean_interval([
            one["accuracy"]["out of support"]["pre-trained"] - one["accuracy"]["out of support"][start]
            for one in trials
        ])
        for start in STARTS[:2]
    }  # fmt: skip
    worst = {key: max(one[key] for one in trials) for key in ("distance", "drift", "in_support_difference")}
    kept = {
        kind: mean_interval([one["outside_kept"][kind] for one in trials])
        for kind in ("none", "toward zero", "toward the start")
    }
    numbers: dict[str, Any] = {
        "trials": trials,
        "accuracy": {test: {s: e.to_json() for s, e in row.items()} for test, row in means.items()},
        "gain_out_of_support": {start: one.to_json() for start, one in gains.items()},
        "worst": worst,
        "outside_kept": {kind: one.to_json() for kind, one in kept.items()},
    }
    return Findings(
        study=NAME,
        configuration={**dataclasses.asdict(sizes), "seeds": list(setting.seeds), "smoke": setting.smoke},
        numbers=numbers,
        tables=(_accuracies(means), _ridges(kept)),
        verdicts=verdicts(worst, gains, trials),
        figures={NAME: _figure},
    )


def trial(sizes: Sizes, *, seed: int) -> dict[str, Any]:
    """One draw of the data and the three descents on it."""
    import numpy as np

    from benchmark.logistic import descend, minimiser_within, outside
    from shifts.data import generator

    draw = generator(seed, NAME)
    d, k = sizes.dimensions, sizes.subspace
    basis = np.linalg.qr(draw.normal(size=(d, d)))[0]
    within, spurious = basis[:, :k], basis[:, 0]
    truth = draw.normal(size=d)
    truth -= spurious * (spurious @ truth)  # the label does not depend on the spurious coordinate
    truth *= 3.0 / np.linalg.norm(truth)

    def sample(n: int, *, aligned: float, inside: bool) -> tuple[Floats, Floats]:
        full = draw.normal(size=(n, d))
        full -= np.outer(full @ spurious, spurious)
        full = full @ within @ within.T if inside else full
        signs = np.where(draw.random(n) < 1 / (1 + np.exp(-(full @ truth))), 1.0, -1.0)
        side = np.where(draw.random(n) < aligned, signs, -signs) * np.abs(draw.normal(size=n))
        return full + np.outer(side, spurious), signs

    inputs, signs = sample(sizes.train, aligned=sizes.aligned, inside=True)
    pool = sample(sizes.pretrain, aligned=0.5, inside=False)
    pretrained = descend(np.zeros((d, 1)), *pool).weights[:, 0]
    scale = float(np.linalg.norm(pretrained)) / np.sqrt(d)
    starts = np.stack([np.zeros(d), scale * draw.normal(size=d), pretrained], axis=1)
    end = descend(starts, inputs, signs)
    expected = minimiser_within(within, inputs, signs)[:, None] + outside(within, starts)
    tests = {
        "reference": sample(sizes.test, aligned=sizes.aligned, inside=True),
        "in support": sample(sizes.test, aligned=1 - sizes.aligned, inside=True),
        "out of support": sample(sizes.test, aligned=sizes.aligned, inside=False),
    }
    answers = {name: images @ end.weights for name, (images, _) in tests.items()}
    rests = {
        "none": end.weights,
        "toward zero": descend(starts, inputs, signs, ridge=sizes.ridge).weights,
        "toward the start": descend(starts, inputs, signs, ridge=sizes.ridge, toward=starts).weights,
    }
    before = float(np.linalg.norm(outside(within, starts)[:, 2]))
    return {
        "seed": seed,
        "steps": end.steps,
        "distance": float(np.abs(end.weights - expected).max()),
        "drift": float(np.abs(outside(within, end.path.transpose(1, 0, 2).reshape(d, -1)
                                      - np.tile(starts, len(end.path)))).max()),
        "in_support_difference": max(
            float(np.ptp(answers[name], axis=1).max()) for name in ("reference", "in support")
        ),
        "accuracy": {
            name: dict(zip(STARTS, _accuracy(score, tests[name][1]), strict=True))
            for name, score in answers.items()
        },
        "outside_kept": {
            kind: float(np.linalg.norm(outside(within, weights)[:, 2])) / before
            for kind, weights in rests.items()
        },
    }  # fmt: skip


def _accuracy(scores: Floats, signs: Floats) -> list[float]:
    right: list[float] = ((scores > 0) == (signs[:, None] > 0)).mean(axis=0).tolist()
    return right


def verdicts(
    worst: dict[str, float], gains: dict[str, Estimate], trials: list[dict[str, Any]]
) -> tuple[Verdict, ...]:
    """What the numbers say of the theorem and of the figure."""
    same = all(
        len(set(one["accuracy"][test].values())) == 1
        for one in trials
        for test in ("reference", "in support")
    )
    shown = [
        f"pre-trained minus {start}: {100 * g.value:+.1f} points [{100 * g.low:+.1f}, {100 * g.high:+.1f}]"
        for start, g in gains.items()
    ]
    return (
        decided(
            "the limit is the minimiser in the subspace plus the start's part outside (Theorem 4.1)",
            holds=worst["distance"] < EXACT and worst["drift"] < EXACT,
            evidence=f"largest deviation {worst['distance']:.1e}, the part outside moved by at most "
            f"{worst['drift']:.1e} on the way, over {len(trials)} seeds",
        ),
        decided(
            "in support all starts give the same predictions (Figure 2c)",
            holds=same and worst["in_support_difference"] < EXACT,
            evidence=f"logits differ by at most {worst['in_support_difference']:.1e}; accuracies "
            f"{'equal' if same else 'differ'} in every seed",
        ),
        decided(
            "outside the support the start decides, and pre-training helps (Figure 2d)",
            holds=all(gain.low > 0 for gain in gains.values()),
            noise=any(gain.low <= 0 <= gain.high for gain in gains.values()),
            evidence=shown,
        ),
    )


def _accuracies(means: dict[str, dict[str, Estimate]]) -> Table:
    return Table(
        title="accuracy (%), mean over seeds with its 95 % interval",
        header=("tested on", *STARTS),
        rows=tuple((test, *(_percent(row[start]) for start in STARTS)) for test, row in means.items()),
    )


def _ridges(kept: dict[str, Estimate]) -> Table:
    return Table(
        title="how much of the pre-trained weights' part outside the support is left (%)",
        header=("ridge penalty", "left"),
        rows=tuple((kind, _percent(one)) for kind, one in kept.items()),
    )


def _percent(one: Estimate) -> str:
    return f"{100 * one.value:.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def _figure() -> Figure:
    from benchmark.plots.extrapolation import extrapolation

    return extrapolation()
