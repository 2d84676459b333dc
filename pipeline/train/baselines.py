"""What a run is measured against: answers that need no training; and whether it learnt its pictures by heart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.nn.functional import normalize

ROWS_AT_ONCE = 512
# A valid loss that is higher by less than this share is no rise.
RISE = 0.02


def baselines(features: torch.Tensor, rows: pd.DataFrame) -> dict[str, float | None]:
    """{majority, average_picture, nearest}: the error rates on the test split of answers that need no training.

    ``majority`` is the most frequent label of the train split; ``average_picture`` that of the class whose mean
    features are nearest; ``nearest`` that of the nearest picture (cosine of features less their mean, both). None
    without test or train pictures. ``features`` [N, F]; ``rows`` [N]: split, label (several joined are one more label).
    """
    split, labels = rows["split"].to_numpy(), rows["label"].astype(str).to_numpy()
    train, test = np.flatnonzero(split == "train"), np.flatnonzero(split == "test")
    if not len(train) or not len(test):
        return dict.fromkeys(("majority", "average_picture", "nearest"))
    known, number = np.unique(labels[train], return_inverse=True)
    middle = features[train].float().mean(dim=0)
    ways = normalize(features[train].float() - middle, dim=1)
    averages = torch.stack([ways[torch.from_numpy(number == one)].mean(dim=0) for one in range(len(known))])
    said: dict[str, list[np.ndarray[Any, Any]]] = {"average_picture": [], "nearest": []}
    for start in range(0, len(test), ROWS_AT_ONCE):
        some = normalize(features[test[start : start + ROWS_AT_ONCE]].float() - middle, dim=1)
        said["average_picture"].append((some @ normalize(averages, dim=1).T).argmax(dim=1).numpy())
        said["nearest"].append(number[(some @ ways.T).argmax(dim=1).numpy()])
    wrong = {name: float((known[np.concatenate(parts)] != labels[test]).mean()) for name, parts in said.items()}
    return {"majority": float((labels[test] != known[np.bincount(number).argmax()]).mean()), **wrong}


def by_heart(epochs: Sequence[Mapping[str, Any]]) -> str:
    """That the training went on past its best, in a sentence; empty where it did not.

    ``epochs``: {epoch, phase, train_loss, valid_loss} each, in order. The best weights are kept all the same.
    """
    told = [row for row in epochs if row.get("phase") == "all" and _known(row)]
    if len(told) < 2:
        return ""
    best = min(told, key=lambda row: float(row["valid_loss"]))
    last = told[-1]
    rose = last["valid_loss"] > best["valid_loss"] * (1 + RISE)
    if last is best or not rose or not last["train_loss"] < best["train_loss"]:
        return ""
    return (
        f"The valid loss rose after epoch {best['epoch']} while the train loss fell: it began to learn its pictures by "
        "heart. More pictures or more augmentation would help."
    )


def _known(row: Mapping[str, Any]) -> bool:
    losses = [row.get(name) for name in ("train_loss", "valid_loss")]
    return all(isinstance(loss, (int, float)) and math.isfinite(loss) for loss in losses)
