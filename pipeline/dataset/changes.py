"""What became of each file as it was imported: what Winnow and a person changed, as rows that a person can follow."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from pipeline.collect.listings import CHANGES as CHANGES
from pipeline.collect.refused import not_taken
from pipeline.errors import ExportError
from pipeline.labels import in_words
from pipeline.predict import SEVERAL
from pipeline.safe_text import write_cells
from pipeline.workspace.records import Decision
from pipeline.workspace.store import Store
from pipeline.workspace.workspace import Workspace, writing

RELABELLED, LABELLED, REMOVED, SET_ASIDE = "relabelled", "labelled", "removed", "set aside"
DUPLICATE, FAILED, LEFT_OUT = "duplicate", "failed", "left out"
# With these, a file is in no data set.
GONE = (REMOVED, SET_ASIDE, DUPLICATE, FAILED, LEFT_OUT)


@dataclass(frozen=True)
class Change:
    """What became of the file that was imported as ``path`` (in its folder or archive, or a URL), and ``why``.

    ``before`` is the label it came with and ``now`` the one it has (several with commas); ``status`` is relabelled,
    labelled (it came without one), removed, set aside, duplicate (of the file that ``why`` names), failed (it could
    not be imported), or left out. ``id``: the SHA-256 of its bytes, where it is known. ``file``: where it is in what
    was written; empty where it is not.
    """

    path: str
    before: str
    now: str
    status: str
    why: str
    id: str = ""
    file: str = ""


@dataclass(frozen=True)
class Changes:
    """Every file that is not as it was imported, in the order of the imports; ``out``: the table that was written."""

    changes: tuple[Change, ...]
    out: str | None = None


def changes(workspace: Workspace, out: Path | str | None = None) -> Changes:
    """What is not as it was imported: labels that changed, what was removed, set aside, there twice, or never came in.

    With ``out``, it is written there as a table (its cells as in a data set). Raises ExportError where it cannot be.

    >>> [image, *_] = w.suspects(ws, w.load_run(ws))["id"]
    >>> decision = w.relabel(ws, image, "melon")
    >>> [(change.now, change.status) for change in w.changes(ws, "changes.csv").changes]
    [('melon', 'relabelled')]
    """
    rows = tuple(_changes(workspace.store))
    if out is None:
        return Changes(rows)
    try:
        with writing(Path(out).expanduser()) as part:
            write_changes(rows, part)
    except (OSError, RuntimeError, ValueError) as error:
        said = (error.strerror if isinstance(error, OSError) else None) or error
        raise ExportError(f"{out} cannot be written: {said}. Choose another file, or free some space.") from error
    return Changes(rows, str(out))


def write_changes(rows: Iterable[Change], path: Path) -> None:
    """The table for people: formulas defused, and with the mark by which Excel knows UTF-8."""
    columns = [field.name for field in fields(Change)]
    table = pd.DataFrame([asdict(row) for row in rows], columns=columns, dtype=object)
    write_cells(table, path, encoding="utf-8-sig")


def placed_at(rows: Iterable[Change], files: Mapping[str, str], told: bool = True) -> list[Change]:
    """The rows with the ``files`` (by id) of what was written; without the names of files where these are not
    ``told``.
    """
    named = [replace(row, file="" if row.status in GONE else files.get(row.id, "")) for row in rows]
    return named if told else [replace(row, path="", why="" if row.status == DUPLICATE else row.why) for row in named]


def _changes(store: Store) -> Iterable[Change]:
    images = {row["id"]: row for row in store.images().to_dict("records")}
    decided = last_decisions(store.journal.decisions())
    claims: dict[tuple[str, str], list[str]] = {}
    sources = store.sources().sort_values("at", kind="stable")
    for image, name, label in zip(sources["image_id"], sources["name"], sources["claimed_label"], strict=True):
        claims.setdefault((image, name), []).extend([label] if label else [])
    met: dict[str, str] = {}
    for (image, name), labels in claims.items():
        row = images[image]
        before, now = SEVERAL.join(dict.fromkeys(labels)), str(row["label"] or "")
        status, why = judged(image, row, before, decided)
        if status not in (REMOVED, SET_ASIDE) and image in met:
            status, why = DUPLICATE, f"It is the same file as {met[image]}."
        met.setdefault(image, name)
        if status:
            yield Change(name, in_words(before), in_words(now), status, why, image)
    failed = store.candidates("failed")
    asked = set(failed["url"])
    for url, label, reason in zip(failed["url"], failed["label"], failed["reason"], strict=True):
        yield Change(str(url), in_words(str(label or "")), "", FAILED, str(reason or ""))
    for path, reason in not_taken(store).items():
        if path not in asked:
            yield Change(path, "", "", FAILED, reason)


Decided: TypeAlias = Mapping[tuple[str, bool], Decision]


def judged(image: str, row: Mapping[Hashable, object], before: str, decided: Decided) -> tuple[str, str]:
    """(status, why) of an image that came with the label ``before``; the status is empty where nothing changed."""
    now = str(row["label"] or "")
    of_label, of_state = decided.get((image, True)), decided.get((image, False))
    if row["status"] == "removed":
        return REMOVED, f"It was removed{f' on {of_state.at[:10]}' if of_state else ''}."
    if row["status"] == "set_aside":
        return SET_ASIDE, str(row["reason"] or "")
    if _set(before) == _set(now):
        return "", ""
    status = RELABELLED if before else LABELLED
    if of_label is None:
        return status, "Another place that it came from calls it so."
    what = "Its class was renamed" if of_label.action == "rename" else "It was given this label"
    return status, f"{what} on {of_label.at[:10]}."


def last_decisions(decisions: Sequence[Decision]) -> Decided:
    """(image, True) -> the last decision that stands and changed its label; (image, False): its state."""
    standing = sorted((one for one in decisions if not one.undone), key=lambda one: one.id)
    labels = {(one.image, True): one for one in standing if set(one.before.labels) != set(one.after.labels)}
    return {**labels, **{(one.image, False): one for one in standing if one.before.status != one.after.status}}


def _set(labels: str) -> frozenset[str]:
    return frozenset(filter(None, labels.split(SEVERAL)))
