"""What imported pictures are called: labels from options, names and tables, several of them, and again."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from pipeline.collect.importing import ImportConfig
from pipeline.errors import SourceError, UsageError
from pipeline.train.data import usable_rows
from pipeline.workspace.records import State, Verdict, Wish
from pipeline.workspace.workspace import Workspace
from tests.support.importing import bring_in, figures, lay


def test_one_label_for_all(workspace: Workspace, tmp_path: Path) -> None:
    result = bring_in(workspace, lay(tmp_path / "s", "1.png", "deep/er/2.png"), label="  polar  bear ")
    assert result.classes == {"polar bear": 2}


def test_a_label_that_cannot_be_is_refused_before_anything_is_read(workspace: Workspace) -> None:
    with pytest.raises(SourceError, match="longer than 255"):
        bring_in(workspace, "nowhere", label="x" * 256)


def test_pictures_without_a_class_folder_have_no_label(workspace: Workspace, tmp_path: Path) -> None:
    result = bring_in(workspace, lay(tmp_path / "s", "1.png", "2.png"))
    assert (result.added, result.classes) == (2, {})
    assert list(workspace.store.images()["label"]) == [None, None]


def test_class_names_in_any_script_and_unicode_form_are_the_same_class(workspace: Workspace, tmp_path: Path) -> None:
    composed, apart = unicodedata.normalize("NFC", "Bär"), unicodedata.normalize("NFD", "Bär")
    source = lay(tmp_path / "s", f"{composed}/1.png", f"{apart}/2.png", "熊/3.png", "🐻/4.png")
    assert bring_in(workspace, source).classes == {"Bär": 2, "熊": 1, "🐻": 1}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"split_from": "random"}, "folders or column"),
        ({"label_regex": "("}, "regular expression"),
        ({"label_separator": ""}, "--label-separator"),
        ({"labels_from": "stars"}, "--labels-from is table, folders or none"),
        ({"read_as": ("train=nothing",)}, "--read-as is a folder"),
        ({"read_as": ("train",)}, "--read-as is a folder"),
    ],
)
def test_a_bad_option_is_wrong_usage(option: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        ImportConfig("x", **option)  # type: ignore[arg-type]


def test_labels_come_from_file_names_where_an_expression_is_given(workspace: Workspace, tmp_path: Path) -> None:
    source = lay(tmp_path / "s", "great_pyrenees_1.png", "great_pyrenees_2.png", "pug_1.png", "other.png")
    result = bring_in(workspace, source, label_regex=r"(.+)_\d+.png$")
    assert result.classes == {"great_pyrenees": 2, "pug": 1}
    assert [bad.path for bad in result.failed] == ["other.png"]


def test_all_labels_of_a_picture_are_kept_and_a_softmax_head_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    lay(tmp_path, "1.png", "2.png", "3.png")
    rows = "path,labels\n1.png,dog person\n2.png,dog\n3.png,polar bear;person\n"
    (tmp_path / "t.csv").write_text(rows)
    assert bring_in(workspace, tmp_path / "t.csv").classes == {"dog": 2, "person": 2, "polar bear": 1}
    rows = workspace.store.images()
    assert [set(label.split("|")) for label in rows["label"]] == [{"dog", "person"}, {"dog"}, {"polar bear", "person"}]
    workspace.store.record_verdicts([Verdict(image, "ok", "ok", "") for image in rows["id"]])
    workspace.store.set_splits(dict.fromkeys(rows["id"], "train"))
    with pytest.raises(UsageError, match=r"2 of 3 pictures have several labels \(dog, person .*--head sigmoid"):
        usable_rows(workspace, "softmax")


def test_the_labels_of_one_cell_are_split_where_that_is_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    lay(tmp_path, "1.png")
    (tmp_path / "t.csv").write_text("path;label\n1.png;dog/person\n")
    assert bring_in(workspace, tmp_path / "t.csv", label_separator="/").classes == {"dog": 1, "person": 1}


def test_pictures_without_a_label_get_it_when_they_are_imported_again(workspace: Workspace, tmp_path: Path) -> None:
    source = lay(tmp_path / "s", "1.png", "2.png")
    bring_in(workspace, source)
    decided = workspace.store.images()["id"][1]
    workspace.store.journal.decide([Wish(decided, "unlabel", lambda state: State((), state.status))])
    assert figures(bring_in(workspace, source, label="cat")) == (0, 2, (), {"cat": 1})
    assert bring_in(workspace, source, label="dog").classes == {"cat": 1}
    rows = workspace.store.images()
    assert list(rows["label"]) == list(rows["original_label"]) == ["cat", None]


def test_a_table_that_a_visitor_sent_brings_no_file_of_this_machine(workspace: Workspace, tmp_path: Path) -> None:
    lay(tmp_path, "1.png")
    (tmp_path / "t.csv").write_text("path,url,label\n1.png,,cat\n")
    assert bring_in(workspace, tmp_path / "t.csv", local=False).added == 0
    assert workspace.store.images().empty
    lay(tmp_path / "sent", "1.png")
    (tmp_path / "sent" / "labels.csv").write_text(f"file,label\n{tmp_path / '1.png'},cat\n../1.png,cat\n1.png,dog\n")
    result = bring_in(workspace, tmp_path / "sent", local=False)
    assert (result.added, result.classes, len(result.failed)) == (1, {"dog": 1}, 0)
    assert "labels.csv names 2 files" in result.notes[0]


def test_what_should_be_known_about_a_source_is_noted(workspace: Workspace, tmp_path: Path) -> None:
    lay(tmp_path, "1.png")
    (tmp_path / "t.csv").write_bytes("path;label\n1.png;Bär\n".encode("cp1252"))
    result = bring_in(workspace, tmp_path / "t.csv")
    assert (result.classes, result.failed) == ({"Bär": 1}, ())
    assert ["Windows text" in note for note in result.notes] == [True]


def test_a_dry_run_says_how_a_source_is_read_and_stores_nothing(workspace: Workspace, tmp_path: Path) -> None:
    source = lay(tmp_path / "s", "train/cat/1.png", "test/dog/2.png", "test/cat/3.png")
    seen = bring_in(workspace, source, dry_run=True)
    assert workspace.store.images().empty and not any(workspace.images.rglob("*.png"))
    assert figures(seen) == (0, 0, (), {"cat": 2, "dog": 1})
    assert (seen.layout, seen.unlabelled) == ("3 pictures with labels from their folders; 1 train, 2 test", 0)
    assert seen.read == {"cat": {"test": 1, "train": 1}, "dog": {"test": 1}}
    assert bring_in(workspace, source).layout == seen.layout and len(workspace.store.images()) == 3
