"""Work on strangers' bytes in processes of their own, with a time and a memory limit for each picture."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

import psutil

from pipeline.errors import PipelineError

Item = TypeVar("Item")
Answer = TypeVar("Answer")
START_SECONDS = 120.0
GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class _Raised:
    """What a worker sends when its function raised; ``everyone`` where that is no single item's fault (the disk's)."""

    what: str
    everyone: bool


@dataclass(frozen=True)
class Limits:
    """What one item may cost: seconds of wall time, bytes of memory (not enforced on Windows)."""

    seconds: float = 20.0
    memory_bytes: int = 2 << 30


class _Worker(Generic[Item]):
    """A process that answers one item at a time."""

    def __init__(self, function: Callable[[Item], Any], limits: Limits) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, function, limits), daemon=True)
        self.process.start()
        theirs.close()
        self.item: Item | None = None
        self.ready = False
        self.deadline = time.monotonic() + START_SECONDS

    def give(self, item: Item, limits: Limits) -> bool:
        """Whether it took the item; False where its process has ended since its last answer."""
        self.deadline = time.monotonic() + limits.seconds
        try:
            self.connection.send(item)
        except ConnectionError:
            return False
        self.item = item
        return True

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


def map_in_workers(
    function: Callable[[Item], Answer],
    items: Iterable[Item],
    lost: Callable[[Item, str], Answer],
    workers: int = 0,
    limits: Limits | None = None,
) -> Iterator[tuple[Item, Answer]]:
    """(item, function(item)) for every item, in the order of completion, computed in ``workers`` processes (0 = cores).

    An item that kills its process, takes longer than the limit or makes the function raise is answered by
    ``lost(item, why)``; the others go on. Raises PipelineError where no process can be started, or where the function
    raises one or an OSError: a full disk is not the item's fault.
    """
    limits = limits or Limits()
    waiting = iter(items)
    crew: list[_Worker[Item]] = []
    upcoming = next(waiting, None)
    try:
        while upcoming is not None or any(worker.item is not None for worker in crew):
            while upcoming is not None and len(crew) < (workers or os.cpu_count() or 1):
                crew.append(_Worker(function, limits))
                if all(not worker.ready for worker in crew):
                    break  # see one process come up before starting the rest
            for worker in _heard_from(crew):
                message, why = _receive(worker, limits)
                gone = bool(why)
                if gone and worker.item is None:
                    raise PipelineError(
                        f"The worker processes that open pictures cannot be started: {why}. In a script of your "
                        'own, what starts them has to be under: if __name__ == "__main__":'
                    )
                if isinstance(message, _Raised):
                    if message.everyone:
                        raise PipelineError(message.what)
                    why = f"it failed with {message.what}"
                if worker.item is not None:
                    item, worker.item = worker.item, None
                    yield item, (lost(item, why) if why else message)
                if not gone and upcoming is not None:
                    gone = not worker.give(upcoming, limits)
                    upcoming = upcoming if gone else next(waiting, None)
                if gone:
                    worker.end()
                    crew.remove(worker)
    finally:
        for worker in crew:
            worker.end()


def _heard_from(crew: list[_Worker[Item]]) -> list[_Worker[Item]]:
    """The workers that said something, died or ran out of time."""
    busy = [worker for worker in crew if worker.item is not None or not worker.ready]
    if not busy:
        return []
    patience = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
    spoken = wait([worker.connection for worker in busy], timeout=patience)
    late = time.monotonic()
    return [worker for worker in busy if worker.connection in spoken or worker.deadline <= late]


def _receive(worker: _Worker[Item], limits: Limits) -> tuple[Any, str]:
    """(the message, "") or (None, why there will be none)."""
    if not worker.connection.poll():
        return None, f"it took longer than {limits.seconds if worker.ready else START_SECONDS:g} seconds"
    try:
        message = worker.connection.recv()
    except (EOFError, ConnectionError):
        worker.process.join()
        return None, f"its process ended (exit code {worker.process.exitcode})"
    worker.ready = True
    return message, ""


def _serve(connection: Connection, function: Callable[[Any], Any], limits: Limits) -> None:
    _limit_memory(limits.memory_bytes)
    try:
        connection.send("ready")
        while True:
            connection.send(_answer(function, connection.recv(), limits))
    except (EOFError, ConnectionError):
        return  # the parent is gone


def _answer(function: Callable[[Any], Any], item: Any, limits: Limits) -> Any:
    _alarm(limits.seconds + GRACE_SECONDS)
    try:
        return function(item)
    except PipelineError as error:
        return _Raised(str(error), everyone=True)
    except OSError as error:
        return _Raised(f"Checking pictures failed: {type(error).__name__}: {error}.", everyone=True)
    except Exception as error:  # noqa: BLE001 - told to the parent
        return _Raised(f"{type(error).__name__}: {error}", everyone=False)
    finally:
        _alarm(0.0)


def _alarm(seconds: float) -> None:
    """End this process after ``seconds`` (0: never mind): the parent may be killed while a decoder hangs here."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_REAL, seconds)


def _limit_memory(size: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    size += psutil.Process().memory_info().vms  # what the imports of the caller's main module took already
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (size if hard == resource.RLIM_INFINITY else min(size, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
