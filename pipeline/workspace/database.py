"""The SQLite database under the store: connections, transactions, named migrations."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import StoreError
from pipeline.machine import free_bytes

BUSY_SECONDS = 30.0
# What a transaction writes at least: its pages, and the index of the file that they wait in.
ROOM = 64 << 10

MIGRATIONS: Mapping[str, str] = {
    "0001_images_labels_sources_decisions_candidates": """
        CREATE TABLE images (
            id TEXT PRIMARY KEY, file TEXT NOT NULL, original_label TEXT,
            status TEXT NOT NULL DEFAULT 'new' CHECK (status IN ('new', 'ok', 'set_aside', 'removed')),
            verdict TEXT, reason TEXT NOT NULL DEFAULT '',
            split TEXT CHECK (split IN ('train', 'valid', 'test')), given_split TEXT,
            duplicate_group TEXT, pixels TEXT, phash BLOB, tiny BLOB,
            width INTEGER, height INTEGER, format TEXT, bytes INTEGER NOT NULL, added_at TEXT NOT NULL);
        CREATE INDEX images_status ON images (status);
        CREATE INDEX images_group ON images (duplicate_group);
        CREATE TABLE labels (
            image_id TEXT NOT NULL REFERENCES images (id), label TEXT NOT NULL,
            PRIMARY KEY (image_id, label)) WITHOUT ROWID;
        CREATE TABLE sources (
            image_id TEXT NOT NULL REFERENCES images (id), provider TEXT NOT NULL, name TEXT NOT NULL,
            page_url TEXT, licence TEXT, claimed_label TEXT, at TEXT NOT NULL,
            UNIQUE (image_id, provider, name));
        CREATE TABLE decisions (
            id INTEGER PRIMARY KEY AUTOINCREMENT, image TEXT NOT NULL REFERENCES images (id),
            action TEXT NOT NULL, before TEXT NOT NULL, after TEXT NOT NULL, at TEXT NOT NULL,
            undone INTEGER NOT NULL DEFAULT 0);
        CREATE TABLE candidates (
            url TEXT NOT NULL, label TEXT NOT NULL, provider TEXT NOT NULL, page_url TEXT, licence TEXT,
            query TEXT, title TEXT, width INTEGER, height INTEGER, added_at TEXT NOT NULL,
            status TEXT NOT NULL DEFAULT 'new', code TEXT, reason TEXT, sha256 TEXT,
            PRIMARY KEY (url, label));
        CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    """,
    "0002_provenance": """
        ALTER TABLE candidates ADD COLUMN thumbnail TEXT;
        ALTER TABLE candidates ADD COLUMN creator TEXT;
        ALTER TABLE candidates ADD COLUMN licence_url TEXT;
        ALTER TABLE candidates ADD COLUMN again INTEGER NOT NULL DEFAULT 0;
        UPDATE candidates SET again = 1
            WHERE status = 'failed' AND reason LIKE '% It is tried again at the next download.';
        ALTER TABLE sources ADD COLUMN query TEXT;
        ALTER TABLE sources ADD COLUMN title TEXT;
        ALTER TABLE sources ADD COLUMN creator TEXT;
        ALTER TABLE sources ADD COLUMN licence_url TEXT;
        ALTER TABLE sources ADD COLUMN original_sha256 TEXT;
        ALTER TABLE sources ADD COLUMN original_bytes INTEGER;
        CREATE INDEX decisions_image ON decisions (image);
        UPDATE sources SET licence = 'MIT' WHERE licence IS NULL AND provider IN ('starter', 'starter-messy')
    """,
    "0003_quality": "ALTER TABLE images ADD COLUMN quality TEXT",
    "0004_given_splits_and_ignored_problems": """
        ALTER TABLE sources ADD COLUMN given_split TEXT;
        CREATE TABLE ignored (
            kind TEXT NOT NULL, image_id TEXT NOT NULL REFERENCES images (id), at TEXT NOT NULL,
            PRIMARY KEY (kind, image_id)) WITHOUT ROWID
    """,
    "0005_batches": """
        ALTER TABLE decisions ADD COLUMN batch TEXT;
        CREATE INDEX decisions_batch ON decisions (batch) WHERE batch IS NOT NULL;
        CREATE INDEX decisions_undone ON decisions (undone) WHERE undone = 1;
        CREATE INDEX labels_label ON labels (label)
    """,
    "0006_several_claims_of_one_place": """
        CREATE TABLE sources_with_claims (
            image_id TEXT NOT NULL REFERENCES images (id), provider TEXT NOT NULL, name TEXT NOT NULL,
            page_url TEXT, licence TEXT, claimed_label TEXT, at TEXT NOT NULL, query TEXT, title TEXT, creator TEXT,
            licence_url TEXT, original_sha256 TEXT, original_bytes INTEGER, given_split TEXT);
        INSERT INTO sources_with_claims
            (rowid, image_id, provider, name, page_url, licence, claimed_label, at, query, title, creator, licence_url,
             original_sha256, original_bytes, given_split)
            SELECT rowid, image_id, provider, name, page_url, licence, claimed_label, at, query, title, creator,
                   licence_url, original_sha256, original_bytes, given_split FROM sources ORDER BY rowid;
        DROP TABLE sources;
        ALTER TABLE sources_with_claims RENAME TO sources;
        CREATE UNIQUE INDEX sources_place ON sources (image_id, provider, name, coalesce(claimed_label, ''))
    """,
    "0007_scenes_and_series": """
        ALTER TABLE images ADD COLUMN scene TEXT;
        ALTER TABLE images ADD COLUMN series TEXT
    """,
    "0008_taken": """
        ALTER TABLE images ADD COLUMN taken TEXT;
        ALTER TABLE images ADD COLUMN camera TEXT
    """,
    "0009_sheets": """
        CREATE TABLE sheets (
            id TEXT PRIMARY KEY, images TEXT NOT NULL, suggested TEXT, at TEXT NOT NULL,
            label TEXT, decision INTEGER)
    """,
    "0010_redo": """
        CREATE TABLE turns (number INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, last INTEGER NOT NULL);
        ALTER TABLE decisions ADD COLUMN turn INTEGER;
        CREATE INDEX decisions_turn ON decisions (turn) WHERE turn IS NOT NULL
    """,
}


@dataclass(frozen=True)
class Database:
    """One SQLite ``file`` in WAL mode; processes and threads may share it. Raises StoreError where SQLite refuses.

    Where the disk is full or may not be written to, it can still be read; what an earlier version wrote is read from a
    copy then, which is brought up to date.
    """

    file: Path

    @contextmanager
    def transaction(self, write: bool = True) -> Iterator[sqlite3.Connection]:
        """A connection with a transaction: whole at the end of the block, or not at all."""
        with ExitStack() as until_closed:
            connection = self._opened(until_closed, write)
            try:
                if not write and _missing(connection):
                    connection = until_closed.enter_context(self._as_it_lies(up_to_date=True))
                yield connection
                connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._refused(error) from error

    def _opened(self, until_closed: ExitStack, write: bool) -> sqlite3.Connection:
        """A connection with a transaction, to the tables as they are."""
        try:
            return until_closed.enter_context(closing(self._begun(write)))
        except sqlite3.Error as error:
            if write or not _disk_refuses(error):
                raise self._refused(error) from error
            return until_closed.enter_context(self._as_it_lies())

    def _begun(self, write: bool) -> sqlite3.Connection:
        """A connection with a transaction; closed, it is rolled back where it was not committed."""
        connection = sqlite3.connect(self.file, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            if write or not _uses_wal(connection):
                _use_wal(connection)
            connection.executescript("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # now, or it may refuse later
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _as_it_lies(self, up_to_date: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection that reads the file without writing beside it, as SQLite does to share it. What was committed
        and has not reached it yet is in a file of its own, and both are read from a copy then; so is a store whose
        tables are to be brought ``up_to_date``.
        """
        with ExitStack() as until_closed:
            file, waiting = self.file, self.file.with_name(f"{self.file.name}-wal")
            options = "immutable=1"
            try:
                left = waiting.exists() and waiting.stat().st_size
                if left or up_to_date:
                    folder = Path(until_closed.enter_context(tempfile.TemporaryDirectory(prefix="winnow-store-")))
                    for source in (self.file, waiting) if left else (self.file,):
                        shutil.copyfile(source, folder / source.name)
                    file, options = folder / self.file.name, "mode=rw"
                connection = sqlite3.connect(f"{file.as_uri()}?{options}", uri=True, isolation_level=None)
                until_closed.enter_context(closing(connection))
                connection.row_factory = sqlite3.Row
                connection.execute("BEGIN")
                if up_to_date:
                    _migrate(connection)
            except (sqlite3.Error, OSError) as error:
                raise StoreError(f"The store {self.file} cannot be read: {error}.") from error
            yield connection

    def _refused(self, error: sqlite3.Error) -> StoreError:
        """In words: what SQLite refused, and where it is the disk's trouble, how much is free and what still works."""
        if not _disk_refuses(error):
            return StoreError(f"The store {self.file} refused: {error}.")
        free = free_bytes(self.file)
        room = "" if free is None else f" {free:,} bytes are free there, and about {ROOM:,} are needed."
        return StoreError(
            f"The store {self.file} cannot be written: {error}.{room} Nothing was changed. Free some space, or see "
            "that you may write there; until then all can be looked at, reviewed, and exported to another folder."
        )

    def migrate(self) -> None:
        """Bring the tables up to date; each named migration runs once, in order, all in one transaction."""
        done: set[str] = set()
        if self.file.is_file():
            with ExitStack() as until_closed:
                try:
                    done = _done(self._opened(until_closed, write=False))
                except sqlite3.Error as error:
                    raise self._refused(error) from error
        if done == MIGRATIONS.keys():
            return
        if unknown := done - MIGRATIONS.keys():
            raise StoreError(f"{self.file} was written by a newer Winnow ({min(unknown)}). Update Winnow to open it.")
        try:
            with self.transaction() as db:
                _migrate(db)
        except StoreError as error:
            if not (done and isinstance(error.__cause__, sqlite3.Error) and _disk_refuses(error.__cause__)):
                raise  # else it is read from a copy

    def frame(self, query: str, values: Sequence[Any] = ()) -> pd.DataFrame:
        """The rows of a query."""
        with self.transaction(write=False) as db:
            cursor = db.execute(query, values)
            columns = [column[0] for column in cursor.description]
            return pd.DataFrame([tuple(row) for row in cursor], columns=columns, dtype=object)


def _done(db: sqlite3.Connection) -> set[str]:
    """The migrations that a store has been through."""
    if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migrations'").fetchone():
        return set()
    return {str(row["name"]) for row in db.execute("SELECT name FROM migrations")}


def _missing(db: sqlite3.Connection) -> bool:
    """Whether the tables are those of an earlier version."""
    done = _done(db)
    return bool(done) and not MIGRATIONS.keys() <= done


def _migrate(db: sqlite3.Connection) -> None:
    """Do what is missing, in the transaction that has begun."""
    db.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, at TEXT NOT NULL)")
    done = _done(db)
    for name, script in MIGRATIONS.items():
        if name not in done:
            for statement in script.split(";"):
                db.execute(statement)
            db.execute("INSERT INTO migrations VALUES (?, ?)", (name, now()))


def now() -> str:
    """The time in UTC, to the microsecond, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _disk_refuses(error: sqlite3.Error) -> bool:
    """Whether it is the disk that takes nothing, and not the store that is wrong."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)


def _uses_wal(db: sqlite3.Connection) -> bool:
    return str(db.execute("PRAGMA journal_mode").fetchone()[0]).lower() == "wal"


def _use_wal(db: sqlite3.Connection) -> None:
    """Several processes read while one writes. SQLite itself does not wait when two ask for this at once."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
