"""Store rows -> a dataset and a task, and batches of it: pixels that Verify put by, decoded now where it did not."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import torch
from PIL import Image
from timm.data import Mixup

from pipeline.errors import NotEnoughData, TrainingError, UsageError
from pipeline.images.decode import squished
from pipeline.images.pixel_cache import Array, CachedRows, PixelCache, Pixels
from pipeline.labels import answers_of, classes_of, named
from pipeline.model.losses import shares_of
from pipeline.predict import NONE, SEVERAL, Outputs, Preprocessing, Unreadable, normalise, open_image, pixels
from pipeline.stage import Progress, Stage
from pipeline.train.augment import EVERYTHING, augment, shrunk
from pipeline.train.config import Augmentation, TrainConfig
from pipeline.train.distributed import Ranks
from pipeline.workspace.workspace import Workspace

MIN_TRAIN_PER_CLASS = 2
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


# What tells one training from another in version 0.1, in this order. A setting that came later counts only where it is
# not at its default, so that what was begun without it is still found.
FIRST_SETTINGS = (
    "backbone",
    "weights",
    "drop_rate",
    "drop_path_rate",
    "head",
    "layers",
    "epochs",
    "freeze_epochs",
    "minutes",
    "image_size",
    "image_width",
    "resize",
    "padding",
    "presize",
    "sizes",
    "augmentation",
    "min_scale",
    "max_rotate",
    "max_lighting",
    "flip",
    "batch_size",
    "optimizer",
    "base_lr",
    "layer_decay",
    "weight_decay",
    "clip",
    "schedule",
    "warmup",
    "cycle_epochs",
    "cycle_factor",
    "snapshots",
    "label_smoothing",
    "mixup",
    "cutmix",
    "ema",
    "patience",
    "balance",
    "seed",
    "device",
)


class Batch(NamedTuple):
    """A process's part of a batch: ``inputs`` [N, 3, H, W]; ``targets``, class numbers [N], or shares [N, C] where
    pictures are mixed or have several classes; ``shares`` [N]: how much each picture's loss counts, 1 in all over the
    whole batch.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    shares: torch.Tensor


@dataclass(frozen=True)
class Task:
    """What is to be learnt, from which pictures and how. ``targets``: what the dataset's rows show, class numbers [N]
    or, with sigmoid outputs, 0 and 1 [N, C]; they are learnt on ``device``.
    """

    config: TrainConfig
    dataset: Dataset
    targets: torch.Tensor
    device: str

    @property
    def identity(self) -> list[Any]:
        """What tells it from other tasks, as JSON has it: settings, classes, pictures. A note makes no other task."""
        config, usual = self.config, type(self.config)()
        settings = {name: getattr(config, name) for name in FIRST_SETTINGS}
        for name in sorted({setting.name for setting in fields(config)} - {*FIRST_SETTINGS, "note"}):
            if getattr(config, name) != getattr(usual, name):
                settings[name] = getattr(config, name)
        return [settings, list(self.dataset.classes), self.dataset.rows[["id", "split", "label"]].to_numpy().tolist()]

    @cached_property
    def class_weights(self) -> torch.Tensor:
        """[C]: what a picture of each class counts for. With ``balance`` the classes of the train split count alike."""
        counts = shares_of(self.targets[self.dataset.positions("train")], len(self.dataset.classes)).sum(dim=0)
        if self.config.balance == "none":
            return torch.ones_like(counts)
        return counts.sum() / (len(counts) * counts.clamp_min(1))

    def picture_weights(self, targets: torch.Tensor) -> torch.Tensor:
        """[N]: what each picture counts for, the mean over its classes; 1 where it has none."""
        shares = shares_of(targets, len(self.dataset.classes))
        named = shares.sum(dim=1)
        weighted = shares @ self.class_weights.to(shares.device) / named.clamp_min(1e-9)
        return torch.where(named > 0, weighted, torch.ones_like(weighted))

    def load(self, positions: np.ndarray[Any, Any], ranks: Ranks) -> torch.Tensor:
        """uint8 [N, S, S, 3]: on the device, the pixels that :meth:`batch` needs in this process."""
        part = EVERYTHING if self._mixes(len(positions)) else ranks.part(len(positions))
        order = np.sort(positions)[part]  # sorted: the mapped file is read forwards
        return self.dataset.load(order, self.config.random_views, self.device)

    def batch(
        self,
        positions: np.ndarray[Any, Any],
        loaded: torch.Tensor,
        ranks: Ranks,
        chance: torch.Generator,
        size: tuple[int, int] | None = None,
    ) -> Batch:
        """What a step learns from: views of the pictures at ``positions``, of which :meth:`load` gave ``loaded``.

        ``size``: (height, width) of the views in pixels (None: that of the network's input). Where pictures are mixed,
        timm does it (Zhang et al. 2018, Yun et al. 2019), which draws from NumPy's global generator; an odd last one is
        left out.
        """
        config, dataset, order = self.config, self.dataset, np.sort(positions)
        targets, part = self.targets[order].to(self.device), ranks.part(len(order))
        if not self._mixes(len(order)):
            inputs = dataset.random_views(loaded, order, config.random_views, chance, size, part)
        else:
            even = len(order) - len(order) % 2
            views = dataset.random_views(loaded, order, config.random_views, chance, size)
            mixup = Mixup(config.mixup, config.cutmix, label_smoothing=0.0, num_classes=even)
            mixed, of_each = mixup(views[:even], torch.arange(even, device=views.device))  # shares of each picture
            targets, part = of_each @ shares_of(targets[:even], len(dataset.classes)), ranks.part(even)
            inputs = mixed[part]
        counts = torch.ones(len(targets), device=self.device)
        if config.balance == "weights":  # drawn more often, rare classes count enough already
            counts = self.picture_weights(targets)
        shares = counts / counts.sum() / ranks.copies(len(targets))
        return Batch(inputs, targets[part], shares[part])

    def _mixes(self, count: int) -> bool:
        """Whether so many pictures of a batch are mixed with one another."""
        return count > 1 and bool(self.config.mixup or self.config.cutmix)


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
    train = Counter(name for label in rows[rows["split"] == "train"]["label"] for name in named(str(label)))
    if not len(rows):
        raise NotEnoughData("There are no labelled pictures that passed Verify. Import some in Collect.")
    if len(classes) < 2:
        more = f", or of '{NONE}'" if outputs.kind == "sigmoid" else ""
        raise NotEnoughData(
            f"All {len(rows)} pictures are called '{rows['label'].iloc[0]}'. A classifier needs at least 2 classes: "
            f"add pictures of what it should be told apart from{more}."
        )
    if few := [name for name in classes if train[name] < MIN_TRAIN_PER_CLASS]:
        raise NotEnoughData(
            f"'{few[0]}' has {train[few[0]]} pictures in the train split; every class needs at least "
            f"{MIN_TRAIN_PER_CLASS}. Add pictures to it (about 10 give one to valid and test), or relabel them."
        )
    if not (rows["split"] == "valid").any():
        raise NotEnoughData(
            f"None of the {len(rows)} pictures is in the valid split, so nothing would tell whether training helps. "
            "Add more pictures (about 7 of a class give one to it)."
        )


def load_dataset(
    workspace: Workspace, preprocessing: Preprocessing, presize: int = 0, head: str = "auto"
) -> Stage[Dataset]:
    """The pictures that can be trained on with their pixels from the training cache; what it lacks is decoded.

    ``head``: as for :func:`usable_rows`. ``presize``: side in pixels of the pictures that random views are cut from
    (0: 8/7 of the input's). Where the cache would take more than a quarter of the free disk, there is none: pictures
    are decoded whenever they are needed.
    """
    rows, classes, outputs = usable_rows(workspace, head)
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
    exact = Undecoded(files, partial(pixels, preprocessing=preprocessing))
    whole = Undecoded(files, lambda image: np.asarray(squished(image, cache.side)))
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

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, positions: Any) -> Array:
        wanted = [self.files[int(number)] for number in positions]
        return np.stack([self.row(image) for image in _opened(wanted)])


def _decode(workspace: Workspace, rows: pd.DataFrame, cache: PixelCache) -> Stage[None]:
    files = [workspace.image_file(str(file)) for file in rows["file"]]
    pictures = zip(rows["id"], _opened(files), strict=True)
    try:
        for done, (image_id, image) in enumerate(pictures, 1):
            cache.add(str(image_id), image)
            yield Progress(done, len(files), "Decoding pictures", {"phase": "decode"})
    finally:
        cache.close()


def _opened(files: Sequence[Path]) -> Iterator[Image.Image]:
    """The pictures in order, decoded by threads, a few ahead."""
    cores = os.cpu_count() or 1
    with ThreadPoolExecutor(cores) as threads:
        upcoming: deque[Future[Image.Image]] = deque()
        left = iter(files)
        while True:
            upcoming.extend(threads.submit(_open, file) for file in islice(left, 2 * cores - len(upcoming)))
            if not upcoming:
                return
            yield upcoming.popleft().result()


def _open(file: Path) -> Image.Image:
    try:
        return open_image(file)
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
