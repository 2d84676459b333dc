"""What differs between systems, with the other system's answers put in."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from pipeline import machine
from pipeline.images.sandbox import WorkerLimits, map_in_workers
from tests.support.paths import ROOT

resource = pytest.importorskip("resource", reason="this system has no such limits")

REFUSING = """
import resource
def refuse(*_):
    raise ValueError("current limit exceeds maximum limit")
resource.setrlimit = refuse
"""


def double(number: int) -> int:
    """What the workers do."""
    return 2 * number


class Refusing:
    """A function for workers on a system that refuses limits; it is unpickled before they are set, as macOS is there
    before.
    """

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return _refusing, (REFUSING,)

    def __call__(self, number: int) -> int:
        return double(number)


def _refusing(code: str) -> Refusing:
    exec(code, {})
    return Refusing()


def test_without_a_limit_on_memory_pictures_are_worked_on_and_it_is_said_once() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        found = dict(map_in_workers(Refusing(), range(6), lambda *_: -1, workers=2, limits=WorkerLimits(60.0)))
    assert found == {number: 2 * number for number in range(6)}
    assert [str(one.message) for one in said] == [machine.NO_MEMORY_LIMIT]


def test_where_limits_are_taken_nothing_is_said() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert dict(map_in_workers(double, [4], lambda *_: -1, workers=1)) == {4: 8}


def test_a_child_has_a_group_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, **machine.own_group())
    try:
        assert os.getpgid(child.pid) != os.getpgid(0)
    finally:
        child.kill()
        child.communicate()
    monkeypatch.setattr(machine, "WINDOWS", True)
    assert machine.own_group() == {"creationflags": 0x200}
    assert machine.python_in(Path("venv")) == Path("venv/Scripts/python.exe")
    assert not machine.may_map()


def test_a_file_in_use_is_replaced_once_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []

    def in_use_for_a_moment(self: Path, target: Path) -> None:
        tries.append(time.monotonic())
        if len(tries) < 3:
            raise PermissionError(errno.EACCES, "The process cannot access the file")
        os.replace(self, target)  # noqa: PTH105 - Path.replace is this function

    (tmp_path / "new").write_text("new", encoding="utf-8")
    monkeypatch.setattr(Path, "replace", in_use_for_a_moment)
    with pytest.raises(PermissionError):
        machine.replace(tmp_path / "new", tmp_path / "old")  # as elsewhere: at once
    monkeypatch.setattr(machine, "WINDOWS", True)
    machine.replace(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old").read_text(encoding="utf-8") == "new" and len(tries) == 3


def test_nobody_has_a_name_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise ImportError("No module named 'pwd'")  # getpass on Windows

    monkeypatch.setattr(machine.getpass, "getuser", nobody)
    assert machine.user() == str(os.getuid())
    monkeypatch.delattr(machine.os, "getuid")
    assert machine.user() == "somebody"


def test_ours_is_what_is_there_where_files_have_no_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.is_ours(tmp_path) and not machine.is_ours(tmp_path / "nothing")
    monkeypatch.delattr(machine.os, "getuid")
    assert machine.is_ours(tmp_path)


def test_any_text_can_be_said_to_any_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", terminal)
    machine.speak_any_text()
    terminal.write("Bär 熊")
    terminal.flush()
    assert terminal.buffer.getvalue() == b"B\xe4r \\u718a"  # type: ignore[attr-defined]


def test_json_stays_json_on_a_terminal_of_another_code_page(tmp_path: Path) -> None:
    command = [sys.executable, "cli.py", "check", str(tmp_path / "熊🐻.jpg"), "--json"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    assert b"\\u718a\\ud83d\\udc3b.jpg" in done.stdout and b"Traceback" not in done.stderr


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EFBIG])
def test_a_disk_that_refuses_is_told_with_place_and_bytes(tmp_path: Path, number: int) -> None:
    said = machine.told(OSError(number, "x"), tmp_path / "not" / "there.jpg", 12_345)
    assert said.errno == number and isinstance(said, type(OSError(number, "x")))
    assert str(tmp_path / "not" / "there.jpg") in str(said)
    assert "12,345 bytes to write" in str(said) and "bytes free" in str(said)


def test_any_other_trouble_stays_what_it_is(tmp_path: Path) -> None:
    missing = FileNotFoundError(errno.ENOENT, "No such file or directory")
    assert machine.told(missing, tmp_path) is missing


def test_only_one_module_asks_which_system_it_is() -> None:
    asking = (
        "os.name",
        "sys.platform",
        "platform.system",
        "import resource",
        "getuid(",
        "start_new_session",
        "setitimer",
    )
    files = [*(ROOT / "pipeline").rglob("*.py"), *(ROOT / "cleaner").rglob("*.py"), ROOT / "app.py", ROOT / "cli.py"]
    found = [
        f"{file.relative_to(ROOT)}: {words}"
        for file in files
        if file.name != "machine.py"
        for words in asking
        if words in file.read_text(encoding="utf-8")
    ]
    assert found == []
