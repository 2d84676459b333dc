"""Whether a run is as often right as it is sure, on answers whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cleaner.review.scores import BINS, calibration, in_bin
from pipeline.predict import NONE, Outputs

SIGMOID = Outputs("sigmoid", several=True)


def softmax(probabilities: list[float], right: list[bool]) -> pd.DataFrame:
    predicted = ["ant" if good else "bee" for good in right]
    return pd.DataFrame({"label": "ant", "predicted": predicted, "probability": probabilities})


def test_the_error_is_the_mean_distance_between_what_was_said_and_what_came_true():
    found = calibration(softmax([0.95, 0.95, 0.65, 0.65], [True, False, True, True]), Outputs())
    assert [(one.low, one.n) for one in found.bins if one.n] == [(0.6, 2), (0.9, 2)]
    assert found.bins[9].said == pytest.approx(0.95) and found.bins[9].right == 0.5
    assert found.ece == pytest.approx((2 * 0.45 + 2 * 0.35) / 4)
    assert found.n == 4 and found.right == 0.75 and found.right_low < 0.75 < found.right_high


def test_an_honest_model_has_next_to_no_error_and_a_boaster_has_much():
    random = np.random.default_rng(0)
    said = random.uniform(0.5, 1, 20_000)
    honest = calibration(softmax(said.tolist(), (random.random(20_000) < said).tolist()), Outputs())
    boaster = calibration(softmax(said.tolist(), (random.random(20_000) < said - 0.3).tolist()), Outputs())
    assert honest.ece < 0.015 and boaster.ece == pytest.approx(0.3, abs=0.02)


def test_a_probability_at_an_edge_is_in_one_bin_and_1_is_in_the_last():
    seen = softmax([0.0, 0.5, 1.0], [False, True, True])
    assert [one.n for one in calibration(seen, Outputs()).bins] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 1]
    inside = [in_bin(seen, Outputs(), number).tolist() for number in range(BINS)]
    assert [sum(column) for column in zip(*inside, strict=True)] == [1, 1, 1] and inside[9] == [False, False, True]


def test_with_a_sigmoid_head_each_class_of_each_image_is_an_answer():
    seen = pd.DataFrame(
        {
            "label": ["ant|bee", NONE],
            "predicted": "ant",
            "probability": 0.9,
            "p:ant": [0.95, 0.15],
            "p:bee": [0.85, 0.95],
        }
    )
    found = calibration(seen, SIGMOID)
    assert found.n == 4 and [one.n for one in found.bins] == [0, 1, 0, 0, 0, 0, 0, 0, 1, 2]
    assert found.bins[9].right == 0.5 and found.bins[1].right == 0.0 and found.bins[8].right == 1.0
    assert in_bin(seen, SIGMOID, 9).tolist() == [True, True] and in_bin(seen, SIGMOID, 1).tolist() == [False, True]


def test_nothing_gives_nothing():
    found = calibration(softmax([], []), Outputs())
    assert found.n == 0 and found.ece is None and all(one.right is None for one in found.bins)
