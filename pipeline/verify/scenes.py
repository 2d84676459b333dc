"""Which pictures were taken together, in one place and session, as far as anything but their looks tells it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipeline.workspace.workspace import Workspace


@dataclass(frozen=True)
class Scenes:
    """What was taken together. ``by``: how that is known: column (of a table), time (and camera), name (numbered),
    folder, site, series (of alike pictures), or "" where nothing is. ``names``: image id -> the name of its scene
    (object, missing where it is not known), of every image of the workspace.
    """

    by: str
    names: pd.Series[str]


def known_scenes(workspace: Workspace) -> Scenes:
    """The scenes of a workspace: those of a column that a person named, else the series that Verify found."""
    images = workspace.store.images().set_index("id")
    for by, column in (("column", "scene"), ("series", "series")):
        if images[column].notna().any():
            return Scenes(by, images[column].rename("scene"))
    return Scenes("", pd.Series(index=images.index, dtype=object, name="scene"))
