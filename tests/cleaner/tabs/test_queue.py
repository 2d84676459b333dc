"""What the Clean tab's page shows, and what becomes of the decisions it sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cleaner.clean.audit import log_audit
from cleaner.clean.decisions import decisions, relabel, remove, undo
from cleaner.clean.queues import Queues
from cleaner.tabs.clean.queue import AUDIT, Filters, apply, class_choices, queue_view, refuse
from pipeline.workspace.records import Verdict
from tests.cleaner.fabricate import CLASSES, Shot, run_with, workspace_with

SHOTS = [
    Shot("wrong", "ant", "train", (0.02, 0.96, 0.02)),
    Shot("doubtful", "bee", "train", (0.4, 0.5, 0.1)),
    Shot("fine", "cat", "valid", (0.05, 0.05, 0.9)),
    Shot("test", "ant", "test", (0.0, 1.0, 0.0)),
]


@pytest.fixture
def made(tmp_path: Path):
    workspace, ids = workspace_with(tmp_path / "w", SHOTS)
    run_with(workspace, ids, SHOTS)
    return workspace, ids


def sent(view: dict[str, Any], number: int, kind: str, image: str | None, label: str | None = None) -> dict[str, Any]:
    """An action as the page sends it, with the state that the page was shown."""
    seen = next((row["seen"] for row in view["rows"] if row["id"] == image), None)
    return {"number": number, "kind": kind, "id": image, "label": label, "seen": seen}


def names(view: dict[str, Any]) -> list[str]:
    return [row["name"].removesuffix(".jpg") for row in view["rows"]]


def test_the_view_holds_the_queue_with_its_counts_and_pictures_and_travels_as_json(made):
    workspace, _ = made
    view = queue_view(workspace, Filters())
    assert names(view) == ["wrong", "doubtful", "fine"]
    assert (view["shown"], view["left"], view["done"], view["position"]) == (3, 3, 0, 0)
    assert view["classes"] == list(CLASSES)
    first = json.loads(json.dumps(view))["rows"][0]
    assert (first["label"], first["suggested"], first["split"]) == ("ant", "bee", "train")
    for picture in (first["thumbnail"], first["large"]):
        assert Path(picture).is_file() and workspace.thumbnails in Path(picture).parents


def test_filters_show_a_part_and_lose_nothing(made):
    workspace, _ = made
    view = queue_view(workspace, Filters(label="bee"))
    assert names(view) == ["doubtful"] and (view["shown"], view["left"]) == (1, 3)
    assert view["filter"] == "1 of them shown"
    assert names(queue_view(workspace, Filters(split="valid"))) == ["fine"]
    nothing = queue_view(workspace, Filters(label="cat", split="train"))
    assert nothing["rows"] == [] and "3 images without" in nothing["empty"]


def test_the_kind_of_suspect_is_a_filter_too(made):
    workspace, ids = made
    doubt = Verdict(ids["fine"], "ok", "suspect", "Its end is missing.", 320, 240, "JPEG")
    workspace.store.record_verdicts([doubt])
    assert names(queue_view(workspace, Filters(kind="file"))) == ["fine"]
    assert names(queue_view(workspace, Filters(kind="label"))) == ["wrong", "doubtful"]


def test_the_test_split_is_shown_only_once_its_audit_with_that_run_was_logged(made):
    workspace, _ = made
    assert names(queue_view(workspace, Filters(split=AUDIT))) == ["wrong", "doubtful", "fine"]
    log_audit(workspace, "another run")
    assert "test" not in names(queue_view(workspace, Filters(split=AUDIT)))
    log_audit(workspace, "run-a")
    queues = Queues()
    audit = queue_view(workspace, Filters(split=AUDIT), queues=queues)
    assert names(audit) == ["test"] and (audit["left"], audit["done"]) == (1, 0)
    apply(workspace, "page", [sent(audit, 1, "keep", audit["rows"][0]["id"])], ("", 0))
    after = queue_view(workspace, Filters(split=AUDIT), queues=queues, whole=False)
    assert (after["left"], after["done"]) == (0, 1)
    assert names(queue_view(workspace, Filters(), queues=queues)) == ["wrong", "doubtful", "fine"]


def test_without_a_run_the_view_says_what_to_do(tmp_path: Path):
    workspace, _ = workspace_with(tmp_path / "w", SHOTS[:1])
    view = queue_view(workspace, Filters())
    assert view["rows"] == [] and "Train" in view["empty"]
    assert class_choices(workspace, "latest") == [("every class", "")]


def test_decisions_are_done_in_order_and_once(made):
    workspace, ids = made
    view = queue_view(workspace, Filters())
    batch = [
        sent(view, 1, "relabel", ids["wrong"], "bee"),
        sent(view, 2, "keep", ids["doubtful"]),
        sent(view, 3, "remove", ids["fine"]),
    ]
    answer = apply(workspace, "page", batch, ("", 0))
    assert (answer.done_up_to, answer.message) == (3, "")
    assert [decision.action for decision in decisions(workspace)] == ["relabel", "keep", "remove"]
    again = apply(workspace, "page", [*batch, sent(view, 4, "undo", ids["fine"])], ("page", 3))
    assert again.done_up_to == 4 and len(decisions(workspace)) == 3
    after = queue_view(workspace, Filters(), at=ids["fine"], answer=again)
    assert names(after) == ["fine"] and (after["done"], after["left"], after["done_up_to"]) == (2, 1, 4)


def test_a_new_page_starts_to_count_anew(made):
    workspace, ids = made
    view = queue_view(workspace, Filters())
    apply(workspace, "first page", [sent(view, 5, "keep", ids["wrong"])], ("", 0))
    answer = apply(workspace, "second page", [sent(view, 1, "keep", ids["doubtful"])], ("first page", 5))
    assert answer.done_up_to == 1 and len(decisions(workspace)) == 2


def test_a_stale_decision_is_told_and_the_others_of_the_batch_are_done(made):
    workspace, ids = made
    view = queue_view(workspace, Filters())
    relabel(workspace, ids["wrong"], "cat")
    batch = [sent(view, 1, "relabel", ids["wrong"], "bee"), sent(view, 2, "keep", ids["doubtful"])]
    answer = apply(workspace, "page", batch, ("", 0))
    assert "changed meanwhile" in answer.message and "labelled cat" in answer.message
    assert answer.forget and answer.done_up_to == 2
    assert workspace.store.image(ids["wrong"])["label"] == "cat"
    assert decisions(workspace)[-1].image == ids["doubtful"]


def test_a_refused_class_name_comes_back_to_the_image_it_was_meant_for(made):
    workspace, ids = made
    view = queue_view(workspace, Filters())
    answer = apply(workspace, "page", [sent(view, 1, "relabel", ids["doubtful"], "x" * 256)], ("", 0))
    after = queue_view(workspace, Filters(), at=ids["fine"], answer=answer)
    assert "longer than 255" in after["message"] and after["warning"]
    assert after["rows"][after["position"]]["id"] == after["focus"] == ids["doubtful"]


def test_undo_from_a_fresh_page_goes_to_the_image_and_says_what_was_taken_back(made):
    workspace, ids = made
    remove(workspace, ids["doubtful"])
    answer = apply(workspace, "page", [sent({"rows": []}, 1, "undo", None)], ("", 0))
    assert answer.message == "Taken back: remove of bee." and answer.focus == ids["doubtful"]
    answer = apply(workspace, "page", [sent({"rows": []}, 2, "undo", None)], ("page", 1))
    assert answer.message == "There is nothing to undo."
    answer = apply(workspace, "page", [sent({"rows": []}, 3, "redo", None)], ("page", 2))
    assert answer.message == "Redone: removed."
    answer = apply(workspace, "page", [sent({"rows": []}, 4, "redo", None)], ("page", 3))
    assert answer.message == "There is nothing to redo."


def test_a_page_takes_back_only_what_it_believes_to_take_back(made):
    workspace, ids = made
    view = queue_view(workspace, Filters())
    apply(workspace, "page", [sent(view, 1, "keep", ids["wrong"])], ("", 0))
    remove(workspace, ids["fine"])  # somebody else, in another tab
    answer = apply(workspace, "page", [sent(view, 2, "undo", ids["wrong"])], ("page", 1))
    assert "somebody else" in answer.message and answer.forget
    assert not any(decision.undone for decision in decisions(workspace))


def test_a_page_redoes_only_what_it_believes_to_redo(made):
    workspace, ids = made
    view = queue_view(workspace, Filters())
    both = [sent(view, 1, "keep", ids["wrong"]), sent(view, 2, "undo", ids["wrong"])]
    apply(workspace, "page", both, ("", 0))
    remove(workspace, ids["fine"])  # somebody else, in another tab
    answer = apply(workspace, "page", [sent(view, 3, "redo", ids["wrong"])], ("page", 2))
    assert "something new was decided" in answer.message and answer.forget
    undo(workspace)
    answer = apply(workspace, "page", [sent(view, 4, "redo", ids["wrong"])], ("page", 3))
    assert "something else by now" in answer.message and all(one.undone for one in decisions(workspace))


def test_what_cannot_be_done_at_all_is_forgotten_with_its_reason():
    answer = refuse("page", [{"number": 3}, {"number": 4}], "There is no workspace called 'gone'.")
    assert (answer.done_up_to, answer.forget) == (4, True) and "gone" in answer.message


def test_a_class_named_since_the_run_can_be_chosen_after_the_runs_own(made):
    workspace, ids = made
    relabel(workspace, ids["wrong"], "aardvark")
    assert queue_view(workspace, Filters())["classes"] == [*CLASSES, "aardvark"]
    assert class_choices(workspace, "latest")[-1] == ("aardvark", "aardvark")


def test_an_image_whose_file_is_gone_is_shown_with_the_reason(made):
    workspace, ids = made
    row = workspace.store.image(ids["wrong"])
    (workspace.images / row["file"]).unlink()
    first = queue_view(workspace, Filters())["rows"][0]
    assert first["large"] is None and "cannot be shown" in first["trouble"]


def test_only_a_stretch_of_a_long_queue_travels_and_it_lies_around_the_image(tmp_path: Path):
    shots = [Shot(f"s{n:03}", "ant", "train", (n / 200, 1 - n / 200, 0.0)) for n in range(150)]
    workspace, ids = workspace_with(tmp_path / "w", shots, pictures=False)
    run_with(workspace, ids, shots)
    view = queue_view(workspace, Filters(), at=ids["s070"])
    assert view["shown"] == 150 and len(view["rows"]) == 45
    assert view["rows"][view["position"] - view["start"]]["id"] == ids["s070"]
