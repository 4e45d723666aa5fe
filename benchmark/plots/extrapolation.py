"""The picture of the theorem: two dimensions, a reference on a line, decision boundaries of three starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmark.logistic import descend
from benchmark.plots.style import CYCLE, DASHES, figure_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from benchmark.scales import Floats

STARTS = ("zero", "random", "pre-trained")
REACH = 3.2


def extrapolation(*, seed: int = 0) -> Figure:
    """Four panels after Figure 2 of Cohen-Wang et al. 2024 (arXiv 2403.00194): the reference, the boundaries
    that three starts end with, an in-support and an out-of-support shift with the accuracy of each."""
    from matplotlib.figure import Figure as Canvas

    draw = np.random.default_rng(seed)
    along = np.array([np.cos(0.5), np.sin(0.5)])
    truth = np.array([3.0, -2.0])

    def labelled(points: Floats) -> tuple[Floats, Floats]:
        chance = 1 / (1 + np.exp(-(points @ truth)))
        return points, np.where(draw.random(len(points)) < chance, 1.0, -1.0)

    reference = labelled(np.outer(draw.normal(size=60), along))
    pool = labelled(draw.normal(size=(2000, 2)))
    pretrained = descend(np.zeros((2, 1)), *pool).weights[:, 0]
    # A random start that is as large as the pre-trained one and looks the other way outside the line.
    starts = np.stack([np.zeros(2), np.array([0.4, 2.6]), pretrained], axis=1)
    weights = descend(starts, *reference).weights
    near = labelled(np.outer(draw.uniform(0.2, 1.0, size=60) * draw.choice([-1, 1], 60), along))
    far = labelled(draw.normal(size=(120, 2)) * 1.2)
    with figure_style():
        figure = Canvas(figsize=(11.6, 3.4), layout="constrained")
        panels = figure.subplots(1, 4)
        titles = ("(a) reference: on a line", "(b) what each start ends with",
                  "(c) shift within the line", "(d) shift off the line")  # fmt: skip
        for axes, title, cloud in zip(panels, titles, (reference, reference, near, far), strict=True):
            _cloud(axes, *cloud)
            axes.set_title(title, loc="left")
        panels[0].plot(*np.outer(along, [-REACH, REACH]), color="#999999", linewidth=0.8, zorder=0)
        for axes, test in ((panels[1], None), (panels[2], near), (panels[3], far)):
            for number, start in enumerate(STARTS):
                _boundary(axes, weights[:, number], number, _named(start, weights[:, number], test))
            axes.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none")
    return figure


def _named(start: str, weights: Floats, test: tuple[Floats, Floats] | None) -> str:
    if test is None:
        return start
    right = float(((test[0] @ weights > 0) == (test[1] > 0)).mean())
    return f"{start}: {100 * right:.0f} %"


def _cloud(axes: Axes, points: Floats, signs: Floats) -> None:
    for sign, marker, colour in ((1.0, "+", "#444444"), (-1.0, "o", "#BBBBBB")):
        some = points[signs == sign]
        axes.scatter(some[:, 0], some[:, 1], marker=marker, s=26 if marker == "+" else 14, color=colour)
    axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xlabel="first input")
    axes.set_ylabel("second input")


def _boundary(axes: Axes, weights: Floats, number: int, label: str) -> None:
    """Where wᵀx is 0."""
    across = np.array([-weights[1], weights[0]]) / np.linalg.norm(weights)
    ends = np.outer(across, [-2 * REACH, 2 * REACH])
    axes.plot(*ends, color=CYCLE[number], linestyle=DASHES[number], linewidth=1.8, label=label)
