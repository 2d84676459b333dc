"""A close look at two pictures that look alike: are they one, but for saving, resizing and an editor's sliders?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

VIEW = 128
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Positions = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float32]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Views = Callable[[Sequence[str]], tuple[Bytes, Positions]]
"""The pictures with some ids, squished to uint8 [N, 128, 128, 3], and the shorter side [N] of each in pixels."""

# (pixels of the sides that pictures are compared at, for which shorter sides of the smaller of the two: from, below).
# What a copy lost in size says nothing; 128 after 64, as most that are not the same differ there already.
GRIDS = ((32, 0, 96), (64, 96, 1 << 30), (128, 192, 1 << 30))
COARSE, CELLS = 32, 16
# An editor's sliders make a picture brighter (black stays black) or change its contrast (its mean stays), to within a
# few grey levels; another rule, like black made grey on a background that stays white, is another thing's colour.
BLACK_STAYS, MEAN_STAYS, GAINS = 16.0, 6.0, (0.6, 1.6)
FADED = 1e-4
CLIPPED_LOW, CLIPPED_HIGH = 4.0, 251.0
OUTLIER, TURNS = 3.0, 4
# What saving and resizing leave, in grey levels: some everywhere, and a share of how much the picture changes there.
LEVELS, OF_CHANGE = 2.0, 0.1
# Measured: see docs/verify.md. A part of one picture differs so many times more than its median part does.
APART, APART_CROPPED, AT_LEAST = 3.8, 4.8, 0.5
# Shares of the sides that a crop may take away. Both are looked at at 32 pixels; cropping has to take what the two
# differ by down to five eighths: pictures that are only alike do not come closer that way.
SHARES, STEPS = (0.01, 0.02, 0.035, 0.05, 0.065), (-0.01, -0.005, 0.005, 0.01)
WORTH, LEFT = 1.2, 1.6
CHUNK, KEPT = 64, 1024
GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)


class CloseLook:
    """Whether pictures, by their places in ``ids``, are one: what differs is nowhere much more than everywhere.

    The second look takes the brightness off before it compares, which is what tells a black shirt from a grey one. Here
    one rule of gain, offset and colour is fitted to the whole picture, by what most of it shows, and what is left over
    is looked at part by part.
    """

    def __init__(self, ids: Sequence[str], views: Views) -> None:
        self._ids, self._views = ids, views
        self._kept: dict[int, tuple[Bytes, int]] = {}

    def same(self, i: Positions, j: Positions) -> Mask:
        """Whether the pairs ``i`` [N], ``j`` [N] are one picture, or one of them the other cropped by some per cent."""
        found = np.zeros(len(i), dtype=np.bool_)
        for start in range(0, len(i), CHUNK):
            part = slice(start, start + CHUNK)
            places, at = np.unique(np.concatenate([i[part], j[part]]), return_inverse=True)
            pixels, sides = self._seen(places)
            a, b = at[: len(i[part])], at[len(i[part]) :]
            found[part] = _same(pixels, a, b, np.minimum(sides[a], sides[b]))
        return found

    def _seen(self, places: Positions) -> tuple[Bytes, Positions]:
        new = [int(place) for place in places if int(place) not in self._kept]
        if new:
            if len(self._kept) + len(new) > KEPT:
                self._kept = {place: self._kept[place] for place in map(int, places) if place in self._kept}
            pixels, sides = self._views([self._ids[place] for place in new])
            self._kept |= {place: (pixels[k], int(sides[k])) for k, place in enumerate(new)}
        kept = [self._kept[int(place)] for place in places]
        return np.stack([pixels for pixels, _ in kept]), np.array([side for _, side in kept])


def _same(pixels: Bytes, a: Positions, b: Positions, sides: Positions) -> Mask:
    """Whether the rows ``a`` [N], ``b`` [N] of ``pixels`` are one; ``sides`` [N]: their smaller one's shorter side."""
    small = _fitted(pixels, COARSE)
    rules = _tone(small[a], small[b])
    same = _by_slider(small[a], rules)
    for grid, least, below in GRIDS:
        some = np.flatnonzero(same & (sides >= least) & (sides < below))
        if len(some):
            fine = _fitted(pixels, grid)
            same[some] = difference(fine[a[some]], fine[b[some]], rules[some]) <= APART
    left = np.flatnonzero(~same)
    if len(left):
        same[left] = _cropped(_fitted(pixels, 2 * COARSE), a[left], b[left])
    return same


def _cropped(middle: Floats, a: Positions, b: Positions) -> Mask:
    """Whether one of each pair of rows of ``middle`` [N, 64, 64, 3] is the other one cropped."""
    small = _fitted(middle, COARSE)
    whole = _unit(small)
    as_they_are = 1 - _dots(whole[a], whole[b])
    best, share, turned = as_they_are.copy(), np.zeros(len(a), dtype=np.float32), np.zeros(len(a), dtype=np.bool_)

    def attempt(some: Positions, shares: Floats) -> None:
        for value in np.unique(shares):
            at = some[shares == value]
            for other_way, (one, other) in enumerate(((a[at], b[at]), (b[at], a[at]))):
                apart = 1 - _dots(_unit(_fitted(middle[one], COARSE, float(value))), whole[other])
                closer = at[apart < best[at]]
                best[closer], share[closer], turned[closer] = apart[apart < best[at]], value, bool(other_way)

    everything = np.arange(len(a))
    for value in SHARES:
        attempt(everything, np.full(len(a), value, dtype=np.float32))
    worth = np.flatnonzero(WORTH * best <= as_they_are)
    coarse = share[worth]
    for step in STEPS:
        attempt(worth, coarse + np.float32(step))
    same = np.zeros(len(a), dtype=np.bool_)
    found = np.flatnonzero(LEFT * best <= as_they_are)
    for value in np.unique(share[found]):
        some = found[share[found] == value]
        one, other = np.where(turned[some], b[some], a[some]), np.where(turned[some], a[some], b[some])
        part = _fitted(middle[one], COARSE, float(value))
        rules = _tone(part, small[other])
        same[some] = _by_slider(part, rules) & (difference(part, small[other], rules) <= APART_CROPPED)
    return same


def difference(some: Floats, others: Floats, rules: Floats) -> Floats:
    """How much more pairs of pictures [N, G, G, 3] differ in one part than in their median part, beyond noise, once the
    first ones are toned by ``rules`` [N, 3].
    """
    told = _toned(some, rules)
    change = _cells(((others - told) ** 2).max(axis=3))
    noise = LEVELS**2 + OF_CHANGE**2 * _cells(_slopes(told @ GREY))
    parts = np.sqrt(change / noise).reshape(len(some), -1)
    most: Floats = parts.max(axis=1) / (AT_LEAST + np.median(parts, axis=1))
    return most


def _by_slider(pictures: Floats, rules: Floats) -> Mask:
    """Whether the rules [N, 3] of :func:`_tone` are what an editor does to ``pictures`` [N, H, W, 3] as a whole."""
    gain = 1 + (rules[:, 0] + rules[:, 1]) / 255
    offset = rules[:, 2]
    mean = (pictures @ GREY).mean(axis=(1, 2))
    stays = (np.abs(offset) <= BLACK_STAYS) | (np.abs(offset + (gain - 1) * mean) <= MEAN_STAYS)
    paler = (1 + rules[:, 0] / 255) / np.maximum(gain, np.float32(1e-3))
    possible: Mask = stays & (gain >= GAINS[0]) & (gain <= GAINS[1]) & (paler >= GAINS[0]) & (paler <= GAINS[1])
    return possible


def _tone(some: Floats, others: Floats) -> Floats:
    """[N, 3]: gain, colour and offset that make ``others`` [N, H, W, 3] of ``some``, by what most pixels show."""
    count = len(some)
    grey = np.repeat((some @ GREY).reshape(count, -1), 3, axis=1)
    x, y = some.reshape(count, -1), others.reshape(count, -1)
    terms = np.stack([x / 255, grey / 255, np.ones_like(x)], axis=2)
    inside = ((np.minimum(x, y) > CLIPPED_LOW) & (np.maximum(x, y) < CLIPPED_HIGH)).astype(np.float32)
    weights, rules = inside + np.float32(1e-3), np.zeros((count, 3), dtype=np.float32)
    for _ in range(TURNS):
        weighed = np.swapaxes(terms * weights[..., None], 1, 2)
        faded = (FADED * weights.sum(axis=1, dtype=np.float64))[:, None, None] * np.diag([1.0, 1.0, 1e-3])
        rules = np.linalg.solve(weighed @ terms + faded, weighed @ (y - x)[..., None])[..., 0].astype(np.float32)
        left = y - np.clip(x + (terms @ rules[..., None])[..., 0], 0, 255)
        weights = inside / (1 + (left / OUTLIER) ** 2) + np.float32(1e-3)
    return rules


def _toned(pictures: Floats, rules: Floats) -> Floats:
    gain, colour, offset = (rule[:, None, None, None] for rule in rules.T)
    toned: Floats = np.clip(
        pictures * (1 + gain / 255) + (pictures @ GREY)[..., None] * (colour / 255) + offset, 0, 255
    )
    return toned


def _cells(values: Floats) -> Floats:
    """[N, H, W] averaged over 16 x 16 parts."""
    side = values.shape[1] // CELLS
    cells: Floats = values.reshape(len(values), CELLS, side, CELLS, side).mean(axis=(2, 4))
    return cells


def _slopes(grey: Any) -> Floats:
    """The squared slope of pictures [N, H, W] at each pixel."""
    edged = np.pad(grey, ((0, 0), (1, 1), (1, 1)), "edge")
    down, right = edged[:, 2:, 1:-1] - edged[:, :-2, 1:-1], edged[:, 1:-1, 2:] - edged[:, 1:-1, :-2]
    slopes: Floats = (down**2 + right**2) / 4
    return slopes


def _fitted(pictures: Bytes | Floats, side: int, share: float = 0.0) -> Floats:
    """Pictures [N, S, S, C] at ``side`` pixels, without ``share`` of their width and height at the edges."""
    count, before, _, colours = pictures.shape
    values = pictures.astype(np.float32, copy=False)
    if not share:
        step = before // side
        return values if step == 1 else values.reshape(count, side, step, side, step, colours).mean(axis=(2, 4))
    weights = _weights(before, side, share)
    down: Floats = weights @ values.reshape(count, before, before * colours)
    fitted: Floats = (weights @ down.reshape(count * side, before, colours)).reshape(count, side, side, colours)
    return fitted


@cache
def _weights(before: int, side: int, share: float) -> Floats:
    """[side, before]: what of a line's pixels goes into each of ``side`` equal pieces, ``share`` of it left out."""
    ends = before * (share / 2 + np.linspace(0, 1, side + 1) * (1 - share))
    pixels = np.arange(before)
    low, high = np.maximum(ends[:-1, None], pixels), np.minimum(ends[1:, None], pixels + 1)
    weights: Floats = (np.clip(high - low, 0, None) / (ends[1] - ends[0])).astype(np.float32)
    return weights


def _dots(some: Floats, others: Floats) -> Floats:
    products: Floats = np.einsum("nd,nd->n", some, others)
    return products


def _unit(pictures: Floats) -> Floats:
    """Each of pictures [N, ...] as a row without its mean, of length one."""
    rows = pictures.reshape(len(pictures), -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    units: Floats = rows / np.maximum(np.sqrt(_dots(rows, rows))[:, None], np.float32(1e-6))
    return units
