"""The file that a row names is found as a person would find it, or not at all."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.collect.finder import BY_NAME, EXACT, Finder, FinderOnDisk
from tests.support.sources import lay

NFC, NFD = (unicodedata.normalize(form, "Bär.jpg") for form in ("NFC", "NFD"))


def finder(*files: str) -> Finder:
    return Finder(PurePosixPath(file) for file in files)


def found(files: tuple[str, ...], named: str, beside: str = "", split: str | None = None) -> str | None:
    path = finder(*files).find(named, PurePosixPath(beside), split).path
    return None if path is None else str(path)


@pytest.mark.parametrize(
    ("named", "file"),
    [
        ("a/1.jpg", "a/1.jpg"),
        ("./a/1.jpg", "a/1.jpg"),
        ("a//1.jpg", "a/1.jpg"),
        ("a\\1.jpg", "a/1.jpg"),
        (".\\A\\1.JPG", "a/1.jpg"),
        ("C:\\Users\\me\\set\\a\\1.jpg", "a/1.jpg"),
        ("/home/me/set/a/1.jpg", "a/1.jpg"),
        ("file:///home/me/a/1.jpg", "a/1.jpg"),
        ("gs://bucket/set/a/1.jpg", "a/1.jpg"),
        ("../set/a/1.jpg", "a/1.jpg"),
        ("1.jpg", "a/1.jpg"),
        ("a/1", "a/1.jpg"),
        ("1", "a/1.jpg"),
        ("1.png", "a/1.jpg"),
        ("A/1.TIFF", "a/1.jpg"),
        (NFC, NFD),
        (NFD, NFC),
        ("deep/" + NFD, "x/deep/" + NFC),
        ("my%20cat.jpg", "my cat.jpg"),
        ("v1.2", "v1.2.jpg"),
        ("weird\\name.jpg", "weird\\name.jpg"),
        ("/data/upload/1/1a2b3c4d-cat.jpg", "images/cat.jpg"),
        ("/data/upload/1a2b3c4d-cat.jpg", "images/1a2b3c4d-cat.jpg"),
        ("http://localhost:8080/data/upload/1/1a2b3c4d-cat.jpg", "cat.jpg"),
        ("7", "x/000007.jpg"),
        ("7.0", "000007.jpg"),
        ("7.0", "7.jpg"),
        ("/data/local-files/?d=sub/my%20cat.jpg", "sub/my cat.jpg"),
    ],
)
def test_a_file_is_found_by_many_names(named: str, file: str) -> None:
    assert found((file, "b/other.jpg"), named) == file


@pytest.mark.parametrize(
    ("files", "named", "beside", "file"),
    [
        (("a/1.jpg", "b/1.jpg"), "1.jpg", "a", "a/1.jpg"),  # beside the table
        (("data/img/1.jpg",), "data/img/1.jpg", "data", "data/img/1.jpg"),  # from the folder above
        (("set/ann/t.csv", "set/img/1.jpg"), "../img/1.jpg", "set/ann", "set/img/1.jpg"),
        (("1.jpg", "a/1.jpg"), "1.jpg", "", "1.jpg"),
        (("a/1.jpg", "a/1.png"), "a/1.png", "", "a/1.png"),
        (("pictures/1.jpg",), "/old/images/1.jpg", "", "pictures/1.jpg"),  # the folder was renamed
    ],
)
def test_the_nearest_file_is_meant(files: tuple[str, ...], named: str, beside: str, file: str) -> None:
    assert found(files, named, beside) == file


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (("a/1.jpg", "b/1.jpg"), "1.jpg"),
        (("a/1.jpg", "a/1.png"), "1"),
        (("a/01.jpg", "a/001.png"), "1"),
        (("A.jpg", "a.JPG"), "a.jpg"),
        (("1.jpg", "b/1.jpg"), "/old/c/1.jpg"),
    ],
)
def test_what_two_files_may_be_is_not_guessed(files: tuple[str, ...], named: str) -> None:
    sighting = finder(*files).find(named)
    assert sighting.path is None and set(map(str, sighting.paths)) == set(files)


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (("train/1.jpg",), "test/1.jpg"),
        (("train/cats/1.jpg", "train/dogs/2.jpg"), "train/dogs/1.jpg"),
        (("1.jpg",), "2.jpg"),
        (("1.jpg",), ""),
        (("1.jpg",), ".."),
        (("passwd.jpg",), "../../etc/shadow"),
        (("1.txt",), "1"),
        (("1.jpg",), "a\0b"),
        (("1.jpg",), "x" * 100_000),
        (("1.jpg",), "http://[/data/upload/2.png"),
    ],
)
def test_another_file_is_not_taken_for_it(files: tuple[str, ...], named: str) -> None:
    assert finder(*files).find(named).paths == ()


def test_a_split_tells_files_of_one_name_apart() -> None:
    files = ("train_images/1.jpg", "test_images/1.jpg")
    assert found(files, "1") is None
    assert found(files, "1", split="train") == "train_images/1.jpg"
    assert found(files, "1", split="valid") is None


def test_how_it_was_found_is_told() -> None:
    assert finder("a/1.jpg").find("a/1.jpg").how == EXACT
    assert finder("a/1.jpg").find("/old/b/1.jpg").how == BY_NAME


names = st.text(st.sampled_from("aAä1./\\"), min_size=1, max_size=8)


@given(st.lists(names, max_size=8), names)
@settings(max_examples=100)
def test_only_what_is_there_is_ever_found(files: list[str], named: str) -> None:
    paths = [PurePosixPath(file.strip("/")) for file in files if file.strip("/.")]
    sighting = Finder(paths).find(named)
    assert set(sighting.paths) <= set(paths)
    if PurePosixPath(named) in paths:
        assert sighting.path == PurePosixPath(named)


def test_a_table_finds_files_around_it_on_disk(tmp_path: Path) -> None:
    lay(tmp_path, "set/img/1.jpg", "set/img/Ä.jpg", "set/t.csv", "set/ann/t.csv", "elsewhere/9.jpg")
    for folder, named in {"set": "set/img/1.jpg", "set/ann": "../img/1.jpg"}.items():
        assert FinderOnDisk(tmp_path / folder / "t.csv").find(named)[0] is not None
    beside = FinderOnDisk(tmp_path / "set/t.csv")
    assert beside.find("1")[0] == tmp_path / "set/img/1.jpg"
    assert beside.find(unicodedata.normalize("NFD", "ä"))[0] == tmp_path / "set/img/Ä.jpg"
    assert beside.find("9")[0] is None  # another set beside this one
    assert FinderOnDisk(tmp_path / "set/ann/t.csv").find("1.png")[0] == tmp_path / "set/img/1.jpg"


def test_links_are_not_followed_on_disk(tmp_path: Path) -> None:
    lay(tmp_path, "secret.jpg", "set/1.jpg")
    (tmp_path / "set/link.jpg").symlink_to(tmp_path / "secret.jpg")
    assert FinderOnDisk(tmp_path / "set/t.csv").find("link.jpg")[0] is None
    assert FinderOnDisk(tmp_path / "set/t.csv").find("link")[0] is None
