"""A run's answers as they look today: renamed, merged and vanished classes, changed labels, images gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleaner.clean.decisions import relabel, remove
from cleaner.review.today import today
from tests.cleaner.fabricate import Shot, run_with, workspace_with

ANT, BEE, CAT = (0.9, 0.1, 0.0), (0.1, 0.9, 0.0), (0.0, 0.1, 0.9)
SHOTS = [
    Shot("ant 1", "ant", "train", ANT),
    Shot("ant 2", "ant", "test", ANT),
    Shot("ant 3", "ant", "test", BEE),
    Shot("bee 1", "bee", "train", BEE),
    Shot("bee 2", "bee", "test", ANT),
    Shot("cat 1", "cat", "test", CAT),
    Shot("cat 2", "cat", "train", CAT),
]
ANTS = ("ant 1", "ant 2", "ant 3")


@pytest.fixture
def made(tmp_path: Path):
    workspace, ids = workspace_with(tmp_path / "w", SHOTS, pictures=False)
    return workspace, ids, run_with(workspace, ids, SHOTS)


def marks(found, ids, column: str) -> set[str]:
    names = {image: name for name, image in ids.items()}
    return {names[image] for image in found.table.loc[found.table[column], "id"]}


def test_nothing_happened_since(made):
    workspace, ids, run = made
    found = today(workspace, run)
    assert (dict(found.renamed), found.vanished, set(found.gone.values())) == ({}, (), {0})
    assert marks(found, ids, "wrong") == {"ant 3", "bee 2"} and len(found.on("test")) == 4
    assert not found.table["changed"].any() and not found.table["unknown"].any()


def test_a_renamed_class_is_read_by_its_name_of_today_and_is_no_changed_label(made):
    workspace, ids, run = made
    for name in ANTS:
        relabel(workspace, ids[name], "Ameise <ü>")
    found = today(workspace, run)
    assert dict(found.renamed) == {"ant": "Ameise <ü>"}
    assert marks(found, ids, "wrong") == {"ant 3", "bee 2"}
    assert marks(found, ids, "changed") == marks(found, ids, "unknown") == set()


def test_a_class_that_became_part_of_another_is_read_as_that_one(made):
    workspace, ids, run = made
    for name in ANTS:
        relabel(workspace, ids[name], "bee")
    found = today(workspace, run)
    assert dict(found.renamed) == {"ant": "bee"} and marks(found, ids, "wrong") == set()


def test_one_relabel_is_no_renaming(made):
    workspace, ids, run = made
    relabel(workspace, ids["ant 3"], "duck")
    found = today(workspace, run)
    assert not found.renamed and marks(found, ids, "changed") == marks(found, ids, "unknown") == {"ant 3"}
    assert "ant 3" in marks(found, ids, "wrong")


def test_a_class_that_was_divided_has_vanished_and_its_answers_are_wrong(made):
    workspace, ids, run = made
    for name, label in zip(ANTS, ("red ant", "red ant", "black ant"), strict=True):
        relabel(workspace, ids[name], label)
    found = today(workspace, run)
    assert not found.renamed and found.vanished == ("ant",)
    assert marks(found, ids, "wrong") == {*ANTS, "bee 2"}


def test_a_class_that_another_image_has_now_is_still_there(made):
    workspace, ids, run = made
    for name in ANTS:
        relabel(workspace, ids[name], "Ameise")
    relabel(workspace, ids["cat 1"], "ant")
    assert not today(workspace, run).renamed


def test_with_several_labels_the_one_that_changed_is_followed(tmp_path: Path):
    shots = [
        Shot("one", "sky", "test", (0.9, 0.1, 0.0)),
        Shot("two", "sea", "train", (0.1, 0.9, 0.0)),
        Shot("three", "sea", "test", (0.1, 0.9, 0.0)),
    ]
    workspace, ids = workspace_with(tmp_path / "w", shots, pictures=False)
    for name in ("two", "three"):
        relabel(workspace, ids[name], "sea|sky")
    run = run_with(workspace, ids, shots, ("sky", "sea", "land"))
    record = run.folder / "predictions.csv"
    record.write_text(record.read_text().replace("sea,", "sea|sky,"))  # what a head for several labels writes
    for name in ("two", "three"):
        relabel(workspace, ids[name], "Meer|sky")
    found = today(workspace, run)
    assert dict(found.renamed) == {"sea": "Meer"}
    assert not found.table["wrong"].any() and not found.table["changed"].any()


def test_images_gone_since_are_counted_by_split(made):
    workspace, ids, run = made
    remove(workspace, ids["ant 2"])
    remove(workspace, ids["bee 1"])
    found = today(workspace, run)
    assert dict(found.gone) == {"train": 1, "valid": 0, "test": 1} and len(found.table) == 5
