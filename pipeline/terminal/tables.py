"""Tables and figures for a person at a terminal: as wide as that is (80 columns in a pipe), wide letters as such."""

from __future__ import annotations

import io
import shutil
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.safe_text import visible

MOST = 20  # rows of a long list
NARROWEST, WIDEST = 40, 200


@dataclass(frozen=True)
class Column:
    """How a column is shown: numbers stand at its ``right``; what is ``whole`` is never cut (ids), and what is
    ``wrapped`` goes on in the next line; a ``name`` loses its beginning, and the rest its end, where there is no room.
    """

    head: str = ""
    right: bool = False
    whole: bool = False
    wrapped: bool = False
    name: bool = False


def width() -> int:
    """How many columns there are: the terminal's, or what the environment says (COLUMNS); else 80."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((80, 24)).columns))


def table(
    columns: Sequence[Column], rows: Iterable[Sequence[object]], most: int = MOST, indent: int = 2
) -> Iterator[str]:
    """The lines of a table with at most ``most`` of the ``rows``, and how many more there are."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    every = list(rows)
    shown = [[visible(" ".join(str(cell).split())) for cell in row] for row in every[:most]]
    if shown:
        grid = Table(box=None, pad_edge=False, padding=(0, 1), show_header=any(one.head for one in columns))
        room = width() - indent
        widths = _widths(columns, shown, room)
        for one, wide in zip(columns, widths, strict=True):
            grid.add_column(
                Text(one.head),
                justify="right" if one.right else "left",
                no_wrap=not one.wrapped,
                overflow="fold" if one.wrapped else "ellipsis",
                width=wide,
            )
        for row in shown:
            cells = (
                cut(cell, wide) if one.name else cell for cell, one, wide in zip(row, columns, widths, strict=True)
            )
            grid.add_row(*map(Text, cells))
        page = io.StringIO()
        Console(file=page, width=room, color_system=None, force_terminal=False, legacy_windows=False).print(grid)
        yield from (" " * indent + line.rstrip() for line in page.getvalue().splitlines())
    if len(every) > most:
        yield f"{' ' * indent}… {len(every) - most:,} more: --json has all"


def _widths(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int) -> list[int]:
    """How wide each column is: as its widest cell, or less where there is no room: what goes on in the next line
    gives way first, then names and words, then all of these, and at last what should be whole.
    """
    from rich.cells import cell_len

    widths = [
        min(room, max(cell_len(one.head), *(cell_len(row[number]) for row in rows), 1))
        for number, one in enumerate(columns)
    ]
    too_much = sum(widths) + 2 * (len(columns) - 1) - room
    free = [number for number, one in enumerate(columns) if not one.whole and not one.right]
    wrapped = [number for number in free if columns[number].wrapped]
    steps = (
        (wrapped, 24),
        ([number for number in free if number not in wrapped], 16),
        (free, 6),
        (range(len(widths)), 1),
    )
    for numbers, least in steps:
        while too_much > 0 and any(widths[number] > least for number in numbers):
            widths[max(numbers, key=lambda number: widths[number])] -= 1
            too_much -= 1
    return widths


def sentences(*parts: str, indent: int = 0) -> Iterator[str]:
    """Sentences as one paragraph, in lines that fit; nothing where all are empty."""
    text = visible(" ".join(" ".join(part.split()) for part in parts if part))
    room = max(20, width() - indent)
    yield from textwrap.wrap(
        text, room, initial_indent=" " * indent, subsequent_indent=" " * indent, break_on_hyphens=False
    )


def cut(name: str, most: int) -> str:
    """A name that is too long without its beginning: a path says what it is at its end."""
    from rich.cells import cell_len

    text = visible(name)
    if cell_len(text) <= most:
        return text
    text = text[-4 * most :]  # of marks without a width there are few
    while text and cell_len(text) >= most:
        text = text[1:]
    return f"…{text}"


def percent(share: object) -> str:
    """A share as people write it; empty where it is not known."""
    return f"{100 * share:.1f} %" if isinstance(share, int | float) else ""


def between(low: object, high: object) -> str:
    """An interval of shares; empty where it is not known."""
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return ""
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def rate(said: Mapping[str, Any]) -> str:
    """An error rate with its 95 % interval, by the keys that all of our results give it."""
    if said.get("error_rate") is None:
        return "not known"
    interval = between(said.get("low"), said.get("high"))
    return percent(said["error_rate"]) + (f" (95 % interval {interval})" if interval else "")


def counted(number: int, one: str, many: str = "") -> str:
    """``1 image``, ``1,200 images``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(counts: Mapping[str, int], most: int = MOST) -> str:
    """``apple 161, melon 146 and 3 more``."""
    more = len(counts) - most
    named = ", ".join(f"{name} {count:,}" for name, count in list(counts.items())[:most])
    return named + (f" and {more:,} more" if more > 0 else "")
