"""Idempotency keys: one key, caller, connection and content send one request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from invoke_core.errors import IdempotencyConflictError, InvalidInputError, PolicyError
from invoke_core.events import TaskCompleted
from invoke_core.model import Result, State
from tests.api.target import Reply
from tests.state.parts import (
    START,
    Around,
    Clock,
    DiedError,
    DyingStore,
    all_rows,
    call,
    make_service,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.ports import Entity, EntityStore
    from invoke_core.service import InvokeService
    from tests.api.target import Target

KEY = "order-4711-rather-unusual"
BODY = '{"item": "a very particular body"}'


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(store: EntityStore, target: Target, clock: Clock) -> InvokeService:
    return make_service(store, url=target.url, now=clock)


def test_the_same_call_again_returns_the_first_invocation(
    service: InvokeService, target: Target
) -> None:
    first = service.run(call(KEY, body=BODY))
    again = service.run(call(KEY, body=BODY))

    assert not first.is_replay
    assert again.is_replay
    assert again.invocation == first.invocation
    assert first.invocation.state is State.COMPLETED
    assert len(target.received) == 1


def test_a_failed_invocation_is_returned_as_well(service: InvokeService, target: Target) -> None:
    target.reply = lambda _: Reply(status=500)

    first = service.run(call(KEY))
    target.reply = lambda _: Reply(status=200)

    assert service.run(call(KEY)).invocation == first.invocation
    assert first.invocation.result is Result.FAILED
    assert len(target.received) == 1


def test_a_waiting_callback_is_returned_while_it_waits_and_after(
    service: InvokeService, target: Target
) -> None:
    waits = call(KEY, waitForCompletion="true")

    first = service.run(waits)
    waiting = service.run(waits)
    service.transitions.apply(first.invocation.id, TaskCompleted(Result.SKIPPED))
    ended = service.run(waits)

    assert waiting.invocation == first.invocation
    assert waiting.invocation.state is State.IN_PROGRESS
    assert ended.invocation.id == first.invocation.id
    assert ended.invocation.result is Result.SKIPPED
    assert len(target.received) == 1


def test_sixteen_calls_at_once_send_one_request(service: InvokeService, target: Target) -> None:
    barrier = Barrier(16)

    def run(_: int) -> tuple[str, bool]:
        barrier.wait()
        view = service.run(call(KEY, body=BODY))
        return view.invocation.id, view.is_replay

    with ThreadPoolExecutor(16) as threads:
        told = list(threads.map(run, range(16)))

    assert len(target.received) == 1
    assert len({invocation_id for invocation_id, _ in told}) == 1
    assert sorted(is_replay for _, is_replay in told) == [False] + [True] * 15


def test_sixteen_different_calls_at_once_send_one_request(
    service: InvokeService, target: Target
) -> None:
    barrier = Barrier(16)

    def run(number: int) -> str | None:
        barrier.wait()
        try:
            return service.run(call(KEY, body=str(number // 2))).invocation.id
        except IdempotencyConflictError:
            return None

    with ThreadPoolExecutor(16) as threads:
        told = list(threads.map(run, range(16)))

    assert len(target.received) == 1
    sent = int(target.received[0].body)
    (winner,) = {invocation_id for invocation_id in told if invocation_id}
    assert told == [winner if number // 2 == sent else None for number in range(16)]


@pytest.mark.parametrize(
    "other", [{"body": "other"}, {"urlSuffix": "/other"}, {"method": "PUT", "body": BODY}]
)
def test_other_content_under_the_key_is_refused(
    service: InvokeService, target: Target, other: dict[str, str]
) -> None:
    service.run(call(KEY, body=BODY))

    with pytest.raises(IdempotencyConflictError):
        service.run(call(KEY, **other))

    assert len(target.received) == 1


def test_names_aliases_preferences_and_tracing_are_no_content(
    service: InvokeService, target: Target
) -> None:
    first = service.run(call(KEY, method="POST", body=BODY))
    written_otherwise = call(KEY, BODY=BODY, genericService="demo", METHOD="POST")
    document: Any = written_otherwise.document
    del document["inputs"]["serviceConnection"]

    again = service.run(
        replace(written_otherwise, wait_s=1.0, trace={"traceparent": "00-" + "1" * 32})
    )

    assert again.is_replay
    assert again.invocation.id == first.invocation.id
    assert len(target.received) == 1


@pytest.mark.parametrize(
    ("key", "caller", "connection"),
    [
        (KEY + "2", "local", "demo"),
        (KEY.upper(), "local", "demo"),
        (KEY, "key:0123", "demo"),
        (KEY, "local", "other"),
    ],
)
def test_another_key_caller_or_connection_has_an_invocation_of_its_own(
    service: InvokeService, target: Target, key: str, caller: str, connection: str
) -> None:
    first = service.run(call(KEY))

    other = service.run(call(key, caller=caller, serviceConnection=connection))

    assert not other.is_replay
    assert other.invocation.id != first.invocation.id
    assert len(target.received) == 2


def test_a_refused_call_does_not_use_up_its_key(
    store: EntityStore, service: InvokeService, target: Target
) -> None:
    with pytest.raises(InvalidInputError):
        service.run(call(KEY, method="FETCH"))
    with pytest.raises(PolicyError):
        service.run(call(KEY, urlSuffix="/../x"))
    assert all_rows(store) == []

    assert not service.run(call(KEY)).is_replay
    assert len(target.received) == 1


def test_a_key_stands_for_a_day_after_the_end(
    service: InvokeService, target: Target, clock: Clock
) -> None:
    waits = call(KEY, waitForCompletion="true", urlSuffix="/1")
    first = service.run(waits)
    clock.go_on(minutes=30)
    service.transitions.apply(first.invocation.id, TaskCompleted(Result.SUCCEEDED))

    clock.go_on(hours=24, milliseconds=-1)
    assert service.run(waits).invocation.id == first.invocation.id
    clock.go_on(milliseconds=1)
    later = service.run(replace(waits, document=call(urlSuffix="/2").document))

    assert not later.is_replay
    assert later.invocation.id != first.invocation.id
    assert [request.path for request in target.received] == ["/1", "/2"]
    assert service.read(first.invocation.id)[0].invocation.result is Result.SUCCEEDED
    with pytest.raises(IdempotencyConflictError):
        service.run(waits)


def test_a_key_that_nobody_freed_is_taken_over_once(
    service: InvokeService, target: Target, clock: Clock
) -> None:
    first = service.run(call(KEY))
    clock.go_on(hours=25)
    barrier = Barrier(8)

    def run(_: int) -> str:
        barrier.wait()
        return service.run(call(KEY)).invocation.id

    with ThreadPoolExecutor(8) as threads:
        told = set(threads.map(run, range(8)))

    assert len(told) == 1
    assert told != {first.invocation.id}
    assert len(target.received) == 2


@pytest.mark.parametrize(
    ("at_write", "done"), [(1, True), (2, False), (2, True), (3, False), (3, True), (4, False)]
)
def test_a_claim_whose_process_died_before_its_invocation_is_taken_over(
    store: EntityStore, target: Target, clock: Clock, *, at_write: int, done: bool
) -> None:
    dying = DyingStore(store, at_write=at_write, done=done)
    with pytest.raises(DiedError):
        make_service(dying, url=target.url, now=clock).run(call(KEY, body="1"))
    assert target.received == []
    clock.go_on(seconds=1)

    # Nothing was sent under the key, so it does not stand for that content either.
    service = make_service(store, url=target.url, now=clock)
    view = service.run(call(KEY, body="2"))

    claimed = {
        entity.value for partition, entity in all_rows(store) if partition.startswith("key-")
    }
    assert [view.invocation.id.encode() in value for value in claimed] == [True]
    assert not view.is_replay
    assert [request.body for request in target.received] == [b"2"]
    assert service.run(call(KEY, body="2")).is_replay


def test_a_dangling_claim_is_taken_over_under_its_own_id(
    store: EntityStore, target: Target, clock: Clock
) -> None:
    with pytest.raises(DiedError):
        make_service(DyingStore(store, at_write=1, done=True), url=target.url, now=clock).run(
            call(KEY)
        )
    ((_, claim),) = all_rows(store)

    view = make_service(store, url=target.url, now=clock).run(call(KEY))

    assert view.invocation.id.encode() in claim.value


class Interrupting(Around):
    """A store that lets something happen once, right after the reading of an absent plan."""

    def __init__(self, store: EntityStore) -> None:
        super().__init__(store)
        self.then: Callable[[], object] | None = None
        self.get = self.get_then

    def get_then(self, partition_key: str, row_key: str) -> Entity | None:
        row = self.inner.get(partition_key, row_key)
        if self.then is not None and row is None:
            then, self.then = self.then, None
            then()
        return row


class Stopping(Around):
    """A store that lets something happen before its n-th write."""

    def __init__(self, store: EntityStore, *, at_write: int, first: Callable[[], object]) -> None:
        super().__init__(store)
        self._left = at_write
        self._first = first

    def write(self, partition_key: str, changes: Any) -> list[str]:  # noqa: ANN401
        self._left -= 1
        if self._left == 0:
            self._first()
        return self.inner.write(partition_key, changes)


@pytest.mark.parametrize("other_body", ["1", "2"])
def test_a_slow_first_call_and_one_that_takes_over_send_one_request(
    store: EntityStore, target: Target, clock: Clock, other_body: str
) -> None:
    """The first claims and stops; a second finds nothing stored; then the first goes on."""
    second_store = Interrupting(store)
    second = make_service(second_store, url=target.url, now=clock)
    outcomes: list[object] = []

    def the_second_runs() -> None:
        try:
            outcomes.append(second.run(call(KEY, body=other_body)).invocation.id)
        except IdempotencyConflictError:
            outcomes.append("refused")

    with ThreadPoolExecutor(1) as threads:
        first_may_go_on = Barrier(2)
        second_may_go_on = Barrier(2)

        def hold_the_second() -> None:
            first_may_go_on.wait(10)
            second_may_go_on.wait(10)

        second_store.then = hold_the_second

        def start_the_second() -> None:
            started.append(threads.submit(the_second_runs))
            first_may_go_on.wait(10)

        started: list[Any] = []
        first_store = Stopping(store, at_write=2, first=start_the_second)
        first = make_service(first_store, url=target.url, now=clock)
        view = first.run(call(KEY, body="1"))
        second_may_go_on.wait(10)
        started[0].result(10)

    assert len(target.received) == 1
    assert outcomes == [view.invocation.id if other_body == "1" else "refused"]
    again = make_service(store, url=target.url, now=clock)
    assert again.run(call(KEY, body="1")).invocation.id == view.invocation.id


def test_a_call_whose_process_died_while_it_ran_is_interrupted_and_stays_so(
    store: EntityStore, target: Target, clock: Clock
) -> None:
    # Claim, two index rows and the record are written; the outcome is not.
    dying = DyingStore(store, at_write=5, done=False)
    with pytest.raises(DiedError):
        make_service(dying, url=target.url, now=clock).run(call(KEY))
    service = make_service(store, url=target.url, now=clock)

    running = service.run(call(KEY))
    clock.go_on(seconds=60)
    interrupted = service.run(call(KEY))
    clock.go_on(hours=23)
    again = service.run(call(KEY))

    assert running.invocation.state is State.IN_PROGRESS
    assert interrupted.invocation.reason is not None
    assert interrupted.invocation.reason.code == "interrupted"
    assert interrupted.invocation.finished_at == START + timedelta(seconds=60)
    assert again.invocation == interrupted.invocation
    assert running.is_replay
    assert interrupted.is_replay
    assert len(target.received) == 1


def test_neither_the_key_nor_what_was_asked_is_readable_in_the_store(
    store: EntityStore, service: InvokeService
) -> None:
    service.run(call(KEY, body=BODY))

    rows = all_rows(store)
    assert any(partition.startswith("key-") for partition, _ in rows)
    for partition, entity in rows:
        text = f"{partition} {entity.row_key}".encode() + entity.value
        assert KEY.encode() not in text
        assert b"particular" not in text


def test_a_key_whose_invocation_is_being_forgotten_gets_a_new_one(
    store: EntityStore, service: InvokeService, target: Target, clock: Clock
) -> None:
    """The claim is read, then all is removed, then the invocation is looked for."""
    first = service.run(call(KEY))
    clock.go_on(days=33)

    class Forgotten(Around):
        def __init__(self) -> None:
            super().__init__(store)
            self.get = self.forget_then_get

        def forget_then_get(self, partition_key: str, row_key: str) -> Entity | None:
            if partition_key == first.invocation.id:
                service.listing.forget(until=clock.at + timedelta(minutes=1))
            return self.inner.get(partition_key, row_key)

    second = make_service(Forgotten(), url=target.url, now=clock).run(call(KEY))

    # Under the old id it could be caught by what is left of the removal.
    assert second.invocation.id != first.invocation.id
    assert service.run(call(KEY)).invocation == second.invocation
    assert len(target.received) == 2
