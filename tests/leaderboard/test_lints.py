"""Each lint has a bundle that it flags and that no other lint flags."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from leaderboard.lints import NAMES, Known
from leaderboard.report import VerificationReport
from leaderboard.table import Answers
from leaderboard.verify import verify
from tests.leaderboard.made_bundles import SUITE, answers_of, known, made, network, opened

SHIFTS = ("digits-tinted", "digits/spurious-tint")


def linted(answers: dict[str, Answers], folder: Path, *entries: Known, **card: object) -> VerificationReport:
    report = verify(made(answers, **card).write(folder), known=entries).report
    assert report.passed, [check for check in report.checks if check.status != "passed"]
    assert tuple(lint.name for lint in report.lints) == NAMES
    return report


@pytest.fixture(scope="module")
def entries() -> tuple[Known, ...]:
    return tuple(known(f"rival-{seed}", skill=1.5 + 0.1 * seed, seed=seed) for seed in (1, 2, 3))


def honest(skill: float = 2.0, seed: int = 9) -> dict[str, Answers]:
    return {shift: network(shift, skill=skill, seed=seed) for shift in SHIFTS}


def reordered(answers: Answers, order: np.ndarray) -> Answers:
    """The answers of other rows under the set's ids and labels."""
    probs_of_label = np.where(
        answers.top5[order] == answers.labels[:, None], answers.top5_probability[order], 0
    ).sum(axis=1)
    rest = np.minimum(1e-4, answers.top5_probability[order][:, -1] / 2)
    label = np.where(probs_of_label > 0, probs_of_label, rest)
    return replace(
        answers,
        top5=answers.top5[order],
        top5_probability=answers.top5_probability[order],
        squared_probability_sum=answers.squared_probability_sum[order],
        label_log_probability=np.log(label),
    )


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_a_network_is_flagged_by_nothing(seed: int, entries: tuple[Known, ...], tmp_path: Path) -> None:
    report = linted(honest(1.7 + seed / 10, seed), tmp_path, *entries)
    assert report.flagged == ()
    judged = {lint.name for lint in report.lints if lint.status == "clear"}
    assert {"copy", "independent-errors", "confidence", "off-the-line", "id-order"} <= judged


def test_rows_in_the_order_of_class_folders(entries: tuple[Known, ...], tmp_path: Path) -> None:
    answers = {
        shift: reordered(one, np.argsort(one.labels, kind="stable")) for shift, one in honest().items()
    }
    report = linted(answers, tmp_path, *entries)
    assert report.flagged == ("id-order",)
    detail = next(lint.detail for lint in report.lints if lint.name == "id-order")
    assert "if the rows were sorted by class" in detail


def test_rows_moved_by_one(tmp_path: Path) -> None:
    answers = {shift: reordered(one, np.roll(np.arange(len(one)), 1)) for shift, one in honest().items()}
    report = linted(answers, tmp_path)
    assert report.flagged == ("id-order",)
    assert "moved by 1" in next(lint.detail for lint in report.lints if lint.name == "id-order")


def test_classes_in_another_order(entries: tuple[Known, ...], tmp_path: Path) -> None:
    """As folders "0", "1", "10", ... sorted as text do it to a thousand classes."""
    order = np.array([0, 2, 3, 4, 5, 6, 7, 8, 9, 1])
    answers = {}
    for shift, one in honest().items():
        rng = np.random.default_rng(1)
        truth = opened(shift)
        logits = rng.normal(0, 0.5, (len(one), 10))
        logits[np.arange(len(one)), order[one.top5[:, 0]]] += 3
        assert truth.num_classes == 10
        answers[shift] = answers_of(shift, logits)
    assert linted(answers, tmp_path, *entries).flagged == ("class-order",)


def test_answers_by_chance(entries: tuple[Known, ...], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    answers = {shift: answers_of(shift, 2 * rng.normal(size=(len(opened(shift)), 10))) for shift in SHIFTS}
    assert linted(answers, tmp_path, *entries).flagged == ("near-chance",)


def test_a_softmax_over_more_classes(entries: tuple[Known, ...], tmp_path: Path) -> None:
    """Two fifths of the probability lie on classes that the shift does not have."""
    answers = {
        shift: replace(
            one,
            top5_probability=0.6 * one.top5_probability,
            squared_probability_sum=0.36 * one.squared_probability_sum,
            label_log_probability=one.label_log_probability + np.log(0.6),
        )
        for shift, one in honest().items()
    }
    report = linted(answers, tmp_path, *entries)
    assert report.flagged == ("class-subset",)


@pytest.mark.parametrize("kind", ["constant", "certain", "blind"])
def test_confidence_that_no_network_has(kind: str, entries: tuple[Known, ...], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    answers = {}
    for shift, one in honest(skill=1.0).items():
        n = len(one)
        height = {"constant": np.full(n, 4.0), "certain": np.full(n, 40.0), "blind": 1 + 4 * rng.random(n)}
        logits = np.zeros((n, 10))
        logits[np.arange(n), one.top5[:, 0]] = height[kind]
        logits -= np.arange(10) * 1e-9
        answers[shift] = answers_of(shift, logits)
    assert linted(answers, tmp_path, *entries).flagged == ("confidence",)


def test_an_accuracy_that_no_model_of_the_line_has(entries: tuple[Known, ...], tmp_path: Path) -> None:
    """Nearly perfect on the reference and at 40 % on the shift, erring on the hard examples."""
    answers = {SHIFTS[0]: network(SHIFTS[0], skill=2.5), SHIFTS[1]: network(SHIFTS[1], skill=0.2)}
    assert linted(answers, tmp_path, *entries).flagged == ("off-the-line",)


def test_a_copy(entries: tuple[Known, ...], tmp_path: Path) -> None:
    stolen = {shift: network(shift, skill=1.6, seed=1) for shift in SHIFTS}
    report = linted(stolen, tmp_path, *entries)
    assert report.flagged == ("copy",)
    assert "rival-1--entry" in next(lint.detail for lint in report.lints if lint.name == "copy")
    successor = made(stolen).changed(supersedes="rival-1--entry").write(tmp_path)
    assert verify(successor, known=entries).report.flagged == ()


def test_a_copy_with_one_answer_in_a_hundred_changed(entries: tuple[Known, ...], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    answers = {}
    for shift in SHIFTS:
        one = network(shift, skill=1.6, seed=1)
        top = np.array(one.top5)
        changed = rng.random(len(one)) < 0.01
        top[changed, 0], top[changed, 1] = one.top5[changed, 1], one.top5[changed, 0]
        inside = top == one.labels[:, None]
        label = np.where(inside, one.top5_probability, 0).sum(axis=1)
        log = np.where(inside.any(axis=1), np.log(np.maximum(label, 1e-30)), one.label_log_probability)
        answers[shift] = replace(one, top5=top, label_log_probability=log)
    assert linted(answers, tmp_path, *entries).flagged == ("copy",)


def test_errors_drawn_at_random(entries: tuple[Known, ...], tmp_path: Path) -> None:
    """The right accuracy, plausible confidence, and errors on any example."""
    answers = {}
    for shift, one in honest(skill=1.5).items():
        rng = np.random.default_rng(2)
        truth = opened(shift)
        n = len(truth)
        wrong = rng.random(n) < (~one.correct).mean()
        said = np.where(wrong, (truth.labels + rng.integers(1, 10, n)) % 10, truth.labels)
        logits = rng.normal(0, 0.5, (n, 10))
        logits[np.arange(n), said] += np.where(wrong, 2, 4) + 2 * rng.random(n)
        answers[shift] = answers_of(shift, logits)
    assert linted(answers, tmp_path, *entries).flagged == ("independent-errors",)


def test_the_suite_of_these_tests_has_a_line() -> None:
    from leaderboard.ranking import line

    fit = line(*SHIFTS)
    assert not isinstance(fit, str) and not fit.flags and SHIFTS[0] == SUITE
