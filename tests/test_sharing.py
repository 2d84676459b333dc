"""How the tests are sampled, timed and made to share what is costly."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support import durations
from tests.support.durations import Durations
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


def timed(spent: dict[str, float], marked: set[str], task: float) -> list[str]:
    """The complaints about tests that took so many CPU seconds."""
    run = Durations(SimpleNamespace(getoption=lambda _: True))  # type: ignore[arg-type]
    run.tasks, run.marked = [task], marked
    run.tests = defaultdict(dict, {name: {"call": seconds} for name, seconds in spent.items()})
    return list(run._complaints())


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: dict[str, Any] = {"task": 0.02, "notes": [{"seconds": 100, "why": "so it is"}], "modules": {"a.py": 99.0}}
    (tmp_path / "durations.json").write_text(json.dumps(known))
    monkeypatch.setattr(durations, "KEPT", tmp_path / "durations.json")


@pytest.mark.usefixtures("told")
def test_growth_without_a_note_and_long_tests_without_a_mark_are_complained_of() -> None:
    assert timed({"a.py::one": 4.0, "a.py::two": 105.0}, {"a.py::two"}, task=0.02) == []
    grown = timed({"a.py::one": 4.0, "b.py::two": 107.0}, {"b.py::two"}, task=0.02)
    assert "takes 111 CPU seconds" in grown[0] and "says 100" in grown[0] and "+107.0  b.py" in grown[1]
    assert timed({"a.py::one": 4.0, "b.py::two": 207.0}, {"b.py::two"}, task=0.04) == [], "the machine was busy"
    assert timed({"a.py::one": 11.0}, set(), task=0.02) == [], "it is told, and fails nothing"
