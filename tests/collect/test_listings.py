"""Tables among the pictures: labels.csv where folders say nothing, metadata.csv always; in folders and archives."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import pytest

from pipeline.collect.sources import read
from pipeline.errors import SourceError
from tests.support.sources import found, lay, notes, placed, refused, table, zipped


def text(*rows: list[str]) -> str:
    target = io.StringIO()
    csv.writer(target).writerows(rows)
    return target.getvalue()


def made(tmp_path: Path, kind: str, names: tuple[str, ...], tables: dict[str, str]) -> Path:
    """A folder or a zip of files with tables among them."""
    folder = lay(tmp_path / "source", *names)
    for name, content in tables.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")
    if kind == "folder":
        return folder
    with zipfile.ZipFile(tmp_path / "source.zip", "w") as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder).as_posix())
    return tmp_path / "source.zip"


FLAT = text(["name", "label"], ["1.jpg", "cat"], ["2.jpg", "dog"])
CASES = {
    "flat": (("1.jpg", "2.jpg"), {"labels.csv": FLAT}, {"1.jpg": ("cat", None), "2.jpg": ("dog", None)}),
    "flat within an outer folder": (
        ("pets/1.jpg", "pets/2.jpg"),
        {"pets/labels.csv": FLAT},
        {"pets/1.jpg": ("cat", None), "pets/2.jpg": ("dog", None)},
    ),
    "one folder of pictures beside the table": (
        ("pets/images/1.jpg", "pets/images/2.jpg", "pets/README.md"),
        {"pets/labels.csv": FLAT},
        {"pets/images/1.jpg": ("cat", None), "pets/images/2.jpg": ("dog", None)},
    ),
    "a split folder, names without an ending, several labels": (
        ("planet/train/train_1.jpg", "planet/train/train_2.jpg"),
        {"planet/labels.csv": text(["image_name", "tags"], ["train_1", "haze primary"], ["train_2", "primary haze"])},
        {"planet/train/train_1.jpg": ("haze|primary", None), "planet/train/train_2.jpg": ("haze|primary", None)},
    ),
    "a table that names most of the pictures goes before class folders": (
        ("train/3/1.png", "valid/7/2.png"),
        {"labels.csv": text(["name", "label"], ["train/3/1.png", "seven"], ["valid/7/2.png", "three"])},
        {"train/3/1.png": ("seven", "train"), "valid/7/2.png": ("three", "valid")},
    ),
    "class folders go before a table that only numbers them": (
        ("train/3/1.png", "train/7/2.png", "valid/3/4.png", "valid/7/5.png"),
        {"labels.csv": text(["name", "label"], ["train/3/1.png", "0"], ["train/7/2.png", "1"], ["valid/3/4.png", "0"])},
        {
            "train/3/1.png": ("3", "train"),
            "train/7/2.png": ("7", "train"),
            "valid/3/4.png": ("3", "valid"),
            "valid/7/5.png": ("7", "valid"),
        },
    ),
    "labels.csv for what lies beside class folders": (
        ("3/1.png", "7/2.png", "loose.png"),
        {"labels.csv": text(["file", "label"], ["3/1.png", "seven"], ["loose.png", "nine"])},
        {"3/1.png": ("3", None), "7/2.png": ("7", None), "loose.png": ("nine", None)},
    ),
    "metadata.csv goes before class folders": (
        ("train/a/1.png", "train/b/2.png", "test/3.png"),
        {
            "train/metadata.csv": text(["file_name", "label"], ["a/1.png", "ant"], ["b/2.png", ""]),
            "test/metadata.csv": text(["file_name", "label", "text"], ["3.png", "cow", "A cow."]),
        },
        {"train/a/1.png": ("ant", "train"), "train/b/2.png": ("b", "train"), "test/3.png": ("cow", "test")},
    ),
    "metadata.jsonl": (
        ("data/train/1.png", "data/validation/1.png"),
        {
            "data/train/metadata.jsonl": '{"file_name": "1.png", "label": 0}\n',
            "data/validation/metadata.jsonl": '{"file_name": "1.png", "label": 1}\n',
        },
        {"data/train/1.png": ("0", "train"), "data/validation/1.png": ("1", "valid")},
    ),
    "classes.csv says what folders stand for": (
        ("train/etc-1a2b/1.png", "test/cat/2.png"),
        {"classes.csv": text(["folder", "label"], ["etc-1a2b", "../etc"], ["cat", "cat"], ["sum-3c", "'=1+1"])},
        {"train/etc-1a2b/1.png": ("../etc", "train"), "test/cat/2.png": ("cat", "test")},
    ),
    "cells that were defused": (
        ("1.png", "2.png"),
        {"labels.csv": text(["path", "labels"], ["1.png", "'=1+1;'@x;b"], ["2.png", "-1;"])},
        {"1.png": ("=1+1|@x|b", None), "2.png": ("-1", None)},
    ),
    "a split in the table": (
        ("1.jpg", "2.jpg"),
        {"labels.csv": text(["file", "label", "split"], ["1.jpg", "cat", "test"], ["./2.jpg", "dog", "val"])},
        {"1.jpg": ("cat", "test"), "2.jpg": ("dog", "valid")},
    ),
}


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("case", CASES)
def test_a_table_among_the_pictures_says_what_they_show(tmp_path: Path, case: str, kind: str) -> None:
    names, tables, expected = CASES[case]
    source = made(tmp_path, kind, names, tables)
    assert placed(source) == expected
    assert not any(path.endswith(("labels.csv", "metadata.csv")) for path in refused(source))


def test_a_name_that_two_files_have_is_not_enough(tmp_path: Path) -> None:
    source = made(
        tmp_path, "folder", ("x/1.jpg", "x/y/1.jpg"), {"labels.csv": text(["file", "label"], ["1.jpg", "cat"])}
    )
    assert {label for label, _ in placed(source).values()} == {"x"}


def test_what_a_table_names_and_is_not_there_is_listed_and_nothing_else_is_opened(tmp_path: Path) -> None:
    lay(tmp_path, "outside.jpg")
    rows = [["1.jpg", "cat"], ["../outside.jpg", "cat"], [str(tmp_path / "outside.jpg"), "cat"], ["9.jpg", "cat"]]
    for kind in ("folder", "zip"):
        source = made(tmp_path / kind, kind, ("1.jpg",), {"labels.csv": text(["file", "label"], *rows)})
        assert set(placed(source)) == {"1.jpg"}
        assert refused(source) == {}
        (hint,) = notes(source)
        assert "labels.csv names 3 files of which none" in hint and "../outside.jpg" in hint and "9.jpg" in hint


def test_rows_that_disagree_are_told_and_the_first_counts(tmp_path: Path) -> None:
    rows = [["file", "label"], ["1.jpg", "cat"], ["1.jpg", "dog"], ["1.jpg", "cat"], ["1.jpg", "x" * 300]]
    source = made(tmp_path, "folder", ("1.jpg",), {"labels.csv": text(*rows)})
    assert placed(source) == {"1.jpg": ("cat", None)}
    assert set(refused(source)) == {"labels.csv line 5"}
    assert read(source).entries[0].also == ("dog",)
    assert sum("call them differently, like 1.jpg" in note for note in notes(source)) == 1


@pytest.mark.parametrize("content", ["label\ncat\n", "folder,label\ncat\n", "", "\x81"])
def test_a_list_of_classes_that_says_nothing_costs_nothing(tmp_path: Path, content: str) -> None:
    source = lay(tmp_path, "cat/1.jpg", "dog/2.jpg")
    (source / "classes.csv").write_text(content, encoding="latin-1")
    assert placed(source) == {"cat/1.jpg": ("cat", None), "dog/2.jpg": ("dog", None)}
    assert len(found(source)) == 3


@pytest.mark.parametrize("content", ["", "hello", "file_name,text\n1.jpg,A cat.\n", "number,label\n1,cat\n"])
def test_a_table_that_says_nothing_is_told_and_costs_nothing(tmp_path: Path, content: str) -> None:
    source = made(tmp_path, "zip", ("cat/1.jpg", "dog/2.jpg"), {"metadata.csv": content})
    assert placed(source) == {"cat/1.jpg": ("cat", None), "dog/2.jpg": ("dog", None)}
    assert {type(one) for one in found(source)[2:]} == {str}
    assert all("metadata.csv" in note for note in notes(source))


def test_a_table_that_cannot_be_read_is_listed(tmp_path: Path) -> None:
    source = lay(tmp_path, "1.jpg")
    (source / "labels.csv").write_bytes(b"file,label\n1.jpg,\x81\n")
    assert placed(source) == {"1.jpg": (None, None)}
    assert "cannot be read" in refused(source)["labels.csv"]
    with (source / "labels.csv").open("wb") as file:
        file.truncate(65 << 20)
    assert "larger than 64 MiB" in refused(source)["labels.csv"]


def test_a_label_for_all_leaves_tables_alone(tmp_path: Path) -> None:
    source = made(tmp_path, "folder", ("1.jpg",), {"labels.csv": FLAT})
    assert placed(source, label="bear") == {"1.jpg": ("bear", None)}
    assert notes(source, label="bear") == ["labels.csv was not used: the label was given otherwise."]


def test_where_splits_come_from_can_be_said(tmp_path: Path) -> None:
    rows = [["file", "label", "split"], ["train/1.jpg", "cat", "test"]]
    source = made(tmp_path, "folder", ("train/1.jpg", "test/2.jpg"), {"labels.csv": text(*rows)})
    assert placed(source)["train/1.jpg"] == ("cat", "test")
    assert placed(source, split_from="column")["train/1.jpg"] == ("cat", "test")
    assert placed(source, split_from="column", label="bear")["train/1.jpg"] == ("bear", "test")
    assert placed(source, split_from="folders")["train/1.jpg"] == ("cat", "train")
    with pytest.raises(SourceError, match="no table with a column 'split'"):
        found(zipped(tmp_path / "a.zip", "cat/1.jpg"), split_from="column")


def test_a_list_without_a_header_is_for_the_split_it_is_named_for(tmp_path: Path) -> None:
    tables = {
        f"flowers/{split}.txt": f"jpg/{number}.jpg {number + 70}\n" for number, split in enumerate(("train", "test"))
    }
    source = made(tmp_path, "zip", ("flowers/jpg/0.jpg", "flowers/jpg/1.jpg", "flowers/x/2.jpg"), tables)
    assert placed(source, lists=("train.txt", "test.txt"), below=("jpg",)) == {
        "flowers/jpg/0.jpg": ("70", "train"),
        "flowers/jpg/1.jpg": ("71", "test"),
    }


def test_labels_of_a_listed_table_are_read_with_its_separator(tmp_path: Path) -> None:
    source = lay(tmp_path, "1.jpg")
    table(source / "labels.csv", ["file", "label"], ["1.jpg", "polar bear/cat"])
    assert placed(source, separator="/") == {"1.jpg": ("cat|polar bear", None)}
