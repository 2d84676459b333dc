"""Small pictures for what was not checked yet, decoded in a process of their own like everything from strangers."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipeline.images.decode import save_thumbnail
from pipeline.images.sandbox import Limits, map_in_workers
from pipeline.predict import Unreadable, open_image
from pipeline.workspace.workspace import Workspace

LIMITS = Limits(seconds=5.0)


def thumbnails(workspace: Workspace, images: pd.DataFrame) -> list[tuple[Path, str]]:
    """(thumbnail, label) of the rows of the store's table that can be shown; missing thumbnails are made."""
    places = {str(row.id): workspace.thumbnail(str(row.id)) for row in images.itertuples()}
    missing = [
        (workspace.image_file(str(row.file)), places[str(row.id)])
        for row in images.itertuples()
        if not places[str(row.id)].exists() and row.status != "set_aside"
    ]
    for _ in map_in_workers(_make, missing, _lost, workers=1, limits=LIMITS):
        pass
    labels = images["label"].fillna("no label")
    return [
        (places[str(image)], str(label))
        for image, label in zip(images["id"], labels, strict=True)
        if places[str(image)].exists()
    ]


def a_few_of_each(images: pd.DataFrame, total: int) -> pd.DataFrame:
    """At most ``total`` rows of the store's table: the first of each class, then the second of each, and so on."""
    turn = images.groupby("label", dropna=False, sort=False).cumcount()
    return images.assign(turn=turn).sort_values("turn", kind="stable").head(total).sort_values("label", kind="stable")


def _make(job: tuple[Path, Path]) -> bool:
    source, target = job
    try:
        save_thumbnail(open_image(source.read_bytes()), target)
    except (Unreadable, OSError):  # verify will say what is wrong with it
        return False
    return True


def _lost(_job: tuple[Path, Path], _why: str) -> bool:
    return False
