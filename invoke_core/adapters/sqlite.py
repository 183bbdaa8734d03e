"""The embedded store: one SQLite file on this machine."""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from contextlib import suppress
from itertools import repeat
from queue import Empty, LifoQueue
from threading import Lock
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from invoke_core.adapters.changes import check_changes
from invoke_core.errors import EntityConflictError, InvokeError, StoreUnavailableError
from invoke_core.ports import Entity, Insert, Put, Remove, Replace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from invoke_core.ports import Change

SCHEMA: Final = 1
"""The layout this module writes, kept in the file; a file with a higher one is refused."""

_SETTING: Final = "InvokeStorage"
_LOCK_TIMEOUT_S: Final = 5.0
_BUSY: Final = "Busy"
_READERS: Final = 8
_MOST_GROUPED: Final = 64
"""Writes within one commit; a commit of so many small ones takes some milliseconds."""

_LONGEST_LOG_BYTES: Final = 16 * 1024 * 1024
"""Longest write-ahead log that is left to SQLite, which begins it anew at 4 MB if nobody reads."""

_EMPTYING_LIMIT_S: Final = 1.0

# With rows in the key's own tree (WITHOUT ROWID), values of 1 KiB took three times the space and
# the time to read: such a tree keeps less than a quarter of a page of a row beside its key.
_TABLE: Final = """
CREATE TABLE entities (
    partition_key TEXT NOT NULL,
    row_key TEXT NOT NULL,
    etag TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (partition_key, row_key)
)
"""
# A random ETag never comes back, not even for a row that was removed and made again.
_INSERT: Final = """
INSERT INTO entities VALUES (:partition, :row, lower(hex(randomblob(8))), :value)
ON CONFLICT DO NOTHING RETURNING etag
"""
_PUT: Final = """
INSERT INTO entities VALUES (:partition, :row, lower(hex(randomblob(8))), :value)
ON CONFLICT DO UPDATE SET etag = excluded.etag, value = excluded.value RETURNING etag
"""
_REPLACE: Final = """
UPDATE entities SET etag = lower(hex(randomblob(8))), value = :value
WHERE partition_key = :partition AND row_key = :row AND etag = :etag RETURNING etag
"""
_STATEMENTS: Final = {Insert: _INSERT, Put: _PUT, Replace: _REPLACE}
_ETAG: Final = "SELECT etag FROM entities WHERE partition_key = :partition AND row_key = :row"
_REMOVE: Final = "DELETE FROM entities WHERE partition_key = :partition AND row_key = :row"
_GET: Final = """
SELECT row_key, value, etag FROM entities WHERE partition_key = ? AND row_key = ?
"""
_READ: Final = """
SELECT row_key, value, etag FROM entities
WHERE partition_key = ? AND row_key >= ? AND row_key < ? ORDER BY row_key LIMIT ?
"""
_ROW_KEYS: Final = "SELECT row_key FROM entities WHERE partition_key = ? ORDER BY row_key LIMIT ?"
_SCAN: Final = """
SELECT partition_key, row_key, value, etag FROM entities
WHERE (partition_key, row_key) > (?, ?) AND partition_key < ?
ORDER BY partition_key, row_key LIMIT ?
"""


class SqliteStore:
    """The store in a file; any number of threads and processes of one machine may share it.

    Writes of many threads that come at once share one commit, and so one wait for the disk; each
    is still applied as a whole or not at all. A write that was answered is on the disk.
    """

    def __init__(self, path: Path) -> None:
        """Name the file; it and its folder are made when first used."""
        self._path = path
        self._readers: LifoQueue[sqlite3.Connection | None] = LifoQueue()
        for _ in range(_READERS):
            self._readers.put(None)
        self._writer: sqlite3.Connection | None = None
        self._log_limit_bytes = _LONGEST_LOG_BYTES
        self._opening = Lock()
        self._writing = Lock()
        self._waiting: deque[_Write] = deque()

    def get(self, partition_key: str, row_key: str) -> Entity | None:
        """Return one row; see the port."""
        rows = self._rows(_GET, partition_key, row_key)
        return Entity(*rows[0]) if rows else None

    def read(
        self, partition_key: str, *, first: str, before: str, most: int | None = None
    ) -> list[Entity]:
        """Return the rows of a partition in a range of row keys; see the port."""
        limit = -1 if most is None else most
        rows = self._rows(_READ, partition_key, first, before, limit)
        return [Entity(row_key, value, etag) for row_key, value, etag in rows]

    def row_keys(self, partition_key: str, *, most: int) -> list[str]:
        """Return the first row keys of a partition; see the port."""
        return [row_key for (row_key,) in self._rows(_ROW_KEYS, partition_key, most)]

    def scan(
        self,
        *,
        first_partition: str,
        before_partition: str,
        after: tuple[str, str] | None = None,
        most: int,
    ) -> list[tuple[str, Entity]]:
        """Return rows of neighbouring partitions; see the port."""
        # No key is empty, so every row of a partition comes after the empty one.
        start = max(after or ("", ""), (first_partition, ""))
        rows = self._rows(_SCAN, *start, before_partition, most)
        return [
            (partition_key, Entity(row_key, value, etag))
            for partition_key, row_key, value, etag in rows
        ]

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        """Apply changes to rows of one partition; see the port."""
        check_changes(changes)
        write = _Write(partition_key, changes)
        self._waiting.append(write)
        # Whoever gets the lock commits for all who wait; most find their write done by then.
        if not self._writing.acquire(timeout=_LOCK_TIMEOUT_S):
            write.outcome = StoreUnavailableError(_SETTING, _BUSY)
            raise write.outcome
        try:
            while write.outcome is None:
                self._commit(self._next_group())
            self._empty_log()
        finally:
            self._writing.release()
        if isinstance(write.outcome, InvokeError):
            raise write.outcome
        return write.outcome

    def check(self) -> None:
        """See that the file can be written; see the port."""
        if not self._writing.acquire(timeout=_LOCK_TIMEOUT_S):
            raise StoreUnavailableError(_SETTING, _BUSY)
        try:
            # A file that went away since it was opened would not be noticed.
            self._drop_writer()
            # No row has an empty key: what a write needs is asked for, and nothing is changed.
            self._commit([_Write("", [Remove("")])])
        finally:
            self._writing.release()

    def close(self) -> None:
        """Close the file, once nobody uses it; the next use opens it again."""
        with self._writing:
            self._drop_writer()
        for _ in range(_READERS):
            reader = self._readers.get()
            if reader is not None:
                reader.close()
        for _ in range(_READERS):
            self._readers.put(None)

    __del__ = close

    def _rows(self, statement: str, *values: str | int) -> list[Any]:
        try:
            reader = self._readers.get(timeout=_LOCK_TIMEOUT_S)
        except Empty:
            raise StoreUnavailableError(_SETTING, _BUSY) from None
        try:
            reader = reader or self._open()
            return reader.execute(statement, values).fetchall()
        except (OSError, sqlite3.Error) as error:
            # Opened anew next time: the file may have been put right by then.
            if reader is not None:
                reader.close()
                reader = None
            raise _unavailable(error) from error
        finally:
            self._readers.put(reader)

    def _next_group(self) -> list[_Write]:
        """Return what waits, oldest first; only the holder of the lock takes from it."""
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_GROUPED))]
        return [write for write in group if write.outcome is None]

    def _commit(self, group: list[_Write]) -> None:
        """Apply writes in one transaction, each as a whole or not at all.

        Raises:
            StoreUnavailableError: None of them took place; each has it as its outcome.
        """
        outcomes: list[list[str] | EntityConflictError] | None = None
        failure = StoreUnavailableError(_SETTING, "Interrupted")
        try:
            writer = self._writer = self._writer or self._open()
            writer.execute("BEGIN IMMEDIATE")
            applied = [_apply(writer, write) for write in group]
            writer.execute("COMMIT")
            outcomes = applied
        except (OSError, sqlite3.Error, StoreUnavailableError) as error:
            failure = _unavailable(error)
            raise failure from None
        finally:
            if outcomes is None:
                self._drop_writer()
            # Nobody waits for ever, whatever went wrong.
            for write, outcome in zip(group, outcomes or repeat(failure), strict=False):
                write.outcome = outcome

    def _empty_log(self) -> None:
        """Empty the write-ahead log where it has become long.

        SQLite by itself begins it anew only when a write finds nobody reading, and readers of
        several processes that overlap would let it grow for as long as they come. Here they are
        waited for: who comes meanwhile reads past the log.
        """
        with suppress(OSError, sqlite3.Error):
            if self._writer is None:
                return
            length = os.stat(f"{self._path}-wal").st_size  # noqa: PTH116  # with each write: faster
            if length <= self._log_limit_bytes:
                return
            timeout = "PRAGMA busy_timeout = {:.0f}"
            self._writer.execute(timeout.format(_EMPTYING_LIMIT_S * 1000)).fetchall()
            try:
                [row] = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self._writer.execute(timeout.format(_LOCK_TIMEOUT_S * 1000)).fetchall()
            # A reader that stays does not hold up every write.
            self._log_limit_bytes = _LONGEST_LOG_BYTES + (length if row[0] else 0)

    def _drop_writer(self) -> None:
        if self._writer is not None:
            # This rolls back what was begun.
            self._writer.close()
            self._writer = None

    def _open(self) -> sqlite3.Connection:
        with self._opening:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # SQLite gives the files beside it the mode of this one. A file that is there is not
            # opened here: closing it would drop the locks this process has on it.
            with suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            connection = sqlite3.connect(
                self._path, timeout=_LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare(connection)
            except BaseException:
                connection.close()
                raise
            return connection


class _Write:
    """A write that waits for its commit."""

    __slots__ = ("changes", "outcome", "partition_key")

    def __init__(self, partition_key: str, changes: Sequence[Change]) -> None:
        self.partition_key = partition_key
        self.changes = changes
        self.outcome: list[str] | InvokeError | None = None


def _apply(writer: sqlite3.Connection, write: _Write) -> list[str] | EntityConflictError:
    """Make one write part of the transaction, or leave nothing of it there."""
    if len(write.changes) == 1:
        # One change is made as a whole or not at all by itself.
        etag = _change(writer, write.partition_key, write.changes[0])
        return EntityConflictError() if etag is None else [etag]
    writer.execute("SAVEPOINT one_write")
    etags = []
    for change in write.changes:
        etag = _change(writer, write.partition_key, change)
        if etag is None:
            writer.execute("ROLLBACK TO one_write")
            return EntityConflictError()
        etags.append(etag)
    writer.execute("RELEASE one_write")
    return etags


def _change(writer: sqlite3.Connection, partition_key: str, change: Change) -> str | None:
    """Apply one change; return the row's ETag, or None where the row is in another state."""
    values = {"partition": partition_key, "row": change.row_key}
    if isinstance(change, Remove):
        found = writer.execute(_ETAG, values).fetchall() if change.etag else []
        if any(etag != change.etag for (etag,) in found):
            return None
        writer.execute(_REMOVE, values)
        return ""
    if isinstance(change, Replace):
        values["etag"] = change.etag
    statement = _STATEMENTS[type(change)]
    # All of them are fetched: a statement that is not at its end keeps a commit from happening.
    rows: list[tuple[str]] = writer.execute(statement, values | {"value": change.value}).fetchall()
    return rows[0][0] if rows else None


def _prepare(connection: sqlite3.Connection) -> None:
    """Set a new connection up, and make the table where the file is new."""
    connection.execute("PRAGMA synchronous = FULL")
    if _schema(connection) > SCHEMA:
        raise StoreUnavailableError(_SETTING, "a newer release of this service made its file")
    _write_ahead(connection)
    if _schema(connection) == SCHEMA:
        return
    connection.execute("BEGIN IMMEDIATE")
    # Another process may have made the table since.
    if _schema(connection) == 0:
        if connection.execute("SELECT 1 FROM sqlite_schema").fetchall():
            raise StoreUnavailableError(_SETTING, "its file is the database of another program")
        connection.execute(_TABLE)
        connection.execute(f"PRAGMA user_version = {SCHEMA}")
    connection.execute("COMMIT")


def _schema(connection: sqlite3.Connection) -> int:
    rows: list[tuple[int]] = connection.execute("PRAGMA user_version").fetchall()
    return rows[0][0]


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work side by side.

    The first to open a new file changes it for all. SQLite does not wait where two processes try
    at once, so this does.
    """
    give_up_at = monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() > give_up_at:
                raise
            sleep(0.01)
        else:
            return


def _unavailable(error: OSError | sqlite3.Error | StoreUnavailableError) -> StoreUnavailableError:
    if isinstance(error, StoreUnavailableError):
        return error
    # SQLite's own name of a failure tells more than the class, and nothing of the content.
    return StoreUnavailableError(_SETTING, getattr(error, "sqlite_errorname", type(error).__name__))
