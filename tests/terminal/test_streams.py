"""Whatever the two streams take, a command that has done its work says so: code pages, closed pipes, a full disk."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import cli
from tests.support.paths import ROOT

ODD = "Bär 熊🐻 … \u202egpj\x1b[31m.jpg"


class Stream(io.TextIOWrapper):
    """A stream of this encoding, and what was written to it."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    @property
    def text(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)  # type: ignore[attr-defined, no-any-return]


class Refusing(io.RawIOBase):
    """What nobody reads, or a disk that takes no more."""

    def __init__(self, error: OSError) -> None:
        self.error = error

    def writable(self) -> bool:
        return True

    def write(self, _: object) -> int:
        raise self.error


def streams(monkeypatch: pytest.MonkeyPatch, encoding: str) -> tuple[Stream, Stream]:
    """Standard output and standard error of this encoding."""
    out, err = Stream(encoding), Stream(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    return out, err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "cp932", "utf-8", "utf-16"])
@pytest.mark.parametrize("name", [ODD, "half a letter \udce4.jpg"])
def test_every_name_can_be_told_in_every_encoding(
    monkeypatch: pytest.MonkeyPatch, encoding: str, name: str, tmp_path: Path
) -> None:
    out, err = streams(monkeypatch, encoding)
    assert cli.main(["check", str(tmp_path / name)]) == 0
    assert "1 file" in out.text and not {"\x1b", "\u202e"} & {*out.text, *err.text}
    out, err = streams(monkeypatch, encoding)
    assert cli.main(["check", str(tmp_path / name), "--json"]) == 0
    assert json.loads(out.text)["files"][0]["path"] == str(tmp_path / name)
    out, err = streams(monkeypatch, encoding)
    assert cli.main(["images", str(tmp_path / name)]) == 1
    assert err.text.startswith("There is no workspace") and err.text.count("\n") == 1 and "\x1b" not in err.text


def test_what_looks_alike_stands_for_what_a_code_page_lacks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, err = streams(monkeypatch, "cp1252")
    assert cli.main(["images", str(tmp_path / "a→b\x1b熊")]) == 1
    assert "a->b<U+001B>\\u718a" in err.text


def test_wrong_usage_is_said_without_commands_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["images", "ws", "--\x1b[31m"])
    assert "⟨U+001B⟩" in (told := capsys.readouterr().err) and "\x1b" not in told


@pytest.mark.parametrize("as_json", [(), ("--json",)])
@pytest.mark.parametrize(
    ("error", "code"), [(BrokenPipeError(32, "x"), 141), (OSError(22, "x"), 141), (OSError(28, "no room"), 1)]
)
def test_a_pipe_that_is_closed_is_no_failure_and_a_full_disk_is_one(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    as_json: Sequence[str],
    error: OSError,
    code: int,
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BufferedWriter(Refusing(error)), "utf-8"))
    assert cli.main(["check", str(tmp_path / "nothing.jpg"), *as_json]) == code
    assert ("no room" in capsys.readouterr().err) == (code == 1)
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["check", str(tmp_path / "nothing.jpg"), *as_json]) == 0


def test_a_command_goes_on_where_nobody_reads_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for stream in (io.TextIOWrapper(io.BufferedWriter(Refusing(BrokenPipeError(32, "x"))), "utf-8"), None):
        monkeypatch.setattr(sys, "stderr", stream)
        assert cli.main(["check", str(tmp_path / "nothing.jpg"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["files"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs a shell with pipes as POSIX has them")
@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ('"$@" --json | head -c 1 > /dev/null; exit ${PIPESTATUS[0]}', (0, 141)),
        ('"$@" 2>&1 | true; exit ${PIPESTATUS[0]}', (0, 141)),
        ('"$@" > /dev/full', (1,)),
        ('"$@" 2> /dev/full > /dev/null', (0,)),
        ('"$@" >&- 2>&-', (0,)),
        ('LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 "$@" > /dev/null', (0,)),
    ],
)
def test_a_process_ends_as_the_system_expects(shell: str, code: tuple[int, ...], tmp_path: Path) -> None:
    command = [sys.executable, "cli.py", "check", str(tmp_path / "熊.jpg")]
    done = subprocess.run(["bash", "-c", shell, "-", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode in code, done.stderr
    assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr
