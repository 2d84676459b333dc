"""Which of the exhaustive tests are taken, and how the workers of a run share the tests."""

from __future__ import annotations

import hashlib
import math
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

import pytest
from xdist.scheduler import LoadGroupScheduling

from tests.support.durations import kept
from tests.support.paths import ROOT

T = TypeVar("T")
ONE_IN = 10


@cache
def commit() -> str:
    """The commit that is tested; empty where git does not know."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return told.stdout.strip()


def lot(name: str) -> int:
    """A number that a name draws with this commit: another with the next, the same when it is run again."""
    return int.from_bytes(hashlib.sha256(f"{commit()} {name}".encode()).digest()[:8])


@dataclass(frozen=True)
class Sample:
    """How much of an exhaustive test is done: a tenth, another with each commit; all of it with ``--exhaustive``."""

    test: str
    everything: bool

    def of(self, cases: Iterable[T], name: Callable[[T], str] = str) -> list[T]:
        """A tenth of the cases, one at least."""
        every = list(cases)
        if self.everything or not every:
            return every
        lots = [lot(f"{self.test} {name(case)}") for case in every]
        return [case for case, drawn in zip(every, lots, strict=True) if drawn % ONE_IN == 0 or drawn == min(lots)]

    def times(self, number: int) -> int:
        """How often, instead of so often."""
        return number if self.everything else math.ceil(number / ONE_IN)

    @property
    def seed(self) -> int:
        """Where chance begins."""
        return lot(self.test) % 2**31


@pytest.fixture
def sampled(request: pytest.FixtureRequest) -> Sample:
    """How much of the test is done; it is marked ``exhaustive``."""
    return Sample(request.node.nodeid.split("@")[0], request.config.option.exhaustive)


def sample(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that are exhaustive in themselves, and leave a tenth of those that are so by their number.

    With ``--exhaustive``, or where a test is asked for by name, none is left out.
    """
    left = []
    for item in items:
        if "sampled" in getattr(item, "fixturenames", ()):
            item.add_marker("exhaustive")
        elif item.get_closest_marker("exhaustive") and lot(item.nodeid) % ONE_IN:
            left.append(item)
    if left and not config.option.exhaustive and not any("::" in argument for argument in config.args):
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in set(left)]


def share_out(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With several workers: a module's tests go to one of them, the longest module first (``-n 2 --dist loadgroup``).

    A test that has a group of its own keeps it.
    """
    if not hasattr(config, "workerinput"):
        return
    seconds = kept()["modules"]
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.split("::")[0]))
    items.sort(key=lambda item: -seconds.get(item.nodeid.split("::")[0], 0.0))


class Scheduling(LoadGroupScheduling):
    """The one of ``--dist loadgroup``, where a worker that dies costs no more than the test that it was at.

    That one is begun once more by another worker, as a machine that is short of memory may have taken the first: it
    fails where it takes that one along, too, and is told at the end in any case. pytest-xdist 3.8 hands on all groups
    that the worker ever had, also those that are done; nothing ends there, so whoever gets them is never handed
    anything again, and the run waits for ever.
    """

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        self.died: list[str] = []

    def remove_node(self, node: Any) -> str | None:
        groups = self.assigned_work[node]
        crashed = next((test for tests in groups.values() for test, done in tests.items() if not done), None)
        again = crashed in self.died
        for tests in groups.values():
            if again and crashed in tests:
                tests[crashed] = True
        if crashed:
            self.died.append(crashed)
        self.assigned_work[node] = {group: tests for group, tests in groups.items() if not all(tests.values())}
        super().remove_node(node)
        return crashed if again else None

    def _reschedule(self, node: Any) -> None:
        if node in self.registered_collections:  # not so while one that takes another's place begins
            super()._reschedule(node)
