"""Every decision can be taken back, whatever came before, and no file is ever lost."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleaner.clean import decisions
from cleaner.clean.decisions import keep, relabel, remove, restore, undo
from pipeline.errors import SourceError, StaleDecision, StoreError, UsageError
from pipeline.workspace.records import NewImage, State, Verdict, Wish
from pipeline.workspace.workspace import Workspace
from tests.cleaner.fabricate import Shot, workspace_with

SHOTS = [Shot(f"s{n}", "ant" if n % 2 else "bee", "train", (1.0,)) for n in range(4)]


@pytest.fixture
def made(tmp_path: Path):
    return workspace_with(tmp_path / "w", SHOTS)


def files(workspace: Workspace) -> dict[str, str]:
    """Every image file of the workspace, among the images or in the trash, with its content's hash."""
    found = {}
    for folder in (workspace.images, workspace.trash):
        for file in folder.rglob("*.jpg"):
            found[str(file.relative_to(workspace.root))] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def test_a_kept_image_is_journalled_and_nothing_else_changes(made):
    workspace, ids = made
    before = workspace.store.images()
    decision = keep(workspace, ids["s0"])
    assert (decision.action, decision.before, decision.undone) == ("keep", decision.after, False)
    assert workspace.store.images().equals(before)
    assert decisions.decisions(workspace) == [decision]


def test_a_removed_image_goes_to_the_trash_and_comes_back_by_undo(made):
    workspace, ids = made
    file = workspace.store.image(ids["s0"])["file"]
    remove(workspace, ids["s0"])
    assert workspace.store.image(ids["s0"])["status"] == "removed"
    assert (workspace.trash / file).is_file() and not (workspace.images / file).exists()
    [undone] = undo(workspace)
    assert undone.undone and workspace.store.image(ids["s0"])["status"] == "ok"
    assert (workspace.images / file).is_file() and not (workspace.trash / file).exists()


def test_a_removed_image_can_be_restored_later_and_keeps_its_label(made):
    workspace, ids = made
    relabel(workspace, ids["s0"], "cat")
    remove(workspace, ids["s0"])
    keep(workspace, ids["s1"])
    restore(workspace, ids["s0"])
    row = workspace.store.image(ids["s0"])
    assert (row["status"], row["label"]) == ("ok", "cat")
    assert (workspace.images / row["file"]).is_file()


def test_an_image_set_aside_is_restored_on_a_persons_word(made):
    workspace, ids = made
    workspace.store.journal.decide(
        [Wish(ids["s0"], "keep", lambda state: State(state.labels, "set_aside", "It is blurred."))]
    )
    restore(workspace, ids["s0"])
    assert workspace.store.image(ids["s0"])["status"] == "ok"


def test_an_image_that_was_never_verified_is_restored_as_new(made):
    workspace, _ = made
    workspace.store.add_images([NewImage("f" * 64, f"ff/{'f' * 64}.jpg", 1, "ant", "folder", "ant/new.jpg")])
    remove(workspace, "f" * 64)
    restore(workspace, "f" * 64)
    assert workspace.store.image("f" * 64)["status"] == "new"


def test_what_is_out_of_use_must_be_restored_before_anything_else(made):
    workspace, ids = made
    remove(workspace, ids["s0"])
    for act in (lambda: keep(workspace, ids["s0"]), lambda: relabel(workspace, ids["s0"], "cat")):
        with pytest.raises(StoreError, match="Restore it first"):
            act()
    with pytest.raises(StoreError, match="removed already"):
        remove(workspace, ids["s0"])
    with pytest.raises(StoreError, match="nothing to restore"):
        restore(workspace, ids["s1"])
    with pytest.raises(StoreError, match="no image"):
        restore(workspace, "0" * 64)
    assert len(decisions.decisions(workspace)) == 1


def test_a_stale_decision_changes_nothing_and_says_how_the_image_is_now(made):
    workspace, ids = made
    seen = workspace.store.journal.state(ids["s1"])
    relabel(workspace, ids["s1"], "cat", seen)
    with pytest.raises(StaleDecision, match="labelled cat"):
        remove(workspace, ids["s1"], seen)
    row = workspace.store.image(ids["s1"])
    assert (row["label"], row["status"]) == ("cat", "ok") and (workspace.images / row["file"]).is_file()


def test_a_relabel_may_name_a_new_class_in_any_script(made):
    workspace, ids = made
    assert relabel(workspace, ids["s0"], "  Cafe\u0301 au lait ").after.labels == ("Café au lait",)
    assert relabel(workspace, ids["s0"], "熊🐻").after.labels == ("熊🐻",)
    assert relabel(workspace, ids["s0"], "x" * 255).after.labels == ("x" * 255,)


@pytest.mark.parametrize("name", ["", "   ", "\n\t", "x" * 256, "\ud800"])
def test_a_name_that_cannot_be_a_class_is_refused_with_a_sentence(made, name):
    workspace, ids = made
    with pytest.raises(SourceError, match="class"):
        relabel(workspace, ids["s0"], name)
    assert decisions.decisions(workspace) == []


def test_undo_takes_back_the_last_ones_first_and_says_which(made):
    workspace, ids = made
    for name, label in (("s0", "cat"), ("s1", "dog"), ("s0", "eel")):
        relabel(workspace, ids[name], label)
    assert [d.after.labels for d in undo(workspace, 2)] == [("eel",), ("dog",)]
    assert workspace.store.image(ids["s0"])["label"] == "cat"
    assert [d.undone for d in decisions.decisions(workspace)] == [False, True, True]
    assert len(undo(workspace, 10)) == 1 and undo(workspace) == []
    with pytest.raises(UsageError):
        undo(workspace, 0)


@pytest.mark.parametrize("action", ["remove", "undo"])
def test_being_killed_between_the_commit_and_the_move_loses_nothing(made, action):
    workspace, ids = made
    file = workspace.store.image(ids["s0"])["file"]
    content = (workspace.images / file).read_bytes()
    if action == "remove":
        workspace.store.journal.decide([Wish(ids["s0"], "remove", lambda s: State(s.labels, "removed", s.reason))])
    else:
        remove(workspace, ids["s0"])
        workspace.store.journal.undo()
    again = Workspace.open(workspace.root)
    assert again.image_file(file).read_bytes() == content
    if action == "remove":
        undo(again)
    else:
        remove(again, ids["s0"])
        undo(again)
    assert (again.images / file).read_bytes() == content and not (again.trash / file).exists()


def test_a_verdict_that_comes_later_does_not_undo_a_decision(made):
    workspace, ids = made
    remove(workspace, ids["s0"])
    workspace.store.record_verdicts([Verdict(ids["s0"], "ok", "ok", "", 1, 1, "JPEG")])
    assert workspace.store.image(ids["s0"])["status"] == "removed"


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["keep", "remove", "relabel", "restore", "undo"]),
        st.integers(0, len(SHOTS) - 1),
        st.sampled_from(["ant", "bee", "Ünïcode", "new class"]),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_as_many_undos_as_decisions_give_back_every_row_and_every_file(tmp_path_factory, steps):
    workspace, ids = workspace_with(tmp_path_factory.mktemp("w") / "w", SHOTS)
    rows, lying = workspace.store.images(), files(workspace)
    for action, number, label in steps:
        image = ids[f"s{number}"]
        try:
            if action == "undo":
                undo(workspace)
            elif action == "relabel":
                relabel(workspace, image, label)
            else:
                getattr(decisions, action)(workspace, image)
        except StoreError:
            continue  # refused, as it must be: nothing was journalled
        assert set(files(workspace).values()) == set(lying.values())
    standing = sum(not decision.undone for decision in decisions.decisions(workspace))
    for _ in range(standing):
        assert len(undo(workspace)) == 1
    assert undo(workspace) == []
    assert workspace.store.images().equals(rows)
    assert files(workspace) == lying
