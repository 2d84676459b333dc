"""Small stages for the tests of jobs and of waiting: jobs find them by name, in a process of their own."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import NotEnoughData
from pipeline.jobs.stages import StageEntry
from pipeline.jobs.turns import one_at_a_time
from pipeline.stage import Progress, Stage
from pipeline.workspace.workspace import Workspace


@dataclass(frozen=True)
class CountConfig:
    to: int = 3
    seconds: float = 0.0
    words: tuple[str, ...] = ()
    lock: str = ""


@dataclass(frozen=True)
class Counted:
    total: int
    words: tuple[str, ...]
    where: str


def count(workspace: Workspace, config: CountConfig) -> Stage[Counted]:
    for number in range(1, config.to + 1):
        yield Progress(number, config.to, f"Zähle {number}", {"number": number})
        time.sleep(config.seconds)
    return Counted(config.to, config.words, str(workspace.root))


def count_alone(workspace: Workspace, config: CountConfig) -> Stage[Counted]:
    return (yield from one_at_a_time(Path(config.lock), count(workspace, config), poll_seconds=0.05))


def count_where_left_off(workspace: Workspace, config: CountConfig) -> Stage[Counted]:
    for number in range(int(workspace.store.fact("counted", 0)) + 1, config.to + 1):
        yield Progress(number, config.to, f"Number {number}")
        workspace.store.set_fact("counted", number)
        if number == 2 and config.words:
            os.kill(os.getpid(), signal.SIGKILL)
    return Counted(config.to, config.words, str(workspace.root))


def refuse(workspace: Workspace, config: CountConfig) -> Stage[Counted]:
    yield Progress(0, 1, "Looking")
    raise NotEnoughData("There is only 1 picture. Add more.")


def stumble(workspace: Workspace, config: CountConfig) -> Stage[Counted]:
    yield Progress(0, 1, "Looking")
    raise ZeroDivisionError("by nought")


def die(workspace: Workspace, config: CountConfig) -> Stage[Counted]:
    yield Progress(1, 2, "Working")
    os.kill(os.getpid(), signal.SIGKILL)
    yield Progress(2, 2, "never")
    return Counted(0, (), "")


def hang(workspace: Workspace, config: CountConfig) -> Stage[Counted]:
    yield Progress(1, 2, "Hanging")
    time.sleep(600)
    return Counted(0, (), "")


def tidy(workspace: Workspace, config: CountConfig) -> Stage[Counted]:
    part = workspace.root / "half-done"
    part.write_text("x")
    try:
        for number in range(10_000):
            yield Progress(number, 10_000, "Working")
            time.sleep(0.05)
    finally:
        part.unlink()
    return Counted(0, (), "")


def chatter(workspace: Workspace, config: CountConfig) -> Stage[Counted]:
    for number in range(config.to):
        yield Progress(number, config.to, "ü€😀" * 5_000)
    return Counted(config.to, (), "")


STAGES: Mapping[str, StageEntry] = {
    function.__name__: StageEntry(f"{__name__}:{function.__name__}", function.__name__.replace("_", " ").capitalize())
    for function in (count, count_alone, count_where_left_off, refuse, stumble, die, hang, tidy, chatter)
}
