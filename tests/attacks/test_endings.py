"""However a program ends, it is one line and an exit code, and what it had is kept; nothing half written stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import app
import cli
from pipeline import endings
from pipeline.deploy.serve import ServeConfig, check_address, serve
from pipeline.errors import PipelineError
from pipeline.workspace.workspace import Workspace, beside, clear_killed, writing
from tests.support.paths import ROOT

NOBODY = 999_999_999  # no process has that number


# --- what was killed ------------------------------------------------------------------------------------------------


def killed(path: Path) -> Path:
    """The path that a process which is gone would have made."""
    return path.with_name(path.name.replace(f"-{os.getpid()}-", f"-{NOBODY}-"))


def test_what_killed_processes_left_is_cleared_and_what_they_were_replacing_comes_back(tmp_path: Path) -> None:
    mine, others = beside(tmp_path / "bears", "part"), killed(beside(tmp_path / "bears", "part"))
    replaced, lost = killed(beside(tmp_path / "bears", "old")), killed(beside(tmp_path / "foxes", "old"))
    foreign = [tmp_path / name for name in ("film.part", "a.12345678.part", "b.0000-1-12345678.part", "my.old")]
    for folder in (mine, others, replaced, lost, tmp_path / "bears"):
        folder.mkdir()
        (folder / "file").write_text(folder.name)
    for file in foreign:
        file.touch()
    clear_killed(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, "bears", "foxes", *(f.name for f in foreign)}
    assert (tmp_path / "bears" / "file").read_text() == "bears" and (
        tmp_path / "foxes" / "file"
    ).read_text() == lost.name
    clear_killed(tmp_path / "nowhere")


def test_a_part_is_cleared_when_its_process_was_killed(tmp_path: Path) -> None:
    """By a real one, in the middle of writing."""
    program = (
        "import os, pathlib, signal, sys\nfrom pipeline.workspace.workspace import writing\n"
        f"with writing(pathlib.Path({str(tmp_path / 'out')!r})) as part:\n"
        "    part.mkdir()\n    (part / 'half').touch()\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    with writing(tmp_path / "other") as part:
        part.touch()
        clear_killed(tmp_path)
        assert list(tmp_path.iterdir()) == [part]


def test_runs_and_jobs_that_were_half_written_are_cleared_in_time(workspace: Workspace) -> None:
    left = [killed(beside(folder / "x", "part")) for folder in (workspace.runs, workspace.jobs, workspace.parts)]
    for part in left:
        part.mkdir(parents=True)
    workspace.sweep()
    assert not any(part.exists() for part in left)


# --- wrong usage ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("import", "ws", "x", "--label=--"),
        ("import", "ws", "x", "--label", "--"),
        ("rename", "ws", "--", "--"),
        ("undo", "ws", "--count=--"),
        ("train", "ws", "--seed=--"),
        ("serve", "x", "--port", "99999"),
        ("serve", "x", "--port", "0"),
        ("undo", "ws", "--count", "1e20"),
        ("undo", "ws", "--count", "9" * 25),
        ("--",),
        ("no-such-command",),
        ("images", "ws", "\0"),
    ],
    ids=" ".join,
)
def test_odd_words_are_no_traceback(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        code = cli.main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    told = capsys.readouterr().err
    assert code in (1, 2) and told and "Traceback" not in told and "nexpected" not in told


def test_the_two_dashes_are_a_label_where_they_are_given_as_one() -> None:
    assert cli.parser().parse_args(["import", "ws", "x", "--label=--"]).label == "--"


@pytest.mark.parametrize("port", ["abc", "", "99999", "0", "-1", "7860.0", "１２３", "1" * 9])
def test_a_port_that_is_none_is_wrong_usage(
    port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADIO_SERVER_PORT", port)
    for words in ([], ["--port", port]):
        with pytest.raises(SystemExit) as ended:
            app.main(words)
        assert ended.value.code == 2 and "a port is a number" in capsys.readouterr().err


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 300, "a\0b", "300.1.1.1", "256.0.0.1:80", " "])
def test_a_host_that_is_none_is_a_sentence(host: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = socket.getaddrinfo

    def local(name: Any, *about: Any, **more: Any) -> Any:
        """Nobody outside is asked."""
        if name == "no-such-host.invalid":
            raise socket.gaierror(-2, "Name or service not known")
        return asked(name, *about, **more)

    monkeypatch.setattr(socket, "getaddrinfo", local)
    with pytest.raises(PipelineError, match="no address that this machine can listen at"):
        serve(ServeConfig(str(tmp_path), host=host), lambda *_, **__: None)
    check_address("127.0.0.1", 7860)
    check_address("localhost", 7860)


# --- the last resort ------------------------------------------------------------------------------------------------


class Odd(Exception):
    """Nobody knows it."""


@pytest.mark.parametrize(
    "error", [Odd("what is\nthis"), RecursionError("deep"), KeyError("x"), AssertionError(), MemoryError()]
)
def test_what_nobody_expected_is_one_line_and_a_log(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "COMMANDS", {**cli.COMMANDS, "backbones": fails})
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert cli.main(["backbones", "--json"]) == 1
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and type(error).__name__ in told.err
    log = tmp_path / "winnow" / "cli.log"
    assert str(log) in told.err and "fails" in log.read_text()


def test_where_no_log_can_be_written_it_is_one_line_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert endings.unexpected(Odd("what"), "cli") == "An unexpected error (Odd: what)."
    monkeypatch.setenv("WINNOW_LOG", str(tmp_path / "file" / "x.log"))
    assert endings.unexpected(Odd("what"), "cli").startswith("An unexpected error (Odd: what). What led")


def test_a_terminal_that_is_gone_is_no_trouble(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = (tmp_path / "closed").open("w")
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert cli.main(["images", str(tmp_path / "none")]) == 1


def started_with(modules: Path, door: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / door), *(["jobs", "x"] if door == "cli.py" else [])]
    environment = {**os.environ, "PYTHONPATH": str(modules)}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize(("door", "said"), [("cli.py", "Cancelled.\n"), ("app.py", "\nStopped.\n")])
def test_ctrl_c_while_modules_are_imported_is_130_without_a_traceback(door: str, said: str, tmp_path: Path) -> None:
    """It comes in the midst of the first import that takes time."""
    (tmp_path / "filelock.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    ended = started_with(tmp_path, door)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", said)


def test_an_import_that_fails_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "filelock.py").write_text("raise ImportError('libstdc++ is too old')\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, str(ROOT / "cli.py"), "jobs", "x"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert ended.returncode == 1 and "libstdc++ is too old" in ended.stderr and ended.stderr.count("\n") == 1


CLOSED = """
import os, signal, sys, time
from pipeline.endings import stop_when_ended
signal.signal(signal.SIGHUP, getattr(signal, sys.argv[1]))
stop_when_ended()
try:
    os.kill(os.getpid(), signal.SIGHUP)
    time.sleep(0.2)
    print("went on")
except KeyboardInterrupt:
    for number in (signal.SIGTERM, signal.SIGHUP):  # while what there is, is kept
        os.kill(os.getpid(), number)
    time.sleep(0.05)
    print("stopped")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no such signal")
@pytest.mark.parametrize(
    ("before", "said"), [("SIG_DFL", "stopped\n"), ("SIG_IGN", "went on\n")], ids=["a closed terminal", "nohup"]
)
def test_a_closed_terminal_stops_as_ctrl_c_does_but_once_and_not_under_nohup(before: str, said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CLOSED, before], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, said, "")


LEAVES = """
import atexit, threading, time
from pipeline.endings import leave
threading.Thread(target=time.sleep, args=(300,)).start()
atexit.register(print, "done at the end")
leave(7)
"""
LINGERS = """
import os, signal, time
from pipeline.endings import stop_when_ended
stop_when_ended(within=0.2)
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(300)
except KeyboardInterrupt:
    print("stopping", flush=True)
    time.sleep(300)
"""


@pytest.mark.parametrize(("program", "code", "said"), [(LEAVES, 7, "done at the end\n"), (LINGERS, 130, "stopping\n")])
def test_the_app_waits_for_no_answer_that_takes_for_ever(program: str, code: int, said: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, said, "")


@pytest.mark.parametrize(
    ("said", "found"),
    [({}, "10000"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"), ({"GOMP_SPINCOUNT": "7"}, "7")],
)
def test_threads_soon_wait_asleep_where_nobody_says_otherwise(said: dict[str, str], found: str) -> None:
    ours = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
    environment = {name: value for name, value in os.environ.items() if name not in ours} | said
    program = (
        "import os; from pipeline.endings import stand_by; stand_by('cli'); print(os.environ.get('GOMP_SPINCOUNT'))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == found
