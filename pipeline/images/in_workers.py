"""What worker processes make of strangers' pictures: their pixels as the network sees them, and small ones to show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from pipeline.images.decode import LARGE_SIDE, THUMBNAIL_SIDE, is_whole, save_thumbnail
from pipeline.images.opening import opening_of
from pipeline.images.sandbox import WorkerLimits, map_in_workers
from pipeline.predict import Opening, Preprocessing, Unreadable, open_image, pixels
from pipeline.workspace.records import IN_USE
from pipeline.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd  # worker processes import this module, and need none of it

Batch: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]
SEEING_LIMITS = WorkerLimits(seconds=20.0)
THUMBNAIL_LIMITS = WorkerLimits(seconds=5.0)
SAMPLE = 21


@dataclass(frozen=True)
class Wanted:
    """A file to open: its ``number`` among those asked for; ``small`` and ``large``: where re-encoded pictures of it go
    (None: nowhere).
    """

    number: int
    file: str
    small: Path | None = None
    large: Path | None = None


@dataclass(frozen=True)
class Seen:
    """``pixels`` uint8 [H, W, 3] as the network sees them; None, and a ``reason`` in words, for what is no picture."""

    pixels: Batch | None
    reason: str = ""


def seen(wanted: Iterable[Wanted], preprocessing: Preprocessing, workers: int = 0) -> Iterator[tuple[Wanted, Seen]]:
    """Each file, opened in ``workers`` processes (0: as many as there are cores), in the order in which they end."""
    return map_in_workers(
        partial(_see, preprocessing=preprocessing),
        wanted,
        lambda _, why: Seen(None, f"Decoding it was stopped: {why}."),
        workers,
        SEEING_LIMITS,
    )


def see_one(file: str, preprocessing: Preprocessing, large: Path | None = None) -> Batch:
    """The pixels of one file. Raises Unreadable with the reason."""
    ((_, found),) = seen([Wanted(0, file, large=large)], preprocessing, workers=1)
    if found.pixels is None:
        raise Unreadable("corrupt", found.reason)
    return found.pixels


def _see(wanted: Wanted, preprocessing: Preprocessing) -> Seen:
    try:
        data = Path(wanted.file).read_bytes()
    except OSError as error:
        return Seen(None, f"The file cannot be read: {error.strerror or error}.")
    except ValueError:  # a NUL in its name
        return Seen(None, "There is no such file.")
    try:
        image = open_image(data, preprocessing.opening)
    except Unreadable as trouble:
        return Seen(None, str(trouble))
    for target, side in ((wanted.small, THUMBNAIL_SIDE), (wanted.large, LARGE_SIDE)):
        if target is not None and not is_whole(target):
            save_thumbnail(image, target, side)
    return Seen(pixels(image, preprocessing))


def thumbnails(workspace: Workspace, images: pd.DataFrame) -> list[tuple[Path, str]]:
    """(thumbnail, label) of the rows of the store's table that can be shown; missing thumbnails are made."""
    places = {str(row.id): workspace.thumbnail(str(row.id)) for row in images.itertuples()}
    missing = [
        (workspace.image_file(str(row.file)), places[str(row.id)])
        for row in images.itertuples()
        if row.status != "set_aside" and not is_whole(places[str(row.id)])
    ]
    make = partial(_make, opening=opening_of(workspace))
    for _ in map_in_workers(make, missing, lambda *_: False, workers=1, limits=THUMBNAIL_LIMITS):
        pass
    labels = images["label"].fillna("no label")
    return [
        (places[str(image)], str(label))
        for image, label in zip(images["id"], labels, strict=True)
        if places[str(image)].exists()
    ]


def sample(workspace: Workspace, total: int = SAMPLE) -> list[tuple[Path, str]]:
    """(thumbnail, label) of a few pictures of each class, at most ``total``."""
    images = workspace.store.images()
    return thumbnails(workspace, a_few_of_each(images[images["status"].isin(IN_USE)], total))


def a_few_of_each(images: pd.DataFrame, total: int) -> pd.DataFrame:
    """At most ``total`` rows of the store's table: the first of each class, then the second of each, and so on."""
    turn = images.groupby("label", dropna=False, sort=False).cumcount()
    return images.assign(turn=turn).sort_values("turn", kind="stable").head(total).sort_values("label", kind="stable")


def _make(job: tuple[Path, Path], opening: Opening) -> bool:
    source, target = job
    try:
        save_thumbnail(open_image(source.read_bytes(), opening), target)
    except (Unreadable, OSError):  # verify will say what is wrong with it
        return False
    return True
