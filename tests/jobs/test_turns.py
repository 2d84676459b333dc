"""A stage is alone where it asks to be; those who wait know their place, and nobody starves another."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.jobs.turns import STALE_SECONDS, fair_order, one_at_a_time
from pipeline.stage import Progress, Stage, run
from tests.support.paths import ROOT


def counting(to: int) -> Stage[str]:
    for number in range(1, to + 1):
        yield Progress(number, to)
    return "the result"


def test_one_at_a_time_passes_progress_and_result_through(tmp_path: Path) -> None:
    shown: list[Progress] = []
    assert run(one_at_a_time(tmp_path / "lock", counting(2)), shown.append) == "the result"
    assert [progress.done for progress in shown] == [1, 2]


def test_a_second_stage_waits_visibly_until_the_first_has_ended(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    first = one_at_a_time(lock, counting(2))
    next(first)
    second = one_at_a_time(lock, counting(1), poll_seconds=0.01)
    waiting = next(second)
    assert waiting.metrics["queued"] is True and "another training" in waiting.note
    assert next(second).metrics["queued"] is True
    first.close()
    assert next(second) == Progress(1, 1)


@pytest.mark.parametrize("ending", ["close", "error"])
def test_the_lock_is_given_back_however_the_stage_ends(tmp_path: Path, ending: str) -> None:
    stage = one_at_a_time(tmp_path / "lock", counting(3))
    next(stage)
    if ending == "close":
        stage.close()
    else:
        with pytest.raises(RuntimeError, match="outside"):
            stage.throw(RuntimeError("from outside"))
    assert run(one_at_a_time(tmp_path / "lock", counting(1)), refuse_to_wait) == "the result"


def refuse_to_wait(progress: Progress) -> None:
    assert "queued" not in progress.metrics


def test_a_stage_that_is_stopped_while_it_waits_never_begins(tmp_path: Path) -> None:
    began: list[str] = []

    def telling() -> Stage[None]:
        began.append("began")
        yield Progress(0, 1)

    first = one_at_a_time(tmp_path / "lock", counting(2))
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

    work = [
        threading.Thread(target=run, args=(one_at_a_time(tmp_path / "lock", careful(), "", 0.01),)) for _ in range(4)
    ]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path) -> None:
    holder = (
        "import sys, time; from pathlib import Path\n"
        "from pipeline.stage import Progress; from pipeline.jobs.turns import one_at_a_time\n"
        "def forever():\n    yield Progress(0, 1)\n"
        "stage = one_at_a_time(Path(sys.argv[1]), forever()); next(stage); print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path / "lock")], stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "held\n"
        waiting = one_at_a_time(tmp_path / "lock", counting(1), poll_seconds=0.01)
        assert next(waiting).metrics["queued"] is True
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert run(waiting) == "the result"


# --- whose turn it is ------------------------------------------------------------------------------------------------


def waiting(lock: Path, owner: str, order: list[str], name: str) -> Stage[None]:
    def begun() -> Stage[None]:
        order.append(name)
        yield Progress(0, 1)

    return one_at_a_time(lock, begun(), owner, poll_seconds=0)


def test_somebody_with_five_stages_lets_another_in_between(tmp_path: Path) -> None:
    lock, order = tmp_path / "lock", list[str]()
    stages = {f"a{number}": waiting(lock, "ann", order, f"a{number}") for number in range(1, 6)}
    stages |= {f"b{number}": waiting(lock, "bob", order, f"b{number}") for number in (1, 2)}
    places = {name: next(stage).metrics.get("place") for name, stage in stages.items()}
    assert places == {"a1": None, "a2": 1, "a3": 2, "a4": 3, "a5": 4, "b1": 1, "b2": 3}
    while len(order) < 7:
        stages[order[-1]].close()
        assert sum("place" not in next(stages[name]).metrics for name in stages if name not in order) == 1
    assert order == ["a1", "b1", "a2", "b2", "a3", "a4", "a5"]


def test_everybody_who_waits_is_told_the_place(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    first = one_at_a_time(lock, counting(9), "ann")
    next(first)
    others = [one_at_a_time(lock, counting(1), name, poll_seconds=0) for name in ("bob", "cem", "dee")]
    told = [next(stage) for stage in others]
    assert [progress.metrics["place"] for progress in told] == [1, 2, 3]
    assert "You are number 3 in the queue" in told[2].note
    others[0].close()  # gives up
    assert next(others[2]).metrics["place"] == 2
    first.close()
    assert next(others[2]).metrics["place"] == 2  # it is not first, though nobody is at work
    assert run(others[1]) == run(others[2]) == "the result"


def test_who_was_killed_while_waiting_holds_up_nobody(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    first, second = (one_at_a_time(lock, counting(3), name, poll_seconds=0) for name in ("ann", "bob"))
    next(first)
    next(second)
    gone = next((tmp_path / "lock.queue").glob("*.ticket"))
    kept = gone.read_bytes()
    first.close()
    second.close()
    gone.write_bytes(kept)
    long_ago = time.time() - 2 * STALE_SECONDS
    os.utime(gone, (long_ago, long_ago))
    assert run(one_at_a_time(lock, counting(1), "cem"), refuse_to_wait) == "the result"
    assert not gone.exists()


@given(st.lists(st.sampled_from("abc"), max_size=12), st.dictionaries(st.sampled_from("abc"), st.floats(1, 9)))
def test_every_ticket_gets_a_turn_and_owners_alternate(owners: list[str], served: dict[str, float]) -> None:
    tickets = [(str(number), owner) for number, owner in enumerate(owners)]
    order = fair_order(tickets, served)
    assert sorted(order) == sorted(name for name, _ in tickets)
    turns = [owners[int(name)] for name in order]
    for owner in set(owners):
        own = [name for name in order if owners[int(name)] == owner]
        assert own == sorted(own, key=int)
        others = set(owners) - {owner}
        first, rest = turns.index(owner), turns[turns.index(owner) + 1 :]
        for other in others:  # between two turns of one owner, everybody else who waits has one
            between = turns[first + 1 :]
            if owner in rest and other in between:
                assert other in turns[first + 1 : first + 1 + rest.index(owner)]
