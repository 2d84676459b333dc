"""The history of decisions: steps of one or many, each taken back alone, or everything after a point."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cleaner.clean import decisions
from cleaner.clean.decisions import keep, relabel, remove, undo, undo_step, wish
from cleaner.clean.replay import replay
from cleaner.tabs.clean.exchange import decisions_file, replayed_view
from cleaner.tabs.clean.tab import (
    STEPS_A_PAGE,
    class_names,
    go_through,
    history_view,
    planned,
)
from pipeline.errors import StaleDecision, StoreError
from pipeline.workspace.workspace import Workspace
from tests.cleaner.fabricate import Shot, workspace_with

SHOTS = [Shot(f"s{number}", "ant", "train", (1.0, 0.0, 0.0)) for number in range(6)]


@pytest.fixture
def made(tmp_path: Path) -> tuple[Workspace, dict[str, str]]:
    return workspace_with(tmp_path / "w", SHOTS)


def batch(workspace: Workspace, ids: dict[str, str], names: str, label: str) -> None:
    done, refused = decisions.decide_each(workspace, [wish("relabel", ids[f"s{n}"], label) for n in names])
    assert len(done) == len(names) and refused == []


def sent(view: dict, row: int, kind: str) -> dict:
    line = view["rows"][row] if kind != "point" else {"first": 0, "last": view["rows"][row]["last"]}
    return {"kind": kind, "page": 0, "mark": view["mark"], "first": line["first"], "last": line["last"]}


def test_steps_come_newest_first_and_travel_as_json(made) -> None:
    workspace, ids = made
    keep(workspace, ids["s0"])
    batch(workspace, ids, "1234", "bee")
    view = json.loads(json.dumps(history_view(workspace)))
    assert [row["words"] for row in view["rows"]] == ["4 images: relabelled from ant to bee", "kept as ant"]
    assert [row["later"] for row in view["rows"]] == [0, 4] and view["rows"][1]["name"] == "s0.jpg"
    assert len(view["rows"][0]["pictures"]) == 4


def test_one_step_is_taken_back_where_nothing_was_decided_on_it_since(made) -> None:
    workspace, ids = made
    batch(workspace, ids, "01", "bee")
    relabel(workspace, ids["s1"], "cat")
    refused = go_through(workspace, sent(history_view(workspace), 1, "step"))
    assert refused["warning"] and "1 of these 2 images were decided on since" in refused["message"]
    go_through(workspace, sent(refused, 0, "step"))
    done = go_through(workspace, sent(history_view(workspace), 1, "step"))
    assert done["message"] == "2 decisions taken back." and [row["standing"] for row in done["rows"]] == [0, 0]
    assert "taken back already" in go_through(workspace, sent(done, 1, "step"))["message"]
    assert set(workspace.store.images()["label"]) == {"ant"}


def test_back_to_a_point_undoes_what_came_after_unless_somebody_decided_in_between(made) -> None:
    workspace, ids = made
    keep(workspace, ids["s0"])
    remove(workspace, ids["s1"])
    batch(workspace, ids, "23", "bee")
    view = history_view(workspace)
    keep(workspace, ids["s5"])
    assert "meanwhile" in go_through(workspace, sent(view, 2, "point"))["message"]
    assert go_through(workspace, sent(history_view(workspace), 3, "point"))["message"] == "4 decisions taken back."
    assert [decision.undone for decision in decisions.decisions(workspace)] == [False] + [True] * 4
    assert (workspace.images / workspace.store.image(ids["s1"])["file"]).is_file()


def test_back_to_the_start_counts_the_whole_journal_and_can_be_redone_to_any_step(made) -> None:
    workspace, ids = made
    for _ in range(STEPS_A_PAGE):
        keep(workspace, ids["s5"])
    batch(workspace, ids, "0123", "bee")
    view = history_view(workspace)
    assert len(view["rows"]) == STEPS_A_PAGE and view["standing"] == STEPS_A_PAGE + 4
    back = go_through(workspace, {**sent(view, 0, "point"), "last": 0})
    assert back["message"] == f"{STEPS_A_PAGE + 4} decisions taken back."
    assert (back["standing"], back["redoable"], back["rows"][0]["redoable"]) == (0, STEPS_A_PAGE + 4, 4)
    assert go_through(workspace, sent(back, 0, "redo"))["message"] == "1 decision redone."
    assert "meanwhile" in go_through(workspace, sent(back, 0, "redo_to"))["message"]
    done = go_through(workspace, sent(history_view(workspace), 0, "redo_to"))
    assert done["message"] == f"{STEPS_A_PAGE + 3} decisions redone." and done["standing"] == STEPS_A_PAGE + 4
    assert set(workspace.store.images()["label"]) == {"ant", "bee"}
    assert "cannot be redone" in go_through(workspace, sent(done, 0, "redo_to"))["message"]


def test_undo_takes_a_batch_back_as_one_step_and_counts_single_decisions_where_asked(made) -> None:
    workspace, ids = made
    batch(workspace, ids, "012", "bee")
    assert len(undo(workspace, 1)) == 1
    with pytest.raises(StaleDecision):
        undo_step(workspace, ids["s5"])
    assert len(undo_step(workspace, ids["s0"])) == 2 and undo_step(workspace) == []


def test_of_a_batch_what_cannot_be_done_is_told_and_the_rest_is_done_in_one_go(made) -> None:
    workspace, ids = made
    remove(workspace, ids["s1"])
    known = 0
    wishes = [wish("remove", ids[f"s{n}"], known=known) for n in range(3)] + [wish("keep", "f" * 64)]
    done, refused = decisions.decide_each(workspace, wishes)
    assert [d.image for d in done] == [ids["s0"], ids["s2"]] and len({d.batch for d in done}) == 1
    assert [r.image for r in refused] == [ids["s1"], "f" * 64]
    assert "Somebody else decided" in refused[0].reason and "no image" in refused[1].reason
    with pytest.raises(StoreError, match="no decision called"):
        wish("erase", ids["s0"])


def test_long_histories_come_in_pages(made) -> None:
    workspace, ids = made
    for _ in range(STEPS_A_PAGE + 1):
        keep(workspace, ids["s0"])
    view = history_view(workspace, 1)
    assert (len(view["rows"]), view["pages"], view["total"]) == (1, 2, STEPS_A_PAGE + 1)
    assert history_view(workspace, -3)["page"] == 0


def test_the_forms_say_what_they_do_and_hostile_names_stay_text(made, tmp_path) -> None:
    workspace, ids = made
    relabel(workspace, ids["s0"], "<img src=x>")
    assert class_names(workspace) == [("<img src=x> (1)", "<img src=x>"), ("ant (5)", "ant")]
    assert "&lt;img src=x&gt;" in planned(workspace, "<img src=x>", "bee") and planned(workspace, None, "bee") == ""
    assert "w-warn" in planned(workspace, "wasp", "bee")
    file = decisions_file(workspace, tmp_path / "cache")
    told = replayed_view(replay(workspace, file))
    assert "0 applied, 1 so already" in told
    relabel(workspace, ids["s0"], "bee")
    file.write_text(file.read_text(encoding="utf-8").replace('"ant","', '"<b>wasp</b>","'), encoding="utf-8")
    assert "&lt;b&gt;wasp" in replayed_view(replay(workspace, file))
