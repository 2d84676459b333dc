"""Tables of pictures, as people, Excel and Hugging Face write them: each row's file or URL, its label and its split."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from pipeline.collect.cells import Row as Row
from pipeline.collect.cells import Said
from pipeline.collect.claims import Placed, also_called, claims, not_there, placed
from pipeline.collect.columns import LOOKED_AT, WORDS, Meaning, as_flag, like_picture, listed, meaning_of, plain
from pipeline.collect.entries import MAX_ENTRIES, Entry, Found, Labelling, Link, Note, Refused, opener, shown, split_of
from pipeline.collect.finder import LABEL_STUDIO, FinderOnDisk, Sighting
from pipeline.collect.name_encodings import KNOWN, names_of
from pipeline.errors import SourceError
from pipeline.safe_text import restored

MAX_TABLE_BYTES = 64 << 20
MAX_LINE = 1 << 20
SNIFFED = 4096
DELIMITERS = (",", ";", "\t", "|")
SHOWN = 5
TITLES = 10  # lines that may stand above a header
MOST_OF_LETTERS = 1 << 20
OTHER_SCRIPTS = ("cp932", "gb18030", "cp950", "cp949", "cp1251", "koi8-r", "cp866", "cp1253", "cp1250")
BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WEB = re.compile(r"https?://", re.I)
Cells: TypeAlias = Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A table that is being read. ``columns`` as they are written, ``meaning`` what they mean, ``first`` the first rows
    as they are; ``note``: how it had to be read.
    """

    name: str
    meaning: Meaning
    records: Iterator[tuple[int, Cells | str]]
    note: Note | None = None
    first: tuple[tuple[str, ...], ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self.meaning.names

    @property
    def roles(self) -> frozenset[str]:
        """What its columns mean (see :class:`Meaning`)."""
        return self.meaning.known

    @property
    def notes(self) -> tuple[Note, ...]:
        """What one should know before its rows are read."""
        return (*((self.note,) if self.note else ()), *map(Note, self.meaning.notes))

    def rows(self, how: Labelling) -> Iterator[Row | Refused | Note]:
        """What the rows say, or why one says nothing; then what one should know of them. Raises SourceError where
        there are too many.
        """
        records = list(islice(self.records, MAX_ENTRIES + 1))
        if len(records) > MAX_ENTRIES:
            raise SourceError(f"{self.name} has more than {MAX_ENTRIES:,} rows. Import it in parts.")
        said = Said(self.name, self.meaning, [cells for _, cells in records if not isinstance(cells, str)], how)
        for line, cells in records:
            try:
                if isinstance(cells, str):
                    raise SourceError(cells)
                yield said.row(line, cells)
            except SourceError as error:
                yield Refused(f"line {line}", str(error))
        yield from map(Note, said.notes())


def read_table(source: Path, how: Labelling, need: Sequence[str] = ("path", "url")) -> Iterator[Found]:
    """The files and URLs that the rows of a CSV file name (see :class:`FinderOnDisk`).

    A file that several rows call differently comes once, with what else it is called. ``need`` is ``("url",)`` where no
    file of this machine may be named. Raises SourceError where the table cannot be read, or lacks a column.
    """
    yield from rows_of(source, opened(source, how), how, need)


def rows_of(source: Path, table: Table, how: Labelling, need: Sequence[str] = ("path", "url")) -> Iterator[Found]:
    """The same of the ``table`` that was opened in ``source``; it is read once."""
    _check_columns(table, how, need)
    yield from table.notes
    rows: list[Row] = []
    for row in table.rows(how):
        if isinstance(row, Row):
            rows.append(row)
        else:
            yield row
    yield from _found(source, table, rows, need)


def names_files(source: Path) -> bool:
    """Whether a CSV file has a column for files of this machine. Raises SourceError where it cannot be read."""
    return "path" in opened(source, Labelling()).roles


def names_places(source: Path) -> bool:
    """Whether a CSV file says of any picture in full where it is: a URL, or a path from the root of this machine.
    Raises SourceError where it cannot be read.
    """
    rows = (row for row in opened(source, Labelling()).rows(Labelling()) if isinstance(row, Row))
    return any(row.url or row.path.startswith(("~/", "file://")) or Path(row.path).is_absolute() for row in rows)


def open_table(
    name: str, data: bytes, header: tuple[str, ...] = (), delimiter: str = "", how: Labelling | None = None
) -> Table:
    """The table in ``data``: JSON lines where its name says so, else CSV, in UTF-8, UTF-16 or what old Excel writes.

    Cells that were defused for spreadsheets (see ``cells``) say what they said before.
    ``header`` and ``delimiter`` are those of a table without a header. ``how`` may name columns. Raises SourceError
    where it is no table, or has no column of that name.
    """
    text, note = _decoded(name, data)
    lines = _lines(name, io.StringIO(text, newline=""))
    how = how or Labelling()
    if name.lower().endswith((".jsonl", ".ndjson")):
        return table_of(name, _objects(lines), how, note)
    return _csv_table(name, lines, note, header, delimiter, how)


def opened(source: Path, how: Labelling) -> Table:
    """The table that is a file of its own. Raises SourceError where it cannot be read."""
    try:
        size = source.stat().st_size
        data = b"" if size > MAX_TABLE_BYTES else source.read_bytes()
    except OSError as error:
        raise SourceError(f"{source.name} cannot be read: {error}.") from error
    if size > MAX_TABLE_BYTES:
        raise SourceError(f"{source.name} is larger than {MAX_TABLE_BYTES >> 20} MiB. Import it in parts.")
    return open_table(source.name, data, how=how)


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
        if (told := _by_letters(name, data)) is not None:
            return told
        text = data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{name} cannot be read as a table in UTF-8: {problem}. Save it anew as 'CSV UTF-8 (comma delimited)'."
        ) from error
    return text, Note(
        f"{name} is not in UTF-8. It was read as Windows text (cp1252): look whether ä, é or ñ are right."
    )


def _by_letters(name: str, data: bytes) -> tuple[str, Note] | None:
    """The text, where its letters make sense in one encoding of another script than Latin, and in no other one."""
    cells = {cell for cell in re.split(rb'[,;\t\r\n"]+', data[:MOST_OF_LETTERS])[:-1] if not cell.isascii()}
    found = names_of(cells)
    if found.encoding not in OTHER_SCRIPTS or found.others:
        return None
    try:
        text = data.decode(found.encoding)
    except UnicodeDecodeError:
        return None
    words = ", ".join(cell.decode(found.encoding)[:20] for cell in sorted(cells)[:3])
    return text, Note(
        f"{name} is not in UTF-8. It was read as {KNOWN[found.encoding][0]}: look whether {words} is right."
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


def _csv_table(
    name: str, lines: Iterator[str], note: Note | None, header: tuple[str, ...], delimiter: str, how: Labelling
) -> Table:
    before, reader = _reader(lines, delimiter)
    start = header
    if not header:
        try:
            start = tuple(next(reader, []))
        except csv.Error as error:
            raise SourceError(f"{name} cannot be read as a CSV file: {error} in its first line.") from error
    raw = _raw_records(reader, before)
    looked_at = list(islice(raw, LOOKED_AT))
    rows = [cells for _, cells in looked_at if isinstance(cells, list)]
    meaning = meaning_of(name, start, rows, how, headed=True if header else None)
    if not meaning.headed:
        looked_at.insert(0, (before + 1, list(start)))
    records = _csv_records(chain(looked_at, raw), meaning, start)
    shown_rows = rows if meaning.headed else [start, *rows]
    return Table(name, meaning, records, note, tuple(tuple(row) for row in shown_rows[:SHOWN]))


def _reader(lines: Iterator[str], delimiter: str, strict: bool = False) -> tuple[int, Any]:
    """How many lines stand before the first one that counts, and what reads the rows from there on."""
    before, first, delimiter, lines = _first_line(lines, delimiter)
    delimiter = delimiter or _delimiter(first)
    return before, csv.reader(chain([first] if first else [], lines), delimiter=delimiter, strict=strict)


def written_rows(name: str, data: bytes) -> tuple[Iterator[tuple[int, list[str] | str]], Note | None]:
    """The rows of a CSV file as they are written, the header first, each with the number of the line in which it ends,
    or in words what is wrong with one; and how its text had to be read. Raises SourceError where it is no text.
    """
    text, note = _decoded(name, data)
    before, reader = _reader(_lines(name, io.StringIO(text, newline="")), "", strict=True)
    return _raw_records(reader, before), note


def _first_line(lines: Iterator[str], delimiter: str) -> tuple[int, str, str, Iterator[str]]:
    """How many lines stand before the first one that counts, that line, the separator if it is told, and the rest.

    Empty lines do not count, nor does a title or a remark above a line with two names of columns that are known.
    """
    before = 0
    for first in lines:
        if told := re.fullmatch(r'"?sep=(.)"?\s*', first, re.I):  # Excel's own way to say it
            delimiter = told[1]
        elif first.strip(" \t\r\n,;"):
            break
        before += 1
    else:
        return before, "", delimiter, lines
    ahead = list(islice(lines, TITLES))
    header = next((n for n, line in enumerate(ahead) if max(_known(line, sign) for sign in DELIMITERS) > 1), None)
    cells = [cell for cell in re.split("[,;\t]", first) if cell.strip(' \r\n"')]
    is_title = first.startswith("#") or (len(cells) == 1 and not like_picture(cells[0]))
    if header is not None and is_title and not any(_known(first, sign) for sign in DELIMITERS):
        return before + 1 + header, ahead[header], delimiter, chain(ahead[header + 1 :], lines)
    return before, first, delimiter, chain(ahead, lines)


def _known(line: str, sign: str) -> int:
    """How many names of columns in a line have a meaning."""
    words = {plain(cell) for cell in line.split(sign)}
    return sum(not words.isdisjoint(names) for names in WORDS)


def _delimiter(header: str) -> str:
    """What separates the most column names that mean something; else what is there most often outside quotes.

    Blanks, where there is nothing else and a picture is named.
    """
    bare = re.sub(r'"[^"]*"', "", header)
    if not any(sign in bare for sign in DELIMITERS):
        return " " if len(bare.split()) == 2 and any(map(like_picture, bare.split())) else ","
    usual = any(sign in bare for sign in DELIMITERS[:3])
    signs = [sign for sign in DELIMITERS if sign != "|" or _known(header, sign) > 1 or not usual]
    return max(signs, key=lambda sign: (_known(header, sign), bare.count(sign)))


def _raw_records(reader: Any, before: int) -> Iterator[tuple[int, list[str] | str]]:
    """The rows that are not empty, or what is wrong with one, with the number of the line in which each ends."""
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield before + reader.line_num, f"It cannot be read: {error}. Look for a quotation mark too many."
            continue
        if cells is None:
            return
        if any(cell.strip() for cell in cells):
            yield before + reader.line_num, cells


def _csv_records(
    raw: Iterator[tuple[int, list[str] | str]], meaning: Meaning, start: Sequence[str]
) -> Iterator[tuple[int, Cells | str]]:
    width = len(meaning.names)
    for line, cells in raw:
        if isinstance(cells, str):
            yield line, cells
        elif meaning.headed and cells == list(start):
            continue  # tables that were put together
        elif any(cell.strip() for cell in cells[width:]):
            yield line, f"It has {len(cells)} cells, the first line {width}. Put cells with the separator into quotes."
        else:
            yield line, _cells(meaning, [restored(cell) for cell in cells])


def _cells(meaning: Meaning, row: Sequence[str]) -> Cells | str:
    """What the cells of a row that mean something say, by their role; what is wrong with them, in words."""
    cells = {role: row[index].strip() for role, index in meaning.roles.items() if index < len(row)}
    if meaning.more and (label := cells.pop("label", "")):
        more = [row[index].strip() for index in meaning.more if index < len(row)]
        cells["labels"] = json.dumps([label, *filter(None, more)])
    if (folder := cells.get("folder")) and cells.get("path") and "/" not in cells["path"]:
        cells["path"] = f"{folder.rstrip('/')}/{cells['path']}"
    if meaning.one_hot:
        flags = []
        for index in meaning.one_hot:
            try:
                flag = as_flag(row[index] if index < len(row) else "")
            except ValueError:
                return f"'{row[index][:20]}' in the column '{meaning.names[index]}' is neither 0 nor 1."
            flags.append("-" if flag is None else str(int(flag)))
        cells["one_hot"] = "".join(flags)
    return cells


def table_of(
    name: str, objects: Iterable[tuple[int, Mapping[str, Any] | str]], how: Labelling, note: Note | None = None
) -> Table:
    """The table that JSON objects are (each with its number), their keys the columns; a text says what is wrong with
    one. Raises SourceError where ``how`` names a column that is not there.
    """
    raw = iter(objects)
    looked_at = list(islice(raw, LOOKED_AT))
    first = [row for _, row in looked_at if not isinstance(row, str)]
    columns = tuple(dict.fromkeys(key for row in first for key in row))
    rows = [[_as_text(row.get(column)) for column in columns] for row in first]
    meaning = meaning_of(name, columns, rows, how, headed=True)

    def records() -> Iterator[tuple[int, Cells | str]]:
        for number, row in chain(looked_at, raw):
            yield number, row if isinstance(row, str) else record(meaning, columns, row)

    return Table(name, meaning, records(), note, tuple(tuple(row) for row in rows[:SHOWN]))


def record(meaning: Meaning, columns: Sequence[str], row: Mapping[str, Any]) -> Cells | str:
    """What a JSON object says by the roles of its keys, which are ``columns``; what is wrong with it, in words."""
    return _cells(meaning, [_as_text(row.get(key)) for key in columns])


def _objects(lines: Iterator[str]) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """The JSON objects of lines that are not empty, or what is wrong with one."""
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError) as error:
            yield number, f"It is no JSON: {error}."
            continue
        if row or not isinstance(row, dict):
            yield number, row if isinstance(row, dict) else "It is no JSON object."


def _as_text(value: Any) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value)
    return str(value).strip() if isinstance(value, str | int | float) else ""


# --- records -> what is imported ----------------------------------------------------------------------------------


def _check_columns(table: Table, how: Labelling, need: Sequence[str]) -> None:
    has = listed(table.columns, table.meaning.headed)
    if not table.roles & set(need) and "path" in table.roles:
        raise SourceError(
            f"{table.name} has no column 'url' (it has: {has}). It names files, so its pictures have to come along: "
            "choose them together with it, or import a folder or a zip that holds both."
        )
    if not table.roles & set(need):
        option = (
            " Its first line has to name its columns; or say which it is (--file-column)." if "path" in need else ""
        )
        raise SourceError(
            f"{table.name} has no column {' or '.join(map(repr, need))} (it has: {has})."
            f"{option or ' Its first line has to name its columns.'}"
        )
    if how.label is None and not table.roles & {"label", "labels"}:
        raise SourceError(
            f"{table.name} has no column 'label' (it has: {has}). Name one in its first line, say which it is "
            "(--label-column), or give one label for all (--label)."
        )
    if how.split_from == "column" and not table.roles & {"split", "is_valid"}:
        raise SourceError(
            f"{table.name} has no column 'split' to take the split from (it has: {has}). Say which it is "
            "(--split-column)."
        )


def _found(source: Path, table: Table, rows: Sequence[Row], need: Sequence[str]) -> Iterator[Found]:
    """Links and entries of rows, then those that name nothing that is there. Several rows about one are joined. A file
    that is here goes before its URL.
    """
    paths: dict[PurePosixPath, Path] = {}
    there = _placed(source, table, [row for row in rows if "path" in need and _may_be_file(row)], paths)
    here = {row.line for named in there.rows.values() for row in named}
    links: dict[str, list[Row]] = {}
    problems: list[Refused] = []
    for row in rows:
        url = row.url or (row.path if WEB.match(row.path) else "")
        if row.line in here:
            continue
        if url and "url" in need and row.label is not None:
            links.setdefault(url, []).append(row)
        elif url and "url" in need:
            problems.append(Refused(f"line {row.line}", "A class needs a name."))
        elif "path" not in need:
            problems.append(Refused(f"line {row.line}", "It has no URL."))
        elif not _may_be_file(row):
            problems.append(Refused(f"line {row.line}", "It names no file."))
    addresses, files = (
        claims(table.name, links, table.meaning, "address"),
        claims(table.name, there.rows, table.meaning),
    )
    yield from map(Note, (*addresses.notes, *there.notes, *files.notes))
    for url in links:
        for row in (addresses.rows[url], *addresses.others.get(url, ())):
            yield Link(url, str(row.label), row.split, row.scene)
    for path in there.rows:
        yield _entry(paths[path], source.parent, files.rows[path], files.others.get(path, ()))
    yield from not_there([(row, why) for row, why in there.missing if not row.url and not WEB.match(row.path)])
    yield from problems


def _may_be_file(row: Row) -> bool:
    """Whether the path may be one of this machine; Label Studio writes its own as addresses."""
    is_address = WEB.match(row.path) and not any(prefix in row.path for prefix in LABEL_STUDIO)
    return bool(row.path) and "\0" not in row.path and not is_address


def _placed(source: Path, table: Table, rows: Sequence[Row], paths: dict[PurePosixPath, Path]) -> Placed:
    """Which file each row means; their places are put into ``paths``."""
    finder = FinderOnDisk(source)

    def find(row: Row) -> Sighting:
        path, sighting = finder.find(row.path, row.split or split_of(source.stem))
        if path is None:
            return replace(sighting, paths=sighting.paths if len(sighting.paths) > 1 else ())
        paths[PurePosixPath(path)] = path
        return Sighting((PurePosixPath(path),), sighting.how)

    return placed(table.name, rows, find)


def _entry(path: Path, folder: Path, row: Row, others: Sequence[Row]) -> Entry:
    """Named as the row has it, if that is enough to tell it; else as the file lies."""
    name = row.path
    if path.is_relative_to(folder.absolute()):
        lies = path.relative_to(folder.absolute()).as_posix()
        name = name if name.replace("\\", "/").endswith(lies) else lies
    return Entry(shown(name), row.label, row.split, path.stat().st_size, opener(path), row.scene, also_called(others))
