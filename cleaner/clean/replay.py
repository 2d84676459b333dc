"""Decisions as a CSV file: written from the journal, and replayed on the same pictures somewhere else."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from cleaner.clean.decisions import decide_each
from pipeline.errors import SourceError
from pipeline.labels import clean_labels
from pipeline.predict import SEVERAL
from pipeline.safe_text import restored, write_cells
from pipeline.workspace.records import IN_USE, USABLE, Decision, State, Wish
from pipeline.workspace.store import STATUSES
from pipeline.workspace.workspace import Workspace, writing

COLUMNS = (
    "at",
    "image",
    "name",
    "action",
    "labels_before",
    "labels_after",
    "status_before",
    "status_after",
    "undone",
)
NEEDED = ("image", "action", "labels_before", "labels_after", "status_before", "status_after")
ACTIONS = ("keep", "relabel", "remove", "restore", "set_aside", "rename")
MAX_BYTES = 256 << 20
MAX_ROWS = 1_000_000
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Exported:
    """Where the decisions were written, and how many."""

    file: str
    decisions: int


@dataclass(frozen=True)
class Conflict:
    """A line of the file that was not done, with the reason in words."""

    line: int
    image: str
    reason: str


@dataclass(frozen=True)
class Replayed:
    """How many decisions were ``applied``; ``already`` are so here, ``undone`` were taken back over there.

    ``conflicts`` are lines that do not fit what is here, ``unknown`` the pictures that are not here at all.
    """

    applied: int
    already: int
    undone: int
    conflicts: tuple[Conflict, ...] = field(default=())
    unknown: tuple[str, ...] = field(default=())

    @property
    def words(self) -> str:
        """What became of the file, in one sentence."""
        return (
            f"{self.applied:,} applied, {self.already:,} so already, {len(self.conflicts):,} in conflict, "
            f"{len(self.unknown):,} pictures not here, {self.undone:,} taken back over there."
        )


# --- writing -------------------------------------------------------------------------------------------------------


def export_decisions(workspace: Workspace, out: Path) -> Exported:
    """Write the whole journal as a CSV file in UTF-8 (columns: COLUMNS), oldest first.

    ``image`` is the SHA-256 of the file's bytes, ``name`` what its source called it; several labels are joined by
    ``|``. No cell is run by a spreadsheet (see ``pipeline.safe_text``). Raises SourceError where it cannot be written.

    >>> from pathlib import Path
    >>> decision = w.keep(ws, w.suspects(ws, w.load_run(ws))["id"][0])
    >>> w.export_decisions(ws, Path("decisions.csv")).decisions
    1
    """
    journal = workspace.store.journal.decisions()
    known = workspace.store.images_of(dict.fromkeys(decision.image for decision in journal))
    names = dict(zip(known["id"], known["source_name"], strict=True))
    rows = [_cells(decision, names.get(decision.image)) for decision in journal]
    try:
        with writing(Path(out)) as part:
            write_cells(pd.DataFrame(rows, columns=list(COLUMNS), dtype=object), part)
    except OSError as error:
        raise SourceError(f"{out} cannot be written: {error.strerror or error}.") from error
    return Exported(str(out), len(rows))


def _cells(decision: Decision, name: object) -> list[str]:
    before, after = decision.before, decision.after
    labels = [SEVERAL.join(before.labels), SEVERAL.join(after.labels)]
    where = PurePosixPath(str(name)).name if isinstance(name, str) else ""
    undone = "true" if decision.undone else "false"
    return [decision.at, decision.image, where, decision.action, *labels, before.status, after.status, undone]


# --- reading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    number: int
    image: str
    action: str
    before: State
    after: State
    undone: bool


def _lines(file: Path) -> Iterator[_Line | Conflict]:
    """What the lines say. Raises SourceError where the file is no such table."""
    reader = csv.reader(io.StringIO(_text(file), newline=""), strict=True)
    try:
        columns = [cell.strip().lower() for cell in next(reader, [])]
        if missing := [column for column in NEEDED if column not in columns]:
            raise SourceError(
                f"{file.name} holds no decisions: it lacks the column {missing[0]} "
                f"(it has: {', '.join(columns)[:200] or 'none'}). Take a file that 'decisions --out' wrote."
            )
        for count, cells in enumerate(reader):
            if count >= MAX_ROWS:
                raise SourceError(f"{file.name} has more than {MAX_ROWS:,} lines. Replay it in parts.")
            if any(cells):
                yield _line(reader.line_num, dict(zip(columns, map(restored, cells), strict=False)))
    except csv.Error as error:
        raise SourceError(f"{file.name} cannot be read at line {reader.line_num}: {error}.") from error


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise SourceError(f"{file.name} is larger than {MAX_BYTES >> 20} MiB. Replay it in parts.")
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{file.name} is not in UTF-8 ({error.reason}). Save it anew as 'CSV UTF-8'.") from error
    except (OSError, ValueError) as error:
        raise SourceError(f"{file.name} cannot be read: {error}.") from error
    if "\0" in text:
        raise SourceError(f"{file.name} is no CSV file: there are NUL characters in it.")
    return text


def _line(number: int, cells: Mapping[str, str]) -> _Line | Conflict:
    image = cells.get("image", "").strip().lower()
    if not SHA256.fullmatch(image):
        return Conflict(number, image[:64], "It names no image: the SHA-256 of a file has 64 hexadecimal digits.")
    try:
        before, after = (_state(cells, when) for when in ("before", "after"))
    except SourceError as error:
        return Conflict(number, image, str(error))
    if cells.get("action") not in ACTIONS:
        return Conflict(number, image, f"There is no decision called '{cells['action'][:40]}'.")
    return _Line(number, image, cells["action"], before, after, cells.get("undone", "").lower() in ("true", "1"))


def _state(cells: Mapping[str, str], when: str) -> State:
    labels = cells.get(f"labels_{when}", "")
    names = tuple(clean_labels(labels, SEVERAL).split(SEVERAL)) if labels.strip() else ()
    status = cells.get(f"status_{when}", "")
    if status not in STATUSES:
        raise SourceError(f"There is no status called '{status[:40]}'.")
    return _plain(State(names, status))


def _plain(state: State) -> State:
    """The part of a state that has to be the same in two workspaces: the reason is not, nor whether it is checked."""
    return State(state.labels, "ok" if state.status in IN_USE else state.status)


# --- replaying -----------------------------------------------------------------------------------------------------


def replay(workspace: Workspace, file: Path) -> Replayed:
    """Make somebody else's decisions here, on the pictures with the same bytes: one batch, which one undo takes back.

    Line by line, oldest first: what stands in the journal here already, or whose outcome is how the picture is, counts
    as so already; what was taken back over there is left out; what found the picture as it is here is done; anything
    else is a conflict, and nothing is done about it. Raises SourceError where the file cannot be read, and then
    nothing changes.

    >>> from pathlib import Path
    >>> decision = w.remove(ws, w.suspects(ws, w.load_run(ws))["id"][0])
    >>> written = w.export_decisions(ws, Path("decisions.csv"))
    >>> undone = w.undo(ws)
    >>> replayed = w.replay(ws, Path("decisions.csv"))
    >>> replayed.applied, replayed.conflicts
    (1, ())
    """
    lines = list(_lines(Path(file)))
    rows = workspace.store.images_of(dict.fromkeys(line.image for line in lines))
    plan = _Plan(workspace, rows)
    for line in lines:
        plan.take(line)
    done, refused = decide_each(workspace, plan.wishes)
    conflicts = [*plan.conflicts, *(Conflict(0, refusal.image, refusal.reason) for refusal in refused)]
    return Replayed(len(done), plan.already, plan.undone, tuple(conflicts), tuple(plan.unknown))


class _Plan:
    """What is to be done about the lines, one after the other."""

    def __init__(self, workspace: Workspace, rows: pd.DataFrame) -> None:
        self.usable = dict(zip(rows["id"], rows["verdict"].isin(USABLE), strict=True))
        self.real = {
            str(row["id"]): State(
                tuple(sorted(str(row["label"]).split(SEVERAL))) if row["label"] else (), row["status"], row["reason"]
            )
            for row in rows.to_dict("records")
        }
        standing = (d for d in workspace.store.journal.decisions() if not d.undone)
        self.standing = Counter((d.image, d.action, _plain(d.before), _plain(d.after)) for d in standing)
        self.wishes: list[Wish] = []
        self.conflicts: list[Conflict] = []
        self.unknown: dict[str, None] = {}
        self.already = self.undone = 0

    def take(self, line: _Line | Conflict) -> None:
        if isinstance(line, Conflict):
            self.conflicts.append(line)
        elif line.image not in self.real:
            self.unknown[line.image] = None
        elif line.undone:
            self.undone += 1
        elif self.standing[same := (line.image, line.action, line.before, line.after)]:
            self.standing[same] -= 1
            self.already += 1
        elif _plain(now := self.real[line.image]) == line.before:
            after = State(line.after.labels, self._status(line, now), now.reason)
            self.wishes.append(Wish(line.image, line.action, lambda _: after, expected=now))
            self.real[line.image] = after
        elif _plain(now) == line.after:
            self.already += 1
        else:
            reason = f"It is {_words(now)} here; the file expects {_words(line.before)}."
            self.conflicts.append(Conflict(line.number, line.image, reason))

    def _status(self, line: _Line, now: State) -> str:
        """What stays in use keeps its status; what comes back into use was checked here, or will be."""
        if line.after.status not in IN_USE:
            return line.after.status
        if now.status in IN_USE:
            return now.status
        return "ok" if self.usable[line.image] else "new"


def _words(state: State) -> str:
    status = "in use" if state.status in IN_USE else state.status.replace("_", " ")
    return f"{' and '.join(state.labels) or 'without label'}, {status}"
