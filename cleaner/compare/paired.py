"""Two error rates on the same images: McNemar's test, Tango's interval, and how many images would tell them apart."""

from __future__ import annotations

import math
from collections.abc import Callable

ALPHA = 0.05
Z = 1.959963984540054
Z_POWER = 0.8416212335729143  # of a power of 80 %
MOST_IMAGES = 1_000_000


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


def more_images(fixed: int, broken: int, n: int) -> int | None:
    """About how many more images McNemar's test would need to find the difference seen, in 4 of 5 tries at 5 %.

    The sample size of Connor (Biometrics 43, 1987) for the shares of images that were ``fixed`` and ``broken``, minus
    ``n``; rounded up to two digits, from 1 to MOST_IMAGES. It holds if these shares are the true ones. None where the
    difference seen is zero: no number of images would show one.
    """
    if fixed == broken:
        return None
    apart, difference = (fixed + broken) / n, (broken - fixed) / n
    root = Z * math.sqrt(apart) + Z_POWER * math.sqrt(max(apart - difference**2, 0.0))
    more = min(max(root**2 / difference**2 - n, 1.0), float(MOST_IMAGES))
    unit: int = 10 ** max(0, math.floor(math.log10(more)) - 1)
    return math.ceil(more / unit) * unit


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
