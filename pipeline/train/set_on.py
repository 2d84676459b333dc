"""On which pictures a run sets its other figures: where scenes are known, those of scenes it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.model.groupings import united
from pipeline.model.out_of_fold import FOLDS, fold_of

# So many valid pictures of scenes of their own, and half of all valid ones, are enough to leave the others out.
FEWEST = 30
# Of each class so much is outside of every fold, or heads would be asked about what they hardly saw.
LEFT = 0.5

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def apart(splits: Sequence[str], scenes: Sequence[str | None], by: str) -> tuple[Mask, dict[str, Any]]:
    """Which pictures [N] the temperature and the thresholds are set on, of those with ``splits`` [N] and the known
    ``scenes`` [N] (by what they are known: ``by``); and that as run.json has it: {images, scenes, by, apart}.

    The valid pictures whose scene has no picture in train, where they are all of them or enough (``apart``); else all
    valid ones.
    """
    split, scene = np.asarray(splits), np.asarray([name or "" for name in scenes])
    valid: Mask = split == "valid"
    own: Mask = valid & (scene != "") & ~np.isin(scene, scene[split == "train"])
    enough = bool(own.any() and (own.sum() == valid.sum() or (own.sum() >= FEWEST and 2 * own.sum() >= valid.sum())))
    chosen = own if enough else valid
    names = {str(name) for name in scene[chosen] if name}
    return chosen, {"images": int(chosen.sum()), "scenes": len(names), "by": by, "apart": enough}


def kept_together(
    groups: Sequence[str], scenes: Sequence[str | None], shows: np.ndarray[Any, Any], by: str
) -> tuple[list[str], dict[str, Any]]:
    """What no fold of the out-of-fold answers cuts, by name [N], and that as run.json has it: {images, scenes, by,
    apart}. It is the known scenes with their duplicate ``groups`` where each class (``shows`` [N, C]: what is labelled
    so) keeps LEFT of its pictures outside of every fold; else the groups alone.
    """
    told = {"images": len(groups), "scenes": 0, "by": by, "apart": False}
    if not any(scenes):
        return list(groups), told
    lone = np.array([name or f"group {group}" for name, group in zip(scenes, groups, strict=True)])
    numbers = [np.unique(names, return_inverse=True)[1] for names in (np.asarray(groups), lone)]
    together = united(*numbers)
    first: dict[int, str] = {}
    for number, name in zip(together.tolist(), lone.tolist(), strict=True):
        first[number] = min(first.get(number, name), name)
    names = [first[number] for number in together.tolist()]
    folds = np.array([fold_of(name) for name in names])
    if any((shows[folds != fold].sum(axis=0) < LEFT * shows.sum(axis=0)).any() for fold in range(FOLDS)):
        return list(groups), told
    return names, {**told, "scenes": len({name for name in scenes if name}), "apart": True}
