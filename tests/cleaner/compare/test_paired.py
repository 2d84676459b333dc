"""Paired error rates: the test is exact, the interval covers, and the images asked for tell what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cleaner.compare.paired import MOST_IMAGES, mcnemar, more_images, paired_interval, verdict


def test_the_exact_test_gives_the_binomial_tail():
    assert mcnemar(0, 0) == 1 and mcnemar(3, 3) == 1 and mcnemar(0, 5) == 2 / 32
    assert mcnemar(2, 10) == mcnemar(10, 2) == pytest.approx(2 * (1 + 12 + 66) / 4096)
    assert mcnemar(9000, 9300) == pytest.approx(0.0271, abs=1e-3)


@pytest.mark.parametrize(("fixed", "broken", "n"), [(2, 9, 32), (9, 1, 50), (20, 4, 100), (0, 12, 60)])
def test_the_bounds_are_where_tangos_statistic_reaches_its_limit(fixed: int, broken: int, n: int):
    for bound in (bound for bound in paired_interval(fixed, broken, n) if bound != 0):
        q = likeliest_q(fixed, broken, n, bound)
        z = (broken - fixed - n * bound) / math.sqrt(n * (2 * q + bound * (1 - bound)))
        assert abs(z) == pytest.approx(1.959964, abs=1e-3)


@pytest.mark.parametrize("n", [1, 2, 7, 30, 200])
def test_verdict_and_interval_never_disagree(n: int):
    for fixed in range(min(n, 40) + 1):
        for broken in range(min(n - fixed, 40) + 1):
            low, high = paired_interval(fixed, broken, n)
            assert -1 <= low <= (broken - fixed) / n <= high <= 1
            told_apart = mcnemar(fixed, broken) < 0.05
            assert (verdict(fixed, broken, n) != "cannot be told apart") == told_apart == (not low <= 0 <= high)
            if told_apart:
                assert verdict(fixed, broken, n) == ("better" if fixed > broken else "worse")


def test_the_interval_covers_the_truth_about_19_times_in_20():
    draw = np.random.default_rng(7)
    for n, fixed, broken in ((60, 0.1, 0.02), (60, 0.05, 0.05), (200, 0.1, 0.03), (200, 0.2, 0.0), (1000, 0.03, 0.02)):
        trials = draw.multinomial(n, [fixed, broken, 1 - fixed - broken], size=400)
        pairs, counts = np.unique(trials[:, :2], axis=0, return_counts=True)
        bounds = [paired_interval(int(f), int(b), n) for f, b in pairs]
        covered = sum(c for (low, high), c in zip(bounds, counts, strict=True) if low <= broken - fixed <= high)
        assert 0.92 <= covered / 400 <= 1.0, (n, fixed, broken, covered / 400)


def test_runs_that_are_equally_good_are_rarely_called_different():
    draw = np.random.default_rng(8)
    trials = draw.multinomial(150, [0.06, 0.06, 0.88], size=1000)
    assert sum(mcnemar(int(f), int(b)) < 0.05 for f, b, _ in trials) / 1000 <= 0.05


@pytest.mark.parametrize(("fixed", "broken", "n"), [(3, 1, 90), (12, 6, 200), (5, 1, 200), (9, 14, 250)])
def test_with_the_images_asked_for_the_difference_is_found_in_4_of_5_tries(fixed: int, broken: int, n: int):
    more = more_images(fixed, broken, n)
    assert more
    draw = np.random.default_rng(11)
    shares = [fixed / n, broken / n, 1 - (fixed + broken) / n]
    assert found(draw.multinomial(n + more, shares, size=2000)) == pytest.approx(0.8, abs=0.04)
    assert found(draw.multinomial(n + more // 4, shares, size=2000)) < 0.6


def found(trials: np.ndarray) -> float:
    """The share of the trials (fixed, broken, others) in which the exact test tells the runs apart."""
    pairs, counts = np.unique(trials[:, :2], axis=0, return_counts=True)
    return float(
        sum(c for (f, b), c in zip(pairs, counts, strict=True) if mcnemar(int(f), int(b)) < 0.05) / len(trials)
    )


def test_no_number_of_images_shows_a_difference_of_zero_and_none_is_promised_beyond_a_bound():
    assert more_images(0, 0, 90) is None and more_images(7, 7, 90) is None
    assert more_images(501, 500, 10_000) == MOST_IMAGES
    assert more_images(5, 0, 5) == 1


def test_the_images_asked_for_have_two_digits_rounded_up_and_do_not_depend_on_the_side():
    # Connor 1987: (1.96 sqrt(psi) + 0.8416 sqrt(psi - d^2))^2 / d^2 with psi = 4/90 and d = 2/90 is 705.
    assert more_images(3, 1, 90) == more_images(1, 3, 90) == 620
    for fixed in range(1, 30):
        more = more_images(fixed, 0, 4000)
        assert more and len(str(more).rstrip("0")) <= 2


def likeliest_q(fixed: int, broken: int, n: int, delta: float) -> float:
    """The probability of "fixed" that makes the counts likeliest, given the difference: by trying them all."""
    q = np.linspace(max(0.0, -delta), (1 - delta) / 2, 2_000_001)[1:-1]
    with np.errstate(divide="ignore"):
        likelihood = broken * np.log(q + delta) + fixed * np.log(q) + (n - fixed - broken) * np.log(1 - 2 * q - delta)
    return float(q[np.argmax(likelihood)])
