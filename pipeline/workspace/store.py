"""The SQLite store: images, labels, sources and candidates, beside the journal of decisions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline.workspace.database import Database, now
from pipeline.workspace.ids import image_named, short_ids
from pipeline.workspace.journal import Journal
from pipeline.workspace.records import NOT_SAME, NewImage, Verdict

SPLITS = ("train", "valid", "test")
STATUSES = ("new", "ok", "set_aside", "removed")
MINIATURE_BYTES = 32 * 32 * 3

IMAGES_QUERY = """
    SELECT i.id, i.file, (SELECT group_concat(label, '|') FROM labels WHERE image_id = i.id) AS label,
           i.original_label, i.split, i.duplicate_group AS "group", i.status, i.verdict, i.reason,
           i.width, i.height, i.format, i.bytes, i.added_at, i.given_split, i.quality,
           i.scene, i.series, s.provider AS source_provider, s.name AS source_name, s.page_url AS source_page,
           s.licence AS source_licence
    FROM images i LEFT JOIN sources s
      ON s.rowid = (SELECT min(rowid) FROM sources WHERE image_id = i.id)
"""

# Of an image that has one: no hash of 8 bytes, no miniature, no digest. Verify makes it anew.
DAMAGED_FINGERPRINT = (
    "(typeof(phash) != 'blob' OR length(phash) != 8 OR typeof(tiny) != 'blob'"
    f" OR length(tiny) != {MINIATURE_BYTES} OR typeof(pixels) != 'text' OR length(pixels) != 64"
    " OR typeof(width) != 'integer' OR typeof(height) != 'integer')"
)
ADD_IMAGE = """
    INSERT OR IGNORE INTO images (id, file, original_label, given_split, bytes, added_at, scene)
    VALUES (:id, :file, :label, :split, :bytes, :at, :scene)
"""
WITHOUT_LABEL = """
    SELECT value FROM json_each(?)
    WHERE value NOT IN (SELECT image_id FROM labels WHERE image_id = value)
      AND value NOT IN (SELECT image FROM decisions WHERE image = value AND undone = 0)
"""
ADD_SOURCE = """
    INSERT OR IGNORE INTO sources (image_id, provider, name, page_url, licence, claimed_label, at, query, title,
                                   creator, licence_url, original_sha256, original_bytes, given_split)
    SELECT :id, :provider, :name, :page_url, :licence, :label, :at, :query, :title,
           :creator, :licence_url, :original_sha256, :original_bytes, :split
    WHERE NOT EXISTS (SELECT 1 FROM sources WHERE image_id = :id AND provider = :provider AND name = :name
                      AND (:label IS NULL OR claimed_label IS NOT NULL) AND at < :since)
"""
CANDIDATE_COLUMNS = (
    "url",
    "label",
    "provider",
    "page_url",
    "licence",
    "query",
    "title",
    "width",
    "height",
    "thumbnail",
    "creator",
    "licence_url",
)


@dataclass(frozen=True)
class Store:
    """One row per image, and the ``journal`` of what was decided about them, in one ``database``.

    Every method is one transaction; processes and threads may share it.
    """

    database: Database
    journal: Journal

    # --- images ------------------------------------------------------------------------------------------------

    def images(self, status: str | None = None) -> pd.DataFrame:
        """One row per image, oldest first: id, file, label, original_label, split, group, status, verdict, reason,
        width, height, format, bytes, added_at, given_split, quality (JSON), scene (what it was taken together with),
        series (of alike pictures) and the first source (source_provider, _name, _page, _licence). ``status`` keeps only
        one of new, ok, set_aside, removed.
        """
        query, values = (IMAGES_QUERY + " WHERE i.status = ?", [status]) if status else (IMAGES_QUERY, [])
        return self.database.frame(query + " ORDER BY i.rowid", values)

    def unchecked(self) -> list[tuple[str, str]]:
        """(id, file) of the images that verify has to look at, oldest first: new ones, and those that an earlier
        version checked without measuring them, without reading when they were taken, or without the values that PNG,
        TIFF and HEIF may have beyond 8 bits; and those whose measures or fingerprints are none.
        """
        waiting = (
            "SELECT id, file FROM images WHERE status = 'new' OR (status = 'ok' AND (CASE"
            " WHEN quality IS NULL OR taken IS NULL OR NOT json_valid(quality) THEN 1"
            " WHEN format IN ('PNG', 'TIFF', 'HEIF') THEN json_type(quality, '$.values') IS NULL ELSE 0 END"
            f" OR (pixels IS NOT NULL AND {DAMAGED_FINGERPRINT})))"
        )
        with self.database.transaction(write=False) as db:
            return [(row["id"], row["file"]) for row in db.execute(waiting + " ORDER BY rowid")]

    def deep(self) -> list[tuple[str, str, dict[str, Any]]]:
        """(id, file, scores) of the images in use that have more than 8 bits, oldest first."""
        deep = (
            "SELECT id, file, quality FROM images WHERE status = 'ok' AND"
            " CASE WHEN json_valid(quality) THEN json_type(quality, '$.values') = 'object' ELSE 0 END"
            " ORDER BY rowid"
        )
        with self.database.transaction(write=False) as db:
            return [(row["id"], row["file"], json.loads(row["quality"])) for row in db.execute(deep)]

    def records(self, status: str | None = None) -> list[dict[str, Any]]:
        """The images as plain values: as in :meth:`images`, but ``quality`` is a mapping (its scores, where measured),
        ``source`` holds provider, name, page and licence of the first source, and ``by`` is "model" where the label is
        the model's and nobody looked at it (else None).
        """
        rows, model = [], self.journal.by_model()
        for row in self.images(status).to_dict("records"):
            source = {name: row.pop(f"source_{name}") for name in ("provider", "name", "page", "licence")}
            scores = json.loads(row["quality"]) if row["quality"] else None
            rows.append({**{str(key): value for key, value in row.items()}, "quality": scores, "source": source})
            rows[-1]["by"] = "model" if row["id"] in model else None
        return rows

    def image(self, image_id: str) -> Mapping[str, Any]:
        """The row of one image, by its id or how that begins. Raises StoreError where there is none, or several."""
        with self.database.transaction(write=False) as db:
            known = image_named(db, image_id)
        [row] = self.database.frame(IMAGES_QUERY + " WHERE i.id = ?", [known]).to_dict("records")
        return {str(key): value for key, value in row.items()}

    def short_ids(self, image_ids: Iterable[str]) -> Mapping[str, str]:
        """id -> how it begins, with at least 8 characters, as no other image of this workspace does."""
        with self.database.transaction(write=False) as db:
            return short_ids(db, image_ids)

    def images_of(self, image_ids: Iterable[str]) -> pd.DataFrame:
        """The rows of some images, in the order asked for; unknown ones are left out. Columns as in :meth:`images`."""
        return self.database.frame(
            IMAGES_QUERY.replace("FROM images i", "FROM json_each(?) JOIN images i ON i.id = value") + " ORDER BY key",
            [json.dumps(list(image_ids))],
        )

    def class_counts(self) -> dict[str, int]:
        """class -> how many usable pictures it has: neither removed nor set aside; in alphabetical order. A picture
        with several labels counts in each.
        """
        return {name: sum(numbers.values()) for name, numbers in self.split_counts().items()}

    def split_counts(self) -> dict[str, dict[str, int]]:
        """class -> {split: how many usable pictures it has there}, for the splits that have any ("": none yet); counted
        like :meth:`class_counts`.
        """
        query = (
            "SELECT label, coalesce(split, '') AS split, count(*) AS n FROM labels JOIN images ON images.id = image_id"
            " WHERE status IN ('ok', 'new') GROUP BY label, split ORDER BY label"
        )
        found: dict[str, dict[str, int]] = {}
        with self.database.transaction(write=False) as db:
            for row in db.execute(query):
                found.setdefault(row["label"], {})[row["split"]] = row["n"]
        return found

    def labels(self) -> dict[str, str]:
        """id -> label (several joined by ``|``) of every image that has one and is not removed."""
        query = (
            "SELECT image_id, group_concat(label, '|') AS label FROM labels"
            " WHERE image_id NOT IN (SELECT id FROM images WHERE status = 'removed') GROUP BY image_id"
        )
        with self.database.transaction(write=False) as db:
            return {row["image_id"]: row["label"] for row in db.execute(query)}

    def add_images(self, images: Iterable[NewImage], since: str | None = None) -> int:
        """Put images on record with their label and source; returns how many were not known before.

        A known image gets only the new source (which keeps what the other place called it), and its label where the
        image has none and nothing was decided about it. A place that calls an image by several labels is kept with each
        of them, if they all come after ``since`` (a time as of :func:`now`; None: in this call); what it called the
        image before stays as it is.
        """
        since = since or now()
        rows = [{**asdict(image), "at": now(), "since": since} for image in images]
        with self.database.transaction() as db:
            added = db.executemany(ADD_IMAGE, rows).rowcount
            _label_where_none(db, {row["id"]: row["label"] for row in reversed(rows) if row["label"]})
            db.executemany(ADD_SOURCE, rows)
            scenes = [(row["scene"], row["id"]) for row in rows if row["scene"]]
            db.executemany("UPDATE images SET scene = ? WHERE id = ? AND scene IS NULL", scenes)
        return max(added, 0)

    def sources(self, image_id: str | None = None) -> pd.DataFrame:
        """Every place an image came from (``image_id``: only of that one): image_id, provider, name (file or URL),
        page_url, licence, claimed_label, at, query, title, creator, licence_url, original_sha256, original_bytes,
        given_split.
        """
        where, values = (" WHERE image_id = ?", [image_id]) if image_id else ("", [])
        return self.database.frame("SELECT * FROM sources" + where + " ORDER BY rowid", values)

    def fingerprints(self) -> pd.DataFrame:
        """id, pixels (SHA-256 of the RGB pixels), phash (8 bytes), and width, height, verdict, bytes, added_at, which
        tell the best copy, of the images that decode.

        Removed ones too: they may come back, and then have to be where their duplicates are.
        """
        columns = "id, pixels, phash, width, height, verdict, bytes, added_at"
        sound = f"pixels IS NOT NULL AND NOT {DAMAGED_FINGERPRINT}"
        return self.database.frame(f"SELECT {columns} FROM images WHERE {sound} ORDER BY id")

    def miniatures(self, image_ids: Sequence[str]) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """uint8 [N, 3072]: the 32 x 32 RGB miniatures of images that decode, in the order asked for."""
        query = "SELECT images.tiny FROM json_each(?) JOIN images ON images.id = value ORDER BY key"
        with self.database.transaction(write=False) as db:
            tiny = [row["tiny"] for row in db.execute(query, (json.dumps(list(image_ids)),))]
        return np.frombuffer(b"".join(tiny), dtype=np.uint8).reshape(len(image_ids), MINIATURE_BYTES)

    def taken(self) -> pd.DataFrame:
        """id, taken (ISO 8601, by the camera's clock) and camera ("" where it does not say) of the images whose files
        say when they were taken, by id. It is for the workspace alone.
        """
        return self.database.frame("SELECT id, taken, camera FROM images WHERE taken != '' ORDER BY id")

    def set_scenes(self, scenes: Mapping[str, str]) -> None:
        """Write what images were taken together with (id -> scene), where nothing was said of that before."""
        with self.database.transaction() as db:
            rows = [(scene, image) for image, scene in scenes.items()]
            db.executemany("UPDATE images SET scene = ? WHERE id = ? AND scene IS NULL", rows)

    def groups(self) -> dict[str, str]:
        """id -> duplicate group of the images that have one."""
        with self.database.transaction(write=False) as db:
            rows = db.execute("SELECT id, duplicate_group FROM images WHERE duplicate_group IS NOT NULL")
            return {row["id"]: row["duplicate_group"] for row in rows}

    def record_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        """Write what verify found. Only images still 'new' change status: a person's decision is never undone."""
        with self.database.transaction() as db:
            db.executemany(
                "UPDATE images SET status = CASE status WHEN 'new' THEN :status ELSE status END, verdict = :verdict,"
                " reason = :reason, width = :width, height = :height, format = :format, pixels = :pixels,"
                " phash = :phash, tiny = :tiny, quality = :quality, taken = :taken, camera = :camera WHERE id = :id",
                [asdict(verdict) for verdict in verdicts],
            )

    def record_lost(self, verdicts: Sequence[Verdict]) -> None:
        """Set images aside that were fine, and whose files are no longer what they were; fingerprints stay."""
        with self.database.transaction() as db:
            db.executemany(
                "UPDATE images SET status = :status, verdict = :verdict, reason = :reason"
                " WHERE id = :id AND status = 'ok'",
                [asdict(verdict) for verdict in verdicts],
            )

    def set_groups(self, groups: Mapping[str, str]) -> None:
        """Write the duplicate group of images (id -> group)."""
        with self.database.transaction() as db:
            db.executemany(
                "UPDATE images SET duplicate_group = ? WHERE id = ?",
                [(group, image) for image, group in groups.items()],
            )

    def set_series(self, series: Mapping[str, str]) -> None:
        """Write which images make up a series (id -> its name), in place of all there were."""
        with self.database.transaction() as db:
            db.execute("UPDATE images SET series = NULL WHERE series IS NOT NULL")
            rows = [(name, image) for image, name in series.items()]
            db.executemany("UPDATE images SET series = ? WHERE id = ?", rows)

    def not_same(self) -> list[set[str]]:
        """Sets of images that a person said are not the same picture, as far as that was not taken back."""
        query = "SELECT image, coalesce(batch, id) AS said FROM decisions WHERE action = ? AND undone = 0"
        found: dict[str, set[str]] = {}
        with self.database.transaction(write=False) as db:
            for row in db.execute(query, (NOT_SAME,)):
                found.setdefault(str(row["said"]), set()).add(row["image"])
        return list(found.values())

    def set_splits(self, splits: Mapping[str, str]) -> None:
        """Write the split of images that have none (id -> split). A split that is written down never moves."""
        with self.database.transaction() as db:
            db.executemany(
                "UPDATE images SET split = ? WHERE id = ? AND split IS NULL",
                [(split, image) for image, split in splits.items()],
            )

    def set_given_splits(self, splits: Mapping[str, str]) -> None:
        """Write the split that the source of images asked for (id -> split), where none was asked for before."""
        with self.database.transaction() as db:
            db.executemany(
                "UPDATE images SET given_split = ? WHERE id = ? AND given_split IS NULL",
                [(split, image) for image, split in splits.items()],
            )

    # --- problems that a person finds to be none ----------------------------------------------------------------

    def ignore(self, kind: str, image_ids: Iterable[str]) -> None:
        """Note that these images have no problem of this ``kind``, whatever verify says."""
        at = now()
        with self.database.transaction() as db:
            rows = [(kind, image_id, at) for image_id in image_ids]
            db.executemany("INSERT OR IGNORE INTO ignored (kind, image_id, at) VALUES (?, ?, ?)", rows)

    def notice(self, kind: str) -> None:
        """Forget what was ignored of this ``kind``."""
        with self.database.transaction() as db:
            db.execute("DELETE FROM ignored WHERE kind = ?", (kind,))

    def ignored(self) -> dict[str, set[str]]:
        """kind of problem -> the images for which it is ignored."""
        found: dict[str, set[str]] = {}
        with self.database.transaction(write=False) as db:
            for row in db.execute("SELECT kind, image_id FROM ignored"):
                found.setdefault(row["kind"], set()).add(row["image_id"])
        return found

    # --- candidates --------------------------------------------------------------------------------------------

    def add_candidates(self, candidates: Iterable[Mapping[str, Any]]) -> int:
        """Put candidates (their columns: CANDIDATE_COLUMNS) on record; returns how many (url, label) pairs were new."""
        columns = CANDIDATE_COLUMNS
        with self.database.transaction() as db:
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
        return self.database.frame("SELECT * FROM candidates" + where + " ORDER BY rowid", values)

    def record_downloads(self, results: Sequence[Mapping[str, Any]]) -> None:
        """Write how the downloads of candidates ended: url, label, status, code, reason, sha256, again of each."""
        with self.database.transaction() as db:
            db.executemany(
                "UPDATE candidates SET status = :status, code = :code, reason = :reason, sha256 = :sha256,"
                " again = :again WHERE url = :url AND label = :label",
                results,
            )

    # --- facts -------------------------------------------------------------------------------------------------

    def fact(self, key: str, default: Any = None) -> Any:
        """A small JSON value kept with the workspace (the seed of its splits, say)."""
        with self.database.transaction(write=False) as db:
            row = db.execute("SELECT value FROM facts WHERE key = ?", (key,)).fetchone()
        return default if row is None else json.loads(row["value"])

    def set_fact(self, key: str, value: Any) -> None:
        """Write a small JSON value, in place of the one before."""
        with self.database.transaction() as db:
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (key, json.dumps(value)))

    def add_to_fact(self, key: str, item: Any) -> None:
        """Put a small JSON value at the end of a fact that is a list (empty, where there is none)."""
        longer = (
            "INSERT INTO facts VALUES (?, json_array(json(?)))"
            " ON CONFLICT (key) DO UPDATE SET value = json_insert(value, '$[#]', json(?))"
        )
        with self.database.transaction() as db:
            db.execute(longer, (key, json.dumps(item), json.dumps(item)))


def _label_where_none(db: sqlite3.Connection, labels: Mapping[str, str]) -> None:
    """Give images (id -> label, several joined by "|") the label, where they have none and nothing was decided."""
    bare = [row["value"] for row in db.execute(WITHOUT_LABEL, (json.dumps(list(labels)),))]
    pairs = [(image, label) for image in bare for label in dict.fromkeys(labels[image].split("|"))]
    db.executemany("INSERT INTO labels VALUES (?, ?)", pairs)
    original = "UPDATE images SET original_label = ? WHERE id = ? AND original_label IS NULL"
    db.executemany(original, [(labels[image], image) for image in bare])
