"""Data that is given twice: ``chest/train`` and ``chest/chest/train``, or one folder in two spellings."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from pipeline.collect.entries import File, shown
from pipeline.collect.reading import number

CHUNK = 1 << 20
LEAST = 2


def given_twice(files: Sequence[File]) -> tuple[dict[PurePosixPath, PurePosixPath], tuple[str, ...]]:
    """Which files are there a second time below a folder that repeats the one it lies in, or in another spelling of
    their folder: the second place -> the first; and that in words. Their sizes are the same, and every byte.
    """
    by_path = {file.path: file for file in files}
    pairs = _in_other_spelling(files) | _repeated(by_path)
    wanted = {path for pair in pairs.items() for path in pair}
    digests = {path: _digest(file) for path, file in by_path.items() if path in wanted}  # in the order of an archive
    same = {
        second: first
        for second, first in pairs.items()
        if digests[second] is not None and digests[second] == digests[first]
    }
    same = {second: first for second, first in same.items() if first not in same}
    return same, _in_words(same)


def _repeated(by_path: Mapping[PurePosixPath, File]) -> dict[PurePosixPath, PurePosixPath]:
    """Files whose path is that of another, with one folder more in it, where most of that folder's files are such."""
    by_parts = {path.parts: file for path, file in by_path.items()}
    below: Counter[tuple[str, ...]] = Counter()
    found: dict[tuple[str, ...], dict[PurePosixPath, PurePosixPath]] = {}
    for parts, file in by_parts.items():
        for depth in range(len(parts) - 1):
            folder = parts[: depth + 1]
            below[folder] += 1
            if len(parts) - depth < 3 and parts[depth] != (parts[depth - 1] if depth else None):
                continue
            other = by_parts.get((*parts[:depth], *parts[depth + 1 :]))
            if other is not None and other.size == file.size:
                found.setdefault(folder, {})[file.path] = other.path
    pairs: dict[PurePosixPath, PurePosixPath] = {}
    for folder, here in found.items():
        if len(here) * 2 >= below[folder] and len(here) >= min(LEAST, below[folder]):
            pairs.update(here)
    return pairs


def _in_other_spelling(files: Sequence[File]) -> dict[PurePosixPath, PurePosixPath]:
    """Files whose folders differ from those of an earlier one in capitals alone."""
    seen: dict[tuple[str, ...], File] = {}
    pairs: dict[PurePosixPath, PurePosixPath] = {}
    for file in files:
        key = tuple(part.casefold() for part in file.path.parts)
        first = seen.setdefault(key, file)
        if first is not file and first.size == file.size and first.path.name == file.path.name:
            pairs[file.path] = first.path
    return pairs


def _digest(file: File) -> bytes | None:
    digest = hashlib.blake2b()
    try:
        with file.open() as opened:
            while data := opened.read(CHUNK):
                digest.update(data)
    except Exception:  # noqa: BLE001 - archives raise zlib, lzma, zipfile and tarfile errors, and OSError: it is told later
        return None
    return digest.digest()


def _in_words(same: Mapping[PurePosixPath, PurePosixPath]) -> tuple[str, ...]:
    if not same:
        return ()
    second, first = next(iter(same.items()))
    return (
        f"{number(len(same), 'picture')} {'is' if len(same) == 1 else 'are'} given twice ({shown(second)} is "
        f"{shown(first)}); each is taken once.",
    )
