"""The order of classes puts those side by side that are mixed up with one another."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from cleaner.review.confusion import seriated


def test_scattered_families_come_together():
    """Twelve classes of four families, numbered so that no two of a family are neighbours."""
    family = np.arange(12) % 4
    counts = np.where(family[:, None] == family[None, :], 5, 0)
    np.fill_diagonal(counts, 90)
    order = seriated(counts)
    assert sorted(order) == list(range(12))
    assert sum(family[a] != family[b] for a, b in pairwise(order)) == 3


def test_of_a_chain_the_ends_that_are_mixed_up_meet():
    counts = np.zeros((6, 6), dtype=int)
    chain = [3, 0, 5, 1, 4, 2]
    for a, b in pairwise(chain):
        counts[a, b] = 7
    assert seriated(counts) in (chain, chain[::-1])


def test_small_matrices_and_the_given_one_is_left_as_it_is():
    assert seriated(np.zeros((0, 0), dtype=int)) == [] and seriated(np.array([[4]])) == [0]
    counts = np.array([[9, 1], [0, 9]])
    seriated(counts)
    assert counts.tolist() == [[9, 1], [0, 9]]
