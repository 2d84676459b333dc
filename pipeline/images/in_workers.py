"""What a worker process does with a picture that a model is asked about: its pixels as the network sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from pipeline.images.decode import LARGE_SIDE, THUMBNAIL_SIDE, save_thumbnail
from pipeline.images.sandbox import Limits, map_in_workers
from pipeline.predict import Preprocessing, Unreadable, open_image, pixels

LIMITS = Limits(seconds=20.0)
Batch: TypeAlias = np.ndarray[Any, np.dtype[np.uint8]]


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
    return map_in_workers(partial(_see, preprocessing=preprocessing), wanted, _lost, workers, LIMITS)


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
        image = open_image(data)
    except Unreadable as trouble:
        return Seen(None, str(trouble))
    for target, side in ((wanted.small, THUMBNAIL_SIDE), (wanted.large, LARGE_SIDE)):
        if target is not None and not target.exists():
            save_thumbnail(image, target, side)
    return Seen(pixels(image, preprocessing))


def _lost(_wanted: Wanted, why: str) -> Seen:
    return Seen(None, f"Decoding it was stopped: {why}.")
