"""A name and a note of a run: plain text, whole or not at all, and never in the way of the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.workspace.runs import FILE, LONGEST_NAME, LONGEST_NOTE, About, read_about, write_about


def test_what_was_said_is_read_again(tmp_path: Path) -> None:
    assert read_about(tmp_path) == About()
    write_about(tmp_path, "  Bären\n und \u2028Löwen\x00 ", " first\nsecond\t<b>\x07 ")
    assert read_about(tmp_path) == About("Bären und Löwen", "first\nsecond\t<b>")
    write_about(tmp_path, "", "")
    assert read_about(tmp_path) == About(None, "")
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"name": 1, "note": "x"}', b"\xff"])
def test_a_damaged_file_says_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    assert read_about(tmp_path) == About()


def test_what_is_too_long_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    write_about(tmp_path, "n" * LONGEST_NAME, "n" * LONGEST_NOTE)
    with pytest.raises(UsageError, match="81 characters"):
        write_about(tmp_path, "n" * (LONGEST_NAME + 1), "")
    with pytest.raises(UsageError, match="note"):
        write_about(tmp_path, "", "n" * (LONGEST_NOTE + 1))
    assert read_about(tmp_path).note == "n" * LONGEST_NOTE
