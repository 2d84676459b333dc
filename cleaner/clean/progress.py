"""How fast the cleaning goes, and when to stop: how many wrong labels are probably left, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Counts: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

ENOUGH = 20
STOP_BELOW = 0.015
PAUSE_SECONDS = 60.0
ACTIVE_SECONDS = 600.0
FEWEST_GAPS = 5
EDGES = np.linspace(-8.0, 8.0, 49)
LEVELS = np.linspace(-6.0, 6.0, 33)
SLOPES = np.exp(np.linspace(-1.6, 1.6, 17))
FLOORS = 0.1 * np.linspace(0.0, 1.0, 13) ** 2
NO_FLOOR = 0.5
DRAWS = 2_000


@dataclass(frozen=True)
class Outlook:
    """About ``wrong`` labels (95 % interval ``low`` to ``high``) are wrong among ``left`` images not looked at."""

    left: int
    wrong: int
    low: int
    high: int

    @property
    def stop(self) -> bool:
        """Whether so few are left, even at the upper end, that going on is hardly worth it."""
        return self.high < STOP_BELOW * self.left

    @property
    def words(self) -> str:
        """One sentence or two."""
        what = "wrong label is" if self.wrong == 1 else "wrong labels are"
        share = f"{_percent(self.wrong, self.left)} % ({_percent(self.low, self.left)} to"
        text = (
            f"About {self.wrong:,} {what} left ({self.low:,} to {self.high:,}) among {self.left:,} not looked at: "
            f"{share} {_percent(self.high, self.left)} %)."
        )
        most = f"at most {_percent(self.high, self.left)} % of the labels left are wrong, with 97.5 % confidence"
        return f"You could stop: {most}. {text}" if self.stop else text


def outlook(scores: Floats, wrong: Counts, left: Floats, seed: int = 0) -> Outlook | None:
    """How many of the images not looked at carry a wrong label; None before ENOUGH were decided on, or none is left.

    ``scores`` [N] (0 to 1) of the images decided on and whether each was found ``wrong`` [N]; ``left`` [M]: scores of
    the others. The share of wrong labels is taken to rise with x = logit(score) as f + (1 - f) * sigmoid(a + b * x)
    with b > 0: a calibrated model has a = 0 and b = 1; f is what no score shows (labels that are wrong in a way that
    the model has learnt). The posterior of (a, b, f) is computed on a grid, under wide priors
    (a normal around 0 with deviation 2; log b normal around 0 with deviation 0.5; f = 0 with probability NO_FLOOR, else
    up to 0.1 with density proportional to 1 / sqrt(f)), from the decisions in bins of x. The interval is that of the
    number itself: wrong labels are drawn bin by bin from the posterior.

    Assumed: the person decides rightly; whether a label is wrong depends on the score alone, so that looking at one
    class only, or at pictures picked by eye, misleads; no more than a tenth is wrong where the model sees nothing.
    """
    if len(scores) < ENOUGH or not len(left):
        return None
    seen, found, rest = _binned(scores), _binned(scores[wrong.astype(bool)]), _binned(left)
    used = (seen > 0) | (rest > 0)
    seen, found, rest = seen[used], found[used], rest[used]
    share = _shares((EDGES[:-1] + EDGES[1:])[used] / 2)
    likely = np.log(share) @ found + np.log1p(-share) @ (seen - found) + _prior()
    weight = np.exp(likely - likely.max())
    chance = np.random.default_rng(seed)
    drawn = chance.choice(len(weight), DRAWS, p=weight / weight.sum())
    numbers = chance.binomial(rest, share[drawn]).sum(axis=1)
    low, middle, high = np.quantile(numbers, [0.025, 0.5, 0.975])
    return Outlook(len(left), round(middle), int(np.floor(low)), int(np.ceil(high)))


def pace(moments: Sequence[datetime]) -> float | None:
    """Decisions a minute over the last ACTIVE_SECONDS of work; None where there were too few.

    Waits longer than PAUSE_SECONDS count as pauses and are left out. Decisions made in one go count each.
    """
    times = sorted(moments)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(times)]
    active, counted = 0.0, 0
    for gap in reversed(gaps):
        if gap <= PAUSE_SECONDS:
            active += gap
            counted += 1
        if active >= ACTIVE_SECONDS:
            break
    return 60.0 * counted / active if counted >= FEWEST_GAPS and active > 0 else None


def _binned(scores: Floats) -> Counts:
    inside = np.clip(np.asarray(scores, dtype=float), 1e-9, 1 - 1e-9)
    logits = np.clip(np.log(inside) - np.log1p(-inside), EDGES[0], EDGES[-1])
    return np.histogram(logits, EDGES)[0]


def _shares(centres: Floats) -> Floats:
    """P(wrong) for each (a, b, f) of the grid and each bin, [A * B * F, bins]."""
    lines = LEVELS[:, None, None, None] + SLOPES[None, :, None, None] * centres
    floors = FLOORS[None, None, :, None]
    shares = floors + (1 - floors) / (1 + np.exp(-lines))
    result: Floats = np.clip(shares, 1e-9, 1 - 1e-9).reshape(-1, len(centres))
    return result


def _prior() -> Floats:
    """The logarithm of the prior at each point of the grid; the points of f lie evenly in sqrt(f)."""
    level = -((LEVELS / 2.0) ** 2) / 2
    slope = -((np.log(SLOPES) / 0.5) ** 2) / 2
    floor = np.log(np.where(FLOORS == 0, NO_FLOOR, (1 - NO_FLOOR) / (len(FLOORS) - 1)))
    result: Floats = np.broadcast_to(
        level[:, None, None] + slope[None, :, None] + floor, (len(LEVELS), len(SLOPES), len(FLOORS))
    ).reshape(-1)
    return result


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole
    return f"{share:.0f}" if share >= 9.5 or share == 0 else f"{share:.1f}"
