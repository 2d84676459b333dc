"""Files that a page hands out: kept below Gradio's cache, where it serves them from, and made again when outdated."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

from pipeline.workspace.workspace import writing


def place_of(folder: Path, cache: Path) -> Path:
    """The folder below ``cache`` for what is made of ``folder``; it need not be there yet."""
    return cache / hashlib.sha256(str(folder).encode()).hexdigest()[:16]


def zipped(files: Mapping[str, Path], target: Path, changed: float, compression: int = zipfile.ZIP_STORED) -> Path:
    """``files``, by their names in the archive, as the zip file ``target``; one there is made again where it is older
    than ``changed`` (seconds since 1970). Pictures are not compressed once more.
    """
    if not target.exists() or target.stat().st_mtime < changed:
        with writing(target, durable=False) as part, zipfile.ZipFile(part, "w", compression) as archive:
            for name, file in files.items():
                archive.write(file, name)
    return target


def click_on(elem_id: str) -> str:
    """JavaScript that clicks a download button a moment after it has got its file."""
    return f"() => setTimeout(() => document.querySelector('#{elem_id} a, a#{elem_id}, #{elem_id}')?.click(), 300)"
