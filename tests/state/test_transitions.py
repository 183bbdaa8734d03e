"""From an event to a stored record, whoever else writes at the same time."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from invoke_core.errors import (
    EntityConflictError,
    InvocationNotFoundError,
    StoreUnavailableError,
)
from invoke_core.events import Canceled, Seen, TaskCompleted
from invoke_core.journal import Journal
from invoke_core.model import CompletionEvent, Result, State
from invoke_core.records import Ending
from invoke_core.transitions import MOST_TRIES, Transitions
from invoke_core.wakeups import Wakeups
from tests.state.parts import (
    START,
    SUCCEEDED,
    VALID,
    Around,
    Clock,
    Instance,
    LosingStore,
    log_of,
    new_id,
    new_record,
    no_pause,
)

if TYPE_CHECKING:
    from invoke_core.ports import EntityStore


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def instance(store: EntityStore, clock: Clock) -> Instance:
    return Instance(store, clock)


def test_nothing_happens_to_what_is_not_there(instance: Instance) -> None:
    with pytest.raises(InvocationNotFoundError):
        instance.transitions.apply(new_id(), Seen())


def test_looking_at_what_runs_writes_nothing(store: EntityStore, clock: Clock) -> None:
    class ReadOnly(Around):
        def write(self, partition_key: str, changes: Any) -> list[str]:  # noqa: ANN401
            raise AssertionError(partition_key, changes)

    added = Instance(store, clock).journal.add(new_record(), [])

    seen = Instance(ReadOnly(store), clock).transitions.apply(added.plan_id, Seen())

    assert seen == added


def test_an_event_on_an_old_reading_meets_what_stands(instance: Instance) -> None:
    stale = instance.journal.add(new_record(), [])
    instance.transitions.apply(stale.plan_id, Canceled())

    late = instance.transitions.apply(stale.plan_id, TaskCompleted(Result.FAILED), loaded=stale)

    assert late.record.ended_by is Ending.CANCEL


@pytest.mark.parametrize("event", [Seen(), TaskCompleted(Result.SUCCEEDED)], ids=repr)
def test_an_event_without_effect_is_answered_by_what_stands_too(
    instance: Instance, event: Seen | TaskCompleted
) -> None:
    stale = instance.journal.add(new_record(mode=CompletionEvent.API_RESPONSE), [])
    instance.transitions.apply(stale.plan_id, Canceled())

    told = instance.transitions.apply(stale.plan_id, event, loaded=stale)

    assert told.record.invocation.result is Result.CANCELED


def test_of_many_events_at_once_one_is_the_end_and_all_are_told_so(instance: Instance) -> None:
    plan_id = instance.journal.add(new_record(), []).plan_id
    results = list(Result) * 2
    barrier = Barrier(len(results))

    def complete(result: Result) -> Result | None:
        barrier.wait()
        event = TaskCompleted(result)
        return instance.transitions.apply(plan_id, event).record.invocation.result

    with ThreadPoolExecutor(len(results)) as threads:
        told = set(threads.map(complete, results))

    assert len(told) == 1
    loaded = instance.journal.load(plan_id)
    assert loaded is not None
    assert told == {loaded.record.invocation.result}
    assert len([line for line in log_of(instance.journal, plan_id) if "Finished" in line]) == 1


def test_an_event_beside_a_busy_log_gets_its_turn(instance: Instance, store: EntityStore) -> None:
    class Busy(Around):
        """Somebody else appends before each of the first writes."""

        left = 20

        def write(self, partition_key: str, changes: Any) -> list[str]:  # noqa: ANN401
            if self.left:
                self.left -= 1
                loaded = instance.journal.load(plan_id)
                assert loaded is not None
                instance.journal.append(loaded, head=loaded.head)
            return self.inner.write(partition_key, changes)

    plan_id = instance.journal.add(new_record(), []).plan_id

    told = Instance(Busy(store), Clock()).transitions.apply(plan_id, TaskCompleted(Result.SKIPPED))

    assert told.record.invocation.result is Result.SKIPPED


def test_it_gives_up_in_the_end(instance: Instance, store: EntityStore) -> None:
    tries = []

    class Taken(Around):
        def write(self, partition_key: str, changes: Any) -> list[str]:  # noqa: ANN401
            tries.append((partition_key, changes))
            raise EntityConflictError

    plan_id = instance.journal.add(new_record(), []).plan_id
    transitions = Transitions(
        journal=Journal(Taken(store), new_id=new_id),
        alarms=instance.alarms,
        wakeups=Wakeups(),
        now=Clock(),
        pause=no_pause,
    )

    with pytest.raises(EntityConflictError):
        transitions.apply(plan_id, Canceled())

    assert len(tries) == MOST_TRIES


@pytest.mark.parametrize("took_place", [True, False])
def test_an_event_whose_answer_was_lost_may_be_repeated(
    store: EntityStore, clock: Clock, *, took_place: bool
) -> None:
    losing = LosingStore(store)
    instance = Instance(losing, clock)
    plan_id = instance.journal.add(new_record(), []).plan_id
    losing.lose = [took_place]
    with pytest.raises(StoreUnavailableError):
        instance.transitions.apply(plan_id, TaskCompleted(Result.SUCCEEDED))
    clock.go_on(seconds=9)

    again = instance.transitions.apply(plan_id, TaskCompleted(Result.SUCCEEDED)).record

    assert again.ended_by is Ending.EVENT
    assert again.invocation.finished_at == (START if took_place else clock.at)


def test_who_waits_in_this_process_is_woken_at_the_end_and_not_before(instance: Instance) -> None:
    loaded = instance.journal.add(new_record(), [])

    with instance.wakeups.waiting(loaded.plan_id) as waiting:
        instance.transitions.apply(loaded.plan_id, VALID, loaded=loaded)
        assert not waiting.is_set()
        instance.transitions.apply(loaded.plan_id, TaskCompleted(Result.SUCCEEDED))
        assert waiting.is_set()


def test_an_answer_is_logged_with_the_length_of_its_body(instance: Instance) -> None:
    loaded = instance.journal.add(new_record(mode=CompletionEvent.API_RESPONSE), [])

    saved = instance.transitions.apply(
        loaded.plan_id, SUCCEEDED, loaded=loaded, body_bytes=4_000_000
    )

    assert saved.record.invocation.state is State.COMPLETED
    assert log_of(instance.journal, loaded.plan_id) == [
        "Response Code: 202",
        "Response: 4000000 bytes, text/plain",
        "2026-05-17T12:00:00.000Z Finished: succeeded",
    ]


def test_the_log_of_the_process_tells_an_end_once(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="invoke_core")
    plan_id = instance.journal.add(new_record(), []).plan_id

    instance.transitions.apply(plan_id, TaskCompleted(Result.FAILED))
    instance.transitions.apply(plan_id, TaskCompleted(Result.FAILED))

    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("invoke")]
    sentence, _, facts = line.partition(" {")
    assert sentence == f"invocation {plan_id} ended: failed"
    assert json.loads("{" + facts)["reason"] == "callbackFailed"
