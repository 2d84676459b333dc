"""The workspace's pictures as a data set for others: class folders, a CSV file, or Hugging Face's metadata.csv."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from pipeline.collect.data_card import ATTRIBUTIONS, CARD, attributions, data_card, write_attributions
from pipeline.collect.starter_set import ARCHIVE, STARTERS
from pipeline.dataset.folders import folder_names
from pipeline.dataset.without_metadata import Published, Wanted, lost, publish
from pipeline.errors import ExportError, NotEnoughData, UsageError
from pipeline.images.sandbox import map_in_workers
from pipeline.safe_text import write_cells
from pipeline.stage import Progress, Stage
from pipeline.workspace.workspace import Workspace, outside, writing

LAYOUTS = ("folders", "csv", "metadata")
CLASSES = "classes.csv"
LABELS = "labels.csv"
METADATA = "metadata.csv"
LICENCE = "LICENSE-starter.txt"
PICTURES = "images"
HUB_SPLITS: Mapping[str, str] = {"train": "train", "valid": "validation", "test": "test", "": PICTURES}
OWN_NAMES = (CARD, ATTRIBUTIONS, CLASSES, LICENCE)
SEPARATOR = ";"
NAME_DIGITS = 16
NOTE = "Writing pictures"
ABOUT: Mapping[str, str] = {
    "folders": f"Each picture lies in the folder of its class; {CLASSES} says which class a folder stands for.",
    "csv": f"{LABELS} says what each picture shows.",
    "metadata": f"{METADATA} beside the pictures says what each shows, as `datasets` reads it (imagefolder).",
}


@dataclass(frozen=True)
class DatasetConfig:
    """``out`` is a new or an empty folder. ``layout``: ``folders`` (split/class/picture), ``csv`` (labels.csv with
    path, label and split), or ``metadata`` (Hugging Face's imagefolder: metadata.csv with file_name and label, in
    each of train, validation and test).

    Pictures that carry metadata (place, camera, comments) are re-encoded without it, unless ``originals`` are wanted.

    >>> w.DatasetConfig("fruit-data", layout="metadata").originals
    False
    """

    out: str
    layout: str = "folders"
    originals: bool = False

    def __post_init__(self) -> None:
        if not self.out.strip():
            raise UsageError("Say which folder to write.")
        if self.layout not in LAYOUTS:
            raise UsageError(f"There is no layout '{self.layout[:40]}'. There is: {', '.join(LAYOUTS)}.")


@dataclass(frozen=True)
class NotExported:
    """A picture that is not in the data set: what its source called it, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class ExportedDataset:
    """How many ``files`` the folder holds; how many pictures were copied as they are, and re-encoded.

    ``with_position`` of the pictures say where they were taken; those that were re-encoded no longer do, originals
    still do. ``left_out`` were removed or set aside. ``classes``: pictures of each.
    """

    folder: str
    files: int
    copied: int
    re_encoded: int
    with_position: int
    left_out: int
    failed: tuple[NotExported, ...] = ()
    classes: dict[str, int] = field(default_factory=dict)


def export_dataset(workspace: Workspace, config: DatasetConfig) -> Stage[ExportedDataset]:
    """Write the pictures that were neither removed nor set aside, with their labels, a card and attributions.

    The folder appears whole or not at all. In every table, cells that a spreadsheet would run begin with a ``'`` more
    (``pipeline.safe_text.restored`` takes it off). Class folders are named like the class where every file system takes
    that name; classes.csv says which class each stands for. Raises ExportError, NotEnoughData.

    >>> from pathlib import Path
    >>> written = w.run(w.export_dataset(ws, w.DatasetConfig("fruit-data")))
    >>> written.classes, sorted(path.name for path in Path("fruit-data").iterdir() if path.is_dir())
    ({'apple': 20, 'melon': 20, 'pear': 20}, ['test', 'train', 'valid'])
    """
    target = _new_folder(workspace, config.out)
    images = workspace.store.images()
    pictures = _pictures(images)
    _check_layout(pictures, config.layout)
    _check_space(target, sum(picture.bytes for picture in pictures))
    classes = Counter(label for picture in pictures for label in picture.labels)
    folders = folder_names(classes, taken=OWN_NAMES)
    try:
        with writing(target) as folder:
            published = yield from _write_pictures(workspace, pictures, config, folders, folder)
            done = {
                str(_place(picture, config.layout, folders) / published[picture.id].name): picture
                for picture in pictures
                if published[picture.id].name
            }
            if not done:
                raise NotEnoughData("None of the pictures can be read. Verify the workspace to see why.")
            _write_tables(done, config.layout, folders, folder)
            _write_papers(workspace, done, _about(config, published), folder)
            files = sum(path.is_file() for path in folder.rglob("*"))
            if target.is_dir():
                target.rmdir()  # it is empty, and Windows renames onto no folder
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}. Nothing was written.") from error
    yield Progress(len(pictures), len(pictures), f"Written to {target}")
    return ExportedDataset(
        str(target),
        files,
        copied=sum(bool(one.name) and not one.re_encoded for one in published.values()),
        re_encoded=sum(one.re_encoded for one in published.values()),
        with_position=sum(one.position for one in published.values()),
        left_out=len(images) - len(pictures),
        failed=tuple(NotExported(p.name, published[p.id].reason) for p in pictures if not published[p.id].name),
        classes=dict(sorted(Counter(label for picture in done.values() for label in picture.labels).items())),
    )


# --- what is exported, and where to --------------------------------------------------------------------------------


def _new_folder(workspace: Workspace, out: str) -> Path:
    target = outside(workspace, out)
    held = next(target.iterdir(), None) if target.is_dir() else None
    if held is not None:
        raise ExportError(f"{target} is not empty (it holds {held.name}). Choose a new folder, or empty this one.")
    return target


@dataclass(frozen=True)
class _Picture:
    """An image that is exported; ``split`` is empty where it has none. ``stem`` is its file's name there."""

    id: str
    file: str
    name: str
    labels: tuple[str, ...]
    split: str
    checked: bool
    bytes: int
    stem: str


def _pictures(images: pd.DataFrame) -> list[_Picture]:
    """What is neither removed nor set aside. Raises NotEnoughData where that is nothing."""
    kept = images[images["status"].isin(["new", "ok"])]
    if kept.empty:
        raise NotEnoughData("There are no pictures to export. Import some first, or restore what was removed.")
    splits = kept["split"].fillna(kept["given_split"]).fillna("")
    alike = kept["id"].str[:NAME_DIGITS].duplicated(keep=False)
    stems = kept["id"].where(alike, kept["id"].str[:NAME_DIGITS])
    return [
        _Picture(
            str(row["id"]),
            str(row["file"]),
            str(row["source_name"] or row["file"]),
            tuple(str(row["label"]).split("|")) if row["label"] else (),
            str(split),
            row["status"] == "ok",
            int(row["bytes"]),
            str(stem),
        )
        for row, split, stem in zip(kept.to_dict("records"), splits, stems, strict=True)
    ]


def _check_layout(pictures: Sequence[_Picture], layout: str) -> None:
    """Raises ExportError where the layout cannot hold the pictures."""
    several = [picture for picture in pictures if len(picture.labels) > 1]
    if several and layout == "folders":
        raise ExportError(
            f"Pictures with several labels ({len(several)}, like {', '.join(several[0].labels)[:100]}) fit into no "
            "class folder. Export as csv or metadata instead."
        )
    if several and any(SEPARATOR in label for picture in pictures for label in picture.labels):
        raise ExportError(
            f"A class has a '{SEPARATOR}' in its name, which separates the labels of a picture. Give it another name."
        )
    unsplit = sum(not picture.split for picture in pictures)
    if layout != "csv" and 0 < unsplit < len(pictures):
        raise ExportError(
            f"{unsplit} of {len(pictures)} pictures have no split yet. Verify the workspace first, or export as csv."
        )


def _check_space(target: Path, needed: int) -> None:
    there = next(folder for folder in (target, *target.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ExportError(
            f"{target} cannot be written: the pictures need {needed >> 20:,} MiB, and {free >> 20:,} MiB are free. "
            "Free some space or choose another disk."
        )


def _place(picture: _Picture, layout: str, folders: Mapping[str, str]) -> PurePosixPath:
    """The folder of a picture; what has no label lies beside the class folders."""
    if layout == "folders":
        return PurePosixPath(picture.split, *(folders[label] for label in picture.labels))
    return PurePosixPath(PICTURES if layout == "csv" else HUB_SPLITS[picture.split])


# --- writing -------------------------------------------------------------------------------------------------------


def _write_pictures(
    workspace: Workspace,
    pictures: Sequence[_Picture],
    config: DatasetConfig,
    folders: Mapping[str, str],
    folder: Path,
) -> Stage[dict[str, Published]]:
    """Every picture by itself in a worker process; id -> what became of it."""
    wanted = []
    for picture in pictures:
        place = folder / _place(picture, config.layout, folders)
        place.mkdir(parents=True, exist_ok=True)
        source = workspace.image_file(picture.file)
        wanted.append(Wanted(picture.id, source, place / picture.stem, config.originals, picture.checked))
    published: dict[str, Published] = {}
    yield Progress(0, len(wanted), NOTE)
    for one, answer in map_in_workers(publish, wanted, lost):
        published[one.id] = answer
        yield Progress(len(published), len(wanted), NOTE)
    return published


def _write_tables(done: Mapping[str, _Picture], layout: str, folders: Mapping[str, str], folder: Path) -> None:
    several = any(len(picture.labels) > 1 for picture in done.values())
    rows = [(PurePosixPath(file), _cell(picture.labels, several), picture.split) for file, picture in done.items()]
    table = pd.DataFrame(rows, columns=["path", "labels" if several else "label", "split"], dtype=object)
    if layout == "csv":
        write_cells(table, folder / LABELS)
    if layout == "metadata":
        for place, part in table.groupby(table["path"].map(lambda path: path.parent)):
            named = part.assign(path=part["path"].map(lambda path: path.name)).drop(columns="split")
            write_cells(named.rename(columns={"path": "file_name"}), folder / str(place) / METADATA)
    classes = pd.DataFrame({"folder": list(folders.values()), "label": list(folders)}, dtype=object)
    write_cells(classes if layout == "folders" else classes[["label"]], folder / CLASSES)


def _cell(labels: Sequence[str], several: bool) -> str:
    """The labels of a picture. Readers split a cell without separator at its spaces, so a single one ends with it."""
    end = SEPARATOR if several and len(labels) == 1 else ""
    return SEPARATOR.join(labels) + end


def _about(config: DatasetConfig, published: Mapping[str, Published]) -> str:
    written = [one for one in published.values() if one.name]
    re_encoded = sum(one.re_encoded for one in written)
    position = sum(one.position for one in written)
    if config.originals:
        files = (
            "The pictures are the files that were collected, with all that they carry: "
            f"{position:,} of them say where they were taken."
        )
    else:
        files = (
            f"{re_encoded:,} of the files were written anew (JPEG, or PNG without loss), because they carried more "
            "than pixels, or may have: place, camera, comments, colour profile. "
            f"{len(written) - re_encoded:,} are copied as they came."
        )
    if missing := len(published) - len(written):
        files += f" {missing:,} pictures counted below could not be read and are not in it."
    return (
        f"{ABOUT[config.layout]} {files} The id in {ATTRIBUTIONS} is the SHA-256 of the file that was collected. In "
        "all CSV files a cell that a spreadsheet would run as a formula has a `'` before it."
    )


def _write_papers(workspace: Workspace, done: Mapping[str, _Picture], about: str, folder: Path) -> None:
    rows = attributions(workspace, {picture.id: file for file, picture in done.items()})
    write_attributions(rows, folder / ATTRIBUTIONS)
    (folder / CARD).write_text(data_card(workspace, about), encoding="utf-8")
    if rows["provider"].isin(STARTERS).any():  # the licence of these pictures asks to go where they go
        shutil.copyfile(ARCHIVE.with_name("LICENSE"), folder / LICENCE)
