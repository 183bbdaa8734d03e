"""Storage transactions of what waits, counted as the requests that reach table and queue.

Source: design, "State" (cost is a feature) and "Work that outlives the call".
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from invoke_core.adapters.queue_requests import QueueRequests
from invoke_core.adapters.queues import AlarmQueue
from invoke_core.adapters.tables import TablesStore
from invoke_core.alarms import Alarm, DueIndex, QueueAlarms
from invoke_core.model import Secret, StorageAccount
from tests.api.conftest import Client, demo_connections, make_app
from tests.api.target import Reply
from tests.azurite import connection_string, port_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from invoke_core.wiring import App
    from tests.api.conftest import Answered
    from tests.api.target import Target
    from tests.azurite import Azurite
    from tests.counting import Counted

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
WAITING = 1000

LEASE = 1
"""A lease of a minute may be a message or a row; where it may be a row, its removal is tried."""


@pytest.fixture
def account(azurite_connection: str, azurite_queues: Azurite) -> str:
    return connection_string(port_of(azurite_connection), queue_port=azurite_queues.port)


@pytest.fixture
def alarms(account: str, counted: Counted) -> Iterator[tuple[QueueAlarms, QueueRequests]]:
    """Alarms in a table and a queue of their own, which are there already; and the queue."""
    named = StorageAccount("InvokeStorage", Secret(account))
    name = f"q-{uuid4().hex}"
    store = TablesStore(named, threads=8, new_id=lambda: uuid4().hex, table=f"t{uuid4().hex}")
    messages = AlarmQueue(named, threads=8, queue=name)
    received = QueueRequests(named, queue=name, threads=1)
    store.check()
    messages.check()
    counted.requests.clear()
    yield QueueAlarms(DueIndex(store), messages, lambda: datetime.now(UTC)), received
    for opened in (store, messages, received):
        opened.close()


def test_a_thousand_tasks_that_wait_cost_one_query_a_minute(
    alarms: tuple[QueueAlarms, QueueRequests], counted: Counted
) -> None:
    index, queue = alarms
    now = datetime.now(UTC)
    with ThreadPoolExecutor(8) as pool:
        minutes = [5 + n % 600 for n in range(WAITING)]
        list(pool.map(lambda m: index.set(str(uuid4()), now + timedelta(minutes=m)), minutes))
    assert len(counted.requests) == WAITING
    counted.requests.clear()

    for _ in range(3):
        assert index.send_due(until=now + timedelta(minutes=4)) == 0

    assert len(counted.requests) == 3, counted.requests
    assert all("GET" in request for request in counted.requests)
    assert queue.receive(most=32, hide_s=1) == []


def test_what_falls_due_costs_a_message_and_a_removal(
    alarms: tuple[QueueAlarms, QueueRequests], counted: Counted
) -> None:
    index, queue = alarms
    now = datetime.now(UTC)
    index.set("soon", now + timedelta(seconds=61))
    index.set("later", now + timedelta(minutes=5))
    counted.requests.clear()

    assert index.send_due(until=now + timedelta(minutes=4)) == 1
    assert index.send_due(until=now + timedelta(minutes=4)) == 0

    assert len(counted.requests) == 4, counted.requests
    # It is hidden until it is due.
    assert queue.receive(most=32, hide_s=1) == []


@pytest.fixture
def app(account: str, target: Target, tmp_path: Path) -> App:
    """A service over an account whose table and queue are there."""
    made = make_app(tmp_path, demo_connections(target.url), InvokeStorage=account, STATE_KEY=KEY)
    assert Client(made.handlers).get("api/health").status == 200
    return made


def run(app: App, *, prefer: str = "", **more: object) -> Answered:
    inputs = {"serviceConnection": "demo", "method": "GET"}
    headers = {"prefer": prefer} if prefer else {}
    return Client(app.handlers).post({"inputs": inputs, **more}, headers=headers)


def test_a_call_with_retries_that_needs_none_takes_eight_at_most(
    app: App, counted: Counted
) -> None:
    """One of them is the message that would call another process, were this one lost."""
    counted.requests.clear()

    assert run(app, retryCountOnTaskFailure=3).status == 200

    assert 7 <= len(counted.requests) <= 7 + LEASE, counted.requests


def test_a_call_that_is_tried_again_takes_seventeen_at_most(
    app: App, target: Target, counted: Counted
) -> None:
    replies = [Reply(), Reply(b"", 500)]
    target.reply = lambda _: replies.pop()
    counted.requests.clear()

    assert run(app, retryCountOnTaskFailure=3).json["attempts"] == 2

    assert len(counted.requests) <= 15 + 2 * LEASE, counted.requests


def test_a_task_in_the_background_takes_four_and_then_eight_at_most(
    app: App, target: Target, counted: Counted
) -> None:
    """What the host does with the message, to receive and to delete it, comes on top."""
    assert app.background is not None
    counted.requests.clear()

    answered = run(app, prefer="respond-async")

    assert answered.status == 202
    assert len(counted.requests) == 4, counted.requests
    counted.requests.clear()
    now = datetime.now(UTC)
    app.background.runs.ring(Alarm(plan_id=answered.json["id"], at=now, set_at=now))
    assert len(target.received) == 1
    assert 7 <= len(counted.requests) <= 7 + LEASE, counted.requests
