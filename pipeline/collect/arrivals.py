"""URLs -> image files of the workspace, many at a time in the background; each URL ends as one arrival."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.checkers import Checker, Fetched, Kept, Waiting
from pipeline.errors import PipelineError
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
