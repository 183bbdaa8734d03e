"""A call that was refused because the store failed leaves nothing behind."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from invoke_core.errors import StoreUnavailableError
from invoke_core.events import Canceled, TaskCompleted
from invoke_core.journal import Journal, LogEntry
from invoke_core.lifecycle import advance
from invoke_core.model import Effect, Result, State
from invoke_core.withdrawals import DELAYS_S, Withdrawals
from tests.api.target import Reply
from tests.state.parts import (
    START,
    Around,
    Clock,
    Instance,
    LosingStore,
    all_rows,
    call,
    log_of,
    make_service,
    new_id,
    new_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from invoke_core.ports import Change, Entity, EntityStore
    from tests.api.target import Received, Target

KEY = "order-4711"


def withdrawals(store: EntityStore, sleep: Callable[[float], None]) -> Withdrawals:
    instance = Instance(store, Clock())
    return Withdrawals(instance.journal, instance.transitions, sleep, lambda work: work())


class LosingAt(Around):
    """A store that loses its n-th write, or only the answer to it."""

    def __init__(self, store: EntityStore, *, write: int, done: bool = True) -> None:
        super().__init__(store)
        self._left = write
        self._done = done

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        self._left -= 1
        if self._left != 0:
            return self.inner.write(partition_key, changes)
        if self._done:
            self.inner.write(partition_key, changes)
        raise StoreUnavailableError("InvokeStorage", "its answer was lost")


@pytest.mark.parametrize("mode", ["true", "false"])
def test_a_refused_call_does_not_use_up_its_key_though_it_was_stored(
    mode: str, store: EntityStore, target: Target
) -> None:
    # The record is the last write before the request; it takes place, and nobody hears of it.
    losing = LosingAt(store, write=4)
    service = make_service(losing, url=target.url, now=Clock())
    task = call(KEY, waitForCompletion=mode)

    with pytest.raises(StoreUnavailableError):
        service.run(task)
    assert target.received == []
    view = service.run(task)

    assert not view.is_replay
    assert len(target.received) == 1
    assert view.invocation.response is not None


@pytest.mark.parametrize("mode", ["true", "false"])
def test_what_another_call_was_told_of_stays_and_tells_that_nothing_was_sent(
    mode: str, store: EntityStore, target: Target
) -> None:
    losing = LosingAt(store, write=4)
    left: list[Callable[[], None]] = []
    service = make_service(losing, url=target.url, now=Clock(), run_later=left.append)
    task = call(KEY, waitForCompletion=mode)
    with pytest.raises(StoreUnavailableError):
        service.run(task)

    # Another process is asked before this one can take back what it stored.
    view = service.run(task)
    for work in left:
        work()
    ended, _ = service.read(view.invocation.id)
    again = service.run(task)

    assert view.is_replay
    assert view.invocation.state is State.IN_PROGRESS
    assert ended.invocation.result is Result.FAILED
    assert ended.invocation.reason is not None
    assert ended.invocation.reason.effect is Effect.NONE
    assert again.invocation == ended.invocation
    assert target.received == []


def test_what_another_call_began_under_the_same_id_goes_on(
    store: EntityStore, target: Target
) -> None:
    """The record was lost on its way, and another call took its place over."""
    losing = LosingAt(store, write=4, done=False)
    left: list[Callable[[], None]] = []
    service = make_service(losing, url=target.url, now=Clock(), run_later=left.append)
    task = call(KEY, waitForCompletion="true")
    with pytest.raises(StoreUnavailableError):
        service.run(task)
    begun = service.run(task)
    again = service.run(task)

    for work in left:
        work()

    assert again.is_replay
    view, _ = service.read(begun.invocation.id)
    assert view.invocation.state is State.IN_PROGRESS
    assert len(target.received) == 1


def test_it_is_tried_until_the_store_answers_again(store: EntityStore) -> None:
    losing = LosingStore(store)
    journal = Journal(losing, new_id=new_id)
    record = new_record()
    journal.add(record, [])
    slept: list[float] = []
    losing.lose = [False, False]

    withdrawals(losing, slept.append).later(record)

    assert slept == list(DELAYS_S[:3])
    assert journal.load(record.invocation.id) is None
    assert [key for key, _ in all_rows(store) if key == record.invocation.id] == []


def test_what_somebody_has_changed_since_stays(store: EntityStore) -> None:
    journal = Journal(store, new_id=new_id)
    record = new_record()
    loaded = journal.add(record, [])
    journal.save(loaded, advance(record, Canceled(), START), [])

    withdrawals(store, lambda _: None).later(record)

    kept = journal.load(record.invocation.id)
    assert kept is not None
    assert kept.record.invocation.state is State.COMPLETED


def test_what_was_never_stored_needs_no_withdrawal(store: EntityStore) -> None:
    journal = Journal(store, new_id=new_id)

    journal.withdraw(new_record())

    assert all_rows(store) == []


class Unreadable(Around):
    """A store that can be written, and is read no more once it is told so."""

    def __init__(self, store: EntityStore) -> None:
        super().__init__(store)
        self.is_away = False
        self.get = self._get

    def _get(self, partition_key: str, row_key: str) -> Entity | None:
        if self.is_away:
            raise StoreUnavailableError("InvokeStorage", "it is away")
        return self.inner.get(partition_key, row_key)


def test_a_reply_that_cannot_be_held_tells_of_the_request_that_was_sent(
    store: EntityStore, target: Target
) -> None:
    unreadable = Unreadable(store)
    service = make_service(unreadable, url=target.url, now=Clock())

    def reply(_: Received) -> Reply:
        unreadable.is_away = True
        return Reply()

    target.reply = reply

    view = service.run(replace(call(waitForCompletion="true"), wait_s=60))

    assert view.invocation.state is State.IN_PROGRESS
    assert view.invocation.response is not None
    assert len(target.received) == 1


def test_a_stored_end_is_told_though_its_variables_cannot_be_read(
    store: EntityStore, target: Target
) -> None:
    """Told from the answer alone it would be another end than the one that is stored."""
    around = Around(store)
    service = make_service(around, url=target.url, now=Clock())

    def fail(*_: object, **__: object) -> list[Entity]:
        raise StoreUnavailableError("InvokeStorage", "it is away")

    def reply(received: Received) -> Reply:
        plan_id = received.header("PlanId") or ""
        loaded = service.journal.load(plan_id)
        assert loaded is not None
        service.journal.append(loaded, head=replace(loaded.head, variables=1))
        service.transitions.apply(plan_id, TaskCompleted(Result.SUCCEEDED))
        around.read = fail
        return Reply(status=500)

    target.reply = reply

    view = service.run(call(waitForCompletion="true"))

    assert view.invocation.result is Result.SUCCEEDED
    assert [issue for issue in view.invocation.issues if "not stored" in issue.message] == []


class TakenOver(Around):
    """A store in which an invocation begins right after one of the same id was withdrawn."""

    def __init__(self, store: EntityStore, begin: Callable[[], object]) -> None:
        super().__init__(store)
        self._begin: Callable[[], object] | None = begin

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        etags = self.inner.write(partition_key, changes)
        begin, self._begin = self._begin, None
        if begin is not None:
            begin()
        return etags


def test_who_takes_the_key_over_right_after_loses_nothing(store: EntityStore) -> None:
    journal = Journal(store, new_id=new_id)
    record = new_record()
    journal.add(record, [LogEntry(text="refused")])
    taken = replace(record, content="taken over")
    over = TakenOver(store, lambda: journal.add(taken, [LogEntry(text="begun")], step=b"step"))

    Journal(over, new_id=new_id).withdraw(record)

    kept = journal.load(record.invocation.id)
    assert kept is not None
    assert kept.record == taken
    assert log_of(journal, record.invocation.id) == ["begun"]
    assert journal.step(record.invocation.id) == b"step"
