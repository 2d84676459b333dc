"""The log: quiet until it is written down, bounded, shared by processes, and nothing personal in it."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from pipeline import logs
from pipeline.deploy.serve import ServeConfig, serve, space_app
from pipeline.errors import LimitReached, PipelineError, UsageError
from pipeline.jobs.job import get_job, start
from pipeline.logs import VARIABLE, logger, where_raised, written_down
from pipeline.tabs.door.demo import public_demo
from pipeline.tabs.door.guard import Guard
from pipeline.tabs.door.visitors import Visitors
from pipeline.tabs.page.show import translate
from pipeline.web.gate import NOT_HERE
from pipeline.workspace.limits import Limits
from pipeline.workspace.workspace import Workspace
from tests.support.apps import until
from tests.support.stages import CountConfig, stumble

SECRET = "zz-secret-bear"


@contextmanager
def written(folder: Path) -> Iterator[Path]:
    """The file that is written to while the context lasts."""
    with written_down({VARIABLE: str(folder / "log" / "winnow.log")}, "test"):
        yield folder / "log" / "winnow.log"


def lines(file: Path) -> list[str]:
    """The records, each from its time on."""
    return re.split(r"(?m)^(?=\d{4}-\d\d-\d\d )", file.read_text(encoding="utf-8"))[1:]


def fail() -> None:
    raise ValueError(f"{SECRET}.jpg of {SECRET} is odd")


def test_nobody_hears_of_anything_unless_it_is_written_down(capfd: pytest.CaptureFixture[str]) -> None:
    logger("door").error("a word")
    with pytest.raises(ValueError, match=SECRET):
        translate(fail)()
    assert capfd.readouterr() == ("", "")
    assert not logger("door").isEnabledFor(logging.INFO)


def test_what_happens_is_written_while_the_context_lasts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with written(tmp_path) as file:
        logger("door").info("one of %d", 2)
    logger("door").info("too late")
    (line,) = lines(file)
    assert line.endswith(f" INFO winnow.door [{os.getpid()}] one of 2\n")
    assert capfd.readouterr() == ("", "")


def test_an_unexpected_error_is_told_once_with_what_led_to_it_and_without_its_words(tmp_path: Path) -> None:
    with written(tmp_path) as file:
        for _ in range(3):
            with pytest.raises(ValueError, match=SECRET):
                translate(fail)()
    first, *again = lines(file)
    assert "ERROR winnow.page" in first and "ValueError in fail" in first
    assert 'test_logs.py", line' in first and "in translated" in first
    assert len(again) == 2 and all(line.endswith("unexpected: ValueError in fail, as before\n") for line in again)
    assert f"{SECRET}.jpg of" not in file.read_text(encoding="utf-8").replace('f"{SECRET}.jpg of {SECRET} is odd"', "")


def test_what_caused_an_error_is_told_with_it(tmp_path: Path) -> None:
    with written(tmp_path) as file:
        try:
            try:
                fail()
            except ValueError as error:
                raise RuntimeError(SECRET) from error
        except RuntimeError:
            logger("page").exception("unexpected")
    text = file.read_text(encoding="utf-8")
    assert text.index("ValueError\nwhich led to\n") < text.index("\nRuntimeError\n")
    assert SECRET not in text and where_raised(RuntimeError(SECRET)) == "RuntimeError"


@pytest.mark.parametrize("error", [LimitReached(SECRET), UsageError(SECRET)], ids=lambda error: type(error).__name__)
def test_a_refusal_on_the_page_is_told_once_and_without_its_words(error: PipelineError, tmp_path: Path) -> None:
    def refuse() -> None:
        raise error

    with written(tmp_path) as file, pytest.raises(gr.Error, match=SECRET):
        translate(translate(refuse))()
    (line,) = lines(file)
    assert f"INFO winnow.page [{os.getpid()}] refused: {type(error).__name__} in " in line and SECRET not in line


def test_a_refusal_at_the_door_is_told_once_and_names_nobody(tmp_path: Path) -> None:
    template = Workspace.create(tmp_path / "demo" / "template" / "starter")
    visitors = Visitors(tmp_path / "demo", Limits(), template)
    key = visitors.new_key()
    who = str(visitors.who(key))
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"cookie", f"{visitors.cookie}={key}".encode())]
    path = f"/gradio_api/file={visitors.root}/visitors/other/{SECRET}.jpg"
    scope = {"type": "http", "method": "GET", "path": path, "headers": headers, "client": ("203.0.113.9", 4711)}
    scope["query_string"] = b""
    with written(tmp_path) as file:
        asyncio.run(Guard(partial(pytest.fail, "let in"), visitors)(scope, None, send))  # type: ignore[arg-type]
    assert sent[0]["status"] == 403
    (line,) = lines(file)
    assert line.endswith(f" INFO winnow.door [{os.getpid()}] refused with 403: {NOT_HERE}\n")
    assert not any(word in line for word in (SECRET, key, who, visitors.cookie, "203.0.113.9", "4711"))


@pytest.mark.slow
def test_sweeps_are_told_and_a_sweep_that_fails_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[int] = []

    def sweep(_: Visitors) -> list[str]:
        swept.append(1)
        raise OSError(SECRET)

    monkeypatch.setattr(Visitors, "sweep", sweep)
    with written(tmp_path) as file, public_demo({"XDG_STATE_HOME": str(tmp_path)}, sweep_seconds=0.01):
        until(lambda: len(swept) > 1, 20)
    begun, failed, *_, over = lines(file)
    assert "a public demo begins" in begun and "the public demo is over" in over
    assert re.search(r"a sweep failed: OSError in .*sweep\n", failed) and SECRET not in file.read_text(encoding="utf-8")


def test_a_job_in_a_process_of_its_own_writes_there_too(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "jobs.log"
    monkeypatch.setenv(VARIABLE, str(file))
    job = start(workspace, stumble, CountConfig())
    until(lambda: not get_job(workspace, job.id).active, 60)
    (line,) = lines(file)
    assert "ERROR winnow.jobs" in line and line.split("\n")[0].endswith("unexpected: ZeroDivisionError in stumble")
    assert "An unexpected error (ZeroDivisionError: by nought)" in get_job(workspace, job.id).note


def test_files_are_turned_over_and_few_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MOST_BYTES", 2000)
    with written(tmp_path) as file:
        for number in range(300):
            logger("door").info("number %d", number)
    kept = sorted(path.name for path in file.parent.iterdir() if path.suffix != ".lock")
    assert kept == ["winnow.log", "winnow.log.1", "winnow.log.2", "winnow.log.3"]
    assert sum(path.stat().st_size for path in file.parent.iterdir()) < 4 * 2100
    assert lines(file)[-1].endswith("number 299\n")


def test_it_lies_in_the_persons_folder_for_such_things_or_where_it_is_told(tmp_path: Path) -> None:
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    with written_down(environment, "demo"):
        assert environment[VARIABLE] == str(tmp_path / "winnow" / "demo.log")
    assert environment == {"XDG_STATE_HOME": str(tmp_path)}


def test_without_a_place_nothing_is_written_and_a_place_that_was_asked_for_has_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with written_down({"XDG_STATE_HOME": str(tmp_path / "file")}, "demo"):
        logger("door").info("to nobody")
    with pytest.raises(UsageError, match=VARIABLE), written_down({VARIABLE: str(tmp_path / "file" / "log")}, "demo"):
        pass


def test_a_model_that_is_served_has_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "serve.log"))
    serve(ServeConfig(str(tmp_path)), lambda folder, **_: logger("serve").info("served"))
    assert [line.split("] ")[1] for line in lines(tmp_path / "serve.log")] == ["serving begins\n", "served\n"]
    assert space_app().__globals__["LOG"] is logger("serve")  # type: ignore[attr-defined]
