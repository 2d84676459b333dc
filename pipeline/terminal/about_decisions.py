"""What a person reads of decisions: what was done, in words, to which picture, and what was taken back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeAlias

from pipeline.terminal.known import Known
from pipeline.terminal.tables import MOST, Column, counted, sentences, table

Document: TypeAlias = Mapping[str, Any]
FEW = 8  # pictures of what was done in one go


def decided(done: Document, known: Known) -> Iterator[str]:
    """What was decided, and how it is taken back."""
    yield "Decided:"
    yield from _told(done["decisions"], known, back=False)
    if any(row["after"]["status"] == "removed" for row in done["decisions"]):
        yield "The file is in the workspace's trash."
    yield "'undo' takes it back."


def undone(done: Document, known: Known) -> Iterator[str]:
    """What was taken back, and how it is now."""
    rows = done["decisions"]
    if not rows:
        yield "There is nothing left to take back."
        return
    yield f"Taken back, {counted(len(rows), 'decision')}:"
    yield from _told(rows, known, back=True)
    yield "'redo' brings it again, until something new is decided."


def redone(done: Document, known: Known) -> Iterator[str]:
    """What was redone, and how it is now."""
    rows = done["decisions"]
    if not rows:
        yield "There is nothing to redo."
        return
    yield f"Redone, {counted(len(rows), 'decision')}:"
    yield from _told(rows, known, back=False)


def _told(rows: Sequence[Document], known: Known, back: bool) -> Iterator[str]:
    """What was done, once for all pictures with which the same was done; then the pictures."""
    said = Counter(": ".join(filter(None, (_words(row), _again(row) if back else ""))) for row in rows)
    for words, count in said.items():
        yield from sentences(f"{words} ({counted(count, 'image')})", indent=2)
    pictures = known.pictures(row["image"] for row in rows[:MOST])
    columns = [Column("id", whole=True), Column("picture", name=True), Column("label now")]
    shown = (
        (one.id, one.name, ", ".join(row["before" if back else "after"]["labels"]))
        if (one := pictures.get(row["image"]))
        else ()
        for row in rows
    )
    yield from table(columns, shown, FEW)


def _words(row: Document) -> str:
    """One decision as a person says it."""
    before, after = (" and ".join(row[when]["labels"]) or "no label" for when in ("before", "after"))
    known = {
        "keep": f"{before}, found right",
        "relabel": f"{before} -> {after}",
        "label": f"named {after}",
        "accept": f"named {after} by the model",
        "rename": f"class {_one(row, 'before', 'after')} -> {_one(row, 'after', 'before')}",
        "remove": "removed",
        "restore": "back in use",
        "set_aside": "set aside",
        "not_same": "not the same picture",
    }
    return known.get(row["action"], str(row["action"]).replace("_", " "))


def _again(row: Document) -> str:
    """How it is once the decision is taken back; empty where nothing had changed."""
    if row["before"]["status"] != row["after"]["status"]:
        now = {"removed": "out of use", "set_aside": "set aside"}.get(row["before"]["status"], "in use")
        return f"{now} again"
    if row["before"]["labels"] != row["after"]["labels"]:
        return f"{_one(row, 'before', 'after') or 'without label'} again"
    return ""


def _one(row: Document, this: str, other: str) -> str:
    """What only one of the two states is called."""
    own = [name for name in row[this]["labels"] if name not in row[other]["labels"]]
    return " and ".join(own or row[this]["labels"])


def journal(found: Document, known: Known) -> Iterator[str]:
    """The last decisions, the newest at the end; or where they were written."""
    if "file" in found:
        yield f"{counted(found['decisions'], 'decision')} written to {found['file']}."
        return
    rows = found["decisions"]
    if not rows:
        yield "Nothing was decided yet."
        return
    steps = [
        list(step) for _, step in groupby(rows, key=lambda row: (row["batch"] or row["id"], _words(row), row["undone"]))
    ]
    last = steps[-MOST:]
    if len(steps) > MOST:
        yield f"  … {len(steps) - MOST:,} before: --json has all"
    pictures = known.pictures(step[0]["image"] for step in last)
    heads = [
        Column("when (UTC)", whole=True),
        Column("id", whole=True),
        Column("picture", name=True),
        Column("decision", wrapped=True),
        Column(whole=True),
    ]
    yield from table(
        heads,
        (
            (
                step[0]["at"][:16].replace("T", " "),
                "" if len(step) > 1 else pictures[step[0]["image"]].id,
                f"{len(step):,} pictures" if len(step) > 1 else pictures[step[0]["image"]].name,
                _words(step[0]),
                "undone" if step[0]["undone"] else "",
            )
            for step in last
        ),
    )
    standing = sum(not row["undone"] for row in rows)
    yield f"{counted(len(rows), 'decision')}, {standing:,} of them stand."


def replay(done: Document, known: Known) -> Iterator[str]:
    """What became of the file, line by line where it does not fit."""
    yield from sentences(
        f"{done['applied']:,} applied, {done['already']:,} so already, {len(done['conflicts']):,} in conflict, "
        f"{len(done['unknown']):,} pictures not here, {done['undone']:,} taken back over there."
    )
    for note in done["notes"]:
        yield from sentences(f"- {note}")
    conflicts = done["conflicts"]
    pictures = known.pictures(row["image"] for row in conflicts[:MOST])
    yield from table(
        [Column("line", right=True), Column("picture", name=True), Column("why it was not done", wrapped=True)],
        (
            (row["line"] or "", pictures[row["image"]].name if row["image"] in pictures else "", row["reason"])
            for row in conflicts
        ),
    )
    if done["applied"]:
        yield "One 'undo' takes all of it back."


def renamed(done: Document, known: Known) -> Iterator[str]:
    """What the class is called now."""
    parts = [f"{done['test']:,} of the test split"] if done["test"] else []
    parts += [f"{done['unused']:,} out of use"] if done["unused"] else []
    some = f" ({' and '.join(parts)} among them)" if parts else ""
    images = counted(done["images"], "image")
    if done["merged"]:
        yield from sentences(f"{images}{some} of {done['old']} joined the {done['merged']:,} of {done['new']}.")
    else:
        yield from sentences(f"{images}{some} of {done['old']} are called {done['new']} now.")
    yield "One 'undo' takes all of it back."
