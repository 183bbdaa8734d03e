"""The embedded store: one SQLite file on this machine."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from invoke_core.errors import StoreUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

_LOCK_TIMEOUT_S: Final = 5.0


class SqliteStore:
    """The store in a file; any number of processes of one machine may share it."""

    def __init__(self, path: Path) -> None:
        """Name the file; it is made when first used."""
        self._path = path

    def check(self) -> None:
        """See that the file can be opened and written; see the port."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(self._path, timeout=_LOCK_TIMEOUT_S)) as database:
                # Takes the lock a writer needs, reads the header, and changes nothing.
                database.execute("BEGIN IMMEDIATE")
                database.execute("PRAGMA schema_version").fetchone()
                database.rollback()
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailableError("InvokeStorage", type(error).__name__) from error
