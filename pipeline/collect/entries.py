"""What an import is made of: files with their labels and splits, links, what is refused; and names fit for a class."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias

import regex

from pipeline.class_names import Spelled
from pipeline.errors import UsageError
from pipeline.labels import clean_label

MAX_IMAGE_BYTES = 64 << 20
MAX_ENTRIES = 200_000
MAX_MATCHING_SECONDS = 10.0
# Words for a split, by themselves; in the name of a folder they may stand beside FILLERS, a number, or both.
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trainset", "trainval", "trn", "tr"), "train"),
    **dict.fromkeys(("valid", "val", "validation", "validate", "validating", "dev", "devel", "development"), "valid"),
    **dict.fromkeys(("eval", "evaluation", "valset", "validset", "publictest"), "valid"),
    **dict.fromkeys(("test", "testing", "tst", "testset", "holdout", "heldout", "privatetest"), "test"),
}
FILLERS = frozenset(
    (
        *("set", "sets", "split", "splits", "data", "dataset", "datasets", "image", "images", "img", "imgs", "picture"),
        *("pictures", "pics", "photo", "photos", "folder", "final", "the", "of", "for"),
    )
)
SPLIT_NAMES = {word: split for word, split in SPLIT_WORDS.items() if word not in ("tr", "trn", "tst")}
LABELS_FROM = ("table", "folders", "none")
READ_AS = ("class", "unlabelled", "train", "valid", "test", "inside", "ignore")
ALIKE_NAMES = ("join", "apart")


@dataclass(frozen=True)
class File:
    """A file at its place within a folder or an archive, and how to open it; ``real`` is where it lies on this disk,
    where it does.
    """

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]] = field(repr=False)
    real: str | None = None


@dataclass(frozen=True)
class Entry:
    """One file that may be a picture: its name within the source, its label and split, and how to open it.

    Several labels are joined by ``|``. ``scene``: what it was taken together with (a patient, a camera, a video), where
    the source says so. ``also``: other labels that the source gives it elsewhere, which is a conflict.
    """

    name: str
    label: str | None
    split: str | None
    size: int
    open: Callable[[], IO[bytes]] = field(repr=False)
    scene: str | None = None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refused:
    """A part of the source that is not taken, with the reason in words."""

    path: str
    reason: str


@dataclass(frozen=True)
class Link:
    """A row of a table that names a URL. Several labels are joined by ``|``."""

    url: str
    label: str
    split: str | None
    scene: str | None = None


@dataclass(frozen=True)
class Note:
    """Something the person should know about the source, of which nothing is lost."""

    text: str


@dataclass(frozen=True)
class NamesRead(Note):
    """In what encoding the names in an archive were read. ``others``: encoding -> what it is, with some names in it."""

    others: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A file that nobody means to import (what a system leaves behind, a cache); ``kind`` says in words what it is."""

    kind: str


@dataclass(frozen=True)
class Empty:
    """A folder without any file in it or below it."""

    path: str


Walked: TypeAlias = File | Refused | LeftOut | Empty | Note
Found: TypeAlias = Entry | Link | Refused | Note | LeftOut | Empty


@dataclass(frozen=True)
class Labelling:
    """Where labels and splits come from; the first of these that says something about a picture decides.

    ``label`` is given to all of them. ``pattern`` is a regular expression found in the file's name (or, where it is
    not found there, in its path, as ``/folder/name``): the group called ``label``, else the first one, is the label.
    Then the tables among the files, and the class folders (see ``sources``). ``separator`` splits a cell with several
    labels. ``split_from`` is ``folders``, ``column``, or None to take splits where they are plain to see.

    The columns of a table are found by their names and what is in them, or named: ``file_column``, ``label_column``,
    ``split_column`` and ``group_column`` (what was taken together). ``labels_from`` is ``table``, ``folders`` or
    ``none``, or None for what fits best. ``read_as``: what folders stand for, by name or path, each one of READ_AS.
    ``follow_links``: also those that lead out of the folder. ``name_encoding``: of names in an archive that does not
    say it.

    For sets whose layout is known: ``below`` are the only folders that are looked into, ``lists`` are tables without a
    header (path, label) for the split they are named for, ``tables`` have one (None: any table). ``names`` say what
    class a folder stands for. ``unpack``: archives in the folder are looked into, too.

    ``classes`` are those of the workspace. ``alike_names``: whether to ``join`` names that are nearly the same, or to
    keep them ``apart`` (None: apart, with a question). ``spelled`` takes up which names were not fit to keep.
    """

    label: str | None = None
    split_from: str | None = None
    pattern: str | None = None
    separator: str | None = None
    file_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None
    group_column: str | None = None
    follow_links: bool = False
    name_encoding: str | None = None
    labels_from: str | None = None
    read_as: Mapping[str, str] = field(default_factory=dict)
    below: tuple[str, ...] = ()
    tables: tuple[str, ...] | None = None
    lists: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    unpack: bool = False
    classes: frozenset[str] = frozenset()
    alike_names: str | None = None
    spelled: Spelled = field(default_factory=Spelled, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.split_from not in (None, "folders", "column"):
            raise UsageError("--split-from is 'folders' or 'column'.")
        if self.labels_from not in (None, *LABELS_FROM):
            raise UsageError(f"--labels-from is {', '.join(LABELS_FROM[:-1])} or {LABELS_FROM[-1]}.")
        for name, meaning in self.read_as.items():
            if not name or meaning not in READ_AS:
                raise UsageError(f"--read-as is a folder and what it stands for, NAME={'|'.join(READ_AS)}.")
        if self.separator == "":
            raise UsageError("--label-separator needs a character, like ';' or ' '.")
        if self.alike_names not in (None, *ALIKE_NAMES):
            raise UsageError("--alike-names is 'join' or 'apart'.")
        if self.pattern is not None:
            compiled(self.pattern)

    def name(self, text: str) -> str:
        """A class name of the source as it is kept (see ``clean_label``); what was changed in it is put on record.
        Raises SourceError.
        """
        label = clean_label(text)
        self.spelled.add(text, label)
        return label


def words_of(name: str) -> list[str]:
    """The words of a name in small letters, without numbers: ``seg_train``, ``TrainSet2`` -> seg, train; train, set."""
    text = unicodedata.normalize("NFKC", name).strip()
    apart = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()
    parts = re.split(r"[\W_]+|(?<=[^\W\d])(?=\d)|(?<=\d)(?=[^\W\d])", apart)
    return [part for part in parts if part and not part.isdigit()]


def split_of(word: str) -> str | None:
    """The split that a folder's name or a table's word stands for: train, valid, test, or None where it is none.

    ``Train``, ``training_set``, ``val2``, ``01_train``, ``images_test``, ``data-test``, ``TrainingSet`` and
    ``hold-out`` are some; ``test tube`` and ``train station`` are none.
    """
    words = words_of(word)
    for said in (words, [one for one in words if one not in FILLERS]):
        if (split := SPLIT_WORDS.get("".join(said))) is not None:
            return split
    return None


def compiled(pattern: str) -> regex.Pattern[str]:
    """The regular expression. Raises UsageError where it is none, or has no group."""
    try:
        expression = regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise UsageError(f"The regular expression '{pattern[:80]}' cannot be read: {error}.") from error
    if not expression.groups:
        raise UsageError(
            f"The regular expression '{pattern[:80]}' has no group. Put the part that is the class into ( ), "
            r"like (.+)_\d+\.jpg$"
        )
    return expression


class NameMatcher:
    """Labels from names by a regular expression, with a limit on the time that all of it may take."""

    def __init__(self, pattern: str, seconds: float = MAX_MATCHING_SECONDS) -> None:
        self.expression = compiled(pattern)
        self.left = seconds

    def label(self, path: PurePosixPath) -> str | None:
        """The label in the file's name or path, or None. Raises UsageError where the pattern takes too long."""
        found = self._search(path.name) or self._search(f"/{path}")
        if found is None:
            return None
        named = "label" in self.expression.groupindex
        text: str | None = found["label"] if named else found[1]
        return text

    def _search(self, text: str) -> regex.Match[str] | None:
        began = time.monotonic()
        try:
            return self.expression.search(text, timeout=max(self.left, 0.001))
        except TimeoutError as error:
            raise UsageError(
                f"The regular expression '{self.expression.pattern[:80]}' takes too long (at '{text[:60]}'). "
                "Repeats within repeats do that; write it more simply."
            ) from error
        finally:
            self.left -= time.monotonic() - began


def opener(path: Path) -> Callable[[], IO[bytes]]:
    """What opens the file at ``path`` for reading."""
    return lambda: path.open("rb")


def shown(path: PurePosixPath | str) -> str:
    """The name as text: names on disk and in tar archives may hold bytes that are no UTF-8."""
    return str(path).encode("utf-8", "replace").decode("utf-8")
