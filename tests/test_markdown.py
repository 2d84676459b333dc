"""Foreign words stay plain text in a card."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.safe_text import plain, table


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("two\nlines\t here", "two lines here"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert\\(1\\)&lt;/script&gt;"),
        ("[x](javascript:1)", "\\[x\\]\\(javascript:1\\)"),
        ("a|b", "a\\|b"),
        ("# *x* `y` ~z~", "\\# \\*x\\* \\`y\\` \\~z\\~"),
        ("&lt;", "&amp;lt;"),
        ("a\u202eb\0", "a⟨U\\+202E⟩b⟨U\\+0000⟩"),
        ("👨\u200d👩", "👨\u200d👩"),
    ],
)
def test_words_are_shown_as_they_are(words: str, text: str) -> None:
    assert plain(words) == text


@given(st.text())
def test_no_words_ever_leave_their_cell(words: str) -> None:
    text = plain(words)
    assert len(text.splitlines()) <= 1
    assert not re.search(r"[<>]", text)
    assert not re.search(r"(?<!\\)(\\\\)*[|`\[\]]", re.sub(r"\\[|`\[\]]", "", text.replace("\\\\", "")))


def test_a_long_table_says_how_much_more_there_is() -> None:
    lines = table(["class", "pictures"], [(f"c|{n}", n) for n in range(1205)], most=5).splitlines()
    assert lines[:3] == ["| class | pictures |", "| --- | ---: |", "| c\\|0 | 0 |"]
    assert lines[-1] == "| … and 1,200 more |  |" and len(lines) == 8
