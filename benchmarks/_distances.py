"""Ways to tell that a picture is unlike those that were learnt from: what the benchmark of the unfamiliar compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch.nn.functional import normalize

from pipeline.model import familiar

NEIGHBOURS = 10


@dataclass(frozen=True)
class Known:
    """The train split: ``features`` [N, F], ``labels`` [N] (class numbers), ``logits`` [N, C]."""

    features: torch.Tensor
    labels: torch.Tensor
    logits: torch.Tensor


# (features [N, F], logits [N, C]) -> [N]: the higher, the stranger.
Score: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Method: TypeAlias = Callable[[Known], Score]


def _centroid(known: Known) -> Score:
    means = normalize(_class_means(known.features, known.labels), dim=1)
    return lambda features, _: 1 - (normalize(features, dim=1) @ means.T).amax(dim=1)


def _class_means(features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.stack([features[labels == number].mean(dim=0) for number in sorted(set(labels.tolist()))])


def _softmax(_: Known) -> Score:
    return lambda _features, logits: 1 - logits.double().softmax(dim=1).amax(dim=1)


def _energy(_: Known) -> Score:
    return lambda _features, logits: -logits.logsumexp(dim=1)


def _neighbours(scale: Callable[[torch.Tensor], Callable[[torch.Tensor], torch.Tensor]]) -> Method:
    """The distance to the NEIGHBOURSth nearest picture (Sun et al. 2022)."""

    def method(known: Known) -> Score:
        scaled = scale(known.features)
        rows = scaled(known.features)
        count = min(NEIGHBOURS, len(rows))
        return lambda features, _: torch.cdist(scaled(features), rows).topk(count, largest=False)[0][:, -1]

    return method


def _unit(_: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda features: normalize(features, dim=1)


def _standard(known: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    mean, std = known.mean(dim=0), known.std(dim=0).clamp_min(1e-6)
    return lambda features: (features - mean) / std


def _plain(_: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda features: features


def _as_it_is(known: Known) -> Score:
    """What Winnow does, weighed on scenes of the train split alone."""
    learnt = familiar.learn(known.features, known.labels, known.logits.shape[1])
    count = len(known.labels)
    learnt, _said = familiar.limit(learnt, known.features, known.labels, ["train"] * count, [None] * count)
    return lambda features, _: learnt.distances(features)


def _nearest(known: Known) -> Score:
    """The cosine that is missing to the nearest picture."""
    rows = normalize(known.features, dim=1)
    return lambda features, _: 1 - (normalize(features, dim=1) @ rows.T).amax(dim=1)


def _guided(known: Known) -> Score:
    """NNGuide (Park et al. 2023): the energy, times the cosine to the nearest pictures weighed by theirs."""
    rows, energies = normalize(known.features, dim=1), known.logits.logsumexp(dim=1)
    count = min(NEIGHBOURS, len(rows))

    def score(features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        guide = (normalize(features, dim=1) @ rows.T * energies).topk(count, dim=1)[0].mean(dim=1)
        return -guide * logits.logsumexp(dim=1)

    return score


def _mahalanobis(shrinkage: float, directions: int = 0, classes: bool = False, unit: bool = False) -> Method:
    """Mahalanobis' distance; ``directions``: how many of the main ones are kept (0: all); ``classes``: from the nearest
    class mean, by the covariance within classes (Lee et al. 2018); ``unit``: of features of length one (Mueller and
    Hein 2025).
    """

    def method(known: Known) -> Score:
        scaled = (_unit if unit else _plain)(known.features)
        rows = scaled(known.features).double()
        means = _class_means(rows, known.labels) if classes else rows.mean(dim=0, keepdim=True)
        away = rows - (means[known.labels] if classes else means)
        covariance = away.T @ away / len(rows)
        variances, axes = torch.linalg.eigh(covariance)
        floor = shrinkage * variances.mean().clamp_min(1e-12)
        variances = variances.clamp_min(0.0)
        if directions:
            variances[:-directions] = 0.0
        whitened = axes / (variances + floor).sqrt()
        return lambda features, _: torch.cdist(scaled(features).double() @ whitened, means @ whitened).amin(dim=1)

    return method


def _relative(known: Known) -> Score:
    """How much farther from the nearest class mean than from the mean of all (Ren et al. 2021)."""
    near, far = (_mahalanobis(0.3, classes=classes)(known) for classes in (True, False))
    return lambda features, logits: near(features, logits).square() - far(features, logits).square()


def _both(first: Method, second: Method) -> Method:
    """The mean of two scores, each in standard deviations of its own on the train split."""

    def method(known: Known) -> Score:
        scores = [one(known) for one in (first, second)]
        usual = [score(known.features, known.logits) for score in scores]

        def both(features: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            parts = [
                (score(features, logits) - own.mean()) / own.std() for score, own in zip(scores, usual, strict=True)
            ]
            return torch.stack(parts).mean(dim=0)

        return both

    return method


METHODS: Mapping[str, Method] = {
    "cosine to class mean": _centroid,
    "max softmax": _softmax,
    "energy": _energy,
    "kNN, plain": _neighbours(_plain),
    "kNN, length one": _neighbours(_unit),
    "kNN, standardised": _neighbours(_standard),
    "as in familiar.py": _as_it_is,
    "nearest": _nearest,
    "NNGuide": _guided,
    "Mahalanobis .03": _mahalanobis(0.03),
    "Mahalanobis .1": _mahalanobis(0.1),
    "Mahalanobis .3": _mahalanobis(0.3),
    "Mahalanobis 1": _mahalanobis(1.0),
    "Mahalanobis .3, 64": _mahalanobis(0.3, 64),
    "Mahalanobis .3, 512": _mahalanobis(0.3, 512),
    "class means .1": _mahalanobis(0.1, classes=True),
    "class means .3": _mahalanobis(0.3, classes=True),
    "class means 1": _mahalanobis(1.0, classes=True),
    "length one .03": _mahalanobis(0.03, unit=True),
    "length one .1": _mahalanobis(0.1, unit=True),
    "length one .3": _mahalanobis(0.3, unit=True),
    "length one .3, 256": _mahalanobis(0.3, 256, unit=True),
    "length one 1": _mahalanobis(1.0, unit=True),
    "length one, classes .3": _mahalanobis(0.3, classes=True, unit=True),
    "length one, classes 1": _mahalanobis(1.0, classes=True, unit=True),
    "relative": _relative,
    "Mahalanobis + energy": _both(_mahalanobis(0.3), _energy),
    "length one + energy": _both(_mahalanobis(0.3, unit=True), _energy),
}
