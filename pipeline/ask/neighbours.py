"""The pictures of a run that look most alike to its network: by the cosine of the angle between their features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.workspace.records import IN_USE
from pipeline.workspace.runs import Run
from pipeline.workspace.workspace import Workspace

NEAREST = 6
ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class Neighbour:
    """A picture that the run learnt from: its id, its label of today (several joined by ``|``), its file, the name it
    came with, and how alike it is (-1 to 1).
    """

    id: str
    label: str
    file: str
    name: str
    similarity: float


def nearest(workspace: Workspace, run: Run, one: np.ndarray[Any, Any], count: int = NEAREST) -> list[Neighbour]:
    """The ``count`` pictures most alike to one with the features ``one`` [F], among those of the train split that are
    in use and labelled; of a duplicate group, one. Most alike first; none for a run that kept no features.
    """
    kept = run.features()
    if kept is None or kept[1].shape[1] != len(one):
        return []
    ids, features = kept
    images = workspace.store.images().set_index("id", drop=False).reindex(ids)
    fair = (images["split"] == "train") & images["status"].isin(IN_USE) & images["label"].notna()
    alike = np.where(fair.to_numpy(dtype=bool), similarity(features, one), -np.inf)
    found: list[Neighbour] = []
    groups: set[str] = set()
    for place in np.argsort(-alike, kind="stable"):
        row = images.iloc[place]
        group = str(row["group"]) if isinstance(row["group"], str) else ids[place]
        if len(found) == count or not np.isfinite(alike[place]):
            break
        if group not in groups:
            groups.add(group)
            name = str(row["source_name"] if isinstance(row["source_name"], str) else row["file"])
            own = name.rstrip("/").split("/")[-1]
            found.append(Neighbour(ids[place], str(row["label"]), str(row["file"]), own, float(alike[place])))
    return found


def similarity(features: np.ndarray[Any, Any], one: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """[N], -1 to 1: the cosine of the angle between each row of ``features`` [N, F] and ``one`` [F]; 0 for zeros."""
    wanted = np.asarray(one, dtype=np.float32)
    cosine = np.zeros(len(features), dtype=np.float32)
    for start in range(0, len(features), ROWS_AT_ONCE):
        rows = np.asarray(features[start : start + ROWS_AT_ONCE], dtype=np.float32)
        lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(wanted)
        cosine[start : start + ROWS_AT_ONCE] = (rows @ wanted) / np.where(lengths > 0, lengths, 1.0)
    return cosine
