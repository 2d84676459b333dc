"""Temperature, thresholds and the doubts about labels stand on scenes that were held out, where those are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.out_of_fold import FOLDS, fold_of
from pipeline.train.set_on import FEWEST, LEFT, apart, kept_together
from pipeline.workspace.runs import Run, doubted_by_in_words, set_on_in_words


def test_valid_pictures_of_scenes_of_their_own_are_preferred() -> None:
    splits = ["train"] * 4 + ["valid"] * (FEWEST + 5) + ["test"]
    scenes = ["a", "b", "a", None] + ["a"] * 4 + [None] + ["c", "d"] * (FEWEST // 2) + ["e"]
    chosen, told = apart(splits, scenes, "column")
    assert told == {"images": FEWEST, "scenes": 2, "by": "column", "apart": True}
    assert chosen.sum() == FEWEST and not chosen[:9].any() and not chosen[-1]
    assert "2 scenes that it did not learn from" in set_on_in_words(told)


@pytest.mark.parametrize(
    ("scenes", "by", "says"),
    [
        ([None] * 44, "", "is not known"),
        (["a", *["a"] * 20, *["b"] * 23], "time", "some of them of scenes that it learnt from, too"),
        (["a", *["b"] * 8, *["a"] * 35], "time", "some of them"),
    ],
    ids=["none is known", "too few", "less than half"],
)
def test_else_all_of_the_valid_split_is_taken_and_that_is_said(scenes: list[str | None], by: str, says: str) -> None:
    chosen, told = apart(["train", *["valid"] * 43], scenes, by)
    assert not told["apart"] and told["images"] == chosen.sum() == 43 and says in set_on_in_words(told)


def test_a_small_valid_split_of_scenes_of_its_own_is_not_said_to_have_been_learnt_from() -> None:
    chosen, told = apart(["train", "valid", "valid", "test"], ["a", "b", "c", "d"], "time")
    assert told == {"images": 2, "scenes": 2, "by": "time", "apart": True} and chosen.tolist() == [0, 1, 1, 0]
    assert not apart(["train", "test"], ["a", "b"], "time")[1]["apart"]


def test_many_pictures_of_which_few_have_a_scene_take_no_square_of_their_number() -> None:
    count = 100_000
    groups = [str(number) for number in range(count)]
    scenes = ["a", "a", *[None] * (count - 2)]
    names, told = kept_together(groups, scenes, one_hot([number % 2 for number in range(count)]), "column")
    assert told["apart"] and len(set(names)) == count - 1 and names[0] == names[1]


def test_of_an_earlier_run_the_valid_split_is_said() -> None:
    assert set_on_in_words(None) == set_on_in_words({}) == "the pictures of the valid split"
    assert doubted_by_in_words(None) == ""


def test_a_run_says_it(tiny_run: Run) -> None:
    """Of its pictures nobody knows what was taken together."""
    said, counts = tiny_run.record["set_on"], tiny_run.record["counts"]
    assert said["temperature"] == {"images": counts["valid"], "scenes": 0, "by": "", "apart": False}
    assert said["out_of_fold"]["images"] == counts["train"] + counts["valid"] and "thresholds" not in said


def one_hot(labels: list[int]) -> np.ndarray:
    return np.eye(max(labels) + 1)[labels]


def test_scenes_are_kept_together_where_heads_learn_every_class_without_them() -> None:
    scenes = [f"shop {number % 20}" for number in range(120)]
    names, told = kept_together([str(n) for n in range(120)], scenes, one_hot([n // 60 for n in range(120)]), "site")
    assert told == {"images": 120, "scenes": 20, "by": "site", "apart": True}
    assert len(set(names)) == 20 and "saw none of the picture's scene" in doubted_by_in_words(told)


def test_a_class_of_one_scene_is_not_asked_of_heads_that_never_saw_it() -> None:
    groups = [str(number) for number in range(40)]
    scenes = ["mine"] * 20 + [f"other {number}" for number in range(20)]
    names, told = kept_together(groups, scenes, one_hot([n // 20 for n in range(40)]), "column")
    assert names == groups and not told["apart"] and "same scene may have been seen" in doubted_by_in_words(told)
    assert "scenes are not known" in doubted_by_in_words(kept_together(groups, [None] * 40, one_hot([0] * 40), "")[1])


@given(st.data())
def test_no_fold_cuts_a_scene_or_a_duplicate_group_that_is_kept_together(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 60))
    groups = data.draw(st.lists(st.sampled_from("abcdefghijklmnop"), min_size=count, max_size=count))
    scenes = data.draw(st.lists(st.sampled_from([None, *"0123456789"]), min_size=count, max_size=count))
    labels = data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))
    names, told = kept_together(groups, scenes, one_hot(labels), "column")
    folds = np.array([fold_of(name) for name in names])
    for kept in (groups, scenes) if told["apart"] else (groups,):
        for name in set(kept) - {None}:
            assert len({fold for fold, own in zip(folds, kept, strict=True) if own == name}) == 1
    if told["apart"]:
        shows = one_hot(labels)
        for fold in range(FOLDS):
            assert (shows[folds != fold].sum(axis=0) >= LEFT * shows.sum(axis=0)).all()
