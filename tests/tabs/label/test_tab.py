"""What the Label tab shows, and what becomes of what its page sends."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cleaner.clean.decisions import remove, undo_step
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.errors import NotEnoughData, UsageError
from pipeline.jobs import job as jobs
from pipeline.label.features import unseen
from pipeline.label.rest import FEWEST_LABELLED, rest
from pipeline.label.sheets import answer, counts
from pipeline.stage import run
from pipeline.tabs.label.tab import (
    Offer,
    carry_out,
    look_job,
    looked_again,
    offer_view,
    sheet_view,
    take_its_word,
)
from pipeline.workspace.workspace import Workspace
from tests.label.conftest import heap, looked_at, truth

__all__ = ["heap", "looked_at", "truth"]  # the fixtures
HOSTILE = "<img src=x onerror=alert(1)>"


def message(view: dict[str, Any], label: str, but: list[str] | None = None) -> dict[str, Any]:
    """What the page sends."""
    ids = [one["id"] for one in view["sheet"]["images"]]
    what = {"kind": "name", "sheet": view["sheet"]["id"], "label": label, "but": but or [], "images": ids}
    return {**what, "about": "", "page": "me", "number": 1}


def undo(about: str = "") -> dict[str, Any]:
    return {"kind": "undo", "about": about, "sheet": "", "label": "", "but": [], "images": []}


def asking(view: dict[str, Any]) -> dict[str, Any]:
    ids = [one["id"] for one in view["sheet"]["images"]]
    return {"mark": view["mark"], "working": False, "of": view["sheet"]["id"], "images": ids}


def test_where_nothing_can_be_named_it_says_why_and_where_to_go(workspace: Workspace, photographs: Path) -> None:
    assert "go to Collect" in sheet_view(workspace)["empty"]
    with pytest.raises(NotEnoughData, match="Go to Collect"):
        look_job(workspace)
    run(import_images(workspace, ImportConfig(str(photographs))))
    view = sheet_view(workspace)
    assert view["empty"] == "All pictures have a label: 40. On to Train." and view["unseen"] == 0


def test_pictures_that_were_not_looked_at_wait_for_a_job(
    workspace: Workspace, photographs: Path, tmp_path: Path
) -> None:
    (tmp_path / "flat").mkdir()
    shutil.copyfile(next(photographs.rglob("*.jpg")), tmp_path / "flat" / "1.jpg")
    run(import_images(workspace, ImportConfig(str(tmp_path / "flat"))))
    view = sheet_view(workspace)
    assert (view["unseen"], view["sheet"]) == (1, None) and view["empty"].startswith("1 picture has no label. Look at")


@pytest.mark.slow
def test_the_job_looks_and_is_not_started_twice(heap: Workspace) -> None:
    shutil.rmtree(heap.cache)
    assert unseen(heap) == 40
    job = look_job(heap)
    assert sheet_view(heap)["working"]
    with pytest.raises(UsageError, match="already"):
        look_job(heap)
    assert jobs.wait_for(heap, job.id, 120).status == "done"
    view = sheet_view(heap)
    assert view["unseen"] == 0 and view["sheet"]["images"] and not view["working"]


def test_a_sheet_is_named_the_next_one_comes_and_undo_brings_it_back(heap: Workspace) -> None:
    first = sheet_view(heap)
    assert json.dumps(first) and first["progress"] == "0 named, 40 left" and first["classes"] == []
    assert all(one["thumbnail"] and one["name"].endswith(".jpg") for one in first["sheet"]["images"])
    ids = [one["id"] for one in first["sheet"]["images"]]
    told = carry_out(heap, message(first, HOSTILE, ids[:1]))
    assert told.words == f"{len(ids) - 1} pictures named {HOSTILE}. U takes it back."
    assert told.made == ids[1] and not told.warning
    after = sheet_view(heap, told, message(first, HOSTILE))
    assert after["answer"] == {"page": "me", "number": 1} and after["sheet"]["id"] != first["sheet"]["id"]
    assert after["classes"] == [HOSTILE] and after["progress"] == f"{len(ids) - 1} named, {41 - len(ids)} left"
    assert (
        carry_out(heap, undo(told.made)).words
        == f"Taken back: {len(ids) - 1} pictures named {HOSTILE}. Shift+U redoes it."
    )
    assert sheet_view(heap)["sheet"] == first["sheet"]
    redone = carry_out(heap, {**undo(told.made), "kind": "redo"})
    assert redone.words.startswith(f"Redone: {len(ids) - 1} pictures") and redone.made == told.made
    assert sheet_view(heap)["sheet"] == after["sheet"] and counts(heap)[0] == len(ids) - 1
    assert "Nothing was taken back" in carry_out(heap, {**undo(), "kind": "redo"}).words
    assert carry_out(heap, undo(told.made)).words.startswith("Taken back")
    assert carry_out(heap, undo()).words == "There is nothing to undo."


def test_what_the_other_named_meanwhile_is_told_and_stays(heap: Workspace) -> None:
    view = sheet_view(heap)
    ids = [one["id"] for one in view["sheet"]["images"]]
    assert looked_again(heap, asking(view)) is None
    answer(heap, view["sheet"]["id"], "apple", ids[2:])
    again = looked_again(heap, asking(view))
    assert again is not None and again["sheet"] and "Somebody else named 2 pictures" in again["told"]["words"]
    told = carry_out(heap, message(view, "pear"))
    assert told.warning and "2 pictures had a label by then" in told.words
    assert Counter(heap.store.labels().values()) == {"apple": 2, "pear": len(ids) - 2}
    answer(heap, again["sheet"]["id"], "plum")
    late = carry_out(heap, undo(ids[-1]))
    assert late.warning and late.forget and "no longer yours" in late.words
    kept = looked_again(heap, {**asking(view), "images": [ids[0]], "mark": ""})
    assert kept is not None and kept["of"] == view["sheet"]["id"]


def test_what_cannot_be_done_is_told(heap: Workspace) -> None:
    view = sheet_view(heap)
    assert "needs a name" in carry_out(heap, message(view, " ")).words
    assert "no sheet" in carry_out(heap, {**message(view, "apple"), "sheet": "ffffffff"}).words
    assert "on this sheet" in carry_out(heap, message(view, "apple", ["f" * 64])).words
    assert counts(heap) == (0, 40)
    remove(heap, view["sheet"]["images"][0]["id"])
    assert "Clean tab" in carry_out(heap, undo()).words
    assert undo_step(heap)


def test_several_labels_and_none_of_these(heap: Workspace) -> None:
    view = sheet_view(heap)
    assert not view["several"]
    assert "named leaf, apple" in carry_out(heap, message(view, "leaf|apple")).words
    several = sheet_view(heap)
    assert several["several"] and sorted(several["classes"]) == ["apple", "leaf"]
    assert carry_out(heap, message(several, several["none"])).made
    assert sorted(sheet_view(heap)["classes"]) == ["apple", "leaf"], "none of these has a button of its own"


def test_the_models_word_is_offered_with_a_sample_taken_once_and_taken_back(
    heap: Workspace, truth: dict[str, str]
) -> None:
    assert offer_view(heap, Offer(heap.name, rest(heap, 0.01, wait=False), "1"))["number"] == 0
    while counts(heap)[0] < FEWEST_LABELLED:
        view = sheet_view(heap)
        label = truth[view["sheet"]["images"][0]["id"]]
        carry_out(
            heap, message(view, label, [one["id"] for one in view["sheet"]["images"] if truth[one["id"]] != label])
        )
    labelled = counts(heap)[0]
    offer = Offer(heap.name, rest(heap, 0.9, wait=False), "mine")
    view = offer_view(heap, offer)
    assert view["number"] == len(offer.rest.labels) and f"{view['number']:,} picture" in view["words"]
    assert view["sample"] and all(one["label"] == offer.rest.labels[one["id"]] for one in view["sample"])
    assert take_its_word(heap, {"mark": "older"}, offer).warning and take_its_word(heap, {"mark": "mine"}, None).warning
    told = take_its_word(heap, {"mark": "mine"}, offer)
    assert told.words.startswith(f"{view['number']} picture") and "by the model" in told.words
    seen = sheet_view(heap, told)
    assert f"{view['number']} of them by the model" in seen["progress"] + seen["empty"]
    assert take_its_word(heap, {"mark": "mine"}, offer).words.startswith("None named"), "taken twice changes nothing"
    assert "by the model" in carry_out(heap, undo(told.made)).words
    assert counts(heap)[0] == labelled
