"""Every class gets a folder of its own that every file system takes."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.dataset.names import folder_names
from pipeline.errors import SourceError
from pipeline.labels import clean_label
from tests.support.paths import SHARED

NAUGHTY = SHARED / "corpus" / "dev" / "strings" / "naughty_names.json"
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))}
NAMES = st.lists(
    st.text(max_size=300)
    | st.text(st.sampled_from("aAäÄßsS./\\: \u200d\u202e\0\n"), max_size=6)
    | st.sampled_from(["CON", "con.txt", "nul ", "COM¹", "train", "Valid", "..", "x" * 300, "熊" * 200]),
    max_size=12,
)


def check(names: dict[str, str]) -> None:
    """What must hold for the folders of all classes."""
    for folder in names.values():
        assert 0 < len(folder.encode("utf-8")) <= 255
        assert not re.search(r'[/\\:*?"<>|\x00-\x1f\x7f]', folder)
        assert not folder.startswith((".", " ")) and not folder.endswith((".", " "))
        assert folder.split(".")[0].strip().lower() not in DEVICES
        assert PureWindowsPath(folder).name == folder
        assert not any(
            unicodedata.bidirectional(c) in {"RLO", "LRO", "RLE", "LRE", "PDF", "RLI", "LRI"} for c in folder
        )
        assert unicodedata.normalize("NFC", folder) == folder
    assert len({unicodedata.normalize("NFC", folder).casefold() for folder in names.values()}) == len(names)
    assert len({folder.lower() for folder in names.values()}) == len(names)


@pytest.mark.parametrize(
    "label", ["cat", "polar bear", "Bär", "熊", "👨\u200d👩\u200d👧", "=1+1", "a.b", "it's", "COMET", "x-rf"]
)
def test_a_fit_name_is_the_folders_name(label: str) -> None:
    assert folder_names([label]) == {label: label}


@pytest.mark.parametrize(
    ("label", "start"),
    [
        ("../etc", "_etc-"),
        ("a/b", "a_b-"),
        ("CON", "_CON-"),
        ("nul.txt", "_nul.txt-"),
        (".hidden", "hidden-"),
        ("dot.", "dot-"),
        ("..", "class-"),
        ("a\u202eb", "ab-"),
        ("Bär", "Bär-"),
        ("train", "train-"),
        ("lost+found", "_lost+found-"),
        ("@eaDir", "_@eaDir-"),
        ("x" * 256, "x" * 246 + "-"),
    ],
)
def test_any_other_gets_a_likeness_with_a_mark(label: str, start: str) -> None:
    if label == "Bär":
        label = unicodedata.normalize("NFD", label)
    folder = folder_names([label])[label]
    assert re.fullmatch(re.escape(start) + r"[0-9a-f]{8}", folder), folder


def test_names_that_differ_in_case_only_are_kept_apart() -> None:
    names = folder_names(["Cat", "cat", "CAT", "dog", "straße", "STRASSE", "ﬁn", "fin", "a\u200db", "ab"])
    assert names["dog"] == "dog"
    assert all(folder != label for label, folder in names.items() if label != "dog")
    check(dict(names))


def test_a_name_that_is_taken_is_not_given() -> None:
    assert folder_names(["Classes.CSV"], taken=["classes.csv"])["Classes.CSV"] != "Classes.CSV"
    likeness = folder_names(["a/b"])["a/b"]
    names = folder_names(["a/b", likeness])
    assert names[likeness] == likeness and names["a/b"] != likeness
    check(dict(names))


@given(NAMES)
@example(["CON", "con", "_CON"])
@example(["\ud800", ".", ""])
def test_no_two_classes_ever_share_a_folder(labels: list[str]) -> None:
    names = folder_names(labels)
    assert set(names) == set(labels)
    check(dict(names))
    assert folder_names(reversed(labels)) == names, "the order plays no part"


@pytest.mark.skipif(not NAUGHTY.is_file(), reason="needs the shared corpus of naughty names")
def test_all_naughty_names_are_kept_apart_on_disk(tmp_path: Path) -> None:
    labels = set()
    for text in json.loads(NAUGHTY.read_text(encoding="utf-8")):
        try:
            labels.add(clean_label(text))
        except SourceError:
            assert not text.strip() or len(text) > 255
    names = folder_names(labels)
    assert len(names) > 150
    check(dict(names))
    for label, folder in names.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "label").write_text(label, encoding="utf-8")
    assert {path.parent.name: path.read_text(encoding="utf-8") for path in tmp_path.glob("*/label")} == {
        folder: label for label, folder in names.items()
    }
