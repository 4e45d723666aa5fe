"""Predictions of models that ran elsewhere: the same numbers as a run here, and no others than are known."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmark.cli import run
from benchmark.imported import import_predictions
from benchmark.planning import contestant, plan
from benchmark.predictions import read_predictions
from benchmark.result import Result
from benchmark.runner import Options, run_pass
from benchmark.store import Store
from models_zoo.loading import load_model
from models_zoo.spec import MODELS
from shifts.catalogue import add
from shifts.data import Shift, load_shift
from shifts.errors import CorruptDataError, LabelSpaceError, ResultsError, UserError
from shifts.labels import LABEL_SPACES
from shifts.spec import SHIFTS

NAMES = LABEL_SPACES.get("digits").class_names


@pytest.fixture(scope="module")
def digits() -> Shift:
    return load_shift("digits")


@pytest.fixture(scope="module")
def logits(digits: Shift) -> np.ndarray:
    draw = np.random.default_rng(5)
    made = draw.normal(size=(len(digits), 10)).astype(np.float32)
    made[np.arange(len(digits)), digits.labels] += 1.5
    return made


def write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    return path


def of_logits(path: Path, shift: Shift, values: np.ndarray, *, prefix: str = "logit") -> Path:
    order = np.random.default_rng(1).permutation(len(shift))
    rows = [[shift.example_ids[row], *map(repr, values[row].tolist())] for row in order.tolist()]
    return write_csv(path, ["example_id", *(f"{prefix}_{i}" for i in range(values.shape[1]))], rows)


def taken(path: Path, folder: Path, shift: str = "digits", **options: object) -> tuple[Path, Result]:
    model = str(options.pop("model", "elsewhere"))
    return import_predictions(
        path,
        model=model,
        shift=SHIFTS.get(shift),
        store=Store(folder),
        **options,  # type: ignore[arg-type]
    )


def test_logits_from_csv_and_parquet_give_what_a_run_here_gives(tmp_path: Path) -> None:
    store = Store(tmp_path / "run")
    work = plan([contestant(MODELS.get("toy-oracle"), weights=None)], [SHIFTS.get("toy")], store=store)
    (expected,) = run_pass(work.passes[0], options=Options(device="cpu"))
    shift, oracle = load_shift("toy"), load_model("toy-oracle", device="cpu")
    values = np.concatenate([oracle.logits(batch.images) for batch in shift.batches(64)])
    table = {"path": [f"some/folder/{one}.jpg" for one in shift.example_ids], "logits": list(values)}
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    of_logits(tmp_path / "a.csv", shift, values)
    before = read_predictions(work.cells[0].folder / "predictions.parquet")
    for number, name in enumerate(("a.csv", "a.parquet")):
        folder, result = taken(tmp_path / name, tmp_path / str(number), "toy")
        assert result.metrics == expected.metrics
        assert result.groups == expected.groups
        after = read_predictions(folder / "predictions.parquet")
        assert list(after.example_ids) == list(before.example_ids)
        for column in ("labels", "prediction", "confidence", "label_probability", "top5", "groups"):
            assert np.array_equal(getattr(after, column), getattr(before, column)), column


def test_probabilities_keep_the_calibration_of_their_logits(
    tmp_path: Path, digits: Shift, logits: np.ndarray
) -> None:
    wide = np.exp(logits.astype(np.float64))
    _, by_logits = taken(of_logits(tmp_path / "l.csv", digits, logits), tmp_path / "l")
    probs = wide / wide.sum(axis=1, keepdims=True)
    _, by_probs = taken(of_logits(tmp_path / "p.csv", digits, probs, prefix="prob"), tmp_path / "p")
    for name in ("accuracy", "top5_accuracy", "nll", "brier", "ece"):
        one, other = by_logits.metrics[name], by_probs.metrics[name]
        assert one is not None
        assert other is not None
        assert other.value == pytest.approx(one.value, abs=1e-6), name
    halved = of_logits(tmp_path / "h.csv", digits, probs / 2, prefix="prob")
    with pytest.raises(CorruptDataError, match=r"line 2: its 10 values are no probabilities.*sum to 0\.5"):
        taken(halved, tmp_path / "h")


def test_classes_alone_have_no_calibration(
    tmp_path: Path, digits: Shift, logits: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    best = np.argsort(-logits, axis=1, kind="stable")[:, :5]
    rows = [[one, NAMES[top[0]]] for one, top in zip(digits.example_ids, best, strict=True)]
    path = write_csv(tmp_path / "c.csv", ["id", "prediction"], rows)
    _, result = taken(path, tmp_path / "r")
    assert result.metrics["accuracy"].value == float((best[:, 0] == digits.labels).mean())  # type: ignore[union-attr]
    assert {name for name, found in result.metrics.items() if found is None} >= {
        "nll",
        "brier",
        "ece",
        "top5_accuracy",
    }
    assert any("without probabilities" in note for note in result.warnings)
    five = {"id": list(digits.example_ids), "prediction": best[:, 0], "top5": list(best)}
    pq.write_table(pa.table(five), tmp_path / "c5.parquet")
    _, result = taken(tmp_path / "c5.parquet", tmp_path / "r", model="with-five")
    hit = (best == digits.labels[:, None]).any(axis=1).mean()
    assert result.metrics["top5_accuracy"].value == float(hit)  # type: ignore[union-attr]
    where = ["--results", str(tmp_path / "r")]
    assert run(["report", *where]) == 0
    assert run(["compare", "elsewhere", "with-five", "--shift", "digits", *where]) == 0
    assert "elsewhere" in capsys.readouterr().out


def test_columns_named_after_classes_may_come_in_any_order(
    tmp_path: Path, digits: Shift, logits: np.ndarray
) -> None:
    order = [3, 1, 0, 2, 4, 9, 8, 7, 6, 5]
    rows = [[one, *values] for one, values in zip(digits.example_ids, logits[:, order].tolist(), strict=True)]
    header = ["id", *(f"logit_{'class ' if not NAMES[i].strip() else ''}{NAMES[i]}" for i in order)]
    _, result = taken(write_csv(tmp_path / "n.csv", header, rows), tmp_path / "r")
    assert result.accuracy.value == float((logits.argmax(axis=1) == digits.labels).mean())  # type: ignore[union-attr]


def test_ids_that_are_missing_strange_or_given_twice_are_named(
    tmp_path: Path, digits: Shift, logits: np.ndarray
) -> None:
    lines = of_logits(tmp_path / "a.csv", digits, logits).read_text().splitlines()

    def written(*changed: str) -> Path:
        path = tmp_path / "b.csv"
        path.write_text("\n".join(changed) + "\n")
        return path

    with pytest.raises(CorruptDataError, match=f"line {len(lines) + 1}: id .* answered before, in line 4"):
        taken(written(*lines, lines[3]), tmp_path / "r")
    strange = "nobody" + lines[1][lines[1].index(",") :]
    with pytest.raises(CorruptDataError, match="line 3: id 'nobody' is none of 'digits'"):
        taken(written(*lines[:2], strange, *lines[2:]), tmp_path / "r")
    with pytest.raises(CorruptDataError, match="no answer for 2 of the"):
        taken(written(*lines[:-2]), tmp_path / "r")
    _, result = taken(written(*lines[:-2]), tmp_path / "r", partial=True)
    assert result.n == len(digits) - 2
    assert any(f"partial: answers to {len(digits) - 2} of {len(digits)}" in note for note in result.warnings)
    _, whole = taken(tmp_path / "a.csv", tmp_path / "r")
    assert whole.shift_digest != result.shift_digest


@pytest.mark.parametrize(
    ("header", "row", "says"),
    [
        ("id,logit_0,logit_1", "{0},1,x", "line 2: logit_1 is 'x', not a number"),
        ("id,logit_0,logit_1", "{0},1", "line 2: 2 values under 3 names"),
        ("id,logit_0,logit_1", "{0},1,", "line 2: 'logit_1' is empty"),
        ("id,logit_0,logit_1", "{0},1,nan", "line 2: logits that are not finite"),
        ("id,logit_0,logit_2", "{0},1,2", "not numbered from 0 to 1"),
        ("id,logit_0,logit_1", "{0},1,2", "2 columns are neither the 10 classes"),
        ("id,path,prediction", "{0},x,1", "which are the ids"),
        ("id,answer", "{0},1", "but no answers"),
        ("name,prediction", "{0},1", "has the columns name, prediction"),
        ("id,prediction", "{0},zebra", "line 2: 'zebra' is not one of"),
        ("id,id", "{0},1", "some of one name"),
    ],
)
def test_what_is_no_answer_is_refused_with_its_line(
    tmp_path: Path, digits: Shift, header: str, row: str, says: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n{row.format(digits.example_ids[0])}\n")
    with pytest.raises(UserError, match=says):
        taken(path, tmp_path / "r")
    assert not (tmp_path / "r").exists()


def test_a_damaged_or_missing_file_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(CorruptDataError, match="not a readable Parquet file"):
        taken(tmp_path / "cut.parquet", tmp_path / "r")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(CorruptDataError, match="neither Parquet nor a CSV"):
        taken(tmp_path / "binary", tmp_path / "r")
    with pytest.raises(UserError, match="No such file"):
        taken(tmp_path / "absent.csv", tmp_path / "r")


def test_other_answers_under_the_same_name_are_refused(
    tmp_path: Path, digits: Shift, logits: np.ndarray
) -> None:
    first, second = (
        of_logits(tmp_path / "a.csv", digits, logits),
        of_logits(tmp_path / "b.csv", digits, -logits),
    )
    taken(first, tmp_path / "r")
    taken(first, tmp_path / "r", family="standard", training_data=("imagenet-1k",))
    with pytest.raises(ResultsError, match="other predictions of 'elsewhere'"):
        taken(second, tmp_path / "r")
    with pytest.raises(UserError, match="not one of"):
        taken(first, tmp_path / "r", family="very-robust")


def test_published_answers_on_cifar10_1_have_their_published_accuracy(
    real_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = real_data / "published_results" / "cifar10_1"
    with np.load(folder / "model_predictions.npz", allow_pickle=False) as stored:
        answers = {name: stored[name] for name in stored.files}
    with (folder / "model_accuracies.csv").open() as stream:
        published = {row["model"]: row for row in csv.DictReader(stream)}
    copy = tmp_path / "copy"
    copy.mkdir()
    draw = np.random.default_rng(0)
    for version in ("v4", "v6"):
        labels = answers[f"labels_{version}"].astype(np.int64)
        images = draw.integers(0, 256, (len(labels), 32, 32, 3), dtype=np.uint8)  # nobody looks at them
        np.save(copy / f"cifar10.1_{version}_data.npy", images)
        np.save(copy / f"cifar10.1_{version}_labels.npy", labels)
    add("cifar10.1", copy, partial=True)  # the labels are real
    for shift, version in (("cifar10.1/v4", "v4"), ("cifar10.1/v6", "v6")):
        ids = load_shift(shift).example_ids
        for number, model in enumerate(answers["models"].tolist()[:30:6]):
            said = answers[f"pred_{version}"][6 * number].tolist()
            path = write_csv(tmp_path / "a.csv", ["id", "prediction"], list(zip(ids, said, strict=True)))
            arguments = ["--predictions", str(path), "--model", model, "--shift", shift, "--json"]
            assert run(["eval", *arguments, "--results", str(tmp_path / "r")]) == 0
            _, result = taken(path, tmp_path / "r", shift, model=model)
            assert result.n == int(published[model][f"n_{version}"])
            assert result.accuracy.value == int(published[model][f"n_correct_{version}"]) / result.n  # type: ignore[union-attr]
    capsys.readouterr()


def test_a_head_of_more_classes_is_told_by_its_width(tmp_path: Path) -> None:
    from benchmark.class_words import Words, columns_for

    a = SHIFTS.get("imagenet-a")
    kept = list(a.class_indices or ())
    values = np.random.default_rng(0).normal(size=(3, 1001)).astype(np.float32)
    assert columns_for(a, 1001).head == "imagenet-background"
    assert columns_for(a, 1001).convert(values).tolist() == values[:, np.array(kept) + 1].tolist()
    assert columns_for(a, 1000).convert(values[:, 1:]).tolist() == values[:, np.array(kept) + 1].tolist()
    assert columns_for(a, 200).convert(values[:, :200]).tolist() == values[:, :200].tolist()
    with pytest.raises(LabelSpaceError, match="999 columns are neither the 200 classes"):
        columns_for(a, 999)
    with pytest.raises(LabelSpaceError, match="class 7 may count in"):
        Words(a, label_space="imagenet-1k").place("7")
    assert Words(a, label_space="imagenet-1k", numbers="shift").place("7") == 7
    assert Words(a, label_space="imagenet-1k", numbers="imagenet-1k").place(str(kept[7])) == 7
    wnids = LABEL_SPACES.get("imagenet-1k").wnids or ()
    assert Words(a, label_space="imagenet-1k").place(wnids[kept[11]]) == 11
