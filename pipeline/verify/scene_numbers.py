"""Numbered names (video1_f004, IMG_0012): which numbers were taken together, and whether the pictures look like it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import PurePosixPath
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from pipeline.collect.entries import FILLERS, words_of
from pipeline.labels import named
from pipeline.verify.scene_kinds import Names, time_in

Small: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
Miniatures: TypeAlias = Callable[[Sequence[str]], np.ndarray[Any, np.dtype[np.uint8]]]

# A number at the end of a name, or before the last of it. What Roboflow adds is left out before.
NUMBERED = re.compile(r"^(.*?)(\d{1,12})(\D*)$", re.DOTALL)
ADDED = re.compile(r"[_.](?:jpe?g|png|bmp|webp)\.rf\.[0-9a-f]{8,}$", re.IGNORECASE)
FRAMES, FRAME = frozenset(("frame", "frames", "still", "stills")), re.compile(r"(?:^|[\W\d_])fr?$")
RECORDINGS = frozenset(
    (
        *("video", "vid", "clip", "movie", "mov", "mvi", "film", "footage", "recording", "rec", "seq", "sequence"),
        *("take", "shot", "scene", "session", "track", "cam", "camera", "burst", "day", "visit", "patient", "subject"),
    )
)
# Numbers follow each other where they lie no further apart than this many usual steps.
STEPS = 3
# Of pictures far from each other in one folder, this share is as alike as neighbours must be to tell of an order; of
# the neighbours of a kind of name, that share must be; and to go on with a scene they must be as alike as this share.
AS_ALIKE, IN_ORDER, GOES_ON = 0.05, 0.3, 0.1
# Neighbours and pictures of a folder with which that can be judged; pairs that are drawn in a folder.
FEWEST_NEIGHBOURS, FEWEST_OF_A_FOLDER, DRAWN = 12, 8, 400
SIDE, COARSE, CHANNELS, BATCH = 32, 8, 3, 4096


@dataclass(frozen=True, order=True)
class _Numbered:
    """A picture with a number in its name; ``stem``: the rest of the name; ``folder``: where it lies."""

    number: int
    folder: str
    image: str
    stem: str
    label: str


def by_name(
    images: pd.DataFrame,
    seen: frozenset[str],
    miniatures: Miniatures,
    ordered: Collection[str] = (),
    sure: bool = False,
) -> tuple[Names, tuple[str, ...]]:
    """(id -> its scene, of pictures with a number in their names; what stands beside the numbers that are an order).

    A name that says of which recording the picture is a frame is one scene a recording. Other numbers are one scene a
    run, where neighbours look more alike than others do, or a person is ``sure`` of it; where they do not look alike
    at all any more, another scene begins. ``seen`` are the images of which there are ``miniatures`` [N, 3072];
    ``ordered``: what was found to be an order before.
    """
    stems: dict[str, list[_Numbered]] = defaultdict(list)
    for one in _numbered(images):
        stems[one.stem].append(one)
    names: Names = {}
    found: list[str] = []
    for stem, members in sorted(stems.items()):
        if _names_recording(stem, members):
            names |= {one.image: stem for one in members}
            continue
        counters = [_followed(sorted(counter)) for counter in _counters(members)]
        looks = _Looks.of([one for runs in counters for run in runs for one in run], seen, miniatures)
        if stem in ordered or looks.in_order([run for runs in counters for run in runs]):
            found.append(stem)
            counters = [[part for run in runs for part in looks.parts(run)] for runs in counters]
        elif not sure:
            continue
        for run in (run for runs in counters for run in runs):
            where = f"{run[0].folder}/" if len(counters) > 1 else ""
            ends = f"{run[0].number}" if len(run) == 1 else f"{run[0].number} to {run[-1].number}"
            names |= {one.image: f"{where}{stem}{ends}" for one in run}
    return names, tuple(found)


def _numbered(images: pd.DataFrame) -> Iterator[_Numbered]:
    rows = zip(images.index, images["source_name"], images["original_label"], strict=True)
    for image, source, label in rows:
        if pd.isna(source) or "://" in source or time_in(source):
            continue
        path = PurePosixPath(source.replace("\\", "/"))
        found = NUMBERED.match(ADDED.sub("", path.name.removesuffix(path.suffix)))
        if found:
            stem, number, rest = found.groups()
            called = "" if pd.isna(label) else str(label)
            yield _Numbered(int(number), str(path.parent), str(image), f"{stem}{rest}".casefold(), called)


def _names_recording(stem: str, members: Sequence[_Numbered]) -> bool:
    """Whether the rest of the name says which recording it is of, and is not just what its pictures are called."""
    words = set(words_of(stem))
    called = {word for one in members for label in named(one.label) for word in words_of(label)}
    numbered = any(sign.isdigit() for sign in stem)
    if numbered and words & RECORDINGS - called:
        return True
    own = words - FRAMES - FILLERS - RECORDINGS - called - {"f", "fr"}
    return bool(words & FRAMES or FRAME.search(stem)) and (numbered or bool(own))


def _counters(members: Sequence[_Numbered]) -> list[list[_Numbered]]:
    """The members whose numbers one counter may have given: all of them; where numbers recur, those of each folder."""
    if len({one.number for one in members}) == len(members):
        return [list(members)]
    folders: dict[str, list[_Numbered]] = defaultdict(list)
    for one in members:
        folders[one.folder].append(one)
    return [folders[folder] for folder in sorted(folders)]


def _followed(members: Sequence[_Numbered]) -> list[list[_Numbered]]:
    """Runs of numbers that follow each other; ``members`` are sorted."""
    steps = [b.number - a.number for a, b in pairwise(members)]
    usual = float(np.median([step for step in steps if step] or [1]))
    runs = [[members[0]]]
    for step, one in zip(steps, members[1:], strict=True):
        if step > STEPS * usual:
            runs.append([])
        runs[-1].append(one)
    return runs


def _coarse(tiny: np.ndarray[Any, np.dtype[np.uint8]]) -> Small:
    block = SIDE // COARSE
    shaped = tiny.reshape(len(tiny), COARSE, block, COARSE, block, CHANNELS)
    return np.asarray(shaped.mean(axis=(2, 4), dtype=np.float32).reshape(len(tiny), -1) / 255)


@dataclass(frozen=True)
class _Looks:
    """How alike pictures are; ``small`` [8 * 8 * 3] of each, from 0 to 1. ``order``, ``on``: how far neighbours may be
    from each other in a folder to tell of an order, and to go on with a scene.
    """

    small: Mapping[str, Small]
    order: Mapping[str, float]
    on: Mapping[str, float]

    @classmethod
    def of(cls, members: Sequence[_Numbered], seen: frozenset[str], miniatures: Miniatures) -> _Looks:
        known = [one for one in members if one.image in seen]
        if len(known) < FEWEST_OF_A_FOLDER:
            return cls({}, {}, {})
        small = np.concatenate(
            [_coarse(miniatures([one.image for one in known[at : at + BATCH]])) for at in range(0, len(known), BATCH)]
        )
        folders: dict[str, list[int]] = defaultdict(list)
        for place, one in enumerate(known):
            folders[one.folder].append(place)
        order, on = {}, {}
        chance = np.random.default_rng(0)
        for folder, places in folders.items():
            if len(places) < FEWEST_OF_A_FOLDER:
                continue
            a, b = chance.integers(0, len(places), (2, DRAWN))
            far = np.abs(a - b) >= max(2, len(places) // 4)
            rows = np.array(places)
            distances = np.abs(small[rows[a[far]]] - small[rows[b[far]]]).mean(axis=1)
            order[folder], on[folder] = (float(np.quantile(distances, share)) for share in (AS_ALIKE, GOES_ON))
        return cls({one.image: row for one, row in zip(known, small, strict=True)}, order, on)

    def apart(self, a: _Numbered, b: _Numbered) -> float:
        """How far two pictures are from each other, from 0 to 1."""
        return float(np.abs(self.small[a.image] - self.small[b.image]).mean())

    def in_order(self, runs: Sequence[Sequence[_Numbered]]) -> bool:
        """Whether neighbours are more alike than others so often that it cannot be chance."""
        pairs = [
            pair
            for run in runs
            for folder in {one.folder for one in run} & self.order.keys()
            for pair in pairwise([one for one in run if one.folder == folder and one.image in self.small])
        ]
        alike = sum(self.apart(a, b) < self.order[a.folder] for a, b in pairs)
        return len(pairs) >= FEWEST_NEIGHBOURS and alike >= IN_ORDER * len(pairs)

    def parts(self, run: Sequence[_Numbered]) -> list[list[_Numbered]]:
        """The run, cut where neither of the two pictures before looks like one of the two after."""
        found: list[list[_Numbered]] = [[run[0]]]
        usual = float(np.median(list(self.on.values()))) if self.on else 1.0
        for place, one in enumerate(run[1:], 1):
            around = product(run[max(0, place - 2) : place], run[place : place + 2])
            both = [(a, b) for a, b in around if a.image in self.small and b.image in self.small]
            near = self.on.get(one.folder, usual)
            if both and min(self.apart(a, b) for a, b in both) > near:
                found.append([])
            found[-1].append(one)
        return found
