"""What a reading says on the page: in its words, not in those of the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.collect.importing import ImportConfig
from pipeline.collect.sources import read
from pipeline.tabs.collect.reading import on_the_page
from tests.collect.test_cases import CASES
from tests.support.cases import lay


def notes(folder: Path, name: str) -> list[str]:
    case = CASES[name]
    reading = read(lay(folder / "source", case.tree) / case.source, ImportConfig("source", **case.options).labelling())
    return [*reading.notes, *(refused.reason for refused in reading.refused)]


def test_no_note_on_the_page_speaks_of_the_command_line(tmp_path: Path) -> None:
    told = {name: notes(tmp_path / str(number), name) for number, name in enumerate(CASES)}
    options = [note for every in told.values() for note in every if re.search(r"(^|\s)--[a-z]", note)]
    assert len(options) >= 5, "nothing to be put otherwise"
    assert [note for note in map(on_the_page, options) if re.search(r"(^|\s)--[a-z]", note)] == []


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ('--group-column "patient" keeps them in one split.', 'choosing "patient" for "Taken together" among the'),
        (
            "They could also be GBK: 猫. --name-encoding gives another one.",
            "GBK: 猫. The buttons below give another one.",
        ),
        ("read as UTF-8: é. --name-encoding gives another one.", "é. The command line takes another one."),
        ("These are alike. --alike-names join makes them one.", "An answer below makes them one."),
        ("Seen --x of 3--4 'a--b'", "Seen --x of 3--4 'a--b'"),
    ],
)
def test_it_says_where_on_the_page_that_is(note: str, said: str) -> None:
    assert said in on_the_page(note)
