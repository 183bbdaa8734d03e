"""A store that is out before the send, and one that fails after it.

Source: HTTP contract, sections 1 and 4.
"""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.conftest import demo_connections, make_client
from tests.api.target import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.conftest import Answered, Client
    from tests.api.target import Received, Target

STORED_FIRST: list[tuple[dict[str, object], dict[str, str]]] = [
    ({"waitForCompletion": True}, {}),
    ({"waitForCompletion": True}, {"Idempotency-Key": "one"}),
    ({}, {"Idempotency-Key": "two"}),
    ({}, {"Prefer": "wait=1"}),
]
"""Inputs and headers of tasks that are stored before they are sent."""


@pytest.fixture
def other(tmp_path: Path, client: Client) -> Iterator[sqlite3.Connection]:
    """Another user of the database, which may lock it."""
    assert client.get("api/health").status == 200
    path = tmp_path / ".data/invoke.db"
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as opened:
        yield opened


@pytest.fixture
def client(target: Target, tmp_path: Path) -> Client:
    return make_client(tmp_path, demo_connections(target.url))


def run(client: Client, asked: tuple[dict[str, object], dict[str, str]]) -> Answered:
    inputs, headers = asked
    return client.post({"inputs": {"serviceConnection": "demo", **inputs}}, headers=headers)


def is_told_as_not_stored(invocation: Any) -> bool:  # noqa: ANN401  # any JSON
    return any("it is not stored" in issue["message"] for issue in invocation["issues"])


def test_where_the_store_is_out_before_the_send_nothing_is_sent(
    client: Client, target: Target, other: sqlite3.Connection
) -> None:
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(len(STORED_FIRST)) as pool:
        answers = list(pool.map(lambda asked: run(client, asked), STORED_FIRST))
    other.execute("ROLLBACK")

    for answered in answers:
        assert (answered.status, answered.json["code"]) == (503, "storeUnavailable")
        assert answered.headers["Content-Type"].startswith("application/problem+json")
        assert int(answered.headers["Retry-After"]) >= 1
    assert target.received == []
    # A refused call does not use up its key.
    assert [run(client, asked).status for asked in STORED_FIRST] == [202, 202, 200, 200]


@pytest.mark.parametrize("status", [200, 500])
def test_a_store_that_fails_after_the_send_leaves_the_outcome_as_it_was(
    status: int, client: Client, target: Target, other: sqlite3.Connection
) -> None:
    asked = [({}, {}), *STORED_FIRST]
    expected = {200: [200, 202, 202, 200, 200], 500: [424] * 5}[status]

    def reply(_: Received) -> Reply:
        # All are stored by the time the last of them is answered.
        if len(target.received) == len(asked):
            other.execute("BEGIN IMMEDIATE")
            locked.set()
        locked.wait(30)
        return Reply(status=status)

    locked = Event()
    target.reply = reply
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda one: run(client, one), asked))
    other.execute("ROLLBACK")

    assert [answered.status for answered in answers] == expected
    for answered in answers:
        assert answered.json["response"]["status"] == status
        assert is_told_as_not_stored(answered.json)
    assert len(target.received) == len(asked)
