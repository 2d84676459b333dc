"""What tells which pictures were taken together: a clock, a folder, a site. Each kind is a function of the rows of the
store (index: image id) and answers with the name of the scene of each image that it says anything of.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TypeAlias
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from pipeline.collect.entries import split_of, words_of
from pipeline.collect.places import GENERIC
from pipeline.errors import SourceError
from pipeline.labels import clean_label, named

Names: TypeAlias = dict[str, str]

# A pause shorter than the first is no new scene, one longer than the second always is; in seconds. The third is taken
# where pauses of every length are about equally common.
SHORTEST_PAUSE, LONGEST_PAUSE, USUAL_PAUSE = 60.0, 12 * 3600.0, 3600.0
WIDE_ENOUGH = 2.0
NAMED_TIME = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_.]?(\d\d)[-_.]?(\d\d)(?:[-_ T.]| at )*(\d\d)[-_.:h]?(\d\d)[-_.:m]?(\d\d)(?:\d{3})?(?!\d)"
)


# --- the clock


def by_time(images: pd.DataFrame, taken: pd.DataFrame, pause: float | None = None) -> tuple[Names, float]:
    """(scenes by camera and time, the pause in seconds that ends one). ``taken``: id, taken and camera of the images
    whose EXIF says it; of the others, a date with a time in the file's name does. ``pause``: as it was chosen before.
    """
    told: dict[str, tuple[str, datetime]] = {}
    for image, name in images["source_name"].items():
        if found := time_in(str(name)):
            told[str(image)] = found
    for row in taken.itertuples():
        if row.id in images.index:
            told[str(row.id)] = (f"exif {row.camera}", datetime.fromisoformat(str(row.taken)))
    cameras: dict[str, list[tuple[datetime, str]]] = {}
    for image, (camera, time) in told.items():
        cameras.setdefault(camera, []).append((time, image))
    ordered = sorted(sorted(shots) for shots in cameras.values())
    if pause is None:
        pause = usual_pause([p for shots in ordered for p in _pauses(shots)])
    names: Names = {}
    for camera_number, shots in enumerate(ordered, 1):
        scene = 1
        for (_, image), before in zip(shots, [0.0, *_pauses(shots)], strict=True):
            scene += before > pause
            names[image] = f"camera {camera_number}, scene {scene}"
    return names, pause


def _pauses(shots: Sequence[tuple[datetime, str]]) -> list[float]:
    return [(b - a).total_seconds() for (a, _), (b, _) in pairwise(shots)]


def usual_pause(pauses: Sequence[float]) -> float:
    """The pause that ends a scene, in seconds, from all ``pauses`` between one picture and the next.

    Within a scene they are short, between scenes long, with few between: so it lies in the middle of the widest stretch
    (as a ratio) in which none of them does, between a minute and half a day; any other in there gives the same scenes.
    """
    edges = np.array([SHORTEST_PAUSE, *np.sort(np.clip(pauses, SHORTEST_PAUSE, LONGEST_PAUSE)), LONGEST_PAUSE])
    ratios = edges[1:] / edges[:-1]
    widest = int(ratios.argmax())
    return float(np.sqrt(edges[widest] * edges[widest + 1])) if ratios[widest] >= WIDE_ENOUGH else USUAL_PAUSE


def time_in(name: str) -> tuple[str, datetime] | None:
    """(what stands before it, the time) in the name of a file, as phones and messengers write it; else None."""
    found = NAMED_TIME.search(PurePosixPath(name).name)
    if found is None or "://" in name:
        return None
    try:
        year, month, day, hour, minute, second = map(int, found.groups())
        return found.string[: found.start()].casefold(), datetime(year, month, day, hour, minute, second)
    except ValueError:
        return None


# --- folders and sites


def by_folder(images: pd.DataFrame) -> Names:
    """The folders that pictures lie in, without those that stand for their class or a split, or mean nothing."""
    files = zip(images.index, images["source_name"], images["original_label"].fillna(""), strict=True)
    places = {
        str(image): (str(PurePosixPath(name.replace("\\", "/")).parent), str(label))
        for image, name, label in files
        if not pd.isna(name) and "://" not in name
    }
    telling = {place: _folders(*place) for place in set(places.values())}
    kept = {image: telling[place] for image, place in places.items()}
    several = {folders for folders in kept.values() if folders}
    levels = [len(set(level)) for level in zip(*several, strict=False)] if len(several) > 1 else []
    shared = next((depth for depth, names in enumerate(levels) if names > 1), len(levels))
    return {image: "/".join(folders[shared:]) for image, folders in kept.items() if folders[shared:]}


def _folders(path: str, label: str) -> tuple[str, ...]:
    """The folders of a path that tell more than the label does."""
    called = {_plainly(one) for one in named(label)}
    folders = PurePosixPath(path).parts
    return tuple(folder for folder in folders if _plainly(folder) not in called and not _means_nothing(folder))


def _means_nothing(folder: str) -> bool:
    words = set(words_of(folder))
    return folder in ("/", "..") or split_of(folder) is not None or (bool(words) and words <= GENERIC)


def _plainly(name: str) -> str:
    try:
        return clean_label(name).casefold()
    except SourceError:  # no class is called so
        return ""


def by_site(images: pd.DataFrame) -> Names:
    """The host of the page that a download came from, or of its own address."""
    names: Names = {}
    for image, page, name in zip(images.index, images["source_page"], images["source_name"], strict=True):
        for address in (page, name):
            if not pd.isna(address) and (host := _host(str(address))):
                names[str(image)] = host
                break
    return names


def _host(address: str) -> str:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:  # not an address after all
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    return host.removeprefix("www.") + (f":{port}" if port else "")
