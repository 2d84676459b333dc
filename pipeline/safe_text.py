"""Foreign text that may be written somewhere: into the cells of CSV files, where no spreadsheet runs it as a formula
(and back to what it said), and into Markdown, where it is plain: no link, no HTML, no table cell of its own.
"""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
# What begins a formula, as it is and in the wide, small, raised and lowered forms that mean the same.
SIGNS = "=＝﹦⁼₌+＋﹢⁺₊-－﹣⁻₋−@＠﹫"
# What a spreadsheet may pass over before it: spaces, control characters, and marks that cannot be seen.
UNSEEN = r"\s\x00-\x20\x7f\xad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff"
FORMULA = rf"(?=[\t\r\n]|[{UNSEEN}]*[{re.escape(SIGNS)}])"
# Where the separator of lists is ';', a spreadsheet begins a new cell behind one.
START = re.compile(rf"(^|;)('*){FORMULA}")
DEFUSED_START = re.compile(rf"(^|;)'('*){FORMULA}")
TOKEN = re.compile(r"hf_[A-Za-z0-9]{8,}")
# What Markdown may give a meaning.
SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$])")
# Control characters, and those that turn the direction of what follows them.
INVISIBLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]")


def defused(text: str) -> str:
    """``text`` with a ``'`` before whatever a spreadsheet would take for the start of a formula; numbers stay."""
    return text if _is_number(text) else START.sub(r"\1'\2", text)


def restored(text: str) -> str:
    """What :func:`defused` was given: ``restored(defused(text)) == text`` for every text."""
    return text if _is_number(text) else DEFUSED_START.sub(r"\1\2", text)


def _is_number(text: str) -> bool:
    return NUMBER.fullmatch(text.lstrip("'")) is not None


def write_cells(table: pd.DataFrame, path: Path, encoding: str = "utf-8") -> None:
    """``table`` as a CSV file with every cell quoted and defused; what is missing is an empty cell."""
    import pandas as pd  # takes its time, and whoever shows a text needs none of it

    safe = table.map(lambda cell: "" if pd.isna(cell) else defused(str(cell)))
    safe.to_csv(path, index=False, encoding=encoding, quoting=csv.QUOTE_ALL, lineterminator="\n")


def without_token(text: str, token: str = "") -> str:
    """``text`` without a token of Hugging Face, whether it looks like one or is this one."""
    return TOKEN.sub("hf_…", text.replace(token, "hf_…") if token else text)


def on_one_line(text: str, most: int, token: str = "") -> str:
    """What a server said, as part of a sentence: without a token, on one line, and of ``most`` characters."""
    shown = "".join(letter if letter.isprintable() else " " for letter in without_token(text[: 100 * most], token))
    words = " ".join(shown.split())
    return words if len(words) <= most else words[:most] + "…"


def visible(words: str) -> str:
    """``words`` with what would be invisible, or a command to a terminal, named by its code point."""
    return INVISIBLE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", words)


def plain(words: str) -> str:
    """``words`` as plain text in a line or table cell; what would be invisible is named by its code point."""
    return SPECIAL.sub(r"\\\1", html.escape(visible(" ".join(words.split())), quote=False))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], numbers: int = 1, most: int = 200) -> str:
    """A table of at most ``most`` rows whose last ``numbers`` columns are numbers; ``heads`` are our own words."""
    shown = list(rows)
    lines = [_line(heads), _line(["---"] * (len(heads) - numbers) + ["---:"] * numbers)]
    lines += [_line([plain(str(cell)) for cell in row]) for row in shown[:most]]
    if len(shown) > most:
        lines.append(_line([f"… and {len(shown) - most:,} more", *[""] * (len(heads) - 1)]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
