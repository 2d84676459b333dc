"""A person at a terminal is asked before Verify sets many pictures aside; a script is not."""

from __future__ import annotations

import io
import json
import sys

import pytest

import cli
from pipeline.terminal.show import print_result
from pipeline.workspace.workspace import Workspace
from tests.verify.test_verify import broken_and_good


class Person(io.StringIO):
    """Standard input with somebody at it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def broken(workspace: Workspace) -> Workspace:
    broken_and_good(workspace, 4, 8)
    return workspace


def asked(broken: Workspace, monkeypatch: pytest.MonkeyPatch, answer: str) -> int:
    monkeypatch.setattr(sys, "stdin", Person(answer))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    return cli.main(["verify", str(broken.root)])


@pytest.mark.parametrize(("answer", "code", "aside"), [("y\n", 0, 4), ("n\n", 1, 0), ("", 1, 0)])
def test_a_person_decides_whether_to_go_on(
    broken: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    answer: str,
    code: int,
    aside: int,
) -> None:
    assert asked(broken, monkeypatch, answer) == code
    assert "4 of 12 pictures cannot be used" in capsys.readouterr().err
    assert len(broken.store.images("set_aside")) == aside


def test_a_script_goes_on_and_reads_why_to_doubt_it(broken: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", str(broken.root), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert len(document["set_aside"]) == 4 and document["doubt"].startswith("4 of 12 pictures cannot be used")
    assert {"given_leaks", "leaks", "suspects", "notes", "problems", "classes", "class_problems"} <= document.keys()


def test_who_said_so_beforehand_is_not_asked(broken: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Person(""))
    assert cli.main(["verify", str(broken.root), "--accept-broken"]) == 0


def test_what_is_no_number_is_null_in_json_and_every_letter_can_be_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = {"loss": float("nan"), "rows": [{"low": float("-inf"), "high": 0.5}], "file": "a\udcff.jpg"}
    print_result(result, as_json=True)
    printed = capsys.readouterr().out
    told = json.loads(printed, parse_constant=pytest.fail)
    assert told == {"loss": None, "rows": [{"low": None, "high": 0.5}], "file": "a\udcff.jpg"}
