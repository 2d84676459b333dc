"""Decisions as a CSV file: what a spreadsheet does not run, what fits elsewhere, and what is told where it does not."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cleaner.clean.decisions import decisions, keep, relabel, remove, rename, restore, undo, undo_step
from cleaner.clean.replay import COLUMNS, Conflict, export_decisions, replay
from pipeline.errors import PipelineError, SourceError
from pipeline.workspace.records import State, Wish
from pipeline.workspace.workspace import Workspace
from tests.cleaner.fabricate import Shot, workspace_with

SHOTS = [Shot(f"s{number}", "ant", "train", (1.0, 0.0, 0.0)) for number in range(6)]


@pytest.fixture
def two(tmp_path: Path) -> tuple[Workspace, Workspace, dict[str, str]]:
    """The same pictures in two workspaces."""
    here, ids = workspace_with(tmp_path / "here", SHOTS)
    there, _ = workspace_with(tmp_path / "there", SHOTS)
    return here, there, ids


def states(workspace: Workspace, ids: dict[str, str]) -> dict[str, State]:
    return {name: workspace.store.journal.state(image) for name, image in ids.items()}


def decided(workspace: Workspace, ids: dict[str, str]) -> None:
    relabel(workspace, ids["s0"], "bee")
    relabel(workspace, ids["s0"], "=cmd(1)")
    remove(workspace, ids["s1"])
    remove(workspace, ids["s2"])
    restore(workspace, ids["s2"])
    keep(workspace, ids["s3"])
    relabel(workspace, ids["s4"], "wrongly")
    undo(workspace)
    rename(workspace, "ant", "Ämse 熊")


def test_a_journal_replayed_on_the_same_pictures_gives_the_same_states_once(two, tmp_path) -> None:
    here, there, ids = two
    decided(here, ids)
    file = tmp_path / "out.csv"
    assert export_decisions(here, file).decisions == len(decisions(here))
    before = states(there, ids)
    done = replay(there, file)
    assert states(there, ids) == states(here, ids)
    assert (done.undone, done.already, done.conflicts, done.unknown) == (1, 0, (), ())
    assert len({decision.batch for decision in decisions(there)}) == 1
    again = replay(there, file)
    assert (again.applied, again.already) == (0, done.applied)
    assert len(undo_step(there)) == done.applied
    assert states(there, ids) == before
    assert all((there.images / there.store.image(image)["file"]).is_file() for image in ids.values())


def test_the_file_says_what_the_source_called_an_image_and_nothing_in_it_is_a_formula(two, tmp_path) -> None:
    here, _, ids = two
    decided(here, ids)
    export_decisions(here, tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").open(encoding="utf-8")))
    assert tuple(rows[0]) == COLUMNS and rows[0]["name"] == "s0.jpg" and rows[0]["image"] == ids["s0"]
    assert rows[1]["labels_after"].startswith("'=cmd")
    assert [row["undone"] for row in rows].count("true") == 1


def test_what_does_not_fit_is_a_conflict_and_what_is_not_here_is_listed(two, tmp_path) -> None:
    here, there, ids = two
    relabel(here, ids["s0"], "bee")
    relabel(here, ids["s1"], "bee")
    relabel(here, ids["s2"], "bee")
    keep(here, ids["s5"])
    export_decisions(here, tmp_path / "out.csv")
    relabel(there, ids["s0"], "cat")
    relabel(there, ids["s1"], "bee")
    there.store.journal.decide([Wish(ids["s2"], "relabel", lambda state: State(("wasp",), state.status))])
    relabel(there, ids["s2"], "bee")
    text = (tmp_path / "out.csv").read_text(encoding="utf-8")
    (tmp_path / "out.csv").write_text(text.replace(ids["s5"], "f" * 64), encoding="utf-8")
    done = replay(there, tmp_path / "out.csv")
    assert (done.applied, done.already, done.unknown) == (0, 2, ("f" * 64,))
    assert done.conflicts == (Conflict(2, ids["s0"], "It is cat, in use here; the file expects ant, in use."),)
    assert "1 in conflict, 1 pictures not here" in done.words


HEADER = ",".join(f'"{column}"' for column in COLUMNS)


def line(
    image: str, action: str = "keep", before: str = "ant", after: str = "ant", status: str = "ok", undone: str = "false"
) -> str:
    return f'2026-01-01,{image},x,{action},"{before}","{after}",ok,{status},{undone}'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "lacks the column image"),
        (b"path,label\na,b\n", "lacks the column image"),
        (HEADER.encode().replace(b'"image",', b'"image","image",'), "column image twice"),
        (HEADER.encode() + b"\na\0b", "NUL"),
        (HEADER.encode() + b'\n"never closed', "cannot be read at line 2"),
        (HEADER.encode() + b"\n" + b"x" * 200_000, "cannot be read at line"),
        (HEADER.encode() + b"\n" + b"x" * (2 << 20), "line 2 is longer"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_in_words_and_changes_nothing(two, tmp_path, content, words) -> None:
    _, there, _ = two
    (tmp_path / "bad.csv").write_bytes(content)
    with pytest.raises(SourceError, match=words):
        replay(there, tmp_path / "bad.csv")
    assert decisions(there) == []


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("../../etc/passwd",), "names no image"),
        (("OWN", "explode"), "no decision called 'explode'"),
        (("OWN", "relabel", "ant", "x" * 300), "longer than 255"),
        (("OWN", "keep", "ant", "ant", "erased"), "no status called 'erased'"),
        (("OWN", "keep", "ant", "ant", "ok", "maybe"), "taken back is said as 'maybe'"),
    ],
)
def test_a_hostile_line_is_a_conflict_and_the_others_are_done(two, tmp_path, row, words) -> None:
    _, there, ids = two
    hostile = line(*(ids["s0"] if cell == "OWN" else cell for cell in row))
    (tmp_path / "in.csv").write_text("\n".join([HEADER, hostile, ids["s1"], line(ids["s1"], "relabel", "ant", "bee")]))
    done = replay(there, tmp_path / "in.csv")
    assert done.applied == 1 and words in done.conflicts[0].reason
    assert there.store.journal.state(ids["s1"]).labels == ("bee",) and there.store.journal.state(ids["s0"]).labels == (
        "ant",
    )


def test_where_it_cannot_be_written_it_is_said(two, tmp_path) -> None:
    here, _, ids = two
    keep(here, ids["s0"])
    (tmp_path / "file").write_text("")
    with pytest.raises(PipelineError, match="cannot be written"):
        export_decisions(here, tmp_path / "file" / "out.csv")


@pytest.mark.parametrize(
    ("sign", "encoding", "start", "yes", "no"),
    [
        (";", "utf-8-sig", "", "WAHR", "FALSCH"),
        (";", "cp1252", "", "VRAI", "FAUX"),
        ("\t", "utf-16", "", "TRUE", "FALSE"),
        ("\t", "utf-16-le", "", "Verdadero", "Falso"),
        (",", "utf-8", "sep=,\r\n", "TRUE", ""),
        (";", "utf-8", "sep=;\r\n", "1", "0"),
        ("|", "utf-8", "", "VERO", "FALSO"),
    ],
)
def test_what_a_spreadsheet_made_of_the_file_is_replayed_as_it_was_written(
    two, tmp_path, sign, encoding, start, yes, no
) -> None:
    """Its separator, encoding, words for true and false, quotes only where needed; columns in another order, one more
    that is empty, and a line without anything.
    """
    here, there, ids = two
    decided(here, ids)
    relabel(here, ids["s5"], f"Wüste {sign} Sand".replace("|", "/"))
    export_decisions(here, tmp_path / "out.csv")
    rows = list(csv.DictReader((tmp_path / "out.csv").open(encoding="utf-8")))
    if encoding == "cp1252":
        rows = [{name: cell.replace("熊", "B") for name, cell in row.items()} for row in rows]
    with (tmp_path / "excel.csv").open("w", encoding=encoding, newline="") as file:
        file.write(start)
        table = csv.writer(file, delimiter=sign)
        table.writerow([*reversed(COLUMNS), ""])
        for row in rows:
            told = {**row, "at": "01.12.2026 13:05", "undone": yes if row["undone"] == "true" else no}
            table.writerow([*(told[column] for column in reversed(COLUMNS)), ""])
        table.writerow([""] * 10)
    done = replay(there, tmp_path / "excel.csv")
    assert (done.applied, done.undone, done.conflicts) == (len(rows) - 1, 1, ())
    if encoding == "cp1252":
        assert "Windows text" in done.notes[0]
    else:
        assert states(there, ids) == states(here, ids) and done.notes == ()


def test_names_that_a_spreadsheet_takes_for_numbers_or_truth_are_the_classes_that_are_here(tmp_path) -> None:
    shots = [Shot(f"s{number}", name, "train", (1.0, 0.0, 0.0)) for number, name in enumerate(["007", "0.50", "true"])]
    here, ids = workspace_with(tmp_path / "here", shots)
    there, _ = workspace_with(tmp_path / "there", shots)
    relabel(here, ids["s0"], "true")
    relabel(here, ids["s1"], "007")
    relabel(here, ids["s2"], "8")
    export_decisions(here, tmp_path / "out.csv")
    text = (tmp_path / "out.csv").read_text(encoding="utf-8").replace('"', "").replace(",", ";")
    for name, seen in ("007", "7"), ("0.50", "0,5"), ("true;", "WAHR;"), ("false", "FALSCH"):
        text = text.replace(f";{name}", f";{seen}")
    (tmp_path / "excel.csv").write_text(text, encoding="utf-8")
    done = replay(there, tmp_path / "excel.csv")
    assert done.applied == 3 and states(there, ids) == states(here, ids)
    assert set(done.notes) == {
        f"The class {name} is written {seen} in the file, as spreadsheets do."
        for name, seen in (("007", "7"), ("0.50", "0,5"), ("true", "WAHR"))
    }


def test_one_undo_takes_a_whole_renaming_back_and_a_merge_too(two) -> None:
    here, _, ids = two
    relabel(here, ids["s0"], "bee")
    before = states(here, ids)
    rename(here, "ant", "Ämse")
    rename(here, "Ämse", "bee")
    assert len(undo_step(here)) == 5
    assert len(undo(here, 2)) == 2
    assert len(undo_step(here)) == 3 and states(here, ids) == before
