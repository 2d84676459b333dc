"""Which pictures are the same: equal pixels, or a close perceptual hash confirmed by a second look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

HASH_BITS = 10
CORRELATION = 0.985
DIFFERENCE = 12.0
BLOCK = 1024


def group_duplicates(fingerprints: pd.DataFrame, known: Mapping[str, str]) -> dict[str, str]:
    """id -> duplicate group of every image of ``fingerprints`` (columns id, pixels, phash, tiny).

    A group is named by one of its images and keeps that name: ``known`` holds the groups given before. Groups that
    turn out to be one take the name that comes first.
    """
    ids = [str(image) for image in fingerprints["id"]]
    pairs = [*_equal(ids, fingerprints["pixels"]), *_near(ids, fingerprints)]
    pairs += [(image, known[image]) for image in ids if image in known]
    groups = _connected(ids, pairs)
    return {image: min(group, key=lambda member: (member not in known, member)) for group in groups for image in group}


def _equal(ids: list[str], pixels: Iterable[str]) -> Iterator[tuple[str, str]]:
    first: dict[str, str] = {}
    for image, content in zip(ids, pixels, strict=True):
        yield image, first.setdefault(content, image)


def _near(ids: list[str], fingerprints: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Pairs whose hashes differ in at most HASH_BITS of 64 bits and whose miniatures agree."""
    if len(ids) < 2:
        return
    hashes = np.frombuffer(b"".join(fingerprints["phash"]), dtype=np.uint64)
    tiny = np.frombuffer(b"".join(fingerprints["tiny"]), dtype=np.uint8).reshape(len(ids), -1)
    for start in range(0, len(ids), BLOCK):
        apart = np.bitwise_count(hashes[start : start + BLOCK, None] ^ hashes[None, :])
        left, right = np.nonzero(apart <= HASH_BITS)
        left = left + start
        later = right > left
        for i, j in zip(left[later], right[later], strict=True):
            if _look_alike(tiny[i], tiny[j]):
                yield ids[i], ids[j]


def _look_alike(a: np.ndarray[Any, np.dtype[np.uint8]], b: np.ndarray[Any, np.dtype[np.uint8]]) -> bool:
    """Whether two miniatures (0 to 255) are nearly equal, and in step where they vary."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    if float(np.abs(x - y).mean()) > DIFFERENCE:
        return False
    x, y = x - x.mean(), y - y.mean()
    size = float(np.sqrt((x @ x) * (y @ y)))
    return size == 0.0 or float(x @ y) / size >= CORRELATION


def _connected(ids: Iterable[str], pairs: Iterable[tuple[str, str]]) -> list[list[str]]:
    """The connected components (union-find with path halving) of ``pairs``, restricted to ``ids``."""
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    for a, b in pairs:
        parent[root(a)] = root(b)
    groups: dict[str, list[str]] = {}
    for image in ids:
        groups.setdefault(root(image), []).append(image)
    return list(groups.values())
