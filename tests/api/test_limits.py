"""Limits of connections, as callers meet them (contract, section 7, ``limits``)."""

from __future__ import annotations

import threading
from time import monotonic, sleep
from typing import TYPE_CHECKING

from tests.api.conftest import demo_connections, make_client
from tests.api.target import Received, Reply

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.conftest import Answered, Client
    from tests.api.target import Target


def limited(root: Path, target: Target, **limits: int) -> Client:
    return make_client(root, demo_connections(target.url, limits=limits))


def test_a_call_beyond_concurrency_is_refused_and_neither_stored_nor_sent(
    target: Target, tmp_path: Path
) -> None:
    arrived, leave = threading.Event(), threading.Event()

    def holds(_: Received) -> Reply:
        arrived.set()
        leave.wait(10)
        return Reply()

    target.reply = holds
    client = limited(tmp_path, target, concurrency=1)
    first: list[Answered] = []
    caller = threading.Thread(target=lambda: first.append(client.step(method="GET")))
    caller.start()
    assert arrived.wait(10)

    refused = client.step(method="GET")

    leave.set()
    caller.join()
    after = client.step(method="GET")
    listed = client.get("api/invocations").json["value"]
    assert (refused.status, refused.json["code"]) == (429, "tooManyRequests")
    assert "limits.concurrency" in refused.json["detail"]
    assert refused.headers["Retry-After"] == "2"
    assert [first[0].status, after.status] == [200, 200]
    assert len(target.received) == len(listed) == 2


def test_a_call_beyond_per_minute_is_told_when_to_come_again(
    target: Target, tmp_path: Path
) -> None:
    client = limited(tmp_path, target, perMinute=2)

    answers = [client.step(method="GET") for _ in range(3)]

    assert [answered.status for answered in answers] == [200, 200, 429]
    assert 55 <= int(answers[2].headers["Retry-After"]) <= 60
    assert len(target.received) == 2


def test_a_replayed_call_is_not_counted(target: Target, tmp_path: Path) -> None:
    client = limited(tmp_path, target, perMinute=2)
    step = {"inputs": {"serviceConnection": "demo", "method": "GET"}}

    answers = [client.post(step, headers={"Idempotency-Key": "same"}) for _ in range(2)]
    other = client.step(method="GET")

    assert [answered.status for answered in [*answers, other]] == [200, 200, 200]
    assert len(target.received) == 2


def test_an_invocation_that_is_held_takes_no_place_of_its_connection(
    target: Target, tmp_path: Path
) -> None:
    client = limited(tmp_path, target, concurrency=1)
    held: list[Answered] = []
    step = {"inputs": {"serviceConnection": "demo", "waitForCompletion": "true"}}
    caller = threading.Thread(
        target=lambda: held.append(client.post(step, headers={"Prefer": "wait=30"}))
    )
    caller.start()
    status, until = 429, monotonic() + 10
    while status == 429 and monotonic() < until:
        # The first reply is held from the moment its exchange has ended.
        status = client.step(method="GET").status if target.received else 429
        sleep(0.01)

    still_held = not held
    (waiting,) = client.get("api/invocations", query={"state": "inProgress"}).json["value"]
    client.cancel(waiting["id"])
    caller.join()
    assert (status, still_held) == (200, True)
    assert held[0].status == 424
