"""Where records live: rows, their keys, and the order in which they are written.

The table of write paths in ``docs/architecture.md`` names each step, what a crash after it leaves
and what the next reader does about it. Everything is a conditional write on one partition; index
rows in other partitions are written first when an invocation begins and last when it ends, and
``listing`` repairs them when it reads them.

Source: design, "State".
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from invoke_core.documents import without_lone_surrogates
from invoke_core.encoding import (
    decode,
    decode_record,
    encode,
    encode_record,
    optional_time_form,
    read_time,
    time_form,
    whole_number,
)
from invoke_core.errors import EntityConflictError, StoreUnavailableError
from invoke_core.model import State
from invoke_core.ports import (
    LONGEST_VALUE_BYTES,
    MOST_CHANGES,
    Insert,
    Put,
    Remove,
    Replace,
    write_in_order,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from invoke_core.model import Invocation
    from invoke_core.ports import Change, Entity, EntityStore, NewId
    from invoke_core.records import Record

    _Write = tuple[str, Sequence[Change]]

_PLAN: Final = "a.plan"
RECORD_ROWS: Final = "b"
"""Row keys of timeline records begin so; a record's GUID follows after a dot."""

LOG_ROWS: Final = "d"
"""Row keys of logs begin so; a log's number follows after a dot."""

_STEP: Final = "s.step"
_ENTRY: Final = "c"
_PART: Final = "x"
_ONLY: Final = "row"

_LONGEST_RECORD_BYTES: Final = 32 * 1024
"""A longer record is kept in parts: the row with it is replaced by every line of the log."""

_PARTS_MARK: Final = b'{"parts":'
_ENTRIES_AT_ONCE: Final = 100
_LATEST_MS: Final = 10**13 - 1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a plan's partition counts; every append is a conditional write of it.

    Attributes:
        entries: Log entries so far; the arrival number of the last one.
        entry_bytes: Bytes of their texts.
        changes: Changes of the timeline so far; the ``changeId`` of the last one.
        logs: Logs created so far; the id of the last one.
        variables: Variables the external service has set.
    """

    entries: int = 0
    entry_bytes: int = 0
    changes: int = 0
    logs: int = 0
    variables: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A record and head as they were read, with what a conditional write needs.

    Attributes:
        record: The record.
        head: The counts.
        stored: The record as it stands in the row, or the names of its parts.
        etag: Of the row that holds both.
    """

    record: Record
    head: Head
    stored: bytes = field(repr=False)
    etag: str = field(repr=False)

    @property
    def plan_id(self) -> str:
        """The partition."""
        return self.record.invocation.id


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """Text that arrived at a plan.

    Attributes:
        text: Lines, as they came but for secrets.
        log_id: The log it is a page of; None for feed lines and our own.
        number: Its place in the order of arrival, from 1; 0 while it has none.
    """

    text: str = field(repr=False)
    log_id: int | None = None
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a listing shows of an invocation, as its index row has it.

    Attributes:
        partition_key: Where the index row is; with ``row_key``, the place to go on after.
        row_key: Likewise.
        form: The members of the contract (section 5).
    """

    partition_key: str
    row_key: str
    form: dict[str, Any]

    @property
    def created_at(self) -> datetime:
        """When the invocation was created."""
        return read_time(self.form["createdAt"])

    @property
    def is_open(self) -> bool:
        """Whether the row shows the invocation as not ended, so that the record is asked."""
        return bool(self.form["state"] != State.COMPLETED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An idempotency row.

    Attributes:
        partition_key: Hash of caller, connection and key.
        plan_id: The invocation it stands for, which may not be there (any more).
        etag: For taking it over; empty where it was just written.
    """

    partition_key: str
    plan_id: str
    etag: str = ""


class Journal:
    """Writes records down and finds them again."""

    def __init__(self, store: EntityStore, *, new_id: NewId) -> None:
        """Keep the store; nothing is read yet.

        Args:
            store: The rows.
            new_id: Names the parts of long values.
        """
        self._store = store
        self._new_id = new_id

    def add(self, record: Record, entries: Sequence[LogEntry], *, step: bytes = b"") -> Loaded:
        """Write down a new invocation, waiting, running or ended.

        Args:
            record: The record.
            entries: What its log begins with.
            step: The step at rest, kept until the end; empty where it is not needed again.

        Returns:
            What a later write needs.

        Raises:
            EntityConflictError: There is an invocation of this id.
            StoreUnavailableError: It may or may not be stored.
        """
        plan_id = record.invocation.id
        # A row never tells more than is stored: that it ended, it tells after its record does.
        begun = replace(record.invocation, state=State.IN_PROGRESS, result=None, finished_at=None)
        summary = _summary_row(begun)
        indexes = ["list"] if record.is_final else ["list", "open"]
        writes: list[_Write] = [
            (_partition(index, record.invocation), [summary]) for index in indexes
        ]
        head = _grown(Head(), entries)
        stored = self._stored(plan_id, record, first=writes)
        changes: list[Change] = [
            Insert(_PLAN, _encode_plan(head, stored)),
            *self._entry_rows(plan_id, 0, entries, first=writes),
        ]
        if step:
            changes.append(Put(_STEP, self._spilled(plan_id, step, first=writes)))
        *_, etags = write_in_order(self._store, [*writes, (plan_id, changes)])
        return Loaded(record=record, head=head, stored=stored, etag=etags[0])

    def load(self, plan_id: str) -> Loaded | None:
        """Return an invocation by its id, or None where there is none.

        Raises:
            StoreUnavailableError: The store did not answer.
        """
        row = self._store.get(plan_id, _PLAN)
        if row is None:
            return None
        head, stored = _decode_plan(row.value)
        return Loaded(
            record=decode_record(self._whole(plan_id, stored)),
            head=head,
            stored=stored,
            etag=row.etag,
        )

    def save(self, loaded: Loaded, record: Record, entries: Sequence[LogEntry]) -> Loaded:
        """Replace a record, unless somebody else has written to its plan since.

        Args:
            loaded: As it was read.
            record: What it is to be.
            entries: What its log gains.

        Returns:
            What a later write needs.

        Raises:
            EntityConflictError: Somebody else was first; read again.
            StoreUnavailableError: It may or may not be stored.
        """
        ends = record.is_final and not loaded.record.is_final
        stored = self._stored(loaded.plan_id, record)
        saved = self._commit(
            replace(loaded, record=record, stored=stored),
            loaded.head,
            entries,
            [Remove(_STEP)] if ends and record.work else [],
        )
        if ends:
            self.close_index(record)
        return saved

    def step(self, plan_id: str) -> bytes:
        """Return the step at rest of an invocation that has not ended; empty without one."""
        row = self._store.get(plan_id, _STEP)
        return b"" if row is None else self._whole(plan_id, row.value)

    def append(
        self,
        loaded: Loaded,
        *,
        head: Head,
        entries: Sequence[LogEntry] = (),
        rows: Sequence[tuple[str, dict[str, Any]]] = (),
    ) -> Loaded:
        """Add to a plan, unless somebody else has written to it since.

        All of it becomes visible at once, unless there are more rows than one write takes; then
        the earlier rows are visible first.

        Args:
            loaded: As it was read.
            head: The counts as they are to be; entries are counted here.
            entries: What the log gains.
            rows: Rows by key, of timeline records and logs; written whether there or not.

        Returns:
            What a later write needs.

        Raises:
            EntityConflictError: Somebody else was first; read again.
            StoreUnavailableError: It may or may not be stored.
        """
        puts = [Put(key, self._spilled(loaded.plan_id, encode(row))) for key, row in rows]
        return self._commit(loaded, head, entries, puts)

    def rows(self, plan_id: str, first: str, before: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the rows of a plan in a range of keys, decoded."""
        return [
            (row.row_key, decode(self._whole(plan_id, row.value)))
            for row in self._store.read(plan_id, first=first, before=before)
        ]

    def entries(self, plan_id: str, *, after: int = 0) -> Iterator[LogEntry]:
        """Yield the log entries of a plan in order of arrival.

        Args:
            plan_id: The plan.
            after: The number after which to go on.
        """
        while True:
            found = self._store.read(
                plan_id, first=_entry_key(after + 1), before="d", most=_ENTRIES_AT_ONCE
            )
            for row in found:
                after = int(row.row_key.rpartition(".")[2])
                form = decode(self._whole(plan_id, row.value))
                log = form["log"]
                yield LogEntry(
                    text=form["text"],
                    log_id=None if log is None else whole_number(log),
                    number=after,
                )
            if len(found) < _ENTRIES_AT_ONCE:
                return

    def variables(self, plan_id: str) -> dict[str, str]:
        """Return the variables an external service set on any record.

        Secret ones are not among them: their values are not kept.
        """
        variables: dict[str, tuple[str, str]] = {}
        for _, row in self.rows(plan_id, RECORD_ROWS, f"{RECORD_ROWS}/"):
            for name, given in (row["record"].get("variables") or {}).items():
                if not given.get("isSecret"):
                    variables[name.lower()] = (name, given.get("value") or "")
        return dict(variables.values())

    def claim(self, wanted: Claim) -> Claim:
        """Claim an idempotency key, or return the claim there is.

        Args:
            wanted: The claim; its etag is that of the claim it takes over, if any.

        Returns:
            ``wanted`` where the key was free, or was taken over; else the claim that stands.

        Raises:
            EntityConflictError: The claim to be taken over has changed; read again.
            StoreUnavailableError: The store did not answer.
        """
        value = encode({"planId": wanted.plan_id})
        if wanted.etag:
            self._store.write(wanted.partition_key, [Replace(_ONLY, value, wanted.etag)])
            return wanted
        try:
            self._store.write(wanted.partition_key, [Insert(_ONLY, value)])
        except EntityConflictError:
            standing = self._standing_claim(wanted.partition_key)
            if standing is None:
                raise
            return standing
        return wanted

    def page(self, *, open_only: bool, after: tuple[str, str] | None, most: int) -> list[Summary]:
        """Return index rows, newest invocation first.

        Args:
            open_only: Whether only those that have not ended are wanted.
            after: Partition and row key after which to go on.
            most: How many at most.
        """
        index = "open" if open_only else "list"
        return self._summaries(index, first=f"{index}-", after=after, most=most)

    def close_index(self, record: Record) -> None:
        """Let the indexes show an invocation as ended.

        A failure is only logged: the listing asks the record of whatever its index shows as open.
        """
        invocation = record.invocation
        row = _summary_row(invocation)
        try:
            self._store.write(_partition("list", invocation), [row])
            self._store.write(_partition("open", invocation), [Remove(row.row_key)])
        except StoreUnavailableError as error:
            _log.warning("invocation %s: its index rows are late: %s", invocation.id, error.message)

    def drop(self, summary: Summary) -> None:
        """Remove an index row behind which there is no invocation."""
        self._store.write(summary.partition_key, [Remove(summary.row_key)])

    def old(
        self, *, open_only: bool, created_before: datetime, after: tuple[str, str] | None
    ) -> list[Summary]:
        """Return index rows of invocations created before a day, in pages.

        Args:
            open_only: Whether only those that have not ended are wanted.
            created_before: Only whole days before this instant's day.
            after: Partition and row key after which to go on.
        """
        index = "open" if open_only else "list"
        day = created_before.astimezone(UTC).date() - timedelta(days=1)
        first = f"{index}-{_reversed_day(day)}"
        return self._summaries(index, first=first, after=after, most=_ENTRIES_AT_ONCE)

    def withdraw(self, record: Record) -> bool:
        """Remove an invocation that was added and never run, if it is there as it was added.

        Args:
            record: As it was to be added.

        Returns:
            Whether it is gone, or stays as somebody has changed it; not where it stays because
            another call was told of it.

        Raises:
            EntityConflictError: Somebody has written to it.
            StoreUnavailableError: The store did not answer.
        """
        loaded = self.load(record.invocation.id)
        if loaded is None or replace(loaded.record, is_replayed=False) != record:
            return True
        if loaded.record.is_replayed:
            return False
        # In one write: rows left behind would keep another invocation of this id from beginning,
        # and one that has begun right after must not lose any of its own.
        numbers = range(1, loaded.head.entries + 1)
        step = self._store.get(loaded.plan_id, _STEP)
        parts = _parts_of(loaded.stored) + ([] if step is None else _parts_of(step.value))
        self._store.write(
            loaded.plan_id,
            [
                Remove(_PLAN, loaded.etag),
                Remove(_STEP),
                *(Remove(_entry_key(number)) for number in numbers),
            ],
        )
        # Parts that nobody's row names yet are another's, who is about to begin.
        for start in range(0, len(parts), MOST_CHANGES):
            batch = parts[start : start + MOST_CHANGES]
            self._store.write(loaded.plan_id, [Remove(key) for key in batch])
        return True

    def forget(self, summary: Summary, claim: str) -> None:
        """Remove an invocation whole; its index row goes last, so that a second try finds it.

        Args:
            summary: Its index row.
            claim: Partition key of its idempotency row; empty where it has none.
        """
        plan_id = str(summary.form["id"])
        standing = self._standing_claim(claim) if claim else None
        if standing is not None and standing.plan_id == plan_id:
            # The key may stand for a later invocation by now.
            with suppress(EntityConflictError):
                self._store.write(claim, [Remove(_ONLY, standing.etag)])
        self._remove_partition(plan_id)
        self.drop(summary)

    def _remove_partition(self, plan_id: str) -> None:
        while keys := self._store.row_keys(plan_id, most=MOST_CHANGES):
            self._store.write(plan_id, [Remove(key) for key in keys])

    def _summaries(
        self, index: str, *, first: str, after: tuple[str, str] | None, most: int
    ) -> list[Summary]:
        rows = self._store.scan(
            first_partition=first, before_partition=f"{index}.", after=after, most=most
        )
        return [_summary(partition_key, row) for partition_key, row in rows]

    def _commit(
        self,
        loaded: Loaded,
        head: Head,
        entries: Sequence[LogEntry],
        rows: Sequence[Change],
    ) -> Loaded:
        """Write rows and entries under the condition that nobody else wrote to the plan."""
        plan_id = loaded.plan_id
        changes: list[Change] = [*rows]
        changes += self._entry_rows(plan_id, loaded.head.entries, entries)
        etag = loaded.etag
        # What the caller counts holds from the first batch on; entries only once they are there.
        state = replace(head, entries=loaded.head.entries, entry_bytes=loaded.head.entry_bytes)
        final = _grown(head, entries)
        for batch in _batches(changes):
            # A head never counts fewer entries than there are, or the next one would not fit.
            inserted = sum(isinstance(change, Insert) for change in batch)
            state = replace(state, entries=state.entries + inserted)
            if not changes or batch[-1] is changes[-1]:
                state = final
            plan = Replace(_PLAN, _encode_plan(state, loaded.stored), etag)
            etag = self._store.write(plan_id, [plan, *batch])[0]
        return replace(loaded, head=final, etag=etag)

    def _entry_rows(
        self,
        plan_id: str,
        last: int,
        entries: Sequence[LogEntry],
        *,
        first: list[_Write] | None = None,
    ) -> list[Insert]:
        return [
            Insert(
                _entry_key(number),
                self._spilled(
                    plan_id, encode({"text": entry.text, "log": entry.log_id}), first=first
                ),
            )
            for number, entry in enumerate(entries, last + 1)
        ]

    def _stored(self, plan_id: str, record: Record, *, first: list[_Write] | None = None) -> bytes:
        return self._spilled(
            plan_id, encode_record(record), most_bytes=_LONGEST_RECORD_BYTES, first=first
        )

    def _spilled(
        self,
        plan_id: str,
        value: bytes,
        *,
        most_bytes: int = LONGEST_VALUE_BYTES,
        first: list[_Write] | None = None,
    ) -> bytes:
        """Return a value short enough for a row: itself, or the names of its parts.

        Parts are written before the row that names them, under names of their own, and stay
        until the partition goes: a reader sees either none of a value or all of it.

        Args:
            plan_id: The plan.
            value: The value.
            most_bytes: How long a value may be in its row.
            first: What is written before the row, to which the parts are added; None where they
                are to be written at once.
        """
        if len(value) <= most_bytes:
            return value
        name = self._new_id()
        keys = []
        for number, start in enumerate(range(0, len(value), LONGEST_VALUE_BYTES)):
            key = _part_key(f"{_PART}.{name}", number)
            part = Insert(key, value[start : start + LONGEST_VALUE_BYTES])
            if first is None:
                self._store.write(plan_id, [part])
            else:
                first.append((plan_id, [part]))
            keys.append(key)
        return _PARTS_MARK + json.dumps([keys[0], len(keys)]).encode() + b"}"

    def _whole(self, plan_id: str, value: bytes) -> bytes:
        if not value.startswith(_PARTS_MARK):
            return value
        keys = _parts_of(value)
        name = keys[0].rpartition(".")[0]
        rows = self._store.read(plan_id, first=keys[0], before=f"{name}/")
        if len(rows) != len(keys):
            # The partition is being removed; who wants the value reads again, and finds nothing.
            raise EntityConflictError
        return b"".join(row.value for row in rows)

    def _standing_claim(self, partition_key: str) -> Claim | None:
        row = self._store.get(partition_key, _ONLY)
        if row is None:
            return None
        plan_id = decode(row.value)["planId"]
        return Claim(partition_key=partition_key, plan_id=plan_id, etag=row.etag)


def _part_key(name: str, number: int) -> str:
    return f"{name}.{number:04}"


def _parts_of(value: bytes) -> list[str]:
    """Return the row keys of the parts that a row's value names; none where it is whole."""
    if not value.startswith(_PARTS_MARK):
        return []
    first, count = json.loads(value)["parts"]
    name = first.rpartition(".")[0]
    return [_part_key(name, number) for number in range(count)]


def _batches(changes: list[Change]) -> Iterable[list[Change]]:
    """Split changes so that each batch fits into a write beside the head."""
    batch: list[Change] = []
    size = 0
    for change in changes:
        length = 0 if isinstance(change, Remove) else len(change.value)
        if batch and (len(batch) >= MOST_CHANGES - 1 or size + length > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(change)
        size += length
    yield batch


_BATCH_BYTES: Final = 3 * LONGEST_VALUE_BYTES
"""Leaves room for the head in a write of ``LONGEST_WRITE_BYTES``."""


def _grown(head: Head, entries: Sequence[LogEntry]) -> Head:
    return replace(
        head,
        entries=head.entries + len(entries),
        entry_bytes=head.entry_bytes + sum(_length(entry.text) for entry in entries),
    )


def _length(text: str) -> int:
    """Return the bytes of a text as it is stored; an answer may hold a lone surrogate."""
    return len(without_lone_surrogates(text).encode())


def _encode_plan(head: Head, stored: bytes) -> bytes:
    """Return what a plan's row holds: the counts in one line, and the record after it."""
    counts = encode(
        {
            "entries": head.entries,
            "entryBytes": head.entry_bytes,
            "changes": head.changes,
            "logs": head.logs,
            "variables": head.variables,
        }
    )
    return counts + b"\n" + stored


def _decode_plan(value: bytes) -> tuple[Head, bytes]:
    counts, _, stored = value.partition(b"\n")
    form = decode(counts)
    head = Head(
        entries=whole_number(form["entries"]),
        entry_bytes=whole_number(form["entryBytes"]),
        changes=whole_number(form["changes"]),
        logs=whole_number(form["logs"]),
        variables=whole_number(form["variables"]),
    )
    return head, stored


def _entry_key(number: int) -> str:
    return f"{_ENTRY}.{number:010}"


def _partition(index: str, invocation: Invocation) -> str:
    return f"{index}-{_reversed_day(invocation.created_at.date())}"


def _reversed_day(day: date) -> str:
    """Return a day so that later ones come first."""
    return f"{99_999_999 - int(day.strftime('%Y%m%d')):08}"


def _summary_row(invocation: Invocation) -> Put:
    reversed_ms = _LATEST_MS - int(invocation.created_at.timestamp() * 1000)
    value = encode(
        {
            "id": invocation.id,
            "displayName": invocation.display_name,
            "connection": invocation.connection,
            "state": invocation.state.value,
            "result": invocation.result.value if invocation.result else None,
            "completionEvent": invocation.completion_event.value,
            "createdAt": time_form(invocation.created_at),
            "finishedAt": optional_time_form(invocation.finished_at),
        }
    )
    return Put(f"{reversed_ms:013}.{invocation.id}", value)


def _summary(partition_key: str, row: Entity) -> Summary:
    form = decode(row.value)
    del form["schema"]
    return Summary(partition_key=partition_key, row_key=row.row_key, form=form)
