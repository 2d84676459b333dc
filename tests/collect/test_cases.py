"""What people have is read as it is meant: data sets as they are downloaded, exports of tools, tables, disks, zips."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import cli
from pipeline.collect.importing import ImportConfig
from pipeline.collect.sources import read
from pipeline.errors import PipelineError
from pipeline.workspace.workspace import Workspace
from tests.support import cases_kaggle, cases_places, cases_tables, cases_tools
from tests.support.cases import Case, differences, each, lay, packed, problems, rows, shows, stored, words, zipped_as
from tests.support.importing import bring_in

CASES: dict[str, Case] = {
    **cases_kaggle.TABLE_AND_FOLDERS,
    **cases_kaggle.MEDICAL,
    **cases_kaggle.FOLDERS,
    **cases_tools.TOOLS,
    **cases_tables.FILES,
    **cases_tables.COLUMNS,
    **cases_tables.BESIDE,
    **cases_tables.SPLIT_WORDS,
    **cases_places.NAMES,
    **cases_places.NOISE,
    **cases_places.LINKS,
}
PACKED = (
    "a table, train_images and test_images",
    "a zip within whose wrapper two splits lie, and what Macs add",
    "COCO: images and annotations",
    "what a Synology, Windows and a Mac leave",
)
STORED = (
    "the same, called labels.csv",
    "NIH chest X-rays: findings, twelve parts, lists, boxes",
    "chest-xray-pneumonia: the whole of it given twice",
    "FiftyOne: a labels.json for each split",
    "PetImages: empty files, Thumbs.db, a Word document",
    "links into a folder of blobs",
    "a class called unknown",
    "an invisible twin",
    "a twin in Cyrillic is asked about or joined",
    "the same class in two cases in two splits",
    "an empty class in one split",
)
ZIPS = {
    "Shift-JIS": ("cp932", ("猫", "犬表")),
    "GBK": ("gbk", ("猫咪", "小狗")),
    "Windows, Western Europe": ("cp1252", ("café", "pâté")),
    "DOS": ("cp437", ("café", "pâté")),
    "UTF-8 without the mark": ("utf-8", ("猫", "犬")),
    "Cyrillic of Windows": ("cp1251", ("кошка", "собака")),
    "Cyrillic of DOS": ("cp866", ("кошка", "собака")),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_read_as_it_is_meant(workspace: Workspace, tmp_path: Path, name: str) -> None:
    lay(tmp_path / "source", CASES[name].tree)
    assert problems(workspace, tmp_path / "source", CASES[name]) == []


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.says == ("data.csv",)])
def test_a_table_by_itself_is_read_as_it_is_in_its_folder(workspace: Workspace, tmp_path: Path, name: str) -> None:
    lay(tmp_path / "source", CASES[name].tree)
    assert problems(workspace, tmp_path / "source", replace(CASES[name], source="data.csv", says=())) == []


@pytest.mark.parametrize("name", STORED)
def test_what_is_read_is_what_is_brought_in(workspace: Workspace, tmp_path: Path, name: str) -> None:
    lay(tmp_path / "source", CASES[name].tree)
    assert problems(workspace, tmp_path / "source", CASES[name], store=True) == []


@pytest.mark.parametrize("ending", [".zip", ".tar.gz"])
@pytest.mark.parametrize("name", PACKED)
def test_an_archive_is_read_as_its_folder_is(workspace: Workspace, tmp_path: Path, name: str, ending: str) -> None:
    source = packed(tmp_path / f"source{ending}", CASES[name].tree)
    assert problems(workspace, source, CASES[name]) == []


@pytest.mark.parametrize("name", ZIPS)
def test_names_in_a_zip_of_another_country_are_right_or_asked(workspace: Workspace, tmp_path: Path, name: str) -> None:
    encoding, labels = ZIPS[name]
    tree = {f"{label}/{number}.jpg": shows(label) for label in labels for number in range(2)}
    imported = bring_in(workspace, zipped_as(tmp_path / "z.zip", tree, encoding))
    assert imported.added == len(tree) and len(imported.classes) == 2
    assert differences(stored(workspace), tree) == {} or imported.questions, words(imported)


def test_a_zip_says_its_names_in_a_field_of_its_own(workspace: Workspace, tmp_path: Path) -> None:
    tree = each("Čížek/{}.jpg", range(2), shows("Čížek")) | each("sýkora/{}.jpg", range(2), shows("sýkora"))
    bring_in(workspace, zipped_as(tmp_path / "z.zip", tree, "cp852", unicode_field=True))
    assert differences(stored(workspace), tree) == {}


# --- a table by itself, and again ---------------------------------------------------------------------------------


def test_labels_that_were_corrected_are_taken_where_that_is_said(workspace: Workspace, tmp_path: Path) -> None:
    first = {"0.jpg": shows("a"), "1.jpg": shows("b"), "2.jpg": shows("a"), "3.jpg": shows("b")}
    lay(tmp_path / "s", first | {"t.csv": rows("path,label", "0.jpg,a", "1.jpg,b", "2.jpg,a", "3.jpg,b")})
    bring_in(workspace, tmp_path / "s" / "t.csv")
    (tmp_path / "s" / "t.csv").write_text(rows("path,label", "0.jpg,b", "1.jpg,b", "2.jpg,b", "3.jpg,c"))
    again = bring_in(workspace, tmp_path / "s" / "t.csv")
    assert differences(stored(workspace), first) == {}
    assert "3 " in words(again) and "relabel" in words(again)
    bring_in(workspace, tmp_path / "s" / "t.csv", relabel=True)
    corrected = first | {"0.jpg": shows("b"), "2.jpg": shows("b"), "3.jpg": shows("c")}
    assert differences(stored(workspace), corrected) == {}
    workspace.store.journal.undo_step()
    assert differences(stored(workspace), first) == {}


@pytest.mark.parametrize("local", [True, False])
def test_a_table_alone_says_once_that_its_pictures_are_missing(
    workspace: Workspace, tmp_path: Path, local: bool
) -> None:
    lay(tmp_path / "s", {"train.csv": rows("id,label", *(f"pet_{number},cat" for number in range(30)))})
    try:
        imported = bring_in(workspace, tmp_path / "s" / "train.csv", local=local)
    except PipelineError as error:
        told = str(error)
    else:
        told = words(imported)
        assert len(imported.failed) <= 1
    assert "pictures" in told and told.count("pet_") <= 3


@pytest.mark.parametrize("option", ["file_column", "label_column", "split_column", "group_column"])
def test_a_column_that_is_not_there_is_answered_with_those_that_are(
    workspace: Workspace, tmp_path: Path, option: str
) -> None:
    lay(tmp_path / "s", {"t.csv": rows("photo,species,farm", "0.jpg,cat,7"), "0.jpg": shows("cat")})
    with pytest.raises(PipelineError, match=r"speceis.*photo.*species.*farm"):
        bring_in(workspace, tmp_path / "s", **{option: "speceis"})


def test_a_column_of_patients_says_what_was_taken_together(tmp_path: Path) -> None:
    tree = {"0.jpg": shows("cat"), "1.jpg": shows("dog"), "2.jpg": shows("cat")}
    lay(tmp_path / "s", tree | {"t.csv": rows("path,label,patient", "0.jpg,cat,p1", "1.jpg,dog,p2", "2.jpg,cat,p1")})
    config = ImportConfig(str(tmp_path / "s"), group_column="patient")
    entries = read(tmp_path / "s", config.labelling()).entries
    scenes = {entry.name: entry.scene for entry in entries}
    assert scenes["0.jpg"] == scenes["2.jpg"] != scenes["1.jpg"] is not None


def test_a_dry_run_stores_nothing_and_says_what_would_be(workspace: Workspace, tmp_path: Path) -> None:
    case = CASES["a table, train_images and test_images"]
    imported = bring_in(workspace, lay(tmp_path / "s", case.tree), dry_run=True)
    assert (imported.added, imported.unlabelled, imported.classes) == (0, 2, {"healthy": 3, "rust": 3})
    assert stored(workspace) == {}


def test_the_command_says_how_it_reads(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lay(tmp_path / "s", CASES["Intel scenes: seg_train/seg_train, and seg_pred without classes"].tree)
    assert cli.main(["import", str(workspace.root), str(tmp_path / "s"), "--dry-run", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["classes"], answer["unlabelled"]) == ({"forest": 4, "street": 4}, 2)
    assert "seg_pred" in json.dumps([answer["layout"], answer["notes"]])
