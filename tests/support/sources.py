"""Folders, archives and tables as sources of an import, and what is found in them."""

from __future__ import annotations

import csv
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

from pipeline.collect.entries import Entry, Labelling, Link, Refused
from pipeline.collect.sources import read


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


def found(source: Path, **how: Any) -> list[Entry | Link | Refused | str]:
    """Everything that was found: entries, links, what is refused, notes."""
    reading = read(source, Labelling(**how))
    return [*reading.entries, *reading.links, *reading.refused, *reading.notes]


def placed(source: Path, **how: Any) -> dict[str, tuple[str | None, str | None]]:
    """name -> (label, split) of the files that are taken."""
    return {entry.name: (entry.label, entry.split) for entry in read(source, Labelling(**how)).entries}


def refused(source: Path, **how: Any) -> dict[str, str]:
    return {one.path: one.reason for one in read(source, Labelling(**how)).refused}


def notes(source: Path, **how: Any) -> list[str]:
    return list(read(source, Labelling(**how)).notes)
