"""The temperature undoes too much or too little confidence; no threshold is better than the one that is chosen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.calibrate import FEWEST, GRID, LEAST, USUAL, choose, fit_temperature
from pipeline.predict import Outputs

SOFTMAX, SIGMOID = Outputs(), Outputs("sigmoid", several=True)


def drawn(rows: int = 4000, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that say exactly how likely their targets are."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(rows, classes, generator=generator)
    return logits, torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("factor", [0.4, 1.0, 3.0])
def test_logits_that_were_multiplied_are_divided_again(factor: float) -> None:
    logits, targets = drawn()
    assert fit_temperature(logits * factor, targets, SOFTMAX) == pytest.approx(factor, rel=0.1)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_each_class_by_itself_too(factor: float) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(4000, 3, generator=generator)
    flags = torch.bernoulli(logits.sigmoid(), generator=generator)
    assert fit_temperature(logits * factor, flags, SIGMOID) == pytest.approx(factor, rel=0.1)


def test_a_model_that_is_always_right_is_not_made_certain() -> None:
    targets = torch.arange(20) % 2
    logits = torch.nn.functional.one_hot(targets, 2).float() * 3
    found = fit_temperature(logits, targets, SOFTMAX)
    sure = float(Outputs(temperature=found).probabilities(logits).max())
    assert found >= LEAST and 0.9 < sure < 0.99


def test_a_few_pictures_say_nothing_and_odd_logits_do_no_harm() -> None:
    logits, targets = drawn(FEWEST - 1)
    assert fit_temperature(logits * 9, targets, SOFTMAX) == 1.0
    flat = torch.zeros(30, 3)
    assert 0 < fit_temperature(flat, torch.arange(30) % 3, SOFTMAX) < float("inf")
    wild = torch.full((30, 3), float("nan"))
    assert fit_temperature(wild, torch.arange(30) % 3, SOFTMAX) == 1.0


def test_the_threshold_has_the_best_f1_and_lies_in_the_middle_of_those_that_do() -> None:
    likely = np.array([[0.9], [0.8], [0.7], [0.32], [0.2], [0.1]])
    there = np.array([[True], [True], [True], [False], [False], [False]])
    (one,) = choose(there, likely, ["cat"])
    assert 0.32 < one.threshold <= 0.7 and abs(one.threshold - 0.5) < 0.1 and one.chosen
    assert (one.precision, one.recall, one.f1, one.n) == (1.0, 1.0, 1.0, 3)
    assert [point[0] for point in one.curve] == GRID.tolist() and one.curve[0][1] == 0.5


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=40))
def test_no_threshold_of_the_curve_is_better_than_the_chosen_one(rows: list[tuple[bool, float]]) -> None:
    there, likely = (np.array(column)[:, None] for column in zip(*rows, strict=True))
    (one,) = choose(there, likely, ["cat"])
    assert one.n == there.sum() and one.chosen == (one.n >= 3)
    assert one.threshold == USUAL if not one.chosen else one.f1 == max(f1 for *_, f1 in one.curve)
    for threshold, precision, recall, f1 in one.curve:
        assert 0 <= precision <= 1 and 0 <= recall <= 1 and 0 <= f1 <= 1
        if precision + recall and (likely >= threshold).any():
            assert f1 == pytest.approx(2 * precision * recall / (precision + recall))
