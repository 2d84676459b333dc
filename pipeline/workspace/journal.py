"""The journal of decisions: every change to an image with what it was before, and every way to take one back, and to
redo it.

What is taken back at once is a turn, a row of ``turns`` with the number of the last decision by then, and so is what
is redone at once. A decision that is taken back notes its turn, and can be redone while no new decision was made since:
what was taken back last comes first, and of one turn what was decided first.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace

from pipeline.errors import StaleDecision, StoreError
from pipeline.workspace.database import Database, now
from pipeline.workspace.ids import image_named
from pipeline.workspace.records import ACCEPT, LABEL, Decision, Refusal, State, Step, Wish

STANDING = "SELECT * FROM decisions WHERE undone = 0"
REDOABLE = "undone = 1 AND turn IN (SELECT number FROM turns WHERE last = (SELECT max(id) FROM decisions))"
STEPS = f"""
    SELECT min(id) AS first, max(id) AS last, count(*) AS count, sum(undone) AS undone,
           coalesce(sum({REDOABLE}), 0) AS redoable
    FROM decisions GROUP BY coalesce(batch, id) ORDER BY last DESC LIMIT ? OFFSET ?
"""
DECIDED_ON = """
    SELECT decisions.* FROM json_each(?) JOIN decisions ON image = value WHERE undone = 0 AND decisions.id > ?
    ORDER BY decisions.id
"""

BY_PERSON = ("keep", "relabel", LABEL)
BY_MODEL = """
    SELECT DISTINCT image FROM decisions AS taken WHERE undone = 0 AND action = ? AND NOT EXISTS (
        SELECT 1 FROM decisions AS later
        WHERE later.image = taken.image AND later.undone = 0 AND later.id > taken.id AND later.action IN (?, ?, ?))
"""


@dataclass(frozen=True)
class Journal:
    """What was decided, undone decisions included, in ``database``. Every method is one transaction."""

    database: Database

    # --- deciding ----------------------------------------------------------------------------------------------

    def decide(self, wishes: Iterable[Wish], refused: list[Refusal] | None = None) -> list[Decision]:
        """Change images and journal it: wish by wish, several as one batch, all in one transaction.

        Where a wish cannot be granted, nothing changes and its error is raised: StaleDecision where the image is not
        what the person saw, or was decided on since; StoreError for an unknown image, or as its ``change`` says. With
        a list of ``refused`` it is put there instead, and the others are granted.
        """
        wishes = list(wishes)
        batch = uuid.uuid4().hex if len(wishes) > 1 else None
        done = []
        with self.database.transaction() as db:
            for wish in wishes:
                try:
                    decision = _grant(db, wish, batch)
                except StoreError as error:
                    if refused is None:
                        raise
                    refused.append(Refusal(wish.image, str(error)))
                else:
                    done += [decision] if decision else []
        return done

    # --- taking back -------------------------------------------------------------------------------------------

    def undo(self, count: int = 1) -> list[Decision]:
        """Take back the last ``count`` decisions that are not undone yet, newest first; returns them."""
        with self.database.transaction() as db:
            # SQLite takes a negative limit for none
            return _take_back(db, db.execute(f"{STANDING} ORDER BY id DESC LIMIT ?", (max(count, 0),)).fetchall())

    def undo_step(self, about: str | None = None) -> list[Decision]:
        """Take back the last decision that is not undone yet, with all of its batch; returns them, newest first.

        ``about`` is an image that it has to be about; if it is not, StaleDecision is raised and nothing changes.
        """
        with self.database.transaction() as db:
            last = db.execute(f"{STANDING} ORDER BY id DESC LIMIT 1").fetchone()
            if last is None:
                return []
            rows = [last]
            if last["batch"] is not None:
                rows = db.execute(f"{STANDING} AND batch = ? ORDER BY id DESC", (last["batch"],)).fetchall()
            if about and about not in {row["image"] for row in rows}:
                raise StaleDecision("The last decision is another one by now. Look again and decide anew.")
            return _take_back(db, rows)

    def undo_after(self, decision_id: int, mark: str) -> list[Decision]:
        """Take back every decision after number ``decision_id``, newest first; returns them.

        StaleDecision is raised, and nothing changes, where the journal is no longer as it was at ``mark``.
        """
        with self.database.transaction() as db:
            if _mark(db) != mark:
                raise StaleDecision("Somebody decided or undid something meanwhile. Look again and choose anew.")
            rows = db.execute(f"{STANDING} AND id > ? ORDER BY id DESC", (decision_id,)).fetchall()
            return _take_back(db, rows)

    def undo_these(self, first: int, last: int) -> list[Decision]:
        """Take back the decisions numbered ``first`` to ``last``, newest first; returns them.

        Raises StoreError, and nothing changes, where one of their images was decided on since: that comes first.
        """
        with self.database.transaction() as db:
            rows = db.execute(f"{STANDING} AND id BETWEEN ? AND ? ORDER BY id DESC", (first, last)).fetchall()
            if not rows:
                raise StoreError("This is taken back already.")
            images = json.dumps([row["image"] for row in rows])
            later = {row["image"] for row in db.execute(DECIDED_ON, (images, last))}
            if later:
                which = "It was" if len(rows) == 1 else f"{len(later)} of these {len(rows)} images were"
                raise StoreError(f"{which} decided on since. Take that back first, or go back to an earlier point.")
            return _take_back(db, rows)

    # --- redoing what was taken back ---------------------------------------------------------------------------

    def redo(self, count: int = 1) -> list[Decision]:
        """Redo the last ``count`` decisions that were taken back; returns them in that order, fewer at the end.

        StaleDecision is raised, and nothing changes, where a new decision was made since, or an image was changed.
        """
        with self.database.transaction() as db:
            return _redo(db, _redoable(db)[: max(count, 0)])

    def redo_step(self, about: str | None = None) -> list[Decision]:
        """Redo what was taken back last, with all that was decided in one go with it. Errors as in :meth:`redo`.

        ``about`` is an image that it has to be about; if it is not, StaleDecision is raised and nothing changes.
        """
        with self.database.transaction() as db:
            rows = _redoable(db)
            step = [row for row in rows if (row["turn"], _go(row)) == (rows[0]["turn"], _go(rows[0]))]
            if about and about not in {row["image"] for row in step}:
                raise StaleDecision("What was taken back last is something else by now. Redo again brings that back.")
            return _redo(db, step)

    def redo_to(self, first: int, last: int, mark: str) -> list[Decision]:
        """Redo everything that was taken back, up to and with the decisions numbered ``first`` to ``last``. Errors as
        in :meth:`redo`, StoreError where those cannot be redone, and StaleDecision where the journal is no longer as it
        was at ``mark``.
        """
        with self.database.transaction() as db:
            if _mark(db) != mark:
                raise StaleDecision("Somebody decided or undid something meanwhile. Look again and choose anew.")
            rows = _redoable(db)
            places = [place for place, row in enumerate(rows) if first <= row["id"] <= last]
            if not places:
                raise StoreError(
                    "This cannot be redone: it stands, or was taken back before something else was decided."
                )
            return _redo(db, rows[: places[-1] + 1])

    # --- reading -----------------------------------------------------------------------------------------------

    def mark(self) -> str:
        """A short text that is another one after every decision, undo and redo, and never comes again. Costs no look at
        the whole journal.
        """
        with self.database.transaction(write=False) as db:
            return _mark(db)

    def decisions(self, after: int = 0) -> list[Decision]:
        """The journal, oldest first, undone ones included; ``after``: only those behind that number."""
        with self.database.transaction(write=False) as db:
            return [_decision(row) for row in db.execute("SELECT * FROM decisions WHERE id > ? ORDER BY id", (after,))]

    def undone(self) -> set[int]:
        """The numbers of the decisions that are undone."""
        with self.database.transaction(write=False) as db:
            return {row["id"] for row in db.execute("SELECT id FROM decisions WHERE undone = 1")}

    def standing(self) -> int:
        """How many decisions are not undone."""
        with self.database.transaction(write=False) as db:
            return int(db.execute("SELECT count(*) FROM decisions WHERE undone = 0").fetchone()[0])

    def redoable(self) -> int:
        """How many decisions can be redone."""
        with self.database.transaction(write=False) as db:
            return int(db.execute(f"SELECT count(*) FROM decisions WHERE {REDOABLE}").fetchone()[0])

    def decided_on(self, image_ids: Collection[str]) -> dict[str, Decision]:
        """image -> the last decision about it that stands, for those of the images that have one."""
        with self.database.transaction(write=False) as db:
            return {row["image"]: _decision(row) for row in db.execute(DECIDED_ON, (json.dumps([*image_ids]), 0))}

    def steps(self, start: int, count: int, few: int) -> tuple[list[Step], int]:
        """The steps from number ``start`` on, newest first, with ``few`` decisions of each; and how many there are."""
        with self.database.transaction(write=False) as db:
            total = db.execute("SELECT count(DISTINCT coalesce(batch, id)) FROM decisions").fetchone()[0]
            return [_step(db, row, few) for row in db.execute(STEPS, (count, start))], int(total)

    def by_model(self) -> set[str]:
        """The images whose label is the model's and that nobody looked at since: ACCEPT stands, and no later decision
        about the label does.
        """
        with self.database.transaction(write=False) as db:
            return {row["image"] for row in db.execute(BY_MODEL, (ACCEPT, *BY_PERSON))}

    def state(self, image_id: str) -> State:
        """What a decision could change about an image, as it is now."""
        with self.database.transaction(write=False) as db:
            return _state(db, image_named(db, image_id))


def _grant(db: sqlite3.Connection, wish: Wish, batch: str | None) -> Decision | None:
    """Change the image and journal it; None where the wish finds nothing to decide. Raises StoreError."""
    wish = replace(wish, image=image_named(db, wish.image))
    before = _state(db, wish.image)
    if wish.expected is not None and before != wish.expected:
        raise StaleDecision(
            "This image was changed meanwhile (in another tab, or by somebody else): it is now "
            f"{_in_words(before)}. Look again and decide anew."
        )
    if wish.known is not None:
        newer = db.execute(DECIDED_ON, (json.dumps([wish.image]), wish.known)).fetchone()
        if newer is not None:
            raise StaleDecision(
                f"Somebody else decided on this image meanwhile ({newer['action']}): it is {_in_words(before)}. "
                "Look again and decide anew."
            )
    after = wish.change(before)
    if after is None:
        return None
    if after.group is not None:
        before = _state(db, wish.image, with_group=True)
    _write_state(db, wish.image, after)
    at, told = now(), [json.dumps(asdict(state), ensure_ascii=False) for state in (before, after)]
    cursor = db.execute(
        "INSERT INTO decisions (image, action, before, after, at, batch) VALUES (?, ?, ?, ?, ?, ?)",
        (wish.image, wish.action, *told, at, batch),
    )
    return Decision(int(cursor.lastrowid or 0), wish.image, wish.action, before, after, at, batch=batch)


def _take_back(db: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> list[Decision]:
    """Undo decisions, which come newest first."""
    undone = [_decision(row) for row in rows]
    if not undone:
        return []
    for decision in undone:
        _write_state(db, decision.image, decision.before)
    turn = _new_turn(db)
    db.executemany("UPDATE decisions SET undone = 1, turn = ? WHERE id = ?", [(turn, one.id) for one in undone])
    return [replace(decision, undone=True) for decision in undone]


def _redoable(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """What can be redone, in that order. Raises StaleDecision where a new decision was made since the last undo."""
    rows = db.execute(f"SELECT * FROM decisions WHERE {REDOABLE} ORDER BY turn DESC, id").fetchall()
    if not rows and db.execute("SELECT 1 FROM decisions WHERE undone = 1 AND turn IS NOT NULL").fetchone():
        raise StaleDecision(
            "There is nothing to redo: something new was decided since the last undo. What was taken back before that "
            "stays in the history; decide it anew."
        )
    return rows


def _redo(db: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> list[Decision]:
    """Redo decisions, which come in the order to redo them in."""
    redone = [_decision(row) for row in rows]
    if not redone:
        return []
    for decision in redone:
        state = _state(db, decision.image, with_group=decision.after.group is not None)
        if (state, state.group) != (decision.before, decision.before.group):
            raise StaleDecision(
                f"This cannot be redone: an image was changed since it was taken back. It is now {_in_words(state)}. "
                "Look again and decide anew."
            )
        _write_state(db, decision.image, decision.after)
    _new_turn(db)
    db.executemany("UPDATE decisions SET undone = 0, turn = NULL WHERE id = ?", [(one.id,) for one in redone])
    return [replace(decision, undone=False) for decision in redone]


def _new_turn(db: sqlite3.Connection) -> int:
    cursor = db.execute("INSERT INTO turns (at, last) SELECT ?, max(id) FROM decisions", (now(),))
    return int(cursor.lastrowid or 0)


def _go(row: sqlite3.Row) -> str:
    """What decisions that were made in one go share."""
    return str(row["batch"] or row["id"])


def _mark(db: sqlite3.Connection) -> str:
    last, turn = db.execute("SELECT (SELECT max(id) FROM decisions), (SELECT max(number) FROM turns)").fetchone()
    return f"{last or 0}-{turn or 0}"


def renamings(journal: Iterable[Decision], since: str = "") -> dict[str, str]:
    """Old name -> name of today, of every class that the decisions of the journal renamed or merged after ``since``."""
    names: dict[str, str] = {}
    for decision in journal:
        if decision.action != "rename" or decision.undone or decision.at <= since:
            continue
        before, after = set(decision.before.labels), set(decision.after.labels)
        if len(gone := before - after) == 1 and len(new := after - before) == 1:
            old, name = gone.pop(), new.pop()
            names = {first: name if now == old else now for first, now in names.items()} | {old: name}
    return {old: name for old, name in names.items() if old != name}


def last_of(mark: str) -> int:
    """The number of the journal's last decision at a ``mark``."""
    return int(mark.split("-")[0])


def _step(db: sqlite3.Connection, row: sqlite3.Row, few: int) -> Step:
    between = db.execute(
        "SELECT * FROM decisions WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?", (row["first"], row["last"], few)
    )
    later = db.execute("SELECT count(*) FROM decisions WHERE undone = 0 AND id > ?", (row["last"],)).fetchone()[0]
    some = tuple(map(_decision, between))
    return Step(row["first"], row["last"], row["count"], row["undone"], row["redoable"], int(later), some)


def _state(db: sqlite3.Connection, image_id: str, with_group: bool = False) -> State:
    row = db.execute(
        "SELECT status, reason, coalesce(duplicate_group, id) AS grp FROM images WHERE id = ?", (image_id,)
    ).fetchone()
    labels = db.execute("SELECT label FROM labels WHERE image_id = ? ORDER BY label", (image_id,))
    return State(tuple(r["label"] for r in labels), row["status"], row["reason"], row["grp"] if with_group else None)


def _write_state(db: sqlite3.Connection, image_id: str, state: State) -> None:
    db.execute("UPDATE images SET status = ?, reason = ? WHERE id = ?", (state.status, state.reason, image_id))
    if state.group is not None:
        db.execute("UPDATE images SET duplicate_group = ? WHERE id = ?", (state.group, image_id))
    db.execute("DELETE FROM labels WHERE image_id = ?", (image_id,))
    db.executemany("INSERT INTO labels VALUES (?, ?)", [(image_id, label) for label in state.labels])


def _decision(row: sqlite3.Row) -> Decision:
    told = [json.loads(row[name]) for name in ("before", "after")]
    before, after = (
        State(tuple(one["labels"]), one["status"], one.get("reason", ""), one.get("group")) for one in told
    )
    return Decision(row["id"], row["image"], row["action"], before, after, row["at"], bool(row["undone"]), row["batch"])


def _in_words(state: State) -> str:
    return f"labelled {' and '.join(state.labels) or 'nothing'}, {state.status.replace('_', ' ')}"
