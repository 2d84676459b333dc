"""What a pretrained network sees in each picture: computed once, kept in the workspace, for sheets and for likeness."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
import torch

from pipeline.errors import StoreError
from pipeline.images.opening import opening_of
from pipeline.images.pixel_cache import PixelCache
from pipeline.model import backbones
from pipeline.model.frozen_body import WORTH_COMPILING, Body, NotCompiled, compiled, plain
from pipeline.predict import Preprocessing, Unreadable, normalise, open_image, pixels
from pipeline.stage import Progress, Stage
from pipeline.verify.verify import verify
from pipeline.workspace.records import IN_USE
from pipeline.workspace.workspace import Workspace, clear_killed, writing

Rows: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
# Pictures whose features are written at once: what is lost where it is stopped.
AT_ONCE = 64
NOTE = "Looking at every picture"


@dataclass(frozen=True)
class Seen:
    """The ``ids`` of pictures, and ``features`` [N, F] of each."""

    ids: tuple[str, ...]
    features: Rows


def seen(workspace: Workspace) -> Seen:
    """What is known of the pictures in use that were checked, oldest first; nothing is computed."""
    return _of(workspace, _kept(_folder(workspace)))


def _of(workspace: Workspace, found: Mapping[str, Rows]) -> Seen:
    ids = tuple(str(image) for image in workspace.store.images("ok")["id"] if str(image) in found)
    return Seen(ids, np.stack([found[image] for image in ids]).astype(np.float32) if ids else np.zeros((0, 1), "f4"))


def unseen(workspace: Workspace) -> int:
    """How many pictures in use have no label and were not looked at yet."""
    images = workspace.store.images()
    waiting = images["id"][images["status"].isin(IN_USE) & images["label"].isna()]
    return int((~waiting.isin(seen(workspace).ids)).sum()) if len(waiting) else 0


@dataclass(frozen=True)
class LookConfig:
    """``check``: whether new pictures are checked first (see Verify)."""

    check: bool = True


def look(workspace: Workspace, config: LookConfig | None = None) -> Stage[Seen]:
    """Look at every picture that was not looked at, with the bundled network as it comes, about 10 ms each; new ones
    are checked first. What was seen before it is stopped stays.

    >>> w.run(w.look(ws)).features.shape
    (60, 1280)
    """
    if (config or LookConfig()).check and (workspace.store.images()["status"] == "new").any():
        yield from verify(workspace)
    folder = _folder(workspace)
    clear_killed(folder)
    known = _kept(folder)
    images = workspace.store.images("ok")
    missing = images[~images["id"].isin(list(known))]
    if len(missing):
        yield Progress(0, len(missing), NOTE)
        done = 0
        for ids, features in _looked_at(workspace, missing[["id", "file"]].itertuples(index=False)):
            known |= _keep(folder, ids, features)
            done += len(ids)
            yield Progress(done, len(missing), NOTE)
    return _of(workspace, known)


def _folder(workspace: Workspace) -> Path:
    """Below the cache: it can be made again. Other weights, another size or scale have a folder of their own."""
    opening = opening_of(workspace)
    scale = "-".join(f"{one[0]:g}to{one[1]:g}" for one in (opening.whole, opening.real) if one is not None)
    return workspace.cache / f"features-{backbones.DEFAULT}{f'-{scale}' if scale else ''}"


def _kept(folder: Path) -> dict[str, Rows]:
    """id -> features of all that is kept; a file that cannot be read is as good as none."""
    found: dict[str, Rows] = {}
    for file in sorted(folder.glob("*.npz")):
        try:
            with np.load(file, allow_pickle=False) as both:
                ids, features = both["ids"], both["features"]
            if features.ndim == 2 and len(ids) == len(features) and np.isfinite(features).all():
                found.update(zip((str(one) for one in ids), features, strict=True))
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            continue
    return found


def _keep(folder: Path, ids: Sequence[str], features: Rows) -> dict[str, Rows]:
    """Write them; id -> features as they are kept."""
    kept = features.astype(np.float16)
    try:
        with writing(folder / f"{uuid.uuid4().hex}.npz", durable=False) as part, part.open("xb") as file:
            np.savez(file, ids=np.array(ids), features=kept)
            file.close()  # before it gets its name
    except OSError as error:
        raise StoreError(
            f"What was seen in the pictures cannot be kept in {folder}: {error.strerror or error}. Free some space."
        ) from error
    return dict(zip(ids, kept, strict=True))


def _looked_at(workspace: Workspace, rows: Any) -> Iterator[tuple[list[str], Rows]]:
    """(ids, features) of some at a time. A picture that cannot be opened any more is left out."""
    model = backbones.create(backbones.DEFAULT, 2).eval().to(memory_format=torch.channels_last)
    config = model.pretrained_cfg
    preprocessing = replace(
        Preprocessing(mean=tuple(config["mean"]), std=tuple(config["std"])), opening=opening_of(workspace)
    )
    waiting = list(rows)
    cached = PixelCache.of(workspace.cache, preprocessing).rows(str(row.id) for row in waiting)
    body: Body | None = None

    def picture(row: Any) -> Any:
        if str(row.id) in cached.places:
            return cached.column("exact", [str(row.id)])[0]
        try:
            return pixels(open_image(workspace.image_file(str(row.file)), preprocessing.opening), preprocessing)
        except (OSError, Unreadable):
            return None

    with ThreadPoolExecutor(os.cpu_count() or 1) as threads, torch.inference_mode():
        for start in range(0, len(waiting), AT_ONCE):
            some = waiting[start : start + AT_ONCE]
            opened = [(str(row.id), one) for row, one in zip(some, threads.map(picture, some), strict=True)]
            ids = [image for image, one in opened if one is not None]
            if not ids:
                continue
            batch = normalise(torch.from_numpy(np.stack([one for _, one in opened if one is not None])), preprocessing)
            body = body or _body(model, batch, len(waiting))
            yield ids, body(batch).float().numpy()


def _body(model: Any, batch: torch.Tensor, count: int) -> Body:
    if count < WORTH_COMPILING:
        return plain(model)
    try:
        return compiled(model, batch)
    except NotCompiled:
        return plain(model)
