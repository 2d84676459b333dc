"""What lies where says what it is: class folders, split folders, loose files, names; and what is refused of them."""

from __future__ import annotations

import os
import time
import tracemalloc
import unicodedata
from pathlib import Path, PurePosixPath

import pytest

from pipeline.collect.entries import Entry, Labelling, NameMatcher, Refused, shown, split_of
from pipeline.collect.sources import read
from pipeline.errors import SourceError, UsageError
from tests.support.sources import found, lay, notes, placed, refused, table, tarred, zipped

JUNK_BYTES = 500 << 20


# --- where a file lies


LAYOUTS = {
    "class folders": (
        ("cat/1.jpg", "cat/sub/2.jpg", "dog/3.png"),
        {"cat/1.jpg": ("cat", None), "cat/sub/2.jpg": ("cat", None), "dog/3.png": ("dog", None)},
    ),
    "one class": (("cat/1.jpg", "cat/2.jpg"), {"cat/1.jpg": ("cat", None), "cat/2.jpg": ("cat", None)}),
    "loose files": (("1.jpg", "2.jpg"), {"1.jpg": (None, None), "2.jpg": (None, None)}),
    "split folders": (
        ("train/cat/1.jpg", "val/cat/2.jpg", "Test/dog/3.jpg"),
        {
            "train/cat/1.jpg": ("cat", "train"),
            "val/cat/2.jpg": ("cat", "valid"),
            "Test/dog/3.jpg": ("dog", "test"),
        },
    ),
    "an outer folder": (
        ("pets/cat/1.jpg", "pets/dog/2.jpg"),
        {"pets/cat/1.jpg": ("cat", None), "pets/dog/2.jpg": ("dog", None)},
    ),
    "an outer folder with a README beside the classes": (
        ("pets/README.txt", "pets/cat/1.jpg", "pets/dog/2.jpg", "pets/labels.csv"),
        {"pets/cat/1.jpg": ("cat", None), "pets/dog/2.jpg": ("dog", None)},
    ),
    "a README above the outer folder": (
        ("LICENSE", "pets/cat/1.jpg", "pets/dog/2.jpg"),
        {"pets/cat/1.jpg": ("cat", None), "pets/dog/2.jpg": ("dog", None)},
    ),
    "two outer folders around split folders": (
        ("a/b/train/cat/1.jpg", "a/b/valid/dog/2.jpg", "a/b/list.csv"),
        {"a/b/train/cat/1.jpg": ("cat", "train"), "a/b/valid/dog/2.jpg": ("dog", "valid")},
    ),
    "split folders beside a folder of papers": (
        ("train/cat/1.jpg", "valid/cat/2.jpg", "docs/how.txt"),
        {"train/cat/1.jpg": ("cat", "train"), "valid/cat/2.jpg": ("cat", "valid")},
    ),
    "classes that are called like splits, beside others": (
        ("test/1.jpg", "cat/2.jpg"),
        {"test/1.jpg": ("test", None), "cat/2.jpg": ("cat", None)},
    ),
    "split folders without classes": (
        ("train/1.jpg", "test/2.jpg"),
        {"train/1.jpg": (None, None), "test/2.jpg": (None, None)},
    ),
}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar", "tar.gz", "tgz"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_labels_and_splits_come_from_the_folders(tmp_path: Path, layout: str, kind: str) -> None:
    names, expected = LAYOUTS[layout]
    if kind == "folder":
        source = lay(tmp_path / "source", *names)
    else:
        source = (zipped if kind == "zip" else tarred)(tmp_path / f"source.{kind}", *names)
    pictures = {name: what for name, what in placed(source).items() if name in expected}
    assert pictures == expected
    for entry in found(source):
        if isinstance(entry, Entry):
            with entry.open() as file:
                assert file.read() == f"content of {entry.name}".encode()
        else:
            assert isinstance(entry, Refused | str) and entry not in expected


def test_a_label_for_all_goes_before_the_folders(tmp_path: Path) -> None:
    source = lay(tmp_path, "train/cat/1.jpg", "test/2.jpg")
    assert placed(source, label="bear") == {"train/cat/1.jpg": ("bear", "train"), "test/2.jpg": ("bear", "test")}


def test_a_single_split_folder_is_one_where_that_is_asked_for(tmp_path: Path) -> None:
    source = lay(tmp_path, "test/cat/1.jpg", "test/dog/2.jpg")
    assert placed(source, split_from="folders") == {
        "test/cat/1.jpg": ("cat", "test"),
        "test/dog/2.jpg": ("dog", "test"),
    }


def test_asking_for_split_folders_where_there_are_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no train, valid or test folders"):
        found(lay(tmp_path, "cat/1.jpg"), split_from="folders")


def test_a_folder_name_that_cannot_be_a_class_costs_its_files_only(tmp_path: Path) -> None:
    source = zipped(tmp_path / "a.zip", "cat/1.jpg", "dog/2.jpg", f"{'x' * 256}/3.jpg")
    assert set(placed(source)) == {"cat/1.jpg", "dog/2.jpg"}
    assert "longer than 255" in refused(source)[f"{'x' * 256}/3.jpg"]


def test_names_in_two_unicode_forms_are_one_class(tmp_path: Path) -> None:
    source = lay(
        tmp_path, f"{unicodedata.normalize('NFC', 'Bär')}/1.jpg", f"{unicodedata.normalize('NFD', 'Bär')}/2.jpg"
    )
    assert {label for label, _ in placed(source).values()} == {"Bär"}


# --- folders


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    source = lay(tmp_path, "cat/1.jpg")
    os.mkfifo(source / "cat" / "pipe.jpg")
    assert refused(source) == {"cat/pipe.jpg": "It is not an ordinary file."}


@pytest.mark.skipif(os.name == "nt" or os.uname().sysname == "Darwin", reason="file names are bytes on Linux only")
def test_a_file_name_that_is_no_utf8_can_be_shown(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    Path(os.fsdecode(os.fsencode(tmp_path / "cat") + b"/caf\xe9.jpg")).write_bytes(b"x")
    (entry,) = found(tmp_path)
    assert isinstance(entry, Entry)
    entry.name.encode("utf-8")
    with entry.open() as file:
        assert file.read() == b"x"


@pytest.mark.parametrize("name", ["nothing", "x" * 300, "no/such/folder"])
def test_a_source_that_is_not_there_is_explained(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceError, match=r"nothing at .*Give a folder"):
        found(tmp_path / name)


def test_a_file_of_another_kind_is_explained(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("notes.txt", "empty"):
        with pytest.raises(SourceError, match="neither a folder, nor a"):
            found(tmp_path / name)


def test_a_workbook_is_not_taken_for_an_archive(tmp_path: Path) -> None:
    zipped(tmp_path / "list.xlsx", "xl/workbook.xml")
    with pytest.raises(SourceError, match="Save its sheet as 'CSV UTF-8'"):
        found(tmp_path / "list.xlsx")


# --- labels from file names

PETS = ("images/great_pyrenees_173.jpg", "images/Abyssinian_1.jpg", "images/pug_2.JPG", "annotations/list.txt")


@pytest.mark.parametrize(
    "pattern",
    [r"(.+)_\d+.jpg$", r"^(.*)_\d+\.jpg", r"/([^/]+)_\d+.jpg$", r"([^/]+)_\d+.jpg$", r"(\d+)?(?P<label>[a-z_A-Z]+)_\d"],
)
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_regular_expression_finds_the_class_in_the_name_as_the_course_writes_it(
    tmp_path: Path, pattern: str, kind: str
) -> None:
    source = lay(tmp_path / "s", *PETS) if kind == "folder" else zipped(tmp_path / "s.zip", *PETS)
    labels = {name: label for name, (label, _) in placed(source, pattern=pattern).items()}
    assert (
        labels["images/great_pyrenees_173.jpg"] == "great_pyrenees"
        and labels["images/Abyssinian_1.jpg"] == "Abyssinian"
    )


def test_a_name_that_the_expression_does_not_fit_is_listed(tmp_path: Path) -> None:
    source = lay(tmp_path, *PETS)
    assert set(refused(source, pattern=r"(.+)_\d+.jpg$")) == {"images/pug_2.JPG", "annotations/list.txt"}
    assert (
        refused(source, pattern=r"(x?)_\d+.jpg$")["images/pug_2.JPG"] == "The regular expression does not fit its name."
    )
    assert refused(source, pattern=r"(x?)_\d+.jpg$")["images/Abyssinian_1.jpg"] == "A class needs a name."


def test_a_group_that_takes_no_part_is_no_match(tmp_path: Path) -> None:
    assert set(refused(lay(tmp_path, "b_1.jpg", "c_1.jpg"), pattern=r"(a)?_1")) == {"b_1.jpg", "c_1.jpg"}


def test_the_expression_goes_before_folders_and_tables_and_leaves_splits_alone(tmp_path: Path) -> None:
    source = lay(tmp_path, "train/x/cat_1.jpg", "test/y/dog_2.jpg")
    table(source / "labels.csv", ["file", "label"], ["train/x/cat_1.jpg", "horse"])
    assert placed(source, pattern=r"(\w+)_") == {
        "train/x/cat_1.jpg": ("cat", "train"),
        "test/y/dog_2.jpg": ("dog", "test"),
    }
    assert notes(source, pattern=r"(\w+)_") == ["labels.csv was not used: the label was given otherwise."]


@pytest.mark.parametrize("pattern", ["(", "(?P<label", "[z-a](x)", "cat", "", r"(\p{Nope})", "(" * 3000 + ")" * 3000])
def test_what_is_no_expression_with_a_group_is_wrong_usage(pattern: str) -> None:
    with pytest.raises(UsageError, match="regular expression"):
        Labelling(pattern=pattern)


@pytest.mark.parametrize("pattern", [r"(\w+)+[!?]$", r"^((a|a|aa)+)$x", r"(.*a){30}!$"])
def test_an_expression_that_would_never_end_is_stopped_in_words(pattern: str) -> None:
    matcher = NameMatcher(pattern, seconds=0.2)
    with pytest.raises(UsageError, match="takes too long"):
        for _ in range(1000):
            matcher.label(PurePosixPath("a" * 60 + ".jpg"))


def test_a_table_takes_no_expression(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a table has a column"):
        found(table(tmp_path / "t.csv", ["path", "label"]), pattern="(.)")


@pytest.mark.parametrize("name", ["junk", "junk.csv", "junk.zip", "junk.tar", "junk.tar.gz", "junk.jpg"])
def test_half_a_gigabyte_of_junk_is_refused_at_once_and_not_read_into_memory(tmp_path: Path, name: str) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(JUNK_BYTES)
    began = time.monotonic()
    tracemalloc.start()
    try:
        assert found(tmp_path / name) == []  # an empty tar archive is all noughts
    except SourceError as error:
        assert name in str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 << 20 and time.monotonic() - began < 5


def test_names_that_are_no_utf8_can_be_shown() -> None:
    assert shown("caf\udce9.jpg") == "caf?.jpg"


SPLITS = {
    "train": "train Train TRAIN training_set TrainingSet trainset 01_train train_images data-train train2017 trainval",
    "valid": "valid val Val val2 validation validate eval dev devel images_val PublicTest val_256",
    "test": "test Test test_set data_test images-test test2015 holdout hold-out PrivateTest Testing",
}
NO_SPLITS = "train_station test_tube value developer testament none images 1 0 unlabeled 测试 _ -"


def test_the_usual_names_of_splits_are_understood_and_no_others() -> None:
    assert {word: split_of(word) for split in SPLITS.values() for word in split.split()} == {
        word: split for split, words in SPLITS.items() for word in words.split()
    }
    assert [word for word in (*NO_SPLITS.split(), "", " ") if split_of(word) is not None] == []


def test_a_reading_says_in_words_and_figures_what_it_found(tmp_path: Path) -> None:
    source = lay(tmp_path, "train/cat/1.jpg", "train/dog/2.jpg", "test/cat/3.jpg")
    reading = read(source)
    assert reading.layout == "3 pictures with labels from their folders; 2 train, 1 test"
    assert reading.counts() == {"cat": {"test": 1, "train": 1}, "dog": {"train": 1}}
    loose = read(lay(tmp_path / "loose", "1.jpg"))
    assert (loose.layout, loose.unlabelled) == ("1 picture without labels; nothing is split yet", 1)


# --- what a person is offered


def test_the_columns_of_a_table_given_alone_are_shown_to_choose_others(tmp_path: Path) -> None:
    lay(tmp_path, "1.jpg", "2.jpg")
    reading = read(
        table(tmp_path / "t.csv", ["image", "label", "seen"], ["1.jpg", "cat", "yes"], ["2.jpg", "dog", "no"])
    )
    (columns,) = reading.columns
    assert (columns.table, columns.columns) == ("t.csv", ("image", "label", "seen"))
    assert columns.rows[0] == ("1.jpg", "cat", "yes") and columns.roles["label"] == "label"
    assert "t.csv (column label)" in reading.layout


def test_links_that_lead_out_may_be_followed_when_a_person_says_so(tmp_path: Path) -> None:
    store = lay(tmp_path / "blobs", "0", "1")
    for number, name in enumerate(("cat", "dog")):
        (tmp_path / "snapshot" / name).mkdir(parents=True)
        (tmp_path / "snapshot" / name / "1.jpg").symlink_to(store / str(number))
    [choice] = [one for one in read(tmp_path / "snapshot").others if "follow_links" in one.told]
    followed = read(tmp_path / "snapshot", Labelling(follow_links=bool(choice.told["follow_links"])))
    assert {one.name: one.label for one in followed.entries} == {"cat/1.jpg": "cat", "dog/1.jpg": "dog"}
    assert not [one for one in read(tmp_path / "snapshot", local=False).others if "follow_links" in one.told]
