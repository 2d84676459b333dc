"""What the whole set takes: CPU seconds a test, told at the end and compared with ``tests/durations.json``.

Processor time, because the clock also measures what else a machine does. Even that grows where caches and cores are
shared, so a small task of always the same size is timed beside the tests, and seconds are told in its measure: as if
the machine were the one on which the file was written. That task varies, too: the smaller of the two, the seconds in
its measure and the seconds as they are, is what is compared.

A process's time is counted where it ends, which may be in another test than began it. So only what a test takes in the
tests' own process fails it where it has no mark for that; with its children, it is told.

    pytest --compare-durations                      the ten slowest and the sum; fails where they grew without a note
    python -m tests.support.durations "why"         writes the file anew from that run, with a note
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

KEPT = ROOT / "tests" / "durations.json"
CACHE = "winnow/durations"
GROWTH = 1.10
LONGEST = 5.0  # CPU seconds of a test without one of these marks, in its own process
LEEWAY = 6.0  # of one test, as the first that imports a library pays for it, and machines differ
LONG = ("slow", "browser", "exhaustive", "network", "gpu")
SHOWN = 10


def kept() -> dict[str, Any]:
    """What is written down: CPU seconds a module, of the task that is timed beside them, and the notes."""
    return json.loads(KEPT.read_text()) if KEPT.exists() else {"task": 0.0, "notes": [], "modules": {}}


def cpu_seconds() -> tuple[float, float]:
    """Of this process, and of those of its children that have ended."""
    spent = os.times()
    return spent.user + spent.system, spent.children_user + spent.children_system


class Durations:
    """Times each test where it runs; adds up and judges where the whole run ends."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.judge = bool(config.getoption("compare_durations"))
        self.began = time.monotonic()
        self.module: Path | None = None
        self.tests: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.own: dict[str, float] = {}
        self.marked: set[str] = set()
        self.tasks: list[float] = []
        self.complaints: list[str] = []
        self.long: list[str] = []

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Generator[None, Any, Any]:
        if item.path != self.module:
            self.module = item.path
            item.user_properties.append(("task", _task()))
        if any(item.get_closest_marker(name) for name in LONG):
            item.user_properties.append(("long", True))
        return (yield from _timed(item, "setup"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, Any, Any]:
        return (yield from _timed(item, "call"))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, Any, Any]:
        return (yield from _timed(item, "teardown"))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if (group := report.nodeid.rfind("@")) > report.nodeid.rfind("]"):
            report.nodeid = report.nodeid[:group]  # what pytest-xdist appends, so that the name can be typed again
        if report.when != "teardown":
            return
        for name, value in report.user_properties:
            if name == "task":
                self.tasks.append(float(value))
            elif name == "long":
                self.marked.add(report.nodeid)
            elif name == "own":
                self.own[report.nodeid] = float(value)
            elif name in ("setup", "call", "teardown"):
                self.tests[report.nodeid][name] += float(value)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(self.config, "workerinput") or not self.judge or not self.tasks:
            return
        self.config.cache.set(CACHE, {"task": statistics.median(self.tasks), "modules": self._modules()})
        self.complaints, self.long = list(self._complaints()), list(self._long())
        if self.complaints and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
        yield  # the last word, but for pytest's closing line
        if not self.judge or not self.tests:
            return
        terminalreporter.section(f"the {SHOWN} slowest, CPU seconds")
        spent = {test: sum(parts.values()) for test, parts in self.tests.items()}
        for test, seconds in sorted(spent.items(), key=lambda item: -item[1])[:SHOWN]:
            terminalreporter.write_line(f"{seconds:7.1f}  {test}")
        clock = time.monotonic() - self.began
        terminalreporter.write_line(
            f"{sum(spent.values()):7.1f}  all {len(spent)} ({clock:.0f} s by the clock, "
            f"{sum(spent.values()) * self._measure():.0f} CPU seconds in the measure of {KEPT.name})"
        )
        for words in self.long:
            terminalreporter.write_line(words, yellow=True)
        for complaint in self.complaints:
            terminalreporter.write_line(complaint, red=True)

    def _measure(self) -> float:
        """What a CPU second of this run is in those of the file."""
        task = float(kept()["task"])
        return task / statistics.median(self.tasks) if task else 1.0

    def _modules(self) -> dict[str, float]:
        modules: dict[str, float] = defaultdict(float)
        for test, parts in self.tests.items():
            modules[test.split("::")[0]] += sum(parts.values())
        return dict(modules)

    def _too_long(self, seconds: float) -> bool:
        return seconds * min(self._measure(), 1.0) > LEEWAY * LONGEST

    def _long(self) -> Iterator[str]:
        """What is told and fails nothing: the tests without a mark that are long with the processes that ended."""
        for test, parts in sorted(self.tests.items()):
            spent = parts["call"]
            if test not in self.marked and self._too_long(spent) and not self._too_long(self.own.get(test, 0.0)):
                yield f"{test} takes {spent:.1f} CPU seconds with the processes that ended in it: should it be marked?"

    def _complaints(self) -> Iterator[str]:
        for test, seconds in sorted(self.own.items()):
            if test not in self.marked and self._too_long(seconds):
                yield f"{test} takes {seconds:.1f} CPU seconds: mark it, or make it cheaper"
        before = kept()
        measure = min(self._measure(), 1.0)
        if not before["notes"]:
            return
        told = float(before["notes"][-1]["seconds"])
        modules = {name: seconds * measure for name, seconds in self._modules().items()}
        total = sum(modules.values())
        if total > GROWTH * told:
            yield f"The set takes {total:.0f} CPU seconds; the last note in {KEPT.name} says {told:.0f}. What grew:"
            grown = {name: seconds - before["modules"].get(name, 0.0) for name, seconds in modules.items()}
            for name, more in sorted(grown.items(), key=lambda item: -item[1])[:5]:
                yield f"  {more:+.1f}  {name}"
            yield 'Make it cheaper, or say why: python -m tests.support.durations "why"'


def _timed(item: pytest.Item, name: str) -> Generator[None, Any, Any]:
    own, children = cpu_seconds()
    try:
        return (yield)
    finally:
        own, children = (now - began for now, began in zip(cpu_seconds(), (own, children), strict=True))
        item.user_properties.append((name, round(own + children, 3)))
        if name == "call":
            item.user_properties.append(("own", round(own, 3)))


def _task() -> float:
    """CPU seconds of a task of always the same size, about 20 ms: numbers, texts and bytes."""
    began = time.process_time()
    numbers = {number: str(number * number) for number in range(30_000)}
    joined = "".join(sorted(numbers.values())).encode()
    for _ in range(20):
        joined = hashlib.sha256(joined).digest() + joined
    return time.process_time() - began


def write(why: str) -> None:
    """Write the file anew from the last run that was compared, with a note."""
    [last] = ROOT.glob(f".pytest_cache/v/{CACHE}")
    run = json.loads(last.read_text())
    total = round(sum(run["modules"].values()))
    note = {"on": datetime.now(UTC).date().isoformat(), "seconds": total, "why": why}
    modules = {name: round(seconds, 1) for name, seconds in sorted(run["modules"].items())}
    text = {"task": round(run["task"], 4), "notes": [*kept()["notes"], note], "modules": modules}
    KEPT.write_text(json.dumps(text, indent=1) + "\n")


if __name__ == "__main__":
    write(sys.argv[1])
