"""URLs -> image files of the workspace, many at a time in the background; each URL ends as one arrival."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias, cast

from pipeline.errors import PipelineError
from pipeline.fetch import Client, Fetch, FetchLimits, NotFetched
from pipeline.images import EXTENSIONS, Checked, check
from pipeline.sandbox import Limits, map_in_workers
from pipeline.workspace import Workspace

CHECKERS = 4
CHECK_LIMITS = Limits(seconds=10.0)
CODE_OF_VERDICT = {
    "empty": "truncated",
    "not_an_image": "not_image",
    "truncated": "truncated",
    "corrupt": "corrupt",
    "too_large": "bomb",
    "unsupported": "unsupported",
}


@dataclass(frozen=True)
class Arrival:
    """One URL's end: an image file in the workspace, or ``code`` and ``reason`` why there is none.

    ``again``: the reason may pass, so asking another time makes sense.
    """

    url: str
    code: str | None = None
    reason: str = ""
    again: bool = False
    image: str | None = None
    file: str = ""
    size: int = 0


Arrivals: TypeAlias = "queue.SimpleQueue[Arrival | BaseException]"


@contextmanager
def arriving(
    arrivals: Arrivals,
    workspace: Workspace,
    urls: Sequence[str],
    limits: FetchLimits,
    allow_hosts: Sequence[str] = (),
    fetch: Fetch | None = None,
) -> Iterator[None]:
    """While the context lasts, every URL's arrival is put into the queue ``arrivals``, in the order they come.

    ``fetch`` is the network client (``fetch.Client`` if None). An exception in the queue means that no more will
    come. What is in the queue after the context is written already and may still be put on record.
    """
    work = _Work(workspace, iter(urls), limits, tuple(allow_hosts), fetch, arrivals)
    loop = asyncio.new_event_loop()
    task = loop.create_task(work.all(min(2 * limits.connections, len(urls))))
    thread = threading.Thread(target=_drive, args=(loop, task, arrivals), name="winnow-download", daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


def _drive(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None], arrivals: Arrivals) -> None:
    error: BaseException = PipelineError("The download stopped before its end. Download again to get the rest.")
    try:
        loop.run_until_complete(task)
        loop.run_until_complete(loop.shutdown_asyncgens())
    except asyncio.CancelledError:
        return
    except BaseException as raised:  # noqa: BLE001 - raised again in the stage's own thread
        error = raised
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
    arrivals.put(error)


@dataclass(frozen=True)
class _Work:
    """Fetch, check and write the URLs; as many hands as bodies may be in memory at once."""

    workspace: Workspace
    urls: Iterator[str]
    limits: FetchLimits
    allow_hosts: tuple[str, ...]
    fetch: Fetch | None
    arrivals: Arrivals

    async def all(self, hands: int) -> None:
        async with AsyncExitStack() as stack:
            fetch = self.fetch
            if fetch is None:
                fetch = await stack.enter_async_context(Client(self.limits, self.allow_hosts))
            checkers = stack.enter_context(_Checkers(min(CHECKERS, os.cpu_count() or 1)))
            async with asyncio.TaskGroup() as group:
                for _ in range(hands):
                    group.create_task(self._some(fetch, checkers))

    async def _some(self, fetch: Fetch, checkers: _Checkers) -> None:
        for url in self.urls:
            self.arrivals.put(await self._one(url, fetch, checkers))

    async def _one(self, url: str, fetch: Fetch, checkers: _Checkers) -> Arrival:
        try:
            data = await fetch(url)
        except NotFetched as trouble:
            return Arrival(url, trouble.code, str(trouble), trouble.again)
        checked = await checkers.check(data)
        if not checked.usable:
            return Arrival(url, CODE_OF_VERDICT[checked.verdict], checked.reason)
        image, file = await asyncio.to_thread(self.workspace.keep, data, EXTENSIONS[str(checked.format)])
        return Arrival(url, None, checked.reason, False, image, file, len(data))


class _Checkers:
    """Worker processes in which strangers' bytes are opened, one file at a time each; started when first needed."""

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="winnow-check")
        self._crew = [_Checker() for _ in range(count)]
        self._free: queue.SimpleQueue[_Checker] = queue.SimpleQueue()
        for checker in self._crew:
            self._free.put(checker)

    async def check(self, data: bytes) -> Checked:
        """The verdict on the bytes; a decoder that hangs or dies costs this file its verdict and nothing else."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._check, data)

    def _check(self, data: bytes) -> Checked:
        checker = self._free.get()
        try:
            return checker.check(data)
        finally:
            self._free.put(checker)

    def __enter__(self) -> _Checkers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for checker in self._crew:
            checker.close()


class _Checker:
    """One worker process, asked file by file.

    ``map_in_workers`` reads one item ahead before it hands out an answer, so an empty item follows each real one.
    """

    def __init__(self) -> None:
        self._data = b""
        answers = map_in_workers(check, self._feed(), _lost, workers=1, limits=CHECK_LIMITS)
        self._answers = cast("Generator[tuple[bytes, Checked], None, None]", answers)

    def _feed(self) -> Iterator[bytes]:
        while True:
            yield self._data
            yield b""

    def check(self, data: bytes) -> Checked:
        if not data:
            return check(data)
        self._data = data
        return next(answer for item, answer in self._answers if item)

    def close(self) -> None:
        self._answers.close()


def _lost(data: bytes, why: str) -> Checked:
    return Checked("corrupt", f"Decoding it was stopped: {why}.")
