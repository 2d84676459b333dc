"""Parquet and Arrow files, read in a process of its own: what columns there are, their cells, the pictures in them.

The parser is C++ that was not written for strangers' bytes; so it runs where memory and time are limited, and what goes
wrong is an answer. A file is never held whole: Parquet is read in batches of rows, Arrow files are mapped.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

MOST_COLUMNS = 200
MOST_CHARACTERS = 4096
MOST_IN_A_LIST = 1000
MOST_METADATA = 4 << 20
BLOCK_BYTES = 8 << 20
BLOCK_ROWS = 64
CELL_ROWS, CELL_BYTES = 1000, 64 << 20
MOST_TRIED = 16
BUFFER_BYTES = 1 << 20
PARQUET, ENCRYPTED, ARROW = b"PAR1", b"PARE", b"ARROW1"
# What a column holds: ``picture`` is a struct of bytes and path, ``pictures`` several of them a row, ``bytes`` are
# bytes, ``octets`` lists of numbers that may be bytes, ``pixels`` a picture as numbers, ``nested`` objects, or lists of
# them.
Kind: TypeAlias = Literal[
    "picture", "pictures", "bytes", "octets", "text", "number", "list", "pixels", "nested", "other"
]


@dataclass(frozen=True)
class Column:
    """A column: its name, and what kind of cells it holds."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class Looked:
    """What a file holds. ``starts``: at which rows its parts begin, each of which is damaged for itself; ``features``:
    what ``datasets`` wrote of its columns, as JSON; ``left``: how many columns nobody looked at; ``pictures``: columns
    of bytes or texts whose first cells begin as pictures do.
    """

    rows: int
    columns: tuple[Column, ...]
    starts: tuple[int, ...]
    features: str = ""
    left: int = 0
    first: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Cells:
    """Rows of some columns: a tuple a row. ``paths`` and ``sizes`` are of its pictures: the name that is kept with one,
    and its bytes (0: there are none; estimated in Parquet).
    """

    rows: list[tuple[Any, ...]]
    paths: list[str]
    sizes: list[int]


@dataclass(frozen=True)
class Trouble:
    """Why there is no answer, in words."""

    why: str


@dataclass(frozen=True)
class Look:
    """What is in this file? Answered by :class:`Looked`."""

    path: str


@dataclass(frozen=True)
class Read:
    """The cells of ``columns``, and what is known of the ``picture`` column, from a row on. Answered by
    :class:`Cells`, which has some of the rows that follow.
    """

    path: str
    columns: tuple[str, ...]
    picture: str | None
    start: int


@dataclass(frozen=True)
class Show:
    """The pictures of a column from a row on: answered by some of the rows that follow, at least one. None: there is
    none; a number: so many bytes, which are more than ``most``.
    """

    path: str
    picture: str
    start: int
    most: int


Order: TypeAlias = Look | Read | Show
Pictures: TypeAlias = list[bytes | int | None]


class ShardReader:
    """Answers orders about files; between them it remembers the file that it has open, and where in it it is."""

    def __init__(self) -> None:
        self._path = ""
        self._file: _Parquet | _Arrow | None = None
        self._cursor: _Cursor | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        """It has arrived in the process where it works: what it needs is brought in before the memory is limited, and
        what C++ says when it gives up goes nowhere.
        """
        import pyarrow.compute
        import pyarrow.parquet

        self.__dict__.update(state)
        pyarrow.set_cpu_count(1)
        pyarrow.set_io_thread_count(1)
        pyarrow.set_memory_pool(pyarrow.system_memory_pool())
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

    def __call__(self, order: Order) -> Looked | Cells | Pictures | Trouble:
        """The answer, or what stands in its way."""
        import pyarrow as pa

        try:
            file = self._opened(order.path)
            if isinstance(order, Look):
                return file.looked()
            return self._read(file, order) if isinstance(order, Read) else self._shown(file, order)
        except MemoryError:
            why = "it needs more memory than is given to it; write it anew with smaller row groups"
        except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
            why = str(error) or type(error).__name__
        self._path, self._file, self._cursor = "", None, None
        return Trouble(why[:1000])

    def _opened(self, path: str) -> _Parquet | _Arrow:
        if self._file is None or self._path != path:
            self._file, self._cursor = None, None
            self._file = _open(path)
            self._path = path
        return self._file

    def _batch(self, file: _Parquet | _Arrow, columns: Sequence[str], size: int, row: int) -> tuple[Any, int]:
        if self._cursor is None or self._cursor.columns != list(columns):
            self._cursor = None
            self._cursor = _Cursor(file, columns, size)
        return self._cursor.batch(row)

    def _read(self, file: _Parquet | _Arrow, order: Read) -> Cells:
        beside = file.beside(order.picture) if order.picture is not None else ()
        columns = (*order.columns, *beside)
        size = max(1, min(CELL_ROWS, CELL_BYTES // max(file.mean_size(columns), 1)))
        batch, at = self._batch(file, columns, size, order.start)
        batch = batch.slice(at, size)
        cells = [_values(batch, name) for name in order.columns]
        rows = list(zip(*cells, strict=True)) if cells else [()] * batch.num_rows
        if order.picture is None:
            return Cells(rows, [""] * len(rows), [0] * len(rows))
        paths, sizes = file.known(batch, order.picture, order.start)
        return Cells(rows, paths, sizes)

    def _shown(self, file: _Parquet | _Arrow, order: Show) -> Pictures:
        size = max(1, min(BLOCK_ROWS, BLOCK_BYTES // max(file.mean_size([file.leaf(order.picture, "bytes")]), 1)))
        batch, at = self._batch(file, [file.leaf(order.picture, "bytes")], size, order.start)
        column = _bytes_of(batch, order.picture)
        answer: Pictures = []
        held = 0
        for row in range(at, min(batch.num_rows, at + BLOCK_ROWS)):
            value = column[row]
            if not value.is_valid:
                answer.append(None)
                continue
            size = value.as_buffer().size
            held += min(size, order.most + 1)
            if answer and held > BLOCK_BYTES:
                break
            answer.append(value.as_py() if size <= order.most else size)
        return answer


class _Cursor:
    """Rows of some columns, from any row on; those that follow are had without looking for them again."""

    def __init__(self, file: _Parquet | _Arrow, columns: Sequence[str], size: int) -> None:
        self._file, self.columns, self._size = file, list(columns), size
        self._batches: Iterator[Any] | None = None
        self._batch: Any = None
        self._start = 0

    def batch(self, row: int) -> tuple[Any, int]:
        """(the record batch that holds the row, where it is in there)."""
        if not 0 <= row < self._file.rows:
            raise IndexError(f"there is no row {row}")
        part = self._file.part(row)
        next_one = self._start + (self._batch.num_rows if self._batch is not None else 0)
        if self._batches is None or row < self._start or part > next_one:
            self._batches, self._batch = self._file.batches(self.columns, part, self._size), None
            self._start = part
        while self._batch is None or row >= self._start + self._batch.num_rows:
            self._start += self._batch.num_rows if self._batch is not None else 0
            self._batch = next(self._batches, None) if self._batches is not None else None
            if self._batch is None:
                raise ValueError("it ends before its last row")
        return self._batch, row - self._start


def _open(path: str) -> _Parquet | _Arrow:
    with Path(path).open("rb") as file:
        start = file.read(8)
        file.seek(0, 2)
        size = file.tell()
        file.seek(max(0, size - 4))
        end = file.read(4)
    if ENCRYPTED in (start[:4], end):
        raise ValueError("it is encrypted")
    if start[:4] == PARQUET:
        if end != PARQUET:
            raise ValueError("its end is missing")
        return _Parquet(path)
    if not size:
        raise ValueError("it is empty")
    return _Arrow(path, start.startswith(ARROW))


class _Parquet:
    """A Parquet file; its parts are row groups."""

    def __init__(self, path: str) -> None:
        import pyarrow.parquet as pq

        self.file = pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER_BYTES)
        self.metadata = self.file.metadata
        self.schema = self.file.schema_arrow
        counts: list[int] = [self.metadata.row_group(n).num_rows for n in range(self.metadata.num_row_groups)]
        self.starts: list[int] = [0, *accumulate(counts)][: len(counts)]
        self.rows = int(self.metadata.num_rows)
        self._known: dict[tuple[str, int], tuple[int | None, int]] = {}
        self._places: dict[str, list[int]] = {}
        self._sizes: dict[tuple[str, ...], int] = {}
        if min(counts, default=0) < 0 or sum(counts) != self.rows:
            raise ValueError("its parts and its number of rows do not go together")

    def looked(self) -> Looked:
        """What it holds."""
        return _looked(self)

    def part(self, row: int) -> int:
        """The first row of the row group that holds this one."""
        return self.starts[self._group(row)]

    def _group(self, row: int) -> int:
        return bisect_right(self.starts, row) - 1

    def batches(self, columns: list[str], row: int, size: int) -> Iterator[Any]:
        """The rows of these columns from the row group that begins with ``row`` on."""
        for group in range(self._group(row), len(self.starts)):
            yield from self.file.iter_batches(size, row_groups=[group], columns=columns, use_threads=False)

    def leaf(self, picture: str, name: str) -> str:
        """What reads the bytes, or the path, of a column alone."""
        return f"{picture}.{name}" if _kind(self.schema.field(picture).type) == "picture" else picture

    def beside(self, picture: str) -> tuple[str, ...]:
        """What has to be read to tell what a picture column holds, without its bytes."""
        return (self.leaf(picture, "path"),) if _has_path(self.schema.field(picture).type) else ()

    def known(self, batch: Any, picture: str, start: int) -> tuple[list[str], list[int]]:
        """The paths of the pictures in a batch, and about how many bytes each has."""
        paths = _paths(batch, picture) if self.beside(picture) else [""] * batch.num_rows
        sizes: list[int] = []
        while len(sizes) < batch.num_rows:
            row = start + len(sizes)
            group = self._group(row)
            end = self.starts[group + 1] if group + 1 < len(self.starts) else self.rows
            count = min(end - row, batch.num_rows - len(sizes))
            nulls, each = self._about(picture, group)
            if nulls is not None and 0 < nulls < self.metadata.row_group(group).num_rows:
                there = self._present(picture, row, count)
                sizes += [each if one else 0 for one in there]
            else:
                sizes += [each if not nulls else 0] * count
        return paths, sizes

    def _about(self, picture: str, group: int) -> tuple[int | None, int]:
        """How many rows of a row group have no bytes (None: that is not said), and about how many the others have."""
        known = self._known.get((picture, group))
        if known is None:
            about = self.metadata.row_group(group)
            n = self._leaves(self.leaf(picture, "bytes"))[0]
            column = about.column(n)
            said = column.statistics
            nulls = int(said.null_count) if said is not None and said.has_null_count else None
            each = int(column.total_uncompressed_size) // max(1, about.num_rows - (nulls or 0))
            known = self._known[picture, group] = (nulls, max(1, each))
        return known

    def _leaves(self, column: str) -> list[int]:
        """The columns that a column, or a part of it, is kept in."""
        if column not in self._places:
            paths = (self.file.schema.column(n).path for n in range(len(self.file.schema)))
            self._places[column] = [
                n for n, path in enumerate(paths) if path == column or path.startswith(f"{column}.")
            ]
        return self._places[column]

    def _present(self, picture: str, start: int, count: int) -> list[bool]:
        """Which rows of a row group that has both have bytes."""
        found: list[bool] = []
        group = self._group(start)
        skipped = self.starts[group] - start  # below nought
        columns = [self.leaf(picture, "bytes")]
        for batch in self.file.iter_batches(BLOCK_ROWS, row_groups=[group], columns=columns, use_threads=False):
            there = _bytes_of(batch, picture).is_valid().to_pylist()
            found += there[max(0, -skipped) :] if skipped < 0 else there
            skipped += batch.num_rows
            if len(found) >= count:
                break
        return found[:count]

    def mean_size(self, columns: Sequence[str]) -> int:
        """About how many bytes a row of these columns has, in the row group where it is largest."""
        key = tuple(columns)
        if key not in self._sizes:
            leaves = [n for column in columns for n in self._leaves(column)]
            largest = 0
            for group in range(len(self.starts)):
                about = self.metadata.row_group(group)
                size = sum(about.column(n).total_uncompressed_size for n in leaves)
                largest = max(largest, int(size) // max(1, about.num_rows))
            self._sizes[key] = largest
        return self._sizes[key]


class _Arrow:
    """An Arrow file or stream, mapped into memory; its parts are record batches, which begin where they are found."""

    def __init__(self, path: str, is_file: bool) -> None:
        self.path, self.is_file = path, is_file
        reader = self._reader()
        self.schema = reader.schema
        self.starts: list[int] = []
        self.rows = 0
        for batch in self._all(reader):
            self.starts.append(self.rows)
            self.rows += batch.num_rows

    def _reader(self) -> Any:
        import pyarrow as pa

        mapped = pa.memory_map(self.path)
        options = pa.ipc.IpcReadOptions(use_threads=False)
        kind = pa.ipc.open_file if self.is_file else pa.ipc.open_stream
        return kind(mapped, options=options)

    def _all(self, reader: Any, first: int = 0) -> Iterator[Any]:
        if self.is_file:
            yield from (reader.get_batch(n) for n in range(first, reader.num_record_batches))
            return
        for n, batch in enumerate(reader):
            if n >= first:
                yield batch

    def looked(self) -> Looked:
        """What it holds."""
        return _looked(self)

    def part(self, row: int) -> int:
        """The first row of the record batch that holds this one."""
        return self.starts[bisect_right(self.starts, row) - 1]

    def batches(self, columns: list[str], row: int, size: int) -> Iterator[Any]:
        """The record batches from the one that begins with ``row`` on; all columns are in them."""
        return self._all(self._reader(), self.starts.index(row))

    def leaf(self, picture: str, name: str) -> str:
        """The column: a record batch has all that is in it."""
        return picture

    def beside(self, picture: str) -> tuple[str, ...]:
        """The column: what is not looked at is not read from the disk."""
        return (picture,)

    def known(self, batch: Any, picture: str, start: int) -> tuple[list[str], list[int]]:
        """The paths of the pictures in a batch, and how many bytes each has."""
        import pyarrow.compute as pc

        sizes = [size or 0 for size in pc.binary_length(_bytes_of(batch, picture)).to_pylist()]
        has_path = _has_path(self.schema.field(picture).type)
        return (_paths(batch, picture) if has_path else [""] * batch.num_rows), sizes

    def mean_size(self, columns: Sequence[str]) -> int:
        """Nought: nothing is read ahead."""
        return 0


# --- columns ------------------------------------------------------------------------------------------------------


def _looked(file: _Parquet | _Arrow) -> Looked:
    schema = file.schema
    fields = [schema.field(n) for n in range(min(len(schema), 100 * MOST_COLUMNS))]
    counts = Counter(field.name for field in fields)
    columns = [Column(field.name, _kind(field.type)) for field in fields if counts[field.name] == 1]
    likely = sorted(columns, key=lambda column: column.kind not in ("picture", "pictures", "bytes", "octets"))[
        :MOST_COLUMNS
    ]
    kept = tuple(column for column in columns if column in likely)
    metadata = schema.metadata or {}
    features = metadata.get(b"huggingface", b"")
    text = features.decode("utf-8", "replace") if len(features) <= MOST_METADATA else ""
    first = tuple(_first_bytes(file, column.name) if column.kind in ("bytes", "octets") else b"" for column in kept)
    return Looked(file.rows, kept, tuple(file.starts), text, len(schema) - len(kept), first)


def _kind(kind: Any) -> Kind:
    import pyarrow.types as t

    if t.is_dictionary(kind):
        kind = kind.value_type
    if hasattr(kind, "storage_type"):
        kind = kind.storage_type
    if _is_bytes(kind):
        return "bytes"
    if t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind) or t.is_null(kind):
        return "text"
    if t.is_integer(kind) or t.is_boolean(kind) or t.is_floating(kind) or t.is_decimal(kind) or t.is_temporal(kind):
        return "number"
    if t.is_struct(kind):
        index = kind.get_field_index("bytes")
        return "picture" if index >= 0 and _is_bytes(kind.field(index).type) else "nested"
    if t.is_list(kind) or t.is_large_list(kind) or t.is_fixed_size_list(kind):
        return _kind_of_list(kind)
    return "other"


def _kind_of_list(kind: Any) -> Kind:
    import pyarrow.types as t

    if t.is_uint8(kind.value_type) or t.is_int8(kind.value_type):
        return "pixels" if t.is_fixed_size_list(kind) else "octets"
    inside = _kind(kind.value_type)
    if inside in ("picture", "bytes"):
        return "pictures"
    if inside in ("list", "pixels", "octets"):
        return "pixels"
    if inside == "text" or t.is_integer(kind.value_type):
        return "list"
    return "nested" if inside == "nested" else "other"


def _is_bytes(kind: Any) -> bool:
    import pyarrow.types as t

    return bool(t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind) or t.is_binary_view(kind))


def _has_path(kind: Any) -> bool:
    import pyarrow.types as t

    if not t.is_struct(kind):
        return False
    index = kind.get_field_index("path")
    return index >= 0 and _kind(kind.field(index).type) == "text"


def _column(batch: Any, name: str) -> Any:
    return batch.column(batch.schema.names.index(name))


def _bytes_of(batch: Any, picture: str) -> Any:
    """The bytes of a column of pictures."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _column(batch, picture)
    if hasattr(column.type, "get_field_index"):
        column = pc.struct_field(column, "bytes")
    if pa.types.is_binary_view(column.type):
        return column.cast(pa.large_binary())
    return _of_octets(column) if hasattr(column.type, "value_type") else column


def _of_octets(column: Any) -> Any:
    """A list of numbers of 8 bits as bytes; nothing is copied."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        return column.dictionary_decode()
    kind = pa.large_binary() if pa.types.is_large_list(column.type) else pa.binary()
    values = column.values
    whole = pa.concat_arrays([values]) if values.offset else values
    validity, offsets = column.buffers()[:2]
    return pa.Array.from_buffers(kind, len(column), [validity, offsets, whole.buffers()[1]], offset=column.offset)


def _paths(batch: Any, picture: str) -> list[str]:
    import pyarrow.compute as pc

    column = pc.struct_field(_column(batch, picture), "path")
    return [(path or "")[:MOST_CHARACTERS] for path in column.to_pylist()]


def _values(batch: Any, name: str) -> list[Any]:
    """The cells of a column as Python has them, none of them long."""
    column = _column(batch, name)
    return [_short(value) for value in column.to_pylist()]


def _short(value: Any, deep: int = 0) -> Any:
    if isinstance(value, str):
        return value[:MOST_CHARACTERS]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return value
    if isinstance(value, bytes):
        return None
    if isinstance(value, dict) and deep < 8:
        return {str(key)[:MOST_CHARACTERS]: _short(one, deep + 1) for key, one in list(value.items())[:MOST_IN_A_LIST]}
    if isinstance(value, list | tuple) and deep < 8:
        return [_short(one, deep + 1) for one in value[:MOST_IN_A_LIST]]
    return str(value)[:MOST_CHARACTERS]


def _first_bytes(file: _Parquet | _Arrow, name: str) -> bytes:
    """How the first cell begins that has something in it, of the first rows that can be read."""
    import pyarrow as pa

    for start in file.starts[:MOST_TRIED]:
        try:
            for batch in islice(file.batches([name], start, 1), MOST_TRIED):
                values = (value for value in _bytes_of(batch, name)[:BLOCK_ROWS] if value.is_valid)
                if (first := next(values, None)) is not None:
                    return bytes(first.as_buffer()[:64].to_pybytes())
        except (pa.ArrowException, OSError):
            continue
    return b""
