"""Storage transactions, counted as the requests that reach the table service.

Source: design, "State" (cost is a feature). The table itself is made before.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from invoke_core.adapters.tables import TablesStore
from invoke_core.lifecycle import TaskCompleted
from invoke_core.model import Result, Secret, State, StorageAccount
from tests.api.target import Reply
from tests.state.parts import Clock, call, make_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invoke_core.service import InvokeService
    from tests.api.target import Target

# What urllib3 notes of each answer it gets; targets are reached without it.
_EXCHANGE = re.compile(r'^http://127\.0\.0\.1:\d+ "[A-Z]+ \S+ HTTP/1\.1" \d{3} ')


class Counted(logging.Handler):
    """Counts requests to the table service."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.requests: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if _EXCHANGE.match(text):
            self.requests.append(text)


@pytest.fixture
def counted() -> Iterator[Counted]:
    """What was sent to the table service since it was last cleared."""
    logger = logging.getLogger("urllib3.connectionpool")
    level = logger.level
    handler = Counted()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


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
