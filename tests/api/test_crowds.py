"""In a crowd, nobody's wait is anybody else's: nothing is waited for in a turn.

Who waited in one would hold each of the others up for half a second (``turns``).
"""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

from invoke_core.turns import PATIENCE_S
from tests.api.conftest import demo_connections, make_client
from tests.api.target import Reply, Target
from tests.azurite import connection_string, port_of
from tests.credentials.conftest import CLIENT_SECRET, Issuer, client_credentials

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.conftest import Answered, Client
    from tests.api.target import Received

AT_ONCE = 8
STEP = {"inputs": {"serviceConnection": "demo"}}
SOON_S = PATIENCE_S * 0.8


class Arrivals:
    """Notes when each request arrives, and answers it after a while."""

    def __init__(self, target: Target, *, reply_s: float = 0.0) -> None:
        self.at: list[float] = []
        self._reply_s = reply_s
        target.reply = self._reply

    def _reply(self, _: Received) -> Reply:
        self.at.append(time.monotonic())
        time.sleep(self._reply_s)
        return Reply()


def test_requests_of_a_crowd_reach_a_slow_target_at_once(client: Client, target: Target) -> None:
    client.step()
    arrivals = Arrivals(target, reply_s=2)

    def call(_: int) -> Answered:
        return client.step()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(call, range(AT_ONCE)))

    assert [one.status for one in answers] == [200] * AT_ONCE
    assert len(arrivals.at) == AT_ONCE
    assert max(arrivals.at) - min(arrivals.at) < SOON_S


def test_who_waits_for_the_store_holds_nobody_up(tmp_path: Path, target: Target) -> None:
    path = tmp_path / "invoke.db"
    client = make_client(tmp_path, demo_connections(target.url), InvokeStorage=f"sqlite:///{path}")
    client.step()
    arrivals = Arrivals(target)
    with ThreadPoolExecutor(2) as pool, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        # It is stored before it is sent.
        first = pool.submit(client.step, waitForCompletion=True)
        time.sleep(0.2)
        asked_at = time.monotonic()
        second = pool.submit(client.step)
        time.sleep(1)
        other.rollback()
        statuses = [first.result().status, second.result().status]

    assert statuses == [202, 200]
    assert arrivals.at[0] - asked_at < SOON_S
    # Not for want of a wait: the first request was sent once the store was free.
    assert arrivals.at[1] - asked_at > 1


def test_who_waits_for_the_queue_holds_nobody_up(
    tmp_path: Path, target: Target, azurite_connection: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        account = connection_string(port_of(azurite_connection), queue_port=silent.getsockname()[1])
        client = make_client(tmp_path, demo_connections(target.url), InvokeStorage=account)
        client.step()
        arrivals = Arrivals(target)
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(client.post, STEP, headers={"Prefer": "respond-async"})
            queue, _ = silent.accept()
            asked_at = time.monotonic()
            second = pool.submit(client.step)
            time.sleep(1)
            still_waits = not first.done()
            queue.close()
            silent.close()
            statuses = [first.result().status, second.result().status]

    assert still_waits
    assert statuses == [503, 200]
    assert arrivals.at[0] - asked_at < SOON_S


def test_who_waits_for_a_token_holds_nobody_up(tmp_path: Path, target: Target) -> None:
    arrivals = Arrivals(target)
    ends = threading.Event()
    with Target() as server:
        issuer = Issuer(server)
        connections = demo_connections(target.url) | {
            "fetched": {
                **demo_connections(target.url)["demo"],  # type: ignore[dict-item]  # it is a dict
                "auth": client_credentials(issuer.url),
            }
        }
        client = make_client(tmp_path, connections, CLIENT_SECRET=CLIENT_SECRET)
        client.step()

        def stall(_: Received) -> None:
            ends.wait(10)

        issuer.refuse = stall
        with ThreadPoolExecutor(4) as pool:
            # One of them fetches the token, and the others wait for it.
            waiting = [pool.submit(client.step, serviceConnection="fetched") for _ in range(3)]
            time.sleep(0.3)
            asked_at = time.monotonic()
            plain = pool.submit(client.step).result()
            arrived_after_s = arrivals.at[1] - asked_at
            ends.set()
            statuses = [one.result().status for one in waiting]

    assert plain.status == 200
    assert arrived_after_s < SOON_S
    assert statuses == [200] * 3
    assert len(issuer.issued) == 1
