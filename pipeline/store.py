"""The SQLite store: images, labels, sources, candidates and the journal of decisions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from pipeline.database import Database, now
from pipeline.errors import StaleDecision, StoreError
from pipeline.records import Decision, NewImage, State, Verdict

SPLITS = ("train", "valid", "test")
STATUSES = ("new", "ok", "set_aside", "removed")
MINIATURE_BYTES = 32 * 32 * 3

IMAGES_QUERY = """
    SELECT i.id, i.file, (SELECT group_concat(label, '|') FROM labels WHERE image_id = i.id) AS label,
           i.original_label, i.split, i.duplicate_group AS "group", i.status, i.verdict, i.reason,
           i.width, i.height, i.format, i.bytes, i.added_at, i.given_split, i.quality,
           s.provider AS source_provider, s.name AS source_name, s.page_url AS source_page, s.licence AS source_licence
    FROM images i LEFT JOIN sources s
      ON s.rowid = (SELECT min(rowid) FROM sources WHERE image_id = i.id)
"""

ADD_IMAGE = """
    INSERT OR IGNORE INTO images (id, file, original_label, given_split, bytes, added_at)
    VALUES (:id, :file, :label, :split, :bytes, :at)
"""
WITHOUT_LABEL = """
    SELECT value FROM json_each(?)
    WHERE value NOT IN (SELECT image_id FROM labels WHERE image_id = value)
      AND value NOT IN (SELECT image FROM decisions WHERE image = value AND undone = 0)
"""
ADD_SOURCE = """
    INSERT OR IGNORE INTO sources (image_id, provider, name, page_url, licence, claimed_label, at, query, title,
                                   creator, licence_url, original_sha256, original_bytes, given_split)
    VALUES (:id, :provider, :name, :page_url, :licence, :label, :at, :query, :title,
            :creator, :licence_url, :original_sha256, :original_bytes, :split)
"""
CANDIDATE_COLUMNS = (
    "url", "label", "provider", "page_url", "licence", "query", "title", "width", "height", "thumbnail", "creator",
    "licence_url",
)  # fmt: skip


class Store(Database):
    """One row per image, plus the journal. Every method is one transaction; processes and threads may share it."""

    # --- images ------------------------------------------------------------------------------------------------

    def images(self, status: str | None = None) -> pd.DataFrame:
        """One row per image, oldest first: id, file, label, original_label, split, group, status, verdict, reason,
        width, height, format, bytes, added_at, given_split, quality (JSON) and the first source (source_provider,
        _name, _page, _licence). ``status`` keeps only one of new, ok, set_aside, removed.
        """
        query, values = (IMAGES_QUERY + " WHERE i.status = ?", [status]) if status else (IMAGES_QUERY, [])
        return self.frame(query + " ORDER BY i.rowid", values)

    def unchecked(self) -> list[tuple[str, str]]:
        """(id, file) of the images that verify has to look at, oldest first: new ones, and those that an earlier
        version checked without measuring them.
        """
        waiting = "SELECT id, file FROM images WHERE status = 'new' OR (status = 'ok' AND quality IS NULL)"
        with self.transaction(write=False) as db:
            return [(row["id"], row["file"]) for row in db.execute(waiting + " ORDER BY rowid")]

    def image(self, image_id: str) -> Mapping[str, Any]:
        """The row of one image. Raises StoreError where there is none."""
        rows = self.frame(IMAGES_QUERY + " WHERE i.id = ?", [image_id]).to_dict("records")
        if not rows:
            raise StoreError(f"There is no image {image_id} in this workspace.")
        return {str(key): value for key, value in rows[0].items()}

    def add_images(self, images: Iterable[NewImage]) -> int:
        """Put images on record with their label and source; returns how many were not known before.

        A known image gets only the new source (which keeps what the other place called it), and its label where the
        image has none and nothing was decided about it.
        """
        rows = [{**asdict(image), "at": now()} for image in images]
        with self.transaction() as db:
            added = db.executemany(ADD_IMAGE, rows).rowcount
            _label_where_none(db, {row["id"]: row["label"] for row in reversed(rows) if row["label"]})
            db.executemany(ADD_SOURCE, rows)
        return max(added, 0)

    def sources(self, image_id: str | None = None) -> pd.DataFrame:
        """Every place an image came from (``image_id``: only of that one): image_id, provider, name (file or URL),
        page_url, licence, claimed_label, at, query, title, creator, licence_url, original_sha256, original_bytes,
        given_split.
        """
        where, values = (" WHERE image_id = ?", [image_id]) if image_id else ("", [])
        return self.frame("SELECT * FROM sources" + where + " ORDER BY rowid", values)

    def fingerprints(self) -> pd.DataFrame:
        """id, pixels (SHA-256 of the RGB pixels), phash (8 bytes) of the images that decode.

        Removed ones too: they may come back, and then have to be where their duplicates are.
        """
        return self.frame("SELECT id, pixels, phash FROM images WHERE pixels IS NOT NULL ORDER BY id")

    def miniatures(self, image_ids: Sequence[str]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """uint8 [N, 3072]: the 32 x 32 RGB miniatures of images that decode, in the order asked for."""
        query = "SELECT images.tiny FROM json_each(?) JOIN images ON images.id = value ORDER BY key"
        with self.transaction(write=False) as db:
            tiny = [row["tiny"] for row in db.execute(query, (json.dumps(list(image_ids)),))]
        return np.frombuffer(b"".join(tiny), dtype=np.uint8).reshape(len(image_ids), MINIATURE_BYTES)

    def groups(self) -> dict[str, str]:
        """id -> duplicate group of the images that have one."""
        with self.transaction(write=False) as db:
            rows = db.execute("SELECT id, duplicate_group FROM images WHERE duplicate_group IS NOT NULL")
            return {row["id"]: row["duplicate_group"] for row in rows}

    def record_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Write what verify found. Only images still 'new' change status: a person's decision is never undone."""
        with self.transaction() as db:
            db.executemany(
                "UPDATE images SET status = CASE status WHEN 'new' THEN :status ELSE status END, verdict = :verdict,"
                " reason = :reason, width = :width, height = :height, format = :format, pixels = :pixels,"
                " phash = :phash, tiny = :tiny, quality = :quality WHERE id = :id",
                [asdict(verdict) for verdict in verdicts],
            )

    def set_groups(self, groups: Mapping[str, str]) -> None:
        """Write the duplicate group of images (id -> group)."""
        with self.transaction() as db:
            db.executemany(
                "UPDATE images SET duplicate_group = ? WHERE id = ?",
                [(group, image) for image, group in groups.items()],
            )

    def set_splits(self, splits: Mapping[str, str]) -> None:
        """Write the split of images that have none (id -> split). A split that is written down never moves."""
        with self.transaction() as db:
            db.executemany(
                "UPDATE images SET split = ? WHERE id = ? AND split IS NULL",
                [(split, image) for image, split in splits.items()],
            )

    def set_given_splits(self, splits: Mapping[str, str]) -> None:
        """Write the split that the source of images asked for (id -> split), where none was asked for before."""
        with self.transaction() as db:
            db.executemany(
                "UPDATE images SET given_split = ? WHERE id = ? AND given_split IS NULL",
                [(split, image) for image, split in splits.items()],
            )

    # --- decisions ---------------------------------------------------------------------------------------------

    def decide(
        self, image_id: str, action: str, change: Callable[[State], State], expected: State | None = None
    ) -> Decision:
        """Change one image and journal it, in one transaction.

        ``expected`` is the state the person saw; if the image is in another by now, StaleDecision is raised and
        nothing changes.
        """
        with self.transaction() as db:
            before = _state(db, image_id)
            if expected is not None and before != expected:
                raise StaleDecision(
                    "This image was changed meanwhile (in another tab, or by somebody else): it is now "
                    f"{_in_words(before)}. Look again and decide anew."
                )
            return _journal(db, image_id, action, before, change(before))

    def decide_all(self, image_ids: Iterable[str], action: str, change: Callable[[State], State]) -> list[Decision]:
        """Change many images and journal each of them, all in one transaction.

        Images that ``change`` leaves as they are, are not journalled. Raises StoreError for an unknown image, and then
        nothing changes.
        """
        with self.transaction() as db:
            states = {image_id: _state(db, image_id) for image_id in image_ids}
            changed = ((image_id, before, change(before)) for image_id, before in states.items())
            return [_journal(db, image_id, action, was, now_) for image_id, was, now_ in changed if was != now_]

    def undo(self, count: int = 1) -> list[Decision]:
        """Take back the last ``count`` decisions that are not undone yet, newest first; returns them."""
        with self.transaction() as db:
            newest = "SELECT * FROM decisions WHERE undone = 0 ORDER BY id DESC LIMIT ?"
            rows = db.execute(newest, (max(count, 0),)).fetchall()  # SQLite takes a negative limit for none
            undone = [_decision(row) for row in rows]
            for decision in undone:
                _write_state(db, decision.image, decision.before)
                db.execute("UPDATE decisions SET undone = 1 WHERE id = ?", (decision.id,))
            return [Decision(d.id, d.image, d.action, d.before, d.after, d.at, undone=True) for d in undone]

    def decisions(self) -> list[Decision]:
        """The whole journal, oldest first, undone ones included."""
        with self.transaction(write=False) as db:
            return [_decision(row) for row in db.execute("SELECT * FROM decisions ORDER BY id")]

    def state(self, image_id: str) -> State:
        """What a decision could change about an image, as it is now."""
        with self.transaction(write=False) as db:
            return _state(db, image_id)

    # --- problems that a person finds to be none ----------------------------------------------------------------

    def ignore(self, kind: str, image_ids: Iterable[str]) -> None:
        """Note that these images have no problem of this ``kind``, whatever verify says."""
        at = now()
        with self.transaction() as db:
            rows = [(kind, image_id, at) for image_id in image_ids]
            db.executemany("INSERT OR IGNORE INTO ignored (kind, image_id, at) VALUES (?, ?, ?)", rows)

    def notice(self, kind: str) -> None:
        """Forget what was ignored of this ``kind``."""
        with self.transaction() as db:
            db.execute("DELETE FROM ignored WHERE kind = ?", (kind,))

    def ignored(self) -> dict[str, set[str]]:
        """kind of problem -> the images for which it is ignored."""
        found: dict[str, set[str]] = {}
        with self.transaction(write=False) as db:
            for row in db.execute("SELECT kind, image_id FROM ignored"):
                found.setdefault(row["kind"], set()).add(row["image_id"])
        return found

    # --- candidates --------------------------------------------------------------------------------------------

    def add_candidates(self, candidates: Iterable[Mapping[str, Any]]) -> int:
        """Put candidates (their columns: CANDIDATE_COLUMNS) on record; returns how many (url, label) pairs were new."""
        columns = CANDIDATE_COLUMNS
        with self.transaction() as db:
            before = db.total_changes
            db.executemany(
                f"INSERT OR IGNORE INTO candidates ({', '.join(columns)}, added_at) VALUES ({'?, ' * len(columns)}?)",
                [[*(c.get(column) for column in columns), now()] for c in candidates],
            )
            return db.total_changes - before

    def candidates(self, status: str | None = None) -> pd.DataFrame:
        """Every candidate with its status (new, stored, duplicate, failed, skipped), code, reason, sha256, and whether
        it is to be asked for ``again``.
        """
        where, values = (" WHERE status = ?", [status]) if status else ("", [])
        return self.frame("SELECT * FROM candidates" + where + " ORDER BY rowid", values)

    def record_downloads(self, results: Sequence[Mapping[str, Any]]) -> None:
        """Write how the downloads of candidates ended: url, label, status, code, reason, sha256, again of each."""
        with self.transaction() as db:
            db.executemany(
                "UPDATE candidates SET status = :status, code = :code, reason = :reason, sha256 = :sha256,"
                " again = :again WHERE url = :url AND label = :label",
                results,
            )

    # --- facts -------------------------------------------------------------------------------------------------

    def fact(self, key: str, default: Any = None) -> Any:
        """A small JSON value kept with the workspace (the seed of its splits, say)."""
        with self.transaction(write=False) as db:
            row = db.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row["value"])

    def set_fact(self, key: str, value: Any) -> None:
        """Write a small JSON value, in place of the one before."""
        with self.transaction() as db:
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, json.dumps(value)))


def _label_where_none(db: sqlite3.Connection, labels: Mapping[str, str]) -> None:
    """Give images (id -> label, several joined by "|") the label, where they have none and nothing was decided."""
    bare = [row["value"] for row in db.execute(WITHOUT_LABEL, (json.dumps(list(labels)),))]
    pairs = [(image, label) for image in bare for label in dict.fromkeys(labels[image].split("|"))]
    db.executemany("INSERT INTO labels VALUES (?, ?)", pairs)
    original = "UPDATE images SET original_label = ? WHERE id = ? AND original_label IS NULL"
    db.executemany(original, [(labels[image], image) for image in bare])


def _state(db: sqlite3.Connection, image_id: str) -> State:
    row = db.execute("SELECT status, reason FROM images WHERE id = ?", (image_id,)).fetchone()
    if row is None:
        raise StoreError(f"There is no image {image_id} in this workspace.")
    labels = db.execute("SELECT label FROM labels WHERE image_id = ? ORDER BY label", (image_id,))
    return State(tuple(r["label"] for r in labels), row["status"], row["reason"])


def _write_state(db: sqlite3.Connection, image_id: str, state: State) -> None:
    db.execute("UPDATE images SET status = ?, reason = ? WHERE id = ?", (state.status, state.reason, image_id))
    db.execute("DELETE FROM labels WHERE image_id = ?", (image_id,))
    db.executemany("INSERT INTO labels VALUES (?, ?)", [(image_id, label) for label in state.labels])


def _journal(db: sqlite3.Connection, image_id: str, action: str, before: State, after: State) -> Decision:
    """Write the new state of an image, and that it was decided."""
    _write_state(db, image_id, after)
    at = now()
    cursor = db.execute(
        "INSERT INTO decisions (image, action, before, after, at) VALUES (?, ?, ?, ?, ?)",
        (image_id, action, before.to_json(), after.to_json(), at),
    )
    return Decision(int(cursor.lastrowid or 0), image_id, action, before, after, at)


def _decision(row: sqlite3.Row) -> Decision:
    return Decision(
        row["id"],
        row["image"],
        row["action"],
        State.from_json(row["before"]),
        State.from_json(row["after"]),
        row["at"],
        bool(row["undone"]),
    )


def _in_words(state: State) -> str:
    return f"labelled {' and '.join(state.labels) or 'nothing'}, {state.status.replace('_', ' ')}"
