"""What the cells of a table's rows say: one-hot columns, labels of several words, splits, rows that repeat a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.collect.columns import Meaning
from pipeline.collect.entries import Labelling
from pipeline.collect.sources import read
from pipeline.collect.tables import Row, open_table
from pipeline.errors import SourceError
from pipeline.labels import Several
from pipeline.predict import NONE
from pipeline.workspace.workspace import Workspace
from tests.support.importing import bring_in
from tests.support.importing import lay as lay_pictures
from tests.support.sources import lay, notes, placed


def said(*lines: str, **how: Any) -> dict[str, tuple[str | None, str | None]]:
    """file -> (label, split) of every row."""
    table = open_table("t.csv", "\n".join(lines).encode(), how=Labelling(**how))
    rows = [row for row in table.rows(Labelling(**how)) if isinstance(row, Row)]
    return {row.path: (row.label, row.split) for row in rows}


def labels(*lines: str, **how: Any) -> list[str | None]:
    return [label for label, _ in said(*lines, **how).values()]


def told(*lines: str, **how: Any) -> str:
    """The notes about a table, as one text."""
    table = open_table("t.csv", "\n".join(lines).encode(), how=Labelling(**how))
    rows = list(table.rows(Labelling(**how)))
    return " ".join(note.text for note in (*table.notes, *rows) if hasattr(note, "text"))


# --- one-hot columns


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (("1,0,0", "0,0,1"), ["a", "c"]),
        (("1.0,0.0,0.0", "0.0,0.0,1.0"), ["a", "c"]),
        (("True,False,False", "FALSE,FALSE,TRUE"), ["a", "c"]),
        (("yes,no,", "no,no,yes"), ["a", "c"]),
        (("x,,", ",,x"), ["a", "c"]),
        (("1,0,1", "0,1,0", "0,0,0"), ["a|c", "b", NONE]),
        (("1,0,0", "0,0,0"), ["a", None]),
        (("1,-1,1", "-1,1,-1", "-1,-1,-1"), ["a|c", "b", NONE]),
        (("1.0,0.0,1.0", "-1.0,,0.0", "0.0,-1.0,1.0"), ["a|c", None, "c"]),
    ],
)
def test_columns_of_yes_and_no_are_classes(rows: tuple[str, ...], expected: list[str | None]) -> None:
    lines = [f"{number}.jpg,{row}" for number, row in enumerate(rows)]
    assert labels("image,a,b,c", *lines) == expected


def test_what_was_made_of_yes_and_no_is_told() -> None:
    text = told("image,a,b", "1.jpg,1,1", "2.jpg,0,0", "3.jpg,1,-1")
    assert "the columns 'a', 'b' are the classes" in text and "1 row has -1" in text and NONE in text
    assert "no label" in told("image,a,b", "1.jpg,1,0", "2.jpg,0,0")


def test_a_row_that_is_neither_yes_nor_no_is_told_and_the_rest_is_read() -> None:
    lines = ["image,a,b", *(f"{number}.jpg,1,0" for number in range(1001)), "x.jpg,maybe,0"]
    table = open_table("t.csv", "\n".join(lines).encode())
    bad = [row for row in table.rows(Labelling()) if hasattr(row, "reason")]
    assert [(row.path, row.reason) for row in bad] == [("line 1003", "'maybe' in the column 'a' is neither 0 nor 1.")]


# --- labels of several words


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("AMERICAN ROBIN", "SNOWY OWL"), None),
        (("black bear", "brown bear", "black cat"), None),
        (("BALD EAGLE", "GOLDEN EAGLE", "SNOWY OWL", "BARN OWL"), None),
        (("bear", "black bear", "polar bear"), None),
        (("tench, Tinca tinca", "goldfish, Carassius auratus"), None),
        (("dog",), None),
        (("dog person", "dog", "person cat"), " "),
        (("dog person", "person dog"), " "),
        (("haze primary", "clear primary water", "haze water", "clear"), " "),
        (("dog, cat", "cat, bird", "bird, dog"), ","),
        (("dog,cat", "dog", "cat"), ","),
        (("polar bear; cat", "seal"), ";"),
        (("Mass|Nodule", "No Finding"), "|"),
    ],
)
def test_words_are_labels_of_their_own_where_they_combine_freely(cells: tuple[str, ...], expected: str | None) -> None:
    several = Several.of(cells)
    assert several.separator == expected
    if expected in (None, " ", ",") and any(" " in cell or "," in cell for cell in cells):
        assert "--label-separator" in several.doubt


def test_how_words_were_read_is_told_with_an_example_and_a_separator_decides() -> None:
    lines = ("file,labels", "1.jpg,SNOWY OWL", "2.jpg,BARN OWL")
    assert labels(*lines) == ["SNOWY OWL", "BARN OWL"] and "'SNOWY OWL' is one" in told(*lines)
    assert labels(*lines, separator=" ") == ["OWL|SNOWY", "BARN|OWL"] and told(*lines, separator=" ") == ""
    free = ("file,tags", "1.jpg,dog person", "2.jpg,dog", "3.jpg,person cat")
    assert labels(*free) == ["dog|person", "dog", "cat|person"] and "'dog person' is several" in told(*free)
    assert labels(*free, separator="/") == ["dog person", "dog", "person cat"]


def test_a_column_for_one_label_has_several_only_with_a_bar_or_as_numbers() -> None:
    assert labels("file,label", "1.jpg,dog person", "2.jpg,dog", "3.jpg,person dog") == [
        "dog person",
        "dog",
        "person dog",
    ]
    assert labels("file,label", "1.jpg,dog|cat", "2.jpg,dog") == ["cat|dog", "dog"]
    assert labels("Id,Target", "1,16 0", "2,0 7", "3,7 16", "4,7") == ["0|16", "0|7", "16|7", "7"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("0", "4"), ["0", "4"]),
        (("1.0", "0.0", "3.0"), ["1", "0", "3"]),
        (("1.0", "0.5"), ["1.0", "0.5"]),
        (("1.0", "nan", "2.0"), ["1", None, "2"]),
        (("007", "7"), ["007", "7"]),
    ],
)
def test_numbers_stay_as_they_are_written(cells: tuple[str, ...], expected: list[str | None]) -> None:
    assert labels("file,label", *(f"{number}.jpg,{cell}" for number, cell in enumerate(cells))) == expected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('"{""choices"":[""cat"",""polar bear""]}"', "cat|polar bear"),
        ('"[""cat"", ""dog""]"', "cat|dog"),
        ("\"['cat', 'dog']\"", "cat|dog"),
        ('"[{""x"":1,""rectanglelabels"":[""car""]},{""x"":2,""rectanglelabels"":[""bus""]}]"', "bus|car"),
        ("[sic]", "[sic]"),
        ("[]", None),
        ("[" * 30_000, None),
    ],
)
def test_lists_and_objects_in_a_cell_name_their_labels(cell: str, expected: str | None) -> None:
    lines = ("image,choice", f"1.jpg,{cell}")
    if len(cell) > 255:
        assert labels(*lines) == []  # no label, and said so: it is longer than a name may be
    else:
        assert labels(*lines) == [expected]


def test_labels_in_further_columns_without_a_header_are_of_the_same_picture() -> None:
    lines = ("gs://b/1.jpg,cat,dog", "gs://b/2.jpg,dog,", "gs://b/3.jpg,dog,cat")
    assert labels(*lines) == ["cat|dog", "dog", "cat|dog"]


def test_a_list_with_blanks_between_and_tables_one_after_another_are_read() -> None:
    assert said("img/1.jpg 0", "img/2.jpg 1") == {"img/1.jpg": ("0", None), "img/2.jpg": ("1", None)}
    assert said("file,label", "1.jpg,a", "file,label", "2.jpg,b") == {"1.jpg": ("a", None), "2.jpg": ("b", None)}


# --- splits


def test_splits_have_many_words_and_what_is_none_costs_no_picture() -> None:
    words = ("Training", "PublicTest", "PrivateTest", "validate", "holdout", "TRAIN", "UNASSIGNED", "exam", "")
    lines = ["file,label,split", *(f"{number}.jpg,a,{word}" for number, word in enumerate(words))]
    assert [split for _, split in said(*lines).values()] == (
        ["train", "valid", "test", "valid", "test", "train", None, None, None]
    )
    assert "'PrivateTest' as test" in told(*lines) and "1 row has 'exam' for a split" in told(*lines)


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("is_valid", ("True", "0"), ["valid", "train"]),
        ("is_test", ("1", "0"), ["test", "train"]),
        ("is_training_image", ("1", "0"), ["train", "test"]),
        ("split", ("0", "1"), [None, None]),
    ],
)
def test_flags_are_splits_and_numbers_are_none(header: str, cells: tuple[str, ...], expected: list[str | None]) -> None:
    lines = [f"file,label,{header}", *(f"{number}.jpg,a,{cell}" for number, cell in enumerate(cells))]
    assert [split for _, split in said(*lines).values()] == expected


@pytest.mark.parametrize("how", [{"split_from": "column"}, {"split_column": "split"}])
def test_numbers_as_splits_are_refused_where_they_are_asked_for(how: dict[str, str]) -> None:
    with pytest.raises(SourceError, match=r"which of '0', '1' in the column 'split' is train, valid or test"):
        said("file,label,split", "1.jpg,a,0", "2.jpg,b,1", **how)


# --- rows that repeat a file


def test_the_same_file_with_two_labels_is_a_conflict_that_is_kept(tmp_path: Path) -> None:
    lay(tmp_path, "0.jpg", "1.jpg", "2.jpg", "3.jpg")
    rows = ("0.jpg,cat", "0.jpg,dog", "1.jpg,cat", "./1.jpg,dog", "2.jpg,cat", "3.jpg,cat", "3.jpg,cat")
    (tmp_path / "t.csv").write_text("\n".join(("path,label", *rows)))
    reading = read(tmp_path / "t.csv")
    assert {entry.name: (entry.label, entry.also) for entry in reading.entries} == {
        **{"0.jpg": ("cat", ("dog",)), "1.jpg": ("cat", ("dog",)), "2.jpg": ("cat", ()), "3.jpg": ("cat", ())}
    }
    assert "2 files stand in several rows that call them differently, like 0.jpg: cat, dog" in reading.notes[0]
    assert "1 row repeats" in reading.notes[1]


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        ("path,label", ("0.jpg,dog", "0.jpg,person", "1.jpg,person", "1.jpg,cat", "2.jpg,dog", "3.jpg,cat")),
        ("filename,class,xmin,ymin", ("0.jpg,dog,1,1", "0.jpg,person,5,5", "0.jpg,dog,9,9", "1.jpg,dog,1,1")),
    ],
)
def test_many_files_in_several_rows_have_several_labels(tmp_path: Path, header: str, rows: tuple[str, ...]) -> None:
    lay(tmp_path, "0.jpg", "1.jpg", "2.jpg", "3.jpg")
    (tmp_path / "t.csv").write_text("\n".join((header, *rows)))
    assert placed(tmp_path / "t.csv")["0.jpg"] == ("dog|person", None)
    assert any("They have several labels" in note for note in notes(tmp_path / "t.csv"))


def test_annotators_who_disagree_are_in_conflict(tmp_path: Path) -> None:
    lay(tmp_path, *(f"{number}.jpg" for number in range(4)))
    pairs = (("cat", "dog"), ("cat", "bird"), ("dog", "bird"), ("cat", "cat"))
    rows = [f"{n}.jpg,{label},{who}" for n, pair in enumerate(pairs) for who, label in enumerate(pair)]
    (tmp_path / "t.csv").write_text("\n".join(("image,label,annotator", *rows)))
    assert [entry.also for entry in read(tmp_path / "t.csv").entries] == [("dog",), ("bird",), ("bird",), ()]


def test_conflicts_reach_the_store_and_are_no_duplicates(workspace: Workspace, tmp_path: Path) -> None:
    lay_pictures(tmp_path, "0.png", "1.png")
    (tmp_path / "t.csv").write_text("path,label\n0.png,cat\n0.png,dog\n1.png,cat\n1.png,cat\n")
    result = bring_in(workspace, tmp_path / "t.csv")
    assert (result.added, result.duplicates, result.classes) == (2, 0, {"cat": 2})
    claimed = workspace.store.sources()["claimed_label"]
    assert sorted(claimed) == ["cat", "cat", "dog"]


def test_what_is_not_there_is_told_once_where_it_is_much(tmp_path: Path) -> None:
    lay(tmp_path, "0.jpg")
    (tmp_path / "t.csv").write_text("\n".join(("path,label", *(f"{n}.jpg,a" for n in range(50)))))
    refused = read(tmp_path / "t.csv").refused
    assert [one.path for one in refused] == ["lines 3 to 51"]
    assert "There is no file 1.jpg. So it is with 48 more rows." in refused[0].reason


@pytest.mark.parametrize(
    "text",
    [
        "class,filename\ncat,1.jpg\ndog,1.jpg\n",
        "folder,filename,label\ncat,1.jpg,cat\ndog,1.jpg,dog\n",
        "My pictures of 2024,\n,\nfile,label\ncat/1.jpg,cat\ndog/1.jpg,dog\n",
        "# by hand\nfile;label\ncat/1.jpg;cat\ndog/1.jpg;dog\n",
        "image,url,label\ncat/1.jpg,https://example.org/1.jpg,cat\ndog/1,https://example.org/2.jpg,dog\n",
    ],
)
def test_files_in_folders_below_titles_and_beside_addresses_are_found(tmp_path: Path, text: str) -> None:
    lay(tmp_path, "cat/1.jpg", "dog/1.jpg")
    (tmp_path / "t.csv").write_text(text)
    assert placed(tmp_path / "t.csv") == {"cat/1.jpg": ("cat", None), "dog/1.jpg": ("dog", None)}


def test_one_column_of_yes_and_no_is_the_label() -> None:
    assert labels("id,has_cactus", "1.jpg,1", "2.jpg,0", "3.jpg,1") == ["1", "0", "1"]


def test_scenes_come_with_their_rows(tmp_path: Path) -> None:
    lay(tmp_path, "0.jpg", "1.jpg")
    (tmp_path / "t.csv").write_text("file,label,patient\n0.jpg,a,P1\n1.jpg,b,P1\n")
    assert [entry.scene for entry in read(tmp_path / "t.csv").entries] == [None, None]
    assert [entry.scene for entry in read(tmp_path / "t.csv", Labelling(group_column="patient")).entries] == [
        "P1",
        "P1",
    ]


def test_a_table_says_what_its_columns_mean() -> None:
    table = open_table("t.csv", b"file,label\n1.jpg,a\n")
    assert isinstance(table.meaning, Meaning) and table.first == (("1.jpg", "a"),)
    assert table.columns == ("file", "label") and table.roles == {"path", "label"}
