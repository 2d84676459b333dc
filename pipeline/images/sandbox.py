"""Work on strangers' bytes in processes of their own, with a time and a memory limit for each picture."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, Generic, TypeVar

import psutil

from pipeline.errors import PipelineError
from pipeline.machine import alarm, limit_memory

Item = TypeVar("Item")
Answer = TypeVar("Answer")
START_SECONDS = 120.0
# What a process says before its answers; the second with what stands in the way of its limits.
UP, READY = "up", "ready"
GRACE_SECONDS = 2.0


@dataclass(frozen=True)
class _Raised:
    """What a worker sends when its function raised; ``everyone`` where that is no single item's fault (the disk's)."""

    what: str
    everyone: bool


@dataclass(frozen=True)
class WorkerLimits:
    """What one item may cost: seconds of wall time, bytes of memory (not held to on macOS and Windows)."""

    seconds: float = 20.0
    memory_bytes: int = 2 << 30


@dataclass
class _Order(Generic[Item]):
    """One item that is to be worked on; ``tried``: its process ended once already."""

    item: Item
    tried: bool = False


class _Line(Generic[Item]):
    """The orders that nobody works on; reads one item ahead, to know whether there are more."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self._ready: deque[_Order[Item]] = deque()
        self._read()

    def __bool__(self) -> bool:
        return bool(self._ready)

    def _read(self) -> None:
        self._ready.extend(_Order(item) for item in islice(self._items, 1))

    def take(self) -> _Order[Item]:
        """The first of them."""
        order = self._ready.popleft()
        if not self._ready:
            self._read()
        return order

    def back(self, orders: Sequence[_Order[Item]]) -> None:
        """Put orders first in the line again."""
        self._ready.extendleft(reversed(orders))


class _Worker(Generic[Item]):
    """A process that answers items one after the other; ``orders`` are those it was given and has not answered."""

    def __init__(self, function: Callable[[Item], Any], limits: WorkerLimits) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        pickled = bytes(ForkingPickler.dumps(function))
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, pickled, limits), daemon=True)
        self.process.start()
        theirs.close()
        self.orders: deque[_Order[Item]] = deque()
        self.up = False  # it runs; others may be started beside it
        self.ready = False  # it has imported what the function needs
        self.deadline = time.monotonic() + START_SECONDS

    def fill(self, line: _Line[Item], ahead: int, limits: WorkerLimits) -> bool:
        """Give it orders until it has ``ahead``; False where its process has ended and there is nothing to wait for."""
        while line and len(self.orders) < ahead:
            order = line.take()
            if not self.orders:
                self.deadline = time.monotonic() + limits.seconds
            try:
                self.connection.send(order.item)
            except ConnectionError:
                line.back([order])
                return bool(self.orders)
            self.orders.append(order)
        return True

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()


class OneWorker(Generic[Item, Answer]):
    """A process that answers what it is asked, one thing at a time; its function may remember things in between.

    It begins with the first question. Where it ended or took too long, the next question begins another one. It ends
    when nobody holds this any more.
    """

    def __init__(self, function: Callable[[Item], Answer], limits: WorkerLimits | None = None) -> None:
        self._function, self._limits = function, limits or WorkerLimits()
        self._crew: list[_Worker[Item]] = []
        self._end = weakref.finalize(self, _end_all, self._crew)

    def ask(self, item: Item) -> Answer:
        """The answer. Raises WorkerLost where there is none, PipelineError where no process can be started."""
        worker = self._crew[0] if self._crew else self._begun()
        worker.deadline = time.monotonic() + self._limits.seconds
        try:
            worker.connection.send(item)
            message = self._heard(worker)
        except ConnectionError as error:
            self.close()
            raise WorkerLost("its process ended") from error
        if isinstance(message, _Raised):
            raise WorkerLost(f"it failed with {message.what}")
        answer: Answer = message
        return answer

    def close(self) -> None:
        """End the process, if there is one."""
        _end_all(self._crew)

    def _begun(self) -> _Worker[Item]:
        worker = _Worker(self._function, self._limits)
        self._crew.append(worker)
        try:
            while self._heard(worker) == UP:
                pass
        except WorkerLost as error:
            raise PipelineError(f"The process that opens strangers' files cannot be started: {error}.") from error
        worker.ready = True
        return worker

    def _heard(self, worker: _Worker[Item]) -> Any:
        wait([worker.connection], timeout=max(0.0, worker.deadline - time.monotonic()))
        message, why = _receive(worker, self._limits)
        if why:
            self.close()
            raise WorkerLost(why)
        return message


class WorkerLost(Exception):
    """A process ended or took too long over what it was asked; the words say which."""


def _end_all(crew: list[_Worker[Any]]) -> None:
    while crew:
        crew.pop().end()


def map_in_workers(
    function: Callable[[Item], Answer],
    items: Iterable[Item],
    lost: Callable[[Item, str], Answer],
    workers: int = 0,
    limits: WorkerLimits | None = None,
    ahead: int = 1,
) -> Iterator[tuple[Item, Answer]]:
    """(item, function(item)) for every item, in the order of completion, computed in ``workers`` processes (0 = cores).

    An item that takes longer than the limit, makes the function raise or ends its process (twice: once may be somebody
    else's fault) is answered by ``lost(item, why)``; the others go on. A process has up to ``ahead`` items before it,
    so that it need not wait for the next one; with more than one, items and answers are to be small (some kB). Raises
    PipelineError where no process can be started, or where the function raises one or an OSError: a full disk is not
    the item's fault.
    """
    limits = limits or WorkerLimits()
    line = _Line(items)
    crew: list[_Worker[Item]] = []
    try:
        while line or any(worker.orders for worker in crew):
            while line and len(crew) < (workers or os.cpu_count() or 1):
                crew.append(_Worker(function, limits))
                if not any(worker.up for worker in crew):
                    break  # see one process come up before starting the rest
            for worker in _heard_from(crew):
                message, why = _receive(worker, limits)
                if why:
                    yield from _ended(worker, line, lost, why)
                elif worker.orders:
                    item = worker.orders.popleft().item
                    worker.deadline = time.monotonic() + limits.seconds
                    yield item, _accepted(item, message, lost)
                elif not why:
                    worker.up, worker.ready = True, message != UP
                    if worker.ready and message[1]:
                        warnings.warn(message[1], RuntimeWarning, stacklevel=2)  # Python says it once
                if why or (worker.ready and not worker.fill(line, ahead, limits)):
                    worker.end()
                    crew.remove(worker)
    finally:
        for worker in crew:
            worker.end()


def _ended(
    worker: _Worker[Item], line: _Line[Item], lost: Callable[[Item, str], Answer], why: str
) -> Iterator[tuple[Item, Answer]]:
    """What becomes of the orders of a process that ended or took too long: the first one is to blame, or was there."""
    if not worker.orders:
        raise PipelineError(
            f"The worker processes that open pictures cannot be started: {why}. In a script of your own, what starts "
            'them has to be under: if __name__ == "__main__":'
        )
    first = worker.orders.popleft()
    line.back(list(worker.orders))
    worker.orders.clear()
    if first.tried or worker.process.is_alive():
        yield first.item, lost(first.item, why)
    else:
        line.back([_Order(first.item, tried=True)])


def _accepted(item: Item, message: Any, lost: Callable[[Item, str], Answer]) -> Any:
    if not isinstance(message, _Raised):
        return message
    if message.everyone:
        raise PipelineError(message.what)
    return lost(item, f"it failed with {message.what}")


def _heard_from(crew: list[_Worker[Item]]) -> list[_Worker[Item]]:
    """The workers that said something, died or ran out of time."""
    busy = [worker for worker in crew if worker.orders or not worker.ready]
    if not busy:
        return []
    patience = max(0.0, min(worker.deadline for worker in busy) - time.monotonic())
    spoken = wait([worker.connection for worker in busy], timeout=patience)
    late = time.monotonic()
    return [worker for worker in busy if worker.connection in spoken or worker.deadline <= late]


def _receive(worker: _Worker[Item], limits: WorkerLimits) -> tuple[Any, str]:
    """(the message, "") or (None, why there will be none)."""
    if not worker.connection.poll():
        return None, f"it took longer than {limits.seconds if worker.ready else START_SECONDS:g} seconds"
    try:
        message = worker.connection.recv()
    except (EOFError, ConnectionError):
        worker.process.join()
        return None, f"its process ended (exit code {worker.process.exitcode})"
    return message, ""


def _serve(connection: Connection, pickled: bytes, limits: WorkerLimits) -> None:
    try:
        connection.send(UP)
        function = pickle.loads(pickled)  # imports its module
        taken = psutil.Process().memory_info().vms  # by the imports of the caller's main module
        connection.send((READY, limit_memory(limits.memory_bytes + taken)))
        while True:
            connection.send(_answer(function, connection.recv(), limits))
    except (EOFError, ConnectionError):
        return  # the parent is gone


def _answer(function: Callable[[Any], Any], item: Any, limits: WorkerLimits) -> Any:
    alarm(limits.seconds + GRACE_SECONDS)  # the parent may be killed while a decoder hangs here
    try:
        return function(item)
    except PipelineError as error:
        return _Raised(str(error), everyone=True)
    except OSError as error:
        return _Raised(f"Checking pictures failed: {type(error).__name__}: {error}.", everyone=True)
    except Exception as error:  # noqa: BLE001 - told to the parent
        return _Raised(f"{type(error).__name__}: {error}", everyone=False)
    finally:
        alarm(0.0)
