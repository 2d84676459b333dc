"""Where errors are: by size, source and query, with what is worse than the rest marked."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cleaner.review.slices import SIZES, in_slice, slices
from pipeline.train.evaluate import error_rate_interval


def seen_of(rows: list[tuple[int | None, int | None, bool]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["width", "height", "wrong"])
    predicted = ["bee" if wrong else "ant" for wrong in table["wrong"]]
    return table.assign(id=[f"i{n}" for n in range(len(rows))], label="ant", predicted=predicted)


def sources_of(*rows: tuple[str, str, str | None]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["image_id", "provider", "query"])


def test_sizes_go_by_the_shorter_side_from_small_to_large():
    seen = seen_of([(2000, 100, True), (127, 500, False), (128, 128, False), (1023, 4000, True), (1024, 1024, False)])
    found = slices(seen, sources_of())
    assert [(one.name, one.n, one.errors) for one in found] == [
        (SIZES[0], 2, 1),
        (SIZES[1], 1, 0),
        (SIZES[3], 1, 1),
        (SIZES[4], 1, 0),
    ]
    assert (found[0].low, found[0].high) == error_rate_interval(1, 2)
    assert in_slice(seen, sources_of(), "size", SIZES[0]).tolist() == [True, True, False, False, False]


def test_an_image_of_several_places_counts_in_each_and_the_highest_error_comes_first():
    seen = seen_of([(300, 300, False), (300, 300, True), (300, 300, True)])
    sources = sources_of(
        ("i0", "web", "ant"),
        ("i1", "web", "ant"),
        ("i1", "folder", None),
        ("i2", "folder", ""),
        ("i2", "folder", None),
        ("elsewhere", "web", "ant"),
    )
    found = slices(seen, sources)
    assert [(one.kind, one.name, one.n, one.errors) for one in found] == [
        ("source", "folder", 2, 2),
        ("source", "web", 2, 1),
        ("query", "ant", 2, 1),
    ]
    assert in_slice(seen, sources, "source", "folder").tolist() == [False, True, True]


def test_a_kind_that_does_not_divide_the_images_is_left_out():
    seen = seen_of([(300, 300, False), (300, 300, True)])
    assert slices(seen, sources_of(("i0", "web", None), ("i1", "web", None))) == []
    assert slices(seen.iloc[:0], sources_of()) == []


def test_marked_is_what_lies_wholly_above_all_others_and_nothing_else():
    bad = [(100, 100, n < 30) for n in range(60)]
    good = [(600, 600, n < 6) for n in range(120)]
    few = [(2000, 2000, n < 2) for n in range(3)]  # 2 of 3, which may be chance
    marked = {one.name: one.worse for one in slices(seen_of(bad + good + few), sources_of())}
    assert marked == {SIZES[0]: True, SIZES[3]: False, SIZES[4]: False}


def test_of_very_many_slices_that_are_no_worse_hardly_one_is_marked_by_chance():
    """200 queries of 30 images with the same true error: at 95 % without more ado about 5 would be marked."""
    random = np.random.default_rng(0)
    marked = []
    for _ in range(10):
        seen = seen_of([(300, 300, bool(wrong)) for wrong in random.random(6000) < 0.1])
        sources = sources_of(*((image, "web", f"query {n % 200}") for n, image in enumerate(seen["id"])))
        marked.append(sum(one.worse for one in slices(seen, sources)))
    assert sum(marked) <= 2


def test_a_picture_whose_size_is_not_known_is_in_no_size():
    seen = seen_of([(None, None, True), (100, 100, False), (600, 600, False)])
    assert sum(one.n for one in slices(seen, sources_of())) == 2
