"""Foreign words as plain text in Markdown: no link, no HTML, no table cell of theirs, nothing hidden."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

SPECIAL = re.compile(r"([\\`*_{}\[\]()#+!|~$])")
# Control characters, and those that turn the direction of what follows them.
INVISIBLE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]")


def plain(words: str) -> str:
    """``words`` as plain text in a line or table cell; what would be invisible is named by its code point."""
    one_line = " ".join(words.split())
    visible = INVISIBLE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", one_line)
    return SPECIAL.sub(r"\\\1", html.escape(visible, quote=False))


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
