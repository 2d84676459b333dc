"""What was decided, on a person's own files: their folder once more beside theirs, with every picture in the folder of
the class it has now, and without those that were removed or set aside. Theirs is only read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from pipeline.collect.entries import shown
from pipeline.collect.listings import CHANGES, CLASSES
from pipeline.dataset.changes import (
    DUPLICATE,
    GONE,
    LEFT_OUT,
    RELABELLED,
    Change,
    Decided,
    judged,
    last_decisions,
    write_changes,
)
from pipeline.dataset.export import check_space, new_folder
from pipeline.dataset.layouts import LABELS
from pipeline.dataset.names import alike, numbered
from pipeline.dataset.own_folder import ClassFolders, OwnFile, own_files, sha256
from pipeline.dataset.pictures import SEPARATOR
from pipeline.errors import ExportError, UsageError
from pipeline.images.formats import PICTURE_SUFFIXES
from pipeline.labels import in_words
from pipeline.predict import SEVERAL
from pipeline.safe_text import write_cells
from pipeline.settings import about, check, setting
from pipeline.stage import Progress, Stage
from pipeline.workspace.workspace import Workspace, clear_killed, writing


@dataclass(frozen=True)
class ApplyConfig:
    """Which folder, and where to. Raises UsageError where that makes no sense.

    >>> w.ApplyConfig("photos", "photos-cleaned").links
    False
    """

    source: str = field(metadata=about("your own folder, which was imported; it is only read", flag="SOURCE"))
    out: str = field(metadata=about("a new or an empty folder, outside of SOURCE", flag="OUT"))
    links: bool = setting(
        False, "hard links, which take no room: what is written into a file later is written into yours, too"
    )

    def __post_init__(self) -> None:
        if not self.source.strip() or not self.out.strip():
            raise UsageError("Say which folder of yours, and which folder to write.")
        check(self)


@dataclass(frozen=True)
class Applied:
    """The ``folder`` that was written with so many ``files``, and every difference to the person's own
    (``changes``; a row's ``file`` is where it is now, empty where it was left out).

    ``new`` are pictures there that the workspace does not know, ``changed`` those that are no longer what was imported:
    they are in it as they are. ``missing`` were imported from files, and are not there. ``notes``: what one should
    know.
    """

    folder: str
    files: int
    changes: tuple[Change, ...] = ()
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def apply(workspace: Workspace, config: ApplyConfig) -> Stage[Applied]:
    """Write the person's folder anew, as it was decided: pictures are known by their content, whatever they are called,
    and keep their names and sub-folders; a class that has no folder yet gets one.

    It appears whole or not at all, with changes.csv in it. The same file twice is there once. Other files go along as
    they are. Raises ExportError.

    >>> photos = w.run(w.import_images(w.Workspace.create("mine"), w.ImportConfig("photos")))
    >>> mine = w.Workspace.open("mine")
    >>> decision = w.relabel(mine, mine.store.images()["id"][0], "melon")
    >>> applied = w.run(w.apply(mine, w.ApplyConfig("photos", "photos-cleaned")))
    >>> [(change.path, change.file) for change in applied.changes]
    [('apple/1.jpg', 'melon/1.jpg')]
    """
    source = _source(workspace, config.source)
    target = _target(workspace, config.out, source)
    clear_killed(target.parent)
    known = _Known.of(workspace)
    left_out: list[Change] = []
    files = yield from own_files(source, known.sizes, left_out)
    plan = _Plan(known, files, ClassFolders(source, known.labels))
    plan.make()
    plan.changes += left_out
    if not plan.found:
        raise ExportError(f"No file in {source} is a picture of this workspace. Choose the folder that was imported.")
    if not config.links:
        check_space(target, sum(file.size for file in plan.places.values()))
    try:
        with writing(target) as folder:
            for done, (place, file) in enumerate(plan.places.items()):
                _put(file, folder / place, config.links)
                yield Progress(done + 1, len(plan.places), "Writing files")
            plan.write_tables(folder)
            if target.is_dir():
                target.rmdir()  # it is empty, and Windows renames onto no folder
    except OSError as error:
        raise ExportError(f"{target} cannot be written: {error.strerror or error}. Nothing was written.") from error
    applied = plan.applied(target)
    yield Progress(len(files), len(files), f"Written to {target}")
    return applied


# --- from where, where to -------------------------------------------------------------------------------------------


def _source(workspace: Workspace, source: str) -> Path:
    try:
        folder = Path(source).expanduser().resolve()
        is_folder = os.path.isdir(folder)  # noqa: PTH112 - Path.is_dir raises for a name that is too long
    except (OSError, RuntimeError, ValueError) as error:
        raise ExportError(f"{source!r} cannot be a folder: {error}. Choose another.") from error
    if not is_folder:
        raise ExportError(f"{folder} is no folder. Say where your files lie; unpack an archive first.")
    if folder == workspace.root or workspace.root in folder.parents or folder in workspace.root.parents:
        raise ExportError(f"{folder} holds the workspace, or is a part of it. Choose the folder of your own pictures.")
    return folder


def _target(workspace: Workspace, out: str, source: Path) -> Path:
    target = new_folder(workspace, out)
    for folder in (target, *target.parents):
        if folder.is_dir() and folder.samefile(source):
            raise ExportError(f"{target} is in {source}, where nothing is written. Choose a folder beside it.")
    return target


def _put(file: OwnFile, target: Path, link: bool) -> None:
    """Copy or link the file; where it is not what was looked at any more, nothing is written at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        try:
            os.link(file.real, target, follow_symlinks=False)
        except OSError as error:
            raise ExportError(
                f"{file.real} cannot be linked to ({error.strerror or error}): hard links need the same disk, and one "
                "that knows them. Take copies. Nothing was written."
            ) from error
    else:
        shutil.copyfile(file.real, target, follow_symlinks=False)
        shutil.copystat(file.real, target, follow_symlinks=False)
    about = target.lstat()
    if (about.st_size, about.st_mtime_ns) != file.stamp or (file.id and not link and sha256(target) != file.id):
        raise ExportError(f"{file.real} was changed meanwhile. Nothing was written; start again.")


# --- what goes where ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """What the workspace knows: its images by id, what each place called them, and the decisions that stand."""

    images: Mapping[str, Mapping[Any, Any]]
    claims: Mapping[tuple[str, str], str]
    names: frozenset[str]
    own: Mapping[str, str]
    decided: Decided

    @classmethod
    def of(cls, workspace: Workspace) -> _Known:
        store = workspace.store
        images = {str(row["id"]): row for row in store.images().to_dict("records")}
        claims: dict[tuple[str, str], list[str]] = {}
        own: dict[str, str] = {}
        rows = store.sources()
        for image, name, label, provider in zip(
            rows["image_id"], rows["name"], rows["claimed_label"], rows["provider"], strict=True
        ):
            claims.setdefault((image, name), []).extend([label] if label else [])
            if provider == "file":
                own.setdefault(image, name)
        joined = {place: SEVERAL.join(dict.fromkeys(labels)) for place, labels in claims.items()}
        decided = last_decisions(store.journal.decisions())
        return cls(images, joined, frozenset(name for _, name in claims), own, decided)

    @property
    def sizes(self) -> frozenset[int]:
        return frozenset(int(row["bytes"]) for row in self.images.values())

    @property
    def labels(self) -> frozenset[str]:
        """Every class that a picture has, or had where it came from."""
        every = [str(row["label"] or "") for row in self.images.values()] + list(self.claims.values())
        return frozenset(name for label in every for name in label.split(SEVERAL) if name)

    def claimed(self, image: str, name: str) -> str:
        """The label that a picture came with from a place; where that is unknown, the first one it had."""
        return self.claims.get((image, name), str(self.images[image]["original_label"] or ""))


@dataclass
class _Plan:
    """Which file goes where: ``places``, and ``changes``, the differences."""

    known: _Known
    files: Sequence[OwnFile]
    folders: ClassFolders
    places: dict[PurePosixPath, OwnFile] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    found: set[str] = field(default_factory=set)
    untold: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    labels_in: str = ""

    def make(self) -> None:
        """Decide on every file: those that stay first, then those that move, so that nothing that stays has to give
        way.
        """
        pictures: dict[str, list[OwnFile]] = {}
        for file in self.files:
            if file.id in self.known.images:
                pictures.setdefault(file.id, []).append(file)
            else:
                self._other(file)
        self.found = set(pictures)
        at = {file.place: self._class_at(file) for same in pictures.values() for file in same}
        for same in pictures.values():
            for file in same:
                if (part := at[file.place]) is not None:
                    self.folders.note(file.place, part)
        self.folders.make()
        moving = []
        for same in pictures.values():
            goals = {file.place: self._goal(file, at[file.place]) for file in same}
            same.sort(key=lambda file: (not self._imported(file), goals[file.place] != file.place))
            kept, *others = same
            for file in others:
                if self._told_twice(file, at[file.place], at[kept.place], kept):
                    self.places[file.place] = file
                else:
                    self.changes.append(self._change(file, DUPLICATE, kept))
            moving += self._kept(kept, goals[kept.place])
        self._move(moving)

    def _other(self, file: OwnFile) -> None:
        """A file that is no picture of the workspace."""
        name = shown(file.place)
        if name in self.known.names:
            self.changed.append(name)
        elif file.place.suffix.lower() in PICTURE_SUFFIXES:
            self.new.append(name)
        self.places[file.place] = file

    def _imported(self, file: OwnFile) -> bool:
        """Whether it was imported from where it lies."""
        return (file.id, shown(file.place)) in self.known.claims

    def _class_at(self, file: OwnFile) -> int | None:
        claimed = self.known.claimed(file.id, shown(file.place))
        return self.folders.find(file.place, claimed, self._imported(file))

    def _told_twice(self, file: OwnFile, at: int | None, other: int | None, kept: OwnFile) -> bool:
        """Whether a picture of several classes lies in the folders of two of them, which is how that is told."""
        row = self.known.images[file.id]
        if at is None or other is None or row["status"] in ("removed", "set_aside"):
            return False
        classes = {self.folders.label_of(file.place.parts[at]), self.folders.label_of(kept.place.parts[other])}
        return len(classes) == 2 and classes <= set(str(row["label"] or "").split(SEVERAL))

    def _goal(self, file: OwnFile, at: int | None) -> PurePosixPath:
        """Where a picture belongs by the label it has now."""
        row = self.known.images[file.id]
        label = str(row["label"] or "")
        if not label or SEVERAL in label:
            return file.place
        claimed = self.known.claimed(file.id, shown(file.place))
        if at is None and claimed:
            return file.place  # its class was told by a table
        split = str(row["split"] or row["given_split"] or "")
        return self.folders.place(file.place, at, label, split) or file.place

    def _kept(self, file: OwnFile, goal: PurePosixPath) -> list[tuple[OwnFile, PurePosixPath]]:
        """Take the first of the files that are one picture; returned is what has to move."""
        row = self.known.images[file.id]
        status, _ = judged(file.id, row, self.known.claimed(file.id, shown(file.place)), {})
        if status in GONE:
            self.changes.append(self._change(file))
            return []
        label = str(row["label"] or "")
        if goal != file.place:
            self.used.add(label)
            return [(file, goal)]
        self.places[file.place] = file
        if label and self._class_at(file) is None:
            self.untold.append(file.id)
        if status:
            self.changes.append(replace(self._change(file), file=shown(file.place)))
        return []

    def _move(self, moving: Iterable[tuple[OwnFile, PurePosixPath]]) -> None:
        taken = {_key(part) for place in self.places for part in (place, *place.parents)}
        for file, goal in moving:
            place, number = goal, 1
            while _key(place) in taken:
                number += 1
                place = goal.with_name(numbered(goal.name, number))
            taken |= {_key(part) for part in (place, *place.parents)}
            self.places[place] = file
            self.changes.append(replace(self._change(file), file=shown(place)))

    def _change(self, file: OwnFile, status: str = "", other: OwnFile | None = None) -> Change:
        """The row of a file; of one that is there twice, with the ``other`` one."""
        name, row = shown(file.place), self.known.images[file.id]
        before = self.known.claimed(file.id, name)
        found, why = judged(file.id, row, before, self.known.decided)
        if other is not None and found not in ("removed", "set aside"):
            found, why = status, f"It is the same file as {shown(other.place)}."
        if not found:
            found, why = RELABELLED, "It lies in the folder of another class by now."
        return Change(name, in_words(before), in_words(str(row["label"] or "")), found, why, file.id)

    # --- what is written beside the files

    def write_tables(self, folder: Path) -> None:
        """changes.csv; where folders do not tell every class, a table that does, and what odd folders stand for."""
        if names := self.folders.new_names(self.used):
            if self.places.pop(PurePosixPath(CLASSES), None):
                (folder / CLASSES).unlink()  # a link or copy of theirs
                why = "Another one took its place, which says what the new folders stand for."
                self.changes.append(Change(CLASSES, "", "", LEFT_OUT, why))
            write_cells(pd.DataFrame(names.items(), columns=["folder", "label"], dtype=object), folder / CLASSES)
        if self.untold:
            self.labels_in = self._free(LABELS)
            write_cells(self._labels(), folder / self.labels_in)
        write_changes(sorted(self.changes, key=lambda row: row.path), folder / self._free(CHANGES))

    def _labels(self) -> pd.DataFrame:
        rows = []
        for place, file in self.places.items():
            if file.id in self.found:
                row = self.known.images[file.id]
                label = str(row["label"] or "").replace(SEVERAL, SEPARATOR)
                rows.append((shown(place), label, row["split"] or row["given_split"] or "", file.id))
        return pd.DataFrame(rows, columns=["path", "label", "split", "id"], dtype=object)

    def _free(self, name: str) -> str:
        """The name, or one like it where the person has such a file."""
        taken, number, free = {_key(place) for place in self.places}, 1, name
        while _key(PurePosixPath(free)) in taken:
            number += 1
            free = numbered(name, number)
        return free

    def applied(self, target: Path) -> Applied:
        """What was done."""
        missing = [
            name for image, name in self.known.own.items() if image not in self.found and name not in self.changed
        ]
        notes = []
        if self.labels_in:
            notes.append(
                f"{len(self.untold):,} pictures lie in no folder of their class. {self.labels_in} says what each shows "
                "now; other tables are as they were."
            )
        return Applied(
            str(target),
            len(self.places),
            tuple(sorted(self.changes, key=lambda row: row.path)),
            tuple(self.new),
            tuple(self.changed),
            tuple(missing),
            tuple(notes),
        )


def _key(place: PurePosixPath) -> str:
    return "/".join(map(alike, place.parts))
