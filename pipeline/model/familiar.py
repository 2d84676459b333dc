"""What is familiar to a network: how far features lie from those it learnt from, and from where on a picture is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import torch

from pipeline.predict import Familiar

# Of the mean variance, added to each.
SHRINKAGE = 0.3
# A picture is compared along so many directions; the rest counts as one.
DIRECTIONS = 256
ROWS_AT_ONCE = 512
# So many of the pictures that are like those it learnt from are called unfamiliar all the same.
FALSE_ALARMS = 0.05

Positions: TypeAlias = np.ndarray[Any, Any]


def learn(features: torch.Tensor) -> Familiar:
    """What is usual among ``features`` [N, F] of the train split: Mahalanobis' distance with a covariance shrunk to its
    mean variance (Lee et al. 2018, here around one mean, without classes), kept along its main directions.
    """
    mean, covariance = moments(features, np.arange(len(features)))
    floor = shrinkage(covariance)
    count = min(DIRECTIONS, len(features), features.shape[1])
    variances, directions = (part.flip(-1)[..., :count] for part in torch.linalg.eigh(covariance))
    return Familiar(mean.float(), directions.float(), variances.clamp_min(0.0).float(), floor.float())


def threshold(familiar: Familiar, held_out: torch.Tensor) -> float:
    """The distance that FALSE_ALARMS of the pictures with the features ``held_out`` [N, F] exceed."""
    return max(float(torch.quantile(familiar.distances(held_out), 1 - FALSE_ALARMS)), 1e-12)


def limit(familiar: Familiar, valid: torch.Tensor, test: torch.Tensor) -> dict[str, Any]:
    """What config.json says under ``unfamiliar``: the threshold, set on the features [N, F] of the valid split, and the
    rate of false alarms it was set for; then the one measured on those of the test split (0 without any), which had no
    part in it, and how many pictures that has.
    """
    at = threshold(familiar, valid)
    measured = float((familiar.distances(test) > at).double().mean()) if len(test) else 0.0
    return {"threshold": at, "false_alarm_rate": FALSE_ALARMS, "test": {"rate": measured, "images": len(test)}}


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
