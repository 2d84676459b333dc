"""Labels as numbers, the losses on them, and the thresholds of a sigmoid head."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.labels import answered, answers_of, as_flags, classes_of, known, likelihood
from pipeline.model.calibrate import GRID, USUAL, choose
from pipeline.model.losses import loss_and_error, losses_of, shares_of, targets_of
from pipeline.predict import NONE, SEVERAL, Outputs

SIGMOID, ONE, SOFTMAX = Outputs("sigmoid", several=True), Outputs("sigmoid"), Outputs()
CLASSES = ("cat", "dog", "owl")


def test_the_sign_between_labels_is_that_of_the_store() -> None:
    assert SEVERAL == "|"


def test_classes_are_what_labels_name_and_none_is_one_with_softmax_only() -> None:
    labels = ["dog|cat", "owl", NONE, "cat"]
    assert classes_of(labels, SIGMOID) == CLASSES and answers_of(CLASSES, SIGMOID) == (*CLASSES, NONE)
    assert classes_of(["dog", NONE], SOFTMAX) == ("dog", NONE) == answers_of(("dog", NONE), SOFTMAX)


def test_labels_become_numbers() -> None:
    labels = ["owl|cat", NONE, "dog"]
    assert as_flags(labels, CLASSES).tolist() == [[True, False, True], [False] * 3, [False, True, False]]
    assert targets_of(labels, CLASSES, SIGMOID).tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert targets_of(["owl", "dog"], CLASSES, SOFTMAX).tolist() == [2, 1]
    assert shares_of(torch.tensor([2, 1]), 3).tolist() == [[0, 0, 1], [0, 1, 0]]
    assert known(["cat|owl", NONE, "cat|yak"], answers_of(CLASSES, SIGMOID)).tolist() == [True, True, False]
    assert known([NONE], CLASSES).tolist() == [False]


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


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.booleans())
def test_the_likelihoods_of_all_answers_add_up_to_one(row: list[float], sigmoid: bool) -> None:
    every = [SEVERAL.join(n for i, n in enumerate(CLASSES) if bits >> i & 1) or NONE for bits in range(8)]
    if sigmoid:
        assert sum(likelihood([label], np.array([row]), CLASSES, SIGMOID)[0] for label in every) == pytest.approx(1)
    else:
        found = [likelihood([label], np.array([row]), CLASSES, SOFTMAX)[0] for label in every]
        assert sum(found) == pytest.approx(sum(row))
    assert likelihood(["yak", "cat|yak"], np.array([row, row]), CLASSES, SIGMOID).tolist() == [0, 0]


def test_label_smoothing_doubts_both_answers() -> None:
    logits, targets = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]])
    p = torch.sigmoid(logits[0]).tolist()
    expected = -(0.9 * math.log(p[0]) + 0.1 * math.log(1 - p[0]) + 0.1 * math.log(p[1]) + 0.9 * math.log(1 - p[1]))
    assert float(losses_of(logits, targets, SIGMOID, 0.2)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("outputs", "row", "answer"),
    [
        (SOFTMAX, [0.2, 0.5, 0.3], ("dog", 0.5)),
        (SIGMOID, [0.9, 0.1, 0.6], ("cat|owl", 0.6)),
        (SIGMOID, [0.4, 0.1, 0.3], (NONE, 0.6)),
        (ONE, [0.9, 0.1, 0.6], ("cat", 0.9)),
        (ONE, [0.4, 0.1, 0.3], (NONE, 0.6)),
        (Outputs("sigmoid", False, (0.95, 0.05, 0.5)), [0.9, 0.1, 0.3], ("dog", 0.1)),
        (Outputs("sigmoid", True, (0.95, 0.05, 0.5)), [0.9, 0.1, 0.5], ("dog|owl", 0.1)),
    ],
)
def test_an_answer_names_what_passes_its_threshold(
    outputs: Outputs, row: list[float], answer: tuple[str, float]
) -> None:
    found = answered(np.array([row]), CLASSES, outputs).iloc[0]
    assert (found["predicted"], found["probability"]) == (answer[0], pytest.approx(answer[1]))
    assert Outputs.from_json(
        {"kind": outputs.kind, "several": outputs.several, "thresholds": [*outputs.thresholds]}
    ) == (outputs)
    assert Outputs.from_json(None) == SOFTMAX


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
