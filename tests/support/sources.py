"""Folders, archives and tables as sources of an import, and what is found in them."""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from pipeline.collect.entries import Entry, Found, Labelling, Note, Refused
from pipeline.collect.sources import entries


def lay(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(f"content of {name}".encode())
    return root


def zipped(target: Path, *names: str) -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            archive.writestr(name, f"content of {name}")
    return target


def tarred(target: Path, *names: str) -> Path:
    with tarfile.open(target, "w:gz" if target.suffix in (".gz", ".tgz") else "w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(f"content of {name}".encode())
            archive.addfile(member, io.BytesIO(f"content of {name}".encode()))
    return target


def table(target: Path, *rows: list[str], encoding: str = "utf-8", delimiter: str = ",") -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return target


def found(source: Path, **how: Any) -> list[Found]:
    return list(entries(source, Labelling(**how)))


def placed(source: Path, **how: Any) -> dict[str, tuple[str | None, str | None]]:
    """name -> (label, split) of the files that are taken."""
    return {e.name: (e.label, e.split) for e in found(source, **how) if isinstance(e, Entry)}


def refused(source: Path, **how: Any) -> dict[str, str]:
    return {e.path: e.reason for e in found(source, **how) if isinstance(e, Refused)}


def notes(source: Path, **how: Any) -> list[str]:
    return [e.text for e in found(source, **how) if isinstance(e, Note)]
