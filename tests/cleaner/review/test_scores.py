"""Precision, recall and F1 of each class, from predictions whose truth is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cleaner.review.scores import COLUMNS, f1_interval, per_class
from pipeline.predict import NONE
from pipeline.train.evaluate import error_rate_interval


def told(*pairs: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(pairs), columns=["label", "predicted"])


def rows(seen: pd.DataFrame, *answers: str) -> dict[str, dict[str, object]]:
    return {row["class"]: row for row in per_class(seen, answers).to_dict("records")}


def test_each_class_has_its_rates_with_intervals_and_its_support():
    seen = told(("ant", "ant"), ("ant", "bee"), ("ant", "ant"), ("bee", "bee"), ("bee", "ant"))
    ant = rows(seen, "ant", "bee")["ant"]
    assert list(ant) == COLUMNS
    assert (ant["n"], ant["called"], ant["right"]) == (3, 3, 2)
    assert ant["precision"] == ant["recall"] == ant["f1"] == pytest.approx(2 / 3)
    assert (ant["recall_low"], ant["recall_high"]) == error_rate_interval(2, 3)
    assert 0 < ant["f1_low"] < 2 / 3 < ant["f1_high"] < 1


def test_nothing_is_said_of_a_class_that_was_neither_there_nor_named():
    cat = rows(told(("ant", "ant")), "ant", "cat")["cat"]
    assert [cat[name] for name in COLUMNS[4:]] == [None] * 9 and cat["n"] == 0


def test_several_labels_count_for_each_class_by_itself_and_none_is_a_class():
    seen = told(("ant|bee", "ant"), ("bee", "ant|bee"), (NONE, NONE), (NONE, "bee"))
    found = rows(seen, "ant", "bee", NONE)
    assert [(found[name]["n"], found[name]["called"], found[name]["right"]) for name in ("ant", "bee", NONE)] == [
        (1, 2, 1),
        (2, 2, 1),
        (2, 1, 1),
    ]


def test_an_image_of_a_class_that_came_later_makes_what_it_was_called_less_precise():
    assert rows(told(("dog", "ant"), ("ant", "ant")), "ant")["ant"]["precision"] == 0.5


def test_the_interval_of_f1_holds_the_truth_about_as_often_as_it_says():
    """Binomial images of a class with a known F1: the 95 % interval covers it in 93 to 98 of 100 draws."""
    random = np.random.default_rng(1)
    for hit, missed, invented in ((0.6, 0.2, 0.2), (0.85, 0.05, 0.1)):
        truth = 2 * hit / (2 * hit + missed + invented)
        draws = random.multinomial(60, (hit, missed, invented), size=4000)
        inside = [low <= truth <= high for low, high in (f1_interval(int(one[0]), 60) for one in draws)]
        assert 0.93 < np.mean(inside) < 0.98
    assert f1_interval(0, 0) == (0.0, 1.0) and f1_interval(0, 5)[0] == 0.0 and f1_interval(5, 5)[1] == 1.0
