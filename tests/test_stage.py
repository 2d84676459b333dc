"""A stage is driven to its end, closed when somebody stops it, and alone where it asks to be."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.errors import NotEnoughData
from pipeline.stage import Progress, Stage, one_at_a_time, run

ROOT = Path(__file__).resolve().parent.parent


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


def test_one_at_a_time_passes_progress_and_result_through(tmp_path: Path) -> None:
    shown: list[Progress] = []
    assert run(one_at_a_time(tmp_path / "lock", counting(2, [])), shown.append) == "the result"
    assert [progress.done for progress in shown] == [1, 2]


def test_a_second_stage_waits_visibly_until_the_first_has_ended(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    first = one_at_a_time(lock, counting(2, []))
    next(first)
    second = one_at_a_time(lock, counting(1, []), poll_seconds=0.01)
    waiting = next(second)
    assert waiting.metrics["queued"] is True and "another training" in waiting.note
    assert next(second).metrics["queued"] is True
    first.close()
    assert next(second) == Progress(1, 1)


@pytest.mark.parametrize("ending", ["close", "error"])
def test_the_lock_is_given_back_however_the_stage_ends(tmp_path: Path, ending: str) -> None:
    stage = one_at_a_time(tmp_path / "lock", counting(3, []))
    next(stage)
    if ending == "close":
        stage.close()
    else:
        with pytest.raises(RuntimeError, match="outside"):
            stage.throw(RuntimeError("from outside"))
    assert run(one_at_a_time(tmp_path / "lock", counting(1, [])), refuse_to_wait) == "the result"


def refuse_to_wait(progress: Progress) -> None:
    assert "queued" not in progress.metrics


def test_a_stage_that_is_stopped_while_it_waits_never_begins(tmp_path: Path) -> None:
    began: list[str] = []

    def telling() -> Stage[None]:
        began.append("began")
        yield Progress(0, 1)

    first = one_at_a_time(tmp_path / "lock", counting(2, []))
    next(first)
    waiting = one_at_a_time(tmp_path / "lock", telling(), poll_seconds=0.01)
    next(waiting)
    waiting.close()
    first.close()
    assert began == []


def test_two_threads_of_one_process_take_turns(tmp_path: Path) -> None:
    inside, most = [], []

    def careful() -> Stage[None]:
        inside.append(1)
        most.append(len(inside))
        yield Progress(0, 1)
        time.sleep(0.05)
        inside.pop()

    work = [threading.Thread(target=run, args=(one_at_a_time(tmp_path / "lock", careful(), 0.01),)) for _ in range(4)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from pipeline.stage import Progress, one_at_a_time\n"
        "def forever():\n    yield Progress(0, 1)\n"
        "stage = one_at_a_time(Path(sys.argv[1]), forever()); next(stage); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "lock")], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        waiting = one_at_a_time(tmp_path / "lock", counting(1, []), poll_seconds=0.01)
        assert next(waiting).metrics["queued"] is True
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert run(waiting) == "the result"
