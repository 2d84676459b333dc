"""What is familiar to a network: which features are near those it learnt from, and from where on a picture is not."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch.nn.functional import normalize

from pipeline.model.groupings import Groups, groupings, scene_folds
from pipeline.model.head import Head, fit_head
from pipeline.model.losses import shares_of
from pipeline.predict import Familiar

# Of the mean variance, added to each.
SHRINKAGE = 0.3
ROWS_AT_ONCE = 512
# So many of the pictures that are like those it learnt from are called unfamiliar all the same.
FALSE_ALARMS = 0.05
# The bank has at most so many pictures, and numbers in all: 5 MB, as each takes two bytes.
MOST_IN_BANK, MOST_NUMBERS = 2000, 2_560_000
# The limit is set on at most so many pictures.
MOST_ASKED = 3000
FOLDS = 4
# A picture of a held-out scene tells something where so much of its class is left outside.
LEFT = 0.5

Positions: TypeAlias = np.ndarray[Any, Any]


def learn(features: torch.Tensor, targets: torch.Tensor, class_count: int, start: Head | None = None) -> Familiar:
    """What is usual among ``features`` [N, F] of pictures that show ``targets``: class numbers [N], or flags [N, C].

    The nearest neighbour knows what looks alike (Sun et al. 2022), the head which class it would be: strange is what is
    far or in between. Where a picture may show several classes or none, only the first counts. How both are weighed,
    :func:`limit` says. ``start``: a head fitted to much the same pictures, which saves time.
    """
    size = features.shape[1]
    weight, bias = torch.zeros(1, size), torch.zeros(1)  # of one class nothing is in doubt
    if targets.ndim == 1:
        head = fit_head([features.float()], targets, class_count, start=start)
        weight, bias = head.weight, head.bias
    bank = normalize(features[chosen(features)].float(), dim=1).half()
    return Familiar({"bank": bank, "weight": weight, "bias": bias, "doubt": torch.ones(()), "reach": torch.zeros(())})


def chosen(features: torch.Tensor) -> Positions:
    """The rows of ``features`` [N, F] that the bank holds: all, or as many as it may, drawn at random."""
    most = max(1, min(MOST_IN_BANK, MOST_NUMBERS // features.shape[1]))
    return np.sort(np.random.default_rng(0).permutation(len(features))[:most])


def limit(
    familiar: Familiar, features: torch.Tensor, targets: torch.Tensor, split: Sequence[str], known: Sequence[str | None]
) -> tuple[Familiar, dict[str, Any]]:
    """(familiar, what config.json says under ``unfamiliar``): ``familiar``, learnt from the train split, with how much
    its doubt counts, and the threshold that FALSE_ALARMS of the pictures of places it has not seen exceed.

    ``features`` [N, F], ``targets`` ([N] or [N, C]) and ``split`` [N] of all pictures; ``known`` [N]: their scenes,
    None where unknown; where none is, they are estimated. Scene by scene is held out, as pictures of one place are
    nearer to each other than the next ones will be; where that cannot be done, the valid split has to do, and the
    threshold is never lower than that says. The test split has no part in it: how many of it are above is measured.
    """
    splits = np.asarray(split)
    asked = np.flatnonzero(splits != "test")
    if len(asked) > MOST_ASKED:
        asked = np.sort(np.random.default_rng(0).permutation(asked)[:MOST_ASKED])
    some = [known[row] for row in asked.tolist()]
    valid = _parts(familiar, features[np.flatnonzero(splits == "valid")])
    folds = _folds(features[asked], targets[asked], some)
    parts, by, scenes = valid, "", 0
    if folds is not None:
        number, judged, groups = folds
        parts = torch.cat(list(_answers(familiar, features[asked], targets[asked], number, judged)))
        by, scenes = "scenes" if any(some) else "features", len(np.unique(groups[judged]))
    familiar = Familiar({**familiar.parts, **_weights(parts)})
    at = max(_exceeded_by_few(_scores(familiar, some)) for some in (parts, valid))
    test = features[np.flatnonzero(splits == "test")]
    rate = float((_scores(familiar, _parts(familiar, test)) > at).double().mean()) if len(test) else 0.0
    return familiar, {
        "score": "neighbours",
        "threshold": at,
        "false_alarm_rate": FALSE_ALARMS,
        "set_on": {"images": len(parts), "scenes": scenes, "by": by},
        "test": {"rate": rate, "images": len(test)},
    }


def _exceeded_by_few(scores: torch.Tensor) -> float:
    return max(float(torch.quantile(scores.double(), 1 - FALSE_ALARMS)) if len(scores) else 0.0, 1e-6)


def _weights(parts: torch.Tensor) -> dict[str, torch.Tensor]:
    """How much doubt counts: it varies as much as the distance does, by the ``parts`` [N, 2] of held-out pictures. And
    how much the distance alone: FALSE_ALARMS of them are above the same value by it as by both.
    """
    spread = parts.double().std(dim=0) if len(parts) > 1 else torch.zeros(2)
    doubt = float(spread[0] / spread[1]) if float(spread.min()) > 1e-6 else 1.0
    reach = _exceeded_by_few(parts[:, 0] + doubt * parts[:, 1]) / _exceeded_by_few(parts[:, 0])
    return {"doubt": torch.tensor(doubt), "reach": torch.tensor(reach)}


def _scores(familiar: Familiar, parts: torch.Tensor) -> torch.Tensor:
    """[N]: Familiar.distances, of its ``parts`` [N, 2]."""
    doubt, reach = (familiar.parts[name] for name in ("doubt", "reach"))
    return torch.maximum(parts[:, 0] * reach, parts[:, 0] + doubt * parts[:, 1])


def _parts(familiar: Familiar, features: torch.Tensor) -> torch.Tensor:
    """[N, 2]: the distance from the nearest of the bank and the head's doubt, of each row of ``features`` [N, F]."""
    plain, found = {**familiar.parts, "reach": torch.zeros(())}, []
    for start in range(0, len(features), ROWS_AT_ONCE):
        some = features[start : start + ROWS_AT_ONCE].float()
        distance, both = (Familiar({**plain, "doubt": torch.tensor(doubt)}).distances(some) for doubt in (0.0, 1.0))
        found.append(torch.stack([distance, both - distance], dim=1))
    return torch.cat(found) if found else torch.zeros(0, 2)


def _answers(
    familiar: Familiar, features: torch.Tensor, targets: torch.Tensor, folds: Groups, judged: Positions
) -> Iterator[torch.Tensor]:
    """The parts of the score of the pictures that are ``judged`` [N], each by what was learnt without its fold."""
    start = Head(familiar.parts["weight"], familiar.parts["bias"])
    for fold in np.unique(folds):
        out, rest = np.flatnonzero((folds == fold) & judged), np.flatnonzero(folds != fold)
        if len(out):
            yield _parts(learn(features[rest], targets[rest], len(start.bias), start), features[out])


def _folds(
    features: torch.Tensor, targets: torch.Tensor, known: Sequence[str | None]
) -> tuple[Groups, Positions, Groups] | None:
    """(fold, whether it is judged, scene) of each picture, [N] each; None where most of them cannot be judged.

    Where scenes are estimated: by the middle one of the groupings or, where that leaves too little of the classes, by
    a finer one.
    """
    shows = shares_of(targets, int(targets.max()) + 1 if targets.ndim == 1 else targets.shape[1]).numpy()
    labels: list[Hashable] = [tuple(row) for row in shows.tolist()]
    ways = groupings(features, known)
    for groups in reversed(ways[: len(ways) // 2 + 1]):
        folds = scene_folds(groups, labels, FOLDS)
        judged = np.zeros(len(labels), dtype=bool)
        for fold in np.unique(folds):
            left = shows[folds != fold].sum(axis=0) >= LEFT * shows.sum(axis=0)
            judged |= (folds == fold) & ((shows == 0) | left).all(axis=1)
        if judged.mean() >= LEFT and len(np.unique(folds)) > 1:
            return folds, judged, groups
    return None


def moments(features: torch.Tensor, rows: Positions) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean [F], covariance [F, F]), in float64, of some rows of ``features`` [N, F], a piece at a time."""
    parts = list(pieces(rows))
    mean = sum((features[some].double().sum(dim=0) for some in parts), torch.zeros(())) / len(rows)
    covariance = torch.zeros(features.shape[1], features.shape[1], dtype=torch.float64)
    for some in parts:
        away = features[some].double() - mean
        covariance += away.T @ away / len(rows)
    return mean, covariance


def shrinkage(covariance: torch.Tensor) -> torch.Tensor:
    """What is added to each variance: with fewer pictures than features, some directions have none at all."""
    return SHRINKAGE * covariance.diagonal().mean().clamp_min(1e-12)


def pieces(positions: Positions) -> Iterator[Positions]:
    """``positions``, ROWS_AT_ONCE at a time."""
    for start in range(0, len(positions), ROWS_AT_ONCE):
        yield positions[start : start + ROWS_AT_ONCE]
