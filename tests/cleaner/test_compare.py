"""Two runs on the same images: the verdict is exact, the interval covers, and the two never disagree."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cleaner.compare import compare, mcnemar, paired_interval, verdict
from cleaner.decisions import relabel, remove
from pipeline.errors import NotEnoughData
from tests.cleaner.fabricate import Shot, run_with, workspace_with

ANT, BEE = (0.9, 0.1, 0.0), (0.1, 0.9, 0.0)


def shots(answers: list[tuple[float, ...]], split: str = "test") -> list[Shot]:
    """One ant for each answer."""
    return [Shot(f"s{n}", "ant", split, answer) for n, answer in enumerate(answers)]


def two_runs(root: Path, a: list[tuple[float, ...]], b: list[tuple[float, ...]], split: str = "test"):
    workspace, ids = workspace_with(root, shots(a, split), pictures=False)
    return (
        workspace,
        ids,
        run_with(workspace, ids, shots(a, split)),
        run_with(workspace, ids, shots(b, split), name="b"),
    )


def test_a_run_that_mends_ten_errors_and_makes_none_is_better(tmp_path: Path):
    found = compare(*without_ids(two_runs(tmp_path / "w", [BEE] * 10 + [ANT] * 20, [ANT] * 30)))
    assert (found.fixed, found.broken, found.n, found.split) == (10, 0, 30, "test")
    assert found.a.error_rate == pytest.approx(1 / 3) and found.b.error_rate == 0
    assert found.difference == pytest.approx(-1 / 3) and found.low < found.difference < found.high < 0
    assert found.p == pytest.approx(2 / 2**10) and found.verdict == "better"
    assert (
        "b is better" in found.words
        and "from 10 (33.3%) to 0 (0.0%)" in found.words
        and "30 test images" in found.words
    )


def test_the_same_the_other_way_round_is_worse(tmp_path: Path):
    found = compare(*without_ids(two_runs(tmp_path / "w", [ANT] * 30, [BEE] * 10 + [ANT] * 20)))
    assert found.verdict == "worse" and 0 < found.low < found.difference < found.high


def test_one_mended_error_in_thirty_cannot_be_told_apart_from_luck(tmp_path: Path):
    found = compare(*without_ids(two_runs(tmp_path / "w", [BEE] + [ANT] * 29, [ANT] * 30)))
    assert found.verdict == "cannot be told apart" and found.low <= 0 <= found.high
    assert "cannot be told apart" in found.words and "1 wrong before and right now" in found.words


def test_the_labels_of_today_judge_and_removed_images_do_not_count(tmp_path: Path):
    workspace, ids, a, b = two_runs(tmp_path / "w", [BEE, ANT, ANT], [ANT, ANT, ANT])
    assert compare(workspace, a, b).fixed == 1
    relabel(workspace, ids["s0"], "bee")
    found = compare(workspace, a, b)
    assert (found.fixed, found.broken) == (0, 1)
    remove(workspace, ids["s0"])
    assert compare(workspace, a, b).n == 2


def test_without_test_images_the_valid_ones_are_compared_and_the_words_say_so(tmp_path: Path):
    found = compare(*without_ids(two_runs(tmp_path / "w", [BEE, ANT], [ANT, ANT], "valid")))
    assert found.split == "valid" and "valid images, which training has looked at" in found.words


def test_runs_without_a_common_image_are_not_compared(tmp_path: Path):
    workspace, ids, a, _ = two_runs(tmp_path / "w", [ANT] * 4, [ANT] * 4)
    empty = run_with(workspace, ids, [], name="empty")
    with pytest.raises(NotEnoughData, match="in common"):
        compare(workspace, a, empty)


def test_a_run_compared_with_itself_cannot_be_told_apart(tmp_path: Path):
    workspace, _, a, _ = two_runs(tmp_path / "w", [ANT, BEE], [ANT, BEE])
    found = compare(workspace, a, a)
    assert (found.verdict, found.difference, found.p) == ("cannot be told apart", 0, 1)


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


def without_ids(made):
    workspace, _, a, b = made
    return workspace, a, b


def likeliest_q(fixed: int, broken: int, n: int, delta: float) -> float:
    """The probability of "fixed" that makes the counts likeliest, given the difference: by trying them all."""
    q = np.linspace(max(0.0, -delta), (1 - delta) / 2, 2_000_001)[1:-1]
    with np.errstate(divide="ignore"):
        likelihood = broken * np.log(q + delta) + fixed * np.log(q) + (n - fixed - broken) * np.log(1 - 2 * q - delta)
    return float(q[np.argmax(likelihood)])
