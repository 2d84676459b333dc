"""What leaves, told at a terminal: what is not as it was imported, and a person's own folder as it was decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pipeline.collect.reading import few, number
from pipeline.dataset.apply import Applied
from pipeline.dataset.changes import LABELLED, RELABELLED, Change, Changes
from pipeline.terminal.show import InWords

MOST = 20


def changes_in_words(found: Changes) -> InWords:
    """The changes as lines, the first ones in full."""
    return InWords(found, (*_changes(found.changes), *([f"Written to {found.out}."] if found.out else [])))


def applied_in_words(done: Applied) -> InWords:
    """What was written, and how it differs from what the person has."""
    return InWords(done, tuple(_applied(done)))


def _applied(done: Applied) -> Iterator[str]:
    yield f"{number(done.files, 'file')} written to {done.folder}."
    yield from _changes(done.changes)
    for names, words in (
        (done.new, "New there, and taken along as they are"),
        (done.changed, "Changed since the import, and taken along as they are"),
        (done.missing, "Imported, and not there"),
    ):
        if names:
            yield f"{words} ({len(names):,}): {few(names)}."
    yield from done.notes


def _changes(rows: Sequence[Change]) -> Iterator[str]:
    if not rows:
        yield "Every file is as it was imported."
        return
    statuses = Counter(row.status for row in rows)
    counted = ", ".join(f"{times:,} {status}" for status, times in statuses.most_common())
    yield f"Not as {'it was' if len(rows) == 1 else 'they were'} imported: {number(len(rows), 'file')} ({counted})."
    for row in rows[:MOST]:
        labels = f"{row.before or 'no label'} -> {row.now}. " if row.status in (RELABELLED, LABELLED) else ""
        yield f"  {row.path}: {row.status}. {labels}{row.why}"
    if len(rows) > MOST:
        yield f"  and {len(rows) - MOST:,} more; changes.csv has them all (changes WORKSPACE --out changes.csv)."
