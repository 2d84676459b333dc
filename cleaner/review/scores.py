"""How well each class is told from the others: precision, recall and F1, with 95 % intervals and support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.labels import Flags, Floats, as_flags
from pipeline.predict import Outputs
from pipeline.train.evaluate import error_rate_interval

RATES = ("precision", "recall", "f1")
COLUMNS = ["class", "n", "called", "right", *(rate + end for rate in RATES for end in ("", "_low", "_high"))]

BINS = 10


def per_class(predictions: pd.DataFrame, answers: Sequence[str]) -> pd.DataFrame:
    """One row a class, judged by the labels in ``predictions``: class, n (images of it: its support), called (images
    that were called it), right (both); and precision, recall and f1 (0 to 1), each with _low and _high.

    The intervals are at 95 %: Wilson's for precision and recall, :func:`f1_interval` for F1. All are None where
    nothing was counted. Images whose label is none of ``answers`` count where they were called one of them.
    """
    actual, predicted = (as_flags(predictions[column].astype(str), answers) for column in ("label", "predicted"))
    right, of_class, called = (flags.sum(axis=0).tolist() for flags in (actual & predicted, actual, predicted))
    table = [
        (name, n, said, hit, *_rate(hit, said), *_rate(hit, n), *_f1(hit, n + said - hit))
        for name, n, said, hit in zip(answers, of_class, called, right, strict=True)
    ]
    return pd.DataFrame(table, columns=COLUMNS, dtype=object)


def f1_interval(right: int, concerned: int) -> tuple[float, float]:
    """The 95 % interval of an F1, from 0 to 1; (0, 1) where nothing was counted. ``concerned`` images are of the class
    or were called it, ``right`` of them are both.

    F1 grows with F* = F1 / (2 - F1) = right / concerned, which is a share of counted images: its Wilson interval, taken
    back to F1 (the "Wilson indirect" method of Lam, Gopal and Qian, arXiv 2309.14621, 2023).
    """
    low, high = error_rate_interval(right, concerned)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def _rate(part: int, whole: int) -> tuple[float | None, float | None, float | None]:
    return (part / whole, *error_rate_interval(part, whole)) if whole else (None, None, None)


def _f1(right: int, concerned: int) -> tuple[float | None, float | None, float | None]:
    return (2 * right / (concerned + right), *f1_interval(right, concerned)) if concerned else (None, None, None)


# --- Whether a run is as often right as it is sure: the reliability curve, and the expected calibration error --------


@dataclass(frozen=True)
class Bin:
    """The ``n`` answers that were given with a probability from ``low`` to below ``high`` (the last: up to 1).

    ``said`` is the mean of these probabilities, ``right`` the share that was right, with its 95 % interval (Wilson);
    all four are None where n is 0.
    """

    low: float
    high: float
    n: int
    said: float | None
    right: float | None
    right_low: float | None
    right_high: float | None


@dataclass(frozen=True)
class Calibration:
    """The bins of all ``n`` answers; what they ``said`` and how many were ``right`` on the whole, as in a Bin.

    ``ece`` is the expected calibration error: the mean, over all answers, of how far ``said`` and ``right`` of their
    bin lie apart (0 to 1; Naeini, Cooper and Hauskrecht 2015, with bins of equal width). None where n is 0.
    """

    bins: list[Bin]
    n: int
    ece: float | None
    said: float | None
    right: float | None
    right_low: float | None
    right_high: float | None


def calibration(predictions: pd.DataFrame, outputs: Outputs, bins: int = BINS) -> Calibration:
    """How sure a run was and how often right, judged by the labels in ``predictions``.

    Softmax: one answer an image, the predicted class with its probability. Sigmoid: each class of each image is an
    answer of its own, "it is there" with its probability.
    """
    probabilities, came_true = _answers(predictions, outputs)
    said, right = probabilities.ravel(), came_true.ravel()
    places = _places(said, bins)
    parts = [_bin(said[places == i], right[places == i], i / bins, (i + 1) / bins) for i in range(bins)]
    apart = [part.n * abs(part.said - part.right) for part in parts if part.said is not None and part.right is not None]
    whole = _bin(said, right, 0.0, 1.0)
    ece = sum(apart) / whole.n if whole.n else None
    return Calibration(parts, whole.n, ece, whole.said, whole.right, whole.right_low, whole.right_high)


def in_bin(predictions: pd.DataFrame, outputs: Outputs, number: int, bins: int = BINS) -> Flags:
    """[N]: which images have an answer in bin ``number`` (from 0)."""
    said, _ = _answers(predictions, outputs)
    inside: Flags = (_places(said, bins) == number).any(axis=1)
    return inside


def _answers(predictions: pd.DataFrame, outputs: Outputs) -> tuple[Floats, Flags]:
    """(probabilities, whether that came true) of each answer: [N, 1] with softmax, [N, C] with sigmoid."""
    if outputs.kind == "softmax":
        right = (predictions["label"] == predictions["predicted"]).to_numpy(dtype=bool)
        return predictions["probability"].to_numpy(dtype=float)[:, None], right[:, None]
    columns = [name for name in predictions.columns if name.startswith("p:")]
    there = as_flags(predictions["label"].astype(str), [name[2:] for name in columns])
    return predictions[columns].to_numpy(dtype=float), there


def _places(said: Floats, bins: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    places: np.ndarray[tuple[int, ...], np.dtype[np.int64]] = np.clip((said * bins).astype(np.int64), 0, bins - 1)
    return places


def _bin(said: Floats, right: Flags, low: float, high: float) -> Bin:
    if not len(said):
        return Bin(low, high, 0, None, None, None, None)
    return Bin(
        low,
        high,
        len(said),
        float(said.mean()),
        float(right.mean()),
        *error_rate_interval(int(right.sum()), len(said)),
    )
