"""A stage is driven to its end, and closed when somebody stops it."""

from __future__ import annotations

import pytest

from pipeline.errors import NotEnoughData
from pipeline.stage import Progress, Stage, run


def counting(to: int, closed: list[str]) -> Stage[str]:
    try:
        for number in range(1, to + 1):
            yield Progress(number, to)
        return "the result"
    finally:
        closed.append("closed")


def test_run_shows_every_progress_in_order_and_returns_the_result() -> None:
    shown: list[Progress] = []
    assert run(counting(3, []), shown.append) == "the result"
    assert [(progress.done, progress.total) for progress in shown] == [(1, 3), (2, 3), (3, 3)]


def test_run_needs_nobody_to_show_to() -> None:
    assert run(counting(2, [])) == "the result"


def test_an_exception_from_show_closes_the_stage_and_reaches_the_caller() -> None:
    closed: list[str] = []

    def show(_progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(counting(3, closed), show)
    assert closed == ["closed"]


def test_an_error_of_the_stage_reaches_the_caller() -> None:
    def failing() -> Stage[None]:
        yield Progress(0, 1)
        raise NotEnoughData("Add more.")

    with pytest.raises(NotEnoughData, match="Add more"):
        run(failing())


def test_a_progress_without_numbers_has_an_empty_mapping_of_its_own() -> None:
    assert Progress(0, 0).metrics == {} and Progress(0, 0).metrics is not Progress(0, 0).metrics
