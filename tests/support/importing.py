"""Importing in the tests: pictures as files, and whether a workspace is whole and all else untouched."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

from PIL import Image

from pipeline.collect.entries import Refused
from pipeline.collect.importing import ImportConfig, Imported, import_images
from pipeline.stage import run
from pipeline.workspace.workspace import Workspace


def picture(number: int = 0, encoding: str = "PNG") -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256, 7)).save(target, encoding)
    return target.getvalue()


def lay(root: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(picture(number))
    return root


def bring_in(workspace: Workspace, source: object, **config: Any) -> Imported:
    return run(import_images(workspace, ImportConfig(str(source), **config)))


def figures(imported: Imported) -> tuple[int, int, tuple[Refused, ...], dict[str, int]]:
    """added, duplicates, failed and classes: what became of the pictures."""
    return imported.added, imported.duplicates, imported.failed, imported.classes


def whole(workspace: Workspace) -> None:
    """Every row has its file with the right bytes, and there is no file without a row."""
    rows = workspace.store.images()
    for row in rows.itertuples():
        data = workspace.image_file(str(row.file)).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row.id and len(data) == row.bytes
    on_disk = {path.relative_to(workspace.images).as_posix() for path in workspace.images.rglob("*") if path.is_file()}
    assert on_disk == set(rows["file"])


def snapshot(folder: Path, leave_out: Path) -> dict[str, tuple[int, int]]:
    """Every path below ``folder`` but not below ``leave_out``, with what would tell a change."""
    found = {}
    for path in folder.rglob("*"):
        if leave_out not in (path, *path.parents):
            found[str(path)] = (path.lstat().st_size, path.lstat().st_mtime_ns if path.is_file() else 0)
    return found
