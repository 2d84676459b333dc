"""What is exported is read by Hugging Face's ``datasets`` in each layout: the same pictures, names, classes, splits."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pytest

from pipeline.predict import open_image
from pipeline.safe_text import restored
from pipeline.workspace.records import NewImage
from pipeline.workspace.workspace import Workspace
from tests.dataset.test_export import exported, picture

HUB = {"train": "train", "valid": "validation", "test": "test"}
# Names that readers of data sets take for something else, or a spreadsheet for a formula.
FILES = ("train.png", "test-2.png", "Bär 1.png", "熊;=1.png", "=1+1.png", "urlaub/test/a.png", "urlaub/val 2/a.png")
CLASSES = ("cat", "test tube", "Bär")


@pytest.fixture
def project(workspace: Workspace) -> Workspace:
    """Pictures of three classes in three splits, with names that are hard to read."""
    for number in range(18):
        image_id, file = workspace.keep(picture(number), "png")
        label, split = CLASSES[number % 3], tuple(HUB)[number // 3 % 3]
        name = f"{number // 7}/{FILES[number % 7]}"
        workspace.store.add_images([NewImage(image_id, file, 1, label, "file", name, split=split)])
    return workspace


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``load_dataset``, with a cache of its own and no network."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    def load(*args: Any, **more: Any) -> Any:
        return datasets.load_dataset(*args, cache_dir=str(tmp_path / "cache"), **more)

    return load


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def pixels(workspace: Workspace) -> dict[bytes, str]:
    """pixels -> id."""
    images = workspace.store.images()
    rows = zip(images["id"], images["file"], strict=True)
    return {open_image(workspace.image_file(file).read_bytes()).tobytes(): image for image, file in rows}


def told(workspace: Workspace, sets: Any, name_of: Any) -> set[tuple[str, str, str]]:
    """What a reader says of each image: its id by its pixels, its class, its split."""
    ids = pixels(workspace)
    return {
        (ids[np.asarray(row["image"].convert("RGB")).tobytes()], name_of(row), split)
        for split, pictures in sets.items()
        for row in pictures
    }


def known(workspace: Workspace) -> set[tuple[str, str, str]]:
    """The same as the workspace has it."""
    images = workspace.store.images()
    return set(zip(images["id"], images["label"], images["given_split"].map(HUB), strict=True))


def test_class_folders_are_read_as_classes(project: Workspace, tmp_path: Path, read: Any) -> None:
    exported(project, tmp_path / "out")
    sets = read(str(tmp_path / "out"))
    label = sets["train"].features["label"]
    assert sorted(label.names) == sorted(CLASSES)
    assert told(project, sets, lambda row: label.int2str(row["label"])) == known(project)


def test_metadata_is_read_with_its_columns(project: Workspace, tmp_path: Path, read: Any) -> None:
    exported(project, tmp_path / "out", "metadata", keep_folders=True)
    sets = read(str(tmp_path / "out"))
    assert told(project, sets, lambda row: row["label"]) == known(project)
    names = dict(zip(project.store.images()["id"], project.store.images()["source_name"], strict=True))
    rows = [row for split in sets.values() for row in split]
    assert {row["id"]: restored(row["original_name"]) for row in rows} == names


def test_a_table_of_paths_is_read_as_a_table(project: Workspace, tmp_path: Path, read: Any) -> None:
    exported(project, tmp_path / "out", "csv")
    rows = list(read(str(tmp_path / "out"))["train"])
    images = project.store.images()
    assert {(row["id"], row["label"], row["split"]) for row in rows} == set(
        zip(images["id"], images["label"], images["given_split"], strict=True)
    )
    assert all((tmp_path / "out" / PurePosixPath(row["path"])).is_file() for row in rows)


def test_parquet_is_read_with_pictures_and_classes(
    project: Workspace, tmp_path: Path, read: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.dataset.parquet.SHARD_BYTES", 200)  # two pictures
    monkeypatch.setattr("pipeline.dataset.parquet.GROUP_ROWS", 1)
    exported(project, tmp_path / "out", "parquet")
    shards = sorted(path.name for path in (tmp_path / "out" / "data").iterdir())
    assert len(shards) > 6 and shards[0].startswith("test-00000-of-0000")
    assert all(path.parent.name == "data" or path.suffix in (".csv", ".md") for path in files_in(tmp_path / "out"))
    sets = read(str(tmp_path / "out"))
    label = sets["train"].features["label"]
    assert label.names == sorted(CLASSES) and type(sets["train"].features["image"]).__name__ == "Image"
    assert told(project, sets, lambda row: label.int2str(row["label"])) == known(project)
    names = dict(zip(project.store.images()["id"], project.store.images()["source_name"], strict=True))
    assert {row["id"]: row["original_name"] for split in sets.values() for row in split} == names
    by_file = read("parquet", data_files={"test": str(tmp_path / "out" / "data" / "test-*")})["test"]
    assert by_file.features["label"].names == label.names and len(by_file) == 6


@pytest.mark.parametrize("from_file", [False, True])
def test_several_labels_are_a_list_of_classes(from_file: bool, workspace: Workspace, tmp_path: Path, read: Any) -> None:
    given = ["cat|a;b", "cat", None, "Bär|cat|a;b"]
    for number, label in enumerate(given):
        image_id, file = workspace.keep(picture(number), "png")
        workspace.store.add_images([NewImage(image_id, file, 1, label, "file", f"{number}.png")])
    exported(workspace, tmp_path / "out", "parquet", anonymous_names=True)
    if from_file:
        import datasets

        rows = datasets.Dataset.from_parquet(
            str(tmp_path / "out" / "data" / "train-00000-of-00001.parquet"), cache_dir=str(tmp_path / "cache")
        )
    else:
        rows = read(str(tmp_path / "out"))["train"]
    label = rows.features["labels"].feature
    found = {row["id"]: {label.int2str(number) for number in row["labels"]} for row in rows}
    images = workspace.store.images()
    assert found == {
        image: set(names.split("|")) if names else set()
        for image, names in zip(images["id"], images["label"], strict=True)
    }
    assert [row["original_name"] for row in rows] == [None] * 4


@pytest.mark.parametrize("layout", ["folders", "metadata", "parquet"])
def test_what_has_no_split_is_all_train(layout: str, workspace: Workspace, tmp_path: Path, read: Any) -> None:
    for number, name in enumerate(["test_1.png", "train.png", "a.png", "val.png"]):
        image_id, file = workspace.keep(picture(number), "png")
        workspace.store.add_images([NewImage(image_id, file, 1, CLASSES[number % 2], "file", name)])
    exported(workspace, tmp_path / "out", layout)
    sets = read(str(tmp_path / "out"))
    assert {split: len(rows) for split, rows in sets.items()} == {"train": 4}
