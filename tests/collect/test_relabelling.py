"""Importing again under other labels: said, taken when asked for, taken back by one undo; and two labels at once."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleaner.clean.decisions import keep, relabel, remove, rename, undo_step
from pipeline.collect.importing import Imported
from pipeline.collect.relabelling import Differing
from pipeline.workspace.workspace import Workspace
from tests.support.importing import bring_in, picture
from tests.support.site import reply, running


def table(folder: Path, *rows: tuple[int, str], column: str = "label") -> Path:
    """A table of pictures by number, beside them."""
    folder.mkdir(exist_ok=True)
    for number, _ in rows:
        (folder / f"{number}.png").write_bytes(picture(number))
    lines = [f"{number}.png,{label}" for number, label in rows]
    (folder / "labels.csv").write_text("\n".join([f"path,{column}", *lines]), encoding="utf-8")
    return folder / "labels.csv"


def labels(workspace: Workspace) -> dict[str, str | None]:
    """File name without its ending -> label, of those that came from a table."""
    images = workspace.store.images()
    return {Path(row.source_name).stem: row.label for row in images.itertuples()}


def kept(workspace: Workspace) -> tuple[pd.DataFrame, pd.DataFrame]:
    return workspace.store.images(), workspace.store.sources()


def unchanged(workspace: Workspace, before: tuple[pd.DataFrame, pd.DataFrame]) -> bool:
    return all(now.equals(then) for now, then in zip(kept(workspace), before, strict=True))


@pytest.fixture
def here(workspace: Workspace, tmp_path: Path) -> Workspace:
    bring_in(workspace, table(tmp_path / "s", (1, "cat"), (2, "cat"), (3, "dog"), (4, "dog"), (5, "owl")))
    return workspace


def corrected(folder: Path) -> Path:
    return table(folder / "s", (1, "dog"), (2, "lion"), (3, "dog"), (4, "cat"), (5, "owl"))


def test_other_labels_are_said_and_nothing_is_changed(here: Workspace, tmp_path: Path) -> None:
    before = kept(here)
    found = bring_in(here, corrected(tmp_path))
    assert (found.added, found.duplicates, found.relabelled, len(found.labels_differ)) == (0, 2, 0, 3)
    [note] = found.notes
    assert note.startswith(
        "3 labels differ from what is here and stay as they are ('1.png': cat here, dog in the source;"
    )
    assert "--relabel" in note
    [question] = found.questions
    assert question.text == "3 labels differ: take the new ones?"
    assert [choice.told for choice in question.choices] == [{"relabel": False}, {"relabel": True}]
    assert unchanged(here, before) and here.store.journal.decisions() == []


@pytest.mark.parametrize(
    ("told", "says", "asks"),
    [({}, "leaves what is here as it is; --relabel takes", 1), ({"relabel": True}, "takes", 0)],
)
def test_a_dry_run_says_which_labels_would_differ(
    told: dict[str, bool], says: str, asks: int, here: Workspace, tmp_path: Path
) -> None:
    before = kept(here)
    found = bring_in(here, corrected(tmp_path), dry_run=True, **told)
    differing = bring_in(here, corrected(tmp_path)).labels_differ
    assert found.labels_differ == differing and len(differing) == 3 and len(found.questions) == asks
    [note] = found.notes
    assert note.startswith("3 labels differ from what is here ('1.png': cat here, dog in the source;")
    assert f"An import {says} the new ones." in note
    assert unchanged(here, before) and here.store.journal.decisions() == []


def test_new_labels_are_taken_when_asked_for_and_one_undo_takes_them_back(here: Workspace, tmp_path: Path) -> None:
    before = kept(here)
    found = bring_in(here, corrected(tmp_path), relabel=True)
    assert (found.duplicates, found.relabelled, found.questions) == (2, 3, ())
    assert labels(here) == {"1": "dog", "2": "lion", "3": "dog", "4": "cat", "5": "owl"}
    one = str(here.store.images()["id"][0])
    assert found.labels_differ[0] == Differing(one, "cat", "dog")
    decisions = here.store.journal.decisions()
    assert {decision.action for decision in decisions} == {"relabel"} and len({d.batch for d in decisions}) == 1
    again = bring_in(here, tmp_path / "s" / "labels.csv", relabel=True)
    assert (again.duplicates, again.labels_differ, again.notes) == (5, (), ())
    assert len(undo_step(here)) == 3
    assert unchanged(here, before)


def test_what_a_person_decided_is_changed_only_when_asked_for_and_said(here: Workspace, tmp_path: Path) -> None:
    first, second = here.store.images()["id"][:2]
    relabel(here, first, "lion")
    keep(here, second)
    source = table(tmp_path / "s", (1, "cat"), (2, "dog"))
    found = bring_in(here, source)
    assert [one.before for one in found.labels_differ] == ["lion", "cat"]
    assert "2 of them were decided on here." in found.notes[0]
    assert labels(here)["1"] == "lion"
    bring_in(here, source, relabel=True)
    assert (labels(here)["1"], labels(here)["2"]) == ("cat", "dog")


def test_a_decision_during_the_import_stays(here: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = str(here.store.images()["id"][0])
    taken = here.store.add_images

    def decides_first(*args: object) -> int:
        relabel(here, one, "yak")
        return taken(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("pipeline.workspace.store.Store.add_images", lambda _, *args: decides_first(*args))
    found = bring_in(here, table(tmp_path / "s", (1, "lion"), (3, "cat")), relabel=True)
    assert found.relabelled == 1 and "decided on meanwhile" in found.notes[0]
    assert (labels(here)["1"], labels(here)["3"]) == ("yak", "cat")


def test_several_labels_differ_as_sets(workspace: Workspace, tmp_path: Path) -> None:
    bring_in(workspace, table(tmp_path / "s", (1, "cat;dog"), (2, "cat"), (3, "owl;cat"), column="labels"))
    source = table(tmp_path / "s", (1, "dog;cat"), (2, "cat;owl"), (3, "owl;cat"), column="labels")
    found = bring_in(workspace, source, relabel=True)
    assert [(one.before, one.after) for one in found.labels_differ] == [("cat", "cat|owl")]
    assert labels(workspace) == {"1": "cat|dog", "2": "cat|owl", "3": "cat|owl"} and found.duplicates == 2


def test_a_class_with_another_name_and_a_removed_picture_do_not_differ(here: Workspace, tmp_path: Path) -> None:
    rename(here, "cat", "kitten")
    remove(here, str(here.store.images()["id"][2]))
    found = bring_in(here, table(tmp_path / "s", (1, "cat"), (2, "cat"), (3, "lion")))
    assert (found.duplicates, found.labels_differ) == (3, ())


def test_one_file_with_two_labels_is_a_conflict_and_no_duplicate(workspace: Workspace, tmp_path: Path) -> None:
    folders = tmp_path / "f"
    for place in ("cat/1.png", "dog/1.png", "dog/2.png"):
        (folders / place).parent.mkdir(parents=True, exist_ok=True)
        (folders / place).write_bytes(picture(int(place[4])))
    found = bring_in(workspace, folders)
    assert (found.added, found.duplicates, found.labels_differ) == (2, 0, ())
    assert found.notes == ("1 picture has two labels: cat, dog. It keeps its first one; Verify shows it.",)
    assert list(workspace.store.sources()["claimed_label"]) == ["cat", "dog", "dog"]
    before = kept(workspace)
    assert bring_in(workspace, folders, relabel=True).relabelled == 0
    assert unchanged(workspace, before)
    keep(workspace, str(before[0]["id"][0]))
    assert bring_in(workspace, folders).notes == ()


def test_two_rows_of_one_file_are_both_kept(workspace: Workspace, tmp_path: Path) -> None:
    found = bring_in(
        workspace, table(tmp_path / "s", (1, "cat"), (1, "dog"), (1, "cat"), (2, "owl"), (3, "ox"), (4, "ox"))
    )
    assert (found.added, found.duplicates, found.labels_differ) == (4, 0, ())
    assert sum("Verify shows" in note for note in found.notes) == 1
    assert labels(workspace) == {"1": "cat", "2": "owl", "3": "ox", "4": "ox"}
    assert list(workspace.store.sources()["claimed_label"]) == ["cat", "dog", "owl", "ox", "ox"]


ROWS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["cat", "dog", "owl"])), min_size=1, max_size=6)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(ROWS, ROWS)
def test_no_label_changes_unless_asked_for_and_an_undo_restores_all(
    first: list[tuple[int, str]], second: list[tuple[int, str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.create(Path(folder) / "w")
        source = table(Path(folder) / "s", *first)
        bring_in(workspace, source)
        before = kept(workspace)
        again = bring_in(workspace, source, relabel=True)
        assert unchanged(workspace, before) and (again.added, again.labels_differ) == (0, ())
        had = workspace.store.labels()
        found: Imported = bring_in(workspace, table(Path(folder) / "s", *second))
        assert had.items() <= workspace.store.labels().items()
        took = bring_in(workspace, Path(folder) / "s" / "labels.csv", relabel=True)
        assert took.labels_differ == found.labels_differ and took.relabelled == len(found.labels_differ)
        if took.relabelled:
            undo_step(workspace)
        assert had.items() <= workspace.store.labels().items()


@pytest.mark.slow
def test_addresses_are_pictures_too(workspace: Workspace, tmp_path: Path) -> None:
    with running({f"/{number}.png": reply(picture(number)) for number in range(6)}) as site:

        def bring(*rows: tuple[int, str], relabel: bool = False) -> Imported:
            lines = [f"http://{site.host}/{number}.png,{label}" for number, label in rows]
            (tmp_path / "t.csv").write_text("\n".join(["url,label", *lines]))
            return bring_in(workspace, tmp_path / "t.csv", relabel=relabel, allow_hosts=(site.host,))

        first = bring((0, "cat"), (0, "dog"), (1, "cat"), (2, "dog"), (3, "dog"), (4, "dog"), (5, "dog"))
        assert (first.added, first.labels_differ) == (6, ())
        called = workspace.store.sources()[["name", "claimed_label"]].to_numpy().tolist()
        assert [label for name, label in called if name.endswith("/0.png")] == ["cat", "dog"]
        rows = ((1, "owl"), (2, "dog"))
        found = bring(*rows)
        assert (found.added, found.duplicates, len(found.labels_differ)) == (0, 1, 1)
        assert bring(*rows, relabel=True).relabelled == 1
        assert sorted(workspace.store.labels().values()) == ["cat", "dog", "dog", "dog", "dog", "owl"]
