"""The data sets of the benchmarks of Train: a share of the pictures of a source, verified."""

from __future__ import annotations

from pathlib import Path

from cleaner.decisions import remove
from pipeline.importing import ImportConfig, import_images
from pipeline.stage import run
from pipeline.verify import VerifyConfig, verify
from pipeline.workspace import Workspace


def prepared(root: Path, source: str, pictures: int) -> Workspace:
    """A workspace with at most so many pictures, every class with its share, verified but not decoded for training."""
    workspace = Workspace.create(root)
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
