"""Foreign text: no cell runs as a formula, each can be read back as what it was, and in a card words stay words."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.safe_text import defused, plain, restored, table, write_cells

TRICKY = st.text(st.sampled_from("=+-@＝＋－＠'\";, \t\r\n\0\u200b\ufeff\u202e1.eaé|"), max_size=12)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("＝1+1", "'＝1+1"),
        ("﹦1", "'﹦1"),
        ("\t=1", "'\t=1"),
        ("\rx", "'\rx"),
        ("\nx", "'\nx"),
        ("  \u200b=1", "'  \u200b=1"),
        ("\ufeff=1", "'\ufeff=1"),
        ("cat;=1+1", "cat;'=1+1"),
        ("'=1", "''=1"),
        ("--", "'--"),
    ],
)
def test_what_a_spreadsheet_would_run_is_defused(text: str, cell: str) -> None:
    assert defused(text) == cell
    assert restored(cell) == text


@pytest.mark.parametrize(
    "text", ["", "cat", "1+1", "a=b", "'tis", "''", "-1", "+1.5e-3", "-.5", "a-b@c", "x; y", "https://a.example/?q=1"]
)
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assert defused(text) == text == restored(text)


@given(st.text() | TRICKY)
@example("'" * 5 + "=1")
@example("'-1")
@example(";;=")
def test_every_text_comes_back(text: str) -> None:
    assert restored(defused(text)) == text


@given(TRICKY | st.builds(str.__add__, TRICKY, st.text()))
def test_no_cell_ever_begins_like_a_formula(text: str) -> None:
    for part in (defused(text), *defused(text).split(";")[1:]):
        if re.fullmatch(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?", defused(text)):
            continue
        assert not part.startswith(("\t", "\r", "\n"))
        seen = "".join(c for c in part if unicodedata.category(c) not in ("Cc", "Cf") and not c.isspace())
        assert unicodedata.normalize("NFKC", seen[:1]) not in {*"=+-@"}


@given(st.lists(TRICKY, min_size=1, max_size=4))
def test_a_written_table_is_read_back_whole(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    texts = [text.replace("\0", "").replace("\r", "") for text in texts]  # pandas ends a cell at a NUL
    path = tmp_path_factory.mktemp("cells") / "table.csv"
    write_cells(pd.DataFrame({"a": texts, "b": [None] * len(texts)}), path)
    read = pd.read_csv(path, dtype=str, keep_default_na=False)
    assert [restored(cell) for cell in read["a"]] == texts
    assert set(read["b"]) == {""}


def test_every_cell_is_quoted_so_that_a_separator_stays_inside(tmp_path: Path) -> None:
    write_cells(pd.DataFrame({"a": ['x";=1'], "b": ["y,z"]}), tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == b'"a","b"\n"x"";\'=1","y,z"\n'


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
