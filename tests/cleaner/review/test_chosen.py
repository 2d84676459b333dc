"""The images behind a number are those that it counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cleaner.review.chosen import UNSURE, WORST, Chosen, images_of
from cleaner.review.confusion import confusion, margins
from cleaner.review.scores import per_class
from pipeline.predict import NONE, Outputs

NOWHERE = pd.DataFrame(columns=["image_id", "provider", "query"])
SOFTMAX, SIGMOID = Outputs(), Outputs("sigmoid", several=True, thresholds=(0.5, 0.7))


def drawn(labels: list[str], answers: list[str], n: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(3)
    table = pd.DataFrame({"id": [f"i{k:03}" for k in range(n)], "file": "f", "probability": 0.5})
    table["label"], table["predicted"] = random.choice(labels, n), random.choice(answers, n)
    return table.assign(loss=random.random(n), width=10, height=10)


CASES = {
    "one label": (drawn(["ant", "bee", "cat", "dog"], ["ant", "bee", "cat"]), ("ant", "bee", "cat")),
    "several": (
        drawn(["ant", "ant|bee", "bee|dog", "dog", NONE], ["ant", "bee", "ant|bee", NONE]),
        ("ant", "bee", NONE),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_every_number_of_the_matrix_and_of_the_classes_counts_the_images_it_leads_to(case: str):
    seen, names = CASES[case]
    counts, beside = confusion(seen, names), margins(seen, names)
    known = seen[[set(label.split("|")) <= set(names) for label in seen["label"]]]

    def number(kind: str, first: str = "", second: str = "", of: pd.DataFrame = seen) -> int:
        return len(images_of(of, Chosen(kind, first, second), SOFTMAX, NOWHERE))

    for i, actual in enumerate(names):
        for predicted in names:
            assert number("cell", actual, predicted, known) == counts.at[actual, predicted], (actual, predicted)
        assert number("missed", actual) == beside.missed[i], actual
        assert number("invented", "", actual) == beside.invented[i], actual
    assert number("wrong") == int((seen["label"] != seen["predicted"]).sum())
    for row in per_class(seen, names).to_dict("records"):
        assert (number("labelled", row["class"]), number("called", row["class"])) == (row["n"], row["called"])
        assert number("concerned", row["class"]) == row["n"] + row["called"] - row["right"]


def test_the_worst_come_first_and_of_the_least_sure_the_least_sure():
    seen = pd.DataFrame({"id": ["a", "b", "c"], "file": "f", "label": "ant", "predicted": "ant", "probability": 0.5})
    seen = seen.assign(
        loss=[0.1, 3.0, 1.0], **{"p:ant": [0.4, 0.9, 0.5], "p:bee": [0.35, 0.05, 0.3], "p:cat": [0.25, 0.05, 0.2]}
    )
    assert images_of(seen, Chosen(WORST), SOFTMAX, NOWHERE)["id"].tolist() == ["b", "c", "a"]
    unsure = images_of(seen, Chosen(UNSURE), SOFTMAX, NOWHERE)
    assert unsure["id"].tolist() == ["a", "c", "b"] and unsure["margin"].tolist() == pytest.approx([0.05, 0.2, 0.85])


def test_with_a_sigmoid_head_the_least_sure_is_the_nearest_to_a_threshold():
    seen = pd.DataFrame(
        {"id": ["a", "b"], "file": "f", "label": "ant", "predicted": "ant", "probability": 0.5, "loss": 0.0}
    )
    seen = seen.assign(**{"p:ant": [0.9, 0.55], "p:bee": [0.68, 0.1]})
    unsure = images_of(seen, Chosen(UNSURE), SIGMOID, NOWHERE)
    assert unsure["id"].tolist() == ["a", "b"] and unsure["margin"].tolist() == pytest.approx([0.02, 0.05])


@pytest.mark.parametrize("kind", ["", "nothing we know", "bin", "slice"])
def test_what_is_not_known_means_no_image(kind: str):
    assert images_of(CASES["one label"][0], Chosen(kind, "-1", "x"), SOFTMAX, NOWHERE).empty
