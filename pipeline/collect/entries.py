"""What an import is made of: files with their labels and splits, links, what is refused; and names fit for a class."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias

import regex

from pipeline.errors import UsageError

MAX_IMAGE_BYTES = 64 << 20
MAX_ENTRIES = 200_000
MAX_MATCHING_SECONDS = 10.0
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class File:
    """A file at its place within a folder or an archive, and how to open it."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]] = field(repr=False)


@dataclass(frozen=True)
class Entry:
    """One file that may be a picture: its name within the source, its label and split, and how to open it.

    Several labels are joined by ``|``. ``scene``: what it was taken together with (a patient, a camera, a video), where
    the source says so.
    """

    name: str
    label: str | None
    split: str | None
    size: int
    open: Callable[[], IO[bytes]] = field(repr=False)
    scene: str | None = None


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


Found: TypeAlias = Entry | Link | Refused | Note


@dataclass(frozen=True)
class Labelling:
    """Where labels and splits come from; the first of these that says something about a picture decides.

    ``label`` is given to all of them. ``pattern`` is a regular expression found in the file's name (or, where it is
    not found there, in its path, as ``/folder/name``): the group called ``label``, else the first one, is the label.
    Then the tables among the files, and the class folders (see ``sources``). ``separator`` splits a cell with several
    labels. ``split_from`` is ``folders``, ``column``, or None to take splits where they are plain to see.

    For sets whose layout is known: ``below`` are the only folders that are looked into, ``lists`` are tables without a
    header (path, label) for the split they are named for, ``tables`` have one. ``names`` say what class a folder stands
    for.
    """

    label: str | None = None
    split_from: str | None = None
    pattern: str | None = None
    separator: str | None = None
    below: tuple[str, ...] = ()
    tables: tuple[str, ...] = ("labels.csv",)
    lists: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.split_from not in (None, "folders", "column"):
            raise UsageError("--split-from is 'folders' or 'column'.")
        if self.separator == "":
            raise UsageError("--label-separator needs a character, like ';' or ' '.")
        if self.pattern is not None:
            compiled(self.pattern)


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
