"""Taking turns: one stage at a time on a machine; those who wait are told their place, and nobody starves another."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout

from pipeline.bounded import forget_old, last_changed
from pipeline.machine import made_private, user
from pipeline.stage import Progress, Stage

T = TypeVar("T")
STALE_SECONDS = 20.0
FORGET_SECONDS = 86_400.0
TICKET, SERVED = ".ticket", ".served"


def one_at_a_time(lock_file: Path, stage: Stage[T], owner: str = "", poll_seconds: float = 0.5) -> Stage[T]:
    """``stage``, begun once no other process on this host holds ``lock_file``; says so while it waits.

    Whose last turn (``owner``) is longest ago comes next, and of one's own the one that came first: somebody with
    five stages lets everybody else in between. While it waits, ``metrics`` holds ``place``: 1 is the next.
    """
    lock, queue = FileLock(lock_file), _Queue(lock_file.with_suffix(".queue"))
    with queue.ticket(owner) as ticket:
        while not _taken(lock, place := queue.place(ticket)):
            note = f"Waiting: another training is running on this machine. You are number {place} in the queue"
            yield Progress(0, 0, note, {"queued": True, "place": place})
            time.sleep(poll_seconds)
        queue.serve(owner)
    with _held(lock):
        return (yield from stage)


def lock_of_this_person(name: str, environment: Mapping[str, str]) -> Path:
    """The lock file of that name which all processes of this person on this machine share, and nobody else does,
    wherever their temporary folders are. It lies in the person's folder for such things; where there is none that can
    be written, in one of their own among the temporary files.
    """
    who, host = user(), re.sub(r"[^\w.-]", "_", platform.node())[:100] or "here"
    state = environment.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111 - may be unknown
    for folder in (Path(state) / "winnow" / "turns" / host, Path(tempfile.gettempdir()) / f"winnow-{who}"):
        if folder.is_absolute() and made_private(folder):
            return folder / f"winnow-{name}-{who}.lock"
    return Path(tempfile.mkdtemp(prefix=f"winnow-{who}-")) / f"winnow-{name}-{who}.lock"


def _taken(lock: FileLock, place: int) -> bool:
    if place > 1:
        return False
    try:
        lock.acquire(timeout=0)
        return True
    except Timeout:
        return False


@contextmanager
def _held(lock: FileLock) -> Iterator[None]:
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class _Queue:
    """A folder with a ticket for each who waits, kept fresh by touching it, and when each owner had a turn last."""

    folder: Path

    @contextmanager
    def ticket(self, owner: str) -> Iterator[Path]:
        """A ticket while the context lasts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ticket = self.folder / f"{time.time_ns():020d} {_short(owner)} {uuid.uuid4().hex[:8]}{TICKET}"
        ticket.touch()
        try:
            yield ticket
        finally:
            ticket.unlink(missing_ok=True)

    def serve(self, owner: str) -> None:
        """It is the owner's turn now; to the clock's finest, as what a file system sets may be the same for two."""
        served = self.folder / f"{_short(owner)}{SERVED}"
        served.touch()
        os.utime(served, ns=(now := time.time_ns(), now))

    def place(self, ticket: Path) -> int:
        """The place of a ticket, which shows that it still waits; tickets that nobody touches any more are removed."""
        ticket.touch()
        forget_old(self.folder.glob(f"*{TICKET}"), STALE_SECONDS)
        forget_old(self.folder.glob(f"*{SERVED}"), FORGET_SECONDS)
        tickets = sorted(self.folder.glob(f"*{TICKET}"))
        turns = ((file.stem, last_changed(file)) for file in self.folder.glob(f"*{SERVED}"))
        served = {name: at for name, at in turns if at is not None}
        names = fair_order([(one.name, one.name.split(" ")[1]) for one in tickets], served)
        return names.index(ticket.name) + 1


def fair_order(tickets: Sequence[tuple[str, str]], served: Mapping[str, float]) -> list[str]:
    """The names of (name, owner) ``tickets``, which are in the order they came, in the order they get their turn.

    ``served``: when owners had a turn last; who never had one comes first.
    """
    last, order, left = dict(served), [], list(tickets)
    latest = max(last.values(), default=0.0)
    while left:
        name, owner = min(left, key=lambda one: last.get(one[1], 0.0))
        order.append(name)
        left.remove((name, owner))
        latest += 1
        last[owner] = latest
    return order


def _short(owner: str) -> str:
    return hashlib.sha256(owner.encode()).hexdigest()[:12]
