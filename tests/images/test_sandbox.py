"""Whatever an item does to the process that works on it costs that item only, and nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from pipeline.errors import PipelineError
from pipeline.images.sandbox import WorkerLimits, map_in_workers
from tests.support.paths import ROOT

WORKER_LIMITS = WorkerLimits(seconds=2.0, memory_bytes=512 << 20)
pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes end otherwise on Windows")


def obey(order: str) -> str:
    """What the workers do: the order says how to misbehave."""
    match order.partition(" ")[0]:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "hang":
            time.sleep(600)
        case "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        case "raise":
            raise ValueError("of all things")
        case "allocate":
            return str(len(bytearray(4 << 30)))
        case "full":
            raise OSError(28, "No space left on device")
        case "unsendable":
            return lambda: None  # type: ignore[return-value]
        case "pid":
            return str(os.getpid())
        case "wait":
            time.sleep(0.05)
        case "memory":
            return str(len(bytearray(200 << 20)))
    return f"did {order}"


def lost(order: str, why: str) -> str:
    return f"lost {order}: {why}"


def left_running() -> list[str]:
    return [str(child) for child in psutil.Process().children(recursive=True) if "multiprocessing" in told(child)]


def told(process: psutil.Process) -> str:
    try:
        words = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
    return "" if "resource_tracker" in words else words


def test_every_item_is_answered_once() -> None:
    orders = [f"work {number}" for number in range(50)]
    answers = list(map_in_workers(obey, orders, lost, 2, WORKER_LIMITS))
    assert sorted(answers) == sorted((order, f"did {order}") for order in orders)
    assert left_running() == []


@pytest.mark.parametrize("ahead", [1, 5])
def test_trouble_costs_one_item_only_whatever_it_is(ahead: int) -> None:
    trouble = {
        "kill": "its process ended (exit code -9)",
        "exit": "its process ended (exit code 3)",
        "crash": "its process ended (exit code -11)",
        "hang": "it took longer than 2 seconds",
        "raise": "it failed with ValueError: of all things",
        "allocate": "it failed with MemoryError: ",
        "unsendable": "its process ended (exit code 1)",
    }
    orders = [order for word in trouble for order in (f"work before {word}", word)] + ["memory", "work at the end"]
    began = time.monotonic()
    answers = dict(map_in_workers(obey, orders, lost, 2, WORKER_LIMITS, ahead))
    assert time.monotonic() - began < 60
    assert set(answers) == set(orders)
    assert {word: answers[word] for word in trouble} == {word: f"lost {word}: {why}" for word, why in trouble.items()}
    assert answers["memory"] == str(200 << 20)
    assert all(answers[order] == f"did {order}" for order in orders if order.startswith("work"))
    assert left_running() == []


def test_a_process_killed_from_outside_costs_nothing() -> None:
    orders = ["pid", *(f"wait {number}" for number in range(12))]
    answers = map_in_workers(obey, orders, lost, 1, WORKER_LIMITS, ahead=4)
    first, worker = next(answers)
    got = {first: "pid"} | dict([next(answers)])
    os.kill(int(worker), signal.SIGKILL)
    got |= dict(answers)
    assert got == {"pid": "pid"} | {order: f"did {order}" for order in orders[1:]}
    assert left_running() == []


def test_no_work_starts_no_process() -> None:
    assert list(map_in_workers(obey, [], lost, 2, WORKER_LIMITS)) == []
    assert left_running() == []


def test_items_are_taken_only_when_a_worker_is_free() -> None:
    taken: list[str] = []

    def endless() -> object:
        while True:
            taken.append(f"work {len(taken)}")
            yield taken[-1]

    answers = map_in_workers(obey, endless(), lost, 1, WORKER_LIMITS)  # type: ignore[arg-type]
    for _ in range(5):
        next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert len(taken) <= 8
    assert left_running() == []


def test_a_full_disk_is_not_the_items_fault() -> None:
    with pytest.raises(PipelineError, match="No space left on device"):
        list(map_in_workers(obey, ["full"], lost, 1, WORKER_LIMITS))
    assert left_running() == []


def test_workers_that_cannot_start_are_reported_and_not_tried_for_ever() -> None:
    with pytest.raises(PipelineError, match="cannot be started"):
        list(map_in_workers(unfindable, ["work"], lost, 1, WORKER_LIMITS))
    assert left_running() == []


def unfindable(order: str) -> str:
    return order


unfindable.__module__ = "tests.no_such_module"
sys.modules["tests.no_such_module"] = sys.modules[__name__]


def test_a_process_that_dies_between_two_items_costs_none() -> None:
    answers = map_in_workers(obey, ["pid", "work 1", "work 2"], lost, 1, WORKER_LIMITS)
    worker = int(next(answers)[1])
    os.kill(worker, signal.SIGKILL)
    while psutil.pid_exists(worker) and psutil.Process(worker).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert list(answers) == [("work 1", "did work 1"), ("work 2", "did work 2")]


def test_stopping_in_the_middle_ends_the_processes() -> None:
    answers = map_in_workers(obey, ["work", "deaf", "hang"], lost, 2, WORKER_LIMITS)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert left_running() == []


@pytest.mark.slow
def test_workers_do_not_outlive_a_parent_that_was_killed() -> None:
    script = (
        "import psutil; from tests.images.test_sandbox import *\n"
        "def lost(*_): pass\n"
        "if __name__ == '__main__':\n"
        "    answers = map_in_workers(obey, ['pid', 'pid', 'hang', 'hang'], lost, 2, WorkerLimits(seconds=3))\n"
        "    print(next(answers)[1], flush=True); print(next(answers)[1], flush=True); next(answers)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout
    workers = {int(parent.stdout.readline()), int(parent.stdout.readline())}
    time.sleep(0.5)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 15
    while any(alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(alive(worker) for worker in workers)


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
