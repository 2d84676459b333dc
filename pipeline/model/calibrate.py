"""The temperature of a model: the number its logits are divided by, so that its probabilities mean what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.labels import Flags, Floats
from pipeline.model.losses import shares_of
from pipeline.predict import Outputs

# Beyond these a few pictures would say more than they know.
LEAST, MOST = 0.1, 10.0
# With fewer answers the model keeps the probabilities it has.
FEWEST = 10

GRID = np.round(np.arange(0.05, 0.96, 0.05), 2)
USUAL = 0.5
# A class with fewer pictures in the valid split keeps the usual threshold.
FEWEST_TO_CHOOSE = 3


def fit_temperature(logits: torch.Tensor, targets: torch.Tensor, outputs: Outputs) -> float:
    """The temperature with the lowest log loss for logits [N, C] of pictures the model did not learn from (Guo et al.
    2017); 1.0 where there are fewer than FEWEST. ``targets``: [N] class numbers, or [N, C] flags (sigmoid).

    The targets are smoothed as if one more picture had been answered wrongly (Platt 1999): where all answers are right,
    the model is not made certain.
    """
    if len(logits) < FEWEST:
        return 1.0
    count = logits.shape[1]
    wrong = 1.0 / (len(logits) + 2)
    wanted = shares_of(targets, count).double()
    if outputs.kind == "softmax":
        wanted = wanted * (1 - wrong) + (1 - wanted) * wrong / max(count - 1, 1)
    else:
        wanted = wanted * (1 - wrong) + (1 - wanted) * wrong
    exact = logits.double()
    logarithm = torch.zeros((), dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([logarithm], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        cooled = exact / logarithm.exp()
        if outputs.kind == "softmax":
            value = -(wanted * cooled.log_softmax(dim=1)).sum(dim=1).mean()
        else:
            value = torch.nn.functional.binary_cross_entropy_with_logits(cooled, wanted)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    search.step(loss)  # type: ignore[no-untyped-call]
    found = float(logarithm.detach().exp())
    return min(max(found, LEAST), MOST) if found == found else 1.0


# --- From which probability on a class is said to be there: chosen on the valid split, with the curve behind it ------


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
    if enough := count >= FEWEST_TO_CHOOSE:
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
