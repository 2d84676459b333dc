from __future__ import annotations

import os
import time
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import UsageError
from pipeline.tabs.page import uploads
from pipeline.tabs.page.uploads import UPLOADS, keep_folder, keep_uploads, place_within

pytestmark = pytest.mark.usefixtures("kept")


@pytest.fixture
def received(tmp_path: Path) -> Path:
    """Where uploads arrive."""
    folder = tmp_path / "received"
    folder.mkdir()
    return folder


def arrived(received: Path, name: str, content: bytes = b"x") -> str:
    file = received / str(len(list(received.iterdir()))) / name
    file.parent.mkdir()
    file.write_bytes(content)
    return str(file)


def files_in(folder: Path | str) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in Path(folder).rglob("*") if file.is_file()}


def test_uploads_are_kept_for_a_day_and_old_ones_are_forgotten(received: Path) -> None:
    first = keep_uploads([Path(arrived(received, "1.png")), Path(arrived(received, "1.png"))])
    assert len(list(first.iterdir())) == 2 and first.name.startswith(UPLOADS)
    os.utime(first, (time.time() - 90_000,) * 2)
    second = keep_uploads([Path(arrived(received, "c.png"))])
    assert not first.exists() and second.exists()


def test_a_folder_keeps_its_class_folders_whatever_they_are_called(received: Path) -> None:
    names = ["bears/grizzly/1.jpg", "bears/grizzly/2.jpg", "bears/bär & co|x/1.jpg", "bears/<b>/1.jpg"]
    sent = [[arrived(received, name.split("/")[-1], name.encode()), name] for name in names]
    folder = keep_folder(sent, received)
    assert files_in(folder.path) == set(names)
    assert (folder.files, folder.refused) == (4, 0)
    assert (Path(folder.path) / names[2]).read_bytes() == names[2].encode()


def test_files_of_every_kind_are_kept_with_their_names_composed(received: Path) -> None:
    names = [
        "d/cat/1.png",
        "d/labels.csv",
        "d/a/instances.json",
        "d/a/1.xml",
        "d/1",
        "d/x.raw",
        "d/.DS_Store",
        "d/e.csv",
    ]
    decomposed = unicodedata.normalize("NFD", "d/Bär/é.json")
    sent = [[arrived(received, "x", b"" if "e.csv" in name else b"x"), name] for name in (*names, decomposed)]
    folder = keep_folder(sent, received)
    assert files_in(folder.path) == {*names, "d/Bär/é.json"} and folder.refused == 0
    assert (Path(folder.path) / "d/e.csv").stat().st_size == 0


@pytest.mark.parametrize(
    "path",
    [
        "../1.jpg",
        "a/../../1.jpg",
        "/etc/1.jpg",
        "a//1.jpg",
        "",
        ".",
        "a/./1.jpg",
        "..\\1.jpg",
        "a\\..\\..\\1.jpg",
        "C:\\1.jpg",
        "C:/1.jpg",
        "a/\0.jpg",
        "a/ .. /1.jpg",
        "a/" * 30 + "1.jpg",
        "x" * 2_000,
        "\\\\host\\share\\1.jpg",
    ],
)
def test_a_path_that_leads_out_of_the_folder_or_is_none_is_not_taken(received: Path, kept: Path, path: str) -> None:
    good = arrived(received, "good.jpg")
    folder = keep_folder([[good, "a/good.jpg"], [arrived(received, "1.jpg"), path]], received)
    assert (folder.files, folder.refused) == (1, 1)
    assert files_in(kept) == {f"{Path(folder.path).name}/a/good.jpg"}


@given(st.text() | st.text(alphabet="./\\ab:\0 "))
def test_no_path_ever_leads_out_of_its_folder(path: str) -> None:
    place = place_within(path)
    if place is not None:
        assert not place.is_absolute() and ".." not in place.parts
        inside = os.path.normpath(PurePosixPath("/kept") / place)
        assert inside.startswith("/kept/")


def test_only_files_that_were_uploaded_are_taken(received: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(b"the host's own")
    link = received / "link.jpg"
    link.symlink_to(secret)
    (received / "folder.jpg").mkdir()
    sent: list[Any] = [
        [str(secret), "a/1.jpg"],
        [str(link), "a/2.jpg"],
        [f"{received}/../secret.jpg", "a/3.jpg"],
        [str(received / "gone.jpg"), "a/4.jpg"],
        [str(received / "folder.jpg"), "a/5.jpg"],
        [str(received), "a/6.jpg"],
        ["\0", "a/7.jpg"],
        [str(received) + "2/1.jpg", "a/8.jpg"],
        None,
        3,
        "x",
        [1, 2],
        ["x"],
        {"a": 1},
    ]
    with pytest.raises(UsageError, match="None of these files"):
        keep_folder(sent, received)
    folder = keep_folder([*sent, [arrived(received, "1.jpg"), "a/9.jpg"]], received)
    assert files_in(folder.path) == {"a/9.jpg"} and folder.refused == len(sent)


def test_two_files_for_one_place_are_not_written_over_each_other(received: Path) -> None:
    first, second = arrived(received, "1.jpg", b"first"), arrived(received, "1.jpg", b"second")
    folder = keep_folder([[first, "a/1.jpg"], [second, "a/1.jpg"]], received)
    assert (Path(folder.path) / "a/1.jpg").read_bytes() == b"first" and folder.refused == 1


def test_a_file_cannot_take_the_place_of_a_folder(received: Path) -> None:
    sent = [[arrived(received, "a"), "a"], [arrived(received, "1.jpg"), "a/1.jpg"]]
    assert keep_folder(sent, received).refused == 1


def test_names_that_no_disk_can_hold_are_left_out(received: Path) -> None:
    sent = [
        [arrived(received, "1.jpg"), f"a/{'x' * 300}.jpg"],
        [arrived(received, "2.jpg"), "a/\ud800.jpg"],
        [arrived(received, "3.jpg"), "a/3.jpg"],
    ]
    assert files_in(keep_folder(sent, received).path) == {"a/3.jpg"}


@pytest.mark.parametrize("sent", [None, [], {}, "files", 7])
def test_what_is_no_list_of_files_is_refused_in_words(received: Path, sent: Any) -> None:
    with pytest.raises(UsageError, match="Choose a folder with pictures"):
        keep_folder(sent, received)


def test_too_many_files_are_refused_before_any_is_touched(received: Path, kept: Path) -> None:
    with pytest.raises(UsageError, match="put them into a zip"):
        keep_folder([["x", "y"]] * (uploads.MOST_FILES + 1), received)
    assert list(kept.iterdir()) == []
