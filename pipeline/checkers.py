"""Fetched bytes -> image files of the workspace, checked, reduced and written in worker processes."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, cast

from pipeline.images.decode import EXTENSIONS, Checked, check, reduced
from pipeline.images.sandbox import Limits, map_in_workers
from pipeline.workspace.workspace import Workspace

CHECK_LIMITS = Limits(seconds=10.0)
BATCH_FILES = 16
BATCH_BYTES = 4 << 20
# Fetched files that wait to be checked; where they are more, nothing new is asked for.
WAITING_BYTES = 64 << 20

Fetched: TypeAlias = tuple[str, bytes]


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
    to it (0: as they are). Raises WorkspaceError where a file cannot be written.
    """
    return [_judged(data, workspace, max_side) for data in files]


def _judged(data: bytes, workspace: Workspace, max_side: int) -> Judged:
    checked = check(data)
    if not checked.usable:
        return Judged(checked)
    if max(checked.width or 0, checked.height or 0) > max_side > 0:
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
        answers = map_in_workers(work, self._feed(), _lost, workers=1, limits=CHECK_LIMITS)
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


def _lost(batch: tuple[bytes, ...], why: str) -> str:
    return why
