"""Three lines from a pandas table to effective robustness."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

from benchmark import effective_robustness, fit_baseline
from benchmark.baselines import load_baseline
from benchmark.intervals import wilson
from shifts.errors import FitError, UserError


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = np.linspace(0.2, 1.2, 12)
    return pd.DataFrame(
        {
            "val": special.ndtr(x),
            "new": special.ndtr(0.9 * x - 0.3 + rng.normal(0, 0.03, 12)),
            "note": "text",
        },
        index=[f"m{i}" for i in range(12)],
    )


def test_the_line_of_a_table_is_that_of_scipy() -> None:
    fit = fit_baseline(table(), reference="val", shift="new")
    line = stats.linregress(special.ndtri(table()["val"]), special.ndtri(table()["new"]))
    assert fit.slope == pytest.approx(line.slope)
    assert [member.model for member in fit.members] == list(table().index)


def test_models_above_the_line() -> None:
    everyone = table()
    fit = fit_baseline(everyone, reference="val", shift="new")
    mine = pd.DataFrame({"val": [0.7], "new": [0.75]}, index=["mine"])
    found = effective_robustness(fit, mine, n={"val": 10_000, "new": 2_000})
    single = effective_robustness(fit, wilson(7_000, 10_000), wilson(1_500, 2_000))
    assert found.loc["mine", "value"] == pytest.approx(single.value)
    assert found.loc["mine", "low"] == pytest.approx(single.low)
    assert found.loc["mine", "flags"] == ""
    without = effective_robustness(fit, mine)
    assert without.loc["mine", "method"] == "uncertainty of the line alone"
    assert without.loc["mine", "low"] > found.loc["mine", "low"]
    # A member is compared with the line through the others.
    member = effective_robustness(fit, everyone.loc[["m3"]])
    others = fit_baseline(everyone.drop("m3"), reference="val", shift="new")
    expected = everyone.loc["m3", "new"] - others.expected(float(everyone.loc["m3", "val"]))
    assert member.loc["m3", "value"] == pytest.approx(expected)


def test_rows_that_lack_an_accuracy_stay_out() -> None:
    some = table()
    some.loc["m2", "new"] = np.nan
    fit = fit_baseline(some, reference="val", shift="new")
    assert fit.n_models == 11
    assert len(effective_robustness(fit, some)) == 11


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame * 100, "fractions"),
        (lambda frame: frame.rename(columns={"new": "other"}), "no column 'new'"),
        (lambda frame: frame.astype(str).replace("m", "x").assign(new="?"), "numbers"),
        (lambda frame: pd.concat([frame, frame.iloc[:1]]), "two rows"),
    ],
)
def test_tables_that_cannot_be_are_refused(change: object, message: str) -> None:
    broken = change(table()[["val", "new"]])  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        fit_baseline(broken, reference="val", shift="new")


def test_points_are_taken_as_well() -> None:
    points = load_baseline("cohen-wang-2024").points("imagenet-val", "imagenet-v2")
    assert fit_baseline(points, reference="imagenet-val", shift="imagenet-v2").n_models == 133
    with pytest.raises(FitError):
        fit_baseline(points[:3], reference="imagenet-val", shift="imagenet-v2")


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import sys, benchmark; print(sorted({'numpy', 'scipy', 'pandas', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="nothing_such"):
        __import__("benchmark").nothing_such  # noqa: B018
