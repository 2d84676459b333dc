from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import NotEnoughData, UsageError
from pipeline.jobs import job as jobs
from pipeline.jobs.stages import name_of
from pipeline.tabs.page.job_view import result_in_words
from pipeline.tabs.train.fields import find_job
from pipeline.tabs.train.rates import rates_view, rounded
from pipeline.train.config import TrainConfig
from pipeline.train.lr_finder import find_lr, steepest, valley
from pipeline.workspace.workspace import Workspace
from tests.train.test_lr_finder import RATES, bathtub

CURVE = [[rate, bathtub(rate)] for rate in RATES]
SETTINGS = {**vars(TrainConfig()), "image_size": 64, "batch_size": 14, "device": "cpu"}


def ended(workspace: Workspace, number: int, result: Any, kind: str = "done") -> Path:
    """A job that looked for a rate, as it lies on the disk."""
    folder = workspace.jobs / f"job-{number}"
    folder.mkdir()
    config = {"backbone": "lite", "image_size": 64, "batch_size": 8}
    (folder / "job.json").write_text(
        json.dumps({"stage": name_of(find_lr), "config": config, "at": f"2026-01-0{number}"})
    )
    (folder / "events.jsonl").write_text(json.dumps({"kind": kind, "at": "2026-01-09", "result": result}) + "\n")
    return folder


def test_the_last_curve_is_shown_with_both_suggestions_and_the_rate_that_is_set(workspace: Workspace) -> None:
    assert rates_view(workspace, 0.1) == {"curve": [], "marks": [], "about": "", "now": 0.1}
    ended(workspace, 1, {"suggestion": 1e-5, "curve": CURVE[:5], "steepest": 1e-5})
    ended(workspace, 2, {"suggestion": 1.234e-3, "curve": CURVE, "steepest": 5.678e-3})
    ended(workspace, 3, None, kind="failed")
    view = rates_view(workspace, 3e-5)
    assert len(view["curve"]) == len(CURVE) and view["now"] == 3e-5
    assert [(mark["name"], mark["rate"]) for mark in view["marks"]] == [("suggestion", 1.2e-3), ("steepest", 5.7e-3)]
    assert "lite, 64 pixels, 8 pictures a step" in view["about"]
    json.dumps(view)


def test_what_an_older_version_did_not_write_down_is_found_in_the_curve(workspace: Workspace) -> None:
    ended(workspace, 1, {"suggestion": 1e-3, "curve": CURVE})
    points = [(rate, loss) for rate, loss in CURVE]
    assert [mark["rate"] for mark in rates_view(workspace, None)["marks"]] == [1e-3, rounded(steepest(points))]
    ended(workspace, 2, {"curve": CURVE})
    assert rates_view(workspace, None)["marks"][0]["rate"] == rounded(valley(points))


@pytest.mark.parametrize("curve", [None, [], "x", [[1]], [[math.nan, 1], [0, 1], [1, "x"]], [[1e-3, 1.0]]])
def test_a_curve_that_cannot_be_drawn_is_none(workspace: Workspace, curve: Any) -> None:
    ended(workspace, 1, {"suggestion": 1e-3, "curve": curve})
    assert rates_view(workspace, 0)["curve"] == []


@pytest.mark.parametrize("rate", [None, "1", 0, -1, 1.1, math.nan, math.inf, True and [1]])
def test_what_is_no_rate_is_not_taken(rate: Any) -> None:
    with pytest.raises(UsageError, match="above 0"):
        rounded(rate)


def test_a_rate_is_taken_with_two_digits() -> None:
    assert rounded(0.00123456) == 0.0012 and rounded(1) == 1.0


def test_where_nothing_can_be_learnt_no_rate_is_looked_for(workspace: Workspace) -> None:
    with pytest.raises(NotEnoughData, match="Go to Collect"):
        find_job(workspace, SETTINGS)


def test_the_result_is_told_in_words() -> None:
    words = result_in_words("find_lr", {"suggestion": 1.2e-3, "steepest": 5e-3, "curve": CURVE})
    assert words.startswith("It suggests 1.2e-03 (the middle of the valley) or 5.0e-03 (where the loss falls fastest).")
    assert result_in_words("find_lr", {}) == ""


@pytest.mark.slow
def test_a_rate_is_found_as_a_job_with_the_settings_of_the_tab(trained: Workspace) -> None:
    job = jobs.wait_for(trained, find_job(trained, SETTINGS).id, 300)
    assert job.status == "done", job.note
    assert job.config["batch_size"] == 14
    view = rates_view(trained, 1e-3)
    assert len(view["curve"]) > 20 and len(view["marks"]) == 2
