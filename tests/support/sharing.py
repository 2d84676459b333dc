"""Which of the exhaustive tests are taken, and how the workers of a run share the tests."""

from __future__ import annotations

import hashlib
import subprocess
from functools import cache

import pytest

from tests.support.durations import kept
from tests.support.paths import ROOT

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


def chosen(name: str, one_in: int = ONE_IN) -> bool:
    """Whether one of many cases is taken with this commit: another tenth with the next, the same when run again."""
    return int.from_bytes(hashlib.sha256(f"{commit()} {name}".encode()).digest()[:8]) % one_in == 0


def sample(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave a tenth of the tests marked exhaustive; all with ``--exhaustive``, or where one is asked for by name."""
    if config.option.exhaustive or any("::" in argument for argument in config.args):
        return
    left = [item for item in items if item.get_closest_marker("exhaustive") and not chosen(item.nodeid)]
    if left:
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
