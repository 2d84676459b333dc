"""Progress, Stage, run(): a step is a generator that says how far it is and returns its result."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from filelock import FileLock, Timeout

T = TypeVar("T")


@dataclass(frozen=True)
class Progress:
    """One step forward: ``done`` of ``total`` (0 = not known yet), with a note and numbers for a curve or table."""

    done: int
    total: int
    note: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)


Stage: TypeAlias = Generator[Progress, None, T]


def run(stage: Stage[T], show: Callable[[Progress], None] | None = None) -> T:
    """Drive ``stage`` to its end in this thread and return its result.

    ``show`` is called with every Progress. An exception from ``show`` (Ctrl-C, say) closes the stage, whose
    ``finally`` blocks leave things whole.
    """
    try:
        while True:
            progress = next(stage)
            if show is not None:
                show(progress)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        stage.close()


@contextmanager
def _acquired(lock: FileLock) -> Iterator[None]:
    try:
        yield
    finally:
        lock.release()


def one_at_a_time(lock_file: Path, stage: Stage[T], poll_seconds: float = 0.5) -> Stage[T]:
    """``stage``, begun once no other process on this host holds ``lock_file``; says so while it waits."""
    lock = FileLock(lock_file)
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            yield Progress(0, 0, "Waiting: another training is running on this machine", {"queued": True})
            time.sleep(poll_seconds)
    with _acquired(lock):
        return (yield from stage)
