"""The workspace's pictures as a data set for others: class folders, a CSV file, or Hugging Face's metadata.csv.

A class's folder is called as the class is, where every file system takes that name and keeps it apart from the others.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from pipeline.collect.data_card import ATTRIBUTIONS, CARD, attributions, data_card, write_attributions
from pipeline.collect.entries import SPLIT_NAMES
from pipeline.collect.noise import noise_of
from pipeline.collect.starter_set import ARCHIVE, STARTERS
from pipeline.dataset.without_metadata import Published, Wanted, lost, publish
from pipeline.errors import ExportError, NotEnoughData, UsageError
from pipeline.images.sandbox import map_in_workers
from pipeline.jobs.job import finished
from pipeline.jobs.stages import StageName
from pipeline.safe_text import write_cells
from pipeline.settings import about, check, setting
from pipeline.stage import Progress, Stage
from pipeline.workspace.records import IN_USE
from pipeline.workspace.workspace import Workspace, clear_killed, outside, writing

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
MAX_NAME_BYTES = 255
HASH_DIGITS = 8
FORBIDDEN = re.compile(r'[/\\:*?"<>|]')
# Control characters, surrogates, what no standard has assigned (APFS refuses it), and line and paragraph separators.
FORBIDDEN_KINDS = ("Cc", "Cs", "Cn", "Zl", "Zp")
BIDI = re.compile("[\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ufeff]")
# Device names of Windows, with any extension.
RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE | re.DOTALL)
ABOUT: Mapping[str, str] = {
    "folders": f"Each picture lies in the folder of its class; {CLASSES} says which class a folder stands for.",
    "csv": f"{LABELS} says what each picture shows.",
    "metadata": f"{METADATA} beside the pictures says what each shows, as `datasets` reads it (imagefolder).",
}


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
        },
        rule="There is no layout '{value:.40}'. There is: {choices}.",
    )
    originals: bool = setting(
        False, "files as they came, with metadata (place, camera, comments), instead of re-encoded without it"
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

    The folder appears whole or not at all. In every table, cells that a spreadsheet would run begin with a ``'`` more
    (``pipeline.safe_text.restored`` takes it off). Class folders are named like the class where every file system takes
    that name; classes.csv says which class each stands for. Raises ExportError, NotEnoughData.

    >>> from pathlib import Path
    >>> written = w.run(w.export_dataset(ws, w.DatasetConfig("fruit-data")))
    >>> written.classes, sorted(path.name for path in Path("fruit-data").iterdir() if path.is_dir())
    ({'apple': 20, 'melon': 20, 'pear': 20}, ['test', 'train', 'valid'])
    """
    target = _new_folder(workspace, config.out)
    clear_killed(target.parent)
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
    written = ExportedDataset(
        str(target),
        files,
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
    kept = images[images["status"].isin(IN_USE)]
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
            f"{target} cannot be written: the pictures need {needed:,} bytes, and {free:,} bytes are free. "
            "Free some space or choose another disk."
        )


def _place(picture: _Picture, layout: str, folders: Mapping[str, str]) -> PurePosixPath:
    """The folder of a picture; what has no label lies beside the class folders."""
    if layout == "folders":
        return PurePosixPath(picture.split, *(folders[label] for label in picture.labels))
    return PurePosixPath(PICTURES if layout == "csv" else HUB_SPLITS[picture.split])


def folder_names(classes: Iterable[str], taken: Iterable[str] = ()) -> Mapping[str, str]:
    """The folder of each class: its name where that is fit, else a likeness of it with a part of the name's SHA-256.

    No two are equal on a file system that ignores case, or the ways to write one character; none is ``taken``, none
    would be read as a split or left out by an import, and none is longer than 255 bytes. The same classes give the same
    names.
    """
    labels = sorted(set(classes))
    not_free = {_key(name) for name in (*taken, *SPLIT_NAMES)}
    keys = Counter(_key(_fit(label)) for label in labels)
    names = {label: label for label in labels if label and _fit(label) == label and keys[_key(label)] == 1}
    names = {label: name for label, name in names.items() if _key(name) not in not_free}
    not_free |= {_key(name) for name in names.values()}
    for label in labels:
        if label not in names:
            names[label] = _marked(label, not_free)
            not_free.add(_key(names[label]))
    return names


def _fit(label: str) -> str:
    """The likeness of a class name that may stand in a path; the name itself where that may."""
    text = unicodedata.normalize("NFC", BIDI.sub("", FORBIDDEN.sub("_", label)))
    text = "".join("_" if unicodedata.category(c) in FORBIDDEN_KINDS else c for c in text)
    text = _cut(text.strip().lstrip(".").strip(), MAX_NAME_BYTES).rstrip(". ")
    return f"_{text}" if RESERVED.fullmatch(text) or noise_of(text) else text


def _marked(label: str, not_free: set[str]) -> str:
    digest = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()
    for digits in range(HASH_DIGITS, len(digest) + 1):
        mark = digest[:digits]
        name = f"{_cut(_fit(label), MAX_NAME_BYTES - digits - 1).rstrip('. ') or 'class'}-{mark}"
        if _key(name) not in not_free:
            break
    return name


def _cut(text: str, size: int) -> str:
    return text.encode("utf-8")[:size].decode("utf-8", "ignore")


def _key(name: str) -> str:
    """What is equal for two names that some file system takes for the same."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(c for c in folded if unicodedata.category(c) != "Cf")


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
    # readers split a cell without separator at its spaces, so a single label ends with it
    ends = {file: SEPARATOR if several and len(picture.labels) == 1 else "" for file, picture in done.items()}
    rows = [
        (PurePosixPath(file), SEPARATOR.join(picture.labels) + ends[file], picture.split)
        for file, picture in done.items()
    ]
    table = pd.DataFrame(rows, columns=["path", "labels" if several else "label", "split"], dtype=object)
    if layout == "csv":
        write_cells(table, folder / LABELS)
    if layout == "metadata":
        for place, part in table.groupby(table["path"].map(lambda path: path.parent)):
            named = part.assign(path=part["path"].map(lambda path: path.name)).drop(columns="split")
            write_cells(named.rename(columns={"path": "file_name"}), folder / str(place) / METADATA)
    classes = pd.DataFrame({"folder": list(folders.values()), "label": list(folders)}, dtype=object)
    write_cells(classes if layout == "folders" else classes[["label"]], folder / CLASSES)


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
