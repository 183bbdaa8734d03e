"""Processes that stand still for longer than their lease, or whose clocks differ."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from invoke_core.events import Begun
from invoke_core.model import ReasonCode, Result, State
from invoke_core.records import CLOCK_DIFFERENCE
from tests.api.target import Reply
from tests.state.parts import (
    BAD_STATUS,
    EXCHANGE_S,
    START,
    Around,
    Clock,
    alarms_of,
    call,
    later,
    make_service,
    ring_all,
    ring_next,
    with_options,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke_core.ports import Change, EntityStore
    from invoke_core.service import InvokeService, View
    from tests.api.target import Received, Target

KEY = "order-4711"
POST = call(method="POST")
GET = call(method="GET")


class Standing(Around):
    """A store over whose n-th write of a record the process stands still for some minutes."""

    def __init__(self, store: EntityStore, clock: Clock, *, record: int) -> None:
        super().__init__(store)
        self._clock = clock
        self._left = record

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        etags = self.inner.write(partition_key, changes)
        if any(change.row_key == "a.plan" for change in changes):
            self._left -= 1
            if self._left == 0:
                self._clock.go_on(minutes=5)
        return etags


class Late(Around):
    """A store before whose n-th write of a record the process stands still, while alarms ring."""

    def __init__(
        self, store: EntityStore, target: Target, clock: Clock, *, record: int, seconds: float
    ) -> None:
        super().__init__(store)
        self._others = make_service(store, url=target.url, now=clock)
        self._clock = clock
        self._left = record
        self._stands_for = timedelta(seconds=seconds)

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        if any(change.row_key == "a.plan" for change in changes):
            self._left -= 1
            if self._left == 0:
                self._stand()
        return self.inner.write(partition_key, changes)

    def _stand(self) -> None:
        until = self._clock.at + self._stands_for
        while (alarms := alarms_of(self.inner)) and alarms[0].at <= until:
            ring_next(self.inner, self._others, self._clock)
        self._clock.at = until


@pytest.fixture
def clock() -> Clock:
    return Clock()


def standing(store: EntityStore, target: Target, clock: Clock, *, record: int) -> InvokeService:
    return make_service(Standing(store, clock, record=record), url=target.url, now=clock)


def test_a_call_that_others_take_for_lost_is_not_sent(
    store: EntityStore, target: Target, clock: Clock
) -> None:
    service = standing(store, target, clock, record=1)

    view = service.run(call(KEY, method="POST"))

    assert view.invocation.reason is not None
    assert view.invocation.reason.code is ReasonCode.INTERRUPTED
    assert target.received == []


def test_a_call_that_others_take_over_is_sent_by_them_alone(
    store: EntityStore, target: Target, clock: Clock
) -> None:
    service = standing(store, target, clock, record=1)

    view = service.run(with_options(GET, retries=1))
    assert view.invocation.state is State.IN_PROGRESS
    assert target.received == []
    ring_all(store, service, clock)

    ended, _ = service.read(view.invocation.id)
    assert ended.invocation.result is Result.SUCCEEDED
    assert len(target.received) == 1


def test_a_run_that_ended_as_interrupted_is_not_sent(
    store: EntityStore, target: Target, clock: Clock
) -> None:
    # The first write is that of the call, the second the claim of the run.
    service = standing(store, target, clock, record=2)

    view = service.run(later(POST))
    ring_all(store, service, clock)

    ended, _ = service.read(view.invocation.id)
    assert ended.invocation.reason is not None
    assert ended.invocation.reason.code is ReasonCode.INTERRUPTED
    assert target.received == []


@pytest.mark.parametrize("is_async", [False, True])
def test_a_callback_that_nobody_else_sends_is_sent(
    is_async: bool,  # noqa: FBT001  # a parameter of the test
    store: EntityStore,
    target: Target,
    clock: Clock,
) -> None:
    service = standing(store, target, clock, record=2 if is_async else 1)
    task = call(waitForCompletion="true")

    view = service.run(later(task) if is_async else task)
    ring_all(store, service, clock)

    ended, _ = service.read(view.invocation.id)
    assert ended.invocation.state is State.IN_PROGRESS
    assert len(target.received) == 1


def test_a_call_under_way_is_not_taken_for_lost_by_a_clock_that_is_ahead(
    store: EntityStore, target: Target, clock: Clock
) -> None:
    service = make_service(store, url=target.url, now=clock)
    clock_ahead = Clock(clock.at + CLOCK_DIFFERENCE)
    ahead = make_service(store, url=target.url, now=clock_ahead)
    task = call(KEY, method="POST")
    told: list[View] = []

    def reply(_: Received) -> Reply:
        # As late as an exchange may be.
        clock_ahead.go_on(seconds=EXCHANGE_S)
        told.append(ahead.run(task))
        return Reply()

    target.reply = reply

    view = service.run(task)

    assert [one.invocation.state for one in told] == [State.IN_PROGRESS]
    assert view.invocation.result is Result.SUCCEEDED


def test_a_task_whose_alarm_is_over_before_it_is_stored_is_sent(
    store: EntityStore, target: Target, clock: Clock
) -> None:
    late = Late(store, target, clock, record=1, seconds=120)
    service = make_service(late, url=target.url, now=clock)

    view = service.run(later(POST))
    ring_all(store, service, clock)

    ended, _ = service.read(view.invocation.id)
    assert ended.invocation.result is Result.SUCCEEDED
    assert len(target.received) == 1


def test_a_retry_whose_alarm_is_over_before_it_is_stored_is_sent(
    store: EntityStore, target: Target, clock: Clock
) -> None:
    service = make_service(store, url=target.url, now=clock)
    plan_id = service.run(later(GET, retries=1)).invocation.id
    service.transitions.apply(plan_id, Begun(holder="run", lease=timedelta(minutes=4)))
    late = Late(store, target, clock, record=1, seconds=120)

    make_service(late, url=target.url, now=clock).transitions.apply(
        plan_id, replace(BAD_STATUS, holder="run")
    )
    ring_next(store, service, clock)

    assert clock.at < START + timedelta(minutes=3)
    ended, _ = service.read(plan_id)
    assert ended.invocation.result is Result.SUCCEEDED
    assert len(target.received) == 1
