"""What a person reads of models that leave and of work in the background: answers, exports, trials, addresses, jobs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

from pipeline.labels import in_words
from pipeline.terminal.known import Known
from pipeline.terminal.tables import Column, counted, listed, percent, sentences, table
from pipeline.workspace.ids import TO_SECOND, shortest

Document: TypeAlias = Mapping[str, Any]
SCARCELY = 0.005  # a second answer less likely than this is none


def predict(found: Document, known: Known) -> Iterator[str]:
    """A row a picture: the answer, how sure it is, and what it might be else; or where the table was written."""
    if "predictions" not in found:
        yield from _written(found)
        return
    columns = [
        Column("picture", name=True),
        Column("answer"),
        Column("sure", right=True),
        Column("or else"),
        Column("", wrapped=True),
    ]
    yield from table(columns, map(_answer, found["predictions"]))


def _answer(row: Document) -> tuple[str, ...]:
    if row.get("label") is None:
        return row["path"], "", "", "", str(row.get("reason") or "it cannot be used")
    every = sorted((row.get("probabilities") or {}).items(), key=lambda one: -one[1])
    said = row["label"].split("|")
    other = next(((name, share) for name, share in every if name not in said and share >= SCARCELY), None)
    return (
        row["path"],
        in_words(row["label"]),
        percent(row["probability"]),
        f"{other[0]} {percent(other[1])}" if other else "",
        "unlike anything it learnt from" if row.get("unfamiliar") else "",
    )


def _written(found: Document) -> Iterator[str]:
    if "rows" in found:
        yield f"{counted(found['rows'], 'row')} written to {found['file']}."
        if missing := found["missing"]:
            few = ", ".join(missing[:10])
            more = f" and {len(missing) - 10:,} more" if len(missing) > 10 else ""
            yield from sentences(f"No picture that can be used for {few}{more}: these rows keep what the sample says.")
        return
    yield from sentences(
        f"{counted(found['asked'], 'picture')} asked about, {found['failed']:,} could not be used, "
        f"{found['unfamiliar']:,} unlike what it learnt from."
    )
    yield f"Answers: {listed(found['labels']) or 'none'}"
    if found["file"]:
        yield f"Written to {found['file']}."


def export(done: Document, known: Known) -> Iterator[str]:
    """Where the folder is, and how it was checked."""
    yield f"{counted(len(done['files']), 'file')} in {done['folder']}"
    checks = [("a fresh process", done["parity"]), ("model.onnx", done["parity"].get("onnx"))]
    for who, parity in checks:
        if parity:
            images = counted(parity["images"], "image")
            largest = f"largest difference {parity['max_difference']:.1e}"
            yield from sentences(f"Checked: {who} gives the same probabilities on {images} ({largest}).")
    if cost := done.get("int8"):
        yield from sentences(
            f"With 8-bit numbers {percent(cost['changed'])} of the answers on {cost['images']:,} images are others; "
            f"{cost['bytes'] >> 20} MiB instead of {cost['bytes_before'] >> 20} MiB."
        )
    yield from table([Column("")], ((name,) for name in done["files"]))


def test_space(done: Document, known: Known) -> Iterator[str]:
    """Whether the Space answers as the model does, and how fast."""
    agreed = done["agreed"]
    same = "the same answers" if agreed["same_top"] else "OTHER answers"
    where = f", on {agreed['worst']}" if agreed["worst"] else ""  # nowhere: there is no difference
    yield from sentences(
        f"{done['where']}: {same} on {counted(agreed['images'], 'picture')} "
        f"(largest difference of a probability {agreed['max_difference']:.1e}{where})."
    )
    times = (("first page", "start_seconds"), ("first answer", "first_answer_seconds"), ("an answer", "answer_seconds"))
    told = [f"{words} {done[key]:.1f} s" for words, key in times if done.get(key) is not None]
    told += [f"memory {done['memory_mib']:.0f} MiB"] if done.get("memory_mib") is not None else []
    if told:
        yield ", ".join(told)


def deploy(done: Document, known: Known) -> Iterator[str]:
    """Where it is online."""
    yield f"{done['url']} ({done['stage'].lower()})"


def jobs(found: Document, known: Known) -> Iterator[str]:
    """A row a job, the newest first: what it does, how far it is, and since when."""
    rows = found["jobs"]
    if not rows:
        yield "There are no jobs."
        return
    short = shortest((row["id"] for row in rows), TO_SECOND)
    columns = [
        Column("id", whole=True),
        Column("stage"),
        Column("status"),
        Column("done", right=True),
        Column("began", right=True),
        Column("note"),
    ]
    yield from table(
        columns,
        (
            (
                short[row["id"]],
                row["stage"],
                "cancelling" if row["cancelling"] and row["status"] in ("queued", "running") else row["status"],
                f"{100 * row['done'] // row['total']} %" if row["total"] else "",
                _ago(row["started"]),
                row["note"],
            )
            for row in rows
        ),
    )


def _ago(at: str) -> str:
    """How long ago a time (UTC, ISO 8601) was; as it is where it is none."""
    try:
        began = datetime.fromisoformat(at)
    except ValueError:
        return at
    seconds = time.time() - (began if began.tzinfo else began.replace(tzinfo=UTC)).timestamp()
    for size, unit in (86_400, "d"), (3_600, "h"), (60, "min"):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(0, seconds):.0f} s ago"
