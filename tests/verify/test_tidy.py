"""What is set aside comes back whole; copies are thinned out to the best one; nothing is lost on the way."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from cleaner.clean.decisions import remove, undo
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.errors import StoreError
from pipeline.stage import run
from pipeline.verify.cards import keep_best, restore, set_aside
from pipeline.verify.findings import verified
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.workspace import Workspace
from tests.support.shelf import Shelf


@pytest.fixture
def checked(shelf: Shelf, photographs: Path, tmp_path: Path) -> Workspace:
    def fill(workspace: Workspace) -> None:
        run(import_images(workspace, ImportConfig(str(photographs))))
        run(verify(workspace, VerifyConfig(workers=1)))

    return shelf.workspace("checked fruit", tmp_path / "checked", fill)


def state(workspace: Workspace) -> dict[str, tuple[str, str, str]]:
    rows = workspace.store.images().itertuples()
    return {str(row.id): (str(row.label), str(row.split), str(row.status)) for row in rows}


def hashes(workspace: Workspace) -> set[str]:
    files = (workspace.image_file(str(file)) for file in workspace.store.images()["file"])
    return {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_everything_set_aside_and_restored_is_as_before(checked: Workspace) -> None:
    before, ids = state(checked), list(checked.store.images()["id"])
    assert set_aside(checked, ids) == len(ids) == 40
    aside = verified(checked)
    assert aside.ok == 0 and len(aside.set_aside) == 40
    assert {row.reason for row in aside.set_aside} == {"Set aside by hand."}
    assert restore(checked, ids) == 40
    assert state(checked) == before and hashes(checked) == set(ids)
    assert run(verify(checked, VerifyConfig(workers=1))).new == 0


def test_each_picture_is_journalled_and_can_be_undone(checked: Workspace) -> None:
    before, ids = state(checked), list(checked.store.images()["id"])[:3]
    set_aside(checked, ids)
    assert [(decision.image, decision.action) for decision in checked.store.journal.decisions()] == [
        (image, "set_aside") for image in ids
    ]
    undo(checked, 3)
    assert state(checked) == before


def test_what_is_not_there_to_change_is_left_alone(checked: Workspace) -> None:
    one, two, three = list(checked.store.images()["id"])[:3]
    remove(checked, one)
    assert set_aside(checked, [one, two]) == 1
    assert set_aside(checked, [two]) == 0
    assert restore(checked, [one, three]) == 0
    assert checked.store.image(one)["status"] == "removed"


def test_an_unknown_picture_changes_nothing(checked: Workspace) -> None:
    before, one = state(checked), str(checked.store.images()["id"][0])
    with pytest.raises(StoreError, match="There is no image nonesuch"):
        set_aside(checked, [one, "nonesuch"])
    assert state(checked) == before and checked.store.journal.decisions() == []


def test_of_each_group_the_first_is_kept(checked: Workspace) -> None:
    ids = list(checked.store.images()["id"])
    assert keep_best(checked, [ids[:3], ids[3:5], ids[5:6]]) == 3
    assert [checked.store.image(image)["status"] for image in ids[:6]] == [
        "ok",
        "set_aside",
        "set_aside",
        "ok",
        "set_aside",
        "ok",
    ]
