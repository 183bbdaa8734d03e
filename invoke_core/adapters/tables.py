"""The store in Azure Table Storage, or in its emulator."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from invoke_core.adapters.changes import check_changes
from invoke_core.adapters.opening import OpenedOnce
from invoke_core.adapters.storage_answers import CALL_LIMIT_S, Reason, Refusal
from invoke_core.adapters.table_answers import PAGE_ROWS
from invoke_core.errors import EntityConflictError, StoreUnavailableError
from invoke_core.ports import LONGEST_VALUE_BYTES, Entity, Remove

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azure.core.credentials import TokenCredential

    from invoke_core.adapters.table_requests import TableRequests
    from invoke_core.model import StorageAccount
    from invoke_core.ports import Change, NewId

SCHEMA: Final = 1
"""The layout of rows this module writes, kept in each; a row with a higher one is not read."""

TABLE: Final = "invocations"

_PROPERTY_BYTES: Final = 64 * 1024
"""Longest binary property (Azure Tables)."""

_VALUES: Final = tuple(f"value{n}" for n in range(-(-LONGEST_VALUE_BYTES // _PROPERTY_BYTES)))
"""The properties that hold the pieces of a value, in order."""

_OVERWRITTEN: Final = "W/\"datetime'1601-01-01T00%3A00%3A00.0000000Z'\""
"""The ETag of a state that no row is in any more."""

_IN_PARTITION: Final = "PartitionKey eq @partition"
_RANGE: Final = f"{_IN_PARTITION} and RowKey ge @first and RowKey lt @before"
_POINT: Final = f"{_IN_PARTITION} and RowKey eq @row"


class TablesStore:
    """The store in one table of a storage account; any number of processes may share it."""

    def __init__(
        self,
        account: StorageAccount,
        *,
        threads: int,
        new_id: NewId,
        table: str = TABLE,
        credential: TokenCredential | None = None,
        ca_file: str | None = None,
        call_limit_s: float = CALL_LIMIT_S,
    ) -> None:
        """Name the table; it is made by the first write that misses it.

        Args:
            account: The storage account.
            threads: How many threads use this store at once.
            new_id: Names writes, so that one whose answer was lost is known again.
            table: The table's name.
            credential: Takes the place of the account's identity.
            ca_file: Certificates to trust instead of the usual ones.
            call_limit_s: Seconds after which a call has failed, its repetitions included.
        """
        self._account = account
        self._threads = threads
        self._new_id = new_id
        self._table = table
        self._credential = credential
        self._ca_file = ca_file
        self._call_limit_s = call_limit_s
        self._requests = OpenedOnce(self._open)

    def get(self, partition_key: str, row_key: str) -> Entity | None:
        """Return one row; see the port."""
        row = self._requests.get().row(partition_key, row_key)
        return None if isinstance(row, Refusal) else self._entity(row)

    def read(
        self, partition_key: str, *, first: str, before: str, most: int | None = None
    ) -> list[Entity]:
        """Return the rows of a partition in a range of row keys; see the port."""
        values = {"partition": partition_key, "first": first, "before": before}
        return [self._entity(row) for row in self._rows(_RANGE, values, most=most)]

    def row_keys(self, partition_key: str, *, most: int) -> list[str]:
        """Return the first row keys of a partition; see the port."""
        rows = self._rows(
            _IN_PARTITION, {"partition": partition_key}, most=most, select=("RowKey",)
        )
        return [row["RowKey"] for row in rows]

    def scan(
        self,
        *,
        first_partition: str,
        before_partition: str,
        after: tuple[str, str] | None = None,
        most: int,
    ) -> list[tuple[str, Entity]]:
        """Return rows of neighbouring partitions; see the port.

        A condition with ``or`` would have the service go through the whole table: what is left of
        one partition and the partitions after it are asked for one after the other.
        """
        rows: list[Any] = []
        lower = "PartitionKey ge @first"
        values = {"first": first_partition, "before": before_partition}
        if after is not None and after[0] >= first_partition:
            lower, values["first"] = "PartitionKey gt @first", after[0]
            if after[0] < before_partition:
                rows += self._rows(
                    f"{_IN_PARTITION} and RowKey gt @row",
                    {"partition": after[0], "row": after[1]},
                    most=most,
                )
        condition = f"{lower} and PartitionKey lt @before"
        rows += self._rows(condition, values, most=most - len(rows))
        return [(row["PartitionKey"], self._entity(row)) for row in rows]

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        """Apply changes to rows of one partition; see the port."""
        check_changes(changes)
        give_up_at = monotonic() + self._call_limit_s
        operation = self._new_id()
        todo = list(changes)
        while todo:
            outcome = self._requests.get().apply(
                [(change, _row(partition_key, change, operation)) for change in todo],
                give_up_at=give_up_at,
            )
            if not isinstance(outcome, Refusal):
                etags = dict(zip([change.row_key for change in todo], outcome, strict=True))
                return [etags.get(change.row_key, "") for change in changes]
            if outcome.was_repeated:
                written = self._written(partition_key, changes, operation)
                if written is not None:
                    return written
            if outcome.reason is not Reason.NO_ROW:
                raise EntityConflictError
            # A transaction also fails on the removal of a row that is gone already.
            left = self._without_gone(partition_key, todo)
            if len(left) == len(todo):
                raise EntityConflictError
            todo = left
        return ["" for _ in changes]

    def check(self) -> None:
        """See that the table answers, and make it where it is missing; see the port."""
        requests = self._requests.get()
        values = {"partition": "check", "row": "check"}
        if isinstance(requests.page(_POINT, values, most=1, select=("RowKey",)), Refusal):
            requests.make_table()

    def close(self) -> None:
        """Close the connections, once nobody uses them; the next use opens others."""
        self._requests.close()

    def _open(self) -> TableRequests:
        # Imported here: whoever only makes the store does not pay for it.
        from invoke_core.adapters.table_requests import TableRequests  # noqa: PLC0415

        return TableRequests(
            self._account,
            table=self._table,
            threads=self._threads,
            credential=self._credential,
            ca_file=self._ca_file,
            call_limit_s=self._call_limit_s,
        )

    def _rows(
        self,
        condition: str,
        values: Mapping[str, str],
        *,
        most: int | None,
        select: Sequence[str] | None = None,
    ) -> list[Any]:
        """Return rows page by page, and no page that is not needed."""
        rows: list[Any] = []
        token = None
        while most is None or len(rows) < most:
            page = self._requests.get().page(
                condition,
                values,
                most=PAGE_ROWS if most is None else most - len(rows),
                select=select,
                token=token,
            )
            # There are no rows where there is no table yet.
            if isinstance(page, Refusal):
                break
            rows += page.rows
            token = page.token
            if token is None:
                break
        return rows

    def _entity(self, row: Any) -> Entity:  # noqa: ANN401  # the library's own entity
        if row["schema"] > SCHEMA:
            raise StoreUnavailableError(
                self._account.setting, "a newer release of this service wrote a row"
            )
        pieces = [row[name] for name in _VALUES if name in row]
        return Entity(row["RowKey"], b"".join(pieces), row.metadata["etag"])

    def _written(
        self, partition_key: str, changes: Sequence[Change], operation: str
    ) -> list[str] | None:
        """Return the ETags of a write whose answer was lost, or None where it did not take place.

        One row that bears its name proves it for all. A row that does not bear it was changed
        since, so it is given an ETag under which no later write succeeds.
        """
        etags = []
        found = False
        for change in changes:
            values = {"partition": partition_key, "row": change.row_key}
            rows = (
                []
                if isinstance(change, Remove)
                else self._rows(_POINT, values, most=1, select=("RowKey", "operation"))
            )
            ours = [row.metadata["etag"] for row in rows if row["operation"] == operation]
            found = found or bool(ours)
            etags.append("" if isinstance(change, Remove) else (*ours, _OVERWRITTEN)[0])
        return etags if found else None

    def _without_gone(self, partition_key: str, changes: list[Change]) -> list[Change]:
        """Return the changes without removals of rows that are not there."""
        removed = [change.row_key for change in changes if isinstance(change, Remove)]
        if not removed:
            return changes
        condition = f"{_IN_PARTITION} and RowKey ge @first and RowKey le @last"
        values = {"partition": partition_key, "first": min(removed), "last": max(removed)}
        rows = self._rows(condition, values, most=None, select=("RowKey",))
        there = {row["RowKey"] for row in rows}
        return [
            change
            for change in changes
            if not isinstance(change, Remove) or change.row_key in there
        ]


def _row(partition_key: str, change: Change, operation: str) -> dict[str, object]:
    """Return the properties of a row as they are stored."""
    row: dict[str, object] = {"PartitionKey": partition_key, "RowKey": change.row_key}
    if not isinstance(change, Remove):
        row |= {"schema": SCHEMA, "operation": operation}
        starts = range(0, len(change.value), _PROPERTY_BYTES)
        for name, start in zip(_VALUES, starts, strict=False):
            row[name] = change.value[start : start + _PROPERTY_BYTES]
    return row
