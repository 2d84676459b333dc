"""Tables of pictures, as people, Excel and Hugging Face write them: each row's file or URL, its label and its split."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

from pipeline.collect.entries import (
    MAX_ENTRIES,
    SPLIT_NAMES,
    Entry,
    Found,
    Labelling,
    Link,
    Note,
    Refused,
    opener,
    shown,
)
from pipeline.errors import SourceError
from pipeline.labels import Several, clean_label, clean_labels
from pipeline.safe_text import restored

MAX_TABLE_BYTES = 64 << 20
MAX_LINE = 1 << 20
SNIFFED = 4096
DELIMITERS = (",", ";", "\t")
# In the order of preference. The second line's words also mean other things: they count where there is no URL column.
ROLES = {
    "path": ("path", "file", "file_name", "filename", "fname", "image", "filepath", "file_path", "image_path"),
    "name": ("name", "image_name", "image_id", "id"),
    "url": ("url", "link", "image_url"),
    "label": ("label", "class", "category"),
    "labels": ("labels", "tags"),
    "split": ("split", "set", "subset"),
    "folder": ("folder",),
    "is_valid": ("is_valid",),
}
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
YES_OR_NO = {"true": "valid", "1": "valid", "yes": "valid", "false": "train", "0": "train", "no": "train", "": ""}
WEB = re.compile(r"https?://", re.I)
Cells: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """What a row says: the file's path or URL (empty where it has none), its label (or None), its split (or None) and
    what it was taken together with (or None).
    """

    line: int
    path: str
    url: str
    label: str | None
    split: str | None
    scene: str | None = None


@dataclass(frozen=True)
class Table:
    """A table that is being read. ``roles`` are the meanings that its columns have (keys of ROLES)."""

    name: str
    columns: tuple[str, ...]
    roles: frozenset[str]
    records: Iterator[tuple[int, Cells | str]]
    note: Note | None = None

    def rows(self, how: Labelling) -> Iterator[Row | Refused]:
        """What the rows say, or why one says nothing. Raises SourceError where there are too many."""
        records = list(islice(self.records, MAX_ENTRIES + 1))
        if len(records) > MAX_ENTRIES:
            raise SourceError(f"{self.name} has more than {MAX_ENTRIES:,} rows. Import it in parts.")
        cells_of = (cells.get("labels", "") for _, cells in records if not isinstance(cells, str))
        several = Several(how.separator) if how.separator else Several.of(list(cells_of))
        for line, cells in records:
            try:
                if isinstance(cells, str):
                    raise SourceError(cells)
                label, split = _label(cells, how, several), _split(cells)
                yield Row(line, cells.get("path", ""), cells.get("url", ""), label, split)
            except SourceError as error:
                yield Refused(f"line {line}", str(error))


def read_table(source: Path, how: Labelling, need: Sequence[str] = ("path", "url")) -> Iterator[Found]:
    """The files and URLs that the rows of a CSV file name, relative to its folder.

    ``need`` is ``("url",)`` where no file of this machine may be named. Raises SourceError where the table cannot be
    read, or lacks a column.
    """
    table = _opened(source)
    _check_columns(table, how, need)
    if table.note:
        yield table.note
    for row in table.rows(how):
        yield row if isinstance(row, Refused) else _found(source.parent, row, need)


def names_files(source: Path) -> bool:
    """Whether a CSV file has a column for files of this machine. Raises SourceError where it cannot be read."""
    return "path" in _opened(source).roles


def open_table(name: str, data: bytes, header: tuple[str, ...] = (), delimiter: str = "") -> Table:
    """The table in ``data``: JSON lines where its name says so, else CSV, in UTF-8, UTF-16 or what old Excel writes.

    Cells that were defused for spreadsheets (see ``cells``) say what they said before.
    ``header`` and ``delimiter`` are those of a table without a header. Raises SourceError where it is no table.
    """
    text, note = _decoded(name, data)
    lines = _lines(name, io.StringIO(text, newline=""))
    if name.lower().endswith(".jsonl"):
        return _json_table(name, lines, note)
    return _csv_table(name, lines, note, header, delimiter)


def _opened(source: Path) -> Table:
    try:
        size = source.stat().st_size
        data = b"" if size > MAX_TABLE_BYTES else source.read_bytes()
    except OSError as error:
        raise SourceError(f"{source.name} cannot be read: {error}.") from error
    if size > MAX_TABLE_BYTES:
        raise SourceError(f"{source.name} is larger than {MAX_TABLE_BYTES >> 20} MiB. Import it in parts.")
    return open_table(source.name, data)


# --- bytes -> lines -----------------------------------------------------------------------------------------------


def _decoded(name: str, data: bytes) -> tuple[str, Note | None]:
    """The text, and a note where its encoding had to be guessed."""
    encoding = next((encoding for bom, encoding in BOMS if data.startswith(bom)), None) or _utf_16(data) or "utf-8"
    try:
        return data.decode(encoding), None
    except UnicodeDecodeError as error:
        problem = error
    try:
        if encoding != "utf-8" or b"\0" in data:
            raise problem
        text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{name} cannot be read as a table in UTF-8: {problem}. Save it anew as 'CSV UTF-8 (comma delimited)'."
        ) from error
    return text, Note(
        f"{name} is not in UTF-8. It was read as Windows text (cp1252): look whether ä, é or ñ are right."
    )


def _utf_16(data: bytes) -> str | None:
    """UTF-16 without its mark: in Western text, every second byte is nought and no other one is."""
    first, second = data[:SNIFFED:2], data[1:SNIFFED:2]
    for encoding, full, hollow in (("utf-16-le", first, second), ("utf-16-be", second, first)):
        if hollow and hollow.count(0) * 2 > len(hollow) and not full.count(0):
            return encoding
    return None


def _lines(name: str, text: io.StringIO) -> Iterator[str]:
    """The lines, none of which is endless."""
    number = 0
    while line := text.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE:
            raise SourceError(f"{name} cannot be read: line {number} is longer than {MAX_LINE:,} characters.")
        yield line


# --- lines -> records ---------------------------------------------------------------------------------------------


def _csv_table(name: str, lines: Iterator[str], note: Note | None, header: tuple[str, ...], delimiter: str) -> Table:
    before = 0
    first = ""
    for first in lines:
        if told := re.fullmatch(r'"?sep=(.)"?\s*', first, re.I):  # Excel's own way to say it
            delimiter = told[1]
        elif first.strip(" \t\r\n,;"):
            break
        before += 1
    delimiter = delimiter or _delimiter(first)
    reader = csv.reader(chain([first] if first else [], lines), delimiter=delimiter)
    columns = header
    if not header:
        try:
            columns = tuple(cell.strip().lower() for cell in next(reader, []))
        except csv.Error as error:
            raise SourceError(f"{name} cannot be read as a CSV file: {error} in its first line.") from error
    roles = _roles(columns)
    return Table(name, columns, frozenset(roles), _csv_records(reader, before, len(columns), roles), note)


def _delimiter(header: str) -> str:
    """What separates the most column names that mean something; else what is there most often outside quotes."""
    bare = re.sub(r'"[^"]*"', "", header)

    def known(sign: str) -> int:
        words = {cell.strip().strip('"').lower() for cell in header.split(sign)}
        return sum(not words.isdisjoint(names) for names in ROLES.values())

    return max(DELIMITERS, key=lambda sign: (known(sign), bare.count(sign)))


def _csv_records(reader: Any, before: int, width: int, roles: Mapping[str, int]) -> Iterator[tuple[int, Cells | str]]:
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield before + reader.line_num, f"It cannot be read: {error}. Look for a quotation mark too many."
            continue
        line = before + reader.line_num
        if cells is None:
            return
        if any(cell.strip() for cell in cells[width:]):
            yield line, f"It has {len(cells)} cells, the first line {width}. Put cells with the separator into quotes."
        elif any(cell.strip() for cell in cells):
            yield line, {role: restored(cells[index]).strip() for role, index in roles.items() if index < len(cells)}


def _json_table(name: str, lines: Iterator[str], note: Note | None) -> Table:
    first = next(lines, "")
    start = _object(first)
    columns = tuple(start) if isinstance(start, Mapping) else ()
    roles = _roles([column.strip().lower() for column in columns])

    def records() -> Iterator[tuple[int, Cells | str]]:
        for number, line in enumerate(chain([first], lines), 1):
            row = _object(line)
            if isinstance(row, str):
                yield number, row
            elif row:
                yield number, {role: _as_text(row.get(columns[index])) for role, index in roles.items()}

    return Table(name, columns, frozenset(roles), records(), note)


def _object(line: str) -> Mapping[str, Any] | str:
    """The JSON object of a line, empty for an empty line; else what is wrong with it."""
    try:
        row = json.loads(line) if line.strip() else {}
    except (ValueError, RecursionError) as error:
        return f"It is no JSON: {error}."
    return row if isinstance(row, dict) else "It is no JSON object."


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return ";".join(map(_as_text, value))
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _roles(columns: Sequence[str]) -> dict[str, int]:
    """Where the columns are that mean something."""
    found = {
        role: next(columns.index(word) for word in words if word in columns)
        for role, words in ROLES.items()
        if any(word in columns for word in words)
    }
    name = found.pop("name", None)
    if name is not None and "url" not in found:
        found.setdefault("path", name)
    return found


# --- records -> what is imported ----------------------------------------------------------------------------------


def _check_columns(table: Table, how: Labelling, need: Sequence[str]) -> None:
    if not table.roles & set(need):
        raise SourceError(
            f"{table.name} has no column {' or '.join(map(repr, need))} "
            f"(it has: {', '.join(table.columns)[:200] or 'none'}). Its first line has to name its columns."
        )
    if how.label is None and not table.roles & {"label", "labels"}:
        raise SourceError(
            f"{table.name} has no column 'label'. Name one in its first line, or give one label for all (--label)."
        )
    if how.split_from == "column" and not table.roles & {"split", "is_valid"}:
        raise SourceError(f"{table.name} has no column 'split' to take the split from.")


def _label(cells: Cells, how: Labelling, several: Several) -> str | None:
    if how.label is not None:
        return clean_label(how.label)
    if text := cells.get("label"):
        return clean_labels(text, how.separator)
    if text := cells.get("labels"):
        return several.labels(text)
    return None


def _split(cells: Cells) -> str | None:
    word = cells.get("split", "").lower()
    if word:
        if word not in SPLIT_NAMES:
            raise SourceError(f"'{word[:20]}' is not a split; use train, valid or test.")
        return SPLIT_NAMES[word]
    word = cells.get("is_valid", "").lower()
    if word not in YES_OR_NO:
        raise SourceError(f"'{word[:20]}' in the column is_valid is neither True nor False.")
    return YES_OR_NO[word] or None


def _found(folder: Path, row: Row, need: Sequence[str]) -> Found:
    where = f"line {row.line}"
    url = row.url or (row.path if WEB.match(row.path) else "")
    if row.label is None:
        return Refused(where, "A class needs a name.")
    if url and "url" in need:
        return Link(url, row.label, row.split)
    if "path" not in need:
        return Refused(where, "It has no URL.")
    if not row.path or "\0" in row.path:
        return Refused(where, "It names no file.")
    for name in dict.fromkeys((row.path, row.path.replace("\\", "/"))):
        path = folder / name
        try:
            if not path.is_symlink() and path.is_file():
                return Entry(shown(row.path), row.label, row.split, path.stat().st_size, opener(path))
        except (OSError, ValueError):  # a name that is too long, say
            break
    return Refused(where, f"There is no file {row.path[:200]}.")
