"""URLs -> image files of the workspace, many at a time in the background; each URL ends as one arrival."""

from __future__ import annotations

import asyncio
import hashlib
import os
import queue
import threading
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, cast

from pipeline.errors import PipelineError
from pipeline.images.decode import Checked, check, reduced
from pipeline.images.formats import EXTENSIONS
from pipeline.images.sandbox import WorkerLimits, map_in_workers
from pipeline.web.fetch import Client, Fetch
from pipeline.web.responses import NotFetched
from pipeline.workspace.workspace import Workspace

CHECKERS = 4
HOSTS_AT_ONCE = 4
CODE_OF_VERDICT = {
    "empty": "truncated",
    "not_an_image": "not_image",
    "truncated": "truncated",
    "corrupt": "corrupt",
    "too_large": "bomb",
    "unsupported": "unsupported",
}

CHECK_LIMITS = WorkerLimits(seconds=10.0)
BATCH_FILES = 16
BATCH_BYTES = 4 << 20
# Fetched files that wait to be checked; where they are more, nothing new is asked for.
WAITING_BYTES = 64 << 20
Fetched: TypeAlias = tuple[str, bytes]


@dataclass(frozen=True)
class Arrival:
    """One URL's end: an image file in the workspace, or ``code`` and ``reason`` why there is none.

    ``again``: the reason may pass, so asking another time makes sense.
    """

    url: str
    code: str | None = None
    reason: str = ""
    again: bool = False
    kept: Kept | None = None


Arrivals: TypeAlias = "queue.SimpleQueue[Arrival | BaseException]"


@dataclass(frozen=True)
class Plan:
    """How URLs are worked off: ``connections`` in all, ``per_host`` URLs of one host at once; pictures larger than
    ``max_side`` pixels are reduced to it (0: kept as they are).
    """

    connections: int = 64
    per_host: int = 6
    max_side: int = 0


@contextmanager
def arriving(
    arrivals: Arrivals, workspace: Workspace, by_host: Mapping[str, Sequence[str]], fetch: Client | Fetch, plan: Plan
) -> Iterator[None]:
    """While the context lasts, every URL's arrival is put into the queue ``arrivals``, in the order they come.

    ``by_host``: the URLs of each host. An exception in the queue means that no more will come. What is in the queue
    after the context is written already and may still be put on record.
    """
    work = _Work(workspace, by_host, fetch, plan, arrivals)
    loop = asyncio.new_event_loop()
    task = loop.create_task(work.all())
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
    """Fetch, check and write the URLs, many hosts at once, so that a slow one holds up nobody but itself."""

    workspace: Workspace
    by_host: Mapping[str, Sequence[str]]
    fetch: Client | Fetch
    plan: Plan
    arrivals: Arrivals

    async def all(self) -> None:
        waiting = Waiting()
        count = min(CHECKERS, os.cpu_count() or 1)
        async with AsyncExitStack() as stack:
            crew = [stack.enter_context(closing(Checker(self.workspace, self.plan.max_side))) for _ in range(count)]
            threads = stack.enter_context(ThreadPoolExecutor(count, thread_name_prefix="winnow-check"))
            fetch = self.fetch
            if isinstance(fetch, AbstractAsyncContextManager):
                fetch = await stack.enter_async_context(fetch)
            async with asyncio.TaskGroup() as checking:
                for checker in crew:
                    checking.create_task(self._check(checker, waiting, threads))
                await self._fetch(fetch, waiting)
                await waiting.end()

    # --- fetching ---

    async def _fetch(self, fetch: Fetch, waiting: Waiting) -> None:
        window = asyncio.Semaphore(HOSTS_AT_ONCE * self.plan.connections)
        async with asyncio.TaskGroup() as group:
            for urls in sorted(self.by_host.values(), key=len, reverse=True):
                await window.acquire()
                group.create_task(self._host(urls, fetch, waiting)).add_done_callback(lambda _: window.release())

    async def _host(self, urls: Sequence[str], fetch: Fetch, waiting: Waiting) -> None:
        left = iter(urls)
        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.plan.per_host, len(urls))):
                group.create_task(self._some(left, fetch, waiting))

    async def _some(self, urls: Iterator[str], fetch: Fetch, waiting: Waiting) -> None:
        for url in urls:
            try:
                data = await fetch(url)
            except NotFetched as trouble:
                self.arrivals.put(Arrival(url, trouble.code, str(trouble), trouble.again))
            else:
                await waiting.put(url, data)

    # --- checking ---

    async def _check(self, checker: Checker, waiting: Waiting, threads: ThreadPoolExecutor) -> None:
        while batch := await waiting.batch():
            await asyncio.get_running_loop().run_in_executor(threads, self._take, checker, batch)

    def _take(self, checker: Checker, batch: Sequence[Fetched]) -> None:
        """Have a batch checked and written; runs in a thread, and to its end also where the download is stopped."""
        for (url, _), judged in zip(batch, checker.check([data for _, data in batch]), strict=True):
            code = None if judged.kept else CODE_OF_VERDICT[judged.checked.verdict]
            self.arrivals.put(Arrival(url, code, judged.checked.reason, kept=judged.kept))


# --- Fetched bytes -> image files of the workspace, checked, reduced and written in worker processes -----------------


@dataclass(frozen=True)
class Kept:
    """An image file in the workspace; the original's hash and size where a reduced copy was kept."""

    image: str
    file: str
    size: int
    original_sha256: str | None = None
    original_bytes: int | None = None


@dataclass(frozen=True)
class Judged:
    """The verdict on one file, and where it lies now if it is usable."""

    checked: Checked
    kept: Kept | None = None


def judge(files: Sequence[bytes], workspace: Workspace, max_side: int = 0) -> list[Judged]:
    """Check each file and write the usable ones into the workspace, pictures larger than ``max_side`` pixels reduced
    to it (0: as they are, like those of more than 8 bits, whose scale is their set's). Raises WorkspaceError where a
    file cannot be written.
    """
    return [_judged(data, workspace, max_side) for data in files]


def _judged(data: bytes, workspace: Workspace, max_side: int) -> Judged:
    checked = check(data)
    if not checked.usable:
        return Judged(checked)
    if max(checked.width or 0, checked.height or 0) > max_side > 0 and checked.values is None:
        smaller, kind = reduced(data, max_side)
        image, file = workspace.keep(smaller, EXTENSIONS[kind])
        return Judged(checked, Kept(image, file, len(smaller), hashlib.sha256(data).hexdigest(), len(data)))
    image, file = workspace.keep(data, EXTENSIONS[str(checked.format)])
    return Judged(checked, Kept(image, file, len(data)))


class Waiting:
    """Fetched files on their way to the checkers, in batches; :meth:`put` waits while there are too many of them."""

    def __init__(self) -> None:
        self._files: deque[Fetched] = deque()
        self._bytes = 0
        self._ended = False
        self._changed = asyncio.Condition()

    async def put(self, url: str, data: bytes) -> None:
        """Add one file."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._bytes < WAITING_BYTES)
            self._files.append((url, data))
            self._bytes += len(data)
            self._changed.notify_all()

    async def end(self) -> None:
        """No more will come."""
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def batch(self) -> list[Fetched]:
        """What is there, up to a batch; waits for the first. Empty at the end."""
        taken: list[Fetched] = []
        async with self._changed:
            await self._changed.wait_for(lambda: self._files or self._ended)
            room = BATCH_BYTES
            while self._files and len(taken) < BATCH_FILES and (not taken or len(self._files[0][1]) <= room):
                taken.append(self._files.popleft())
                room -= len(taken[-1][1])
            self._bytes -= sum(len(data) for _, data in taken)
            self._changed.notify_all()
        return taken


class Checker:
    """One worker process in which strangers' bytes are opened and written; started when first needed.

    ``map_in_workers`` reads one item ahead before it hands out an answer, so an empty batch follows each real one.
    """

    def __init__(self, workspace: Workspace, max_side: int = 0) -> None:
        self._batch: tuple[bytes, ...] = ()
        work = partial(judge, workspace=Workspace(workspace.root), max_side=max_side)
        answers = map_in_workers(work, self._feed(), lambda _, why: why, workers=1, limits=CHECK_LIMITS)
        self._answers = cast("Generator[tuple[tuple[bytes, ...], list[Judged] | str], None, None]", answers)

    def _feed(self) -> Iterator[tuple[bytes, ...]]:
        while True:
            yield self._batch
            yield ()

    def check(self, files: Sequence[bytes]) -> list[Judged]:
        """The verdicts; a decoder that hangs or dies costs the one file its verdict and nothing else."""
        if not files:
            return []
        self._batch = tuple(files)
        answer = next(answer for batch, answer in self._answers if batch)
        if not isinstance(answer, str):
            return answer
        if len(files) > 1:  # somebody in this batch is to blame: each on its own
            return [judged for data in files for judged in self.check([data])]
        return [Judged(Checked("corrupt", f"Decoding it was stopped: {answer}."))]

    def close(self) -> None:
        """End the process."""
        self._answers.close()
