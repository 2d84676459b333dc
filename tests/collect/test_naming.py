"""What an import does with class names that nobody can tell apart: joined and said, or asked about."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.collect.entries import Labelling
from pipeline.collect.sources import read
from pipeline.workspace.workspace import Workspace
from tests.support.importing import bring_in, lay, picture

CYRILLIC = "c\u0430t"


def test_invisible_and_look_alike_names_are_one_class_and_said(workspace: Workspace, tmp_path: Path) -> None:
    source = lay(tmp_path / "s", "cat/1.png", "cat\u200b/2.png", f"{CYRILLIC}/3.png", "d\u00adog/4.png")
    found = bring_in(workspace, source)
    assert found.classes == {"cat": 3, "dog": 1} and found.questions == ()
    assert "2 class names were tidied: 'cat<U+200B>' was read as 'cat', 'd<U+00AD>og' was read as 'dog'." in found.notes
    assert any(f"'{CYRILLIC}' looks like 'cat'" in note for note in found.notes)
    (tmp_path / "s" / "5.png").write_bytes(picture(5))
    again = bring_in(workspace, lay(tmp_path / "t", f"{CYRILLIC}/9.png", "dog/1.png"))
    assert set(again.classes) == {"cat", "dog"}  # as the class that is here


@pytest.mark.parametrize(("answer", "classes"), [(None, {"Cat", "cat"}), ("apart", {"Cat", "cat"}), ("join", {"cat"})])
def test_spellings_of_one_name_are_asked_about(
    workspace: Workspace, tmp_path: Path, answer: str | None, classes: set[str]
) -> None:
    source = lay(tmp_path / "s", "Cat/1.png", "cat/2.png", "cat/3.png")
    found = bring_in(workspace, source, alike_names=answer)
    assert set(found.classes) == classes
    assert [question.choices[1].told for question in found.questions] == [{"alike_names": "join"}] * (answer is None)
    assert bool(found.notes) == (answer != "apart")
    again = bring_in(workspace, source, alike_names=answer)
    assert (again.questions, again.labels_differ) == ((), ())  # both are classes here by now, or one is


def test_cells_of_a_table_are_names_too(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "url,labels\nhttps://x/1,cat\u200b;c\u0430t\nhttps://x/2,cat;Dog\nhttps://x/3,owl\n"
    )
    found = read(tmp_path / "t.csv", Labelling(classes=frozenset({"dog"})))
    assert [link.label for link in found.links] == ["cat", "Dog|cat", "owl"]
    assert len(found.notes) == 3 and len(found.questions) == 1 and "'dog' and 'Dog'" in found.questions[0].text
