"""Renaming and merging classes: every image at once, test images too, said before and undone as one."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleaner.clean.decisions import decisions, plan, relabel, remove, rename, undo_step
from pipeline.errors import SourceError, UsageError
from pipeline.workspace.workspace import Workspace
from tests.cleaner.fabricate import Shot, workspace_with

SHOTS = [
    Shot("a", "ant", "train", (1.0, 0.0, 0.0)),
    Shot("b", "ant", "test", (1.0, 0.0, 0.0)),
    Shot("c", "ant", "valid", (1.0, 0.0, 0.0)),
    Shot("d", "bee", "train", (0.0, 1.0, 0.0)),
]


@pytest.fixture
def made(tmp_path: Path) -> tuple[Workspace, dict[str, str]]:
    workspace, ids = workspace_with(tmp_path / "w", SHOTS)
    remove(workspace, ids["c"])
    return workspace, ids


def labels(workspace: Workspace) -> list[str]:
    return list(workspace.store.images()["label"])


def test_every_image_of_the_class_gets_the_name_and_one_undo_gives_it_back(made) -> None:
    workspace, _ = made
    done = rename(workspace, "ant", "  Formica ")
    assert (done.new, done.images, done.test, done.unused, done.merged) == ("Formica", 3, 1, 1, 0)
    assert done.words == (
        "3 images are called ant (1 of the test split and 1 out of use among them). They become Formica, a new name."
    )
    assert labels(workspace) == ["Formica"] * 3 + ["bee"]
    assert list(workspace.store.images()["original_label"]) == ["ant"] * 3 + ["bee"]
    assert not any(d.about_label for d in decisions(workspace) if d.action == "rename")
    assert len(undo_step(workspace)) == 3 and labels(workspace) == ["ant"] * 3 + ["bee"]


def test_a_name_that_is_there_merges_the_two_and_the_plan_changes_nothing(made) -> None:
    workspace, _ = made
    planned = plan(workspace, "bee", "ant")
    assert "join the 3 that are called ant already" in planned.words and labels(workspace)[-1] == "bee"
    assert rename(workspace, "bee", "ant") == planned and set(labels(workspace)) == {"ant"}


def test_of_several_labels_only_that_one_changes_and_none_is_there_twice(made) -> None:
    workspace, ids = made
    relabel(workspace, ids["a"], "ant|bee")
    relabel(workspace, ids["d"], "bee|cat")
    rename(workspace, "bee", "ant")
    assert workspace.store.journal.state(ids["a"]).labels == ("ant",)
    assert workspace.store.journal.state(ids["d"]).labels == ("ant", "cat")


@pytest.mark.parametrize(
    ("old", "new", "error"), [("wasp", "x", UsageError), ("ant", "ant", UsageError), ("ant", " ", SourceError)]
)
def test_what_cannot_be_renamed_is_refused_and_changes_nothing(made, old, new, error) -> None:
    workspace, _ = made
    before = decisions(workspace)
    with pytest.raises(error):
        rename(workspace, old, new)
    assert decisions(workspace) == before
