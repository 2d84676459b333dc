"""Tables among the pictures: which pictures the rows of each name, and what they say of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pipeline.collect.annotations import ENDINGS as ANNOTATIONS
from pipeline.collect.annotations import read_annotations
from pipeline.collect.claims import also_called, claims, placed
from pipeline.collect.columns import Meaning
from pipeline.collect.entries import File, Labelling, Refused, shown, split_of, words_of
from pipeline.collect.finder import Finder, Sighting
from pipeline.collect.places import split_in
from pipeline.collect.reading import Columns, few, number
from pipeline.collect.row_tables import table_of_rows
from pipeline.collect.shard_files import SHARD_SUFFIXES
from pipeline.collect.tables import MAX_TABLE_BYTES, Row, Table, open_table
from pipeline.errors import SourceError

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
CLASSES = "classes.csv"
CHANGES = "changes.csv"
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl")
LISTS = (".txt", ".lst")
MOST_LISTS, MOST_LIST_BYTES = 20, 8 << 20
MOST_REFUSED = 20
MOST_CHARACTERS = 60
# What a column's meaning is called where one chooses columns.
ROLES = {"path": "file", "is_valid": "split"}
PLACEHOLDERS = re.compile(r"(sample|example|gender)?.?submissions?(.?(format|sample|example))?|sample.?subs?", re.I)
TRIED = "beside the table, in all folders, in any spelling, with and without an ending"


@dataclass
class Listing:
    """One table. ``rows``: picture -> what is said of it; ``also``: picture -> other labels that other rows give it.

    ``believed``: before class folders, whatever they say. ``placeholders``: its labels are examples of what is to be
    handed in. ``split``: what its name says all of them are. ``labels``: which column has the labels, in words.
    ``told``: what came up while it was read. ``boxes``: its rows are parts of pictures. ``together``: how many files of
    one folder it stands for.
    """

    file: File
    believed: bool = False
    placeholders: bool = False
    split: str | None = None
    has_splits: bool = False
    labels: str = ""
    has_files: bool = True
    boxes: bool = False
    together: int = 1
    rows: dict[PurePosixPath, Row] = field(default_factory=dict)
    also: dict[PurePosixPath, tuple[str, ...]] = field(default_factory=dict)
    count: int = 0
    missing: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    columns: Columns | None = None

    @property
    def name(self) -> str:
        """Where the table lies, as text."""
        if self.together > 1:
            return f"{self.together:,} {shown(self.file.path.parent / '*')}{self.file.path.suffix}"
        return shown(self.file.path)

    @property
    def words(self) -> str:
        """The table, and the column of its labels."""
        return f"{self.name} ({self.labels})" if self.labels else self.name

    @property
    def labelled(self) -> list[PurePosixPath]:
        """The pictures that it gives a label."""
        return [] if self.placeholders else [path for path, row in self.rows.items() if row.label is not None]

    def joined_with(self, others: Sequence[Listing]) -> Listing:
        """It, with what others that are like it say."""
        for other in others:
            self.rows |= other.rows
            self.also |= other.also
            self.missing += other.missing
            self.count += other.count
        self.together += len(others)
        return self

    def notes(self) -> Iterator[str]:
        """What a person should know of the table."""
        if self.rows:
            yield from self.told
        if self.placeholders and self.rows:
            yield (
                f"{self.name} names {number(len(self.rows), 'picture')} to be predicted; what it says of them is an "
                "example, and no label."
            )
        elif self.rows and not self.labelled and not self.has_splits and self.split is None:
            yield f"{self.name} names {number(len(self.rows), 'picture')}, and says no label."
        if self.missing and self.rows:
            names = [name[:100] for name in dict.fromkeys(self.missing)]
            yield (
                f"{self.name} names {number(len(self.missing), 'file')} of which none, or more than one, is here: "
                f"{few(names)}. Looked for {TRIED}. If they lie elsewhere, import the folder that holds them and the "
                "table."
            )


@dataclass(frozen=True)
class Listings:
    """All tables among the files; ``classes``: what class folders stand for; ``read``: the names of all that were read;
    ``refused``: those that cannot be; ``left``: files that turned out to be none.
    """

    tables: tuple[Listing, ...]
    classes: dict[str, str]
    read: tuple[str, ...]
    refused: tuple[Refused, ...]
    notes: tuple[str, ...]
    left: tuple[File, ...] = ()


def candidates(files: Iterable[File], how: Labelling, pictures: Iterable[PurePosixPath]) -> list[File]:
    """The files that may be tables about the pictures, or other programs' annotations, by their names."""
    stems = {path.stem for path in pictures}
    found, lists = [], []
    for file in files:
        name, ending = file.path.name.lower(), file.path.suffix.lower()
        if (
            name in how.lists
            or name == CLASSES
            or name in METADATA
            or ending in (*TABLE_SUFFIXES, *SHARD_SUFFIXES, *ANNOTATIONS)
        ):
            found.append(file)
        elif ending in LISTS and file.path.stem not in stems and file.size <= MOST_LIST_BYTES:
            lists.append(file)
    return found + (lists if len(lists) <= MOST_LISTS else [])


def read_listings(files: Sequence[File], pictures: Sequence[PurePosixPath], how: Labelling) -> Listings:
    """The tables among ``files`` with the ``pictures`` that they name. Raises SourceError where a column was named that
    none of them has.
    """
    reader = _Reader(how, _Shelves(pictures))
    for file in files:
        reader.take(file)
    named = (how.file_column, how.label_column, how.split_column, how.group_column)
    if any(named) and not reader.tables and reader.problems:
        raise reader.problems[0]
    return reader.listings()


class _Shelves:
    """Finds the pictures that rows name: among all of them, and where that leaves a doubt, below the table's folder."""

    def __init__(self, pictures: Sequence[PurePosixPath]) -> None:
        self.pictures = pictures
        self.all = Finder(pictures)
        self.below: dict[PurePosixPath, Finder] = {}

    def find(self, named: str, beside: PurePosixPath, split: str | None) -> Sighting:
        """The picture that ``named`` names in a table in the folder ``beside``."""
        sighting = self.all.find(named, beside, split)
        if len(sighting.paths) < 2 or not beside.parts:
            return sighting
        if beside not in self.below:
            self.below[beside] = Finder([path for path in self.pictures if path.is_relative_to(beside)])
        nearer = self.below[beside].find(named, beside, split)
        return nearer if nearer.path is not None else sighting


class _Reader:
    """Takes one file after the other."""

    def __init__(self, how: Labelling, finder: _Shelves) -> None:
        self.how, self.finder = how, finder
        self.tables: list[Listing] = []
        self.problems: list[SourceError] = []
        self._classes: dict[str, str] = {}
        self._read: list[str] = []
        self._refused: list[Refused] = []
        self._notes: list[str] = []
        self._left: list[File] = []

    def take(self, file: File) -> None:
        """Read it as what it may be; what is no table is left."""
        unsure = file.path.suffix.lower() in (*LISTS, *ANNOTATIONS) and file.path.name not in self.how.lists
        try:
            listing = self._annotated(file) if file.path.suffix.lower() in ANNOTATIONS else self._table(file)
        except SourceError as error:
            if unsure:
                self._left.append(file)
            else:
                self.problems.append(error)
                self._refused.append(Refused(shown(file.path), str(error)))
            return
        if listing is None:
            return
        if unsure and (not listing.rows or len(listing.rows) * 2 < listing.count):
            self._left.append(file)
            return
        self._read.append(listing.name)
        if listing.rows:
            self.tables.append(listing)
        else:
            self._notes.append(_unused(listing))

    def listings(self) -> Listings:
        """What was read, the tables that name the most pictures first; metadata.csv before them, boxes after them."""
        tables = _with_their_like(self.tables)
        tables.sort(key=lambda one: (not one.believed, one.boxes, -len(one.rows), one.name))
        kept = (self._classes, tuple(self._read), tuple(self._refused), tuple(self._notes), tuple(self._left))
        return Listings(tuple(tables), *kept)

    def _table(self, file: File) -> Listing | None:
        name = file.path.name
        if file.path.suffix.lower() in SHARD_SUFFIXES:
            return _listing(file, table_of_rows(file, self.how), self.how, self.finder)
        data = _bytes(file)
        if name in self.how.lists:
            table = open_table(name, data, ("path", "label"), " ", self.how)
        else:
            table = open_table(name, data, how=self.how)
        if name.lower() == CHANGES and {"before", "now", "status", "why"} <= set(table.columns):
            return None  # it tells what an exported set has no longer
        if name.lower() == CLASSES and table.roles >= {"folder", "label"}:
            found = _class_names(table, self.how)
            self._classes |= found
            self._read.append(shown(file.path))
            self._notes += [] if found else [f"{self._read[-1]} was not used: no row names a folder and its class."]
            return None
        return _listing(file, table, self.how, self.finder)

    def _annotated(self, file: File) -> Listing | None:
        found = read_annotations(file.path.name, _bytes(file), self.how)
        if found is None:
            self._left.append(file)
            return None
        listing = Listing(
            file,
            split=split_in(file.path.stem),
            has_splits=any(row.split for row in found.rows),
            labels=found.kind,
            told=list(found.notes),
        )
        _place(listing, found.rows, found.meaning, self.finder)
        return listing


def _with_their_like(tables: Sequence[Listing]) -> list[Listing]:
    """The tables, those of one program that speak of one picture each in a folder as one."""
    together: dict[object, list[Listing]] = {}
    for table in tables:
        one_each = table.columns is None and table.count <= 1
        key = (table.file.path.parent, table.file.path.suffix, table.labels) if one_each else table.file.path
        together.setdefault(key, []).append(table)
    return [group[0].joined_with(group[1:]) for group in together.values()]


def _unused(listing: Listing) -> str:
    if not listing.has_files:
        why = "its first line names no column for the file"
    elif not listing.count:
        why = "it has no rows that can be read"
    else:
        examples = few([name[:100] for name in listing.missing])
        why = f"none of the {number(listing.count, 'file')} that it names is here ({examples}); looked for {TRIED}"
    return f"{listing.name} was not used: {why}."


def _class_names(table: Table, how: Labelling) -> dict[str, str]:
    cells = [cells for _, cells in table.records if not isinstance(cells, str)]
    return {how.name(row["folder"]): how.name(row["label"]) for row in cells if row.get("folder") and row.get("label")}


def _bytes(file: File) -> bytes:
    if file.size > MAX_TABLE_BYTES:
        raise SourceError(f"It is larger than {MAX_TABLE_BYTES >> 20} MiB.")
    try:
        with file.open() as opened:
            data = opened.read(MAX_TABLE_BYTES + 1)
    except Exception as error:  # archives raise zlib, lzma, zipfile and tarfile errors, and OSError
        raise SourceError(f"It cannot be read: {error}.") from error
    if len(data) > MAX_TABLE_BYTES:
        raise SourceError(f"It is larger than {MAX_TABLE_BYTES >> 20} MiB.")
    return data


def _listing(file: File, table: Table, how: Labelling, finder: _Shelves) -> Listing:
    stem = file.path.stem
    listing = Listing(
        file,
        believed=file.path.name.lower() in METADATA,
        placeholders=bool(PLACEHOLDERS.fullmatch(stem)) or "submission" in words_of(stem),
        split=split_of(stem) if file.path.name in how.lists else split_in(stem),
        has_splits=bool(table.roles & {"split", "is_valid"}),
        labels=label_column(table),
        has_files="path" in table.roles,
        boxes=table.meaning.boxes,
        told=[note.text for note in table.notes],
        columns=columns_of(shown(file.path), table),
    )
    rows: list[Row] = []
    for row in table.rows(how) if "path" in table.roles else ():
        if isinstance(row, Row):
            rows.append(row)
        elif isinstance(row, Refused):
            listing.refused.append(Refused(f"{listing.name} {row.path}", row.reason))
        else:
            listing.told.append(row.text)
    _place(listing, rows, table.meaning, finder)
    if len(listing.refused) > MOST_REFUSED:
        left = len(listing.refused) - MOST_REFUSED
        kinds = Counter(one.reason for one in listing.refused[MOST_REFUSED:]).most_common(1)[0][0]
        listing.refused[MOST_REFUSED:] = [Refused(listing.name, f"{number(left, 'more row')} like that: {kinds}")]
    return listing


def _place(listing: Listing, rows: Sequence[Row], meaning: Meaning, finder: _Shelves) -> None:
    """Find the pictures that the rows name, and what they say of each."""
    parent = listing.file.path.parent

    def find(row: Row) -> Sighting:
        return finder.find(row.path, parent, row.split or listing.split) if row.path else Sighting()

    there = placed(listing.name, rows, find)
    said = claims(listing.name, there.rows, meaning)
    listing.count = len(rows)
    listing.told += [*there.notes, *said.notes]
    listing.missing = [row.path for row, _ in there.missing]
    listing.rows = {path: said.rows[path] for path in there.rows}
    listing.also = {path: labels for path in there.rows if (labels := also_called(said.others.get(path, ())))}


def label_column(table: Table) -> str:
    """Which column has the labels, in words."""
    meaning = table.meaning
    if meaning.one_hot:
        return f"columns {few(meaning.classes)}"
    column = meaning.roles.get("label", meaning.roles.get("labels"))
    return f"column {meaning.names[column]}" if column is not None else ""


def columns_of(name: str, table: Table) -> Columns:
    """The table's columns, its first rows, and what they mean."""
    meaning = table.meaning
    roles = {ROLES.get(role, role): meaning.names[index] for role, index in meaning.roles.items()}
    rows = tuple(tuple(cell[:MOST_CHARACTERS] for cell in row) for row in table.first)
    return Columns(name, meaning.names, rows, roles)
