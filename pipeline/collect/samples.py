"""A few pictures of each class of a reading, small, to be looked at before anything is stored."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.collect.entries import MAX_IMAGE_BYTES, Entry
from pipeline.images.decode import save_thumbnail
from pipeline.images.sandbox import WorkerLimits, map_in_workers
from pipeline.predict import Unreadable, open_image
from pipeline.workspace.workspace import Workspace

SHOWN_CLASSES, SHOWN_OF_EACH = 24, 4
MOST_BYTES = 256 << 20
LIMITS = WorkerLimits(seconds=5.0)


def pictures_of(workspace: Workspace, entries: Iterable[Entry]) -> dict[str, list[str]]:
    """label (empty: none) -> files of small pictures, a few of each class, of the first classes; those of an earlier
    reading are gone.
    """
    place = workspace.thumbnails / "read"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    wanted: dict[str, list[Entry]] = {}
    for entry in entries:
        some = (
            wanted.setdefault(entry.label or "", []) if len(wanted) < SHOWN_CLASSES else wanted.get(entry.label or "")
        )
        if some is not None and len(some) < SHOWN_OF_EACH:
            some.append(entry)
    made: dict[str, list[str]] = {label: [] for label in wanted}
    orders = [(label, entry) for label, some in wanted.items() for entry in some]
    for (label, _, target), done in map_in_workers(_make, _with_bytes(orders, place), _lost, 1, LIMITS):
        if done:
            made[label].append(str(target))
    return {label: sorted(files) for label, files in made.items()}


def _with_bytes(orders: Sequence[tuple[str, Entry]], place: Path) -> Iterator[tuple[str, bytes, Path]]:
    left = MOST_BYTES
    for number, (label, entry) in enumerate(orders):
        if entry.size > min(MAX_IMAGE_BYTES, left):
            continue
        try:
            with entry.open() as file:
                data = file.read(MAX_IMAGE_BYTES + 1)
        except Exception:  # noqa: BLE001 - archives raise nearly everything; the import will say what is wrong with it
            continue
        left -= len(data)
        yield label, data, place / f"{number:04}-{hashlib.sha256(data).hexdigest()[:16]}.jpg"


def _make(order: tuple[str, bytes, Path]) -> bool:
    _, data, target = order
    try:
        save_thumbnail(open_image(data), target)
    except Unreadable:  # the import will say what is wrong with it
        return False
    return True


def _lost(_order: tuple[str, bytes, Path], _why: str) -> bool:
    return False
