"""The SQLite database under the store: connections, transactions, named migrations."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.errors import StoreError
from pipeline.migrations import MIGRATIONS

BUSY_SECONDS = 30.0


class Database:
    """One SQLite file in WAL mode; processes and threads may share it. Raises StoreError where SQLite refuses."""

    def __init__(self, database: Path) -> None:
        self.database = database

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = sqlite3.connect(self.database, timeout=BUSY_SECONDS, isolation_level=None)
        except sqlite3.Error as error:
            raise StoreError(f"The store {self.database} cannot be opened: {error}.") from error
        try:
            connection.row_factory = sqlite3.Row
            yield connection
        except sqlite3.Error as error:
            raise StoreError(f"The store {self.database} refused: {error}.") from error
        finally:
            connection.close()  # an open transaction is rolled back

    @contextmanager
    def transaction(self, write: bool = True) -> Iterator[sqlite3.Connection]:
        """A transaction: whole at the end of the block, or not at all."""
        with self._connection() as connection:
            connection.executescript("PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
            connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
            yield connection
            connection.execute("COMMIT")

    def migrate(self) -> None:
        """Bring the tables up to date; each named migration runs once, in order, all in one transaction."""
        with self._connection() as db:
            _use_wal(db)
        with self.transaction() as db:
            db.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, at TEXT NOT NULL)")
            done = {row["name"] for row in db.execute("SELECT name FROM migrations")}
            if unknown := done - MIGRATIONS.keys():
                raise StoreError(
                    f"{self.database} was written by a newer Winnow ({min(unknown)}). Update Winnow to open it."
                )
            for name, script in MIGRATIONS.items():
                if name not in done:
                    for statement in script.split(";"):
                        db.execute(statement)
                    db.execute("INSERT INTO migrations VALUES (?, ?)", (name, now()))

    def frame(self, query: str, values: Sequence[Any] = ()) -> pd.DataFrame:
        """The rows of a query."""
        with self.transaction(write=False) as db:
            cursor = db.execute(query, values)
            columns = [column[0] for column in cursor.description]
            return pd.DataFrame([tuple(row) for row in cursor], columns=columns, dtype=object)


def now() -> str:
    """The time in UTC, to the microsecond, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


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
