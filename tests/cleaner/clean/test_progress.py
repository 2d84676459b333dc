"""The pace, and how many wrong labels are left: on queues whose truth is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from cleaner.clean.progress import ENOUGH, Outlook, outlook, pace

START = datetime(2026, 1, 1, tzinfo=UTC)


def simulated(seed: int, noise: float = 0.05, images: int = 1_000) -> tuple[np.ndarray, np.ndarray]:
    """(scores, which labels are wrong), the most doubtful first."""
    chance = np.random.default_rng(seed)
    wrong = chance.random(images) < noise
    logits = np.where(wrong, chance.normal(2, 2, images), chance.normal(-3, 1.5, images))
    order = np.argsort(-logits)
    return (1 / (1 + np.exp(-logits)))[order], wrong[order]


@pytest.mark.parametrize("looked", [60, 200])
def test_the_interval_holds_the_truth_nearly_always(looked: int) -> None:
    held = 0
    for seed in range(20):
        scores, wrong = simulated(seed)
        found = outlook(scores[:looked], wrong[:looked], scores[looked:])
        assert found is not None and found.low <= found.wrong <= found.high <= found.left
        held += found.low <= wrong[looked:].sum() <= found.high
    assert held >= 18


def test_the_longer_one_looks_the_less_is_left_and_at_last_one_may_stop() -> None:
    scores, wrong = simulated(1, noise=0.02)
    seen = [outlook(scores[:looked], wrong[:looked], scores[looked:]) for looked in (30, 150, 500)]
    highs = [found.high for found in seen if found]
    assert highs == sorted(highs, reverse=True) and len(highs) == 3
    assert not seen[0].stop and seen[2].stop and seen[2].words.startswith("You could stop: ")


def test_where_most_of_what_was_looked_at_was_wrong_nobody_is_told_to_stop() -> None:
    scores, _ = simulated(1)
    found = outlook(scores[:50], np.ones(50, dtype=bool), scores[50:])
    assert found is not None and not found.stop and found.high > 50


def test_it_is_silent_until_enough_was_decided_or_where_nothing_is_left() -> None:
    scores, wrong = simulated(1)
    assert outlook(scores[: ENOUGH - 1], wrong[: ENOUGH - 1], scores[ENOUGH:]) is None
    assert outlook(scores, wrong, scores[:0]) is None


def test_scores_at_the_very_ends_are_taken() -> None:
    found = outlook(np.array([1.0] * 30), np.array([True] * 30), np.array([0.0] * 10))
    assert found is not None and 0 <= found.low <= found.high <= 10


def test_it_is_said_in_plain_words() -> None:
    assert Outlook(380, 12, 5, 25).words == (
        "About 12 wrong labels are left (5 to 25) among 380 not looked at: 3.2 % (1.3 to 6.6 %)."
    )
    assert Outlook(1000, 1, 0, 9).words.startswith("You could stop: at most 0.9 % of the labels left are wrong")


def test_pauses_do_not_slow_the_pace_and_few_decisions_have_none() -> None:
    quick = [START + timedelta(seconds=3 * number) for number in range(10)]
    after_lunch = [moment + timedelta(hours=1) for moment in quick]
    assert pace(quick) == pytest.approx(20.0)
    assert pace([*quick, *after_lunch]) == pytest.approx(20.0)
    assert pace(quick[:5]) is None and pace([]) is None


def test_of_long_work_only_the_last_minutes_count() -> None:
    slow = [START + timedelta(seconds=50 * number) for number in range(100)]
    fast = [slow[-1] + timedelta(seconds=2 * number) for number in range(1, 400)]
    assert pace([*slow, *fast]) == pytest.approx(30.0)


def test_decisions_made_at_once_count_each() -> None:
    assert pace([START] * 24 + [START + timedelta(seconds=60)] * 24) == pytest.approx(47.0)
