"""What an import is made of: files with their labels and splits, links, what is refused; and names fit for a class."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, TypeAlias

import regex

from pipeline.errors import SourceError, UsageError

MAX_IMAGE_BYTES = 64 << 20
MAX_ENTRIES = 200_000
MAX_LABEL_CHARACTERS = 255
MAX_MATCHING_SECONDS = 10.0
SEVERAL = "|"
SEPARATORS = (";", "|", ",")
PICTURE_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("jpg", "jpeg", "jpe", "jfif", "png", "gif", "webp", "bmp", "tif", "tiff", "avif", "mpo"),
        *("heic", "heif", "svg", "ico", "psd"),
    )
)
SPLIT_NAMES = {
    "train": "train", "training": "train", "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class File:
    """A file at its place within a folder or an archive, and how to open it."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]] = field(repr=False)


@dataclass(frozen=True)
class Entry:
    """One file that may be a picture: its name within the source, its label and split, and how to open it.

    Several labels are joined by ``|``.
    """

    name: str
    label: str | None
    split: str | None
    size: int
    open: Callable[[], IO[bytes]] = field(repr=False)


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


def clean_label(text: str) -> str:
    """A class name fit to keep: NFC, trimmed, one line. Raises SourceError where nothing usable is left.

    Control characters become visible signs of themselves, and ``|``, which joins labels in the store, its wide form.
    """
    label = "".join(map(_visible, " ".join(unicodedata.normalize("NFC", text).split())))
    if not label:
        raise SourceError("A class needs a name.")
    if len(label) > MAX_LABEL_CHARACTERS:
        raise SourceError(f"The class name '{label[:20]}…' is longer than {MAX_LABEL_CHARACTERS} characters.")
    if any(unicodedata.category(character) == "Cs" for character in label):
        raise SourceError(f"The class name {label[:40]!r} has half a character (a lone surrogate) in it.")
    return label


def _visible(character: str) -> str:
    code = ord(character)
    if character == SEVERAL:
        return "｜"
    if unicodedata.category(character) != "Cc":
        return character
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\\x{code:02x}"


def clean_labels(text: str, separator: str | None) -> str:
    """The labels of one cell, sorted (as the store gives them), each once, joined by ``|``; one where ``separator``
    is None.

    A separator of white space stands for any. Raises SourceError where none is left.
    """
    if separator is None:
        return clean_label(text)
    parts = text.split(separator if separator.strip() else None)
    labels = {clean_label(part) for part in parts if part.strip()}
    return SEVERAL.join(sorted(labels)) or clean_label("")


@dataclass(frozen=True)
class Several:
    """How the cells of a column name several labels: with ``separator`` between them. A cell without it holds one
    label, unless each of its words is in ``words``, the labels of one word that the column has.
    """

    separator: str
    words: frozenset[str] = frozenset()

    @classmethod
    def of(cls, cells: Sequence[str]) -> Several:
        """The first of SEPARATORS that any cell has; white space where none has one."""
        sign = next((sign for sign in SEPARATORS if any(sign in cell for cell in cells)), " ")
        labels = {label.strip() for cell in cells for label in cell.split(sign)} if sign != " " else ()
        return cls(sign, frozenset(label for label in labels if len(label.split()) == 1))

    def labels(self, text: str) -> str:
        """The labels of one cell, as :func:`clean_labels` joins them."""
        is_list = self.separator not in text and self.words.issuperset(text.split())
        return clean_labels(text, " " if is_list else self.separator)


def opener(path: Path) -> Callable[[], IO[bytes]]:
    """What opens the file at ``path`` for reading."""
    return lambda: path.open("rb")


def shown(path: PurePosixPath | str) -> str:
    """The name as text: names on disk and in tar archives may hold bytes that are no UTF-8."""
    return str(path).encode("utf-8", "replace").decode("utf-8")
