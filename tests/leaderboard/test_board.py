"""The board: entries that are only added, a chain that shows any change, ranks, reproductions."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import run
from benchmark.store import Store
from leaderboard.board import Board
from leaderboard.claimed import claimed_rows
from leaderboard.log import START, parse
from leaderboard.ranking import board_document, rank
from leaderboard.submission import choose
from shifts.errors import CorruptDataError, ResultsError, UnknownNameError
from shifts.spec import SHIFTS
from tests.leaderboard.made_bundles import made, network

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SHIFT_NAMES = ("digits-tinted", "digits/spurious-tint")


def bundle(folder: Path, model: str, *, skill: float, seed: int, supersedes: str | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    answers = {shift: network(shift, skill=skill, seed=seed) for shift in SHIFT_NAMES}
    return made(answers, model=model).changed(supersedes=supersedes).write(folder)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("board")
    board = Board(root / "entries")
    for place, (model, skill) in enumerate((("weak", 1.2), ("strong", 2.6), ("twin", 2.58))):
        path = bundle(root / model, model, skill=skill, seed=place + 20)
        board.add(path, now=NOW, nonce=f"{place:032d}")
    return board.folder


@pytest.fixture
def board(filled: Path, tmp_path: Path) -> Board:
    shutil.copytree(filled, tmp_path / "entries")
    return Board(tmp_path / "entries")


def test_a_board_is_sound_and_its_files_are_few(board: Board) -> None:
    assert board.check() == []
    assert [line.event for line in board.log()] == ["add"] * 3
    first = board.entries()[0]
    assert first.tier == "re-scored" and first.status == "active" and first.ranked
    assert first.entry.id.startswith("weak--digits-tinted--")
    names = {path.name for path in (board.folder / first.entry.id).iterdir()}
    assert names == {"entry.json", "report.json", "bundle.zip"}


def test_the_same_bundles_give_the_same_bytes(board: Board, tmp_path: Path) -> None:
    other = Board(tmp_path / "again")
    for place, model in enumerate(("weak", "strong", "twin")):
        path = bundle(tmp_path / model, model, skill=(1.2, 2.6, 2.58)[place], seed=place + 20)
        other.add(path, now=NOW, nonce=f"{place:032d}")
    assert other.log_path.read_bytes() == board.log_path.read_bytes()
    assert other.head == board.head


@pytest.mark.parametrize("name", ["entry.json", "report.json", "bundle.zip"])
def test_a_changed_byte_is_named(name: str, board: Board) -> None:
    path = board.folder / board.entries()[1].entry.id / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    (problem,) = board.check()
    assert problem == f"{path.parent.name}/{name} is not the file that the log lists (SHA-256)"


def test_a_missing_and_a_smuggled_file_are_named(board: Board) -> None:
    entry = board.entries()[0].entry.id
    (board.folder / entry / "report.json").unlink()
    (board.folder / "extra--entry").mkdir()
    (board.folder / "extra--entry" / "entry.json").write_text("{}")
    assert board.check() == [f"{entry}/report.json is missing", "extra--entry/entry.json is not in the log"]


def test_every_change_of_the_log_breaks_the_chain(board: Board) -> None:
    text = board.log_path.read_text()
    lines = text.splitlines(keepends=True)
    rng = np.random.default_rng(0)
    for _ in range(40):
        data = bytearray(text.encode())
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(7))
        board.log_path.write_bytes(bytes(data))
        assert board.check(), data
    for changed in (lines[1:], [lines[1], lines[0], lines[2]], [lines[0], lines[2]], lines + lines[-1:]):
        board.log_path.write_text("".join(changed))
        assert board.check()
        with pytest.raises(CorruptDataError):
            board.entries()


def test_a_tail_that_was_cut_off_is_seen_by_who_keeps_the_head(board: Board) -> None:
    head = board.head
    lines = board.log_path.read_text().splitlines(keepends=True)
    board.log_path.write_text("".join(lines[:-1]))
    shutil.rmtree(board.folder / parse(board.log_path)[0].entry.replace("weak", "none"), ignore_errors=True)
    last = json.loads(lines[-1])["entry"]
    assert any("is not in the log" in problem for problem in board.check())
    shutil.rmtree(board.folder / last)
    assert board.check() == []
    assert any(head in problem for problem in board.check(head=head))


def test_withdrawn_and_superseded_entries_stay_visible(board: Board, tmp_path: Path) -> None:
    weak, strong, twin = (one.entry.id for one in board.entries())
    gone = board.withdraw(strong, "trained on the test set", now=NOW)
    assert (gone.status, gone.reason) == ("withdrawn", "trained on the test set")
    with pytest.raises(ResultsError, match="withdrawn already"):
        board.withdraw(strong, "again")
    better = bundle(tmp_path / "new", "weak", skill=1.5, seed=20, supersedes=weak)
    newer = board.add(better, now=NOW, nonce="9" * 32, accept={"copy": "the same recipe"})
    assert board.get(weak).status == "superseded" and board.get(weak).reason == newer.entry.id
    (suite,) = board_document(board, claimed=False)["suites"]
    assert {row["entry"]: row["rank"] is not None for row in suite["rows"]} == {
        twin: True,
        newer.entry.id: True,
        weak: False,
        strong: False,
    }
    assert board.check() == []


def test_what_is_refused(board: Board, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="copy"):
        board.add(bundle(tmp_path / "x", "thief", skill=1.2, seed=20))
    with pytest.raises(ResultsError, match="on the board already"):
        board.add(board.bundle(board.entries()[0].entry.id), accept={"copy": "it is the same"})
    with pytest.raises(ResultsError, match="not on the board"):
        board.add(bundle(tmp_path / "y", "late", skill=1.9, seed=77, supersedes="nobody--x--00000000"))
    with pytest.raises(ResultsError, match="one model does not replace another"):
        other = board.entries()[0].entry.id
        board.add(bundle(tmp_path / "z", "late", skill=1.9, seed=77, supersedes=other))
    forged = made().claim(n=1).write(tmp_path)
    with pytest.raises(ResultsError, match="not admitted: ids"):
        board.add(forged)
    with pytest.raises(UnknownNameError, match="several entries"):
        board.get("")
    assert len(board.log()) == 3 and board.check() == []


def test_another_revision_makes_old_rows_incomparable(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    spec = SHIFTS.get("digits/spurious-tint")
    monkeypatch.setitem(SHIFTS._entries, spec.name, replace(spec, version=spec.version + 1))
    standing = board.entries()[0]
    assert not standing.ranked and set(standing.incomparable) == {spec.name}
    (suite,) = board_document(board, claimed=False)["suites"]
    assert [row["rank"] for row in suite["rows"]] == [None, None, None]
    assert board.check() == []


def test_ranks_agree_with_a_bootstrap_written_out(board: Board) -> None:
    standings = board.entries()
    ranks = rank(board, standings)
    places = {name.partition("--")[0]: one for name, one in ranks.items()}
    assert (places["weak"].rank, places["weak"].low, places["weak"].high) == (3, 3, 3)
    assert {places["strong"].rank, places["twin"].rank} == {1, 2}
    assert (places["twin"].low, places["twin"].high) == (1, 2)
    (weak,) = (one.entry.id for one in standings if one.entry.model.name == "weak")
    answers = board.answers(weak, "digits/spurious-tint")
    assert answers is not None
    right = answers.correct
    rng = np.random.default_rng(3)
    means = [right[rng.integers(0, len(right), len(right))].mean() for _ in range(4000)]
    low, high = np.quantile(means, [0.025, 0.975])
    score = ranks[weak].score
    assert score.value == right.mean()
    assert score.low == pytest.approx(low, abs=0.006) and score.high == pytest.approx(high, abs=0.006)


def test_right_answers_read_alone_are_those_of_all_that_is_read(board: Board) -> None:
    for one in board.entries():
        for shift in one.entry.shifts:
            whole, alone = (
                board.answers(one.entry.id, shift.shift),
                board.right_answers(one.entry.id, shift.shift),
            )
            assert whole is not None and alone is not None
            assert 0 < alone.mean() < 1
            np.testing.assert_array_equal(alone, whole.correct)
    assert board.right_answers(board.entries()[0].entry.id, "cifar10.1") is None


def test_published_numbers_are_claims_with_their_source() -> None:
    rows = list(claimed_rows(shift="cifar10.1/v6"))
    assert len(rows) == 30
    assert {row.to_json()["tier"] for row in rows} == {"claimed"}
    assert all(row.publisher and row.source and row.revision for row in rows)
    assert not list(claimed_rows(shift="digits"))


def test_the_shipped_board_is_sound() -> None:
    board = Board()
    assert board.check() == []
    assert board.head != START
    size = sum(path.stat().st_size for path in board.folder.rglob("*") if path.is_file())
    assert size < 3_000_000


def test_from_evaluation_to_reproduction_by_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, entries = tmp_path / "results", str(tmp_path / "entries")

    def command(*arguments: str) -> tuple[int, str]:
        code = run(list(arguments))
        return code, capsys.readouterr().out

    assert command("eval", "-m", "toy-oracle", "--suite", "toy", "--results", str(results))[0] == 0
    submit = ("submit", str(results), "-m", "toy-oracle", "-o", str(tmp_path / "out"))
    assert command(*submit)[0] == 2  # nobody says how to reach him
    contact = ("--contact", "a@example.org", "--author", "A", "--training-data", "unknown")
    code, text = command(*submit, *contact, "--json")
    made_of = json.loads(text)
    assert (
        code == 0 and made_of["report"]["passed"] and Path(made_of["path"]).stat().st_size == made_of["bytes"]
    )
    flagged = made_of["report"]["flagged"]
    code, text = command("leaderboard", "verify", made_of["path"], "--board", entries)
    assert code == 0 and "re-scored" in text
    accept = [
        option for name in flagged for option in ("--accept", f"{name}=it reads the label off the image")
    ]
    code, text = command("leaderboard", "add", made_of["path"], "--board", entries, *accept, "--json")
    assert code == 0
    entry = json.loads(text)["entry"]
    code, text = command("leaderboard", "reproduce", entry, "--board", entries, "--examples", "20")
    assert code == 0 and "spot-reproduced" in text
    assert Board(Path(entries)).get(entry).tier == "spot-reproduced"
    code, text = command("leaderboard", "reproduce", entry, "--board", entries, "--all")
    assert code == 0 and Board(Path(entries)).get(entry).tier == "reproduced"
    code, text = command("leaderboard", "check", "--board", entries)
    assert code == 0 and "1 entries" in text
    code, text = command("leaderboard", "show", "--board", entries)
    assert code == 0 and "reproduced" in text
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"no zip")
    assert command("leaderboard", "verify", str(broken), "--board", entries)[0] == 1
    assert command("leaderboard", "verify", str(tmp_path / "none.zip"), "--board", entries)[0] == 2
    (Path(entries) / entry / "entry.json").write_text("{}")
    assert command("leaderboard", "check", "--board", entries)[0] == 1


def test_forged_predictions_do_not_come_out_again(tmp_path: Path) -> None:
    """The bundle names a model that gives other answers on a tenth of the examples."""
    from dataclasses import replace

    from benchmark.planning import contestant
    from leaderboard.reproduce import reproduce
    from leaderboard.suites import suite_shifts
    from models_zoo.spec import MODELS
    from tests.leaderboard.made_bundles import answers_of, opened

    one = contestant(MODELS.get("toy-oracle"), weights=None)
    answers = {}
    for spec in suite_shifts("toy"):
        truth = opened(spec.name)
        said = np.where(np.arange(len(truth)) % 10 == 0, (truth.labels + 1) % truth.num_classes, truth.labels)
        logits = np.random.default_rng(0).normal(size=(len(truth), truth.num_classes))
        logits[np.arange(len(truth)), said] += 6
        answers[spec.name] = answers_of(spec.name, logits)
    forged = made(answers, suite="toy", model="toy-oracle")
    claims = tuple(replace(claim, model_digest=one.digest_in("toy")) for claim in forged.manifest.shifts)
    board = Board(tmp_path / "entries")
    everything = dict.fromkeys(("confidence", "id-order", "class-order", "independent-errors"), "a test")
    entry = board.add(forged.changed(shifts=claims).write(tmp_path), accept=everything).entry.id
    again = reproduce(board, entry, one, n=60, device="cpu")
    assert again.tier is None and again.agreement.value < 0.98
    assert board.record(entry, again.to_json().encode(), tier=again.tier).tier == "re-scored"
    assert board.check() == []


def test_which_suite_is_meant(tmp_path: Path) -> None:
    assert run(["eval", "-m", "constant", "--shift", "toy", "--results", str(tmp_path)]) == 0
    with pytest.raises(ResultsError, match="not complete: toy/tint"):
        choose(Store(tmp_path), "constant", "toy")
    assert run(["eval", "-m", "constant", "--suite", "toy", "--results", str(tmp_path)]) == 0
    name, chosen = choose(Store(tmp_path), "constant", None)
    assert name == "toy" and len(chosen) == 2
    with pytest.raises(ResultsError, match="no finished evaluation of 'other'"):
        choose(Store(tmp_path), "other", None)
    limited = tmp_path / "limited"
    assert run(["eval", "-m", "constant", "--suite", "toy", "--results", str(limited), "--limit", "20"]) == 0
    with pytest.raises(ResultsError, match="not evaluated whole"):
        choose(Store(limited), "constant", "toy")
