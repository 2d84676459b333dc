"""What the Review tab shows, without a browser."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from cleaner.clean.decisions import relabel, remove
from cleaner.review.chosen import UNSURE, Chosen
from cleaner.review.review import judged
from cleaner.tabs.review.story import large_view
from cleaner.tabs.review.tab import (
    PAGE,
    Page,
    asked,
    calibration_view,
    everything,
    headline,
    matrix_view,
    pictures_view,
    scores_view,
    slices_view,
)
from pipeline.predict import Outputs
from tests.cleaner.fabricate import CLASSES, Shot, run_with, workspace_with

SHOTS = [
    *(Shot(f"v{n:02}", "ant", "valid", (0.4 - n / 100, 0.5, 0.1 + n / 100)) for n in range(15)),
    Shot("bee", "bee", "valid", (0.1, 0.8, 0.1)),
    Shot("t1", "ant", "test", (0.9, 0.05, 0.05)),
    Shot("t2", "<b>ant</b>", "train", (0.9, 0.05, 0.05)),
]
NAMES = ("ant", "bee", "<b>ant</b>")


@pytest.fixture
def made(tmp_path: Path):
    workspace, ids = workspace_with(tmp_path / "w", SHOTS)
    return workspace, ids, run_with(workspace, ids, SHOTS, NAMES)


def test_the_headline_is_the_test_error_with_its_interval_and_the_baseline(made):
    _, _, run = made
    for words in ("0.0%", "of the 1 test images", "0.0–79.3%", "60.0%", "always saying the largest class"):
        assert words in headline(run)


def test_what_changed_since_the_training_is_said_above_the_matrix(made):
    workspace, ids, run = made
    relabel(workspace, ids["v00"], "bee")
    remove(workspace, ids["v01"])
    summary, matrix, pairs, classes, sure, where, cell, losses = everything(workspace, run, "valid")
    assert "13 of 15 images wrong" in summary and "1 label changed" in summary and "1 image left out" in summary
    assert matrix["counts"] == [[0, 13, 0], [0, 2, 0], [0, 0, 0]] and cell is None
    assert matrix["missed"] == [(13, 13), (0, 2), (0, 0)] and matrix["invented"][1] == (13, 15)
    assert pairs["pairs"] == [("ant", "bee", 13)] and [row["name"] for row in classes["rows"]] == ["ant", "bee"]
    assert "too sure" in sure["words"] and where["groups"] == []
    assert json.loads(json.dumps([matrix, pairs, classes, sure, where, losses]))[-1]["rows"][0]["actual"] == "ant"


def test_pictures_come_in_pages_and_a_page_that_is_not_there_is_the_last(made):
    workspace, _, run = made
    seen = judged(workspace, run)
    valid = seen[seen["split"] == "valid"]
    first = pictures_view(workspace, valid, Page(Chosen("cell", "ant", "bee")), Outputs())
    assert (len(first["rows"]), first["pages"], first["title"]) == (PAGE, 2, "ant, taken for bee: 15 images")
    last = pictures_view(workspace, valid, Page(Chosen("cell", "ant", "bee"), 99), Outputs())
    assert (last["page"], len(last["rows"])) == (1, 15 - PAGE)
    assert pictures_view(workspace, valid, Page(Chosen("cell", "bee", "ant")), Outputs())["rows"] == []


def test_a_large_picture_comes_with_the_likeliest_classes_and_only_from_the_split_that_is_open(made):
    workspace, ids, run = made
    view = large_view(workspace, run, "valid", ids["v00"])
    assert [name for name, _ in view["answers"]] == ["bee", "ant", "<b>ant</b>"] and Path(view["large"]).is_file()
    assert large_view(workspace, run, "valid", ids["t1"])["id"] == ""
    assert large_view(workspace, run, "valid", "no such image")["id"] == ""


def test_of_very_many_classes_the_matrix_shows_those_with_most_mistakes(tmp_path: Path):
    names = tuple(f"class {n}" for n in range(60))
    shots = [
        Shot(f"s{n}", names[n], "valid", tuple(1.0 if c == (n + 1 if n % 3 == 0 else n) else 0.0 for c in range(60)))
        for n in range(60)
    ]
    workspace, ids = workspace_with(tmp_path / "w", shots, pictures=False)
    view = matrix_view(judged(workspace, run_with(workspace, ids, shots, names)), names, "key")
    assert len(view["classes"]) == 25 == len(view["counts"]) == len(view["missed"]) and "of 60" in view["note"]
    numbers = [int(name.split()[1]) for name in view["classes"]]
    assert all(number % 3 in (0, 1) for number in numbers)
    beside = [abs(a - b) for a, b in pairwise(numbers)]
    assert beside.count(1) >= 12  # each of the pairs that are mixed up lies together


def test_a_split_without_images_says_so(made):
    workspace, _, run = made
    nothing = judged(workspace, run).iloc[:0]
    assert matrix_view(nothing, CLASSES, "key")["empty"] == "There are no images in this split."
    assert pictures_view(workspace, nothing, Page(), Outputs())["rows"] == []
    assert calibration_view(nothing, Outputs())["empty"] == "There are no images in this split."
    assert scores_view(nothing, CLASSES) == {"rows": []} and slices_view(nothing, workspace.store.sources())["empty"]


def test_the_grid_of_all_images_can_be_turned_to_the_least_sure_and_others_cannot(made):
    workspace, ids, run = made
    seen = judged(workspace, run)
    valid = seen[seen["split"] == "valid"]
    view = pictures_view(workspace, valid, Page(Chosen(UNSURE)), run.outputs)
    assert view["rows"][0]["id"] == ids["v00"] and view["rows"][0]["margin"] == pytest.approx(0.1)
    assert [kind for kind, _ in view["orders"]] == ["worst", "unsure"] and view["title"] == ""
    assert pictures_view(workspace, valid, Page(Chosen("missed", "ant")), run.outputs)["orders"] == []


def test_each_number_says_what_its_images_are(made):
    workspace, _, run = made
    seen = judged(workspace, run)

    def title(*chosen: str) -> str:
        return str(
            pictures_view(workspace, seen[seen["split"] == "valid"], Page(Chosen(*chosen)), run.outputs)["title"]
        )

    assert title("missed", "ant") == "ant, answered wrongly: 15 images"
    assert title("invented", "", "bee") == "Wrongly taken for bee: 15 images"
    assert title("bin", "5") == "Said with 50 to 60%: 15 images"
    assert title("slice", "source", "folder") == "Source folder: 16 images"
    assert title("wrong") == "Answered wrongly: 15 images" and title("called", "bee") == "Called bee: 16 images"


def test_what_a_page_should_not_send_does_no_harm(made):
    workspace, _, run = made
    seen = judged(workspace, run)
    for data in ({}, {"kind": None, "page": "x"}, {"kind": "bin", "first": "-9"}, {"kind": "slice", "first": [1]}):
        assert pictures_view(workspace, seen, asked(data), run.outputs)["rows"] == []


def test_images_of_a_class_that_the_run_does_not_know_are_told_of_beside_the_matrix(made):
    workspace, ids, run = made
    relabel(workspace, ids["bee"], "wasp")
    seen = judged(workspace, run)
    view = matrix_view(seen[seen["split"] == "valid"], NAMES, "key")
    assert "1 image with a label that this run does not know" in view["note"] and view["invented"][1] == (16, 16)
