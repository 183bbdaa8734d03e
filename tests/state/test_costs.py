"""Storage transactions, counted as the requests that reach the table service.

Source: design, "State" (cost is a feature). The table itself is made before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from invoke_core.adapters.tables import TablesStore
from invoke_core.alarms import Alarm
from invoke_core.drafts import Call
from invoke_core.events import TaskCompleted
from invoke_core.model import Result, Secret, State, StorageAccount
from tests.api.target import Reply
from tests.state.parts import (
    START,
    Clock,
    call,
    later,
    make_service,
    with_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invoke_core.documents import JsonValue
    from invoke_core.service import InvokeService
    from tests.api.target import Target
    from tests.counting import Counted


@pytest.fixture
def service(azurite_connection: str, target: Target, counted: Counted) -> Iterator[InvokeService]:
    account = StorageAccount("InvokeStorage", Secret(azurite_connection))
    table = f"t{uuid4().hex}"
    store = TablesStore(account, threads=4, new_id=lambda: uuid4().hex, table=table)
    store.check()
    counted.requests.clear()
    yield make_service(store, url=target.url, now=Clock())
    store.close()


def test_each_request_is_counted(service: InvokeService, counted: Counted) -> None:
    service.journal.load(str(uuid4()))
    service.journal.load(str(uuid4()))

    assert len(counted.requests) == 2


def test_a_plain_call_takes_two(service: InvokeService, counted: Counted) -> None:
    view = service.run(call(body="x"))

    assert view.invocation.result is Result.SUCCEEDED
    assert len(counted.requests) == 2, counted.requests


def test_a_call_with_a_key_takes_seven(service: InvokeService, counted: Counted) -> None:
    view = service.run(call("key-1", body="x"))

    assert view.invocation.result is Result.SUCCEEDED
    assert len(counted.requests) == 7, counted.requests


def test_a_replay_takes_three(service: InvokeService, counted: Counted) -> None:
    service.run(call("key-1"))
    counted.requests.clear()

    assert service.run(call("key-1")).is_replay
    assert len(counted.requests) == 3, counted.requests


def test_a_callback_with_its_event_and_one_reading_takes_nine(
    service: InvokeService, target: Target, counted: Counted
) -> None:
    target.reply = lambda _: Reply(status=202)

    begun = service.run(call(waitForCompletion="true"))
    read, _ = service.read(begun.invocation.id)
    ended = service.transitions.apply(begun.invocation.id, TaskCompleted(Result.SUCCEEDED))

    assert begun.invocation.state is read.invocation.state is State.IN_PROGRESS
    assert ended.record.invocation.result is Result.SUCCEEDED
    assert len(counted.requests) == 9, counted.requests


def test_a_call_with_retries_takes_eight(service: InvokeService, counted: Counted) -> None:
    view = service.run(with_options(call(body="x"), retries=3))

    assert view.invocation.result is Result.SUCCEEDED
    assert len(counted.requests) == 8, counted.requests


def test_a_call_that_is_not_waited_for_takes_four_and_its_run_nine(
    service: InvokeService, counted: Counted
) -> None:
    plan_id = service.run(later(call(body="x"))).invocation.id
    assert len(counted.requests) == 4, counted.requests
    counted.requests.clear()

    service.runs.ring(Alarm(plan_id=plan_id, at=START, set_at=START))

    assert len(counted.requests) == 9, counted.requests
    assert service.read(plan_id)[0].invocation.result is Result.SUCCEEDED


def test_a_try_that_fails_takes_eight(
    service: InvokeService, target: Target, counted: Counted
) -> None:
    target.reply = lambda _: Reply(status=503)
    plan_id = service.run(later(call(body="x"), retries=3)).invocation.id
    counted.requests.clear()

    service.runs.ring(Alarm(plan_id=plan_id, at=START, set_at=START))

    assert len(counted.requests) == 8, counted.requests
    assert service.read(plan_id)[0].invocation.state is State.IN_PROGRESS


def test_an_evaluation_of_a_gate_takes_eight_half_of_them_for_its_alarms(
    service: InvokeService, target: Target, counted: Counted
) -> None:
    target.reply = lambda _: Reply(status=503)
    step: JsonValue = {"inputs": {"serviceConnection": "demo"}, "gate": {}}
    gate = service.run(Call(document=step, caller="local")).invocation
    alarm = Alarm(plan_id=gate.id, at=gate.created_at, set_at=gate.created_at)
    counted.requests.clear()

    service.runs.ring(alarm)

    requests = [*counted.requests]
    evaluated, _ = service.read(gate.id)
    assert len(evaluated.invocation.evaluations) == 1
    assert len(requests) == 8, requests
    assert len([each for each in requests if "PartitionKey='due-" in each]) == 4, requests


def test_a_gate_takes_four_and_nine_with_the_evaluation_that_passes_it(
    service: InvokeService, counted: Counted
) -> None:
    step: JsonValue = {"inputs": {"serviceConnection": "demo"}, "gate": {}}
    gate = service.run(Call(document=step, caller="local")).invocation
    assert len(counted.requests) == 4, counted.requests
    counted.requests.clear()

    service.runs.ring(Alarm(plan_id=gate.id, at=gate.created_at, set_at=gate.created_at))

    assert len(counted.requests) == 9, counted.requests
    ended, _ = service.read(gate.id)
    assert ended.invocation.result is Result.SUCCEEDED
