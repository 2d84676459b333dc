"""What a folder, an archive or a table means: labels, splits, what waits for a label, what is asked, nothing lost."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.collect.entries import Entry, Labelling
from pipeline.collect.importing import ImportConfig
from pipeline.collect.reading import Reading, at_most
from pipeline.collect.sources import read
from pipeline.errors import PipelineError, SourceError, UsageError
from tests.support.importing import picture

TRAIN = "image_id,label\n1,cat\n2,dog\n3,cat\n"


def lay(root: Path, *names: str, **tables: str) -> Path:
    """Pictures, each with bytes of its own, and tables (``train.csv`` as ``train_csv``)."""
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(number))
    root.mkdir(exist_ok=True)
    for name, text in tables.items():
        (root / ".".join(name.rsplit("_", 1))).write_text(text)
    return root


def meant(reading: Reading) -> dict[str, tuple[str | None, str | None]]:
    return {entry.name: (entry.label, entry.split) for entry in reading.entries}


# --- tables and folders


def test_a_table_says_what_the_train_pictures_show_and_the_others_wait(tmp_path: Path) -> None:
    names = ("train_images/1.png", "train_images/2.png", "train_images/3.png", "test_images/8.png", "test_images/9.png")
    source = lay(tmp_path / "s", *names, train_csv=TRAIN, sample_submission_csv="image_id,label\n8,cat\n9,cat\n")
    reading = read(source)
    assert meant(reading) == {
        "train_images/1.png": ("cat", None),
        "train_images/2.png": ("dog", None),
        "train_images/3.png": ("cat", None),
        "test_images/8.png": (None, None),
        "test_images/9.png": (None, None),
    }
    assert reading.layout == (
        "3 pictures with labels from train.csv (column label), 2 without labels from test_images/; nothing is split yet"
    )
    assert set(reading.tables) == {"train.csv", "sample_submission.csv"} and reading.questions == ()
    assert [choice.told for choice in reading.others] == [{"labels_from": "folders"}, {"labels_from": "none"}]
    assert any("sample_submission.csv names 2 pictures to be predicted" in note for note in reading.notes)
    assert {row.table for row in reading.columns} == {"train.csv", "sample_submission.csv"}
    folders = read(source, Labelling(labels_from="folders"))
    assert Counter(entry.label for entry in folders.entries) == {"train_images": 3, "test_images": 2}
    assert read(source, Labelling(labels_from="none")).unlabelled == 5


def test_what_a_believed_table_does_not_name_has_no_label_and_is_said(tmp_path: Path) -> None:
    reading = read(lay(tmp_path / "s", "x/1.png", "x/2.png", "y/3.png", "y/4.png", train_csv=TRAIN))
    assert meant(reading)["y/4.png"] == (None, None)
    assert any("Not named in train.csv" in note and "y/4.png" in note for note in reading.notes)


def test_tables_that_contradict_each_other_are_asked_about_and_one_can_be_left_out(tmp_path: Path) -> None:
    corrected = TRAIN.replace("3,cat", "3,dog")
    source = lay(tmp_path / "s", "1.png", "2.png", "3.png", labels_csv=TRAIN, labels_corrected_csv=corrected)
    reading = read(source)
    (question,) = reading.questions
    assert "labels.csv and labels_corrected.csv call 1 picture differently" in question.text
    told = [choice.told["read_as"] for choice in question.choices]
    assert told == [["labels_corrected.csv=ignore"], ["labels.csv=ignore"]]
    other = read(source, ImportConfig("x", read_as=("labels.csv=ignore",)).labelling())
    assert meant(other)["3.png"] == ("dog", None) and other.questions == () and sum(other.left_out.values()) == 1


def test_a_table_for_each_split_speaks_of_the_pictures_beside_it(tmp_path: Path) -> None:
    source = lay(tmp_path / "s", "train/a/1.png", "valid/a/1.png")
    for split, label in (("train", "cat"), ("valid", "dog")):
        (source / split / "labels.csv").write_text(f"file,label\n1,{label}\n")
    assert meant(read(source)) == {"train/a/1.png": ("cat", "train"), "valid/a/1.png": ("dog", "valid")}


# --- wrappers, splits, twice


def test_wrappers_around_splits_are_seen_through_and_a_folder_to_predict_waits(tmp_path: Path) -> None:
    names = [
        f"archive/seg_{s}/seg_{s}/{c}/{s}{n}.png" for s in ("train", "test") for c in ("sea", "ice") for n in (1, 2)
    ]
    source = lay(tmp_path / "s", *names, "archive/seg_pred/seg_pred/7.png", "archive/README.md")
    (source / "archive" / "README.md").write_text("# Scenes")
    reading = read(source)
    assert reading.counts() == {
        "": {"": 1},
        "ice": {"test": 2, "train": 2},
        "sea": {"test": 2, "train": 2},
    }
    assert "seg_pred" in reading.layout and [one.path for one in reading.refused] == ["archive/README.md"]


def test_data_that_is_given_twice_is_taken_once(tmp_path: Path) -> None:
    names = [f"{split}/{label}/{split}.png" for split in ("train", "test") for label in ("ill", "well")]
    source = lay(tmp_path / "chest", *names, *(f"chest/{name}" for name in names))
    for name in names:
        (source / "chest" / name).write_bytes((source / name).read_bytes())
    reading = read(source)
    assert sorted(meant(reading)) == sorted(names) and sum(reading.left_out.values()) == 4
    assert any("4 pictures are given twice" in note for note in reading.notes)
    (source / "chest" / names[0]).write_bytes(bytes(len((source / names[0]).read_bytes())))
    assert len(read(source).entries) == 5  # one is not the same after all


def test_labels_that_are_all_in_one_split_divide_nothing(tmp_path: Path) -> None:
    source = lay(tmp_path / "s", "train/a/1.png", "train/b/2.png", "test/3.png")
    reading = read(source)
    assert {split for _, split in meant(reading).values()} == {None}
    assert any("to be predicted and no test split: 1 picture in test" in note for note in reading.notes)
    assert any("Only 'train' has pictures with labels" in note for note in reading.notes)


# --- what is asked, and what is answered


@pytest.mark.parametrize("name", ["test", "train", "unknown", "data", "images", "other", "unlabeled"])
def test_a_folder_that_may_be_no_class_is_asked_about(tmp_path: Path, name: str) -> None:
    source = lay(tmp_path / "s", "cat/1.png", "dog/2.png", f"{name}/3.png")
    (question,) = read(source).questions
    assert f"'{name}' with 1 picture" in question.text
    for choice in question.choices:
        answered = read(source, ImportConfig("x", read_as=tuple(choice.told["read_as"])).labelling())  # type: ignore[arg-type]
        assert answered.questions == ()
        assert (f"{name}/3.png" in meant(answered)) == ("nothing" not in choice.words)
    first = read(source, ImportConfig("x", read_as=tuple(question.choices[0].told["read_as"])).labelling())  # type: ignore[arg-type]
    assert meant(first) == meant(read(source))


def test_folders_with_the_same_folders_in_them_are_asked_about(tmp_path: Path) -> None:
    names = [f"{kind}/{label}/{kind}.png" for kind in ("grey", "colour") for label in ("rust", "healthy")]
    source = lay(tmp_path / "s", *names)
    (question,) = read(source).questions
    assert set(read(source).counts()) == {"grey", "colour"}
    inside = read(source, ImportConfig("x", read_as=tuple(question.choices[1].told["read_as"])).labelling())  # type: ignore[arg-type]
    assert set(inside.counts()) == {"rust", "healthy"} and inside.questions == ()


def test_a_folder_that_is_not_there_cannot_be_read_as_anything(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no folder 'dgo'.*cat, dog"):
        read(lay(tmp_path / "s", "cat/1.png", "dog/2.png"), Labelling(read_as={"dgo": "class"}))


def test_names_that_begin_alike_are_a_hint(tmp_path: Path) -> None:
    reading = read(lay(tmp_path / "s", "cat.1.png", "cat.2.png", "dog.1.png", "dog.2.png"))
    (choice,) = reading.others
    assert reading.unlabelled == 4 and any("--label-regex" in note for note in reading.notes)
    again = read(tmp_path / "s", Labelling(pattern=str(choice.told["label_regex"])))
    assert set(again.counts()) == {"cat", "dog"}


def test_a_table_that_came_without_its_pictures_says_so(tmp_path: Path) -> None:
    source = lay(tmp_path / "s", train_csv=TRAIN)
    with pytest.raises(SourceError, match="its pictures did not come along"):
        read(source / "train.csv", local=False)


# --- nothing is lost

FOLDERS = st.sampled_from(
    ("cat", "dog", "train", "test", "val2", "images", "data", "unlabeled", "seg_pred", "unknown", "a", "train_images")
)
FILES = st.sampled_from(("1.png", "2.png", "3.jpg", "4", "README.md", "x.zip", "notes.txt", "a.json", "b.xml"))
TABLES = st.sampled_from(("train.csv", "labels.csv", "metadata.csv", "classes.csv", "sample_submission.csv", "t.jsonl"))
ROWS = st.sampled_from(
    (
        TRAIN,
        "file,label,split\ncat/1.png,cat,train\ndog/2.png,dog,holdout\n",
        "id\n1\n2\n",
        "folder,label\ncat,lynx\n",
        "file,cat,dog\n1.png,1,0\n2.png,0,1\n",
        '{"file_name": "1.png", "label": "cat"}\n',
        "",
        "a;b\n\x00",
    )
)
PLACES = st.lists(FOLDERS, max_size=4)
TREES = st.dictionaries(
    st.tuples(PLACES, FILES | TABLES).map(lambda place: "/".join((*place[0], place[1]))),
    st.tuples(st.integers(0, 5), ROWS),
    min_size=1,
    max_size=14,
)


def content(name: str, told: tuple[int, str]) -> bytes:
    number, rows = told
    ending = name.rpartition(".")[2]
    return rows.encode() if ending in ("csv", "jsonl", "txt", "json", "xml", "md") else picture(number)


def as_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def as_archive(target: Path, files: dict[str, bytes]) -> Path:
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            for name, data in sorted(files.items()):
                archive.writestr(name, data)
        return target
    with tarfile.open(target, "w") as packed:
        for name, data in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    return target


def told(source: Path, how: Labelling) -> Any:
    """What a reading says, or the words of the PipelineError, which is all that it may raise."""
    try:
        reading = read(source, how)
    except PipelineError as error:
        return str(error)
    names = [entry.name for entry in reading.entries]
    names += [one.path for one in reading.refused if " line " not in one.path] + list(reading.tables)
    return {
        "entries": sorted(map(repr, meant(reading).items())),
        "accounted": sorted(names),
        "left out": sum(reading.left_out.values()),
        "layout": reading.layout,
        "questions": [question.text for question in reading.questions],
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES, how=st.sampled_from((Labelling(), Labelling(label="x"), Labelling(labels_from="table"))))
def test_every_file_of_any_tree_is_accounted_for_once_and_alike_in_archives(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, tuple[int, str]], how: Labelling
) -> None:
    names = {name for name in tree if not any(other.startswith(f"{name}/") for other in tree)}
    files = {name: content(name, tree[name]) for name in names}
    place = tmp_path_factory.mktemp("tree")
    found = told(as_folder(place / "s", files), how)
    assert isinstance(found, str) or len(found["accounted"]) + found["left out"] == len(files), found
    assert isinstance(found, str) or len(set(found["accounted"])) == len(found["accounted"])
    for ending in ("zip", "tar"):
        packed = told(as_archive(place / f"s.{ending}", files), how)
        assert packed == found or (isinstance(packed, str) and isinstance(found, str))


@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.sampled_from(["train", "test", None])), max_size=60),
    st.integers(1, 60),
)
def test_at_most_takes_so_many_and_of_each_its_share(pairs: list[tuple[str | None, str | None]], most: int) -> None:
    entries = tuple(Entry(f"{n}", label, split, 1, io.BytesIO) for n, (label, split) in enumerate(pairs))
    taken = at_most(Reading("", entries), most).entries
    assert len(taken) == min(most, len(entries)) and list(taken) == [one for one in entries if one in taken]
    before, after = Counter(pairs), Counter((one.label, one.split) for one in taken)
    assert most < len(before) or set(before) == set(after)
    assert all(
        after[pair] <= count and after[pair] - 2 <= count * most / max(len(pairs), 1) for pair, count in before.items()
    )
