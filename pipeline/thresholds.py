"""From which probability on a class is said to be there: chosen on the valid split, with the curve behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.labels import Flags, Floats

GRID = np.round(np.arange(0.05, 0.96, 0.05), 2)
USUAL = 0.5
# A class with fewer pictures in the valid split keeps the usual threshold.
FEWEST = 3


@dataclass(frozen=True)
class Threshold:
    """The threshold of one class and how it does on the valid split, which has ``n`` pictures of the class.

    ``curve``: (threshold, precision, recall, f1) of every threshold that was tried; precision is 1 where the class is
    said to be nowhere. ``chosen``: whether there were enough pictures to choose.
    """

    name: str
    threshold: float
    precision: float
    recall: float
    f1: float
    n: int
    chosen: bool
    curve: tuple[tuple[float, float, float, float], ...]


def choose(flags: Flags, probabilities: Floats, classes: Sequence[str]) -> tuple[Threshold, ...]:
    """For each class the threshold with the highest F1 (harmonic mean of precision and recall) on the valid split.

    ``flags`` [N, C]: whether each picture shows each class. Of thresholds that do alike the one in the middle is taken.
    """
    return tuple(_of_class(flags[:, c], probabilities[:, c], name) for c, name in enumerate(classes))


def _of_class(there: np.ndarray[tuple[int], np.dtype[np.bool_]], likely: Floats, name: str) -> Threshold:
    curve = [_at(threshold, there, likely) for threshold in GRID.tolist()]
    count = int(there.sum())
    if enough := count >= FEWEST:
        best = max(f1 for *_, f1 in curve)
        alike = [threshold for threshold, *_, f1 in curve if f1 >= best - 1e-9]
        threshold = alike[len(alike) // 2]
    else:
        threshold = USUAL
    _, precision, recall, f1 = _at(threshold, there, likely)
    return Threshold(name, threshold, precision, recall, f1, count, enough, tuple(curve))


def _at(
    threshold: float, there: np.ndarray[tuple[int], np.dtype[np.bool_]], likely: Floats
) -> tuple[float, float, float, float]:
    said = likely >= threshold
    hits, called, count = int((said & there).sum()), int(said.sum()), int(there.sum())
    precision = hits / called if called else 1.0
    recall = hits / count if count else 0.0
    return threshold, precision, recall, 2 * hits / (called + count) if called + count else 0.0
