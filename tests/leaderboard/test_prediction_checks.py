"""Each check of tables, digests and rows has bundles that fail it and no other."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leaderboard.container import write_zip
from leaderboard.table import Answers, decode, encode, look
from shifts.errors import ResultsError
from tests.leaderboard.checked_bundles import TABLE, failed, honest
from tests.leaderboard.made_bundles import Made, network, opened, tampered

__all__ = ["honest"]  # the fixture, found by its name

# Integrity and tables ----------------------------------------------------------------------------------


def test_other_bytes_than_listed(honest: Made, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    other = encode(network("digits/spurious-tint", skill=1.9))
    write_zip(path, {**honest.members(), TABLE: other})
    assert failed(path)[0] == {"integrity"}


def _listed(bundle: Made, data: bytes) -> Made:
    import hashlib

    changed = bundle.claim(sha256=hashlib.sha256(data).hexdigest())
    changed.files[TABLE] = data
    return changed


def _parquet(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def _table(honest: Made) -> pa.Table:
    return pq.read_table(io.BytesIO(honest.files[TABLE]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop_columns(["label"]), "no column 'label'"),
        (lambda t: t.append_column("logits", t.column("label")), "unknown column 'logits'"),
        (lambda t: t.set_column(1, "label", t.column("label").cast(pa.int64())), "is int64"),
        (lambda t: t.set_column(1, "label", pa.nulls(len(t), pa.uint16())), "missing values"),
    ],
)
def test_a_table_of_other_columns(
    change: Callable[[pa.Table], pa.Table], said: str, honest: Made, tmp_path: Path
) -> None:
    names, detail = failed(_listed(honest, _parquet(change(_table(honest)))).write(tmp_path))
    assert names == {"tables"} and said in detail


@pytest.mark.parametrize("data", [b"", b"PAR1" * 4, pickle.dumps([1]), b"PAR1" + b"\xff" * 100 + b"PAR1"])
def test_no_table_at_all(data: bytes, honest: Made, tmp_path: Path) -> None:
    assert failed(_listed(honest, data).write(tmp_path).rename(tmp_path / "x.zip"))[0] == {"tables"}


def test_a_table_cut_or_damaged_anywhere_is_no_crash(honest: Made) -> None:
    data = honest.files[TABLE]
    rng = np.random.default_rng(0)
    for _ in range(150):
        broken = bytearray(data)
        for place in rng.integers(0, len(data), 3):
            broken[place] ^= 1 << int(rng.integers(8))
        if not look(bytes(broken)):
            with suppress(ResultsError):
                decode(bytes(broken))
        assert look(data[: int(rng.integers(len(data)))])


def test_a_column_that_unpacks_to_much_is_seen_in_its_pages(honest: Made, tmp_path: Path) -> None:
    """600 ids of 100 kB that compress to nothing: 60 MB in a file of a few kB."""
    table = _table(honest).set_column(0, "example_id", pa.array(["x" * 100_000] * 597))
    data = _parquet(table, compression="zstd", use_dictionary=False)
    assert len(data) < 100_000
    names, detail = failed(_listed(honest, data).write(tmp_path))
    assert names == {"tables"} and "unpacks to" in detail


# Suite and digests -------------------------------------------------------------------------------------


def test_a_suite_that_is_not_whole(honest: Made, tmp_path: Path) -> None:
    from leaderboard.suites import protocol_digest, suite_digest
    from shifts.spec import SHIFTS

    first = honest.manifest.shifts[0]
    partial = honest.changed(
        shifts=(first,),
        suite_digest=suite_digest({first.shift: first.shift_digest}),
        protocol_digest=protocol_digest([SHIFTS.get(first.shift)]),
    )
    del partial.files[TABLE]
    names, detail = failed(partial.write(tmp_path))
    assert names == {"suite"} and "lacks digits/spurious-tint" in detail
    limited = honest.claim(warnings=("limited: 100 examples, a fixed pseudo-random choice",))
    assert failed(limited.write(tmp_path))[0] == {"suite"}


def test_digests_of_other_data_and_of_another_definition_are_told_apart(honest: Made, tmp_path: Path) -> None:
    from leaderboard.suites import suite_digest
    from shifts.spec import SHIFTS

    def with_digest(content: str, digest: str) -> Made:
        digests = {claim.shift: claim.shift_digest for claim in honest.manifest.shifts}
        digests["digits/spurious-tint"] = digest
        changed = honest.changed(suite_digest=suite_digest(digests))
        return changed.claim(content=content, shift_digest=digest)

    other = "ab" * 32
    data = with_digest(other, SHIFTS.get("digits/spurious-tint").digest(other))
    names, detail = failed(data.write(tmp_path))
    assert names == {"digests"} and "measured on data abababab" in detail
    names, detail = failed(with_digest(honest.manifest.shifts[1].content, other).write(tmp_path))
    assert names == {"digests"} and "not how this version defines" in detail
    assert failed(honest.changed(suite_digest=other).write(tmp_path))[0] == {"digests"}
    assert failed(honest.changed(protocol_digest=other).write(tmp_path))[0] == {"digests"}


# Rows --------------------------------------------------------------------------------------------------


def rows(keep: Any) -> Callable[[Answers], Answers]:
    def change(answers: Answers) -> Answers:
        index = np.asarray(keep(len(answers)))
        return Answers(
            example_ids=[answers.example_ids[row] for row in index.tolist()],
            labels=answers.labels[index],
            top5=answers.top5[index],
            top5_probability=answers.top5_probability[index],
            label_log_probability=answers.label_log_probability[index],
            squared_probability_sum=answers.squared_probability_sum[index],
            groups={name: values[index] for name, values in answers.groups.items()},
        )

    return change


def _renamed(answers: Answers) -> Answers:
    return replace(answers, example_ids=["9999", *answers.example_ids[1:]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rows(lambda n: range(1, n)), "1 ids missing"),
        (rows(lambda n: [*range(n), 5]), "1 ids there twice"),
        (rows(lambda n: range(n)[::-1]), "another order"),
        (_renamed, "1 ids not of the set, first '9999'"),
    ],
)
def test_ids_that_are_not_the_sets(change: Callable[[Answers], Answers], said: str, tmp_path: Path) -> None:
    names, detail = failed(tampered(change).write(tmp_path))
    assert names == {"ids"} and said in detail


def test_a_number_of_rows_that_was_not_claimed(honest: Made, tmp_path: Path) -> None:
    assert failed(honest.claim(n=596).write(tmp_path))[0] == {"ids"}


def _set(name: str, row: int, value: Any) -> Callable[[Answers], Answers]:
    def change(answers: Answers) -> Answers:
        values = np.array(getattr(answers, name))
        values[row] = value
        return replace(answers, **{name: values})

    return change


def test_other_labels(tmp_path: Path) -> None:
    truth = opened("digits/spurious-tint")
    names, detail = failed(tampered(_set("labels", 3, (truth.labels[3] + 1) % 10)).write(tmp_path))
    assert names == {"labels"} and repr(truth.example_ids[3]) in detail


def test_other_groups(honest: Made, tmp_path: Path) -> None:
    def change(answers: Answers) -> Answers:
        return replace(answers, groups={**answers.groups, "tint": 1 - answers.groups["tint"]})

    assert failed(tampered(change).write(tmp_path))[0] == {"groups"}
    columns = {**honest.manifest.shifts[1].group_columns, "tint": ("agrees", "differs")}
    assert failed(honest.claim(group_columns=columns).write(tmp_path))[0] == {"groups"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("top5_probability", (0, 0), np.nan), "no number"),
        (_set("top5_probability", (0, 0), -0.5), "outside [0, 1]"),
        (_set("top5_probability", (0, 0), 1.5), "outside [0, 1]"),
        (_set("label_log_probability", 0, 0.5), "outside [0, 1]"),
        (_set("top5_probability", 0, [0.1, 0.2, 0.3, 0.2, 0.1]), "do not fall"),
        (_set("top5_probability", 0, [0.9, 0.5, 0.1, 0.1, 0.1]), "more than 1"),
        (_set("top5", 0, [1, 1, 2, 3, 4]), "one class twice"),
        (_set("top5", (0, 4), 10), "beyond the 10"),
        (_set("squared_probability_sum", 0, 0.0), "cannot be"),
        (_set("squared_probability_sum", 0, 1.5), "cannot be"),
        (_set("label_log_probability", 0, np.log(0.01)), "differs"),
    ],
)
def test_probabilities_that_cannot_be(
    change: Callable[[Answers], Answers], said: str, tmp_path: Path
) -> None:
    names, detail = failed(tampered(change).write(tmp_path))
    assert names == {"probabilities"} and said in detail


def test_a_claim_that_the_predictions_do_not_give(honest: Made, tmp_path: Path) -> None:
    claim = honest.manifest.shifts[-1]
    accuracy = claim.metrics["accuracy"]
    assert accuracy is not None
    one_more = replace(accuracy, value=accuracy.value + 1 / 597, high=min(1.0, accuracy.high + 0.01))
    names, detail = failed(honest.claim(metrics={**claim.metrics, "accuracy": one_more}).write(tmp_path))
    assert names == {"metrics"} and "accuracy.value" in detail
    for metrics in ({**claim.metrics, "mine": accuracy}, {**claim.metrics, "nll": None}, {}):
        assert failed(honest.claim(metrics=metrics).write(tmp_path))[0] == {"metrics"}


def test_a_worst_group_that_is_too_small_or_not_the_worst(honest: Made, tmp_path: Path) -> None:
    names, detail = failed(honest.claim(worst_group="class=0, tint=agrees (n=6)").write(tmp_path))
    assert names == {"group-sizes"} and "fewer than 10" in detail
    assert failed(honest.claim(worst_group="class=3, tint=differs (n=55)").write(tmp_path))[0] == {
        "group-sizes"
    }
