"""Which images of a workspace are one picture, which are only alike, and what a person says about it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from PIL import Image

from pipeline.errors import StoreError
from pipeline.verify.close_look import VIEW, Bytes, Positions
from pipeline.verify.duplicates import group_duplicates
from pipeline.workspace.records import NOT_SAME, Decision, State, Wish
from pipeline.workspace.workspace import Workspace

# What stands in for a thumbnail that is gone: the miniature, which is no finer than that.
COARSE_SIDE = 32


def find_duplicates(workspace: Workspace) -> None:
    """Write the duplicate group of every image that decodes, and the series that there are."""
    store = workspace.store
    prints, apart = store.fingerprints(), store.not_same()
    before = store.groups()
    known = _told_apart(before, apart)
    sides = dict(zip(prints["id"], np.minimum(prints["width"], prints["height"]).astype(int), strict=True))
    found = group_duplicates(prints, store.miniatures, partial(views, workspace, sides), known, apart)
    store.set_groups({image: group for image, group in found.groups.items() if before.get(image) != group})
    store.set_series(found.series)


def _told_apart(groups: Mapping[str, str], apart: Iterable[Iterable[str]]) -> dict[str, str]:
    """The groups without what a person said is not the same."""
    known = dict(groups)
    for images in apart:
        seen: dict[str, str] = {}
        for image in sorted(images, key=lambda image: (groups.get(image) != image, image)):
            if image in known and seen.setdefault(known[image], image) != image:
                known[image] = image
    return known


def views(workspace: Workspace, sides: Mapping[str, int], image_ids: Sequence[str]) -> tuple[Bytes, Positions]:
    """uint8 [N, 128, 128, 3]: the thumbnails of images, squished, and the shorter ``sides`` [N] of the pictures."""
    found, fine = np.empty((len(image_ids), VIEW, VIEW, 3), dtype=np.uint8), np.empty(len(image_ids), dtype=np.int64)
    step = VIEW // COARSE_SIDE
    for place, image_id in enumerate(image_ids):
        try:
            data = workspace.thumbnail(image_id).read_bytes()
            with Image.open(io.BytesIO(data)) as small:
                found[place] = np.asarray(small.convert("RGB").resize((VIEW, VIEW), Image.Resampling.BOX))
            fine[place] = sides[image_id]
        except Exception:  # noqa: BLE001 - Pillow raises many kinds for a damaged file
            # It is made again when it is asked for; meanwhile they are compared more coarsely.
            tiny = workspace.store.miniatures([image_id]).reshape(COARSE_SIDE, COARSE_SIDE, 3)
            found[place], fine[place] = tiny.repeat(step, axis=0).repeat(step, axis=1), COARSE_SIDE
    return found, fine


def not_the_same(workspace: Workspace, image_ids: Iterable[str]) -> list[Decision]:
    """Note that the images of duplicate groups, of which ``image_ids`` name some, are not the same picture, whatever
    verify says from now on. Each gets a group of its own, but for those of equal pixels; splits stay. Journalled as one
    step, and taken back by one undo.

    Raises StoreError, and nothing changes, where an image is in no group of several, or all pixels of one are equal.
    """
    store = workspace.store
    groups, prints = store.groups(), store.fingerprints()
    wishes: list[Wish] = []
    for group in dict.fromkeys(str(store.image(image)["group"]) for image in image_ids):
        members = prints[prints["id"].map(groups) == group]
        if len(members) < 2:
            raise StoreError("This image is in no duplicate group of several.")
        pixels = dict(zip(members["id"], members["pixels"], strict=True))
        own: dict[str, str] = {}
        for image in sorted(pixels, key=lambda image: (image != group, image)):
            own.setdefault(pixels[image], image)
        if len(own) < 2:
            raise StoreError("Their pixels are equal: whatever these files are called, they are one picture.")
        wishes += [Wish(image, NOT_SAME, partial(_apart, own[same])) for image, same in pixels.items()]
    return store.journal.decide(wishes)


def _apart(group: str, state: State) -> State:
    return replace(state, group=group)
