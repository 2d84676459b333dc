"""Tables among the pictures (labels.csv, metadata.csv, lists of a split) that say what the files beside them show."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pipeline.collect.entries import SPLIT_NAMES, File, Labelling, Note, Refused, shown
from pipeline.collect.tables import MAX_TABLE_BYTES, Row, Table, open_table
from pipeline.errors import SourceError

METADATA = ("metadata.csv", "metadata.jsonl")
CLASSES = "classes.csv"


@dataclass
class Listing:
    """One table: its rows by the files they name, at and below its own folder. ``believed``: before class folders."""

    file: File
    believed: bool
    rows: dict[str, Row] = field(default_factory=dict)
    splits: bool = False
    met: set[int] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Where the table lies, as text."""
        return shown(self.file.path)

    def covers(self, path: PurePosixPath) -> bool:
        """Whether the file lies in the table's folder, or below it."""
        return path.is_relative_to(self.file.path.parent)

    def row(self, path: PurePosixPath, unique: Counter[str]) -> Row | None:
        """The row of a file: by its place, else by its name where no other file has it; with or without the ending."""
        place = path.relative_to(self.file.path.parent)
        keys = [str(place), str(place.with_suffix(""))]
        keys += [key for key in (path.name, path.stem) if unique[_key(key)] == 1]
        row = next((self.rows[key] for key in map(_key, keys) if key in self.rows), None)
        if row is not None:
            self.met.add(row.line)
        return row

    def left(self) -> Iterator[Refused | Note]:
        """What the table says of files that are not there; or that it was of no use."""
        if not self.met:
            yield not_used(self.file, "it names none of the pictures whose folder does not say their class")
            return
        for row in self.rows.values():
            if row.line not in self.met:
                yield Refused(f"{self.name} line {row.line}", f"There is no file {row.path[:200]}.")


@dataclass(frozen=True)
class Listings:
    """All tables among the files, the nearest to a file first."""

    tables: tuple[Listing, ...]
    unique: Counter[str]

    def row(self, path: PurePosixPath, by_folder: bool) -> Row | None:
        """What is said about a file. ``by_folder``: its class folder tells its class, unless the table is believed."""
        for table in self.tables:
            if (table.believed or not by_folder) and table.covers(path) and (row := table.row(path, self.unique)):
                return row
        return None

    def left(self) -> Iterator[Refused | Note]:
        """What the tables say of files that are not there."""
        for table in self.tables:
            yield from table.left()


def is_listing(path: PurePosixPath, how: Labelling) -> bool:
    """Whether a file is called like a table of labels, or of what class folders stand for."""
    return path.name.lower() in (CLASSES, *METADATA, *how.tables, *how.lists)


def read_listings(
    files: Sequence[File], pictures: Iterable[PurePosixPath], how: Labelling, problems: list[Refused | Note]
) -> Listings:
    """The tables ``files``; what cannot be used of them is added to ``problems``."""
    unique = Counter(_key(name) for path in pictures for name in {path.name, path.stem})
    if (how.label is not None or how.pattern is not None) and how.split_from != "column":
        problems += [not_used(file, "the label was given otherwise") for file in files]
        return Listings((), unique)
    tables = []
    for file in files:
        try:
            table = _open(file, how)
            if "path" in table.roles and table.roles & {"label", "labels", "split", "is_valid"}:
                tables.append(_read(file, table, how, problems))
            else:
                problems.append(not_used(file, "its first line names no column for the file and its label"))
        except SourceError as error:
            problems.append(Refused(shown(file.path), str(error)))
    tables.sort(key=lambda table: (-len(table.file.path.parts), not table.believed, table.name))
    return Listings(tuple(tables), unique)


def read_class_names(files: Iterable[File], how: Labelling, problems: list[Refused | Note]) -> dict[str, str]:
    """What class folders stand for where their names could not say it: folder -> class, of every classes.csv."""
    names: dict[str, str] = {}
    for file in files:
        try:
            table = _open(file, how)
            if table.roles >= {"folder", "label"}:
                cells = [cells for _, cells in table.records if not isinstance(cells, str)]
                names |= {how.name(row["folder"]): how.name(row["label"]) for row in cells}
            else:
                problems.append(not_used(file, "its first line names no columns 'folder' and 'label'"))
        except (SourceError, KeyError) as error:
            problems.append(Refused(shown(file.path), f"It cannot be used: {error}"))
    return names


def not_used(file: File, why: str) -> Note:
    """A note that a table was passed over."""
    return Note(f"{shown(file.path)} was not used: {why}.")


def _open(file: File, how: Labelling) -> Table:
    name = file.path.name
    if file.size > MAX_TABLE_BYTES:
        raise SourceError(f"It is larger than {MAX_TABLE_BYTES >> 20} MiB.")
    try:
        with file.open() as opened:
            data = opened.read(MAX_TABLE_BYTES + 1)
    except Exception as error:  # archives raise zlib, lzma, zipfile and tarfile errors, and OSError
        raise SourceError(f"It cannot be read: {error}.") from error
    if len(data) > MAX_TABLE_BYTES:
        raise SourceError(f"It is larger than {MAX_TABLE_BYTES >> 20} MiB.")
    return open_table(name, data, ("path", "label"), " ") if name in how.lists else open_table(name, data, how=how)


def _read(file: File, table: Table, how: Labelling, problems: list[Refused | Note]) -> Listing:
    listing = Listing(file, file.path.name.lower() in METADATA, splits=bool(table.roles & {"split", "is_valid"}))
    problems += table.notes
    split = SPLIT_NAMES.get(file.path.stem) if file.path.name in how.lists else None
    for row in table.rows(how):
        if isinstance(row, Refused):
            problems.append(Refused(f"{listing.name} {row.path}", row.reason))
            continue
        if isinstance(row, Note):
            problems.append(row)
            continue
        said = Row(row.line, row.path, row.url, row.label, split or row.split)
        first = listing.rows.setdefault(_key(row.path), said)
        if (first.label, first.split) != (said.label, said.split):
            problems.append(
                Refused(f"{listing.name} line {row.line}", f"Line {first.line} says otherwise of the same file.")
            )
    return listing


def _key(path: str) -> str:
    return unicodedata.normalize("NFC", path.replace("\\", "/").removeprefix("./"))
