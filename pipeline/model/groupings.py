"""What was probably taken together, where nobody says it: groups of alike features; and folds that cut no group."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.nn.functional import normalize

# Two pictures whose features (less the mean of all) have a greater cosine are of one scene; no single value is right.
COSINES = (0.80, 0.75, 0.70, 0.65)
# Pictures are linked among so many; each of the others joins the one it is most like.
AMONG = 20_000
ROWS_AT_ONCE = 512

Groups: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]


def groupings(features: torch.Tensor | np.ndarray[Any, Any], known: Sequence[str | None] | None = None) -> list[Groups]:
    """Ways in which the pictures with ``features`` [N, F] may belong together, group numbers [N] each.

    One where scenes are known (``known`` [N], None for a picture of which none is); several where not: single linkage
    at each of COSINES, the finest first. A picture without a scene among others that have one is put together with
    such as it only, at the middle of COSINES. Features that are no finite numbers are like nothing.
    Raises ValueError where ``known`` has not as many rows as ``features``.
    """
    rows = torch.as_tensor(features)
    if known is not None and len(known) != len(rows):
        raise ValueError(f"{len(known)} scenes are told of {len(rows)} pictures.")
    names = [str(name) if isinstance(name, str) and name else None for name in known or ()]
    if not any(names):
        return _linked(rows, COSINES)
    numbers = {name: number for number, name in enumerate(sorted({name for name in names if name}))}
    groups = np.array([numbers[name] if name else -1 for name in names], dtype=np.int64)
    unknown = np.flatnonzero(groups < 0)
    if len(unknown):
        groups[unknown] = len(numbers) + _linked(rows[unknown], (COSINES[len(COSINES) // 2],))[0]
    return [groups]


def _linked(features: torch.Tensor, cosines: Sequence[float]) -> list[Groups]:
    """Single linkage of ``features`` [N, F] at each cosine."""
    count = len(features)
    if not count:
        return [np.zeros(0, dtype=np.int64) for _ in cosines]
    finite = features.isfinite().all(dim=1)
    ways = normalize(features.float() - features[finite].float().mean(dim=0), dim=1)
    asked = np.sort(np.random.default_rng(0).permutation(count)[:AMONG])
    others = np.setdiff1d(np.arange(count), asked)
    found = [np.arange(count, dtype=np.int64) for _ in cosines]
    among = ways[torch.from_numpy(asked)]
    for start in range(0, len(asked), ROWS_AT_ONCE):
        alike = (among[start : start + ROWS_AT_ONCE] @ among.T).numpy()
        for groups, cosine in zip(found, cosines, strict=True):
            here = groups[asked]
            for row, near in enumerate(alike > cosine, start):
                touched = np.unique(here[near])
                if len(touched) > 1 or (len(touched) == 1 and touched[0] != here[row]):
                    here[np.isin(here, [*touched, here[row]])] = touched[0]
            groups[asked] = here
    for start in range(0, len(others), ROWS_AT_ONCE):
        some = others[start : start + ROWS_AT_ONCE]
        strength, which = (ways[torch.from_numpy(some)] @ among.T).max(dim=1)
        for groups, cosine in zip(found, cosines, strict=True):
            groups[some] = np.where(strength.numpy() > cosine, groups[asked[which.numpy()]], groups[some])
    return [_numbered(groups) for groups in found]


def united(one: Groups, other: Groups) -> Groups:
    """[N]: the finest groups that cut neither those of ``one`` [N] nor those of ``other`` [N]."""
    groups, other = _numbered(one), _numbered(other)
    while True:
        least = np.full(int(other.max(initial=-1)) + 1, len(groups), dtype=np.int64)
        np.minimum.at(least, other, groups)
        lower = least[other]
        whole = np.full(int(groups.max(initial=-1)) + 1, len(groups), dtype=np.int64)
        np.minimum.at(whole, groups, lower)
        if (whole[groups] == groups).all():
            return _numbered(groups)
        groups = whole[groups]


def _numbered(groups: Groups) -> Groups:
    """The same groups with the numbers 0, 1, ..."""
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def scene_folds(groups: Groups, labels: Sequence[Hashable], folds: int, seed: int = 0) -> Groups:
    """[N]: the fold, from 0 to ``folds`` - 1, of each picture, with no group cut and every class in every fold as far
    as that allows. Folds may be left empty where there are fewer groups.

    The largest groups come first, each into the fold that has least of its classes (as scikit-learn's
    StratifiedGroupKFold does it); ``seed`` orders groups of one size. Raises ValueError where ``labels`` [N] has not
    as many rows as ``groups`` [N], or ``folds`` is not positive.
    """
    if len(labels) != len(groups):
        raise ValueError(f"{len(labels)} labels are told of {len(groups)} pictures.")
    if folds < 1:
        raise ValueError("There must be a fold at least.")
    if not len(groups):
        return np.zeros(0, dtype=np.int64)
    numbers = _numbered(np.asarray(groups))
    classes = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    counts = np.zeros((int(numbers.max()) + 1, len(classes)))
    np.add.at(counts, (numbers, np.array([classes[label] for label in labels])), 1)
    totals, sizes = counts.sum(axis=0), counts.sum(axis=1)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, fold_of = np.zeros((folds, len(classes))), np.zeros(len(counts), dtype=np.int64)
    for group in order:
        crowded = filled @ (counts[group] / totals)
        fold_of[group] = np.lexsort((filled.sum(axis=1), crowded))[0]
        filled[fold_of[group]] += counts[group]
    return fold_of[numbers]
