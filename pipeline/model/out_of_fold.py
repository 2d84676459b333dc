"""Each picture answered by what never saw it: heads of other folds and its neighbours; and how strange it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import normalize

from pipeline.labels import Floats
from pipeline.model.familiar import Positions, moments, pieces, shrinkage
from pipeline.model.head import Head, fit_head
from pipeline.model.losses import losses_of, shares_of
from pipeline.predict import Outputs

FOLDS = 5
# Of the number of wrong labels that is estimated.
DROPPED = 1.2
NEIGHBOURS = 10
# Of an answer: what the neighbours say; the rest is the head's.
VOTE = 0.3
# A picture's neighbours are looked for among so many pictures.
AMONG = 20_000


def out_of_fold(
    features: torch.Tensor, targets: torch.Tensor, groups: Sequence[str], class_count: int
) -> Iterator[tuple[Positions, Floats]]:
    """(positions, probabilities [n, C]) fold by fold: each row of ``features`` [N, F] is answered by a head, and by its
    neighbours, that no picture of its group (its duplicates, or its scene) is among.

    The heads are fitted twice: the second time without the rows whose labels the first one doubted most, so that
    wrong labels do not vouch for one another. Folds without a picture, and the fold that holds all of them, are left
    out.
    """
    folds = np.array([fold_of(group) for group in groups])
    learnt, heads = np.ones(len(groups), dtype=bool), dict[int, Head]()
    answered = list(_answers_of_folds(features, targets, folds, learnt, class_count, heads))
    if answered:
        rows = np.concatenate([positions for positions, _ in answered])
        learnt[rows[doubted(torch.cat([logits for _, logits in answered]), targets[rows])]] = False
    if not learnt.all():
        answered = list(_answers_of_folds(features, targets, folds, learnt, class_count, heads))
    outputs = Outputs("softmax" if targets.ndim == 1 else "sigmoid")
    votes = Neighbours(features, shares_of(targets, class_count), groups)
    for positions, logits in answered:
        yield positions, votes.added_to(outputs.probabilities(logits), features, positions).numpy()


def _answers_of_folds(
    features: torch.Tensor,
    targets: torch.Tensor,
    folds: Positions,
    learnt: np.ndarray[Any, np.dtype[np.bool_]],
    class_count: int,
    heads: dict[int, Head],
) -> Iterator[tuple[Positions, torch.Tensor]]:
    """``heads``: what each fold's fit begins with, and then what it came to."""
    for fold in range(FOLDS):
        held_out, rest = np.flatnonzero(folds == fold), np.flatnonzero((folds != fold) & learnt)
        if len(held_out) and len(rest):
            heads[fold] = fit_head([features], targets, class_count, rows=rest, start=heads.get(fold))
            yield held_out, heads[fold](features[held_out])


def doubted(logits: torch.Tensor, targets: torch.Tensor) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """[N]: the rows whose labels are doubted most, by logits [N, C] of heads that did not see them.

    How many labels are wrong is estimated by confident learning (Northcutt et al. 2021): those where another answer is
    at least as likely as it is, on average, where it is the label. DROPPED times as many rows are doubted, those with
    the highest losses, and never more than half of a class.
    """
    outputs = Outputs("softmax" if targets.ndim == 1 else "sigmoid")
    likely = outputs.probabilities(logits.double())
    flags = shares_of(targets, logits.shape[1]).bool()
    usual = torch.where(flags, likely, 0.0).sum(dim=0) / flags.sum(dim=0).clamp_min(1)
    instead = ~flags & (likely >= usual) & flags.any(dim=0)
    if outputs.kind == "sigmoid":  # or it is missing where it is said to be
        usually_not = torch.where(flags, 0.0, 1 - likely).sum(dim=0) / (~flags).sum(dim=0).clamp_min(1)
        instead |= flags & (1 - likely >= usually_not)
    else:
        instead &= likely > torch.where(flags, likely, 0.0).sum(dim=1, keepdim=True)
    count = round(DROPPED * int(instead.any(dim=1).sum()))
    worst = losses_of(logits.double(), targets, outputs).argsort(descending=True)
    left, found = flags.sum(dim=0) // 2, np.zeros(len(targets), dtype=bool)
    for row in worst[:count].tolist():
        if bool((left[flags[row]] > 0).all()):
            found[row] = True
            left -= flags[row].long()
    return found


def fold_of(group: str) -> int:
    """The number of the fold, below FOLDS, that a group of pictures is in."""
    return int(hashlib.sha256(group.encode()).hexdigest(), 16) % FOLDS


class Neighbours:
    """What the pictures that look most alike are labelled, ``shares`` [N, C]; never those of the same group.

    At most AMONG of the pictures are asked, the same ones for all. Similarity is the cosine of features from which
    their mean was taken; the NEIGHBOURS most similar ones vote with its cube.
    """

    def __init__(self, features: torch.Tensor, shares: torch.Tensor, groups: Sequence[str]) -> None:
        self.mean = features.mean(dim=0)
        self.group = np.unique(np.asarray(groups), return_inverse=True)[1]
        self.asked = np.sort(np.random.default_rng(0).permutation(len(groups))[:AMONG])
        self.directions, self.shares = self._directions(features, self.asked), shares[self.asked].double()

    def added_to(self, likely: torch.Tensor, features: torch.Tensor, positions: Positions) -> torch.Tensor:
        """``likely`` [n, C], the probabilities of the rows at ``positions``, with the neighbours' votes for VOTE of it;
        where a picture has no neighbour, as it was.
        """
        parts = [self._votes(features, some) for some in pieces(positions)]
        votes, weights = (torch.cat(both) for both in zip(*parts, strict=True))
        mixed = (1 - VOTE) * likely.double() + VOTE * votes / weights.clamp_min(1e-12)[:, None]
        return torch.where(weights[:, None] > 0, mixed, likely.double())

    def _votes(self, features: torch.Tensor, positions: Positions) -> tuple[torch.Tensor, torch.Tensor]:
        alike = self._directions(features, positions) @ self.directions.T
        same = self.group[positions][:, None] == self.group[self.asked][None, :]
        alike = alike.masked_fill(torch.from_numpy(same), 0.0)
        strength, which = alike.topk(min(NEIGHBOURS, alike.shape[1]), dim=1)
        weights = strength.clamp_min(0.0).double() ** 3
        return (weights[:, :, None] * self.shares[which]).sum(dim=1), weights.sum(dim=1)

    def _directions(self, features: torch.Tensor, positions: Positions) -> torch.Tensor:
        return normalize(features[positions] - self.mean, dim=1)


def strangeness(features: torch.Tensor, groups: Sequence[str]) -> Floats:
    """[N]: how far each picture lies from all others, in robust standard deviations of the logarithm; 0 is usual.

    The distance is Mahalanobis' from the mean of the other folds' ``features`` [N, F], with a covariance shrunk to its
    mean variance (the distance that Lee et al. 2018 measure from class means; without classes it does as well here).
    0 where there are too few pictures to say.
    """
    folds = np.array([fold_of(group) for group in groups])
    distances = np.full(len(groups), np.nan)
    for fold in range(FOLDS):
        held_out, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if len(held_out) and len(rest) > 1:
            mean, covariance = moments(features, rest)
            shrunk = covariance + shrinkage(covariance) * torch.eye(len(covariance))
            factor = torch.linalg.cholesky(shrunk)
            for some in pieces(held_out):
                scaled = torch.linalg.solve_triangular(factor, (features[some].double() - mean).T, upper=False)
                distances[some] = scaled.norm(dim=0).numpy()
    logs = np.log(np.maximum(distances, 1e-12))
    middle = np.nanmedian(logs) if np.isfinite(logs).any() else 0.0
    scale = 1.4826 * np.nanmedian(np.abs(logs - middle)) if np.isfinite(logs).any() else 0.0
    return np.nan_to_num((logs - middle) / scale) if scale > 0 else np.zeros(len(groups))
