"""How well each class is told from the others: precision, recall and F1, with 95 % intervals and support."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pipeline.labels import as_flags
from pipeline.train.evaluate import error_rate_interval

RATES = ("precision", "recall", "f1")
COLUMNS = ["class", "n", "called", "right", *(rate + end for rate in RATES for end in ("", "_low", "_high"))]


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
