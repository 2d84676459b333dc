"""The set-up by make, with a stand-in of Python: what is done in which order, and what a person is told."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TOOLS = ("make", "sh", "id", "touch", "rm", "mkdir", "cp", "sleep", "cat")
GOOD = """#!/bin/sh
case "$*" in
  "--version") echo "Python 3.12.4";;
  "-m venv --clear .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python;;
  *) echo "$*" >> calls.txt;;
esac
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None or os.name == "nt", reason="needs make")


class Machine:
    """A folder with the Makefile in it, and a PATH that holds only a few tools and the given ``python3``."""

    def __init__(self, folder: Path, python3: str | None) -> None:
        self.folder = folder / "winnow"
        self.tools = folder / "tools"
        self.folder.mkdir()
        self.tools.mkdir()
        for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
            shutil.copy(ROOT / name, self.folder)
        for name in TOOLS:
            (self.tools / name).symlink_to(shutil.which(name) or name)
        if python3 is not None:
            (self.tools / "python3").write_text(python3)
            (self.tools / "python3").chmod(0o755)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self.tools), "HOME": str(self.folder)}
        command = ["make", "--no-print-directory", *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=60
        )

    def calls(self) -> list[str]:
        file = self.folder / "calls.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        quiet = "-m pip --quiet --disable-pip-version-check "
        return [line.replace(quiet, "pip ") for line in lines if "import" not in line and "pip --version" not in line]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path, GOOD)


def test_make_app_installs_and_then_opens_the_app(machine: Machine) -> None:
    ended = machine.make("app", "ARGS=--port 8000")
    assert ended.returncode == 0, ended.stderr
    assert machine.calls() == ["pip install -r requirements.txt", "pip check", "app.py --port 8000"]
    assert "Making a virtual environment in .venv with Python 3.12.4" in ended.stdout
    assert "5 GB" in ended.stdout


def test_make_test_installs_what_the_tests_need_and_a_browser(machine: Machine) -> None:
    assert machine.make("-j4", "test").returncode == 0
    assert machine.calls() == [
        "pip install -r requirements.txt",
        "pip check",
        "pip install -r requirements-dev.txt",
        "pip check",
        "tests/browser/install.py",
        "-m pytest -n 3 --dist loadgroup --no-loadscope-reorder",
    ]


def test_a_second_call_installs_nothing(machine: Machine) -> None:
    machine.make("app")
    machine.calls()
    machine.make("app")
    assert machine.calls() == ["app.py"]


def test_changed_requirements_are_installed_again(machine: Machine) -> None:
    machine.make("app")
    machine.calls()
    later = (machine.folder / ".venv" / ".installed").stat().st_mtime + 5
    os.utime(machine.folder / "requirements.txt", (later, later))
    machine.make("app")
    assert machine.calls() == ["pip install -r requirements.txt", "pip check", "app.py"]


def test_an_environment_made_by_hand_is_kept(machine: Machine) -> None:
    (machine.folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(machine.tools / "python3", machine.folder / ".venv" / "bin" / "python")
    (machine.folder / ".venv" / "mine.txt").write_text("kept")
    assert "Making" not in machine.make("app").stdout
    assert (machine.folder / ".venv" / "mine.txt").exists()


def test_a_failed_installation_is_tried_again(machine: Machine) -> None:
    python3 = machine.tools / "python3"
    python3.write_text(GOOD.replace('*) echo "$*"', '*"install -r"*) exit 7;;\n  *) echo "$*"'))
    ended = machine.make("app")
    assert ended.returncode != 0
    assert "The installation failed" in ended.stdout
    assert machine.calls() == []
    shutil.rmtree(machine.folder / ".venv")
    python3.write_text(GOOD)
    assert machine.make("app").returncode == 0


@pytest.mark.parametrize(
    ("python3", "expected"),
    [
        (None, ["Python 3.11, 3.12 or 3.13 is needed", "make PYTHON="]),
        ('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n', ["'python3' is Python 3.9.2"]),
        ('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\n', ["cannot make virtual environments", "python3-venv"]),
    ],
    ids=["no Python", "old Python", "Python without venv"],
)
def test_a_machine_that_cannot_be_set_up_is_told_what_is_missing(
    tmp_path: Path, python3: str | None, expected: list[str]
) -> None:
    machine = Machine(tmp_path, python3)
    ended = machine.make("app")
    assert ended.returncode != 0
    assert all(words in ended.stdout for words in expected), ended.stdout + ended.stderr
    assert not (machine.folder / ".venv").exists()


def test_a_connection_to_another_machine_is_refused_and_noted(only_this_machine: list[str]) -> None:
    import socket

    with socket.socket() as client, pytest.raises(ConnectionRefusedError, match="only this machine"):
        client.connect(("192.0.2.1", 80))
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("huggingface.co", 443)
    assert socket.getaddrinfo("localhost", 80)
    assert only_this_machine == ["192.0.2.1 port 80"]
    only_this_machine.clear()
