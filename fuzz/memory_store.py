"""An entity store in memory, so that each input begins with an empty one."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from invoke_core.adapters.changes import check_changes
from invoke_core.errors import EntityConflictError
from invoke_core.ports import Entity, Insert, Remove, Replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke_core.ports import Change


class MemoryStore:
    """Rows by partition and row key."""

    def __init__(self) -> None:
        """Begin with none."""
        self.rows: dict[tuple[str, str], Entity] = {}
        self._etags = count()

    def get(self, partition_key: str, row_key: str) -> Entity | None:
        """Return one row."""
        return self.rows.get((partition_key, row_key))

    def read(
        self, partition_key: str, *, first: str, before: str, most: int | None = None
    ) -> list[Entity]:
        """Return rows of a partition."""
        keys = sorted(k for k in self.rows if k[0] == partition_key and first <= k[1] < before)
        return [self.rows[key] for key in keys][:most]

    def row_keys(self, partition_key: str, *, most: int) -> list[str]:
        """Return row keys of a partition."""
        return sorted(key for partition, key in self.rows if partition == partition_key)[:most]

    def scan(
        self,
        *,
        first_partition: str,
        before_partition: str,
        after: tuple[str, str] | None = None,
        most: int,
    ) -> list[tuple[str, Entity]]:
        """Return rows of neighbouring partitions."""
        keys = sorted(k for k in self.rows if first_partition <= k[0] < before_partition)
        return [(k[0], self.rows[k]) for k in keys if after is None or k > after][:most]

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        """Apply changes, all or none."""
        check_changes(changes)
        for change in changes:
            found = self.get(partition_key, change.row_key)
            wanted = change.etag if isinstance(change, (Replace, Remove)) else ""
            if (
                (isinstance(change, Insert) and found)
                or (isinstance(change, Replace) and (found is None or found.etag != wanted))
                or (isinstance(change, Remove) and found and wanted not in {"", found.etag})
            ):
                raise EntityConflictError
        etags = []
        for change in changes:
            key = partition_key, change.row_key
            if isinstance(change, Remove):
                self.rows.pop(key, None)
                etags.append("")
            else:
                etags.append(f"e{next(self._etags)}")
                self.rows[key] = Entity(change.row_key, change.value, etags[-1])
        return etags

    def check(self) -> None:
        """Find nothing wrong."""
