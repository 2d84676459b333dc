"""A class name is kept as text, whatever it is: nothing in it can hide, join two classes or break a line."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.class_names import Spelled, is_mixed, joined, look, made_visible, spelling, without_invisible
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
        ("\u202btest\u202b", "test"),
        ("zero\u200bwidth", "zerowidth"),
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
    assert len({clean_label(name) for name in names}) == len({without_invisible(name) for name in names})


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


# --- what shows nothing


@pytest.mark.parametrize(
    "sign", "\u200b\u200c\u200d\u00ad\ufeff\u2060\u200e\u200f\u061c\u202a\u2066\u034f\u180e\ufe0f\U000e0101"
)
def test_what_shows_nothing_is_no_part_of_a_name(sign: str) -> None:
    assert clean_label(f"c{sign}at") == clean_label(f"{sign}cat") == clean_label(f"cat{sign}{sign}") == "cat"


@pytest.mark.parametrize("blank", "\u00a0\u1680\u2002\u2007\u2009\u202f\u205f\u2028\u3000\u3164\uffa0\u2800\t")
def test_any_blank_is_a_blank(blank: str) -> None:
    assert clean_label(f"{blank}polar{blank}\u200b{blank}bear{blank}") == "polar bear"


@pytest.mark.parametrize(
    "name",
    [
        "👩🏽\u200d🚀",  # an astronaut
        "🏳\ufe0f\u200d🌈",  # a flag of several
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # the flag of Scotland
        "❤\ufe0f",
        "1\ufe0f\u20e3",  # a keycap
        "می\u200cخواهم",  # Persian
        "خانه\u200cها",
        "ه\u200d",  # an Arabic abbreviation
        "क्\u200dष",  # Hindi, half forms
        "क्\u200cष",
        "ශ්\u200dරී",  # Sinhala
        "ക്\u200d",  # Malayalam, a chillu
        "র\u200d্যাব",  # Bengali
        "葛\U000e0100",  # a form of a Han character
    ],
)
def test_what_changes_how_others_are_read_stays(name: str) -> None:
    assert clean_label(name) == unicodedata.normalize("NFC", name)


@given(st.text(alphabet="ca e\u0301\u034f\u200b\u200c\u200d\ufe0fمیक्❤🏽👩葛\U000e0100", max_size=12))
def test_what_is_clean_stays_as_it_is(text: str) -> None:
    once = without_invisible(text)
    assert without_invisible(once) == once


def test_what_changed_is_told_once_with_the_first_examples() -> None:
    spelled = Spelled()
    for text, name in [
        ("cat\u200b", "cat"),
        ("cat\u200b", "cat"),
        ("a\u00a0b", "a b"),
        ("Ba\u0308r", "Bär"),
        (" x\r\n y", "x y"),
    ]:
        spelled.add(text, name)
    [note] = spelled.notes({"cat", "a b", "Bär", "x y"})
    assert note == ("2 class names were tidied: 'cat<U+200B>' was read as 'cat', 'a<U+00A0>b' was read as 'a b'.")
    assert spelled.notes(()) == Spelled().notes({"cat"}) == ()
    assert made_visible("a b") == "a b"


# --- names that look the same

CYRILLIC_A = "c\u0430t"  # cat, with a Cyrillic a
WHOLE = "\u0441\u043e\u0440"  # Cyrillic letters alone, which look like cop


def test_a_name_with_a_letter_of_another_alphabet_is_the_class_it_looks_like() -> None:
    found = joined({CYRILLIC_A: 2, "cat": 1, "dog": 1})
    assert found.names == {CYRILLIC_A: "cat"} and found.twins == () and "looks like 'cat'" in found.notes[0]
    assert joined({CYRILLIC_A: 2}, ["cat"]).names == {CYRILLIC_A: "cat"}
    assert joined({"cat": 1}, [CYRILLIC_A]).names == {"cat": CYRILLIC_A}  # what is there keeps its name
    assert found.label(f"dog|{CYRILLIC_A}|cat") == "cat|dog" and found.label(None) is None


def test_names_of_one_alphabet_each_are_asked_about() -> None:
    assert not is_mixed(WHOLE) and look(WHOLE) == look("cop")
    assert joined({"cop": 1, WHOLE: 3}).twins == ((WHOLE, "cop"),)
    mixed = "c\u043ep"
    assert joined({"cop": 1, WHOLE: 3, mixed: 1}).names == {}  # it could be either
    assert joined({"cop": 1, WHOLE: 3}, join=True).names == {"cop": WHOLE}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Cat", "cat"),
        ("polar bear", "polar_bear"),
        ("polar bear", "Polar-Bear"),
        ("cat", "cat."),
        ("café", "cafe"),
        ("cat", "ｃａｔ"),
        ("ネコ", "ﾈｺ"),
        ("Straße", "STRASSE"),
    ],
)
def test_spellings_of_one_name_are_asked_about_unless_both_are_classes_already(one: str, other: str) -> None:
    assert spelling(one) == spelling(other)
    assert joined({one: 2, other: 1}).twins == ((one, other),) and joined({one: 2, other: 1}).names == {}
    assert joined({one: 2, other: 1}, [other]).twins == ((other, one),)
    assert joined({one: 2, other: 1}, [one, other]).twins == ()
    assert joined({one: 2, other: 1}, join=True).names == {other: one}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a", "A"),
        ("0", "O"),
        ("1", "l"),
        ("C++", "C"),
        ("-1", "1"),
        ("+", "-"),
        ("か", "が"),
        ("burn", "bum"),
        ("猫", "犬"),
    ],
)
def test_other_names_are_two_classes(one: str, other: str) -> None:
    assert joined({one: 1, other: 1}) == joined({})


@pytest.mark.parametrize("name", ["polar медведь", "日本語abc", "cat", "кот", "α-helix"])
def test_names_that_people_write_mix_no_alphabets(name: str) -> None:
    assert not is_mixed(name)


@given(
    st.dictionaries(st.text("cat\u0430CAT _.", min_size=1, max_size=4), st.integers(1, 9), max_size=6), st.booleans()
)
def test_joining_names_ends(counts: dict[str, int], join: bool) -> None:
    found = joined(counts, join=join)
    assert not set(found.names) & set(found.names.values())
    assert set(found.names) <= set(counts) and set(found.names.values()) <= set(counts)
    left = {found.names.get(name, name): 1 for name in counts}
    assert joined(left, left) == joined({})
