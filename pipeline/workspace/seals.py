"""Whether files are as they were written: what a run's numbers come from, and the pictures that were imported."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.predict import CONFIG, checksum, file_sha256

if TYPE_CHECKING:
    from pipeline.workspace.workspace import Workspace

# A run's files that say themselves whether they are as they were (the model's), or that a person may change.
NOT_SEALED = (CONFIG, "run.json", "about.json")
LOOKED_AT = "files_looked_at"
# Clocks of file systems are this coarse at worst (FAT).
COARSE_SECONDS = 2.0


# --- a run -----------------------------------------------------------------------------------------------------------


def sealed(folder: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of the run in ``folder`` with, under ``files``, the SHA-256 and the number of rows (None where it has
    none) of each file that its numbers come from, and with a checksum of itself.
    """
    names = sorted(path.name for path in folder.iterdir() if path.is_file())
    kept = [name for name in names if name not in NOT_SEALED and not name.endswith((".safetensors", ".part"))]
    files = {name: {"sha256": file_sha256(folder / name), "rows": rows_of(folder / name)} for name in kept}
    content = {**record, "files": files}
    return {**content, "checksum": checksum(content)}


def check_record(record: Mapping[str, Any]) -> None:
    """Raises ValueError where the record is not as it was written. Those of earlier versions have no checksum."""
    if "checksum" in record and record["checksum"] != checksum(record):
        raise ValueError("it was changed after it was written")


def check_file(file: Path, record: Mapping[str, Any]) -> None:
    """Raises ValueError, in words, where a file of a run is not as the ``record`` says; OSError where it is gone."""
    expected = record.get("files", {}).get(file.name)
    if expected is None:
        return
    stat = file.stat()
    if _sha256(file, stat.st_size, stat.st_mtime_ns) == expected["sha256"]:
        return
    rows = rows_of(file)
    if rows is not None and rows != expected["rows"]:
        raise ValueError(f"it has {rows:,} rows, and {expected['rows']:,} were written")
    raise ValueError("it was changed after it was written")


@lru_cache(maxsize=256)
def _sha256(file: Path, size: int, changed: int) -> str:
    """Of a file of this size that was last changed then; computed once."""
    return file_sha256(file)


def rows_of(file: Path) -> int | None:
    """How many rows a table, an array or a list of lines has; None for any other file, and where it cannot be read."""
    try:
        if file.suffix == ".csv":
            return max(0, sum(1 for _ in csv.reader(io.StringIO(file.read_text(encoding="utf-8")))) - 1)
        if file.suffix == ".npy":
            return int(np.load(file, mmap_mode="r", allow_pickle=False).shape[0])
        if file.suffix == ".txt":
            return len(file.read_text(encoding="utf-8").split())
    except (OSError, ValueError, IndexError, csv.Error):
        return None
    return None


# --- the pictures ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Altered:
    """An image whose file is not as it was imported; ``gone``: there is none. ``reason`` says so in a sentence."""

    id: str
    file: str
    reason: str
    gone: bool


def altered(workspace: Workspace, images: pd.DataFrame, thorough: bool = False) -> list[Altered]:
    """Which of ``images`` (rows of the store's table) have files that are gone, or not those that were imported.

    Size and time are looked at; where either is another than it should be, or ``thorough``, all bytes are: their
    SHA-256 is the image's id.
    """
    before = workspace.store.fact(LOOKED_AT, 0.0)
    known = float(before) if isinstance(before, int | float) else 0.0
    found = []
    columns = (images[name] for name in ("id", "file", "bytes", "added_at"))
    for image, file, size, added in zip(*columns, strict=True):
        place = workspace.image_file(str(file))
        try:
            stat = place.stat()
            since = max(known, datetime.fromisoformat(str(added)).timestamp())
            usual = stat.st_size == int(size) and stat.st_mtime <= since + COARSE_SECONDS
            if (thorough or not usual) and file_sha256(place) != image:
                reason = f"Its file was changed after it was imported ({stat.st_size:,} bytes now, {size:,} then)."
                found.append(Altered(str(image), str(file), reason, gone=False))
        except FileNotFoundError:
            found.append(Altered(str(image), str(file), "Its file is gone from the workspace.", gone=True))
        except OSError as error:
            reason = f"Its file cannot be read any more: {error.strerror or error}."
            found.append(Altered(str(image), str(file), reason, gone=True))
    return found


def in_a_sentence(found: list[Altered], most: int = 3) -> str:
    """How many pictures are not as they were imported, with the first ones and what became of them."""
    named = "; ".join(f"{one.file.rpartition('/')[2]}: {one.reason.rstrip('.')}" for one in found[:most])
    more = f"; and {len(found) - most:,} more" if len(found) > most else ""
    which = "1 picture is not as it was" if len(found) == 1 else f"{len(found):,} pictures are not as they were"
    return f"{which} when Verify looked ({named}{more})."
