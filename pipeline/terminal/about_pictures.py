"""What a person reads of the results about pictures: searched, fetched, checked, verified, listed, given to others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from pipeline.labels import in_words
from pipeline.terminal.known import Known
from pipeline.terminal.tables import MOST, Column, counted, listed, sentences, table

Document: TypeAlias = Mapping[str, Any]
FEW = 8


def search(found: Document, known: Known) -> Iterator[str]:
    """Candidates by class and by who knows them; who brought nothing, and why."""
    candidates = found["candidates"]
    yield f"{counted(len(candidates), 'candidate')}, {found['added']:,} of them new. 'download' fetches them."
    providers = sorted({row["provider"] for row in candidates})
    counts = Counter((row["label"], row["provider"]) for row in candidates)
    labels = dict.fromkeys(row["label"] for row in candidates)
    columns = [
        Column("class"),
        *(Column(name, right=True) for name in providers),
        Column("licence claimed", right=True),
    ]
    yield from table(
        columns,
        (
            (
                label,
                *(f"{counts[label, name]:,}" for name in providers),
                f"{sum(row['label'] == label and bool(row['licence']) for row in candidates):,}",
            )
            for label in labels
        ),
    )
    for problem in found["problems"]:
        about = " / ".join(filter(None, (problem["label"], problem["provider"])))
        yield from sentences(f"- {about}: {problem['reason']}")


def download(done: Document, known: Known) -> Iterator[str]:
    """How many were stored; what failed, with the reason."""
    ended = Counter(row["status"] for row in done["results"])
    yield from sentences(
        f"{ended['stored']:,} stored, {ended['duplicate']:,} here already, {ended['failed']:,} failed, "
        f"{ended['skipped']:,} skipped."
    )
    missed = [row for row in done["results"] if row["status"] in ("failed", "skipped")]
    codes = Counter(row["code"] or "unknown" for row in missed)
    if len(missed) > FEW:
        yield f"Why not: {listed(dict(codes.most_common()))}"
    columns = [Column("not stored", name=True), Column("class"), Column("why", wrapped=True)]
    yield from table(columns, ((row["url"], row["label"], row["reason"] or row["code"]) for row in missed))
    yield from _problems(done["problems"])


def _problems(problems: Sequence[str]) -> Iterator[str]:
    for problem in problems[:MOST]:
        yield from sentences(f"- {problem}")
    if len(problems) > MOST:
        yield f"  … {len(problems) - MOST:,} more: --json has all"


def check(checked: Document, known: Known) -> Iterator[str]:
    """A row a file, those with trouble first; how many there are of each verdict."""
    files = checked["files"]
    rows = sorted(files, key=lambda row: row["verdict"] == "ok")
    columns = [
        Column("file", name=True),
        Column("verdict"),
        Column("format"),
        Column("size", right=True),
        Column("why", wrapped=True),
    ]
    yield from table(
        columns,
        ((row["path"], _word(row["verdict"]), row["format"] or "", _size(row), row["reason"]) for row in rows),
    )
    verdicts = Counter(_word(row["verdict"]) for row in files)
    yield from sentences(f"{counted(len(files), 'file')}: {listed(dict(verdicts.most_common()))}")


def _size(row: Document) -> str:
    return f"{row['width']} x {row['height']}" if row["width"] else ""


def _word(name: str) -> str:
    return name.replace("_", " ")


def verify(found: Document, known: Known) -> Iterator[str]:
    """What is set aside and why, the same pictures, labels that contradict each other, and what else to look at."""
    aside = found["set_aside"]
    yield from sentences(
        f"{counted(found['checked'], 'picture')} checked ({found['new']:,} now): {found['ok']:,} can be used, "
        f"{len(aside):,} set aside."
    )
    yield from sentences(found["doubt"])
    yield from _set_aside(aside, known)
    copies = sum(len(group) for group in found["duplicate_groups"])
    if copies:
        groups = counted(len(found["duplicate_groups"]), "picture")
        yield f"{groups} there several times ({copies:,} files); each stays in one split."
    if found["label_conflicts"]:
        yield f"{counted(len(found['label_conflicts']), 'picture')} under different labels:"
        yield from _groups(found["label_conflicts"], known)
    for key, words in (
        ("leaks", "in more than one split"),
        ("given_leaks", "wanted in more than one split by their sources; now in one"),
    ):
        if found[key]:
            yield f"{counted(len(found[key]), 'picture')} {words}:"
            yield from _groups(found[key], known)
    if found["series"]:
        yield f"{counted(len(found['series']), 'series', 'series')} of alike pictures: perhaps a scene each."
    suspects = [*found["suspects"], *found["notes"]]
    if suspects:
        yield f"{counted(len(suspects), 'picture')} kept with something to know:"
        yield from _set_aside(suspects, known, FEW)
    if worst := {_word(kind): len(ids) for kind, ids in found["problems"].items() if ids}:
        yield from sentences(f"To look at: {listed(worst)}")
    yield from sentences(f"Classes: {listed(found['classes']) or 'none yet'}")
    for problem in (*found["class_problems"], *found["split_problems"]):
        yield from sentences(f"- {problem['reason']}")
    yield from sentences(found["scales"])


def _set_aside(rows: Sequence[Document], known: Known, most: int = MOST) -> Iterator[str]:
    short = known.pictures(row["id"] for row in rows[:most])
    columns = [Column("id", whole=True), Column("picture", name=True), Column("verdict"), Column("why", wrapped=True)]
    yield from table(
        columns,
        (
            (
                short[row["id"]].id if row["id"] in short else "",
                row["name"],
                _word(row["verdict"]),
                row["reason"],
            )
            for row in rows
        ),
        most,
    )


def _groups(groups: Sequence[Sequence[str]], known: Known) -> Iterator[str]:
    pictures = known.pictures(one for group in groups[:FEW] for one in group)
    for group in groups[:FEW]:
        told = [f"{pictures[one].id} {pictures[one].name} ({in_words(pictures[one].label)})" for one in group[:FEW]]
        more = f" and {len(group) - FEW:,} more" if len(group) > FEW else ""
        yield from sentences(f"{' = '.join(told)}{more}", indent=2)
    if len(groups) > FEW:
        yield f"  … {len(groups) - FEW:,} more: --json has all"


def images(found: Document, known: Known) -> Iterator[str]:
    """A row a picture: the id that other commands take, its name, label, split and status."""
    rows = found["images"]
    pictures = known.pictures(row["id"] for row in rows[:MOST])
    columns = [
        Column("id", whole=True),
        Column("picture", name=True),
        Column("label"),
        Column("split"),
        Column("status"),
        Column("why", wrapped=True),
    ]
    if not any(row["reason"] for row in rows[:MOST]):
        columns[-1] = Column("size", right=True)
    yield from table(
        columns,
        (
            (
                *((pictures[row["id"]].id, pictures[row["id"]].name) if row["id"] in pictures else ("", "")),
                in_words(row["label"] or "(none)"),
                row["split"] or "",
                _word(row["status"]),
                row["reason"] if columns[-1].head == "why" else _size(row),
            )
            for row in rows
        ),
    )
    statuses = Counter(_word(row["status"]) for row in rows)
    labels = Counter(in_words(row["label"] or "(none)") for row in rows)
    yield f"{counted(len(rows), 'picture')}{': ' + listed(dict(statuses.most_common())) if rows else ''}"
    if rows:
        yield from sentences(f"Labels: {listed(dict(sorted(labels.items())))}")


def dataset(written: Document, known: Known) -> Iterator[str]:
    """Where the data set is, what is in it, and what is not."""
    yield from sentences(f"{counted(written['files'], 'file')} in {written['folder']}: {listed(written['classes'])}")
    yield from sentences(
        f"{written['copied']:,} pictures as they are, {written['re_encoded']:,} re-encoded without metadata, "
        f"{written['left_out']:,} left out (removed or set aside)."
    )
    if written["with_position"]:
        said = counted(written["with_position"], "picture says where it was", "pictures say where they were")
        yield f"{said} taken; only originals still do."
    columns = [Column("not written", name=True), Column("why", wrapped=True)]
    yield from table(columns, ((row["path"], row["reason"]) for row in written["failed"]))


def card(written: Document, known: Known) -> Iterator[str]:
    """Which files say where the pictures come from."""
    yield f"Written: {', '.join(written['files'])}"
