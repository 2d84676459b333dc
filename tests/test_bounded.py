"""What is kept, and what goes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pipeline.bounded import LastUsed, forget_all_but, forget_old, last_changed


def test_what_was_used_last_stays() -> None:
    kept: LastUsed[str, int] = LastUsed(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)  # b was not used for longest
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)
    kept.put("a", 4)
    assert kept.get("a") == 4 and kept.get("c") == 3


def test_what_is_not_there_is_made_once_and_nothing_counts_as_something() -> None:
    kept: LastUsed[str, int | None] = LastUsed(2)
    made: list[None] = []
    assert kept.get_or("a", lambda: made.append(None)) is None
    assert kept.get_or("a", lambda: 1) is None and len(made) == 1
    assert kept.get_or("b", lambda: 2) == 2 and kept.get_or("a", lambda: 3) is None
    assert kept.get_or("c", lambda: 4) == 4 and kept.get("b") is None


def aged(folder: Path, days: dict[str, int]) -> None:
    """Files and, where the name ends with a slash, folders with a file, so many days old."""
    for name, age in days.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir()
            (path / "inside").touch()
        else:
            path.touch()
        os.utime(path, (time.time() - 86_400 * age,) * 2)


def test_old_files_and_folders_go(tmp_path: Path) -> None:
    aged(tmp_path, {"old": 2, "young": 0, "old folder/": 3, "young folder/": 1})
    forget_old(tmp_path.glob("*"), 1.5 * 86_400)
    assert {path.name for path in tmp_path.iterdir()} == {"young", "young folder"}
    forget_old([tmp_path / "gone"], 0)
    assert last_changed(tmp_path / "gone") is None


def test_a_link_goes_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    aged(tmp_path, {"theirs/": 9})
    (tmp_path / "here" / "link").symlink_to(tmp_path / "theirs")
    forget_old((tmp_path / "here").glob("*"), -1)
    assert not list((tmp_path / "here").iterdir()) and (tmp_path / "theirs" / "inside").exists()


def test_the_newest_stay(tmp_path: Path) -> None:
    aged(tmp_path, {"1": 1, "2/": 2, "3": 3, "4/": 4})
    forget_all_but([*tmp_path.glob("*"), tmp_path / "gone"], 2)
    assert {path.name for path in tmp_path.iterdir()} == {"1", "2"}
