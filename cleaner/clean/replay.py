"""Decisions as a CSV file: written from the journal, and replayed on the same pictures somewhere else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from cleaner.clean.decisions import decide_each
from pipeline.collect.tables import written_rows
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
ACTIONS = ("keep", "relabel", "label", "accept", "remove", "restore", "set_aside", "rename")
MAX_BYTES = 256 << 20
MAX_ROWS = 1_000_000
# How a file begins that no spreadsheet has written anew: each of its cells is quoted.
WRITTEN_HERE = ",".join(f'"{column}"' for column in COLUMNS).encode()
# What spreadsheets write for true and false, by the language they speak.
TRUE = frozenset(
    {
        "true",
        "1",
        "wahr",
        "vrai",
        "verdadero",
        "vero",
        "verdadeiro",
        "waar",
        "prawda",
        "sant",
        "sand",
        "tosi",
        "pravda",
        "sann",
    }
    | {"igaz", "adevărat", "doğru", "истина", "істина", "真", "참"}
)
FALSE = frozenset(
    {"", "false", "0", "falsch", "faux", "falso", "onwaar", "fałsz", "falskt", "falsk", "usann", "epätosi", "nepravda"}
    | {"hamis", "fals", "yanlış", "ложь", "хибність", "假", "거짓"}
)
NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{0,15})?(e[+-]?\d{1,2})?", re.ASCII)
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
    ``notes``: how the file had to be read, where that is not plain.
    """

    applied: int
    already: int
    undone: int
    conflicts: tuple[Conflict, ...] = field(default=())
    unknown: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())

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


def _lines(file: Path, classes: Collection[str]) -> tuple[list[_Line | Conflict], tuple[str, ...]]:
    """What the lines say, and what one should know of how they were read. ``classes`` are those that are known here.
    Raises SourceError where the file is no such table.
    """
    data = _bytes(file)
    rows, note = written_rows(file.name, data)
    columns = [cell.strip().lower() for cell in _sound(file, *next(rows, (1, [])))]
    if missing := [column for column in NEEDED if column not in columns]:
        raise SourceError(
            f"{file.name} holds no decisions: it lacks the column {missing[0]} "
            f"(it has: {', '.join(columns)[:200] or 'none'}). Take a file that 'decisions --out' wrote."
        )
    if twice := [column for column in (*NEEDED, "undone") if columns.count(column) > 1]:
        raise SourceError(f"{file.name} has the column {twice[0]} twice. Take one of them out.")
    names = None if data.startswith(WRITTEN_HERE) else _Names(classes)
    lines: list[_Line | Conflict] = []
    for number, row in rows:
        if len(lines) >= MAX_ROWS:
            raise SourceError(f"{file.name} has more than {MAX_ROWS:,} lines. Replay it in parts.")
        cells = dict(zip(columns, map(restored, _sound(file, number, row)), strict=False))
        lines.append(_line(number, cells, names))
    notes = ((note.text,) if note else ()) + (names.notes() if names else ())
    return lines, notes


def _sound(file: Path, number: int, row: list[str] | str) -> list[str]:
    if isinstance(row, str):
        raise SourceError(f"{file.name} cannot be read at line {number}: {row}")
    if any("\0" in cell for cell in row):
        raise SourceError(f"{file.name} is no CSV file: there are NUL characters in it.")
    return row


def _bytes(file: Path) -> bytes:
    try:
        if file.stat().st_size > MAX_BYTES:
            raise SourceError(f"{file.name} is larger than {MAX_BYTES >> 20} MiB. Replay it in parts.")
        return file.read_bytes()
    except (OSError, ValueError) as error:
        raise SourceError(f"{file.name} cannot be read: {error}.") from error


class _Names:
    """Class names that a spreadsheet wrote in its own way (007 as 7, 0.50 as 0,5, true as WAHR), as they are here."""

    def __init__(self, classes: Collection[str]) -> None:
        self.classes = frozenset(classes)
        self.by_meaning: dict[float | str, list[str]] = {}
        for name in sorted(self.classes):
            if (meaning := _meaning(name)) is not None:
                self.by_meaning.setdefault(meaning, []).append(name)
        self.read: dict[str, str] = {}

    def here(self, name: str) -> str:
        """The one class of this workspace that a spreadsheet would write so; else the name as it is."""
        if name in self.classes or (meaning := _meaning(name)) is None:
            return name
        alike = self.by_meaning.get(meaning, [])
        if len(alike) == 1:
            self.read[name] = alike[0]
            return alike[0]
        return name

    def notes(self) -> tuple[str, ...]:
        """What was read otherwise than it is written."""
        return tuple(
            f"The class {here} is written {name} in the file, as spreadsheets do." for name, here in self.read.items()
        )


def _meaning(name: str) -> float | str | None:
    """What a spreadsheet makes of a cell: a number, or true or false; None where it leaves it alone."""
    word = name.strip().lower()
    if word in TRUE or word in FALSE:
        return "true" if word in TRUE else "false"
    number = word.replace(",", ".", 1)
    return float(number) if NUMBER.fullmatch(number) else None


def _line(number: int, cells: Mapping[str, str], names: _Names | None) -> _Line | Conflict:
    image = cells.get("image", "").strip().lower()
    if not SHA256.fullmatch(image):
        return Conflict(number, image[:64], "It names no image: the SHA-256 of a file has 64 hexadecimal digits.")
    try:
        before, after = (_state(cells, when, names) for when in ("before", "after"))
    except SourceError as error:
        return Conflict(number, image, str(error))
    action, undone = cells.get("action", "").strip(), cells.get("undone", "").strip().lower()
    if action not in ACTIONS:
        return Conflict(number, image, f"There is no decision called '{action[:40]}'.")
    if undone not in TRUE and undone not in FALSE:
        return Conflict(number, image, f"Whether it was taken back is said as '{undone[:40]}': write true or false.")
    return _Line(number, image, action, before, after, undone in TRUE)


def _state(cells: Mapping[str, str], when: str, names: _Names | None) -> State:
    labels = cells.get(f"labels_{when}", "")
    called = tuple(clean_labels(labels, SEVERAL).split(SEVERAL)) if labels.strip() else ()
    status = cells.get(f"status_{when}", "").strip()
    if status not in STATUSES:
        raise SourceError(f"There is no status called '{status[:40]}'.")
    return _plain(State(tuple(sorted(map(names.here, called))) if names else called, status))


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
    lines, notes = _lines(Path(file), _classes(workspace))
    rows = workspace.store.images_of(dict.fromkeys(line.image for line in lines))
    plan = _Plan(workspace, rows)
    for line in lines:
        plan.take(line)
    done, refused = decide_each(workspace, plan.wishes)
    conflicts = [*plan.conflicts, *(Conflict(0, refusal.image, refusal.reason) for refusal in refused)]
    return Replayed(len(done), plan.already, plan.undone, tuple(conflicts), tuple(plan.unknown), notes)


def _classes(workspace: Workspace) -> set[str]:
    """Every name that an image has, or had when something was decided about it."""
    names = {name for label in workspace.store.labels().values() for name in label.split(SEVERAL)}
    journal = workspace.store.journal.decisions()
    return names.union(*(state.labels for one in journal for state in (one.before, one.after)))


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
