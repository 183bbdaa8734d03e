"""Lists of invocations, and the forgetting of old ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from invoke_core.errors import InvocationNotFoundError, StoreUnavailableError
from invoke_core.events import Canceled, Seen, TaskCompleted
from invoke_core.journal import Claim, LogEntry
from invoke_core.model import CompletionEvent, Result, State
from invoke_core.ports import LONGEST_VALUE_BYTES
from tests.state.parts import (
    START,
    VALID,
    Around,
    Clock,
    DiedError,
    DyingStore,
    Instance,
    all_rows,
    ended,
    new_record,
)

if TYPE_CHECKING:
    from invoke_core.ports import EntityStore

KEEP = timedelta(days=30)
FOREVER = START + timedelta(days=1000)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def instance(store: EntityStore, clock: Clock) -> Instance:
    return Instance(store, clock, keep=KEEP)


def add(instance: Instance, *, at: datetime = START, minutes: float = 60, claim: str = "") -> str:
    """Begin a callback."""
    record = new_record(created_at=at, minutes=minutes, claim=claim)
    return instance.journal.add(record, []).plan_id


def add_ended(instance: Instance, *, at: datetime = START, claim: str = "") -> str:
    """Run an ApiResponse to its end."""
    record = new_record(created_at=at, mode=CompletionEvent.API_RESPONSE, claim=claim)
    return instance.journal.add(ended(record, at=at + timedelta(seconds=1)), []).plan_id


def listed(instance: Instance, *, state: State | None = None, most: int = 100) -> list[str]:
    """Return the ids on all pages."""
    ids: list[str] = []
    after = None
    while True:
        page = instance.listing.page(state=state, after=after, most=most)
        assert len(page.items) <= most
        ids += [item["id"] for item in page.items]
        if page.after is None:
            return ids
        after = page.after


def partitions(store: EntityStore) -> set[str]:
    return {partition for partition, _ in all_rows(store)}


def test_invocations_are_listed_newest_first_across_days(instance: Instance, clock: Clock) -> None:
    clock.at = START + timedelta(days=3)
    ids = [add_ended(instance, at=START + timedelta(hours=5 * n)) for n in range(12)]

    assert listed(instance) == ids[::-1]
    assert listed(instance, most=5) == ids[::-1]
    assert listed(instance, most=12) == ids[::-1]
    assert listed(instance, most=1) == ids[::-1]


def test_a_list_shows_what_the_contract_says_and_no_more(instance: Instance, clock: Clock) -> None:
    running = add(instance)
    clock.go_on(seconds=1)
    done = add_ended(instance, at=clock.at)

    page = instance.listing.page(state=None, after=None, most=10)

    assert page.after is None
    assert page.items == [
        {
            "id": done,
            "displayName": "Invoke REST API: POST",
            "connection": "demo",
            "state": "completed",
            "result": "succeeded",
            "completionEvent": "ApiResponse",
            "createdAt": "2026-05-17T12:00:01.000Z",
            "finishedAt": "2026-05-17T12:00:02.000Z",
        },
        {
            "id": running,
            "displayName": "Invoke REST API: POST",
            "connection": "demo",
            "state": "inProgress",
            "result": None,
            "completionEvent": "Callback",
            "createdAt": "2026-05-17T12:00:00.000Z",
            "finishedAt": None,
        },
    ]


def test_a_state_leaves_the_others_out(instance: Instance, clock: Clock) -> None:
    running = [add(instance, at=START + timedelta(seconds=n)) for n in range(3)]
    done = [add_ended(instance, at=START + timedelta(seconds=n, milliseconds=1)) for n in range(3)]
    canceled = running.pop(1)
    clock.go_on(seconds=10)
    instance.transitions.apply(canceled, Canceled())

    assert listed(instance, state=State.IN_PROGRESS) == running[::-1]
    assert set(listed(instance, state=State.COMPLETED)) == {*done, canceled}
    assert listed(instance, state=State.PENDING) == []
    assert listed(instance, state=State.IN_PROGRESS, most=1) == running[::-1]
    assert set(listed(instance, state=State.COMPLETED, most=2)) == {*done, canceled}


def test_a_list_never_shows_a_callback_past_its_deadline_as_running(
    instance: Instance, clock: Clock
) -> None:
    plan_id = add(instance, minutes=5)
    clock.go_on(minutes=5)

    assert listed(instance, state=State.IN_PROGRESS) == []
    (item,) = instance.listing.page(state=None, after=None, most=10).items
    assert (item["id"], item["state"], item["result"]) == (plan_id, "completed", "failed")
    assert item["finishedAt"] == "2026-05-17T12:05:00.000Z"


class WithoutIndexes(Around):
    """A store that fails whenever an index is written."""

    def write(self, partition_key: str, changes: Any) -> list[str]:  # noqa: ANN401
        if partition_key.startswith(("list-", "open-")):
            raise StoreUnavailableError("InvokeStorage", "down")
        return self.inner.write(partition_key, changes)


@pytest.mark.parametrize("state", [None, State.IN_PROGRESS])
def test_index_rows_that_are_late_are_mended_when_they_are_read(
    instance: Instance, store: EntityStore, clock: Clock, state: State | None
) -> None:
    plan_id = add(instance)
    late = Instance(WithoutIndexes(store), clock)
    late.transitions.apply(plan_id, TaskCompleted(Result.SKIPPED))
    (row,) = instance.journal.page(open_only=False, after=None, most=10)
    assert row.is_open

    assert listed(instance, state=state) == ([plan_id] if state is None else [])

    (row,) = instance.journal.page(open_only=False, after=None, most=10)
    assert (row.form["state"], row.form["result"]) == ("completed", "skipped")
    assert instance.journal.page(open_only=True, after=None, most=10) == []


def test_a_row_without_its_invocation_is_not_shown_and_goes_after_five_minutes(
    instance: Instance, store: EntityStore, clock: Clock
) -> None:
    dying = Instance(DyingStore(store, at_write=3, done=False), clock)
    with pytest.raises(DiedError):
        add(dying)

    clock.go_on(minutes=5)
    assert listed(instance) == listed(instance, state=State.IN_PROGRESS) == []
    assert len(all_rows(store)) == 2

    clock.go_on(milliseconds=1)
    assert listed(instance) == listed(instance, state=State.IN_PROGRESS) == []
    assert all_rows(store) == []


def test_of_two_beginnings_of_one_invocation_the_one_that_was_stored_is_shown(
    instance: Instance, store: EntityStore, clock: Clock
) -> None:
    record = new_record()
    dying = Instance(DyingStore(store, at_write=3, done=False), clock)
    with pytest.raises(DiedError):
        dying.journal.add(record, [])
    clock.go_on(seconds=7)
    later = replace(record, invocation=replace(record.invocation, created_at=clock.at))
    instance.journal.add(later, [])

    assert listed(instance) == [record.invocation.id]
    clock.go_on(minutes=6)
    assert listed(instance) == listed(instance, state=State.IN_PROGRESS) == [record.invocation.id]
    assert len(instance.journal.page(open_only=False, after=None, most=10)) == 1
    assert len(instance.journal.page(open_only=True, after=None, most=10)) == 1


def test_an_ended_invocation_is_kept_until_its_time_after_its_end(
    instance: Instance, clock: Clock
) -> None:
    plan_id = add(instance, minutes=43_200)
    clock.at = START + timedelta(days=29)
    instance.transitions.apply(plan_id, TaskCompleted(Result.SUCCEEDED))

    clock.go_on(days=30)
    assert instance.listing.forget(until=FOREVER) == 0
    assert listed(instance) == [plan_id]

    clock.go_on(milliseconds=1)
    assert instance.listing.forget(until=FOREVER) == 1
    assert listed(instance) == []
    with pytest.raises(InvocationNotFoundError):
        instance.transitions.apply(plan_id, Seen())


def test_only_the_old_are_forgotten(instance: Instance, clock: Clock) -> None:
    ids = [add_ended(instance, at=START + timedelta(days=n)) for n in range(6)]
    # Days 0 to 2 are more than 30 days ago, whole days with them.
    clock.at = START + timedelta(days=33)

    assert instance.listing.forget(until=FOREVER) == 3
    assert listed(instance) == ids[:2:-1]
    assert instance.listing.forget(until=FOREVER) == 0


def test_what_is_forgotten_leaves_nothing_behind(
    instance: Instance, store: EntityStore, clock: Clock
) -> None:
    assert VALID.response is not None
    long = replace(VALID.response, body="x" * (LONGEST_VALUE_BYTES + 1))
    record = new_record(claim="key-1", mode=CompletionEvent.API_RESPONSE)
    record = replace(record, invocation=replace(record.invocation, response=long))
    instance.journal.claim(Claim(partition_key="key-1", plan_id=record.invocation.id))
    instance.journal.add(record, [LogEntry(text=str(n)) for n in range(90)])
    add(instance)
    clock.at = START + KEEP + timedelta(days=2)

    assert instance.listing.forget(until=FOREVER) == 2

    assert all_rows(store) == []


def test_a_callback_nobody_asks_for_ends_and_is_forgotten_after_its_time(
    instance: Instance, store: EntityStore, clock: Clock
) -> None:
    add(instance, minutes=60)
    clock.at = START + timedelta(hours=1) + KEEP

    # That late it has just become too old by its end, but by whole days it is not yet.
    assert instance.listing.forget(until=FOREVER) == 0
    clock.go_on(days=1)
    assert instance.listing.forget(until=FOREVER) == 1
    assert all_rows(store) == []


def test_an_open_invocation_before_its_deadline_is_never_forgotten(
    store: EntityStore, clock: Clock
) -> None:
    instance = Instance(store, clock, keep=timedelta(days=1))
    plan_id = add(instance, minutes=43_200)
    clock.at = START + timedelta(days=29)

    assert instance.listing.forget(until=FOREVER) == 0

    assert listed(instance, state=State.IN_PROGRESS) == [plan_id]
    record = instance.transitions.apply(plan_id, TaskCompleted(Result.SUCCEEDED)).record
    assert record.invocation.result is Result.SUCCEEDED


def test_forgetting_stops_in_time_and_goes_on_next_time(
    instance: Instance, store: EntityStore, clock: Clock
) -> None:
    for n in range(5):
        add_ended(instance, at=START + timedelta(seconds=n))
    clock.at = START + KEEP + timedelta(days=2)

    class Slow(Around):
        """Each removal of an index row takes a second."""

        def write(self, partition_key: str, changes: Any) -> list[str]:  # noqa: ANN401
            if partition_key.startswith("list-"):
                clock.go_on(seconds=1)
            return self.inner.write(partition_key, changes)

    slow = Instance(Slow(store), clock, keep=KEEP)

    assert slow.listing.forget(until=clock.at) == 0
    assert slow.listing.forget(until=clock.at + timedelta(seconds=2)) == 2
    assert len(listed(instance)) == 3
    assert slow.listing.forget(until=clock.at + timedelta(seconds=60)) == 3
    assert all_rows(store) == []


def test_more_than_a_page_of_old_invocations_is_forgotten_in_one_run(
    instance: Instance, store: EntityStore, clock: Clock
) -> None:
    for n in range(105):
        add_ended(instance, at=START + timedelta(milliseconds=n))
    clock.at = START + KEEP + timedelta(days=2)

    assert instance.listing.forget(until=FOREVER) == 105
    assert all_rows(store) == []


def test_forgetting_mends_rows_of_open_invocations_that_nobody_lists(
    instance: Instance, store: EntityStore, clock: Clock
) -> None:
    dying = Instance(DyingStore(store, at_write=3, done=False), clock)
    with pytest.raises(DiedError):
        add(dying)
    lost = add(instance)
    Instance(WithoutIndexes(store), clock).transitions.apply(lost, Canceled())
    assert len(instance.journal.page(open_only=True, after=None, most=10)) == 2
    clock.at = START + KEEP + timedelta(days=2)

    instance.listing.forget(until=FOREVER)

    assert all_rows(store) == []


@pytest.mark.parametrize("done", [False, True])
def test_a_run_that_dies_is_finished_by_the_next(
    instance: Instance, store: EntityStore, clock: Clock, *, done: bool
) -> None:
    for at_write in range(1, 20):
        clock.at = START
        record = ended(new_record(claim="key-1"), at=START)
        instance.journal.claim(Claim(partition_key="key-1", plan_id=record.invocation.id))
        added = instance.journal.add(record, [])
        entries = [LogEntry(text=str(n)) for n in range(150)]
        instance.journal.append(added, head=added.head, entries=entries)
        clock.at = START + KEEP + timedelta(days=2)
        dying = Instance(DyingStore(store, at_write=at_write, done=done), clock, keep=KEEP)

        try:
            dying.listing.forget(until=FOREVER)
        except DiedError:
            # Whatever is left is either shown whole or not at all.
            found = instance.journal.load(added.plan_id)
            assert found is None or found.record == record
            instance.listing.forget(until=FOREVER)
            assert all_rows(store) == []
        else:
            assert at_write > 4
            return
    pytest.fail("it never came to its end")


def test_two_runs_at_once_forget_the_same_once_and_for_all(
    instance: Instance, store: EntityStore, clock: Clock
) -> None:
    add_ended(instance)
    clock.at = START + KEEP + timedelta(days=2)
    other = Instance(store, clock, keep=KEEP)

    class Overtaken(Around):
        def write(self, partition_key: str, changes: Any) -> list[str]:  # noqa: ANN401
            other.listing.forget(until=FOREVER)
            return self.inner.write(partition_key, changes)

    Instance(Overtaken(store), clock, keep=KEEP).listing.forget(until=FOREVER)

    assert partitions(store) == set()
