"""Uploaded files, kept for a day: loose ones side by side, a folder's laid out as it was on the person's machine."""

from __future__ import annotations

import os
import shutil
import tempfile
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.bounded import forget_old
from pipeline.errors import UsageError

UPLOADS = "winnow-upload-"
KEEP_UPLOADS_SECONDS = 86_400
MOST_FILES = 50_000
MOST_PARTS, MOST_CHARACTERS = 20, 1_000


@dataclass(frozen=True)
class KeptFolder:
    """The folder that holds what was sent, how many files are in it, and how many were not taken."""

    path: str
    files: int
    refused: int


def keep_uploads(files: Sequence[Path], place: Path | None = None) -> Path:
    """A folder with the uploaded files (of a day at most), so that an interrupted import can go on after a restart.

    It lies in ``place`` (None: where the machine keeps temporary files).
    """
    folder = _new_folder(place)
    for number, file in enumerate(files):
        target = folder / file.name
        _keep(file, folder / f"{number}-{file.name}" if target.exists() else target)
    return folder


def keep_folder(sent: Any, received: Path, place: Path | None = None) -> KeptFolder:
    """A folder laid out as the person's own, from what their page says it sent: (uploaded file, its path there) pairs.
    Files of every kind are kept, tables, annotations and empty ones too: what they mean is for the import to say.
    It lies in ``place`` (None: where the machine keeps temporary files).

    The page may say anything: only files that lie in ``received``, where uploads arrive, are taken, and no path leads
    out of the folder. Raises UsageError where nothing is left.
    """
    pairs = sent if isinstance(sent, list) else []
    if len(pairs) > MOST_FILES:
        raise UsageError(f"Send at most {MOST_FILES:,} files at a time, or put them into a zip.")
    folder = _new_folder(place)
    taken = sum(_take(pair, folder, received.resolve()) for pair in pairs)
    if not taken:
        shutil.rmtree(folder)
        raise UsageError("None of these files can be used. Choose a folder with pictures in it.")
    return KeptFolder(str(folder), taken, len(pairs) - taken)


def _take(pair: Any, folder: Path, received: Path) -> bool:
    if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
        return False
    place = place_within(pair[1])
    if place is None:
        return False
    try:
        source = Path(pair[0]).resolve(strict=True)
        target = folder / place
        if received not in source.parents or not source.is_file() or target.exists():
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        _keep(source, target)
    except (OSError, ValueError):  # a name that this disk cannot hold, or a file that is gone
        return False
    return True


def place_within(path: str) -> PurePosixPath | None:
    """The relative path of a file within a folder, composed (NFC); None where it leads out of it or cannot be one."""
    parts = unicodedata.normalize("NFC", path).replace("\\", "/").split("/")
    bad = ("", ".", "..")
    if len(path) > MOST_CHARACTERS or len(parts) > MOST_PARTS or any(part.strip() in bad for part in parts):
        return None
    if "\0" in path or (len(parts[0]) == 2 and parts[0][1] == ":"):
        return None
    return PurePosixPath(*parts)


def _new_folder(place: Path | None) -> Path:
    place = place or Path(tempfile.gettempdir())
    forget_old(place.glob(f"{UPLOADS}*"), KEEP_UPLOADS_SECONDS)
    return Path(tempfile.mkdtemp(prefix=UPLOADS, dir=place))


def _keep(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError:  # another disk
        shutil.copy2(file, target)
