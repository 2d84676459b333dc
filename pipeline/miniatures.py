"""Miniatures of pictures (32 x 32 RGB) as vectors: in half the size, cropped, without their mean, of length one."""

from __future__ import annotations

from typing import Any

import numpy as np

SIDE = 32
PIXELS = SIDE * SIDE * 3
HALF = SIDE // 2
HALF_PIXELS = HALF * HALF * 3
SMOOTH = (1 / 8, 3 / 8, 3 / 8, 1 / 8)

Floats = np.ndarray[Any, np.dtype[np.float32]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]


def halved(tiny: Bytes, share: float = 0.0) -> Floats:
    """Miniatures [N, 3072] in half the size [N, 768] (channel, column, row), smoothed; without ``share`` of their width
    and height at the edges.
    """
    weights = _halving(share)
    values = tiny.reshape(-1, SIDE, SIDE, 3).transpose(0, 3, 1, 2).astype(np.float32)
    columns: Floats = (values.reshape(-1, SIDE) @ weights).reshape(len(tiny), 3, SIDE, HALF)
    half: Floats = columns.transpose(0, 1, 3, 2).reshape(-1, SIDE) @ weights
    return half.reshape(len(tiny), HALF_PIXELS)


def _halving(share: float) -> Floats:
    """[32, 16]: the weights of a line's pixels in half as many, without ``share`` of the line at its ends."""
    at: Floats = (SIDE * share / 2 + (np.arange(SIDE, dtype=np.float32) + 0.5) * (1 - share) - 0.5).astype(np.float32)
    low = np.floor(at).astype(int)
    fitted, smooth = np.zeros((SIDE, SIDE), dtype=np.float32), np.zeros((HALF, SIDE), dtype=np.float32)
    for offset, weight in ((0, 1 - (at - low)), (1, at - low)):
        np.add.at(fitted, (np.arange(SIDE), np.clip(low + offset, 0, SIDE - 1)), weight)
    for offset, weight in enumerate(SMOOTH, -1):
        pixels = np.arange(HALF)
        np.add.at(smooth, (pixels, np.clip(2 * pixels + offset, 0, SIDE - 1)), weight)
    weights: Floats = np.ascontiguousarray((smooth @ fitted).T)
    return weights


def dots(some: Floats, others: Floats) -> Floats:
    """The products [N] of vectors [N, D], row by row."""
    products: Floats = np.einsum("nd,nd->n", some, others)
    return products


def squared(rows: Floats) -> Floats:
    """The squared lengths of vectors along the last axis."""
    lengths: Floats = np.einsum("...d,...d->...", rows, rows)
    return lengths


def standard(tiny: Bytes | Floats) -> Floats:
    """Each row of [N, D] without its mean, at length one."""
    values = tiny.astype(np.float32)
    return unit(values - values.mean(axis=1, keepdims=True))


def unit(rows: Floats) -> Floats:
    """Each row of [N, D] at length one."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    units: Floats = rows / np.maximum(length, np.float32(1e-6))
    return units
