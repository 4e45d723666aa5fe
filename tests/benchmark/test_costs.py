"""What many evaluations cost, by hand."""

from __future__ import annotations

import pytest

from benchmark.costs import ROW, Rates, evaluation_cost


def test_cost_of_two_kinds_of_models_on_two_kinds_of_shifts() -> None:
    rates = Rates(forward={"small": 1000.0, "large": 100.0}, decode=500.0, corrupt=50.0)
    cost = evaluation_cost({"small": 3, "large": 2}, [(10_000, False), (5_000, True)], rates=rates, sharing=4)
    assert cost.evaluations == 10
    assert cost.images == 5 * 15_000
    assert cost.accelerator_hours == pytest.approx((3 * 15_000 / 1000 + 2 * 15_000 / 100) / 3600)
    assert cost.core_hours == pytest.approx(2 * (15_000 / 500 + 5_000 / 50) / 3600), "two groups of models"
    assert cost.prediction_bytes == 75_000 * ROW


def test_what_is_not_known_is_refused() -> None:
    rates = Rates(forward={"small": 1000.0}, decode=500.0)
    with pytest.raises(ValueError, match="perturbed"):
        evaluation_cost({"small": 1}, [(10, True)], rates=rates)
    with pytest.raises(ValueError, match="above 0"):
        evaluation_cost({"small": 1}, [(10, False)], rates=rates, sharing=0)
    with pytest.raises(KeyError):
        evaluation_cost({"huge": 1}, [(10, False)], rates=rates)
