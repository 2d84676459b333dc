"""Two runs on the same images: what changed, with an interval, in plain words."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from cleaner.review import judged
from pipeline.errors import NotEnoughData
from pipeline.evaluate import error_rate_interval
from pipeline.runs import Run
from pipeline.workspace import Workspace

ALPHA = 0.05
Z = 1.959963984540054


@dataclass(frozen=True)
class Rate:
    """One run's share of wrong answers, with its own 95 % interval: ``errors`` of n images."""

    run: str
    errors: int
    error_rate: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Run ``b`` against run ``a`` on the same ``n`` images of ``split``.

    ``difference`` = error rate of b - error rate of a (below 0: b makes fewer errors), with its paired 95 % interval
    ``low`` to ``high``. ``fixed``: a wrong, b right; ``broken``: a right, b wrong. ``p`` is that of the exact McNemar
    test; ``verdict`` is "better", "worse" or "cannot be told apart". ``words`` says it all in plain sentences.
    """

    a: Rate
    b: Rate
    split: str
    n: int
    fixed: int
    broken: int
    difference: float
    low: float
    high: float
    p: float
    verdict: str
    words: str


def compare(workspace: Workspace, run_a: Run, run_b: Run) -> Comparison:
    """What run ``run_b`` does better or worse than ``run_a``, judged by the labels of today.

    On the test images that both runs predicted and that are still in use; where there are none, on the valid images
    (``words`` says so). Raises NotEnoughData where the runs share neither.
    """
    a, b = judged(workspace, run_a), judged(workspace, run_b)
    for split in ("test", "valid"):
        pairs = _paired(a, b, split)
        if len(pairs):
            return _comparison(run_a.id, run_b.id, split, pairs)
    raise NotEnoughData(
        f"Runs {run_a.id} and {run_b.id} have no test or valid image in common that is still in use. "
        "Train again, and compare with the new run."
    )


def mcnemar(fixed: int, broken: int) -> float:
    """The two-sided p value of the exact McNemar test: are ``fixed`` and ``broken`` a fair coin's heads and tails?"""
    tosses = fixed + broken
    tail = term = 1
    for k in range(min(fixed, broken)):
        term = term * (tosses - k) // (k + 1)
        tail += term
    return min(1.0, float(2 * tail / 2**tosses))


def paired_interval(fixed: int, broken: int, n: int) -> tuple[float, float]:
    """The 95 % interval of the difference (broken - fixed) / n between two paired error rates.

    Tango's score interval (Statistics in Medicine 17, 1998), which inverts McNemar's statistic; made to touch 0 where
    the exact test cannot tell the runs apart, so that the two never disagree.
    """
    difference = (broken - fixed) / n
    low = _bisect(lambda delta: _score(fixed, broken, n, delta) > Z, -1.0, difference)
    high = _bisect(lambda delta: _score(fixed, broken, n, delta) >= -Z, difference, 1.0)
    return (min(low, 0.0), max(high, 0.0)) if mcnemar(fixed, broken) >= ALPHA else (low, high)


def verdict(fixed: int, broken: int, n: int) -> str:
    """ "better", "worse" or "cannot be told apart": whether 0 lies outside the paired interval, and on which side."""
    low, high = paired_interval(fixed, broken, n)
    return "better" if high < 0 else "worse" if low > 0 else "cannot be told apart"


def _paired(a: pd.DataFrame, b: pd.DataFrame, split: str) -> pd.DataFrame:
    """id, a, b of the images of ``split`` in both tables: whether each run's answer is wrong."""
    wrong = [
        part.assign(wrong=part["predicted"] != part["label"])[["id", "wrong"]]
        for part in (a[a["split"] == split], b[b["split"] == split])
    ]
    return wrong[0].merge(wrong[1], on="id", suffixes=("_a", "_b"))


def _comparison(run_a: str, run_b: str, split: str, pairs: pd.DataFrame) -> Comparison:
    n = len(pairs)
    fixed = int((pairs["wrong_a"] & ~pairs["wrong_b"]).sum())
    broken = int((~pairs["wrong_a"] & pairs["wrong_b"]).sum())
    a, b = _rate(run_a, int(pairs["wrong_a"].sum()), n), _rate(run_b, int(pairs["wrong_b"].sum()), n)
    low, high = paired_interval(fixed, broken, n)
    found = verdict(fixed, broken, n)
    words = _words(a, b, split, n, fixed, broken, (low, high), found)
    return Comparison(
        a, b, split, n, fixed, broken, (broken - fixed) / n, low, high, mcnemar(fixed, broken), found, words
    )


def _rate(run: str, errors: int, n: int) -> Rate:
    return Rate(run, errors, errors / n, *error_rate_interval(errors, n))


def _score(fixed: int, broken: int, n: int, delta: float) -> float:
    """Tango's z for the hypothesis that the true difference is ``delta`` (in [-1, 1]); it falls as delta grows."""
    b, c = broken, fixed
    linear = -b - c + (2 * n - b + c) * delta
    root = math.sqrt(max(linear * linear + 8 * n * c * delta * (1 - delta), 0.0))
    q = (root - linear) / (4 * n)
    variance = n * (2 * q + delta * (1 - delta))
    above = b - c - n * delta
    if variance <= 0:
        return math.copysign(math.inf, above) if above else 0.0
    return above / math.sqrt(variance)


def _bisect(inside: Callable[[float], bool], low: float, high: float) -> float:
    """Where ``inside``, true up to a point between ``low`` and ``high`` and false beyond it, changes (to 1e-12)."""
    for _ in range(44):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) else (low, middle)
    return (low + high) / 2


def _words(
    a: Rate, b: Rate, split: str, n: int, fixed: int, broken: int, interval: tuple[float, float], found: str
) -> str:
    claim = {"better": f"Run {b.run} is better than run {a.run}.", "worse": f"Run {b.run} is worse than run {a.run}."}
    low, high = (f"{100 * bound:+.1f}" for bound in interval)
    sentences = [
        claim.get(found, f"Runs {a.run} and {b.run} cannot be told apart on these images."),
        f"On the same {_count(n, split + ' image')}, judged by the labels of today, the errors go from {a.errors} "
        f"({a.error_rate:.1%}) to {b.errors} ({b.error_rate:.1%}): {fixed} wrong before and right now, {broken} right "
        "before and wrong now.",
        f"The error rate changes by {100 * (b.error_rate - a.error_rate):+.1f} points (95% interval {low} to {high}).",
    ]
    if split != "test":
        sentences.append("There is no test image in common, so this is on valid images, which training has looked at.")
    return " ".join(sentences)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
