"""Rows of records: what is there, what is refused, and what a crash between two writes leaves."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from invoke_core.adapters.sqlite import SqliteStore
from invoke_core.errors import (
    EntityConflictError,
    InvocationNotFoundError,
    StoreUnavailableError,
)
from invoke_core.events import Seen
from invoke_core.journal import LOG_ROWS, RECORD_ROWS, Claim, Journal, LogEntry
from invoke_core.model import CompletionEvent, Result, State
from invoke_core.ports import LONGEST_VALUE_BYTES, Insert
from invoke_core.records import Ending, Work
from tests.state.parts import (
    START,
    VALID,
    Clock,
    DiedError,
    DyingStore,
    Instance,
    LosingStore,
    all_rows,
    ended,
    new_id,
    new_record,
)

if TYPE_CHECKING:
    from pathlib import Path

    from invoke_core.journal import Loaded
    from invoke_core.ports import Entity, EntityStore
    from invoke_core.records import Record

SOON = START + timedelta(seconds=3)
LONG = "ä" * LONGEST_VALUE_BYTES
"""Twice as long as a row takes, in bytes."""


@pytest.fixture
def journal(store: EntityStore) -> Journal:
    return Journal(store, new_id=new_id)


def read(journal: Journal, plan_id: str) -> Loaded:
    loaded = journal.load(plan_id)
    assert loaded is not None
    return loaded


def texts(journal: Journal, plan_id: str, *, after: int = 0) -> list[str]:
    return [entry.text for entry in journal.entries(plan_id, after=after)]


def with_body(record: Record, body: str) -> Record:
    assert VALID.response is not None
    response = replace(VALID.response, body=body)
    return replace(record, invocation=replace(record.invocation, response=response))


def index(store: EntityStore, name: str) -> list[str]:
    """Return the ids in an index, in its order."""
    rows = store.scan(first_partition=f"{name}-", before_partition=f"{name}.", most=1000)
    return [entity.row_key.partition(".")[2] for _, entity in rows]


def test_what_was_added_is_read_by_everybody(journal: Journal, store: EntityStore) -> None:
    record = new_record()

    added = journal.add(record, [LogEntry(text="first")])

    assert read(Journal(store, new_id=new_id), added.plan_id) == added
    assert added.record == record
    assert added.head.entries == 1
    assert added.head.entry_bytes == 5


def test_there_is_nothing_under_an_unknown_id(journal: Journal) -> None:
    assert journal.load(new_id()) is None
    assert texts(journal, new_id()) == []


def test_an_id_is_taken_once(journal: Journal) -> None:
    first = journal.add(new_record(), [])

    with pytest.raises(EntityConflictError):
        journal.add(new_record(plan_id=first.plan_id), [])

    assert read(journal, first.plan_id) == first


def test_a_saved_record_takes_the_place_of_the_old_one(journal: Journal) -> None:
    added = journal.add(new_record(), [LogEntry(text="first")])
    record = replace(added.record, report_by=None)

    saved = journal.save(added, record, [LogEntry(text="second")])

    assert saved.record == record
    assert read(journal, added.plan_id) == saved
    assert texts(journal, added.plan_id) == ["first", "second"]


def test_who_comes_second_is_refused_whatever_he_writes(journal: Journal) -> None:
    stale = journal.add(new_record(), [])
    plan_id = stale.plan_id
    journal.append(stale, head=stale.head, entries=[LogEntry(text="first")])
    stands = read(journal, plan_id)

    with pytest.raises(EntityConflictError):
        journal.save(stale, replace(stale.record, report_by=None), [LogEntry(text="second")])
    with pytest.raises(EntityConflictError):
        journal.append(stale, head=stale.head, entries=[LogEntry(text="second")])
    with pytest.raises(EntityConflictError):
        journal.append(stale, head=stale.head, rows=[("b.1", {})])

    assert read(journal, plan_id) == stands
    assert texts(journal, plan_id) == ["first"]
    assert journal.rows(plan_id, "b", "b/") == []


def test_one_may_write_on_with_what_the_last_write_returned(journal: Journal) -> None:
    loaded = journal.add(new_record(), [])
    for number in range(3):
        loaded = journal.append(loaded, head=loaded.head, entries=[LogEntry(text=str(number))])
    loaded = journal.save(loaded, replace(loaded.record, report_by=None), [])

    assert texts(journal, loaded.plan_id) == ["0", "1", "2"]
    assert read(journal, loaded.plan_id) == loaded


def test_values_longer_than_a_row_are_read_whole(journal: Journal, store: EntityStore) -> None:
    loaded = journal.add(with_body(new_record(), LONG), [LogEntry(text=LONG + "1")])
    plan_id = loaded.plan_id
    loaded = journal.save(loaded, with_body(loaded.record, LONG + "2"), [LogEntry(text=LONG)])
    journal.append(loaded, head=loaded.head, rows=[(f"{RECORD_ROWS}.1", {"text": LONG + "3"})])

    assert read(journal, plan_id).record == with_body(loaded.record, LONG + "2")
    assert texts(journal, plan_id) == [LONG + "1", LONG]
    ((key, row),) = journal.rows(plan_id, RECORD_ROWS, f"{RECORD_ROWS}/")
    assert (key, row["text"]) == ("b.1", LONG + "3")
    assert all(len(entity.value) <= LONGEST_VALUE_BYTES for _, entity in all_rows(store))


def test_a_long_value_is_whole_or_not_there(store: EntityStore) -> None:
    loaded = Journal(store, new_id=new_id).add(new_record(), [])
    for at_write in range(1, 10):
        dying = DyingStore(store, at_write=at_write, done=True)
        try:
            Journal(dying, new_id=new_id).append(
                loaded, head=loaded.head, entries=[LogEntry(text=LONG)]
            )
        except DiedError:
            pass
        else:
            break
        found = texts(Journal(store, new_id=new_id), loaded.plan_id)
        assert found in ([], [LONG])
        if found:
            break
    assert texts(Journal(store, new_id=new_id), loaded.plan_id) == [LONG]


def test_an_invocation_is_listed_before_anything_of_it_is_stored(store: EntityStore) -> None:
    """Or what a process that dies leaves behind would never be forgotten."""

    class Noting(LosingStore):
        def write(self, partition_key: str, changes: Any) -> list[str]:  # noqa: ANN401
            written.append((partition_key, len(changes)))
            return super().write(partition_key, changes)

    written: list[tuple[str, int]] = []

    loaded = Journal(Noting(store), new_id=new_id).add(
        with_body(new_record(), LONG), [LogEntry(text=LONG)], step=LONG.encode()
    )

    indexes, parts, head = written[:2], written[2:-1], written[-1]
    assert [partition.partition("-")[0] for partition, _ in indexes] == ["list", "open"]
    # Three values, each as long as two rows or a little more.
    assert parts == [(loaded.plan_id, 1)] * len(parts)
    assert 6 <= len(parts) <= 9
    assert head == (loaded.plan_id, 3)


def test_over_sqlite_an_invocation_is_stored_with_its_index_rows_or_not_at_all(
    tmp_path: Path,
) -> None:
    with closing(SqliteStore(tmp_path / "invoke.db")) as store:
        record = new_record()
        store.write(record.invocation.id, [Insert("a.plan", b"another's")])

        with pytest.raises(EntityConflictError):
            Journal(store, new_id=new_id).add(record, [])

        assert [partition for partition, _ in all_rows(store)] == [record.invocation.id]


def test_many_rows_and_entries_are_written_in_order(journal: Journal) -> None:
    loaded = journal.add(new_record(), [LogEntry(text="0")])
    rows: list[tuple[str, dict[str, Any]]] = [
        (f"{RECORD_ROWS}.{n:04}", {"n": str(n)}) for n in range(120)
    ]
    entries = [LogEntry(text=str(n), log_id=n % 2 or None) for n in range(1, 131)]

    appended = journal.append(
        loaded, head=replace(loaded.head, changes=120, logs=7), entries=entries, rows=rows
    )

    plan_id = loaded.plan_id
    assert read(journal, plan_id) == appended
    assert appended.head.entries == 131
    assert appended.head.changes == 120
    assert appended.head.logs == 7
    assert appended.head.entry_bytes == sum(len(str(n)) for n in range(131))
    assert texts(journal, plan_id) == [str(n) for n in range(131)]
    assert [entry.number for entry in journal.entries(plan_id)] == list(range(1, 132))
    assert [entry.log_id for entry in journal.entries(plan_id)][:4] == [None, 1, None, 1]
    assert [row["n"] for _, row in journal.rows(plan_id, "b", "b/")] == [str(n) for n in range(120)]
    assert journal.rows(plan_id, LOG_ROWS, f"{LOG_ROWS}/") == []


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("at_write", [1, 2, 3])
def test_entries_never_collide_after_a_crash_between_batches(
    store: EntityStore, *, at_write: int, done: bool
) -> None:
    journal = Journal(store, new_id=new_id)
    loaded = journal.add(new_record(), [LogEntry(text="0")])
    entries = [LogEntry(text=str(n)) for n in range(1, 251)]
    dying = Journal(DyingStore(store, at_write=at_write, done=done), new_id=new_id)

    with pytest.raises(DiedError):
        dying.append(loaded, head=loaded.head, entries=entries)

    found = texts(journal, loaded.plan_id)
    assert found == [str(n) for n in range(len(found))]
    again = read(journal, loaded.plan_id)
    assert again.head.entries == len(found)
    journal.append(again, head=again.head, entries=[LogEntry(text="after")])
    assert texts(journal, loaded.plan_id) == [*found, "after"]


def test_entries_go_on_after_any_of_them(journal: Journal) -> None:
    entries = [LogEntry(text=str(n)) for n in range(1, 6)]
    loaded = journal.add(new_record(), entries)

    assert texts(journal, loaded.plan_id, after=3) == ["4", "5"]
    assert texts(journal, loaded.plan_id, after=5) == []
    assert texts(journal, loaded.plan_id, after=10**12) == []


def test_variables_are_those_of_all_records_without_secrets(journal: Journal) -> None:
    loaded = journal.add(new_record(), [])
    first = {"a": {"value": "1"}, "hidden": {"value": None, "isSecret": True}}
    journal.append(
        loaded,
        head=loaded.head,
        rows=[
            ("b.1", {"record": {"variables": first}}),
            ("b.2", {"record": {"variables": {"A": {"value": "2"}, "b": {"value": None}}}}),
            ("b.3", {"record": {"variables": None}}),
        ],
    )

    assert journal.variables(loaded.plan_id) == {"A": "2", "b": ""}


def test_an_open_invocation_is_in_both_indexes_and_an_ended_one_in_one(
    journal: Journal, store: EntityStore
) -> None:
    loaded = journal.add(new_record(), [])
    assert index(store, "list") == index(store, "open") == [loaded.plan_id]

    journal.save(loaded, ended(loaded.record, at=SOON), [])

    assert index(store, "list") == [loaded.plan_id]
    assert index(store, "open") == []
    (summary,) = journal.page(open_only=False, after=None, most=10)
    assert summary.form == {
        "id": loaded.plan_id,
        "displayName": "Invoke REST API: POST",
        "connection": "demo",
        "state": "completed",
        "result": "succeeded",
        "completionEvent": "Callback",
        "createdAt": "2026-05-17T12:00:00.000Z",
        "finishedAt": "2026-05-17T12:00:03.000Z",
    }


def test_an_invocation_that_is_added_ended_was_never_open(
    journal: Journal, store: EntityStore
) -> None:
    record = ended(new_record(mode=CompletionEvent.API_RESPONSE), at=SOON)

    journal.add(record, [])

    assert index(store, "open") == []


def test_an_index_row_says_ended_only_once_the_record_certainly_does(journal: Journal) -> None:
    record = ended(new_record(mode=CompletionEvent.API_RESPONSE), at=SOON)

    journal.add(record, [])
    (before,) = journal.page(open_only=False, after=None, most=10)
    journal.close_index(record)
    (after,) = journal.page(open_only=False, after=None, most=10)

    assert (before.is_open, after.is_open) == (True, False)


def test_pages_go_from_the_newest_to_the_oldest_across_days(journal: Journal) -> None:
    ids = [
        journal.add(new_record(created_at=START + timedelta(hours=7 * n)), []).plan_id
        for n in range(9)
    ]

    found: list[str] = []
    after = None
    while page := journal.page(open_only=False, after=after, most=2):
        found += [summary.form["id"] for summary in page]
        after = (page[-1].partition_key, page[-1].row_key)

    assert found == ids[::-1]


def test_an_end_is_stored_even_where_its_index_is_not(store: EntityStore) -> None:
    losing = LosingStore(store)
    journal = Journal(losing, new_id=new_id)
    loaded = journal.add(new_record(), [])
    record = ended(loaded.record, at=SOON)

    class Unindexed(LosingStore):
        def write(self, partition_key: str, changes: Any) -> list[str]:  # noqa: ANN401
            if partition_key.startswith("list-"):
                raise StoreUnavailableError("InvokeStorage", "down")
            return super().write(partition_key, changes)

    Journal(Unindexed(store), new_id=new_id).save(loaded, record, [])

    assert read(journal, loaded.plan_id).record == record
    assert index(store, "open") == [loaded.plan_id]


def test_a_key_is_claimed_once(journal: Journal) -> None:
    mine = Claim(partition_key="key-1", plan_id="plan-1")
    other = Claim(partition_key="key-1", plan_id="plan-2")

    assert journal.claim(mine) is mine
    standing = journal.claim(other)

    assert standing.plan_id == "plan-1"
    assert standing.etag


def test_a_claim_is_taken_over_by_one(journal: Journal) -> None:
    journal.claim(Claim(partition_key="key-1", plan_id="plan-1"))
    standing = journal.claim(Claim(partition_key="key-1", plan_id="plan-2"))
    second = replace(standing, plan_id="plan-2")
    third = replace(standing, plan_id="plan-3")

    assert journal.claim(second) is second
    with pytest.raises(EntityConflictError):
        journal.claim(third)

    assert journal.claim(Claim(partition_key="key-1", plan_id="plan-4")).plan_id == "plan-2"


def test_what_is_forgotten_is_gone_with_its_parts_its_claim_and_its_index_row(
    journal: Journal, store: EntityStore
) -> None:
    record = ended(with_body(new_record(claim="key-1"), LONG), at=SOON)
    journal.claim(Claim(partition_key="key-1", plan_id=record.invocation.id))
    journal.add(record, [LogEntry(text=str(n)) for n in range(90)])
    (summary,) = journal.page(open_only=False, after=None, most=10)

    journal.forget(summary, "key-1")

    assert all_rows(store) == []


def test_forgetting_leaves_a_key_that_stands_for_a_later_invocation(
    journal: Journal, store: EntityStore
) -> None:
    record = ended(new_record(claim="key-1"), at=SOON)
    journal.claim(Claim(partition_key="key-1", plan_id="another"))
    journal.add(record, [])
    (summary,) = journal.page(open_only=False, after=None, most=10)

    journal.forget(summary, "key-1")

    assert [partition for partition, _ in all_rows(store)] == ["key-1"]


def test_forgetting_leaves_a_key_that_is_taken_over_meanwhile(store: EntityStore) -> None:
    journal = Journal(store, new_id=new_id)
    record = ended(new_record(claim="key-1"), at=SOON)
    journal.claim(Claim(partition_key="key-1", plan_id=record.invocation.id))
    journal.add(record, [])
    (summary,) = journal.page(open_only=False, after=None, most=10)

    class TakenOver(LosingStore):
        def write(self, partition_key: str, changes: Any) -> list[str]:  # noqa: ANN401
            if partition_key == "key-1":
                standing = journal.claim(Claim(partition_key="key-1", plan_id="later"))
                journal.claim(replace(standing, plan_id="later"))
            return super().write(partition_key, changes)

    Journal(TakenOver(store), new_id=new_id).forget(summary, "key-1")

    assert [partition for partition, _ in all_rows(store)] == ["key-1"]
    assert journal.claim(Claim(partition_key="key-1", plan_id="x")).plan_id == "later"


def test_a_reading_of_a_partition_that_is_just_being_removed_finds_nothing(
    store: EntityStore,
) -> None:
    journal = Journal(store, new_id=new_id)
    loaded = journal.add(with_body(ended(new_record(), at=SOON), LONG), [])
    (summary,) = journal.page(open_only=False, after=None, most=10)

    class Removing(LosingStore):
        def __init__(self) -> None:
            super().__init__(store)
            self.get = self.get_then_remove

        def get_then_remove(self, partition_key: str, row_key: str) -> Entity | None:
            row = store.get(partition_key, row_key)
            journal.forget(summary, "")
            return row

    reader = Instance(Removing(), Clock())

    with pytest.raises(InvocationNotFoundError):
        reader.transitions.apply(loaded.plan_id, Seen())


def test_a_plan_with_a_result_of_each_kind_is_listed_so(journal: Journal) -> None:
    for n, result in enumerate(Result):
        record = new_record(created_at=START + timedelta(seconds=n))
        added = journal.add(ended(record, at=SOON, result=result), [])
        journal.close_index(added.record)

    found = [row.form["result"] for row in journal.page(open_only=False, after=None, most=10)]

    assert found == [result.value for result in reversed(Result)]


def waiting_record() -> Record:
    """Return the record of a task that is to be sent later."""
    record = new_record(mode=CompletionEvent.API_RESPONSE)
    invocation = replace(record.invocation, state=State.PENDING, attempts=0, started_at=None)
    return replace(record, invocation=invocation, report_by=None, work=Work(due_at=START))


@pytest.mark.parametrize("step", [b"p{}", bytes(range(256)), b"s" * (2 * LONGEST_VALUE_BYTES + 1)])
def test_a_step_at_rest_comes_back_as_it_is(journal: Journal, step: bytes) -> None:
    plan_id = journal.add(waiting_record(), [], step=step).plan_id

    assert journal.step(plan_id) == step


def test_a_step_is_there_as_soon_as_its_record_is(store: EntityStore) -> None:
    record = waiting_record()
    # 1 list, 2 open, 3 the plan.
    dying = Journal(DyingStore(store, at_write=3, done=True), new_id=new_id)
    with pytest.raises(DiedError):
        dying.add(record, [], step=b"step")

    assert Journal(store, new_id=new_id).step(record.invocation.id) == b"step"


def test_a_step_stays_until_the_end_and_goes_with_it(journal: Journal) -> None:
    record = waiting_record()
    loaded = journal.add(record, [], step=b"step")

    loaded = journal.save(loaded, replace(record, work=Work(due_at=SOON)), [])
    assert journal.step(loaded.plan_id) == b"step"
    final = replace(ended(record, at=SOON), ended_by=Ending.EXCHANGE)
    journal.save(loaded, final, [])

    assert journal.step(loaded.plan_id) == b""


def test_where_nothing_waits_there_is_no_step(journal: Journal, store: EntityStore) -> None:
    plan_id = journal.add(new_record(), []).plan_id

    assert journal.step(plan_id) == journal.step(new_id()) == b""
    assert [key for _, key in rows_of(store, plan_id)] == ["a.plan"]


def test_a_task_that_waits_is_listed_as_what_it_is(store: EntityStore) -> None:
    instance = Instance(store, Clock())
    plan_id = instance.journal.add(waiting_record(), [], step=b"step").plan_id

    def listed(state: State | None) -> list[tuple[str, str]]:
        page = instance.listing.page(state=state, after=None, most=10)
        return [(item["id"], item["state"]) for item in page.items]

    assert listed(None) == listed(State.PENDING) == [(plan_id, "pending")]
    assert listed(State.IN_PROGRESS) == []


def rows_of(store: EntityStore, plan_id: str) -> list[tuple[str, str]]:
    return [(key, row.row_key) for key, row in all_rows(store) if key == plan_id]
