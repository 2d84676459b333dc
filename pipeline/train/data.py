"""Store rows -> a dataset and batches of it: the pixels that Verify put by, decoded now where it did not."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import torch
from PIL import Image

from pipeline.errors import NotEnoughData, TrainingError, UsageError
from pipeline.images.decode import squished
from pipeline.images.pixel_cache import Array, CachedRows, PixelCache, Pixels
from pipeline.labels import answers_of, classes_of, named
from pipeline.predict import NONE, SEVERAL, Opening, Outputs, Preprocessing, Unreadable, normalise, open_image, pixels
from pipeline.stage import Progress, Stage
from pipeline.train.augment import EVERYTHING, augment, shrunk
from pipeline.train.config import Augmentation
from pipeline.workspace.seals import altered, in_a_sentence
from pipeline.workspace.workspace import Workspace

MIN_TRAIN_PER_CLASS = 2
GIVEN = "Their source put them there, and a split that was given is kept."
ADD_FREE = (
    "Import pictures that no folder and no column gives a split: some are drawn for what is missing. Or begin a new "
    "workspace, and import without --split-from folders."
)
T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Dataset:
    """What a training sees. ``rows``: id, label, split, group, one row a picture; ``outputs``: what a network is to say
    of them (its thresholds are not chosen yet).

    ``exact`` uint8 [N, H, W, 3]: the pictures as the deployed model will see them. ``squished`` uint8 [N, S, S, 3]:
    whole pictures with some room for random crops; ``aspect`` [N]: their width / height before squishing. ``note``:
    what the person should know of how they are kept.
    """

    rows: pd.DataFrame
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    exact: Pixels
    squished: Pixels
    aspect: np.ndarray[Any, np.dtype[np.float32]]
    note: str = ""
    outputs: Outputs = field(default_factory=Outputs)

    @classmethod
    def of_cache(
        cls,
        rows: pd.DataFrame,
        classes: tuple[str, ...],
        preprocessing: Preprocessing,
        cached: CachedRows,
        outputs: Outputs | None = None,
    ) -> Dataset:
        """The dataset of ``rows``, whose pictures are all ``cached``."""
        ids = [str(image) for image in rows["id"]]
        exact, whole, aspect = (cached.column(name, ids) for name in ("exact", "squished", "aspect"))
        return cls(rows, classes, preprocessing, exact, whole, np.asarray(aspect), outputs=outputs or Outputs())

    def positions(self, *splits: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The row numbers of the pictures in ``splits``."""
        return np.flatnonzero(self.rows["split"].isin(splits).to_numpy())

    def load(self, order: np.ndarray[Any, Any], augmentation: Augmentation | None, device: str = "cpu") -> torch.Tensor:
        """uint8 [N, S, S, 3]: on the device, what :meth:`random_views` are made of."""
        source = self.exact if augmentation is None else self.squished
        found = torch.from_numpy(source[order])
        return found.pin_memory().to(device, non_blocking=True) if device == "cuda" else found.to(device)

    def random_views(
        self,
        loaded: torch.Tensor,
        order: np.ndarray[Any, Any],
        augmentation: Augmentation | None,
        chance: torch.Generator,
        size: tuple[int, int] | None = None,
        part: slice = EVERYTHING,
    ) -> torch.Tensor:
        """[N, 3, H, W]: what the network sees in training of the pictures at ``order``, or of that ``part`` of them
        which was ``loaded``. ``size``: (height, width) in pixels (None: that of the network's input).
        """
        preprocessing = replace(self.preprocessing, size=size or self.preprocessing.size)
        if augmentation is None:
            exact = normalise(loaded, preprocessing)
            return exact if size in (None, self.preprocessing.size) else shrunk(exact, preprocessing.size)
        return augment(loaded, torch.from_numpy(self.aspect[order]), augmentation, preprocessing, chance, part)


def usable_rows(workspace: Workspace, head: str = "auto") -> tuple[pd.DataFrame, tuple[str, ...], Outputs]:
    """(rows, classes, outputs) of what can be trained on: status ok, labelled, with a split.

    ``head``: softmax, sigmoid, or auto: sigmoid where a picture has several labels. Raises NotEnoughData, and
    UsageError for softmax where a picture has several labels.
    """
    images = workspace.store.images("ok")
    rows = images[images["label"].notna() & images["split"].notna()].reset_index(drop=True)
    outputs = _outputs_for(rows, head)
    classes = classes_of(rows["label"].astype(str), outputs)
    _check_enough(rows, answers_of(classes, outputs) if NONE in set(rows["label"]) else classes, outputs)
    return rows, classes, outputs


def check_classes(images: pd.DataFrame, head: str = "auto") -> None:
    """Raises NotEnoughData where the labelled ones of these ``images`` could be of two classes in no case, whatever
    Verify says; UsageError as :func:`usable_rows`.
    """
    rows = images[images["label"].notna()].reset_index(drop=True)
    outputs = _outputs_for(rows, head)
    _check_two(rows, classes_of(rows["label"].astype(str), outputs), outputs)


def _outputs_for(rows: pd.DataFrame, head: str) -> Outputs:
    several = [str(label) for label in rows["label"] if SEVERAL in str(label)]
    if several and head == "softmax":
        example = ", ".join(several[0].split(SEVERAL)[:3])
        raise UsageError(
            f"{len(several)} of {len(rows)} pictures have several labels ({example} …), and a softmax head gives each "
            "picture one. Train with --head sigmoid, or give each picture one label in Clean."
        )
    return Outputs("sigmoid", bool(several)) if several or head == "sigmoid" else Outputs()


def _check_enough(rows: pd.DataFrame, classes: Sequence[str], outputs: Outputs) -> None:
    _check_two(rows, classes, outputs)
    train = Counter(name for label in rows[rows["split"] == "train"]["label"] for name in named(str(label)))
    if few := [name for name in classes if train[name] < MIN_TRAIN_PER_CLASS]:
        raise NotEnoughData(_too_few_to_learn_from(rows, few[0], train[few[0]]))
    if not (rows["split"] == "valid").any():
        given = set(rows["given_split"].dropna())
        raise NotEnoughData(
            f"None of the {len(rows)} pictures is in the valid split, so nothing would tell whether training helps. "
            + (f"{GIVEN} {ADD_FREE}" if given else "Add more pictures (about 7 of a class give one to it).")
        )


def _check_two(rows: pd.DataFrame, classes: Sequence[str], outputs: Outputs) -> None:
    if not len(rows):
        raise NotEnoughData("There are no labelled pictures that passed Verify. Import some in Collect.")
    if len(classes) < 2:
        more = f", or of '{NONE}'" if outputs.kind == "sigmoid" else ""
        raise NotEnoughData(
            f"All {len(rows)} pictures are called '{rows['label'].iloc[0]}'. A classifier needs at least 2 classes: "
            f"add pictures of what it should be told apart from{more}."
        )


def _too_few_to_learn_from(rows: pd.DataFrame, name: str, count: int) -> str:
    """What there is of a class outside train, and what to do about it."""
    what = f"'{name}' has {count} pictures in the train split; every class needs at least {MIN_TRAIN_PER_CLASS}."
    own = rows[[name in named(str(label)) for label in rows["label"]]]
    elsewhere = own[own["split"] != "train"]
    where = Counter(str(split) for split in elsewhere["split"])
    if not where:
        return f"{what} Add pictures to it (about 10 give one to valid and test), or relabel them."
    lie = " and ".join(f"{number} in {split}" for split, number in sorted(where.items()))
    why = GIVEN if elsewhere["given_split"].notna().any() else "A picture never moves from one split to another."
    return f"{what} It has {lie}. {why} {ADD_FREE}"


def load_dataset(
    workspace: Workspace, preprocessing: Preprocessing, presize: int = 0, head: str = "auto"
) -> Stage[Dataset]:
    """The pictures that can be trained on with their pixels from the training cache; what it lacks is decoded.

    ``head``: as for :func:`usable_rows`. ``presize``: side in pixels of the pictures that random views are cut from
    (0: 8/7 of the input's). Where the cache would take more than a quarter of the free disk, there is none: pictures
    are decoded whenever they are needed.
    """
    rows, classes, outputs = usable_rows(workspace, head)
    if lost := altered(workspace, rows):
        raise TrainingError(
            f"{in_a_sentence(lost)} Put the files back, or check the pictures again: Verify sets these aside."
        )
    for split in ("valid", "test"):
        if drawn := int(((rows["split"] == split) & (rows["given_split"] == "train")).sum()):
            yield Progress(0, 0, f"There was no {split} split: {drawn:,} pictures for it were drawn from train")
    ids = [str(image) for image in rows["id"]]
    cache = PixelCache.of(workspace.cache, preprocessing, presize)
    cache.drop_others()
    cached = cache.rows(ids)
    missing = [number for number, image in enumerate(ids) if image not in cached.places]
    if missing and not cache.fits(len(missing)):
        return _uncached(workspace, rows, classes, cache, preprocessing, outputs)
    if missing:
        yield from _decode(workspace, rows.iloc[missing], cache)
        cached = cache.rows(ids)
    if len(cached.places) < len(set(ids)):  # the disk took no more
        return _uncached(workspace, rows, classes, cache, preprocessing, outputs)
    return Dataset.of_cache(rows, classes, preprocessing, cached, outputs)


def _uncached(
    workspace: Workspace,
    rows: pd.DataFrame,
    classes: tuple[str, ...],
    cache: PixelCache,
    preprocessing: Preprocessing,
    outputs: Outputs,
) -> Dataset:
    files = [workspace.image_file(str(file)) for file in rows["file"]]
    exact = Undecoded(files, partial(pixels, preprocessing=preprocessing), preprocessing.opening)
    whole = Undecoded(files, lambda image: np.asarray(squished(image, cache.side)), preprocessing.opening)
    aspect = (rows["width"] / rows["height"]).to_numpy(dtype=np.float32)
    size = len(rows) * cache.row.itemsize >> 20
    note = (
        f"The training cache would take {size:,} MiB of the disk: pictures are decoded anew each time, which is slower."
    )
    return Dataset(rows, classes, preprocessing, exact, whole, aspect, note, outputs)


@dataclass(frozen=True)
class Undecoded:
    """Pictures that are decoded when they are asked for, by threads: ``row`` makes uint8 [H, W, 3] of each."""

    files: Sequence[Path]
    row: Callable[[Image.Image], Array]
    opening: Opening

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, positions: Any) -> Array:
        wanted = [self.files[int(number)] for number in positions]
        return np.stack([self.row(image) for image in _opened(wanted, self.opening)])


def _decode(workspace: Workspace, rows: pd.DataFrame, cache: PixelCache) -> Stage[None]:
    files = [workspace.image_file(str(file)) for file in rows["file"]]
    pictures = zip(rows["id"], _opened(files, cache.geometry.opening), strict=True)
    try:
        for done, (image_id, image) in enumerate(pictures, 1):
            cache.add(str(image_id), image)
            yield Progress(done, len(files), "Decoding pictures", {"phase": "decode"})
    finally:
        cache.close()


def _opened(files: Sequence[Path], opening: Opening) -> Iterator[Image.Image]:
    """The pictures in order, decoded by threads, a few ahead."""
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as threads:
        upcoming: deque[Future[Image.Image]] = deque()
        left = iter(files)
        while True:
            upcoming.extend(threads.submit(_open, file, opening) for file in islice(left, 2 * cores - len(upcoming)))
            if not upcoming:
                return
            yield upcoming.popleft().result()


def _open(file: Path, opening: Opening) -> Image.Image:
    try:
        return open_image(file, opening)
    except (OSError, Unreadable) as error:
        raise TrainingError(
            f"The picture {file} cannot be opened any more ({error}). Put the file back, or remove the picture: "
            f"python cli.py decide WORKSPACE --id {file.stem} --remove."
        ) from error


def ahead(items: Iterable[T], load: Callable[[T], U]) -> Iterator[tuple[T, U]]:
    """(item, what ``load`` makes of it) in order; a thread loads the next one while one is at work."""
    with ThreadPoolExecutor(1) as thread:
        waiting: tuple[T, Future[U]] | None = None
        for item in items:
            following = item, thread.submit(load, item)
            if waiting:
                yield waiting[0], waiting[1].result()
            waiting = following
        if waiting:
            yield waiting[0], waiting[1].result()


def batches(positions: np.ndarray[Any, np.dtype[np.int64]], size: int) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
    """``positions`` in pieces of ``size``; a last piece of one joins the piece before (batch norm needs two)."""
    start = 0
    while start < len(positions):
        end = start + size
        if len(positions) - end == 1:
            end += 1
        yield positions[start:end]
        start = end
