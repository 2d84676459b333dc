"""What a model said of many pictures as a CSV file: written row by row, safe in a spreadsheet, read page by page."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from pipeline.safe_text import defused, restored
from pipeline.workspace.workspace import writing

FIRST, LAST = ("file", "label", "probability"), ("unfamiliar", "distance", "remark")
CLASS = "p:"
STRANGE = "unlike the pictures it learnt from"
Row: TypeAlias = Mapping[str, Any]
# Takes one more row: path, label, probability, probabilities, unfamiliar, distance, reason.
Sink: TypeAlias = Callable[[Row], object]


@contextmanager
def writing_answers(target: Path, classes: Sequence[str]) -> Iterator[Sink]:
    """The file ``target``, whole or not at all: file, label, probability, ``p:<class>`` of each class, unfamiliar (yes,
    or nothing), distance (1 is the limit), remark. Every cell is quoted and defused; UTF-8 with a mark, for Excel.
    """
    with writing(target) as part, part.open("w", encoding="utf-8-sig", newline="", errors="replace") as file:
        table = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        table.writerow([defused(name) for name in (*FIRST, *(CLASS + name for name in classes), *LAST)])
        yield lambda row: table.writerow([defused(cell) for cell in _cells(row, classes)])


def _cells(row: Row, classes: Sequence[str]) -> list[str]:
    if row["label"] is None:
        return [row["path"], *[""] * (2 + len(classes) + 2), row["reason"]]
    shares = [f"{share:.6f}" for share in (row["probability"], *(row["probabilities"][name] for name in classes))]
    distance = "" if row["distance"] is None else f"{row['distance']:.4f}"
    strange = ("yes", distance, STRANGE) if row["unfamiliar"] else ("", distance, "")
    return [row["path"], row["label"], *shares, *strange]


def page_of(file: Path, page: int, size: int) -> list[dict[str, str]]:
    """The rows of one page (from 0), each as {column: cell}, as they were before they were defused."""
    with file.open(encoding="utf-8-sig", newline="") as opened:
        table = csv.DictReader(opened)
        rows = islice(table, page * size, (page + 1) * size)
        return [{restored(key): restored(cell) for key, cell in row.items()} for row in rows]
