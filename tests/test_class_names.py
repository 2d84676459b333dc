"""A class name is kept as text, whatever it is: nothing in it can hide, join two classes or break a line."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SourceError
from pipeline.labels import MAX_LABEL_CHARACTERS, clean_label, clean_labels
from tests.support.paths import SHARED

NAUGHTY = SHARED / "corpus" / "dev" / "strings" / "naughty_names.json"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        (" cat ", "cat"),
        ("polar\n bear", "polar bear"),
        ("Bär", "Bär"),
        (unicodedata.normalize("NFD", "Bär"), "Bär"),
        ("熊", "熊"),
        ("🐻", "🐻"),
        ("👨\u200d👩\u200d👧", "👨\u200d👩\u200d👧"),
        ("\u202btest\u202b", "\u202btest\u202b"),
        ("zero\u200bwidth", "zero\u200bwidth"),
        ("<b>bold</b>", "<b>bold</b>"),
        ("=1+1", "=1+1"),
        ("nan", "nan"),
        ("../etc", "../etc"),
        ("a|b", "a｜b"),
        ("red \x1b[0;31m", "red ␛[0;31m"),
        ("a\0b", "a␀b"),
        ("a\x7fb", "a␡b"),
        ("a\x9bb", "a\\x9bb"),
        ("x" * MAX_LABEL_CHARACTERS, "x" * MAX_LABEL_CHARACTERS),
    ],
)
def test_a_class_name_is_kept_as_text(text: str, label: str) -> None:
    assert clean_label(text) == label


@pytest.mark.parametrize("text", ["", "  ", "\n", "\u3000\x85", "x" * (MAX_LABEL_CHARACTERS + 1), "\ud800", "a\udcffb"])
def test_a_class_name_that_cannot_be_kept_is_refused_in_words(text: str) -> None:
    with pytest.raises(SourceError, match="class"):
        clean_label(text)


@given(st.text(alphabet=st.characters(), max_size=300))
def test_no_name_makes_two_classes_or_hides_what_it_does(text: str) -> None:
    try:
        label = clean_label(text)
    except SourceError as error:
        str(error).encode("utf-8")
        return
    assert label and len(label) <= MAX_LABEL_CHARACTERS and "|" not in label
    assert not {unicodedata.category(character) for character in label} & {"Cc", "Cs"}
    assert label == label.strip() and len(label.splitlines()) == 1
    assert clean_label(label) == label


@pytest.mark.skipif(not NAUGHTY.exists(), reason="the corpus of naughty names is not here")
def test_naughty_names_are_kept_apart() -> None:
    names = [name for name in json.loads(NAUGHTY.read_text(encoding="utf-8")) if name.strip()]
    assert len(names) > 100
    assert len({clean_label(name) for name in names}) == len(set(names))


@pytest.mark.parametrize(
    ("text", "separator", "labels"),
    [
        ("dog person", None, "dog person"),
        ("dog  person ", " ", "dog|person"),
        ("dog;person; dog ;", ";", "dog|person"),
        ("polar bear;seal", ";", "polar bear|seal"),
        ("a|b;c", ";", "a｜b|c"),
        ("b,a", ",", "a|b"),
    ],
)
def test_the_labels_of_a_cell_are_a_set(text: str, separator: str | None, labels: str) -> None:
    assert clean_labels(text, separator) == labels


def test_a_cell_of_nothing_but_separators_has_no_label() -> None:
    with pytest.raises(SourceError, match="needs a name"):
        clean_labels("; ;", ";")
