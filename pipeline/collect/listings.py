"""Tables among the pictures: which pictures the rows of each name, and what they say of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pipeline.collect.claims import also_called, claims, placed
from pipeline.collect.entries import File, Labelling, Refused, shown, split_of, words_of
from pipeline.collect.finder import Finder, Sighting
from pipeline.collect.places import split_in
from pipeline.collect.reading import Columns, few, number
from pipeline.collect.tables import MAX_TABLE_BYTES, Row, Table, open_table
from pipeline.errors import SourceError

METADATA = ("metadata.csv", "metadata.jsonl")
CLASSES = "classes.csv"
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
    ``told``: what came up while it was read.
    """

    file: File
    believed: bool = False
    placeholders: bool = False
    split: str | None = None
    has_splits: bool = False
    labels: str = ""
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
        return shown(self.file.path)

    @property
    def words(self) -> str:
        """The table, and the column of its labels."""
        return f"{self.name} ({self.labels})" if self.labels else self.name

    @property
    def labelled(self) -> set[PurePosixPath]:
        """The pictures that it gives a label."""
        return set() if self.placeholders else {path for path, row in self.rows.items() if row.label is not None}

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
    """The files that may be tables about the pictures, by their names."""
    stems = {path.stem for path in pictures}
    found, lists = [], []
    for file in files:
        name, ending = file.path.name.lower(), file.path.suffix.lower()
        if name in how.lists or name == CLASSES or name in METADATA or ending in TABLE_SUFFIXES:
            found.append(file)
        elif ending in LISTS and file.path.stem not in stems and file.size <= MOST_LIST_BYTES:
            lists.append(file)
    return found + (lists if len(lists) <= MOST_LISTS else [])


def read_listings(files: Sequence[File], pictures: Sequence[PurePosixPath], how: Labelling) -> Listings:
    """The tables among ``files`` with the ``pictures`` that they name. Raises SourceError where a column was named that
    none of them has.
    """
    finder = Finder(pictures)
    tables: list[Listing] = []
    classes: dict[str, str] = {}
    read: list[str] = []
    refused: list[Refused] = []
    notes: list[str] = []
    left: list[File] = []
    problems: list[SourceError] = []
    for file in files:
        is_list = file.path.suffix.lower() in LISTS and file.path.name not in how.lists
        try:
            table = _open(file, how)
            if file.path.name.lower() == CLASSES and table.roles >= {"folder", "label"}:
                found = _class_names(table, how)
                classes |= found
                read.append(shown(file.path))
                notes += [] if found else [f"{read[-1]} was not used: no row names a folder and its class."]
                continue
            listing = _listing(file, table, how, finder)
        except SourceError as error:
            if is_list:
                left.append(file)
            else:
                problems.append(error)
                refused.append(Refused(shown(file.path), str(error)))
            continue
        if is_list and (not listing.rows or len(listing.rows) * 2 < listing.count):
            left.append(file)
            continue
        read.append(listing.name)
        if listing.rows:
            tables.append(listing)
        else:
            notes.append(_unused(listing, table))
    named = (how.file_column, how.label_column, how.split_column, how.group_column)
    if any(named) and not tables and problems:
        raise problems[0]
    tables.sort(key=lambda one: (not one.believed, -len(one.file.path.parts), one.name))
    return Listings(tuple(tables), classes, tuple(read), tuple(refused), tuple(notes), tuple(left))


def _unused(listing: Listing, table: Table) -> str:
    if "path" not in table.roles:
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


def _open(file: File, how: Labelling) -> Table:
    if file.size > MAX_TABLE_BYTES:
        raise SourceError(f"It is larger than {MAX_TABLE_BYTES >> 20} MiB.")
    try:
        with file.open() as opened:
            data = opened.read(MAX_TABLE_BYTES + 1)
    except Exception as error:  # archives raise zlib, lzma, zipfile and tarfile errors, and OSError
        raise SourceError(f"It cannot be read: {error}.") from error
    if len(data) > MAX_TABLE_BYTES:
        raise SourceError(f"It is larger than {MAX_TABLE_BYTES >> 20} MiB.")
    name = file.path.name
    return open_table(name, data, ("path", "label"), " ") if name in how.lists else open_table(name, data, how=how)


def _listing(file: File, table: Table, how: Labelling, finder: Finder) -> Listing:
    stem = file.path.stem
    listing = Listing(
        file,
        believed=file.path.name.lower() in METADATA,
        placeholders=bool(PLACEHOLDERS.fullmatch(stem)) or "submission" in words_of(stem),
        split=split_of(stem) if file.path.name in how.lists else split_in(stem),
        has_splits=bool(table.roles & {"split", "is_valid"}),
        labels=_label_column(table),
        told=[note.text for note in table.notes],
        columns=_columns(shown(file.path), table),
    )
    rows: list[Row] = []
    for row in table.rows(how) if "path" in table.roles else ():
        if isinstance(row, Row):
            rows.append(row)
        elif isinstance(row, Refused):
            listing.refused.append(Refused(f"{listing.name} {row.path}", row.reason))
        else:
            listing.told.append(row.text)
    listing.count = len(rows)

    def find(row: Row) -> Sighting:
        return finder.find(row.path, file.path.parent, row.split or listing.split) if row.path else Sighting()

    there = placed(listing.name, rows, find)
    said = claims(listing.name, there.rows, table.meaning)
    listing.told += [*there.notes, *said.notes]
    listing.missing = [row.path for row, _ in there.missing]
    listing.rows = {path: said.rows[path] for path in there.rows}
    listing.also = {path: labels for path in there.rows if (labels := also_called(said.others.get(path, ())))}
    if len(listing.refused) > MOST_REFUSED:
        left = len(listing.refused) - MOST_REFUSED
        kinds = Counter(one.reason for one in listing.refused[MOST_REFUSED:]).most_common(1)[0][0]
        listing.refused[MOST_REFUSED:] = [Refused(listing.name, f"{number(left, 'more row')} like that: {kinds}")]
    return listing


def _label_column(table: Table) -> str:
    """Which column has the labels, in words."""
    meaning = table.meaning
    if meaning.one_hot:
        return f"columns {few(meaning.classes)}"
    column = meaning.roles.get("label", meaning.roles.get("labels"))
    return f"column {meaning.names[column]}" if column is not None else ""


def _columns(name: str, table: Table) -> Columns:
    meaning = table.meaning
    roles = {ROLES.get(role, role): meaning.names[index] for role, index in meaning.roles.items()}
    rows = tuple(tuple(cell[:MOST_CHARACTERS] for cell in row) for row in table.first)
    return Columns(name, meaning.names, rows, roles)
