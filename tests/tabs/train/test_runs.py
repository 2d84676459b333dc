from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import RunError
from pipeline.tabs.train.runs import (
    chosen,
    differences,
    epoch_curves,
    from_trash,
    given_name,
    latest,
    one_run,
    runs_view,
    side_by_side,
    to_trash,
    trash_choices,
)
from pipeline.workspace.runs import Run, describe, list_runs, load_run
from pipeline.workspace.workspace import Workspace
from tests.workspace.test_runs import made_up

HOSTILE = "<img src=x onerror=alert(1)>"
TEST = {"error_rate": 0.1, "low": 0.05, "high": 0.2, "n": 40, "baseline_error_rate": 0.5}
EPOCHS = [
    {"epoch": number, "phase": "all", "train_loss": 1.0 / (1 + number), "valid_loss": 1.2 / (1 + number)}
    for number in range(3)
]


def a_run(workspace: Workspace, name: str, **more: Any) -> Run:
    known: dict[str, Any] = {"test": TEST, "valid": {**TEST, "error_rate": 0.15}, "epochs": EPOCHS, "seconds": 61.2}
    made_up(workspace, name, f"2026-01-0{len(list_runs(workspace)) + 1}", **known, **more)
    return load_run(workspace, name)


def cells(view: dict[str, Any], row: int = 0) -> dict[str, str]:
    return dict(view["rows"][row]["cells"])


def test_the_table_says_what_came_of_each_run(workspace: Workspace) -> None:
    a_run(workspace, "a", config={"backbone": "lite", "epochs": 2, "note": "mine"})
    describe(workspace, "a", "First try", "learnt <b>nothing</b>")
    view = runs_view(workspace, list_runs(workspace), ["a", "gone"])
    assert view["picked"] == ["a"] and view["rows"][0]["name"] == "First try"
    assert cells(view) | {"when": ""} == {
        "test error": "10.0% (5.0 to 20.0%)",
        "in a new place": "–",
        "valid error": "15.0% (5.0 to 20.0%)",
        "backbone": "lite",
        "epochs": "2",
        "took": "1 min 1 s",
        "when": "",
        "note": "learnt <b>nothing</b>",
    }
    json.dumps(view)


def test_a_run_of_another_version_still_shows(workspace: Workspace) -> None:
    folder = made_up(workspace, "old", "2020")
    record = {"id": "old", "created": "2020", "config": {"model": "x"}, "classes": ["a", "b"], "test": {"error": 1}}
    (folder / "run.json").write_text(json.dumps(record))
    a_run(workspace, "new", config={"epochs": 9, "quantum": [1, {"deep": True}]})
    old, new = load_run(workspace, "old"), load_run(workspace, "new")
    view = runs_view(workspace, [new, old], [])
    assert cells(view, 1)["test error"] == "–" and cells(view, 0)["epochs"] == "2 of 9"
    assert "does not know or take: model (x)" in one_run(old)
    both = side_by_side(old, new)
    assert "quantum" in both and "model" in both
    assert ("model", "x", "–") in differences(old, new)


def test_of_two_runs_what_differs_is_told_and_both_curves_are_drawn(workspace: Workspace) -> None:
    first = a_run(workspace, "a", config={"backbone": "lite", "epochs": 2, "seed": 1, "note": "x"})
    second = a_run(workspace, "b", config={"backbone": "lite", "epochs": 3, "seed": 1, "note": "y"})
    assert differences(first, second) == [("epochs", "2", "3")]
    html = side_by_side(first, second)
    assert html.count("<polyline") == 4 and html.count("10.0% (5.0 to 20.0%)") == 2
    assert "same settings" in side_by_side(first, first)


def test_curves_stay_inside_their_frame(workspace: Workspace) -> None:
    run = a_run(workspace, "a")
    points = re.findall(r"(?<=[\" ])([\d.]+),([\d.]+)", epoch_curves([run]))
    assert len(points) == 6
    assert all(46 <= float(x) <= 448 and 12 <= float(y) <= 184.1 for x, y in points)
    broken = Run(run.folder, {**run.record, "epochs": [{"epoch": 0, "valid_loss": None}, "x", {"epoch": "y"}]})
    assert epoch_curves([broken]) == "" and one_run(broken)


def test_foreign_words_are_text(workspace: Workspace) -> None:
    run = a_run(
        workspace,
        "a",
        config={"backbone": HOSTILE, HOSTILE: HOSTILE},
        notes=[HOSTILE],
        decision=HOSTILE,
        classes=[HOSTILE],
    )
    describe(workspace, "a", HOSTILE, HOSTILE)
    for html in (one_run(run), side_by_side(run, a_run(workspace, "b")), epoch_curves([run])):
        assert "<img" not in html


def test_a_run_goes_to_the_trash_and_comes_back(workspace: Workspace) -> None:
    a_run(workspace, "a")
    assert trash_choices(workspace) == []
    assert to_trash(workspace, "a") == "a is in the trash. Nothing of it is lost."
    assert trash_choices(workspace) == [("a, test error 10.0% (5.0 to 20.0%)", "a")]
    assert from_trash(workspace, "a") == "a is back."
    with pytest.raises(RunError, match="Choose"):
        from_trash(workspace, "")


def test_at_most_two_are_picked_in_the_order_of_picking(workspace: Workspace) -> None:
    runs = [a_run(workspace, name) for name in "abc"]
    assert [run.id for run in chosen(runs, ("c", "gone", "a", "b"))] == ["c", "a"]
    assert given_name(runs[0]) == ""


def test_what_happened_on_the_way_is_told(workspace: Workspace) -> None:
    html = one_run(a_run(workspace, "a", decision="The head alone is enough.", notes=["Memory ran out."]))
    assert "The head alone is enough." in html and "Memory ran out." in html


def test_without_runs_nothing_is_claimed(workspace: Workspace) -> None:
    assert latest([]) == "" and runs_view(workspace, [], ["a"])["rows"] == []


def test_the_newest_run_is_told_with_its_baseline(tiny_run: Run) -> None:
    html = latest([tiny_run])
    assert "always saying the largest class" in html and "valid_loss" in html


def test_a_run_without_test_pictures_claims_nothing(tiny_run: Run, tmp_path: Path) -> None:
    html = latest([Run(tiny_run.folder, {**tiny_run.record, "test": {**tiny_run.test, "n": 0}})])
    assert "95%" not in html and "–" in html


def test_the_error_in_a_new_place_stands_beside_the_one_on_pictures_like_these(workspace: Workspace) -> None:
    said = {"error_rate": 0.09, "low": 0.06, "high": 0.13, "scenes": 23, "by": "time", "narrower": "More <places>."}
    run = a_run(workspace, "a", new_scenes=said)
    shown = latest([run])
    assert "in a new place, probably" in shown and "6–13%" in shown and "More &lt;places&gt;." in shown
    assert cells(runs_view(workspace, [run], []))["in a new place"] == "6 to 13 %"
    assert "in a new place probably 6 to 13 %" in one_run(run)
