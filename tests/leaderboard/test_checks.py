"""Each check has bundles that fail it and no other."""

from __future__ import annotations

import io
import json
import pickle
import stat
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from leaderboard.container import MANIFEST, UNPACKED_BYTES, write_zip
from leaderboard.manifest import Manifest
from leaderboard.table import Answers, decode, encode, look
from leaderboard.verify import CHECKS, verify
from shifts.errors import ResultsError
from tests.leaderboard.made_bundles import Made, made, network, opened, tampered

TABLE = "predictions/digits--spurious-tint.parquet"


@pytest.fixture(scope="module")
def honest() -> Made:
    return made()


def failed(bundle: Path) -> tuple[set[str], str]:
    """Names of the failed checks, and their details."""
    report = verify(bundle).report
    assert tuple(check.name for check in report.checks) == CHECKS
    bad = [check for check in report.checks if check.status == "failed"]
    assert report.passed == (not bad)
    return {check.name for check in bad}, "; ".join(check.detail for check in bad)


def test_an_honest_bundle_passes_as_zip_and_as_folder(honest: Made, tmp_path: Path) -> None:
    zipped = verify(honest.write(tmp_path)).report
    assert zipped.passed and zipped.tier == "re-scored" and zipped.flagged == ()
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    assert verify(honest.folder(unpacked)).report == replace(
        zipped, checks=verify(honest.folder(unpacked)).report.checks
    )
    assert verify(unpacked).report.bundle == zipped.bundle


def test_nothing_at_the_path(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="no bundle"):
        verify(tmp_path / "nowhere.zip")


# Sizes -------------------------------------------------------------------------------------------------


def test_a_bomb_is_seen_before_it_is_unpacked(
    honest: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, honest.members()[MANIFEST])
        with archive.open(TABLE, "w", force_zip64=True) as stream:
            for _ in range(UNPACKED_BYTES // 1_000_000 + 2):
                stream.write(bytes(1_000_000))
    assert path.stat().st_size < 200_000
    monkeypatch.setattr(zipfile.ZipFile, "open", None)  # any attempt to read a member fails the test
    names, detail = failed(path)
    assert names == {"sizes"}
    assert "130.0 MB" in detail


def test_too_large_too_many(honest: Made, tmp_path: Path) -> None:
    large = tmp_path / "large.zip"
    with large.open("wb") as stream:
        stream.truncate(26_000_000)
    assert failed(large)[0] == {"sizes"}
    many = tmp_path / "many.zip"
    write_zip(many, {f"predictions/x{number}.parquet": b"" for number in range(600)})
    assert failed(many)[0] == {"sizes"}


def test_a_size_that_lies(honest: Made, tmp_path: Path) -> None:
    """The list of members says 10 bytes; unpacking stops there, and the damage is named."""
    path = honest.write(tmp_path)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(TABLE).file_size
    at = data.rindex(TABLE.encode()) - 46
    assert int.from_bytes(data[at + 24 : at + 28], "little") == size
    data[at + 24 : at + 28] = (10).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    assert failed(path)[0] == {"integrity"}


# Files -------------------------------------------------------------------------------------------------


class Payload:
    def __reduce__(self) -> tuple[Any, ...]:
        raise AssertionError("never pickled")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("notes.txt", "not a file of a bundle"),
        ("../../etc/cron.d/x", "points outside"),
        ("/etc/passwd", "points outside"),
        ("C:\\x", "points outside"),
        ("predictions\\..\\..\\x", "points outside"),
        ("predictions/x.pkl", "pickled"),
        ("weights.pt", "pickled"),
        ("predictions/digits--pad.parquet", "not listed"),
        ("predictions/DIGITS.parquet", "not a file of a bundle"),
        ("x" * 5000, "not a file of a bundle"),
    ],
)
def test_a_file_that_does_not_belong(name: str, said: str, honest: Made, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    write_zip(path, {**honest.members(), name: pickle.dumps({"x": 1})})
    names, detail = failed(path)
    assert names == {"files"}
    assert said in detail and len(detail) < 1000


def test_links_are_not_followed(honest: Made, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(honest.files[TABLE])
    folder = honest.folder(tmp_path / "bundle")
    (folder / TABLE).unlink()
    (folder / TABLE).symlink_to(secret)
    names, detail = failed(folder)
    assert names == {"files"} and "a link" in detail
    path = honest.write(tmp_path)
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("predictions/more.parquet")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    names, detail = failed(path)
    assert names == {"files"} and "a link" in detail


def test_a_member_twice_and_no_zip_at_all(honest: Made, tmp_path: Path) -> None:
    path = honest.write(tmp_path)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning):
        archive.writestr(MANIFEST, "{}")
    assert failed(path)[0] == {"files"}
    path.write_bytes(pickle.dumps([1, 2, 3]))
    assert failed(path)[0] == {"files"}


def test_a_listed_file_that_is_missing(honest: Made, tmp_path: Path) -> None:
    members = honest.members()
    del members[TABLE]
    path = tmp_path / "bundle.zip"
    write_zip(path, members)
    names, detail = failed(path)
    assert names == {"files"} and "not there" in detail


# Schema ------------------------------------------------------------------------------------------------


def _document(edit: Callable[[dict[str, Any]], Any]) -> Callable[[Made], bytes]:
    def change(bundle: Made) -> bytes:
        document = json.loads(bundle.manifest.to_json())
        edit(document)
        return json.dumps(document).encode()

    return change


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda d: d.update(surprise=1), "unknown field 'surprise'"),
        (lambda d: d.pop("contact"), "no field 'contact'"),
        (lambda d: d.update(contact=" "), "contact is empty"),
        (lambda d: d.update(schema_version=99), "schema 99"),
        (lambda d: d["model"].update(parameters="many"), "expected int"),
        (lambda d: d["model"].update(parameters=True), "expected int"),
        (lambda d: d["model"].update(training_data=["my photos"]), "vocabulary"),
        (lambda d: d["model"].update(family="best"), "family"),
        (lambda d: d["model"].update(title="a" * 501), "501 characters"),
        (lambda d: d["model"].update(title="evil\u202etxt"), "control characters"),
        (lambda d: d["model"].update(title="a\ud800"), "control characters"),
        (lambda d: d["model"].update(paper="javascript:alert(1)"), "not a link"),
        (lambda d: d["model"].update(weights="abc"), "SHA-256"),
        (lambda d: d["model"].update(name="../../x y"), "model.name"),
        (lambda d: d["model"].update(label_space="imagenet-1k"), "asks for classes"),
        (lambda d: d["shifts"][0].update(n=0), "at least 1"),
        (lambda d: d["shifts"][0]["metrics"]["accuracy"].pop("low"), "not an estimate"),
    ],
)
def test_a_manifest_that_breaks_the_schema(
    edit: Callable[[dict[str, Any]], Any], said: str, honest: Made, tmp_path: Path
) -> None:
    path = tmp_path / "bundle.zip"
    write_zip(path, {**honest.members(), MANIFEST: _document(edit)(honest)})
    names, detail = failed(path)
    assert names == {"schema"}
    assert said in detail


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff\xfe", b"{" * 100_000, b'{"schema_version": NaN}'])
def test_no_manifest_at_all(text: bytes, honest: Made, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    write_zip(path, {**honest.members(), MANIFEST: text})
    assert failed(path)[0] == {"schema"}


def test_script_in_every_text_is_text(tmp_path: Path) -> None:
    """It is taken as it is: whoever shows it escapes it."""
    script = "<script>alert(1)</script>"
    bundle = made(title=script, licence=script, citation=script, source=script, authors=(script,))
    verified = verify(bundle.changed(contact=script).write(tmp_path))
    assert verified.report.passed and verified.manifest is not None
    assert verified.manifest.model.title == script


def test_the_manifest_survives_its_file(honest: Made) -> None:
    assert Manifest.from_json(honest.manifest.to_json()) == honest.manifest


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
