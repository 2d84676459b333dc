"""The error on scenes that a model did not learn from: who is judged, the interval, and the words."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.train.new_scenes as module
from pipeline.model.head import fit_head
from pipeline.predict import Outputs
from pipeline.train.evaluate import error_rate_interval
from pipeline.train.new_scenes import (
    BY_FEATURES,
    Judged,
    held_out,
    in_words,
    interval,
    measure,
    probably,
    said_of,
    stated,
)
from pipeline.workspace.runs import Run

SOFTMAX = Outputs("softmax")


def judged(wrong: Any, groups: Any = None) -> Judged:
    flags = np.asarray(wrong, dtype=bool)
    numbers = np.arange(len(flags)) if groups is None else np.asarray(groups)
    return Judged(numbers, flags, np.ones(len(flags), dtype=bool))


def shops(count: int = 10, each: int = 6, own: float = 1.0) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Features [N, 40] and class numbers of two classes that are there in every shop, and the shops. What tells the
    classes apart is partly of the shop's ``own``, and so of no use in another.
    """
    chance = np.random.default_rng(0)
    where = np.repeat(np.arange(count), 2 * each)
    which = np.tile(np.arange(2), count * each)
    features = 0.1 * chance.normal(size=(len(where), 40)) + own * chance.normal(size=(count, 2, 40))[where, which]
    features[:, 0] += which
    return torch.from_numpy(features).float(), torch.from_numpy(which), [f"shop {shop}" for shop in where]


def test_only_classes_that_are_left_to_learn_from_are_judged() -> None:
    features, targets, _ = shops()
    groups = np.where(targets.numpy() == 0, np.arange(len(targets)), -1)  # all of the other class in one scene
    folds = np.where(groups < 0, 0, 1 + np.arange(len(targets)) % 4)
    found = held_out(features, targets, SOFTMAX, folds, groups, fit_head([features], targets, 2))
    assert found.judged.tolist() == (targets == 0).tolist()
    several = torch.stack([targets == 0, targets == 1], dim=1).float()
    sigmoid = Outputs("sigmoid")
    found = held_out(features, several, sigmoid, folds, groups, fit_head([features], several, 2))
    assert found.judged.tolist() == (targets == 0).tolist()


def test_independent_pictures_give_wilsons_interval_and_alike_ones_a_wider_one() -> None:
    wrong = np.arange(200) % 10 == 0
    low, high = interval([judged(wrong)])
    assert (low, high) == pytest.approx(error_rate_interval(20, 200), abs=0.003)
    scenes = np.arange(200) // 20
    together = np.arange(200) < 20  # one scene of ten is wholly wrong
    wide = interval([judged(together, scenes)])
    assert wide[0] < low - 0.02 and wide[1] > high + 0.1


def test_no_error_begins_at_nought_and_nothing_judged_is_anything() -> None:
    assert interval([judged(np.zeros(60))]) == (0.0, pytest.approx(0.0615, abs=0.01))
    assert interval([judged(np.ones(60))])[1] == 1.0
    assert interval([]) == (0.0, 1.0)


def test_groupings_that_disagree_make_it_as_wide_as_both() -> None:
    one, other = judged(np.arange(200) % 20 == 0), judged(np.arange(200) % 4 == 0)
    low, high = interval([one, other])
    assert low < 0.05 < 0.25 < high
    assert interval([one, one]) == interval([one])


@given(
    st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 9)), min_size=1, max_size=40),
    st.floats(0.8, 0.99),
)
@settings(max_examples=40, deadline=None)
def test_the_interval_holds_the_rate_and_grows_with_the_confidence(
    rows: list[tuple[bool, bool, int]], confidence: float
) -> None:
    wrong, counts, groups = (np.array(column) for column in zip(*rows, strict=True))
    one = Judged(groups, wrong, counts)
    low, high = interval([one], confidence)
    assert 0 <= low <= one.rate + 0.002 and one.rate - 0.002 <= high <= 1
    wider = interval([one], 0.995)
    assert wider[0] <= low + 0.001 and high <= wider[1] + 0.001


def test_stated_intervals_cover_what_they_say_over_scenes_of_a_kind() -> None:
    chance = np.random.default_rng(1)
    covered = []
    for _ in range(300):
        rates = chance.beta(1.5, 8.5, 25)
        scenes = np.repeat(np.arange(25), chance.integers(3, 12, 25))
        low, high = interval([judged(chance.random(len(scenes)) < rates[scenes], scenes)])
        covered.append(low <= 0.15 <= high)
    assert 0.91 <= np.mean(covered) <= 0.98


def test_a_model_does_worse_in_a_shop_that_it_has_not_seen_and_the_numbers_say_so() -> None:
    features, targets, where = shops(count=24, each=2, own=0.7)
    names = [str(row) for row in range(len(targets))]
    found = measure(features, targets, SOFTMAX, 2, names, where, "column")
    assert found.new_scenes.scenes == 24 and found.new_scenes.by == "column"
    assert found.new_scenes.images == found.like_these["n"] == len(targets)
    assert found.new_scenes.error_rate is not None and found.new_scenes.high is not None
    assert found.new_scenes.error_rate > found.like_these["error_rate"] + 0.05
    assert found.new_scenes.high > found.like_these["high"]
    unknown = measure(features, targets, SOFTMAX, 2, names, [None] * len(names), "")
    assert unknown.new_scenes.by == BY_FEATURES and unknown.new_scenes.error_rate is not None
    assert unknown.new_scenes.error_rate > unknown.like_these["error_rate"]


def test_series_are_kept_together_where_scenes_are_estimated(monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets, where = shops(own=0.0)
    folds: list[tuple[Any, Any]] = []
    real = module.held_out
    monkeypatch.setattr(module, "held_out", lambda *given: folds.append((given[3], given[4])) or real(*given))
    names = [str(row // 2) for row in range(len(targets))]
    found = measure(features, targets, SOFTMAX, 2, names, where, "series")
    assert found.new_scenes.by == BY_FEATURES
    for number, (fold, _) in enumerate(folds):
        kept = np.array(names if number == 0 else where)  # the first folds are of pictures like these
        assert all(len(set(fold[kept == name])) == 1 for name in set(kept))


def test_of_many_pictures_some_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    features, targets, where = shops()
    monkeypatch.setattr(module, "MOST", 80)
    found = measure(features, targets, SOFTMAX, 2, [str(row) for row in range(len(targets))], where, "column")
    assert found.like_these["n"] == 80


@pytest.mark.parametrize(("scenes", "says"), [(1, "one scene, and at least 5"), (4, "4 scenes, and at least 5")])
def test_of_few_scenes_nothing_is_said(scenes: int, says: str) -> None:
    features, targets, where = shops(count=scenes)
    found = measure(features, targets, SOFTMAX, 2, [str(row) for row in range(len(targets))], where, "time").new_scenes
    assert (found.error_rate, found.low, found.high, found.scenes, found.by) == (None, None, None, scenes, "time")
    assert says in found.reason


def test_classes_of_one_scene_each_and_rates_that_may_be_anything_say_nothing() -> None:
    scenes = np.repeat(np.arange(12), 4)
    alone = Judged(scenes, np.ones(48, dtype=bool), np.zeros(48, dtype=bool))
    assert "class" in said_of([alone], "site").reason
    uneven = said_of([judged(scenes < 3, scenes)], "site")
    assert uneven.error_rate is not None or "anything from" in uneven.reason
    wild = said_of([judged(np.arange(24) < 8, np.arange(24) // 4)], "site")
    assert wild.error_rate is None and "anything from" in wild.reason and "other places" in wild.reason


RECORD = {
    "test": {"error_rate": 0.018, "low": 0.005, "high": 0.064, "n": 300},
    "like_these": {"error_rate": 0.02, "low": 0.01, "high": 0.05, "n": 900},
    "new_scenes": {
        "error_rate": 0.09,
        "low": 0.061,
        "high": 0.128,
        "scenes": 23,
        "by": "time",
        "images": 700,
        "reason": "",
        "narrower": "Pictures from 29 more places would narrow it by a third.",
    },
    "best_epoch": 0,
}


def test_the_two_numbers_in_words() -> None:
    assert probably(RECORD) == "6 to 13 %"
    assert in_words(RECORD) == [
        "On pictures like these 1.8 % (0.5 to 6.4); in a new place probably 6 to 13 %.",
        "It was measured on 23 scenes (by time and camera), each answered by a head that did not learn from it.",
        "Pictures from 29 more places would narrow it by a third.",
    ]
    tuned = in_words({**RECORD, "best_epoch": 2})
    assert "It was measured on the backbone as it came" in tuned[2]
    few = in_words({**RECORD, "test": {**RECORD["test"], "n": 40}})
    assert few[-1] == (
        "The test split has 40 pictures only: over all 900, each answered by a head that did not learn from it, "
        "2.0 % (1.0 to 5.0)."
    )
    nothing = {**RECORD["new_scenes"], "error_rate": None, "low": None, "high": None, "reason": "Two scenes."}
    said = in_words({**RECORD, "new_scenes": nothing, "test": {"n": 0}})
    assert said[0] == "How it does in a new place cannot be said. Two scenes."
    assert said[1].startswith("There is no test split: over all 900")
    assert probably({**RECORD, "new_scenes": nothing}) == ""


@pytest.mark.parametrize("said", [None, 3, {}, {"error_rate": 0.1}, "6 to 13 %"])
def test_a_run_of_an_earlier_version_says_nothing_of_it(said: Any) -> None:
    record = {"test": RECORD["test"], **({} if said is None else {"new_scenes": said})}
    assert stated(record) is None and in_words(record) == [] and probably(record) == ""
    odd = {**RECORD, "new_scenes": {**RECORD["new_scenes"], "low": float("nan")}}
    assert stated(odd)["error_rate"] is None  # type: ignore[index]


def test_a_run_holds_both_numbers(tiny_run: Run) -> None:
    said = tiny_run.record["new_scenes"]
    assert {"error_rate", "low", "high", "scenes", "by"} <= said.keys()
    assert said["error_rate"] is not None or said["reason"]
    assert tiny_run.record["like_these"]["n"] == sum(tiny_run.record["counts"].values())
    assert in_words(tiny_run.record)
    assert set(asdict(said_of([judged(np.zeros(20))], "column"))) == set(said)
