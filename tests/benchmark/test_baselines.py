"""Baselines as files: what is written is read again, and what must not mix does not."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from scipy import stats

import benchmark.baselines.files
from benchmark.baselines import (
    Baseline,
    BaselineRow,
    MemberRule,
    baseline_names,
    baselines_for,
    load_baseline,
    write_baseline,
)
from shifts.errors import CorruptDataError, FitError, UnknownNameError, UserError

HEADER = "model,library_key,family,training_data,val,val/new,val/rare"


def row(model: str, shift: str, accuracy: float, **fields: object) -> BaselineRow:
    values: dict[str, object] = {"n": 1000, "family": "standard", "kind_of_number": "measured", **fields}
    return BaselineRow(model=model, shift=shift, accuracy=accuracy, **values)  # type: ignore[arg-type]


def rows() -> list[BaselineRow]:
    found = []
    for place in range(8):
        accuracy = 0.3 + 0.08 * place
        found.append(row(f"m{place}", "val", accuracy, training_data=("a", "b")))
        found.append(row(f"m{place}", "val/new", accuracy**1.5))
    found += [row("adv", "val", 0.6, family="adversarial"), row("adv", "val/new", 0.5, family="adversarial")]
    found += [row("m1-subsample", "val", 0.5), row("m1-subsample", "val/new", 0.2)]
    found += [row("m0", "val/rare", 0.1, n=None, note='says "who", and\nwhere')]
    return found


def baseline(**fields: object) -> Baseline:
    values: dict[str, object] = {
        "name": "toy",
        "version": 1,
        "title": "Toy models",
        "source": "made up",
        "revision": "r1",
        "licence": "CC0-1.0",
        "citation": "",
        "default_members": MemberRule(
            families=("standard",), min_reference_accuracy=0.35, exclude_substrings=("subsample",)
        ),
        "regenerate": "robustbench-shift toy",
        "references": ("val",),
        "rows": tuple(rows()),
        **fields,
    }
    return Baseline(**values)  # type: ignore[arg-type]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = write_baseline(tmp_path, baseline())
    assert path == tmp_path / "toy-v1.csv"
    assert path.read_text().splitlines()[0] == HEADER
    assert load_baseline("toy", folder=tmp_path) == baseline()
    document = json.loads((tmp_path / "toy-v1.json").read_text())
    assert document["schema_version"] == 1
    assert document["default_members"]["exclude_substrings"] == ["subsample"]
    assert document["pairs"] == {"val": ["val/new"]}
    assert document["columns"]["val/rare"]["note"] == 'says "who", and\nwhere'
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["toy-v1.csv", "toy-v1.json"]


def test_the_bytes_do_not_depend_on_the_order_of_the_rows(tmp_path: Path) -> None:
    first = write_baseline(tmp_path / "a", baseline())
    second = write_baseline(tmp_path / "b", baseline(rows=tuple(reversed(rows()))))
    assert first.read_bytes() == second.read_bytes()
    assert b"\r" not in first.read_bytes()


def test_a_version_once_written_never_changes(tmp_path: Path) -> None:
    write_baseline(tmp_path, baseline())
    write_baseline(tmp_path, baseline())
    with pytest.raises(UserError, match="exists with other content") as refused:
        write_baseline(tmp_path, baseline(revision="r2"))
    assert "version 2" in str(refused.value)
    assert load_baseline("toy", folder=tmp_path).revision == "r1"


def test_names_and_versions(tmp_path: Path) -> None:
    for version in (1, 2, 10):
        write_baseline(tmp_path, baseline(version=version))
    write_baseline(tmp_path, baseline(name="other", references=("val/new",)))
    (tmp_path / "README.csv").write_text("not a baseline")
    assert baseline_names(folder=tmp_path) == ("other-v1", "toy-v1", "toy-v2", "toy-v10")
    assert load_baseline("toy", folder=tmp_path).identifier == "toy-v10"
    for name in ("toy-v2", "toy@2", "toy@v2"):
        assert load_baseline(name, folder=tmp_path).version == 2
    assert baselines_for("val", "val/new", folder=tmp_path) == ("toy-v10",)
    assert baselines_for("val", "val/rare", folder=tmp_path) == ()
    for wrong in ("tyo", "toy-v3", "toy@"):
        with pytest.raises(UnknownNameError, match="did you mean toy"):
            load_baseline(wrong, folder=tmp_path)
    with pytest.raises(UnknownNameError, match="there are"):
        load_baseline("imagenet", folder=tmp_path)


def test_every_shipped_baseline_can_be_loaded_and_fitted() -> None:
    for name in baseline_names():
        shipped = load_baseline(name)
        assert shipped.identifier == name
        assert shipped.licence and shipped.source and shipped.regenerate
        assert shipped.pairs()
        for reference, shift in shipped.pairs():
            assert (
                name in baselines_for(reference, shift)
                or shipped.version < load_baseline(shipped.name).version
            )


def test_the_index_is_that_of_the_rows() -> None:
    for name in baseline_names():
        document = json.loads((Path(benchmark.baselines.__file__).parent / f"{name}.json").read_text())
        index = [(reference, shift) for reference, shifts in document["pairs"].items() for shift in shifts]
        assert tuple(index) == load_baseline(name).pairs()


def test_asking_for_baselines_reads_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark.baselines.files, "_read", None)
    baselines_for("imagenet-val", "imagenet-v2")


def test_the_preferred_baseline_comes_first(tmp_path: Path) -> None:
    write_baseline(tmp_path, baseline())
    write_baseline(tmp_path, baseline(name="zoo", precedence=1))
    assert baselines_for("val", "val/new", folder=tmp_path) == ("zoo-v1", "toy-v1")


def test_the_line_of_the_default_members() -> None:
    fit = baseline().fit("val", "val/new", scale="linear")
    assert fit.baseline == "toy-v1"
    assert [member.model for member in fit.members] == [f"m{place}" for place in range(1, 8)]
    assert {excluded.model: excluded.reason for excluded in fit.excluded} == {
        "adv": "family adversarial is not standard",
        "m0": "reference accuracy 0.3000 below 0.35",
        "m1-subsample": "name contains 'subsample'",
    }
    x = [0.3 + 0.08 * place for place in range(1, 8)]
    assert fit.slope == pytest.approx(stats.linregress(x, [a**1.5 for a in x]).slope)
    everyone = baseline().fit("val", "val/new", members=MemberRule(), exclude={"m7": "trained on it"})
    assert everyone.n_models == 9 and everyone.excluded[0].reason == "trained on it"


def test_points_and_pairs() -> None:
    assert baseline().pairs() == (("val", "val/new"),)
    points = baseline().points("val", "val/new")
    assert len(points) == 10
    assert (points[1].model, points[1].reference_accuracy, points[1].reference_n) == ("m0", 0.3, 1000)
    assert [point.shift_n for point in baseline().points("val", "val/rare")] == [None]
    with pytest.raises(UnknownNameError, match="did you mean val/new"):
        baseline().points("val", "val/nwe")
    with pytest.raises(FitError, match="not 0"):
        baseline().fit("val", "val/rare")


def test_claimed_and_measured_numbers_do_not_mix_unasked() -> None:
    claimed = [
        row("m0", "val/new", 0.9, kind_of_number="claimed"),
        row("paper", "val", 0.7, kind_of_number="claimed"),
        row("paper", "val/new", 0.6, kind_of_number="claimed"),
    ]
    mixed = baseline(rows=(*rows(), *claimed))
    with pytest.raises(FitError, match="do not mix") as refused:
        mixed.fit("val", "val/new")
    assert "'any'" in str(refused.value)
    measured = mixed.points("val", "val/new", kind_of_number="measured")
    assert measured == baseline().points("val", "val/new")
    assert [point.model for point in mixed.points("val", "val/new", kind_of_number="claimed")] == ["paper"]
    both = {point.model: point for point in mixed.points("val", "val/new", kind_of_number="any")}
    assert set(both) == {point.model for point in measured} | {"paper"}
    assert both["m0"].shift_accuracy == pytest.approx(0.3**1.5)  # measured before claimed


def test_protocols_do_not_mix_unasked() -> None:
    masked = [row(f"m{place}", "val", 0.5 + 0.05 * place, protocol="200 classes") for place in range(8)]
    both = baseline(rows=(*rows(), *masked))
    with pytest.raises(FitError, match="several protocols") as refused:
        both.points("val", "val/new")
    assert "'200 classes'" in str(refused.value)
    points = both.points("val", "val/new", reference_protocol="200 classes")
    assert len(points) == 8 and points[0].reference_accuracy == 0.5
    assert both.points("val", "val/new", reference_protocol="") == baseline().points("val", "val/new")
    with pytest.raises(UnknownNameError, match="200 classes"):
        both.points("val", "val/new", reference_protocol="201 classes")


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("csv", ",0.3,", ",30,", "row [0-9]+: accuracy 30.0 is not a fraction"),
        ("csv", ",0.3,", ",nan,", "not a fraction"),
        ("csv", ",0.3,", ",many,", "row [0-9]+"),
        ("csv", ",0.3,", ",", "row [0-9]+: 6 cells, expected 7"),
        ("csv", ",0.3,", ",0.3,9,", "row [0-9]+: 8 cells, expected 7"),
        ("csv", "m7,", "m6,", "two rows for m6, val"),
        ("csv", "library_key", "key", "columns are"),
        ("json", '"measured"', '"guessed"', "neither measured nor claimed"),
        ("json", '"n": 1000', '"n": "many"', "toy-v1"),
        (
            "json",
            '"schema_version": 1',
            '"schema_version": 2',
            "schema version 2; this program reads up to 1",
        ),
        ("json", '"schema_version"', '"version_of_schema"', "no schema_version"),
        ("json", '"licence"', '"license"', "license"),
        ("json", '"families"', '"family"', "family"),
        ("json", '"toy"', '"yot"', "calls itself yot-v1"),
        ("json", "{", "", "toy-v1"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    write_baseline(tmp_path, baseline())
    path = tmp_path / f"toy-v1.{file}"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(CorruptDataError, match=message) as damaged:
        load_baseline("toy-v1", folder=tmp_path)
    assert damaged.value.hint


def test_a_missing_half_is_named(tmp_path: Path) -> None:
    write_baseline(tmp_path, baseline())
    (tmp_path / "toy-v1.json").unlink()
    with pytest.raises(CorruptDataError, match=r"toy-v1\.json"):
        load_baseline("toy", folder=tmp_path)


@pytest.mark.parametrize(
    "fields", [{"model": ""}, {"n": 0}, {"training_data": ("a;b",)}, {"kind_of_number": "guessed"}]
)
def test_rows_that_cannot_be_are_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        dataclasses.replace(row("m", "val", 0.5), **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["Toy", "toy v", "", "toy/x"])
def test_names_that_make_no_file_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="form"):
        baseline(name=name)


def test_scoring_and_fitting_import_nothing_heavy() -> None:
    program = (
        "import sys, benchmark.metrics, benchmark.baselines;"
        "heavy = {'torch', 'pandas', 'pyarrow', 'sklearn', 'scipy.stats', 'scipy.optimize', 'matplotlib'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
