"""Figures: what they show, that they can be written in every format, and that the page needs no network."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.baselines import load_baseline
from benchmark.calibration import ece, reliability_bins
from benchmark.cli import run
from benchmark.lookup import measured
from benchmark.plots.curves import reliability, severity_curves, shape_bias
from benchmark.plots.interactive import page
from benchmark.plots.labels import place_labels
from benchmark.plots.panels import build_panel
from benchmark.plots.scatter import scatter
from benchmark.plots.style import percent_ticks, save
from benchmark.scales import Scale, to_scale
from benchmark.shape_bias import ShapeBias, pooled, read_trials
from benchmark.store import Store
from shifts.errors import UserError
from tests.benchmark.made_results import make

SCRIPT = Path(__file__).with_name("run_page.js")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("results"))


def texts(figure: Figure) -> str:
    from matplotlib.text import Text

    return "\n".join(text.get_text() for text in figure.findobj(Text))


def test_a_panel_holds_line_points_and_ones_own_models(results: Path) -> None:
    panel = build_panel("digits/fog/2", baseline=f"results:{results}", results=measured(Store(results)))
    assert panel.fit.reference == "digits" and panel.fit.n_models == 5
    assert [one.model for one in panel.mine] == ["best", "fair", "good", "odd", "weak"]
    assert panel.points == ()  # shown once, as one's own
    odd = next(one for one in panel.mine if one.model == "odd")
    assert odd.effective.value > 0.05 and odd.effective.n_models == 4


def test_what_the_scatter_says(results: Path) -> None:
    panels = [
        build_panel(shift, results=measured(Store(results)))
        for shift in ("digits/unseen-tint", "digits/contrast/2")
    ]
    figure = scatter(panels)
    said = texts(figure)
    assert all(name in said for name in ("digits (%)", "digits/contrast/2 (%)", "r² =", "y = x", "best"))
    assert f"{panels[0].fit.slope:.3f}" in said


@pytest.mark.parametrize("scale", ["probit", "logit", "linear"])
@pytest.mark.parametrize(("low", "high"), [(0.55, 0.88), (0.01, 0.99), (0.97, 0.999), (0.3, 0.35), (0, 1)])
def test_ticks_are_percentages_apart(scale: Scale, low: float, high: float) -> None:
    ticks = percent_ticks(low, high, scale)
    assert 2 <= len(ticks) <= 12
    assert ticks == sorted(ticks)
    assert 100 * low - 1e-9 <= ticks[0] and ticks[-1] <= 100 * high + 1e-9
    inside = to_scale(np.array(ticks) / 100, scale)
    ends = to_scale(np.array([low, high]), scale)
    assert np.diff(inside).min() >= 0.79 * float(ends[1] - ends[0]) / 7


def test_labels_do_not_cover_each_other() -> None:
    figure = Figure(figsize=(4, 4))
    axes = figure.subplots()
    rng = np.random.default_rng(0)
    close = [
        (0.5 + 0.02 * x, 0.5 + 0.02 * y, f"model-{i}") for i, (x, y) in enumerate(rng.normal(size=(9, 2)))
    ]
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    place_labels(axes, close)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 9
    frame = axes.get_window_extent()
    for row, one in enumerate(boxes):
        assert frame.x0 <= one.x0 and one.x1 <= frame.x1
        for other in boxes[row + 1 :]:
            apart = one.x1 < other.x0 or other.x1 < one.x0 or one.y1 < other.y0 or other.y1 < one.y0
            # Arrows belong to the extent of an annotation: compare the middles where boxes touch.
            assert apart or abs(one.y0 - other.y0) + abs(one.x0 - other.x0) > 5


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_every_format_is_written_to_equal_bytes(ending: str, results: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        command = ["plot", "-s", "digits/fog/2", "-o", str(tmp_path / f"{name}.{ending}")]
        assert run([*command, "--results", str(results), "--baseline", f"results:{results}"]) == 0
    assert (tmp_path / f"a.{ending}").read_bytes() == (tmp_path / f"b.{ending}").read_bytes()


def test_severity_and_reliability_from_the_command_line(results: Path, tmp_path: Path) -> None:
    for kind, shift in (("severity", "digits/fog"), ("reliability", "digits/fog/3")):
        path = tmp_path / f"{kind}.svg"
        assert run(["plot", "--kind", kind, "-s", shift, "-o", str(path), "--results", str(results)]) == 0
        assert "<svg" in path.read_text()
    text = (tmp_path / "severity.svg").read_text()
    assert "severity" in text and "accuracy (%)" in text and "fog" in text


def test_severity_curves_start_at_the_reference(results: Path) -> None:
    found = [result for _, result in measured(Store(results))]
    figure = severity_curves(found)
    assert len([axes for axes in figure.axes if axes.get_visible()]) == 2
    line = figure.axes[0].get_lines()[0]
    assert list(line.get_xdata()) == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="severity"):
        severity_curves([result for result in found if result.severity is None])


def test_reliability_bins_are_those_of_the_calibration_error() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.2, 1, 3000)
    correct = rng.uniform(size=3000) < confidence**2
    bins = reliability_bins(confidence, correct)
    gap = sum(one.n * abs(one.accuracy.value - one.confidence) for one in bins) / 3000
    assert gap == pytest.approx(ece(confidence, correct).value)
    assert sum(one.n for one in bins) == 3000
    said = texts(reliability({"m": bins}, errors={"m": ece(confidence, correct)}))
    assert "ECE" in said and "confidence (%)" in said


def test_shape_bias_of_humans_and_networks() -> None:
    people = ShapeBias(observer="humans", by_class={"cat": (19, 1), "car": (18, 2)}, human=True)
    network = ShapeBias(observer="network", by_class={"cat": (5, 15), "car": (4, 16)})
    assert (people.value, network.value) == (37 / 40, 9 / 40)
    said = texts(shape_bias([people, network]))
    assert "humans: 92 %" in said and "cat" in said


def test_shape_bias_of_the_published_trials(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "shape_texture"
    with zipfile.ZipFile(folder / "human_and_cnn_trials.zip") as archive:
        archive.extractall(tmp_path)
    with (folder / "shape_bias_from_trials.csv").open() as stream:
        published = list(csv.DictReader(stream))
    people = []
    for line in published:
        (path,) = (tmp_path / line["experiment"]).glob(f"*experiment_{line['observer']}.csv")
        found = read_trials(path)
        assert found.decisions == (int(line["n_shape"]), int(line["n_texture"]))
        assert 100 * found.value == pytest.approx(float(line["shape_bias_pct"]), abs=0.005)
        people += [found] if found.human else []
    together = pooled("humans", people)
    assert len(people) == 10 and together.human and together.value > 0.9
    broken = tmp_path / "broken.csv"
    broken.write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="not a file of trials"):
        read_trials(broken)


def test_shape_bias_from_the_command_line(real_data: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(real_data / "shape_texture" / "human_and_cnn_trials.zip") as archive:
        archive.extractall(tmp_path)
    trials = [str(path) for path in tmp_path.glob("style-transfer-512-nomask-experiment/*.csv")]
    command = ["plot", "--kind", "shape-bias", "-o", str(tmp_path / "bias.svg"), "--results", str(tmp_path)]
    assert run([*command, *(f"--trials={path}" for path in trials)]) == 0
    text = (tmp_path / "bias.svg").read_text()
    assert "humans (10)" in text and "alexnet" in text and "airplane" in text
    assert run(command) == 2


def test_the_page_is_self_contained(results: Path) -> None:
    text = page(
        [build_panel("digits/fog/2", baseline=f"results:{results}", results=measured(Store(results)))]
    )
    assert not re.search(r'(src|href)\s*=|@import|fetch\(|XMLHttpRequest|url\("?http', text)
    hosts = set(re.findall(r"https?://([^/\"'\s]+)", text))
    assert hosts <= {"www.w3.org"}  # the name of the SVG language, not an address that is asked


def test_names_cannot_break_out_of_the_page() -> None:
    import dataclasses

    panel = build_panel("cifar10.1/v6")
    evil = dataclasses.replace(panel.points[0], model="</script><script>alert(1)</script>")
    text = page([dataclasses.replace(panel, points=(evil, *panel.points[1:]))])
    assert "<script>alert" not in text and "\\u003c/script" in text


@pytest.mark.skipif(shutil.which("node") is None, reason="needs a JavaScript interpreter")
def test_the_page_draws(results: Path, tmp_path: Path) -> None:
    panels = [
        build_panel("imagenet-v2", results=measured(Store(results))),
        build_panel("digits/fog/2", baseline=f"results:{results}", results=measured(Store(results))),
    ]
    path = tmp_path / "page.html"
    path.write_text(page(panels))
    done = subprocess.run(["node", str(SCRIPT), str(path)], capture_output=True, text=True, check=True)
    drawn = json.loads(done.stdout)
    assert drawn["first"]["names"] == ["best", "fair", "good", "odd", "weak"]
    assert "imagenet-v2 (%)" in drawn["first"]["texts"]
    assert any("source: https://github.com/modestyachts/imagenet-testbed" in line for line in drawn["tip"])
    assert set(drawn["scales"]) == {"probit", "logit", "linear"}
    for state in (drawn["first"], drawn["toggled"], *drawn["scales"].values()):
        assert state["broken"] == 0 and state["marks"] > 50
    assert drawn["toggled"]["marks"] != drawn["scales"]["linear"]["marks"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("-s imagenet-v2 -o x.gif", "ends in .png, .pdf, .svg, .html"),
        ("-s imagenet-v2 -o missing/x.png", "there is no folder missing"),
        ("-s nothing -o x.png", "no shipped baseline"),
        ("-s imagenet-v2 --scale cubic -o x.png", "probit, logit, linear"),
        ("-s digits/unseen-tint --kind severity -o x.png", "severities"),
        ("-s digits --kind pie -o x.png", "scatter, severity, reliability, shape-bias"),
    ],
)
def test_mistakes_are_named(
    arguments: str, message: str, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert run(["plot", *arguments.split(), "--results", str(results)]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_figures_want_a_known_ending(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        save(Figure(), tmp_path / "x.gif")
    assert load_baseline("cifar10.1-models").pairs()
