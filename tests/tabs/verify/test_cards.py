"""The cards show a page of pictures at a time, and do what the page asks: by id, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.errors import StaleDecision
from pipeline.stage import run
from pipeline.tabs.verify.tab import OF_A_GROUP, PAGE, OpenCard, Told, any_view, cards_view, carry_out, large_view
from pipeline.verify.cards import act, set_aside
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.store import NewImage
from pipeline.workspace.workspace import Workspace
from tests.support.shelf import Shelf
from tests.verify.test_cards import saved
from tests.verify.test_verify import put

HOSTILE = "<img src=x onerror=alert(1)>"
COPIES = 5


@pytest.fixture
def found(shelf: Shelf, photographs: Path, tmp_path: Path) -> Workspace:
    """12 good pictures, five copies of one (each smaller), a pair under two classes, three dark ones, two web pages."""
    return shelf.workspace("cards with copies", tmp_path / "found", lambda workspace: _fill(workspace, photographs))


def _fill(workspace: Workspace, photographs: Path) -> None:
    files = sorted(photographs.rglob("*.jpg"))[:12]
    for file in files:
        put(workspace, file.name, file.read_bytes())
    first, second = (Image.open(file) for file in files[:2])
    for number in range(1, COPIES):
        put(workspace, f"copy {number}.png", saved(first.resize((250 - number, 250 - number)), "PNG"))
    put(workspace, f"{HOSTILE}.png", saved(second, "PNG"), HOSTILE)
    for number in range(3):
        dark = Image.open(files[5 + number]).point(lambda value: value // 12)
        put(workspace, f"night/dark {number}.png", saved(dark, "PNG"))
        put(workspace, f"page {number}.jpg", f"<html>{number}".encode())
    run(verify(workspace, VerifyConfig(workers=1, accept_broken=True)))


def opened(workspace: Workspace, kind: str, page: int = 0) -> dict[str, Any]:
    view = cards_view(workspace, OpenCard(kind, page))
    assert view["open"] == kind and json.dumps(view)
    return view


def ids(view: dict[str, Any]) -> list[str]:
    return [picture["id"] for group in view["groups"] for picture in group["pictures"]]


def counts(workspace: Workspace) -> dict[str, tuple[int, int]]:
    """kind -> groups shown, groups ignored."""
    return {card["kind"]: (card["groups"], card["ignored"]) for card in cards_view(workspace, OpenCard())["cards"]}


def status(workspace: Workspace, images: list[str]) -> set[str]:
    return {str(workspace.store.image(image)["status"]) for image in images}


def told(workspace: Workspace, kind: str, action: str, asked: list[str] | None = None, seen: str = "") -> Told:
    """What the page is told of an action on some of a card's pictures (None: on all of them)."""
    sent = {"kind": kind, "action": action, "all": asked is None, "ids": asked or [], "seen": seen}
    return carry_out(workspace, sent, None)


def taken_back(workspace: Workspace, before: Told) -> Told:
    return carry_out(workspace, {"kind": "", "action": "undo", "all": True, "ids": [], "seen": ""}, before)


# --- showing ----------------------------------------------------------------------------------------------------------


def test_an_empty_workspace_has_no_cards(workspace: Workspace) -> None:
    view = cards_view(workspace, OpenCard("dark", 3))
    assert (view["cards"], view["open"], view["groups"], view["page"]) == ([], "", [], 0)


def test_no_picture_is_sent_before_a_card_is_opened(found: Workspace) -> None:
    view = cards_view(found, OpenCard())
    assert [card["kind"] for card in view["cards"]] == [
        "label_conflict",
        "duplicate",
        "dark",
        "broken_not_an_image",
    ]
    assert view["groups"] == [] and len(json.dumps(view)) < 2_000


def test_copies_are_shown_together_the_best_one_marked(found: Workspace) -> None:
    view = opened(found, "duplicate")
    group = max(view["groups"], key=lambda group: len(group["pictures"]))["pictures"]
    assert [picture["best"] for picture in group] == [True] + [False] * (COPIES - 1)
    assert group[0]["name"].endswith(".jpg") and group[1]["words"] == ["cat", "249 × 249"]


def test_a_picture_under_two_classes_is_shown_with_both(found: Workspace) -> None:
    ((group),) = opened(found, "label_conflict")["groups"]
    assert sorted(picture["words"][0] for picture in group["pictures"]) == [HOSTILE, "cat"]
    assert not any(picture["best"] for picture in group["pictures"])


def test_one_file_from_two_class_folders_tells_what_each_called_it(workspace: Workspace, photographs: Path) -> None:
    data = sorted(photographs.rglob("*.jpg"))[0].read_bytes()
    image, file = workspace.keep(data, "jpg")
    for label in ("cat", "dog"):
        workspace.store.add_images([NewImage(image, file, len(data), label, "folder", f"{label}/1.jpg")])
    run(verify(workspace, VerifyConfig(workers=1)))
    ((picture,),) = (group["pictures"] for group in opened(workspace, "label_conflict")["groups"])
    assert picture["words"][:2] == ["cat", "called cat and dog"]
    (shown,) = opened(workspace, "label_conflict")["groups"]
    assert (shown["ids"], shown["choices"]) == (
        [image],
        [{"label": "cat", "words": "cat"}, {"label": "dog", "words": "dog"}],
    )


def test_which_label_is_right_is_said_on_the_card_and_can_be_taken_back(found: Workspace) -> None:
    (group,) = opened(found, "label_conflict")["groups"]
    assert [choice["label"] for choice in group["choices"]] == sorted([HOSTILE, "cat"])
    before = found.store.labels()
    sent = {"kind": "label_conflict", "action": "label", "all": False, "ids": group["ids"], "seen": ""}
    done = carry_out(found, {**sent, "label": "cat"}, None)
    assert done.words == "2 pictures now cat." and {found.store.labels()[image] for image in group["ids"]} == {"cat"}
    assert "label_conflict" not in counts(found)
    assert carry_out(found, {**sent, "label": "cat"}, None).warning  # it is decided
    assert taken_back(found, done).words == "2 pictures with the label of before."
    assert found.store.labels() == before and counts(found)["label_conflict"] == (1, 0)


def test_what_has_no_thumbnail_is_shown_by_its_name_and_the_reason(found: Workspace) -> None:
    pictures = [group["pictures"][0] for group in opened(found, "broken_not_an_image")["groups"]]
    assert [picture["name"] for picture in pictures] == ["page 0.jpg", "page 1.jpg", "page 2.jpg"]
    assert all(picture["thumbnail"] is None for picture in pictures)
    assert pictures[0]["words"] == ["cat", "It is a web page, not a picture."]


def test_the_name_is_that_of_its_source_without_the_folders(found: Workspace) -> None:
    assert {group["pictures"][0]["name"] for group in opened(found, "dark")["groups"]} == {
        f"dark {number}.png" for number in range(3)
    }


def many(workspace: Workspace, number: int, groups: bool = False) -> list[str]:
    """``number`` broken files on record, or that many copies of one picture; none of them is on the disk."""
    names = [f"{place:064x}" for place in range(number)]
    workspace.store.add_images(NewImage(name, f"{name}.jpg", 1, "cat", "file", name) for name in names)
    how = ("ok", "ok", "") if groups else ("set_aside", "corrupt", "It is broken.")
    with workspace.store.database.transaction() as db:
        db.execute("UPDATE images SET status = ?, verdict = ?, reason = ?, width = 9, height = 9", how)
        db.execute("UPDATE images SET duplicate_group = 'one'" if groups else "UPDATE images SET split = NULL")
    return names


def test_a_card_is_shown_a_page_at_a_time(workspace: Workspace) -> None:
    names = many(workspace, 2 * PAGE + 1)
    first, last = opened(workspace, "broken_corrupt"), opened(workspace, "broken_corrupt", 99)
    assert (first["page"], first["pages"], ids(first)) == (0, 3, names[:PAGE])
    assert (last["page"], ids(last)) == (2, names[2 * PAGE :])
    assert opened(workspace, "broken_corrupt", -5)["page"] == 0


def test_of_a_very_large_group_the_first_are_shown_and_the_rest_is_counted(workspace: Workspace) -> None:
    many(workspace, 500, groups=True)
    ((group),) = opened(workspace, "duplicate")["groups"]
    assert len(group["pictures"]) == OF_A_GROUP and group["more"] == 500 - OF_A_GROUP


def test_a_large_picture_comes_with_what_is_known_about_it(found: Workspace) -> None:
    image = ids(opened(found, "dark"))[0]
    view = large_view(found, "dark", image)
    assert Path(view["large"]).is_file() and view["title"].startswith("dark ")
    assert dict(view["facts"])["class"] == "cat" and "PNG" in dict(view["facts"])["size"]


@pytest.mark.parametrize("image", ["nonesuch", "", "../../etc/passwd"])
def test_a_picture_that_is_not_in_the_card_is_not_shown_large(found: Workspace, image: str) -> None:
    assert large_view(found, "dark", image)["id"] == ""
    assert large_view(found, "no such card", image)["id"] == "" == any_view(found, image)["id"]


def test_any_picture_in_use_can_be_shown_large(found: Workspace) -> None:
    known = found.store.images("ok")
    for image in known["id"]:
        view = any_view(found, str(image))
        assert view["id"] == image and Path(view["large"]).is_file() and "reason" not in dict(view["facts"])


def test_what_cannot_be_read_is_not_shown_large(found: Workspace) -> None:
    image = ids(opened(found, "broken_not_an_image"))[0]
    assert large_view(found, "broken_not_an_image", image)["id"] == ""


# --- acting -----------------------------------------------------------------------------------------------------------


def test_ticked_pictures_are_set_aside_and_taken_back(found: Workspace) -> None:
    view = opened(found, "dark")
    done = told(found, "dark", "set_aside", ids(view)[:2], view["seen"])
    assert done.words == "2 pictures set aside."
    assert counts(found)["dark"] == (1, 0) and counts(found)["broken_by_hand"] == (2, 0)
    assert taken_back(found, done).words == "2 pictures back in use."
    assert counts(found)["dark"] == (3, 0) and "broken_by_hand" not in counts(found)


def test_a_whole_card_is_set_aside_in_one_go(found: Workspace) -> None:
    view = opened(found, "dark")
    done = told(found, "dark", "set_aside", None, view["seen"])
    assert done.acted and done.acted.images == tuple(ids(view)) and "dark" not in counts(found)


def test_of_copies_the_best_is_kept_and_the_others_come_back(found: Workspace) -> None:
    view = opened(found, "duplicate")
    largest = max(view["groups"], key=lambda group: len(group["pictures"]))["pictures"]
    done = told(found, "duplicate", "keep_best", [largest[2]["id"]], view["seen"])
    assert done.words == f"{COPIES - 1} copies set aside; the best of each is kept."
    assert status(found, [largest[0]["id"]]) == {"ok"}
    assert status(found, [picture["id"] for picture in largest[1:]]) == {"set_aside"}
    taken_back(found, done)
    assert ids(opened(found, "duplicate")) == ids(view)


def test_single_copies_can_be_set_aside_instead(found: Workspace) -> None:
    view = opened(found, "duplicate")
    first = view["groups"][0]["pictures"][0]["id"]
    act(found, "duplicate", "set_aside", [first], view["seen"])
    assert status(found, [first]) == {"set_aside"}
    assert found.store.images("set_aside")["id"].isin(ids(view)).sum() == 1


def test_what_cannot_be_read_is_taken_back_to_be_checked_again_and_can_be_set_aside_again(found: Workspace) -> None:
    view = opened(found, "broken_not_an_image")
    done = told(found, "broken_not_an_image", "restore", None, view["seen"])
    assert done.words == "3 pictures taken back. Check the pictures, and they are looked at again."
    assert status(found, ids(view)) == {"new"}
    assert taken_back(found, done).words == "3 pictures set aside again."
    assert ids(opened(found, "broken_not_an_image")) == ids(view)


def test_what_is_no_problem_is_hidden_and_can_be_shown_again(found: Workspace) -> None:
    view = opened(found, "dark")
    act(found, "dark", "ignore", ids(view)[:1], view["seen"])
    assert counts(found)["dark"] == (2, 1)
    act(found, "dark", "ignore", None, opened(found, "dark")["seen"])
    assert counts(found)["dark"] == (0, 3) and opened(found, "dark")["groups"] == []
    assert told(found, "dark", "notice").words == "3 shown again."
    assert counts(found)["dark"] == (3, 0)


def test_to_ignore_one_copy_is_to_ignore_its_group(found: Workspace) -> None:
    view = opened(found, "duplicate")
    one = view["groups"][0]["pictures"][1]["id"]
    done = told(found, "duplicate", "ignore", [one], view["seen"])
    assert done.words == "No problem: 1 group not shown here any more."
    assert counts(found)["duplicate"] == (len(view["groups"]) - 1, 1)


@pytest.mark.parametrize("action", ["set_aside", "ignore"])
def test_a_page_that_is_out_of_date_does_nothing(found: Workspace, action: str) -> None:
    view = opened(found, "dark")
    set_aside(found, ids(view)[:1])  # in another tab
    journal = found.store.journal.decisions()
    for asked in (ids(view), None):
        with pytest.raises(StaleDecision, match="changed meanwhile"):
            act(found, "dark", action, asked, view["seen"])
        assert told(found, "dark", action, asked, view["seen"]).warning
    assert found.store.journal.decisions() == journal and counts(found)["dark"] == (2, 0)
    act(found, "dark", action, ids(view)[1:2], view["seen"])  # this one is where it was
    assert counts(found)["dark"][0] == 1


def test_the_best_is_kept_only_of_groups_as_they_were_seen(found: Workspace) -> None:
    view = opened(found, "duplicate")
    largest = max(view["groups"], key=lambda group: len(group["pictures"]))["pictures"]
    set_aside(found, [largest[0]["id"]])  # another copy is the best now
    with pytest.raises(StaleDecision):
        act(found, "duplicate", "keep_best", [largest[2]["id"]], view["seen"])
    assert status(found, [picture["id"] for picture in largest[1:]]) == {"ok"}


@pytest.mark.parametrize(
    ("kind", "action"),
    [("dark", "restore"), ("broken_not_an_image", "set_aside"), ("nonesuch", "ignore"), ("dark", "")],
)
def test_only_what_a_card_offers_can_be_done(found: Workspace, kind: str, action: str) -> None:
    images = list(found.store.images()["id"])
    with pytest.raises(StaleDecision):
        act(found, kind, action, images, "")
    assert found.store.journal.decisions() == [] and found.store.ignored() == {}


def test_unknown_ids_and_no_ids_do_nothing(found: Workspace) -> None:
    view = opened(found, "dark")
    for asked in ([], ["nonesuch"], [*ids(view), "nonesuch"], ids(opened(found, "duplicate"))[:1]):
        with pytest.raises(StaleDecision):
            act(found, "dark", "set_aside", asked, view["seen"])
    assert found.store.journal.decisions() == []
