"""The temperature undoes too much, or too little, confidence; and never makes a model certain."""

from __future__ import annotations

import pytest
import torch

from pipeline.model.calibrate import FEWEST, LEAST, fit_temperature
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
