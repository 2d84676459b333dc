"""A preview of what the network will see of one's own pictures: as it is tested on them, and as it learns from them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import BackboneError, NotEnoughData
from pipeline.images.opening import opening_of
from pipeline.images.pixel_cache import CachedRows, PixelCache
from pipeline.images.sandbox import WorkerLimits, map_in_workers
from pipeline.model import backbones
from pipeline.predict import Preprocessing, Unreadable, open_image
from pipeline.workspace.limits import check_config
from pipeline.workspace.records import IN_USE
from pipeline.workspace.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from pipeline.train.config import TrainConfig
    from pipeline.train.data import Dataset

PICTURES, VIEWS = 6, 4
DECODING_LIMITS = WorkerLimits(seconds=10.0)
MUCH = 1 / 3  # of a picture's area
Array = np.ndarray[Any, np.dtype[np.uint8]]
_Item = tuple[str, Path, PixelCache]


@dataclass(frozen=True)
class Viewed:
    """One picture: ``tested`` uint8 [H, W, 3] as validation and the deployed model see it; ``learnt`` uint8
    [V, H, W, 3], random views as training draws them.
    """

    image: str
    label: str
    tested: Array
    learnt: Array


@dataclass(frozen=True)
class Preview:
    """Some pictures of a workspace as a training with these settings would see them.

    ``inputs`` float [V, N, 3, H, W] are the views as they go into the network. ``warning`` is a sentence about all
    pictures that lose much by how they are fitted; empty where few do. ``unreadable`` of the sample cannot be opened.
    """

    pictures: tuple[Viewed, ...]
    inputs: torch.Tensor
    size: tuple[int, int]
    warning: str
    unreadable: int = 0


def preview(workspace: Workspace, config: TrainConfig, pictures: int = PICTURES, views: int = VIEWS) -> Preview:
    """``pictures`` of the workspace, a sample over its classes, each with ``views`` random views; both by the seed.

    They come from the training cache, or are decoded in a process of their own. Raises NotEnoughData where there is
    none, BackboneError for an unknown backbone, and LimitReached where the workspace has limits.
    """
    from pipeline.train.data import Dataset

    check_config(workspace, asdict(config), backbones.bundled())
    preprocessing = replace(_preprocessing(config), opening=opening_of(workspace))
    rows = _sample(workspace, config.seed, pictures)
    with tempfile.TemporaryDirectory(prefix="winnow-preview-") as folder:
        theirs, ours = (
            PixelCache.of(place, preprocessing, config.presize) for place in (workspace.cache, Path(folder))
        )
        cached = _cached(workspace, rows, theirs, ours)
        known = [image in cached.places for image in rows["id"].astype(str)]
        rows = rows[known].reset_index(drop=True)
        if rows.empty:
            raise NotEnoughData("None of these pictures can be opened. Check them in Verify first.")
        dataset = Dataset.of_cache(rows, (), preprocessing, cached)
        inputs, tested = _inputs(dataset, config, views), np.asarray(dataset.exact)
    learnt = np.stack([_as_pictures(batch, preprocessing) for batch in inputs], axis=1)
    shown = zip(rows["id"].astype(str), rows["label"].astype(str), tested, learnt, strict=True)
    found = tuple(Viewed(*one) for one in shown)
    warning = fitting(workspace, preprocessing)
    return Preview(found, inputs, preprocessing.size, warning, known.count(False))


def _sample(workspace: Workspace, seed: int, pictures: int) -> pd.DataFrame:
    """Labelled pictures in use, one of each class in turn, drawn by the seed; of the train split, if there is one."""
    images = workspace.store.images()
    images = images[images["label"].notna() & images["status"].isin(IN_USE)]
    learnt = images[(images["split"] == "train") & (images["status"] == "ok")]
    images = learnt if len(learnt) else images
    if images.empty:
        raise NotEnoughData("There are no labelled pictures to show yet. Go to Collect and bring some in first.")
    drawn = images.iloc[np.random.default_rng(seed).permutation(len(images))]
    turn = drawn.groupby("label", sort=False).cumcount()
    return drawn.assign(turn=turn).sort_values("turn", kind="stable").head(pictures)


# --- what training does ----------------------------------------------------------------------------------------------


def _preprocessing(config: TrainConfig) -> Preprocessing:
    """The preprocessing that a training has, without its network."""
    import timm

    from pipeline.model.backbones import resolve
    from pipeline.train.train import preprocessing_for

    name = resolve(config.backbone)
    settings = timm.models.get_pretrained_cfg(name, allow_unregistered=True) if timm.is_model(name) else None
    if settings is None:
        raise BackboneError(f"There is no backbone '{config.backbone}'. Models lists them.")
    return preprocessing_for(settings.to_dict(), config)


def _inputs(dataset: Dataset, config: TrainConfig, views: int) -> torch.Tensor:
    """float [V, N, 3, H, W]: what training feeds the network, ``views`` times in a row."""
    import torch

    order, augmentation = np.arange(len(dataset.rows)), config.random_views
    loaded, chance = dataset.load(order, augmentation), torch.Generator().manual_seed(config.seed)
    return torch.stack([dataset.random_views(loaded, order, augmentation, chance) for _ in range(views)])


def _as_pictures(inputs: torch.Tensor, preprocessing: Preprocessing) -> Array:
    """uint8 [N, H, W, 3] of normalised float [N, 3, H, W]."""
    values = inputs.permute(0, 2, 3, 1).numpy() * np.array(preprocessing.std) + np.array(preprocessing.mean)
    shown: Array = np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)
    return shown


# --- pixels ----------------------------------------------------------------------------------------------------------


def _cached(workspace: Workspace, rows: pd.DataFrame, theirs: PixelCache, ours: PixelCache) -> CachedRows:
    """The rows of the training cache (``theirs``) where it has all of these pictures; else rows made in ``ours``."""
    ids = [str(image) for image in rows["id"]]
    cached = theirs.rows(ids)
    if all(image in cached.places for image in ids):
        return cached
    files = [workspace.image_file(str(file)) for file in rows["file"]]
    items: list[_Item] = [(image, file, ours) for image, file in zip(ids, files, strict=True)]
    for _ in map_in_workers(_decode, items, lambda *_: False, workers=1, limits=DECODING_LIMITS):
        pass
    return ours.rows(ids)


def _decode(item: _Item) -> bool:
    image, file, cache = item
    try:
        cache.add(image, open_image(file.read_bytes(), cache.geometry.opening))
        return True
    except (Unreadable, FileNotFoundError):  # verify says what is wrong with it
        return False
    finally:
        cache.close()


# --- how pictures fit ------------------------------------------------------------------------------------------------


def fitting(workspace: Workspace, preprocessing: Preprocessing) -> str:
    """What all pictures in use lose by the way they are fitted, in a sentence; empty where none loses much."""
    images = workspace.store.images("ok")
    known = images[images["width"].notna() & images["height"].notna()]
    shares = kept_shares(known["width"].tolist(), known["height"].tolist(), preprocessing)
    much = int((shares < 1 - MUCH).sum())
    if not much:
        return ""
    of_all = f"{much:,} of {len(known):,} {'picture' if len(known) == 1 else 'pictures'}"
    if preprocessing.resize == "crop":
        lose = "loses more than a third of its" if much == 1 else "lose more than a third of their"
        return f"{of_all} {lose} area by cropping; 'keep all, add borders' loses nothing."
    if preprocessing.resize == "pad":
        return f"In {of_all} more than a third of what the model sees is border; 'crop the middle' adds none."
    become = "becomes" if much == 1 else "become"
    return f"{of_all} {become} more than a third narrower or lower; 'keep all, add borders' keeps their shape."


def kept_shares(
    widths: Sequence[float], heights: Sequence[float], preprocessing: Preprocessing
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """[N]: of each picture (sizes in pixels), the share of its area that lies in the largest crop of the shape of the
    network's input; and, just so, the share of a padded input that is no border.
    """
    wanted = preprocessing.size[1] / preprocessing.size[0]
    shape = np.asarray(widths, float) / np.asarray(heights, float) / wanted
    crop = preprocessing.crop_pct**2 if preprocessing.resize == "crop" else 1.0
    kept: np.ndarray[Any, np.dtype[np.float64]] = np.minimum(shape, 1 / shape) * crop
    return kept
