"""Two runs on the same images: the verdict is exact, the interval covers, and the two never disagree."""

from __future__ import annotations

from pathlib import Path

import pytest

from cleaner.compare import compare
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


def without_ids(made):
    workspace, _, a, b = made
    return workspace, a, b
