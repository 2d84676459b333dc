"""Which pictures are the same: equal pixels, or a close perceptual hash confirmed by a second look.

And which of them to keep.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pipeline.verify.close_look import CloseLook, Floats, Mask, Positions, Views

# Tuned on the starter set, solar cells (which all look alike), textile and Fashion-MNIST, with copies of their own
# pictures: recompressed, at half size, brighter, darker, cropped. tests/verify/test_duplicates.py measures the
# starter set.
HASH_BITS = 10
CORRELATION = 0.97
# A copy that was cropped agrees once the other picture is cropped too, by one of these shares of its sides. Both are
# looked at in half the size, smoothed: what is fine there is blurred by fitting one to the other, and tells nothing.
# Before that, they agree by UNZOOMED at least; then by CROPPED, and what they differ by has gone down to a third:
# strangers that look alike (bags, shirts, solar cells) do not come closer by cropping one of them.
CROPS = (0.02, 0.035, 0.05, 0.065)
CROPPED_BITS = 12
CROPPED = 0.985
UNZOOMED = 0.9
THIRD = 3.0
DIFFERENCE = 64.0
COMMON_SHARE = 0.9
COMMON_FROM = 50
COMMON_SAMPLE = 4096
CHUNK = 1024
# Hashes are compared all with all: 64 x 4,096 pairs at a time stay in a core's own cache, about 1 ns a pair.
ROWS, COLUMNS = 64, 4096
# Distances of unit vectors survive a projection on 96 random directions to within a third (Johnson and Lindenstrauss):
# that a squared one comes out 1.6 times as long has a chance of one in ten thousand (chi-squared, 96 degrees). What
# agrees as it is agrees in half the size by HALF_AS_WELL (photographs and clothes: 0.977 at least, solar cells 0.929).
DIRECTIONS = 96
LONGER = 1.6
HALF_AS_WELL = 0.92
APART = LONGER * 2 * (1 - UNZOOMED)
APART_AS_THEY_ARE = LONGER * 2 * (1 - HALF_AS_WELL)
APART_CROPPED = LONGER * 2 * (1 - CROPPED)
# Pairs make up more than one in so many of a block: a matrix product is quicker than pair by pair.
SPARSE = 16

# What best_copy looks at.
QUALITY = ("width", "height", "verdict", "bytes", "added_at", "id")
# Pictures that look alike and are more than so many, not counting copies, are a series.
HANDFUL = 5
# Among few pictures that look alike every pair is looked at closely; else each with the nearest ones first.
FEW, NEAREST, FIRST_LOOKS = 12, 4, 16

Hashes = np.ndarray[Any, np.dtype[np.uint64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Miniatures = Callable[[Sequence[str]], Bytes]

SIDE = 32
PIXELS = SIDE * SIDE * 3
HALF = SIDE // 2
HALF_PIXELS = HALF * HALF * 3
SMOOTH = (1 / 8, 3 / 8, 3 / 8, 1 / 8)


@dataclass(frozen=True)
class Grouping:
    """``groups``: image -> its duplicate group, named by one of its images. ``series``: image -> its series, for those
    that are alike with more than a handful of others that are not the same picture.
    """

    groups: dict[str, str]
    series: dict[str, str]


def group_duplicates(
    fingerprints: pd.DataFrame,
    miniatures: Miniatures,
    views: Views,
    known: Mapping[str, str],
    apart: Sequence[Collection[str]] = (),
) -> Grouping:
    """The duplicate group of every image of ``fingerprints`` (as the store gives them), and the series there are.

    ``miniatures`` gives the 32 x 32 RGB pixels of some ids, uint8 [N, 3072], for a sample and for pictures whose hashes
    are close; ``views`` those of pictures that look alike (see :data:`close_look.Views`). A group is around its best
    copy: each member agrees with that one by itself. ``known`` holds the groups given before; they keep their names
    and members, and those that turn out to be one take the name that comes first. Of a set of ``apart`` no two are
    grouped unless their pixels are equal.
    """
    rows = fingerprints.sort_values("id").reset_index(drop=True)
    ids = [str(image) for image in rows["id"]]
    places = {image: place for place, image in enumerate([*ids, *(set(known.values()) - set(ids))])}
    groups, alike = _Groups(len(places)), _Groups(len(places))
    content, _ = pd.factorize(rows["pixels"])
    _, first = np.unique(content, return_index=True)
    named = [(place, places[known[image]]) for image, place in places.items() if image in known]
    for some in (groups, alike):
        some.join(np.arange(len(content)), first[content])  # the same pixels
        some.join(*np.array(named, dtype=np.int64).reshape(-1, 2).T)
    if len(ids) > 1:
        look = _SecondLook(ids, rows["phash"], miniatures)
        _join_near(alike, rows, look)
        far = [{places[image] for image in some if image in places} for some in apart]
        different = np.flatnonzero(~rows["pixels"].duplicated().to_numpy())
        _Copies(groups, alike, look, CloseLook(ids, views), _ranks(rows), far).join(different)
    names: dict[int, str] = {}
    for image in sorted(ids, key=lambda member: (member not in known, member)):
        names.setdefault(int(groups.root[places[image]]), image)
    found = {image: names[int(groups.root[places[image]])] for image in ids}
    return Grouping(found, _series(ids, found, alike.root[: len(ids)]))


def _series(ids: Sequence[str], groups: Mapping[str, str], alike: Positions) -> dict[str, str]:
    """image -> the first image of its series: those of ``alike`` [N] that make up more than a handful of groups."""
    members: dict[int, list[str]] = {}
    for image, root in zip(ids, alike.tolist(), strict=True):
        members.setdefault(root, []).append(image)
    many = [some for some in members.values() if len({groups[image] for image in some}) > HANDFUL]
    return {image: some[0] for some in many for image in some}


def _ranks(rows: pd.DataFrame) -> Positions:
    """[N]: where each of ``rows`` stands among all, the best copy first."""
    ranks = np.empty(len(rows), dtype=np.int64)
    ranks[sorted(range(len(rows)), key=list(map(_quality, *(rows[name] for name in QUALITY))).__getitem__)] = np.arange(
        len(rows)
    )
    return ranks


def best_copy(rows: pd.DataFrame) -> str:
    """The id of the copy to keep of a duplicate group (some rows of ``store.images()``).

    The one with the most pixels; of these one that the strict decoder has no objection to; the largest file, as it is
    the least compressed; the first that was added.
    """
    return str(min(zip(*(rows[name] for name in QUALITY), strict=True), key=lambda row: _quality(*row))[-1])


def _quality(width: Any, height: Any, verdict: Any, size: Any, added_at: Any, image: Any) -> tuple[Any, ...]:
    """What orders copies (their columns QUALITY), the best first."""
    return -int(width) * int(height), verdict != "ok", -int(size), str(added_at), str(image)


class _Groups:
    """Connected components over the places 0 to ``count`` - 1; ``root`` [count] is the lowest place of each one's."""

    def __init__(self, count: int) -> None:
        self.root: Positions = np.arange(count)

    def join(self, i: Positions, j: Positions) -> None:
        """Make one group of what ``i`` [N] and ``j`` [N] lie in, pair by pair (hooking and pointer jumping)."""
        while (apart := self.apart(i, j)).any():
            a, b = self.root[i[apart]], self.root[j[apart]]
            np.minimum.at(self.root, np.maximum(a, b), np.minimum(a, b))
            while (self.root != (above := self.root[self.root])).any():
                self.root = above

    def apart(self, i: Positions, j: Positions) -> Mask:
        """Which pairs (broadcast against each other) lie in two groups."""
        apart: Mask = self.root[i] != self.root[j]
        return apart


def _join_near(groups: _Groups, rows: pd.DataFrame, look: _SecondLook) -> None:
    """Join the pictures whose hashes are close and whose miniatures agree."""
    different = np.flatnonzero(~rows["pixels"].duplicated().to_numpy())
    waiting, count = [], 0
    for start, across, close in near_blocks(look.hashes[different]):
        i, j = different[start : start + ROWS], different[across : across + COLUMNS]
        pairs = look.that_may_agree(i, j, close & groups.apart(i[:, None], j[None, :]))
        waiting.append(pairs)
        count += pairs.shape[1]
        if count >= CHUNK:
            _join_alike(groups, np.concatenate(waiting, axis=1), look)
            waiting, count = [], 0
    if waiting:
        _join_alike(groups, np.concatenate(waiting, axis=1), look)


def near_blocks(
    hashes: Hashes, bits: int = CROPPED_BITS, rows: int = ROWS, columns: int = COLUMNS
) -> Iterator[tuple[int, int, Mask]]:
    """(start, across, close) of the blocks of the upper triangle of all pairs of ``hashes`` that have any close pair.

    ``close[a, b]`` says that hashes ``start + a`` and ``across + b`` differ in at most ``bits`` bits. Every pair is
    looked at: bands of bits would be quicker on random hashes, but those of real pictures clump, up to thousands that
    are the same, and this takes the same time whatever they are.
    """

    def strip(start: int) -> list[tuple[int, int, Mask]]:
        some = hashes[start : start + rows, None]
        found = []
        for across in range(start - start % columns, len(hashes), columns):
            close = np.bitwise_count(some ^ hashes[None, across : across + columns]) <= bits
            if across < start + rows:
                close &= np.arange(start, start + len(some))[:, None] < np.arange(across, across + close.shape[1])
            if close.any():
                found.append((start, across, close))
        return found

    workers = os.cpu_count() or 1
    with ThreadPoolExecutor(workers) as pool:  # NumPy lets go of the interpreter meanwhile
        for start in range(0, len(hashes), rows * workers):  # so many at a time, that no more wait in memory
            for found in list(pool.map(strip, range(start, min(start + rows * workers, len(hashes)), rows))):
                yield from found


def _join_alike(groups: _Groups, pairs: Positions, look: _SecondLook) -> None:
    """Join those of ``pairs`` [2, N] whose miniatures agree.

    First each picture with one partner, then with more: what is joined meanwhile need not be looked at, so a thousand
    copies of one picture cost a thousand looks and not half a million.
    """
    i, j = pairs[:, np.argsort(pairs[1], kind="stable")]
    partners = 1
    while len(i):
        now = np.arange(len(j)) - np.searchsorted(j, j) < partners
        agree = np.flatnonzero(now)[look.agree(i[now], j[now])]
        groups.join(i[agree], j[agree])
        later = ~now & groups.apart(i, j)
        i, j = i[later], j[later]
        partners *= 4


@dataclass(frozen=True)
class _Copies:
    """Finds which of the pictures that look ``alike`` are one, and joins their ``groups``. ``ranks`` [N]: the best copy
    first; ``apart``: the places of pictures of which no two may be joined.
    """

    groups: _Groups
    alike: _Groups
    look: _SecondLook
    close: CloseLook
    ranks: Positions
    apart: Sequence[set[int]]

    def join(self, different: Positions) -> None:
        """Join the groups of pictures that are the same; ``different``: the places of pictures of other pixels."""
        order = different[np.argsort(self.alike.root[different], kind="stable")]
        parts = np.split(order, np.flatnonzero(np.diff(self.alike.root[order])) + 1) if len(order) else []
        parts = [part for part in parts if self.groups.apart(part[:1], part).any()]
        pairs = [self._first_pairs(part) for part in parts]
        i, j = np.concatenate(pairs, axis=1) if pairs else np.empty((2, 0), dtype=np.int64)
        same = self.close.same(i, j)
        linked = np.zeros(len(self.groups.root), dtype=np.bool_)
        linked[i[same]] = linked[j[same]] = True
        known = dict(zip(zip(i.tolist(), j.tolist(), strict=True), same.tolist(), strict=True))
        for part in parts:
            self._around_the_best(part[linked[part] | self._tied(part)], linked, known)

    def _tied(self, part: Positions) -> Mask:
        """Which of the pictures share their group with another one of ``part``."""
        _, at, count = np.unique(self.groups.root[part], return_inverse=True, return_counts=True)
        tied: Mask = count[at] > 1
        return tied

    def _first_pairs(self, part: Positions) -> Positions:
        """[2, N]: the pairs of two groups to look at first: all, or each picture with those nearest to it."""
        if len(part) <= FEW:
            i, j = part[np.stack(np.triu_indices(len(part), 1))]
        else:
            near = self.look.nearest(part, NEAREST)
            i, j = np.repeat(part, near.shape[1]), part[near.ravel()]
            i, j = np.unique(np.sort(np.stack([i, j]), axis=0), axis=1)
        two = self.groups.apart(i, j)
        return np.stack([i[two], j[two]])

    def _around_the_best(self, part: Positions, linked: Mask, known: dict[tuple[int, int], bool]) -> None:
        """Of pictures that are alike make groups: the best one with all those that are the same as it, then the best of
        what is left. What is one group already stays one, around its best copy.
        """
        units: dict[int, list[int]] = {}
        for place in sorted(part.tolist(), key=self.ranks.__getitem__):
            units.setdefault(int(self.groups.root[place]), []).append(place)
        of = {place: unit for unit in units.values() for place in unit}
        left = dict.fromkeys(of)
        for unit in units.values():
            centre = unit[0]
            if centre not in left:
                continue
            together = list(unit)
            for place in unit:
                del left[place]
            if not linked[unit].any():
                continue
            for other in self._candidates(centre, np.array(list(left), dtype=np.int64), of, known):
                judged = other if len(unit) > 1 else other[:1]
                if all(self._known([(centre, one) for one in judged], known)) and not self._kept_apart(together, other):
                    together += other
                    for place in other:
                        del left[place]
            self.groups.join(np.full(len(together), centre), np.array(together))

    def _kept_apart(self, some: Sequence[int], others: Sequence[int]) -> bool:
        return any(not told.isdisjoint(some) and not told.isdisjoint(others) for told in self.apart)

    def _known(self, pairs: Sequence[tuple[int, int]], known: dict[tuple[int, int], bool]) -> list[bool]:
        """Whether pairs are the same; what is not ``known`` yet is looked at, and told."""
        pairs = [(min(pair), max(pair)) for pair in pairs]
        if new := [pair for pair in pairs if pair not in known]:
            known.update(zip(new, self.close.same(*np.array(new, dtype=np.int64).T).tolist(), strict=True))
        return [known[pair] for pair in pairs]

    def _candidates(
        self, centre: int, left: Positions, of: Mapping[int, list[int]], known: dict[tuple[int, int], bool]
    ) -> list[list[int]]:
        """The groups ``of`` those pictures that are ``left`` and the same as the centre: the nearest are looked at
        first, more only as long as any are the same.
        """
        near = left[np.argsort(self.look.distances(centre, left), kind="stable")].tolist()
        found: dict[int, list[int]] = {}
        start, count = 0, FIRST_LOOKS
        while start < len(near):
            some = near[start : start + count]
            agreed = [
                one for one, same in zip(some, self._known([(centre, one) for one in some], known), strict=True) if same
            ]
            if not agreed:
                break
            found.update((of[one][0], of[one]) for one in agreed)
            start, count = start + count, 4 * count
        return list(found.values())


class _SecondLook:
    """Whether pictures, by their places in ``ids``, look alike: their miniatures vary alike beside what all share."""

    def __init__(self, ids: Sequence[str], hashes: Iterable[bytes], miniatures: Miniatures) -> None:
        self.hashes: Hashes = np.frombuffer(b"".join(hashes), dtype=np.uint64)
        self._ids, self._miniatures = ids, miniatures
        self._short = np.empty((len(ids), DIRECTIONS), dtype=np.float32)
        self._short_cropped = np.empty((len(ids), len(CROPS), DIRECTIONS), dtype=np.float16)
        self._mean = np.empty(len(ids), dtype=np.float32)
        self._seen, self._seen_cropped = np.zeros((2, len(ids)), dtype=np.bool_)

    def agree(self, i: Positions, j: Positions) -> Mask:
        """Whether the pairs ``i`` [N], ``j`` [N] vary alike, brighter or darker, or one of them cropped a little."""
        alike = np.zeros(len(i), dtype=np.bool_)
        for start in range(0, len(i), CHUNK):
            a, b = i[start : start + CHUNK], j[start : start + CHUNK]
            close = np.bitwise_count(self.hashes[a] ^ self.hashes[b]) <= HASH_BITS
            close &= squared(self._short[a] - self._short[b]) <= APART_AS_THEY_ARE
            some = np.flatnonzero(close | self._may_be_cropped(a, b))
            if not len(some):
                continue
            places, at = np.unique(np.concatenate([a[some], b[some]]), return_inverse=True)
            tiny, a, b = self._tiny(places), at[: len(some)], at[len(some) :]
            alike[start + some] = self._alike(tiny, a, b, close[some])
        return alike

    def _may_be_cropped(self, i: Positions, j: Positions) -> Mask:
        """Whether the pairs come close once one of them is cropped, as far as their projections tell."""
        self._see_cropped(np.union1d(i, j))
        may = np.zeros(len(i), dtype=np.bool_)
        for one, other in ((i, j), (j, i)):
            apart = self._short_cropped[one].astype(np.float32) - self._short[other][:, None]
            may |= (squared(apart) <= APART_CROPPED).any(axis=1)
        return may

    def _alike(self, tiny: Bytes, a: Positions, b: Positions, close: Mask) -> Mask:
        """Whether the pairs of rows ``a``, ``b`` of ``tiny`` agree: as they are, where their hashes are ``close``, or
        one of them cropped.
        """
        values, varying, half = tiny.astype(np.float32), self._varying(tiny), self._halved(tiny)
        near = np.abs(values[a] - values[b]).mean(axis=1) <= DIFFERENCE
        alike: Mask = near & close & (dots(varying[a], varying[b]) >= CORRELATION)
        as_they_are = dots(half[a], half[b])
        left = np.flatnonzero(near & ~alike & (as_they_are >= UNZOOMED))
        if len(left):
            a, b, as_they_are = a[left], b[left], as_they_are[left]
            best = np.full(len(left), -1.0, dtype=np.float32)
            for share in CROPS:
                cropped = self._halved(tiny, share)
                best = np.maximum(best, np.maximum(dots(cropped[a], half[b]), dots(half[a], cropped[b])))
            alike[left] = (best >= CROPPED) & (THIRD * (1 - best) <= 1 - as_they_are)
        return alike

    def that_may_agree(self, i: Positions, j: Positions, close: Mask) -> Positions:
        """The pairs [2, N] of places that ``close`` [I, J] holds of ``i`` and ``j``, without those that cannot agree.

        Few numbers a picture tell nearly all strangers, without their miniatures: a projection and the brightness.
        """
        some, others = np.flatnonzero(close.any(axis=1)), np.flatnonzero(close.any(axis=0))
        self._see(np.union1d(i[some], j[others]))
        if np.count_nonzero(close) * SPARSE > len(some) * len(others):  # a clump: many pairs of few pictures
            x, y = self._short[i[some]], self._short[j[others]]
            near = x @ y.T >= ((x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1)[None, :] - APART) / 2
            a, b = _pairs(near & close[np.ix_(some, others)])
            a, b = some[a], others[b]
        else:
            a, b = _pairs(close)
            near = ((self._short[i[a]] - self._short[j[b]]) ** 2).sum(axis=1) <= APART
            a, b = a[near], b[near]
        pairs = np.stack([i[a], j[b]])
        return pairs[:, np.abs(self._mean[pairs[0]] - self._mean[pairs[1]]) <= DIFFERENCE + 1e-3]

    def nearest(self, places: Positions, count: int) -> Positions:
        """[N, count]: of each of ``places`` [N] the nearest others, as positions in ``places``."""
        self._see(places)
        short = self._short[places]
        lengths = squared(short)
        found = np.empty((len(places), count), dtype=np.int64)
        for start in range(0, len(places), CHUNK):
            some = slice(start, start + CHUNK)
            apart = lengths[None, :] - 2 * short[some] @ short.T
            apart[np.arange(len(apart)), np.arange(start, start + len(apart))] = np.inf
            found[some] = np.argpartition(apart, count, axis=1)[:, :count]
        return found

    def distances(self, place: int, others: Positions) -> Floats:
        """[N]: how far ``others`` are from the picture at ``place``, squared, as their projections tell."""
        self._see(np.append(others, place))
        return squared(self._short[others] - self._short[place])

    def _see(self, places: Positions) -> None:
        new = places[~self._seen[places]]
        for start in range(0, len(new), CHUNK):
            some = new[start : start + CHUNK]
            tiny = self._tiny(some)
            self._short[some], self._mean[some] = self._halved(tiny) @ self._directions, tiny.mean(axis=1)
        self._seen[new] = True

    def _see_cropped(self, places: Positions) -> None:
        new = places[~self._seen_cropped[places]]
        for start in range(0, len(new), CHUNK):
            some = new[start : start + CHUNK]
            tiny = self._tiny(some)
            for number, share in enumerate(CROPS):
                self._short_cropped[some, number] = self._halved(tiny, share) @ self._directions
        self._seen_cropped[new] = True

    def _tiny(self, places: Positions) -> Bytes:
        return self._miniatures([self._ids[place] for place in places])

    def _varying(self, tiny: Bytes) -> Floats:
        """Unit vectors [N, 3072]: how pictures differ from their mean, and from what they have in common."""
        return unit(standard(tiny) - self._common[0])

    def _halved(self, tiny: Bytes, share: float = 0.0) -> Floats:
        """The same [N, 768] in half the size, without ``share`` of their width and height at the edges."""
        return unit(standard(halved(tiny, share)) - self._common[1])

    @cached_property
    def _common(self) -> tuple[Floats, Floats]:
        """What all pictures share (the grid of a solar cell, a grey background), as far as they are many; and that in
        half the size.
        """
        # Ids are hashes of files, so pictures at equal distances are picked at random.
        count = len(self._ids)
        sample = np.unique(np.linspace(0, count - 1, min(count, COMMON_SAMPLE)).astype(np.int64))
        total, half = np.zeros(PIXELS, dtype=np.float64), np.zeros(HALF_PIXELS, dtype=np.float64)
        for start in range(0, len(sample), CHUNK):
            tiny = self._tiny(sample[start : start + CHUNK])
            total += standard(tiny).sum(axis=0)
            half += standard(halved(tiny)).sum(axis=0)
        share = min(COMMON_SHARE, count / (count + COMMON_FROM)) / len(sample)
        return (share * total).astype(np.float32), (share * half).astype(np.float32)

    @cached_property
    def _directions(self) -> Floats:
        """[768, 96]: random directions of length one, the same every time."""
        signs = np.random.default_rng(0).choice([-1.0, 1.0], (HALF_PIXELS, DIRECTIONS))
        directions: Floats = (signs / np.sqrt(DIRECTIONS)).astype(np.float32)
        return directions


def _pairs(mask: Mask) -> tuple[Positions, Positions]:
    """What ``np.nonzero`` says of a matrix, in a tenth of its time."""
    rows, columns = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return rows, columns


# --- Miniatures of pictures (32 x 32 RGB) as vectors: in half the size, cropped, without their mean, of length one


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
