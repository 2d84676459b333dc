"""Parquet and Arrow files that are being read: what is asked of the process that opens them, and what was lost."""

from __future__ import annotations

import io
import re
import shutil
import tempfile
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path, PurePosixPath
from typing import IO, Any

from pipeline.collect.arrow_worker import Cells, Look, Looked, Order, Read, ShardReader, Show, Trouble
from pipeline.collect.entries import MAX_IMAGE_BYTES, File
from pipeline.collect.places import split_in
from pipeline.errors import SourceError
from pipeline.images.sandbox import OneWorker, WorkerLimits, WorkerLost
from pipeline.safe_text import on_one_line

SHARD_SUFFIXES = (".parquet", ".pq", ".arrow", ".feather", ".ipc")
MAGIC = (b"PAR1", b"PARE", b"ARROW1")
STREAM = b"\xff\xff\xff\xff"
SECONDS = 120.0
MEMORY_BYTES = 2 << 30
MOST_DEATHS = 3
MOST_WORDS = 200
COPIED = 1 << 20
MOST_UNPACKED_OF_VISITORS = 1 << 30
# -00000-of-00003, and the hash that `datasets` once put behind it
NUMBERED = re.compile(r"([-_.]?\d+-of-\d+)?([-_][0-9a-f]{16})?$")


@dataclass(frozen=True)
class Shard:
    """One file of rows: its place within the source, where it lies on this disk, and the split that its place says."""

    name: str
    path: Path
    split: str | None = None


def is_shard(source: Path) -> bool:
    """Whether a file is Parquet or Arrow, by its first bytes, or by its name."""
    with source.open("rb") as file:
        start = file.read(8)
    is_stream = start.startswith(STREAM) and source.suffix.lower() in SHARD_SUFFIXES
    return start.startswith(MAGIC) or is_stream or source.suffix.lower() in SHARD_SUFFIXES


def split_of_place(place: PurePosixPath) -> str | None:
    """The split that the name of a file of rows says, or else a folder above it: ``train-00000-of-00003.parquet``,
    ``default/partial-train/0000.parquet``.
    """
    stem = NUMBERED.sub("", place.stem)
    for name in (stem, *(folder.name for folder in place.parents)):
        if (split := split_in(name)) is not None:
            return split
    return None


class ShardFiles:
    """Asks a process of its own about files; what it lost once is not asked for again."""

    def __init__(self, mapped: int = 0, limits: WorkerLimits | None = None) -> None:
        """``mapped``: how many bytes the largest file has, as an Arrow file is mapped into the memory."""
        self._limits = limits or WorkerLimits(SECONDS, MEMORY_BYTES + mapped)
        self._worker: OneWorker[Order, Any] = OneWorker(ShardReader(), self._limits)
        self._looked: dict[Path, Looked] = {}
        self._lost: dict[tuple[Path, int], str] = {}
        self._deaths: dict[Path, int] = {}
        self._block: tuple[Path, str, int, list[Any]] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._numbers = count()

    def look(self, path: Path) -> Looked:
        """What a file holds. Raises SourceError where it cannot be read."""
        if path not in self._looked:
            self._looked[path] = self._asked(path, Look(str(path)))
        return self._looked[path]

    def cells(self, path: Path, columns: tuple[str, ...], picture: str | None, start: int) -> Cells:
        """Rows of a file from ``start`` on, some of them. Raises SourceError where they cannot be read."""
        if why := self._lost.get((path, -1)):
            raise SourceError(why)
        cells: Cells = self._asked(path, Read(str(path), columns, picture, start))
        return cells

    def part(self, path: Path, row: int) -> tuple[int, int]:
        """The part of a file that holds a row: from one row to another, which is the first of the next part."""
        looked = self.look(path)
        n = bisect_right(looked.starts, row)
        return looked.starts[n - 1], looked.starts[n] if n < len(looked.starts) else looked.rows

    def open(self, path: Path, picture: str, row: int) -> IO[bytes]:
        """The picture in a row. Raises OSError, with the reason in words, where it cannot be had."""
        value = self._shown(path, picture, row)
        if value is None:
            raise OSError("there is no picture in this row")
        if isinstance(value, int):
            raise OSError(f"it has {value:,} bytes, and {MAX_IMAGE_BYTES >> 20} MiB are allowed")
        return io.BytesIO(value)

    def _shown(self, path: Path, picture: str, row: int) -> Any:
        if self._block is not None:
            known, column, start, values = self._block
            if (known, column) == (path, picture) and start <= row < start + len(values):
                return values[row - start]
        first, _ = self.part(path, row)
        if why := self._lost.get((path, first)) or self._lost.get((path, -1)):
            raise OSError(why)
        self._block = None
        try:
            values = self._asked(path, Show(str(path), picture, row, MAX_IMAGE_BYTES))
        except SourceError as error:
            self._lost[path, first] = f"the part of {path.name} that holds it is lost: {error}"
            raise OSError(self._lost[path, first]) from error
        self._block = (path, picture, row, values)
        return values[0]

    def _asked(self, path: Path, order: Order) -> Any:
        """The answer. Raises SourceError, without the file's name."""
        try:
            answer = self._worker.ask(order)
        except WorkerLost as error:
            self._deaths[path] = self._deaths.get(path, 0) + 1
            if self._deaths[path] >= MOST_DEATHS:
                self._lost[path, -1] = f"{path.name} ended the process that reads it {MOST_DEATHS} times: {error}"
            had = f"{self._limits.memory_bytes >> 20:,} MiB of memory and {self._limits.seconds:g} seconds"
            raise SourceError(f"{error}; it had {had}") from error
        if isinstance(answer, Trouble):
            raise SourceError(on_one_line(answer.why, MOST_WORDS).rstrip("."))
        return answer

    def opener(self, path: Path, picture: str, row: int) -> partial[IO[bytes]]:
        """What opens the picture in a row."""
        return partial(self.open, path, picture, row)

    def check_room(self, files: Sequence[File], local: bool) -> None:
        """Raises SourceError where what lies in an archive has no room on the disk to be unpacked."""
        needed = sum(file.size for file in files if file.real is None)
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if needed > (free // 2 if local else min(free // 2, MOST_UNPACKED_OF_VISITORS)):
            raise SourceError(
                f"The Parquet and Arrow files in the archive need {needed:,} bytes to be unpacked first, and there is "
                f"no room for that in {tempfile.gettempdir()}. Unpack the archive yourself, and import its folder."
            )

    def place(self, file: File) -> Path:
        """Where a file lies on this disk, to be read from any row on. What is in an archive is unpacked; that goes when
        this does. Raises SourceError.
        """
        if file.real is not None:
            return Path(file.real)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="winnow-rows-")
        target = Path(self._folder.name) / f"{next(self._numbers):06}{file.path.suffix.lower()}"
        try:
            with file.open() as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, COPIED)
        except Exception as error:  # archives raise zlib, lzma, zipfile and tarfile errors, and OSError
            target.unlink(missing_ok=True)
            raise SourceError(f"It cannot be read: {error}.") from error
        return target
