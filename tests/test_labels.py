"""Labels as words and as numbers, how likely they are, and what an answer names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.labels import answered, answers_of, as_flags, classes_of, known, likelihood
from pipeline.model.losses import shares_of, targets_of
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


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.booleans())
def test_the_likelihoods_of_all_answers_add_up_to_one(row: list[float], sigmoid: bool) -> None:
    every = [SEVERAL.join(n for i, n in enumerate(CLASSES) if bits >> i & 1) or NONE for bits in range(8)]
    if sigmoid:
        assert sum(likelihood([label], np.array([row]), CLASSES, SIGMOID)[0] for label in every) == pytest.approx(1)
    else:
        found = [likelihood([label], np.array([row]), CLASSES, SOFTMAX)[0] for label in every]
        assert sum(found) == pytest.approx(sum(row))
    assert likelihood(["yak", "cat|yak"], np.array([row, row]), CLASSES, SIGMOID).tolist() == [0, 0]


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
