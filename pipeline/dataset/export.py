"""The workspace's pictures as a data set for others: class folders, a CSV file, or Hugging Face's metadata.csv.

A class's folder is called as the class is, where every file system takes that name and keeps it apart from the others.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.collect.data_card import ATTRIBUTIONS, CARD, attributions, data_card, write_attributions
from pipeline.collect.starter_set import ARCHIVE, STARTERS
from pipeline.dataset.changes import CHANGES, changes, placed_at, write_changes
from pipeline.dataset.layouts import ABOUT, CLASSES, LABELS, METADATA, front_matter, write_tables
from pipeline.dataset.names import WEB, folder_names
from pipeline.dataset.parquet import write_shards
from pipeline.dataset.pictures import Picture, Placing, check_layout, pictures_of
from pipeline.dataset.without_metadata import Published, Wanted, lost, publish
from pipeline.errors import ExportError, NotEnoughData, UsageError
from pipeline.images.sandbox import map_in_workers
from pipeline.jobs.job import finished
from pipeline.jobs.stages import StageName
from pipeline.settings import about, check, setting
from pipeline.stage import Progress, Stage
from pipeline.workspace.workspace import Workspace, clear_killed, outside, writing

README = "README.md"
LICENCE = "LICENSE-starter.txt"
OWN_NAMES = (CARD, README, ATTRIBUTIONS, CLASSES, LABELS, CHANGES, LICENCE)
NEW = ".new"
NOTE = "Writing pictures"


@dataclass(frozen=True)
class DatasetConfig:
    """What to write, and where. Raises UsageError where that makes no sense.

    >>> w.DatasetConfig("fruit-data", layout="metadata").originals
    False
    """

    out: str = field(metadata=about("a new or an empty folder", flag="OUT"))
    layout: str = setting(
        "folders",
        "where labels are",
        choices={
            "folders": "split/class/picture",
            "csv": f"{LABELS} with path, label and split",
            "metadata": f"Hugging Face's imagefolder: {METADATA} in each of train, validation and test",
            "parquet": "data/train-00000-of-00001.parquet, with pictures and class names in it, as the hub has them",
        },
        rule="There is no layout '{value:.40}'. There is: {choices}.",
    )
    originals: bool = setting(
        False, "files as they came, with metadata (place, camera, comments), instead of re-encoded without it"
    )
    keep_folders: bool = setting(False, "the sub-folders of the source too, in the folder of each class or split")
    anonymous_names: bool = setting(
        False, "files named by their content; the names they had, which may tell about people, are in no table"
    )

    def __post_init__(self) -> None:
        if not self.out.strip():
            raise UsageError("Say which folder to write.")
        check(self)


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

    @property
    def incomplete(self) -> str:
        """What is not in it and should be, in a sentence; empty where nothing is missing."""
        if not self.failed:
            return ""
        first = self.failed[0]
        which = "1 picture is" if len(self.failed) == 1 else f"{len(self.failed):,} pictures are"
        return f"{which} not in {self.folder}: {first.path}: {first.reason}" + (" …" if len(self.failed) > 1 else "")


def export_dataset(workspace: Workspace, config: DatasetConfig) -> Stage[ExportedDataset]:
    """Write the pictures that were neither removed nor set aside, with their labels, a card and attributions.

    The folder appears whole or not at all. Files are called as they were in their source, as far as every file system
    takes that name; the tables say what each was called (``original_name``). In every table, cells that a spreadsheet
    would run begin with a ``'`` more (``pipeline.safe_text.restored`` takes it off). Class folders are named like the
    class where every file system takes that name; classes.csv says which class each stands for. Raises ExportError,
    NotEnoughData.

    >>> from pathlib import Path
    >>> written = w.run(w.export_dataset(ws, w.DatasetConfig("fruit-data")))
    >>> written.classes, sorted(path.name for path in Path("fruit-data").iterdir() if path.is_dir())
    ({'apple': 20, 'melon': 20, 'pear': 20}, ['test', 'train', 'valid'])
    """
    target = new_folder(workspace, config.out)
    clear_killed(target.parent)
    images = workspace.store.images()
    pictures = pictures_of(images)
    check_layout(pictures, config.layout)
    check_space(target, sum(picture.bytes for picture in pictures))
    folders = folder_names((label for picture in pictures for label in picture.labels), taken=OWN_NAMES)
    placing = Placing(config.layout, folders, config.keep_folders, config.anonymous_names, (*OWN_NAMES, METADATA))
    try:
        with writing(target) as folder:
            published = yield from _publish(workspace, pictures, config.originals, folder / NEW)
            names = {image: one.name for image, one in published.items() if one.name}
            if not names:
                raise NotEnoughData("None of the pictures can be read. Verify the workspace to see why.")
            done = placing.places([(p, Path(names[p.id]).suffix[1:]) for p in pictures if p.id in names])
            if config.layout == "parquet":
                files = {image: folder / NEW / name for image, name in names.items()}
                yield from write_shards(done, files, folder, config.anonymous_names)
            else:
                _move(done, names, folder)
            (folder / NEW).rmdir()
            write_tables(done, config.layout, folders, folder, config.anonymous_names)
            _write_papers(workspace, done, config, _about(config, published), folder)
            count = sum(path.is_file() for path in folder.rglob("*"))
            if target.is_dir():
                target.rmdir()  # it is empty, and Windows renames onto no folder
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}. Nothing was written.") from error
    written = ExportedDataset(
        str(target),
        count,
        copied=sum(bool(one.name) and not one.re_encoded for one in published.values()),
        re_encoded=sum(one.re_encoded for one in published.values()),
        with_position=sum(one.position for one in published.values()),
        left_out=len(images) - len(pictures),
        failed=tuple(NotExported(p.name, published[p.id].reason) for p in pictures if not published[p.id].name),
        classes=dict(sorted(Counter(label for picture in done.values() for label in picture.labels).items())),
    )
    yield Progress(len(pictures), len(pictures), f"Written to {target}. {written.incomplete}".strip())
    return written


def last_dataset(workspace: Workspace) -> Path | None:
    """The folder of the newest set that a job wrote into the workspace's exports and that is still there."""
    folders = (Path(job.config["out"]) for job in finished(workspace, StageName.DATASET))
    return next((folder for folder in folders if folder.parent == workspace.exports and folder.is_dir()), None)


def new_folder(workspace: Workspace, out: str) -> Path:
    """The folder ``out``, which is not there yet, or empty. Raises ExportError for any other."""
    target = outside(workspace, out)
    held = next(target.iterdir(), None) if target.is_dir() else None
    if held is not None:
        raise ExportError(f"{target} is not empty (it holds {held.name}). Choose a new folder, or empty this one.")
    return target


def check_space(target: Path, needed: int) -> None:
    """Raises ExportError where the disk of ``target`` has not so many bytes free."""
    there = next(folder for folder in (target, *target.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise ExportError(
            f"{target} cannot be written: the pictures need {needed:,} bytes, and {free:,} bytes are free. "
            "Free some space or choose another disk."
        )


def _publish(
    workspace: Workspace, pictures: Sequence[Picture], originals: bool, folder: Path
) -> Stage[dict[str, Published]]:
    """Every picture by itself in a worker process, as a file in ``folder``; id -> what became of it."""
    folder.mkdir(parents=True)
    wanted = [
        Wanted(picture.id, workspace.image_file(picture.file), folder / picture.id, originals, picture.checked)
        for picture in pictures
    ]
    published: dict[str, Published] = {}
    yield Progress(0, len(wanted), NOTE)
    for one, answer in map_in_workers(publish, wanted, lost):
        published[one.id] = answer
        yield Progress(len(published), len(wanted), NOTE)
    return published


def _move(done: Mapping[str, Picture], names: Mapping[str, str], folder: Path) -> None:
    """Put the files that were written to their places."""
    for place, picture in done.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / NEW / names[picture.id]).rename(folder / place)


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


def _write_papers(
    workspace: Workspace, done: Mapping[str, Picture], config: DatasetConfig, about: str, folder: Path
) -> None:
    files = {picture.id: file for file, picture in done.items()}
    rows = attributions(workspace, files)
    if config.anonymous_names:
        rows["source"] = rows["source"].where(rows["source"].str.match(WEB), "")
    write_attributions(rows, folder / ATTRIBUTIONS)
    write_changes(placed_at(changes(workspace).changes, files, not config.anonymous_names), folder / CHANGES)
    card = data_card(workspace, about, front_matter(done, config.layout))
    for name in (CARD, README):  # the hub, and those who read its sets, know the second name
        (folder / name).write_text(card, encoding="utf-8")
    if rows["provider"].isin(STARTERS).any():  # the licence of these pictures asks to go where they go
        shutil.copyfile(ARCHIVE.with_name("LICENSE"), folder / LICENCE)
