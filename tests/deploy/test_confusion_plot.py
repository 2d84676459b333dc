"""The confusion matrix of the card: what is counted, which classes are shown when there are many, and its picture."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline.deploy.model_card import MOST, RIGHT, counted, draw, worst


def test_rows_are_labels_columns_answers_and_what_is_neither_is_left_out() -> None:
    table = pd.DataFrame({"label": ["a", "a", "b", "x"], "predicted": ["a", "b", "b", "a"]})
    found = counted(table, ["b", "a", "c"])
    assert list(found.index) == list(found.columns) == ["b", "a", "c"]
    assert found.to_numpy().tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_of_many_classes_those_in_most_mistakes_are_shown_in_their_order() -> None:
    names = [f"class {number}" for number in range(60)]
    counts = pd.DataFrame(np.diag(np.full(60, 9)), index=names, columns=names)
    counts.loc["class 50", "class 3"] = 4
    shown = worst(counts)
    assert len(shown) == MOST and "class 50" in shown.index and list(shown.index) == list(shown.columns)
    assert list(shown.index) == sorted(shown.index, key=names.index)
    assert worst(counts.iloc[:5, :5]).shape == (5, 5)


def test_the_picture_grows_with_the_classes_and_takes_any_name() -> None:
    names = ["<b>", "Bär " * 30, "熊", "a\nb"]
    counts = pd.DataFrame(np.diag([3, 0, 2, 1]), index=names, columns=names)
    picture = draw(counts)
    assert picture.mode == "RGB" and picture.width == picture.height > draw(counts.iloc[:2, :2]).width
    colours = {colour for _, colour in picture.getcolors(1 << 20) or ()}
    assert RIGHT in colours, "all of a class found"
