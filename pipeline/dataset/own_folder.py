"""A person's own folder, read again: every file with its SHA-256, and where its class is told in its path."""

from __future__ import annotations

import csv
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pipeline.collect.entries import shown, split_of
from pipeline.collect.listings import CLASSES
from pipeline.collect.noise import noise_of
from pipeline.dataset.changes import LEFT_OUT, Change
from pipeline.dataset.names import alike, folder_names
from pipeline.errors import ExportError, SourceError
from pipeline.labels import clean_label
from pipeline.safe_text import restored
from pipeline.stage import Progress, Stage

CHUNK = 1 << 20
LINK = "It is a link to a folder, to something outside, or to nothing."
SPECIAL = "It is not an ordinary file."


@dataclass(frozen=True)
class OwnFile:
    """A file at its ``place`` in the folder; ``real`` is where it lies (elsewhere in the folder, where it is a link),
    ``id`` its SHA-256, where it could be a picture of the workspace, and ``stamp`` by what one sees that it changed.
    """

    place: PurePosixPath
    real: Path
    size: int
    stamp: tuple[int, int]
    id: str = ""


def own_files(source: Path, sizes: Collection[int], left_out: list[Change]) -> Stage[list[OwnFile]]:
    """Every file of the folder, in order; those of one of the ``sizes`` with their SHA-256. What is no file, and what
    systems and programs leave among files, is put to what is ``left_out``. Raises ExportError for what cannot be read.
    """
    found: list[OwnFile] = []
    try:
        met = list(_walked(source, left_out))
        for done, (place, real) in enumerate(met):
            about = real.stat()
            digest = sha256(real) if about.st_size in sizes else ""
            found.append(OwnFile(place, real, about.st_size, (about.st_size, about.st_mtime_ns), digest))
            yield Progress(done + 1, len(met), f"Looking through {source.name}")
    except OSError as error:
        where = error.filename or source
        raise ExportError(f"{where} cannot be read: {error.strerror or error}. Nothing was written.") from error
    return found


def sha256(file: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _walked(root: Path, left_out: list[Change]) -> Iterator[tuple[PurePosixPath, Path]]:
    """(place, where it lies) of every file. A link is a file where it leads to one within the folder."""

    def leave(place: PurePosixPath, why: str) -> None:
        left_out.append(Change(shown(place), "", "", LEFT_OUT, why))

    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(root, onerror=refuse):
        here = PurePosixPath(Path(folder).relative_to(root).as_posix())
        for name in sorted(folders):
            kind = noise_of(name, here.name)
            if kind or Path(folder, name).is_symlink():
                folders.remove(name)
                leave(here / name, f"It is a folder of {kind}." if kind else LINK)
        folders.sort()
        for name in sorted(names):
            path, place = Path(folder, name), here / name
            if kind := noise_of(name, here.name):
                leave(place, f"It is of the {kind}.")
                continue
            real = Path(os.path.realpath(path))
            if path.is_symlink() and not (real.is_file() and real.is_relative_to(root)):
                leave(place, LINK)
            elif not stat.S_ISREG(real.lstat().st_mode):
                leave(place, SPECIAL)
            else:
                yield place, real


@dataclass
class ClassFolders:
    """Where in the paths of a folder the classes are told. ``labels`` are all there are; ``known``: folder, in whatever
    letters -> class.
    """

    root: Path
    labels: Collection[str]
    known: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    spelled: dict[str, Counter[str]] = field(default_factory=dict)
    above: Counter[tuple[str, ...]] = field(default_factory=Counter)
    made: Mapping[str, str] = field(default_factory=dict)
    seen: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.known = {alike(label): label for label in self.labels}
        self.told = _class_table(self.root / CLASSES)
        self.known |= {alike(folder): label for folder, label in self.told.items()}

    def find(self, place: PurePosixPath, claimed: str, imported: bool) -> int | None:
        """Which part of the path is the folder of its class: that of the class it was ``claimed`` to be; for a file
        that was not imported from there, that of any class.
        """
        hits = [n for n, part in enumerate(place.parts[:-1]) if self.label_of(part)]
        names = {n: self.label_of(place.parts[n]) for n in hits}
        exact = [n for n in hits if names[n] == claimed] or [n for n in hits if alike(names[n]) == alike(claimed)]
        if exact:
            return exact[0]
        return hits[0] if hits and not imported else None

    def label_of(self, folder: str) -> str:
        """The class that a folder stands for, by its name; empty where it is none."""
        if folder not in self.seen:
            self.seen[folder] = self._label_of(folder)
        return self.seen[folder]

    def _label_of(self, folder: str) -> str:
        try:
            cleaned = clean_label(shown(folder))
        except SourceError:
            return ""
        exact = next((name for name in (folder, cleaned) if name in self.labels), "")
        return self.told.get(folder) or exact or self.known.get(alike(folder)) or self.known.get(alike(cleaned), "")

    def note(self, place: PurePosixPath, at: int) -> None:
        """Take up that the ``at``-th part of a path is the folder of a class."""
        self.spelled.setdefault(self.label_of(place.parts[at]), Counter())[place.parts[at]] += 1
        self.above[place.parts[:at]] += 1

    def make(self) -> None:
        """Give a folder to each class that has none, once all are noted."""
        without = [label for label in self.labels if label and label not in self.spelled]
        there = {part for counted in self.spelled.values() for part in counted}
        self.made = folder_names(without, taken=(*there, *self.told))

    def folder(self, label: str) -> str:
        """The folder of a class: the one that is there, or that was made for it."""
        return self.spelled[label].most_common(1)[0][0] if label in self.spelled else self.made[label]

    def place(self, place: PurePosixPath, at: int | None, label: str, split: str) -> PurePosixPath | None:
        """Where a file belongs whose class is told at that part of its path (None: nowhere); None where no folder tells
        classes.
        """
        if at is not None:
            if self.label_of(place.parts[at]) == label:
                return place
            return PurePosixPath(*place.parts[:at], self.folder(label), *place.parts[at + 1 :])
        if not self.above:
            return None
        roots = [root for root, _ in self.above.most_common()]
        fitting = [root for root in roots if split and any(split_of(part) == split for part in root)]
        return PurePosixPath(*(fitting or roots)[0], self.folder(label), place.name)

    def new_names(self, used: Collection[str]) -> dict[str, str]:
        """folder -> class, of all that are to be told in classes.csv; empty where folders are called as their classes
        are, as far as ``used`` is concerned.
        """
        odd = {folder: label for label, folder in self.made.items() if folder != label and label in used}
        return {**self.told, **odd} if odd else {}


def _class_table(file: Path) -> dict[str, str]:
    """folder -> class, of a person's own classes.csv, where there is one that says so."""
    if not file.is_file() or file.is_symlink():
        return {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            rows: Sequence[Mapping[str, str]] = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
    pairs = ((restored(row.get("folder") or ""), restored(row.get("label") or "")) for row in rows)
    return {folder: label for folder, label in pairs if folder and label}
