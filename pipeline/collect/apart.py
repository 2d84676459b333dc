"""What fetches runs in a process of its own: it can be stopped at any moment, and ends with whoever started it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from pipeline.stage import Progress, Stage

BEAT_SECONDS = 0.25


@dataclass(frozen=True)
class ArchiveLimits:
    """``seconds``: for a single read, and the time in which at least ``least_bytes`` have to come."""

    seconds: float = 60.0
    least_bytes: int = 64 << 10


class Watch:
    """Whether next to nothing has come for a while. The process has that while to start, too."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self.limits = limits
        self.since = time.monotonic()
        self.had = 0

    def has_stalled(self, come: int) -> bool:
        """Whether the time is up in which more had to come than the ``come`` bytes that are there."""
        if come - self.had >= self.limits.least_bytes:
            self.since, self.had = time.monotonic(), come
        return time.monotonic() - self.since > self.limits.seconds


def apart(function: Callable[..., Any], args: tuple[Any, ...], beat: Callable[[Any], Progress]) -> Stage[Any]:
    """What ``function(tell, *args)`` returns in another process. ``beat`` says how far it is, whenever a moment has
    passed, given what the function told last (None: nothing yet); what it raises ends the process. None where the
    process ended by itself.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, function, args), daemon=True)
    told: Any = None
    yield beat(told)
    process.start()
    theirs.close()
    try:
        while True:
            if ours.poll(BEAT_SECONDS):
                is_answer, told = ours.recv()
                if is_answer:
                    return told
            yield beat(told)
    except EOFError:
        return None
    finally:
        process.kill()
        process.join()
        ours.close()


def _work(connection: Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # standard output is for results, and others print
    threading.Thread(target=_end_with_parent, daemon=True).start()
    lock = threading.Lock()

    def tell(what: Any) -> None:
        with lock:
            connection.send((False, what))

    answer = function(tell, *args)
    with lock:
        connection.send((True, answer))
    connection.close()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
