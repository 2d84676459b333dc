"""The order of classes in which those that are mixed up with one another lie side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

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
