"""The embedded store: one SQLite file on this machine."""

from __future__ import annotations

import os
import secrets  # noqa: TID251  # ETags are the store's own, as Azure's are
import sqlite3
from contextlib import suppress
from itertools import repeat
from queue import Empty, LifoQueue
from threading import Lock
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from invoke_core.adapters.changes import check_changes
from invoke_core.adapters.grouping import Grouping
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
INSERT INTO entities (partition_key, row_key, etag, value) VALUES (?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
_PUT: Final = """
INSERT INTO entities (partition_key, row_key, etag, value) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET etag = excluded.etag, value = excluded.value
"""
_REPLACE: Final = """
UPDATE entities SET etag = ?, value = ? WHERE partition_key = ? AND row_key = ? AND etag = ?
"""
_REMOVE: Final = "DELETE FROM entities WHERE partition_key = ? AND row_key = ?"
_REMOVE_IF: Final = f"{_REMOVE} AND etag = ?"
_IS_THERE: Final = "SELECT 1 FROM entities WHERE partition_key = ? AND row_key = ?"
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
        self._commits = Grouping[_Write](most=_MOST_GROUPED)

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
        return self.write_in_order([(partition_key, changes)])[0]

    def write_in_order(self, writes: Sequence[tuple[str, Sequence[Change]]]) -> list[list[str]]:
        """Apply several writes, here all of them or none; see the port."""
        for _, changes in writes:
            check_changes(changes)
        write = _Write(writes)
        try:
            self._commits.run(write, self._commit_in_turn, timeout_s=_LOCK_TIMEOUT_S)
        except TimeoutError:
            raise StoreUnavailableError(_SETTING, _BUSY) from None
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
            probe = _Write([("", [Remove("")])])
            self._commit([probe])
        finally:
            self._writing.release()
        if isinstance(probe.outcome, InvokeError):
            raise probe.outcome

    def close(self) -> None:
        """Close the file, once nobody uses it; the next use opens it again."""
        # One closes at a time: two that each held some of the readers would wait for the others.
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

    def _commit_in_turn(self, group: Sequence[_Write]) -> None:
        if not self._writing.acquire(timeout=_LOCK_TIMEOUT_S):
            # Each stays with the outcome it began with: busy.
            return
        try:
            self._commit(group)
            self._empty_log()
        finally:
            self._writing.release()

    def _commit(self, group: Sequence[_Write]) -> None:
        """Apply writes in one transaction, each as a whole or not at all, and settle them."""
        outcomes: list[_Outcome] | None = None
        failed: OSError | sqlite3.Error | StoreUnavailableError | None = None
        try:
            writer = self._writer = self._writer or self._open()
            writer.execute("BEGIN IMMEDIATE")
            applied = _applied(writer, group)
            writer.execute("COMMIT")
            outcomes = applied
        except (OSError, sqlite3.Error, StoreUnavailableError) as error:
            failed = error
        finally:
            if outcomes is None:
                self._drop_writer()
            # Nobody is left without an outcome, whatever went wrong.
            for write, outcome in zip(group, outcomes or repeat(None), strict=False):
                write.outcome = outcome or _unavailable(failed)

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


_Outcome = list[list[str]] | InvokeError


class _Write:
    """A write that waits for its commit.

    Attributes:
        parts: Partition keys and the changes to rows of each.
        outcome: The rows' new ETags, by part, or why it did not take place.
    """

    __slots__ = ("outcome", "parts")

    def __init__(self, parts: Sequence[tuple[str, Sequence[Change]]]) -> None:
        self.parts = parts
        self.outcome: _Outcome = StoreUnavailableError(_SETTING, _BUSY)


def _applied(writer: sqlite3.Connection, group: Sequence[_Write]) -> list[_Outcome]:
    """Make writes part of the transaction that has begun; return what came of each."""
    together = _applied_together(writer, group)
    if together is not None:
        return together
    # One of them is refused; which one shows when each is tried.
    writer.execute("ROLLBACK")
    writer.execute("BEGIN IMMEDIATE")
    return [_applied_alone(writer, write) for write in group]


def _applied_together(writer: sqlite3.Connection, group: Sequence[_Write]) -> list[_Outcome] | None:
    """Apply all changes of a kind at once; None where some are refused, or one row comes twice.

    Each statement of its own lets go of the interpreter several times, and waits for it as often
    while other threads have work: in a crowd that takes longer than the work.
    """
    rows: dict[str, list[tuple[str | bytes, ...]]] = {}
    keys = set()
    parts = [part for write in group for part in write.parts]
    etags = iter(_new_etags(sum(len(changes) for _, changes in parts)))
    given: list[list[str]] = []
    for partition_key, changes in parts:
        given.append([])
        for change in changes:
            keys.add((partition_key, change.row_key))
            statement, values, etag = _statement(partition_key, change, next(etags))
            rows.setdefault(statement, []).append(values)
            given[-1].append(etag)
    of_parts = iter(given)
    outcomes: list[_Outcome] = [[next(of_parts) for _ in write.parts] for write in group]
    if len(keys) < sum(map(len, rows.values())):
        return None
    for statement, all_values in rows.items():
        count = writer.executemany(statement, all_values).rowcount
        # What was to be removed may be gone already.
        if count < len(all_values) and statement is not _REMOVE:
            return None
    return outcomes


def _applied_alone(writer: sqlite3.Connection, write: _Write) -> _Outcome:
    """Make one write part of the transaction, or leave nothing of it there."""
    writer.execute("SAVEPOINT one_write")
    given: list[list[str]] = []
    for partition_key, changes in write.parts:
        given.append([])
        for change, new in zip(changes, _new_etags(len(changes)), strict=True):
            statement, values, etag = _statement(partition_key, change, new)
            is_applied = writer.execute(statement, values).rowcount > 0
            if not is_applied and not _may_be_missing(writer, partition_key, change):
                writer.execute("ROLLBACK TO one_write")
                return EntityConflictError()
            given[-1].append(etag)
    writer.execute("RELEASE one_write")
    return given


def _statement(
    partition_key: str, change: Change, etag: str
) -> tuple[str, tuple[str | bytes, ...], str]:
    """Return what applies a change, its values, and the ETag the row has after it."""
    keys = (partition_key, change.row_key)
    match change:
        case Insert():
            return _INSERT, (*keys, etag, change.value), etag
        case Put():
            return _PUT, (*keys, etag, change.value), etag
        case Replace():
            return _REPLACE, (etag, change.value, *keys, change.etag), etag
        case Remove(etag=""):
            return _REMOVE, keys, ""
        case Remove():
            return _REMOVE_IF, (*keys, change.etag), ""


def _may_be_missing(writer: sqlite3.Connection, partition_key: str, change: Change) -> bool:
    """Tell whether a change that changed nothing was to remove a row that is not there."""
    if not isinstance(change, Remove):
        return False
    return not writer.execute(_IS_THERE, (partition_key, change.row_key)).fetchall()


def _new_etags(count: int) -> list[str]:
    digits = secrets.token_hex(8 * count)
    return [digits[start : start + 16] for start in range(0, len(digits), 16)]


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


def _unavailable(error: Exception | None) -> StoreUnavailableError:
    """Return an error of its own for each who gets it."""
    if isinstance(error, StoreUnavailableError):
        return StoreUnavailableError(error.setting, error.cause)
    if error is None:
        return StoreUnavailableError(_SETTING, "Interrupted")
    # SQLite's own name of a failure tells more than the class, and nothing of the content.
    return StoreUnavailableError(_SETTING, getattr(error, "sqlite_errorname", type(error).__name__))
