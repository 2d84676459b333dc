"""What was probably taken together, and folds that cut none of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pipeline.model.groupings as module
from pipeline.model.groupings import COSINES, groupings, scene_folds, united


def places(count: int = 6, each: int = 5, spread: float = 0.05) -> tuple[torch.Tensor, np.ndarray[Any, Any]]:
    """Features [count * each, 40] around a point a place, and the places' numbers."""
    chance = np.random.default_rng(0)
    where = np.repeat(np.arange(count), each)
    around = chance.normal(size=(count, 40))[where]
    return torch.from_numpy(around + spread * chance.normal(size=around.shape)), where


def same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    """Whether two groupings put the same rows together."""
    return bool(((one[:, None] == one[None]) == (other[:, None] == other[None])).all())


def test_what_is_close_together_is_a_scene_by_every_cosine() -> None:
    features, where = places()
    found = groupings(features)
    assert len(found) == len(COSINES)
    assert all(same(groups, where) for groups in found)


def test_a_chain_of_alike_pictures_is_one_scene_and_coarser_groupings_hold_the_finer_ones_whole() -> None:
    angles = np.linspace(0, np.pi, 12)
    film = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    found = groupings(np.concatenate([film, -film]))
    assert len(set(found[-1])) == 1
    features, _ = places(count=30, each=2, spread=0.7)
    several = groupings(features)
    assert len({len(set(groups)) for groups in several}) > 1
    for fine, coarse in pairwise(several):
        assert same(united(fine, coarse), coarse)


def test_linking_block_by_block_and_among_some_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    features, where = places(count=12, each=9, spread=0.3)
    whole = groupings(features)
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 7)
    assert all(same(one, other) for one, other in zip(whole, groupings(features), strict=True))
    monkeypatch.setattr(module, "AMONG", 60)
    assert same(groupings(features)[-1], where)


def test_known_scenes_are_the_only_grouping_and_the_rest_is_estimated_among_itself() -> None:
    features, where = places()
    assert [groups.tolist() for groups in groupings(features, ["shop"] * 15 + ["garden"] * 15)] == [[1] * 15 + [0] * 15]
    (groups,) = groupings(features, ["shop"] * 12 + [None] * 18)
    assert len(set(groups[:12])) == 1 and set(groups[:12]).isdisjoint(groups[12:])
    assert same(groups[12:], np.where(where[12:] == 2, -1, where[12:]))
    assert len(groupings(features, [None] * 30)) == len(COSINES)
    with pytest.raises(ValueError, match="29 scenes are told of 30 pictures"):
        groupings(features, ["shop"] * 29)


@pytest.mark.parametrize("rows", [0, 1])
def test_no_picture_and_one_are_groupings_too(rows: int) -> None:
    assert [len(groups) for groups in groupings(np.ones((rows, 3)))] == [rows] * len(COSINES)
    assert len(scene_folds(np.zeros(rows, dtype=np.int64), ["a"] * rows, 5)) == rows


def test_features_that_are_no_numbers_are_like_nothing() -> None:
    features, where = places()
    features[3] = np.nan
    alone = np.where(np.arange(30) == 3, -1, where)
    assert all(same(groups, alone) for groups in groupings(features))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 3)), min_size=1, max_size=60), st.integers(1, 6))
@settings(max_examples=50, deadline=None)
def test_folds_never_cut_a_group(rows: list[tuple[int, int]], count: int) -> None:
    groups, labels = np.array([group for group, _ in rows]), [label for _, label in rows]
    folds = scene_folds(groups, labels, count, seed=1)
    assert set(folds) <= set(range(count))
    assert all(len(set(folds[groups == group])) == 1 for group in set(groups))
    assert (folds == scene_folds(groups, labels, count, seed=1)).all()


def test_folds_hold_about_as_much_of_every_class() -> None:
    chance = np.random.default_rng(3)
    groups = np.repeat(np.arange(60), chance.integers(1, 9, 60))
    labels = (groups % 3).tolist()
    folds = scene_folds(groups, labels, 5)
    counts = np.zeros((5, 3))
    np.add.at(counts, (folds, labels), 1)
    assert (counts.max(axis=0) - counts.min(axis=0)).max() <= 8
    assert not (folds == scene_folds(groups, labels, 5, seed=1)).all()


@pytest.mark.parametrize(("labels", "folds", "says"), [(["a"], 2, "1 labels are told of 2"), (["a", "b"], 0, "a fold")])
def test_folds_that_cannot_be_made_are_refused(labels: list[str], folds: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        scene_folds(np.array([0, 1]), labels, folds)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40))
@settings(max_examples=50, deadline=None)
def test_united_groups_cut_neither(rows: list[tuple[int, int]]) -> None:
    one, other = (np.array([row[side] for row in rows], dtype=np.int64) for side in (0, 1))
    both = united(one, other)
    assert same(united(both, one), both) and same(united(both, other), both)
    for groups in (one, other):
        assert all(len(set(both[groups == group])) == 1 for group in set(groups))
