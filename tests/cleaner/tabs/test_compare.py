"""What the lower half of the Clean tab shows, without a browser."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cleaner.clean.decisions import remove, undo
from cleaner.compare.compare import pairs
from cleaner.tabs.compare.tab import (
    PAGE,
    Compared,
    Shown,
    comparison_html,
    everything,
    large_change,
    news,
    pictures_view,
    settings_html,
)
from pipeline.tabs.page.choose_run import LATEST, PREVIOUS
from pipeline.workspace.runs import MANIFEST, describe
from pipeline.workspace.workspace import Workspace
from tests.cleaner.fabricate import Shot, run_with, workspace_with

HOSTILE = "<img src=x onerror=1>"
CLASSES = ("ant", "bee", HOSTILE)
ANT, BEE = (0.9, 0.06, 0.04), (0.1, 0.7, 0.2)
FIXED = PAGE + 3


def shots(answers: list[tuple[float, ...]]) -> list[Shot]:
    return [Shot(f"s{n:02}", "ant", "test", answer) for n, answer in enumerate(answers)]


@pytest.fixture
def made(tmp_path: Path):
    before = shots([BEE] * FIXED + [ANT] * 10)
    after = shots([ANT] * (FIXED + 8) + [(0.1, 0.2, 0.7), BEE])
    workspace, ids = workspace_with(tmp_path / "w", before)
    return workspace, ids, *(run_with(workspace, ids, part, CLASSES, n) for n, part in (("a", before), ("b", after)))


def test_the_two_newest_runs_are_compared_with_their_images(made):
    workspace, *_ = made
    now, words, fixed, broken = everything(workspace, PREVIOUS, LATEST)
    assert now == Shown("w", "b", "a", "b")
    assert "<strong>Better</strong>" in words and f"{FIXED} / 2" in words and "60.0%" in words
    assert fixed["title"] == f"Fixed: {FIXED} images wrong before and right after"
    assert broken["title"] == "Broken: 2 images right before and wrong after"
    assert len(fixed["rows"]) == PAGE and (fixed["page"], fixed["pages"], fixed["kind"]) == (0, 2, "fixed")
    first = json.loads(json.dumps(broken))["rows"][0]
    assert (first["actual"], first["before"]) == ("ant", "ant") and first["predicted"] in ("bee", HOSTILE)
    assert Path(first["thumbnail"]).is_file()


def test_pages_are_turned_without_reading_both_runs_anew_until_something_is_decided(made):
    workspace, ids, *_ = made
    compared = Compared()
    now, *_ = everything(workspace, PREVIOUS, LATEST, compared=compared)
    found = compared.pairs(workspace, now)
    assert compared.pairs(workspace, replace(now, newest="c")) is found
    assert compared.pairs(workspace, replace(now, every=True)) is not found
    remove(workspace, ids["s00"])
    assert len(compared.pairs(workspace, now).table) == len(found.table) - 1
    undo(workspace)
    again = compared.pairs(workspace, now)
    assert again is not found and len(again.table) == len(found.table)


def test_a_later_page_holds_the_rest_and_a_page_too_far_is_the_last(made):
    workspace, _, a, b = made
    found = pairs(workspace, a, b)
    assert len(pictures_view(workspace, found, "fixed", 1)["rows"]) == 3
    assert pictures_view(workspace, found, "fixed", 99)["page"] == 1
    assert pictures_view(workspace, found, "broken", -4)["page"] == 0


def test_an_image_in_large_says_what_both_runs_said(made):
    workspace, ids, a, b = made
    view = large_change(workspace, pairs(workspace, a, b), ids["s00"])
    assert view["title"] == "actual ant, before bee, after ant" and Path(view["large"]).is_file()
    assert view["answers"][0] == ("ant", 0.9) and view["facts"] == [("sure before", "70.0%"), ("sure after", "90.0%")]


def test_an_image_that_is_not_compared_is_shown_as_in_review_and_an_unknown_one_not_at_all(made):
    workspace, ids, a, b = made
    assert large_change(workspace, pairs(workspace, a, b), "no such image")["id"] == ""
    remove(workspace, ids["s00"])
    view = large_change(workspace, pairs(workspace, a, b), ids["s00"])
    assert view["id"] == ids["s00"] and "before" not in view["title"]


def test_names_of_runs_are_text(made):
    workspace, _, a, b = made
    describe(workspace, "b", HOSTILE, "")
    html = comparison_html(pairs(workspace, a, b))
    assert "<img" not in html and "&lt;img src=x" in html


def test_with_one_run_or_none_it_says_what_to_do(made, tmp_path: Path):
    workspace, *_ = made
    other = Workspace.create(tmp_path / "empty")
    now, words, fixed, broken = everything(other, PREVIOUS, LATEST)
    assert now == Shown("empty") and "Train a model first" in words and fixed is broken is None
    (workspace.runs / "b").rename(workspace.root / "elsewhere")
    now, words, *_ = everything(workspace, PREVIOUS, LATEST)
    assert now == Shown("w", "a") and "only one run so far" in words


def test_a_run_made_since_is_news_but_not_in_a_page_that_saw_nothing_yet_or_another_workspace(made):
    workspace, *_ = made
    assert news(workspace, Shown("w", "a")) and not news(workspace, Shown("w", "b"))
    assert not news(workspace, Shown()) and not news(workspace, Shown("other", "a"))


def test_training_again_says_which_settings_it_takes(made, tmp_path: Path):
    workspace, _, _, b = made
    assert "settings of run b: Epochs 0, all others at their defaults" in settings_html(workspace)
    weights = str(workspace.runs / "a" / "model.safetensors")
    config = {**b.config, "epochs": 3, "image_size": 160, "note": "nothing", "weights": weights, "unheard_of": 1}
    (b.folder / MANIFEST).write_text(json.dumps({**b.record, "config": config}))
    html = settings_html(workspace)
    assert "Initial weights run a" in html and "Image size 160" in html
    assert "nothing" not in html and "/" not in html[20:-4]
    assert "does not know or take: unheard of" in html
    assert settings_html(Workspace.create(tmp_path / "empty")) == ""


def test_what_is_shown_is_a_value(made):
    assert replace(Shown("w", "a"), newest="b") == Shown("w", "b")
