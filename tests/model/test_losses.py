"""The losses: the mean cross-entropy, and minus the logarithm of how likely the labels are."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.labels import likelihood
from pipeline.model.losses import loss_and_error, losses_of, targets_of
from pipeline.predict import NONE, SEVERAL, Outputs

SIGMOID, SOFTMAX = Outputs("sigmoid", several=True), Outputs()
CLASSES = ("cat", "dog", "owl")


def test_the_loss_is_the_mean_cross_entropy() -> None:
    logits = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    loss, wrong = loss_and_error(logits, torch.tensor([0, 1]), SOFTMAX)
    assert loss == pytest.approx((0.693147 + 2.126928) / 2, abs=1e-5) and wrong == 0.5


@given(st.lists(st.lists(st.floats(-8, 8, width=32), min_size=3, max_size=3), min_size=1, max_size=6), st.data())
def test_the_loss_is_minus_the_logarithm_of_the_likelihood(rows: list[list[float]], data: st.DataObject) -> None:
    logits = torch.tensor(rows, dtype=torch.float64)
    for outputs in (SOFTMAX, SIGMOID):
        sets = st.sets(st.sampled_from(CLASSES), max_size=3) if outputs is SIGMOID else st.sampled_from(CLASSES)
        drawn = [data.draw(sets) for _ in rows]
        labels = [one if isinstance(one, str) else SEVERAL.join(sorted(one)) or NONE for one in drawn]
        losses = losses_of(logits, targets_of(labels, CLASSES, outputs), outputs)
        likely = likelihood(labels, outputs.probabilities(logits).numpy(), CLASSES, outputs)
        np.testing.assert_allclose(losses.numpy(), -np.log(likely), rtol=1e-6, atol=1e-9)


def test_label_smoothing_doubts_both_answers() -> None:
    logits, targets = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]])
    p = torch.sigmoid(logits[0]).tolist()
    expected = -(0.9 * math.log(p[0]) + 0.1 * math.log(1 - p[0]) + 0.1 * math.log(p[1]) + 0.9 * math.log(1 - p[1]))
    assert float(losses_of(logits, targets, SIGMOID, 0.2)) == pytest.approx(expected, rel=1e-5)
