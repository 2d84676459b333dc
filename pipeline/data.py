"""Store rows -> batches: every picture decoded once into compact uint8 arrays, kept for the next training."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from pipeline.entries import SEVERAL
from pipeline.errors import NotEnoughData, TrainingError
from pipeline.predict import Preprocessing, Unreadable, open_image, pixels
from pipeline.stage import Progress, Stage
from pipeline.workspace import Workspace, writing

ROOM = 8 / 7
MIN_TRAIN_PER_CLASS = 2
Array = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Dataset:
    """What a training sees. ``rows``: id, label, split, group, target (class number), one row a picture.

    ``exact`` uint8 [N, H, W, 3]: the pictures as the deployed model will see them. ``squished`` uint8 [N, S, S, 3]:
    whole pictures with some room for random crops; ``aspect`` [N]: their width / height before squishing.
    """

    rows: pd.DataFrame
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    exact: Array
    squished: Array
    aspect: np.ndarray[Any, np.dtype[np.float32]]

    def positions(self, *splits: str) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The row numbers of the pictures in ``splits``."""
        return np.flatnonzero(self.rows["split"].isin(splits).to_numpy())


def usable_rows(workspace: Workspace) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """(rows, classes) of what can be trained on: status ok, labelled, with a split. Raises NotEnoughData, also where
    images have several labels.
    """
    images = workspace.store.images("ok")
    rows = images[images["label"].notna() & images["split"].notna()].reset_index(drop=True)
    _refuse_several_labels(rows)
    train = Counter(str(label) for label in rows[rows["split"] == "train"]["label"])
    classes = tuple(sorted(set(rows["label"].astype(str))))
    _check_enough(rows, classes, train)
    number = {name: index for index, name in enumerate(classes)}
    return rows.assign(target=rows["label"].map(number).astype(int)), classes


def _refuse_several_labels(rows: pd.DataFrame) -> None:
    several = [str(label) for label in rows["label"] if SEVERAL in str(label)]
    if several:
        example = ", ".join(several[0].split(SEVERAL)[:3])
        raise NotEnoughData(
            f"{len(several)} of {len(rows)} pictures have several labels ({example} …). Training with several labels a "
            "picture is not there yet: give each one label in Clean, or import a table with one label a row."
        )


def _check_enough(rows: pd.DataFrame, classes: tuple[str, ...], train: Counter[str]) -> None:
    if not len(rows):
        raise NotEnoughData("There are no labelled pictures that passed Verify. Import some in Collect.")
    if len(classes) < 2:
        raise NotEnoughData(
            f"All {len(rows)} pictures are called '{classes[0]}'. A classifier needs at least 2 classes: "
            "add pictures of what it should be told apart from."
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


def load_dataset(workspace: Workspace, preprocessing: Preprocessing) -> Stage[Dataset]:
    """Decode every usable picture, or take the arrays of the last training where nothing changed."""
    rows, classes = usable_rows(workspace)
    key = hashlib.sha256(json.dumps([preprocessing.to_json(), list(rows["id"])]).encode()).hexdigest()[:16]
    folder = workspace.cache / f"pixels-{key}"
    if not folder.is_dir():
        _drop_old(workspace.cache)
        yield from _decode_all(workspace, rows, preprocessing, folder)
    arrays = (np.load(folder / f"{name}.npy", mmap_mode="c") for name in ("exact", "squished", "aspect"))
    return Dataset(rows, classes, preprocessing, *arrays)


def _drop_old(cache: Path) -> None:
    for folder in cache.glob("pixels-*"):
        for file in folder.iterdir():
            file.unlink(missing_ok=True)
        folder.rmdir()


def _decode_all(workspace: Workspace, rows: pd.DataFrame, preprocessing: Preprocessing, folder: Path) -> Stage[None]:
    height, width = preprocessing.size
    side = round(max(height, width) * ROOM)
    files = [workspace.image_file(str(file)) for file in rows["file"]]
    with writing(folder, durable=False) as part, ThreadPoolExecutor(os.cpu_count()) as threads:
        part.mkdir()
        new = np.lib.format.open_memmap  # type: ignore[no-untyped-call, unused-ignore]
        exact = new(part / "exact.npy", "w+", np.uint8, (len(files), height, width, 3))
        squished = new(part / "squished.npy", "w+", np.uint8, (len(files), side, side, 3))
        aspect = new(part / "aspect.npy", "w+", np.float32, (len(files),))
        for done, decoded in enumerate(threads.map(lambda file: _decode(file, preprocessing, side), files)):
            exact[done], squished[done], aspect[done] = decoded
            yield Progress(done + 1, len(files), "Decoding pictures", {"phase": "decode"})
        for array in (exact, squished, aspect):
            array.flush()


def _decode(file: Path, preprocessing: Preprocessing, side: int) -> tuple[Array, Array, float]:
    try:
        image = open_image(file)
    except (OSError, Unreadable) as error:
        raise TrainingError(
            f"The picture {file} cannot be opened any more ({error}). Put the file back, or remove the picture: "
            f"python cli.py decide WORKSPACE --id {file.stem} --remove."
        ) from error
    squished = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC))
    return pixels(image, preprocessing), squished, image.width / image.height


def batches(positions: np.ndarray[Any, np.dtype[np.int64]], size: int) -> Iterator[np.ndarray[Any, np.dtype[np.int64]]]:
    """``positions`` in pieces of ``size``; a last piece of one joins the piece before (batch norm needs two)."""
    start = 0
    while start < len(positions):
        end = start + size
        if len(positions) - end == 1:
            end += 1
        yield positions[start:end]
        start = end
