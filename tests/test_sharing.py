"""How the tests are sampled, timed and made to share what is costly."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import durations
from tests.support.durations import Durations
from tests.support.paths import ROOT
from tests.support.sharing import Sample
from tests.support.shelf import Shelf


def test_a_tenth_is_taken_the_same_one_again_and_everything_where_it_is_asked_for() -> None:
    cases = [str(number) for number in range(1000)]
    some = Sample("a test", False).of(cases)
    assert 50 < len(some) < 160 and some == Sample("a test", False).of(cases) != Sample("another", False).of(cases)
    assert Sample("a test", True).of(cases) == cases
    assert len(Sample("a test", False).of(["only one"])) == 1 and Sample("a test", False).of([]) == []
    assert Sample("a test", False).times(8) == 1 and Sample("a test", True).times(8) == 8


def test_another_commit_takes_another_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Sample("a test", False).of(range(1000))
    monkeypatch.setattr("tests.support.sharing.commit", lambda: "another")
    assert Sample("a test", False).of(range(1000)) != before


def test_what_is_on_the_shelf_was_made_once_and_what_failed_is_made_again(tmp_path: Path) -> None:
    calls: list[str] = []

    def make(place: Path) -> None:
        calls.append("made")
        place.mkdir()
        (place / str(len(calls))).touch()
        if len(calls) == 1:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        Shelf(tmp_path).get("one", make)
    for _ in range(2):
        assert [file.name for file in Shelf(tmp_path).get("one", make).iterdir()] == ["2"]
    assert len(calls) == 2


def timed(spent: dict[str, float], marked: set[str], task: float, own: dict[str, float] | None = None) -> Durations:
    """A run whose tests took so many CPU seconds, all or so many of them (``own``) in their own process."""
    run = Durations(SimpleNamespace(getoption=lambda _: True))  # type: ignore[arg-type]
    run.tasks, run.marked = [task], marked
    run.tests = defaultdict(dict, {name: {"call": seconds} for name, seconds in spent.items()})
    run.own = spent if own is None else own
    return run


def complaints(spent: dict[str, float], marked: set[str], task: float) -> list[str]:
    return list(timed(spent, marked, task)._complaints())


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {"task": 0.02, "notes": [{"seconds": 100, "why": "so it is"}], "modules": {"a.py": 99.0}}
    (tmp_path / "durations.json").write_text(json.dumps(known))
    monkeypatch.setattr(durations, "KEPT", tmp_path / "durations.json")


@pytest.mark.usefixtures("told")
def test_growth_without_a_note_is_complained_of() -> None:
    assert complaints({"a.py::one": 4.0, "a.py::two": 105.0}, {"a.py::two"}, task=0.02) == []
    grown = complaints({"a.py::one": 4.0, "b.py::two": 107.0}, {"b.py::two"}, task=0.02)
    assert "takes 111 CPU seconds" in grown[0] and "says 100" in grown[0] and "+107.0  b.py" in grown[1]
    assert complaints({"a.py::one": 4.0, "b.py::two": 207.0}, {"b.py::two"}, task=0.04) == [], "the machine was busy"


@pytest.mark.usefixtures("told")
def test_a_long_test_without_a_mark_fails_by_its_own_seconds_and_is_told_of_by_those_of_its_children() -> None:
    (said,) = complaints({"a.py::one": 31.0}, set(), task=0.02)
    assert said.startswith("a.py::one takes 31.0 CPU seconds: mark it")
    assert complaints({"a.py::one": 31.0}, {"a.py::one"}, task=0.02) == []
    assert complaints({"a.py::one": 31.0}, set(), task=0.04) == [], "the machine was busy"
    assert len(complaints({"a.py::one": 31.0}, set(), task=0.01)) == 1, "it was quiet: by the seconds as they are"
    waited = timed({"a.py::one": 31.0}, set(), task=0.02, own={"a.py::one": 1.0})
    assert list(waited._complaints()) == []
    (told,) = waited._long()
    assert "31.0 CPU seconds with the processes" in told
    assert list(timed({"a.py::one": 31.0}, set(), task=0.02)._long()) == [], "it failed already"


def test_a_process_that_ends_in_a_test_is_counted_apart() -> None:
    own, children = durations.cpu_seconds()
    burn = "import time\nwhile time.process_time() < 0.2: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    after, after_children = durations.cpu_seconds()
    assert after_children - children >= 0.19 > after - own


@pytest.mark.slow
def test_a_worker_that_dies_costs_its_test_at_most_and_the_run_ends(tmp_path: Path) -> None:
    """With groups that the worker had done before, and tests of its group that it had not."""
    hooks = "from tests.conftest import pytest_terminal_summary, pytest_xdist_make_scheduler\n"
    hooks += "from tests.support.sharing import share_out\n"
    hooks += "def pytest_collection_modifyitems(config, items):\n    share_out(config, items)\n"
    (tmp_path / "conftest.py").write_text(hooks)
    for number in range(12):
        (tmp_path / f"test_{number:02}.py").write_text("def test_a():\n    pass\ndef test_b():\n    pass\n")
    dies = "import os\nfrom pathlib import Path\ndef test_before():\n    pass\ndef test_dies():\n    os._exit(3)\n"
    dies += f"def test_dies_once():\n    once = Path({str(tmp_path / 'once')!r})\n"
    dies += "    once.exists() or once.mkdir() or os._exit(3)\n"
    (tmp_path / "test_06.py").write_text(dies + "def test_after():\n    pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "loadgroup", "--no-loadscope-reorder"]
    run = subprocess.run(
        [*command, "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 1 and "1 failed, 25 passed" in run.stdout, run.stdout
    died = [line.split("::")[-1] for line in run.stdout.splitlines() if line.startswith("A worker died")]
    assert sorted(died) == ["test_dies.", "test_dies.", "test_dies_once."], run.stdout
    assert "crashed while running" in run.stdout
