"""The order of classes in which those that are mixed up with one another lie side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.labels import Flags, as_flags, known
from pipeline.predict import NONE

Order = tuple[int, ...]


def seriated(counts: np.ndarray[Any, Any]) -> list[int]:
    """The rows of a confusion matrix ``counts`` [C, C] in an order that puts classes often taken for each other side by
    side; for some dozens of classes (it takes C^3 steps).

    Average-linkage clustering (UPGMA: Sokal and Michener 1958) by the mistakes between two classes. Of the four ways
    to put two clusters end to end, the one is taken whose ends that meet are mixed up most.
    """
    alike = counts + counts.T
    np.fill_diagonal(alike, 0)
    clusters: list[Order] = [(number,) for number in range(len(counts))]
    between = alike.astype(float)  # the sum of the mistakes between two clusters
    while len(clusters) > 1:
        sizes = np.array([len(cluster) for cluster in clusters])
        means = between / np.outer(sizes, sizes)
        np.fill_diagonal(means, -1)
        a, b = sorted(divmod(int(means.argmax()), len(clusters)))
        clusters[a] = _joined(clusters[a], clusters.pop(b), alike)
        between[a] += between[b]
        between[:, a] += between[:, b]
        between = np.delete(np.delete(between, b, axis=0), b, axis=1)
    return list(clusters[0]) if clusters else []


def _joined(left: Order, right: Order, alike: np.ndarray[Any, Any]) -> Order:
    ways = [(one, other) for one in (left, left[::-1]) for other in (right, right[::-1])]
    one, other = max(ways, key=lambda way: alike[way[0][-1], way[1][0]])
    return (*one, *other)


def confusion(predictions: pd.DataFrame, answers: Sequence[str]) -> pd.DataFrame:
    """How many images of each class (row) were taken for each class (column), shape [C, C]; ``answers``: all that the
    run may answer.

    An image with several labels counts on the diagonal for each that was found; for each that was missed, in the
    columns of what was named wrongly instead, or of NONE; what was named without anything missed, in the row of NONE.
    Images whose label of today is none of ``answers`` cannot be placed and are left out.
    """
    missed, invented, right, placed = _mistakes(predictions, answers)
    # float32 for BLAS; whole numbers below 2^24 are exact in it.
    counts = (missed[placed].T.astype(np.float32) @ invented[placed].astype(np.float32)).astype(int)
    counts += np.diag(right[placed].sum(axis=0))
    return pd.DataFrame(counts, index=pd.Index(answers, name="actual"), columns=pd.Index(answers, name="predicted"))


@dataclass(frozen=True)
class Margins:
    """What stands beside and below the confusion matrix, each a list of one number a class.

    Of ``of_class`` images of a class ``missed`` were answered wrongly; of the ``taken`` that were called it,
    ``invented`` wrongly; images that are not in the matrix, as the run does not know their label, are in these.
    """

    of_class: list[int]
    missed: list[int]
    taken: list[int]
    invented: list[int]


def margins(predictions: pd.DataFrame, answers: Sequence[str]) -> Margins:
    """The margins of :func:`confusion`. Each image counts once a class, however many cells it is in."""
    missed, invented, right, _ = _mistakes(predictions, answers)
    found, lost, said = right.sum(axis=0), missed.sum(axis=0), invented.sum(axis=0)
    return Margins((found + lost).tolist(), lost.tolist(), (found + said).tolist(), said.tolist())


def _mistakes(predictions: pd.DataFrame, answers: Sequence[str]) -> tuple[Flags, Flags, Flags, Flags]:
    """(missed, invented, right), each [N, C], with NONE for what is missed without another in its place and the other
    way round; and (placed [N]): whose labels are all among ``answers``.
    """
    labels, said = predictions["label"].astype(str).tolist(), predictions["predicted"].astype(str).tolist()
    actual, predicted = as_flags(labels, answers), as_flags(said, answers)
    known_label = known(labels, answers)
    missed, invented = actual & ~predicted, predicted & ~actual
    if NONE in answers:
        none = answers.index(NONE)
        any_missed = missed.any(axis=1) | ~known_label
        nothing_else = any_missed & ~invented.any(axis=1)
        too_much = invented.any(axis=1) & ~any_missed
        invented[nothing_else, none] = True
        missed[too_much, none] = True
    return missed, invented, actual & predicted, known_label & known(said, answers)


def most_confused(predictions: pd.DataFrame, classes: Sequence[str], minimum: int = 1) -> list[tuple[str, str, int]]:
    """(actual, predicted, count) of the pairs mixed up at least ``minimum`` times, most often first."""
    return pairs_in(confusion(predictions, classes), minimum)


def pairs_in(matrix: pd.DataFrame, minimum: int = 1) -> list[tuple[str, str, int]]:
    """:func:`most_confused` of a matrix that :func:`confusion` has made."""
    classes, counts = matrix.columns.tolist(), matrix.to_numpy(copy=True)
    np.fill_diagonal(counts, 0)
    rows, columns = np.nonzero(counts >= max(minimum, 1))
    pairs = [(classes[i], classes[j], int(counts[i, j])) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)]
    return sorted(pairs, key=lambda pair: -pair[2])
