"""An exported data set is whole, can be imported back, and tells nothing but what its owner would show."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

import cli
from cleaner.clean.decisions import relabel, remove
from pipeline.class_names import without_invisible
from pipeline.collect.data_card import ATTRIBUTIONS, CARD
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.dataset.changes import CHANGES
from pipeline.dataset.export import README, DatasetConfig, ExportedDataset, export_dataset
from pipeline.dataset.layouts import CLASSES, LABELS, METADATA
from pipeline.errors import ExportError, NotEnoughData, SourceError, UsageError
from pipeline.labels import clean_label
from pipeline.safe_text import restored
from pipeline.stage import run
from pipeline.workspace.records import NewImage
from pipeline.workspace.workspace import Workspace
from tests.support.paths import SHARED

NAUGHTY = SHARED / "corpus" / "dev" / "strings" / "naughty_names.json"
NAMES = ("cat", "Cat", "polar bear", "../etc", "CON", "a/b", "=1+1", "train", "x" * 255, "Bär", "<b>&", "a;b", "-1")
MORE = ("split", "original_name", "id")
PAPERS = {CARD, README, ATTRIBUTIONS, CHANGES, CLASSES, LABELS}


def picture(number: int, kind: str = "PNG", **options: object) -> bytes:
    colour = (number % 251, number // 251 % 251, number * 7 % 251)
    written = io.BytesIO()
    Image.new("RGB", (9, 7), colour).save(written, kind, **options)  # type: ignore[arg-type]
    return written.getvalue()


def add(workspace: Workspace, data: bytes, label: str | None, extension: str = "png", split: str | None = None) -> str:
    image_id, file = workspace.keep(data, extension)
    workspace.store.add_images([NewImage(image_id, file, len(data), label, "file", f"{label}/{file}", split=split)])
    return image_id


def exported(
    workspace: Workspace, out: Path, layout: str = "folders", originals: bool = False, **more: bool
) -> ExportedDataset:
    return run(export_dataset(workspace, DatasetConfig(str(out), layout, originals, **more)))


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return [{key: restored(cell) for key, cell in row.items()} for row in csv.DictReader(lines)]


def labels_by_id(workspace: Workspace) -> dict[str, str]:
    images = workspace.store.images()
    return dict(zip(images["id"], images["label"], strict=True))


def brought_back(folder: Path, root: Path) -> Workspace:
    """A new workspace with what was exported in it."""
    again = Workspace.create(root)
    source = folder if (folder / CLASSES).read_text(encoding="utf-8").startswith('"folder"') else folder / LABELS
    source = source if source.exists() else folder
    imported = run(import_images(again, ImportConfig(str(source))))
    assert [bad for bad in imported.failed if not bad.path.endswith((".csv", ".md"))] == []
    return again


@pytest.fixture
def mixed(workspace: Workspace) -> Workspace:
    """Four cats and dogs in two splits; one image removed."""
    for number, (label, split) in enumerate([("cat", "train"), ("cat", "valid"), ("dog", "train"), ("dog", "test")]):
        add(workspace, picture(number), label, split=split)
    remove(workspace, add(workspace, picture(99), "cat", split="train"))
    return workspace


# --- layouts -------------------------------------------------------------------------------------------------------


def test_class_folders_lie_in_their_splits(mixed: Workspace, tmp_path: Path) -> None:
    result = exported(mixed, tmp_path / "out")
    places = {PurePosixPath(name).parent.as_posix() for name in files(tmp_path / "out") - PAPERS}
    assert places == {"train/cat", "valid/cat", "train/dog", "test/dog"}
    assert files(tmp_path / "out") >= PAPERS
    assert (result.files, result.copied, result.re_encoded, result.left_out, result.failed) == (10, 4, 0, 1, ())
    assert result.classes == {"cat": 2, "dog": 2} and result.folder == str(tmp_path / "out")
    assert table(tmp_path / "out" / CLASSES) == [{"folder": "cat", "label": "cat"}, {"folder": "dog", "label": "dog"}]
    card = (tmp_path / "out" / CARD).read_text(encoding="utf-8")
    assert "4 pictures of 2 classes" in card and "4 are copied as they came" in card
    assert {row["file"] for row in table(tmp_path / "out" / ATTRIBUTIONS)} == files(tmp_path / "out") - PAPERS


def test_without_splits_the_class_folders_are_on_top(workspace: Workspace, tmp_path: Path) -> None:
    named = {add(workspace, picture(1), "cat"): "cat", add(workspace, picture(2), None): ""}
    exported(workspace, tmp_path / "out")
    assert files(tmp_path / "out") - PAPERS == {
        f"{label}/{name}.png" if label else f"{name}.png" for name, label in named.items()
    }


def test_a_table_of_paths_has_labels_and_splits(mixed: Workspace, tmp_path: Path) -> None:
    exported(mixed, tmp_path / "out", "csv")
    rows = table(tmp_path / "out" / LABELS)
    assert sorted((row["label"], row["split"]) for row in rows) == [
        ("cat", "train"),
        ("cat", "valid"),
        ("dog", "test"),
        ("dog", "train"),
    ]
    assert {row["path"] for row in rows} == files(tmp_path / "out") - PAPERS
    assert table(tmp_path / "out" / CLASSES) == [{"label": "cat"}, {"label": "dog"}]


def test_metadata_lies_beside_the_pictures_of_each_split(mixed: Workspace, tmp_path: Path) -> None:
    exported(mixed, tmp_path / "out", "metadata")
    for split, count in (("train", 2), ("validation", 1), ("test", 1)):
        rows = table(tmp_path / "out" / split / METADATA)
        assert len(rows) == count and list(rows[0]) == ["file_name", "label", *MORE]
        assert all((tmp_path / "out" / split / row["file_name"]).is_file() for row in rows)


@pytest.mark.parametrize("layout", ["folders", "csv", "metadata", "parquet"])
def test_what_was_exported_can_be_imported(layout: str, mixed: Workspace, tmp_path: Path) -> None:
    exported(mixed, tmp_path / "out", layout)
    again = brought_back(tmp_path / "out", tmp_path / "again")
    kept = mixed.store.images("new")
    images = again.store.images()
    assert labels_by_id(again) == dict(zip(kept["id"], kept["label"], strict=True))
    assert dict(zip(images["id"], images["given_split"], strict=True)) == dict(
        zip(kept["id"], kept["given_split"], strict=True)
    )


def test_the_commands_print_what_was_written(
    mixed: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["card", str(mixed.root), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"files": [str(mixed.root / CARD), str(mixed.root / ATTRIBUTIONS)]}
    arguments = ["dataset", str(mixed.root), str(tmp_path / "out"), "--layout", "csv", "--originals", "--json"]
    assert cli.main(arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == {
        "folder": str(tmp_path / "out"),
        "files": 10,
        "copied": 4,
        "re_encoded": 0,
        "with_position": 0,
        "left_out": 1,
        "failed": [],
        "classes": {"cat": 2, "dog": 2},
    }
    assert cli.main(arguments) == 1 and "is not empty" in capsys.readouterr().err


# --- names ---------------------------------------------------------------------------------------------------------


def naughty() -> list[str]:
    if not NAUGHTY.is_file():
        pytest.skip("needs the shared corpus of naughty names")
    labels = set()
    for text in json.loads(NAUGHTY.read_text(encoding="utf-8")):
        try:
            labels.add(clean_label(text))
        except SourceError:
            assert not text.strip() or len(text) > 255
    return sorted(labels)


@pytest.mark.parametrize("layout", ["folders", "csv", "metadata"])
@pytest.mark.parametrize("source", ["own", "corpus"])
def test_classes_of_any_name_are_kept_apart_and_read_back(
    layout: str, source: str, workspace: Workspace, tmp_path: Path
) -> None:
    names = list(NAMES) if source == "own" else naughty()
    given_labels = {add(workspace, picture(number), name): name for number, name in enumerate(names)}
    assert len(given_labels) == len(names)
    result = exported(workspace, tmp_path / "out", layout)
    assert result.classes == dict.fromkeys(sorted(names), 1)
    if layout == "folders":
        folders = {row["folder"]: row["label"] for row in table(tmp_path / "out" / CLASSES)}
        pictures = files(tmp_path / "out") - PAPERS
        found = {PurePosixPath(file).stem: folders[PurePosixPath(file).parent.name] for file in pictures}
        assert found == given_labels
    else:
        again = labels_by_id(brought_back(tmp_path / "out", tmp_path / "again"))
        assert {image: restored(label) for image, label in again.items()} == {
            image: restored(label) for image, label in given_labels.items()
        }


@settings(max_examples=10)
@given(texts=st.sets(st.text(max_size=40).filter(without_invisible), min_size=2, max_size=6))
def test_the_tables_hold_every_label_as_it_is(texts: set[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    labels = {clean_label(text) for text in texts}
    workspace = Workspace.create(tmp_path_factory.mktemp("names") / "workspace")
    given_labels = {add(workspace, picture(number), label): label for number, label in enumerate(labels)}
    out = workspace.root.with_name("out")
    exported(workspace, out, "csv")
    assert {row["id"]: row["label"] for row in table(out / LABELS)} == given_labels


def test_no_cell_runs_in_a_spreadsheet(workspace: Workspace, tmp_path: Path) -> None:
    add(workspace, picture(1), '=HYPERLINK("http://evil.example","x")')
    exported(workspace, tmp_path / "out", "csv")
    for name in (LABELS, ATTRIBUTIONS, CLASSES):
        text = (tmp_path / "out" / name).read_text(encoding="utf-8")
        assert "\"'=HYPERLINK(" in text and '"=HYPERLINK' not in text


def test_pictures_whose_ids_begin_alike_do_not_meet(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.dataset.pictures.NAME_DIGITS", 0)  # where all of them do
    ids = [add(workspace, picture(number), "cat") for number in range(3)]
    exported(workspace, tmp_path / "out", anonymous_names=True)
    assert files(tmp_path / "out") - PAPERS == {f"cat/{image_id}.png" for image_id in ids}


# --- several labels ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["csv", "metadata"])
def test_pictures_with_several_labels_come_back_with_all_of_them(
    layout: str, workspace: Workspace, tmp_path: Path
) -> None:
    for number, label in enumerate(["cat|polar bear", "polar bear", "dog"]):
        add(workspace, picture(number), label)
    exported(workspace, tmp_path / "out", layout)
    again = labels_by_id(brought_back(tmp_path / "out", tmp_path / "again"))
    before = {image: set(label.split("|")) for image, label in labels_by_id(workspace).items()}
    assert {image: set(label.split("|")) for image, label in again.items()} == before


def test_what_a_layout_cannot_hold_is_said_at_once(workspace: Workspace, tmp_path: Path) -> None:
    several = add(workspace, picture(1), "cat|dog")
    with pytest.raises(ExportError, match=r"several labels \(1, like cat, dog\).*csv, metadata or parquet"):
        exported(workspace, tmp_path / "out")
    add(workspace, picture(2), "a;b")
    with pytest.raises(ExportError, match="a ';' in its name"):
        exported(workspace, tmp_path / "out", "csv")
    relabel(workspace, several, "cat")
    exported(workspace, tmp_path / "semicolon", "csv")
    workspace.store.set_splits({several: "train"})
    with pytest.raises(ExportError, match=r"1 of 2 pictures have no split yet\. Verify"):
        exported(workspace, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- what is not shown ---------------------------------------------------------------------------------------------


def placed() -> bytes:
    tags = Image.Exif()
    tags.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (52.0, 31.0, 12.0)})
    return picture(5, "JPEG", exif=tags)


def test_pictures_that_say_where_they_were_taken_no_longer_do(workspace: Workspace, tmp_path: Path) -> None:
    add(workspace, placed(), "cat", "jpg")
    add(workspace, picture(1), "cat")
    result = exported(workspace, tmp_path / "out")
    assert (result.copied, result.re_encoded, result.with_position) == (1, 1, 1)
    [written] = (tmp_path / "out" / "cat").glob("*.jpg")
    with Image.open(written) as image:
        assert not dict(image.getexif())
    kept = exported(workspace, tmp_path / "originals", originals=True)
    assert (kept.copied, kept.re_encoded, kept.with_position) == (2, 0, 1)
    assert "1 of them say where they were taken" in (tmp_path / "originals" / CARD).read_text(encoding="utf-8")
    [same] = (tmp_path / "originals" / "cat").glob("*.jpg")
    assert same.read_bytes() == placed()


def test_a_picture_that_cannot_be_read_is_a_row_with_a_reason(workspace: Workspace, tmp_path: Path) -> None:
    add(workspace, picture(1), "cat")
    broken = add(workspace, picture(2)[:-30], "dog")
    gone = add(workspace, picture(3), "dog")
    workspace.image_file(f"{gone[:2]}/{gone}.png").unlink()
    result = exported(workspace, tmp_path / "out")
    assert [failed.path for failed in result.failed] == [f"dog/{image[:2]}/{image}.png" for image in (broken, gone)]
    assert all(failed.reason.endswith(".") for failed in result.failed)
    assert result.classes == {"cat": 1} and len(files(tmp_path / "out") - PAPERS) == 1
    assert len(table(tmp_path / "out" / ATTRIBUTIONS)) == 1
    assert "2 pictures counted below could not be read" in (tmp_path / "out" / CARD).read_text(encoding="utf-8")


def test_pictures_of_the_starter_set_bring_its_licence(workspace: Workspace, tmp_path: Path) -> None:
    image_id, file = workspace.keep(picture(1), "png")
    workspace.store.add_images([NewImage(image_id, file, 1, "apple", "starter", "apple/1.jpg")])
    exported(workspace, tmp_path / "out")
    assert "MIT License" in (tmp_path / "out" / "LICENSE-starter.txt").read_text(encoding="utf-8")


# --- whole or not at all -------------------------------------------------------------------------------------------


def test_a_cancelled_export_leaves_nothing(mixed: Workspace, tmp_path: Path) -> None:
    for steps in (1, 2, 4):
        stage = export_dataset(mixed, DatasetConfig(str(tmp_path / "here" / "out")))
        for _ in range(steps):
            next(stage)
        stage.close()
        assert list((tmp_path / "here").iterdir()) == []
    (tmp_path / "here" / "out").mkdir()
    assert exported(mixed, tmp_path / "here" / "out").copied == 4, "an empty folder is filled"


def test_a_folder_with_something_in_it_is_never_touched(mixed: Workspace, tmp_path: Path) -> None:
    own = tmp_path / "thesis"
    own.mkdir()
    (own / "chapter1.md").write_text("months of work", encoding="utf-8")
    with pytest.raises(ExportError, match=r"not empty \(it holds chapter1.md\)"):
        exported(mixed, own)
    assert files(own) == {"chapter1.md"}
    for place in (mixed.root, mixed.images / "out", mixed.trash):
        with pytest.raises(ExportError, match="part of the workspace"):
            exported(mixed, place)
    with pytest.raises(ExportError, match="is a file"):
        exported(mixed, own / "chapter1.md")
    with pytest.raises(ExportError, match="cannot be a folder"):
        exported(mixed, tmp_path / "nul\0")
    assert exported(mixed, mixed.exports / "data").copied == 4


def test_wrong_usage_and_an_empty_workspace_are_said_in_words(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Say which folder"):
        DatasetConfig(" ")
    with pytest.raises(UsageError, match="folders, csv, metadata, parquet"):
        DatasetConfig("out", "tfrecord")
    with pytest.raises(NotEnoughData, match="no pictures to export"):
        exported(workspace, tmp_path / "out")
    add(workspace, b"no picture", "cat")
    with pytest.raises(NotEnoughData, match="None of the pictures can be read"):
        exported(workspace, tmp_path / "out")
    images = workspace.store.images()
    huge = NewImage("f" * 64, str(images["file"][0]), 1 << 60, "cat", "file", "huge")
    workspace.store.add_images([huge, replace(huge, id="e" * 64)])
    with pytest.raises(ExportError, match=r"need [\d,]+ bytes, and [\d,]+ bytes are free"):
        exported(workspace, tmp_path / "out")
    assert not (tmp_path / "out").exists()
