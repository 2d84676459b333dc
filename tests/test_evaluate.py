"""Error rates with their intervals, and the predictions table."""

from __future__ import annotations

import pandas as pd
import pytest
import torch

from pipeline.evaluate import error_rate, error_rate_interval, loss_and_error


@pytest.mark.parametrize(
    ("errors", "n", "low", "high"),
    # Newcombe 1998, table I, method 3 (Wilson without continuity correction)
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilsons(errors: int, n: int, low: float, high: float) -> None:
    assert error_rate_interval(errors, n) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_nothing_counted_is_nothing_known() -> None:
    assert error_rate_interval(0, 0) == (0.0, 1.0)
    table = pd.DataFrame({"split": ["valid"], "label": ["a"], "predicted": ["b"]})
    assert error_rate(table, "test") == {"error_rate": None, "low": 0.0, "high": 1.0, "n": 0}
    assert error_rate(table, "valid")["error_rate"] == 1.0


def test_the_loss_is_the_mean_cross_entropy() -> None:
    logits = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    loss, wrong = loss_and_error(logits, torch.tensor([0, 1]))
    assert loss == pytest.approx((0.693147 + 2.126928) / 2, abs=1e-5) and wrong == 0.5
