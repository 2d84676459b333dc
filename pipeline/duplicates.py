"""Which pictures are the same: equal pixels, or a close perceptual hash confirmed by a second look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

# Tuned on the starter set, solar cells (which all look alike), textile and Fashion-MNIST, with copies of their own
# pictures: recompressed, at half size, brighter, darker, cropped. tests/test_duplicates.py measures the starter set.
HASH_BITS = 10
CORRELATION = 0.97
DIFFERENCE = 64.0
COMMON_SHARE = 0.9
COMMON_FROM = 50
BLOCK = 1024
Floats = np.ndarray[Any, np.dtype[np.float32]]


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
    common = _common(tiny)
    for start in range(0, len(ids), BLOCK):
        apart = np.bitwise_count(hashes[start : start + BLOCK, None] ^ hashes[None, :])
        left, right = np.nonzero(apart <= HASH_BITS)
        left, right = left[right > left + start] + start, right[right > left + start]
        for some in range(0, len(left), BLOCK):
            i, j = left[some : some + BLOCK], right[some : some + BLOCK]
            alike = _look_alike(tiny[i], tiny[j], common)
            yield from ((ids[a], ids[b]) for a, b in zip(i[alike], j[alike], strict=True))


def _common(tiny: np.ndarray[Any, np.dtype[np.uint8]]) -> Floats:
    """What all pictures have in common (the grid of a solar cell, a grey background), as far as they are many."""
    total = np.zeros(tiny.shape[1], dtype=np.float64)
    for start in range(0, len(tiny), BLOCK):
        total += _standard(tiny[start : start + BLOCK]).sum(axis=0)
    share = min(COMMON_SHARE, len(tiny) / (len(tiny) + COMMON_FROM))
    return (share * total / len(tiny)).astype(np.float32)


def _look_alike(
    a: np.ndarray[Any, np.dtype[np.uint8]], b: np.ndarray[Any, np.dtype[np.uint8]], common: Floats
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether pairs of miniatures [N, 3072] vary alike, brighter or darker, beside what all have in common."""
    near = np.abs(a.astype(np.float32) - b.astype(np.float32)).mean(axis=1) <= DIFFERENCE
    x, y = _unit(_standard(a) - common), _unit(_standard(b) - common)
    alike: np.ndarray[Any, np.dtype[np.bool_]] = near & ((x * y).sum(axis=1) >= CORRELATION)
    return alike


def _standard(tiny: np.ndarray[Any, np.dtype[np.uint8]]) -> Floats:
    values = tiny.astype(np.float32)
    return _unit(values - values.mean(axis=1, keepdims=True))


def _unit(rows: Floats) -> Floats:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Floats = rows / np.maximum(length, np.float32(1e-6))
    return unit


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
