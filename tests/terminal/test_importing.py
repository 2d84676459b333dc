"""An import at the terminal is told in sentences, and asks a person what the source leaves open; a script is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import cli
from pipeline.workspace.workspace import Workspace
from tests.support.cases import each, lay, rows, shows
from tests.terminal.test_show import Person

VEHICLES = {
    **each("bus/{}.png", range(2), shows("bus")),
    **each("car/{}.png", range(2), shows("car")),
    **each("train/{}.png", range(2), shows("train")),
}


@pytest.fixture
def vehicles(tmp_path: Path) -> Path:
    return lay(tmp_path / "vehicles", VEHICLES)


def answering(monkeypatch: pytest.MonkeyPatch, answers: str) -> None:
    monkeypatch.setattr(sys, "stdin", Person(answers))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


@pytest.mark.parametrize(
    ("answers", "classes"),
    [
        ("1\n", {"bus": 2, "car": 2, "train": 2}),
        ("\n", {"bus": 2, "car": 2, "train": 2}),
        ("2\n", {"bus": 2, "car": 2}),
        ("yes\n17\n2\n", {"bus": 2, "car": 2}),
        ("?\n?\n?\n", {"bus": 2, "car": 2, "train": 2}),
        ("", {"bus": 2, "car": 2, "train": 2}),
    ],
)
def test_a_person_says_what_a_folder_is(
    workspace: Workspace, vehicles: Path, monkeypatch: pytest.MonkeyPatch, answers: str, classes: dict[str, int]
) -> None:
    answering(monkeypatch, answers)
    assert cli.main(["import", str(workspace.root), str(vehicles)]) == 0
    assert workspace.store.class_counts() == classes


def test_nobody_is_asked_by_a_script_and_the_question_says_how_it_is_answered(
    workspace: Workspace, vehicles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["import", str(workspace.root), str(vehicles)]) == 0
    out = capsys.readouterr().out
    assert "? What is the folder 'train'" in out and '--read-as "train=unlabelled"' in out
    assert "6 added, 0 were here already." in out


def test_labels_that_differ_are_asked_about_and_taken(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = lay(
        tmp_path / "s", {**each("{}.png", range(2), shows("a")), "t.csv": rows("path,label", "0.png,a", "1.png,a")}
    )
    assert cli.main(["import", str(workspace.root), str(folder / "t.csv")]) == 0
    (folder / "t.csv").write_text(rows("path,label", "0.png,b", "1.png,a"))
    answering(monkeypatch, "1\n")
    assert cli.main(["import", str(workspace.root), str(folder / "t.csv")]) == 0
    assert workspace.store.class_counts() == {"a": 2}
    answering(monkeypatch, "2\n")
    capsys.readouterr()
    assert cli.main(["import", str(workspace.root), str(folder / "t.csv")]) == 0
    assert workspace.store.class_counts() == {"a": 1, "b": 1}
    assert "1 of them got another label" in capsys.readouterr().out


def test_a_dry_run_is_told_in_sentences_with_what_else_it_could_be(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = {"train/cat/1.png": shows(), "train/dog/2.png": shows(), "test/cat/3.png": shows(), "cat\x1b[31m/4.txt": "x"}
    lay(tmp_path / "s", {**tree, "test/dog/@eaDir/5.png": shows()})
    assert cli.main(["import", str(workspace.root), str(tmp_path / "s"), "--dry-run"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "3 pictures with labels from their folders; 2 train, 1 test"
    assert [line.split() for line in told[1:4]] == [["train", "test"], ["cat", "1", "1"], ["dog", "1"]]
    assert "- Left out: previews and notes of a NAS (1)." in told and "Nothing was stored" in told[-1]
    assert not any("[]" in line or "{}" in line or "\x1b" in line for line in told)
    assert workspace.store.images().empty
