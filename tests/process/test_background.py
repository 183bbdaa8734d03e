"""What is due beside calls, done by server processes that share a store, stop, and are killed.

``ALARM_COUNT=500 ALARM_SECONDS=60`` has that many tasks fall due within that many seconds, from
``ALARM_DELAY`` seconds on; ``RETRY_SECONDS=300`` has a task wait so long across a kill;
``KILL_ROUNDS=50`` kills processes that often, with ``KILL_STORE=azurite`` over the emulator. A run
of all tests does with less. ``-s`` shows how late what was due came.

Source: HTTP contract, section 3 ("Retries"); design, "Work that outlives the call".
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pytest

from invoke_core.records import LEASE_GRACE
from tests.api.conftest import demo_connections
from tests.api.target import Received, Reply, Target
from tests.azurite import connection_string, free_port, start_azurite
from tests.process.conftest import running, url_in
from tests.process.test_killed import call, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

ALARM_COUNT: Final = int(os.environ.get("ALARM_COUNT", "60"))
ALARM_SECONDS: Final = float(os.environ.get("ALARM_SECONDS", "8"))
ALARM_DELAY: Final = float(os.environ.get("ALARM_DELAY", "0"))
KILL_STORE: Final = os.environ.get("KILL_STORE", "sqlite")
KILL_ROUNDS: Final = int(os.environ.get("KILL_ROUNDS", "2"))
RETRY_SECONDS: Final = int(os.environ.get("RETRY_SECONDS", "4"))

LONGEST_S: Final = 120
HIDDEN_S: Final = 600 if KILL_STORE == "azurite" else 0
"""A message that a killed host had received is hidden so long, as the host hides it."""
HELD: Final = 20
EXCHANGE_S: Final = 4
LEASE_S: Final = EXCHANGE_S + LEASE_GRACE.total_seconds()


@dataclass
class World:
    """A store, a target, and the server processes that share them."""

    target: Target
    store: str
    settings: dict[str, str]
    ended: ExitStack
    at: dict[str, list[float]] = field(default_factory=dict)
    """When the requests of each item reached the target."""

    def start(self) -> tuple[str, subprocess.Popen[bytes]]:
        """Run one more server process; return where it listens, and it."""
        port = free_port()
        process = start(port, self.settings)
        self.ended.callback(process.wait)
        self.ended.callback(process.kill)
        # One that was stopped only ends once it goes on.
        self.ended.callback(process.send_signal, signal.SIGCONT)
        return f"http://127.0.0.1:{port}", process

    def answer(self, reply: Callable[[Received, int], Reply | None]) -> None:
        """Have the target answer by the request and its number among those of its item."""

        def noted(received: Received) -> Reply | None:
            item = received.header("X-Item") or ""
            times = self.at.setdefault(item, [])
            times.append(time.monotonic())
            return reply(received, len(times))

        self.target.reply = noted

    def sent(self) -> dict[str, int]:
        return {item: len(times) for item, times in self.at.items()}


@contextmanager
def world(store: str, folder: Path, **settings: str) -> Iterator[World]:
    """Make a store of its own: the processes of other tests would take what is due there."""
    with ExitStack() as ended:
        if store == "sqlite":
            setting = f"sqlite:///{folder}/invoke.db"
        else:
            ports = {}
            for kind in ("table", "queue"):
                (folder / kind).mkdir(parents=True)
                azurite = start_azurite(folder / kind, kind=kind)
                ended.callback(azurite.stop)
                ports[kind] = azurite.port
            setting = connection_string(ports["table"], queue_port=ports["queue"])
        target = ended.enter_context(Target())
        given = {
            "SERVICE_CONNECTIONS": json.dumps(demo_connections(target.url)),
            "DEMO_PASSWORD": "some pass word",
            "InvokeStorage": setting,
            "STATE_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            **settings,
        }
        yield World(target, store, given, ended)


@pytest.fixture(params=["sqlite", "azurite"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with world(request.param, tmp_path) as made:
        yield made


def run(
    url: str, item: str, *, method: str = "GET", retries: int = 0, prefer: str = ""
) -> tuple[int | None, Any]:
    """Run a task whose requests carry the name of an item."""
    sent = {"X-Item": item, "PlanId": "$(system.PlanId)"}
    inputs = {"serviceConnection": "demo", "method": method, "headers": sent}
    step = {"inputs": inputs, "retryCountOnTaskFailure": retries}
    headers = {"Prefer": prefer} if prefer else {}
    return call("POST", f"{url}/api/invocations", json.dumps(step).encode(), headers)


def until_ended(url: str, plan: str, *, longest_s: float = LONGEST_S) -> tuple[int | None, Any]:
    give_up_at = time.monotonic() + longest_s
    while True:
        status, body = call("GET", f"{url}/api/invocations/{plan}", None, {"Prefer": "wait=15"})
        if status not in {202, None}:
            return status, body
        assert time.monotonic() < give_up_at, body
        time.sleep(0.05)


def wait_for(condition: Callable[[], bool], *, longest_s: float = LONGEST_S) -> None:
    give_up_at = time.monotonic() + longest_s
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def note(text: str) -> None:
    sys.stdout.write(text + "\n")


def test_each_thing_due_is_done_once_and_none_is_forgotten(shared: World) -> None:
    urls = [shared.start()[0] for _ in range(2)]
    half = ALARM_COUNT // 2
    pause_s = {
        f"retry-{n}": max(1, round(ALARM_DELAY + ALARM_SECONDS * n / half)) for n in range(half)
    }
    asked_at: dict[str, float] = {}

    def reply(received: Received, number: int) -> Reply:
        told_s = pause_s.get(received.header("X-Item") or "")
        if told_s is None or number > 1:
            return Reply()
        return Reply(b"busy", 503, {"Retry-After": str(told_s)})

    def begin(n: int) -> tuple[str, str]:
        item = f"retry-{n}"
        status, body = run(urls[n % 2], item, retries=1, prefer="wait=0")
        # On a busy machine, the shortest pause is over before the answer is made.
        assert status in {200, 202}, body
        return item, body["id"]

    def begin_beside(n: int) -> tuple[str, str]:
        item = f"async-{n}"
        time.sleep(max(0.0, started + ALARM_SECONDS * n / half - time.monotonic()))
        asked_at[item] = time.monotonic()
        status, body = run(urls[n % 2], item, prefer="respond-async")
        assert (status, body["state"]) == (202, "pending"), body
        return item, body["id"]

    shared.answer(reply)
    with ThreadPoolExecutor(8) as pool, ThreadPoolExecutor(8) as beside:
        started = time.monotonic()
        later = beside.map(begin_beside, range(half))
        plans = dict(pool.map(begin, range(half)))
        plans |= dict(later)
        longest_s = LONGEST_S + ALARM_SECONDS + ALARM_DELAY
        found = pool.map(
            lambda item: (item, until_ended(urls[0], plans[item], longest_s=longest_s)), plans
        )
        ended = dict(found)

    wrong = {
        item: body
        for item, (status, body) in ended.items()
        if (status, body["attempts"]) != (200, 2 if item in pause_s else 1)
    }
    assert wrong == {}
    assert shared.sent() == {item: 2 if item in pause_s else 1 for item in plans}
    assert len(plans) == 2 * half
    late = [shared.at[item][1] - shared.at[item][0] - told_s for item, told_s in pause_s.items()]
    late_beside = [shared.at[item][0] - at for item, at in asked_at.items()]
    assert min(late) >= 0
    for what, seconds in (("retries", late), ("respond-async", late_beside)):
        ordered = sorted(seconds)
        p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
        note(f"{shared.store} {what}: {len(ordered)}, late by p50 {p50:.2f} s, p99 {p99:.2f} s")


def test_a_retry_survives_the_process_that_promised_it(shared: World) -> None:
    url, process = shared.start()
    shared.answer(
        lambda _, number: (
            Reply(b"busy", 503, {"Retry-After": str(RETRY_SECONDS)}) if number == 1 else Reply()
        )
    )
    status, body = run(url, "one", retries=1, method="POST", prefer="wait=0")
    assert (status, body["state"]) == (202, "inProgress")

    process.kill()
    process.wait()
    url, _ = shared.start()
    status, ended = until_ended(url, body["id"], longest_s=LONGEST_S + RETRY_SECONDS)

    assert (status, ended["result"], ended["attempts"]) == (200, "succeeded", 2)
    first, second = shared.at["one"]
    note(f"{shared.store}: late by {second - first - RETRY_SECONDS:.2f} s")
    assert 0 <= second - first - RETRY_SECONDS < 20


def test_a_retry_within_a_call_is_taken_over_where_its_process_is_lost(shared: World) -> None:
    other_url, _ = shared.start()
    url, process = shared.start()
    shared.answer(
        lambda _, number: Reply(b"busy", 503, {"Retry-After": "2"}) if number == 1 else Reply()
    )
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(run, url, "one", method="POST", retries=1)
        wait_for(lambda: shared.sent() == {"one": 1})
        plan = shared.target.received[0].header("PlanId") or ""
        # Until the first answer is written down, the request counts as under way.
        wait_for(lambda: call("GET", f"{url}/api/invocations/{plan}", None, {})[1]["response"])
        process.kill()
        process.wait()
        assert answer.result() == (None, None)

    status, ended = until_ended(other_url, plan)

    assert (status, ended["result"], ended["attempts"]) == (200, "succeeded", 2)
    first, second = shared.at["one"]
    # The lost process had it to itself for some seconds more than the target asked for.
    assert 2 <= second - first < 15
    assert shared.sent() == {"one": 2}


def test_a_server_that_is_told_to_stop_finishes_what_it_sends(shared: World) -> None:
    url, process = shared.start()
    going_on = threading.Event()

    def reply(_: Received, number: int) -> Reply:
        assert number == 1
        going_on.wait(30)
        return Reply()

    shared.answer(reply)
    _, body = run(url, "one", method="POST", prefer="respond-async")
    wait_for(lambda: shared.sent() == {"one": 1})

    process.terminate()
    # Nobody can connect any more once it has begun to stop.
    wait_for(lambda: call("GET", f"{url}/api/health", None, {})[0] is None)
    assert process.poll() is None
    going_on.set()

    assert process.wait(20) == 0
    url, _ = shared.start()
    status, ended = until_ended(url, body["id"])
    assert (status, ended["result"], ended["attempts"]) == (200, "succeeded", 1)
    assert shared.sent() == {"one": 1}


def test_a_server_whose_queue_is_down_starts_and_says_so_once(tmp_path: Path) -> None:
    azurite = start_azurite(tmp_path)
    account = connection_string(azurite.port, queue_port=free_port())
    arguments = ["serve", "--port", "0"]
    settings = {"InvokeStorage": account}
    with running("invoke_core", arguments, settings=settings, until="Listening") as (
        process,
        lines,
    ):
        url = url_in(lines)
        status, problem = call("GET", f"{url}/api/health", None, {})
        # Long enough for several looks at each queue.
        time.sleep(4)
        process.terminate()
        assert process.wait(20) == 0
    azurite.stop()

    assert (status, problem["code"]) == (503, "storeUnavailable")
    said = [line for line in lines if "tried again and again" in line]
    assert sorted(line.split("'")[1] for line in said) == ["invoke-alarms", "invoke-alarms-poison"]
    assert all("InvokeStorage" in line for line in said)
    assert len(lines) < 12, lines


def test_what_a_killed_process_was_at_is_taken_over_within_the_lease(tmp_path: Path) -> None:
    """Both stores in one test: most of it is waiting, which can be done at once."""
    with ExitStack() as made:
        settings = {"API_RESPONSE_TIMEOUT_SECONDS": str(EXCHANGE_S)}
        worlds = [
            made.enter_context(world(store, tmp_path / store, **settings))
            for store in ("sqlite", "azurite")
        ]
        with ThreadPoolExecutor(2) as pool:
            urls = list(pool.map(_kill_one_that_holds, worlds))
            list(pool.map(_see_all_taken_over, worlds, urls))


def test_processes_that_are_killed_at_any_moment_forget_nothing(tmp_path: Path) -> None:
    with world(KILL_STORE, tmp_path / "world", API_RESPONSE_TIMEOUT_SECONDS="1") as shared:
        url, plans = _killed_at_random(shared)
        _see_none_forgotten(shared, url, plans)


def _killed_at_random(shared: World) -> tuple[str, dict[str, str]]:
    """Have two processes do what is due, and kill one of them again and again.

    Returns:
        Where one listens, and the invocations that callers were told of, by item.
    """

    def reply(received: Received, number: int) -> Reply:
        is_tried_again = "again" in (received.header("X-Item") or "")
        time.sleep(random.uniform(0, 0.5))
        if is_tried_again and number == 1:
            return Reply(b"busy", 503, {"Retry-After": "1"})
        return Reply()

    shared.answer(reply)
    servers = [shared.start() for _ in range(2)]
    plans: dict[str, str] = {}
    kinds = [(method, often) for method in ("GET", "POST") for often in ("once", "again")]
    with ThreadPoolExecutor(8) as pool:

        def begin(item: str, method: str, retries: int, url: str) -> None:
            prefer = "respond-async" if n % 3 else "wait=0"
            status, body = run(url, item, method=method, retries=retries, prefer=prefer)
            if status is not None:
                assert status in {200, 202}, body
                plans[item] = body["id"]

        for killed in range(KILL_ROUNDS):
            jobs = []
            for n in range(24):
                method, often = kinds[n % len(kinds)]
                item = f"{method}-{often}-{killed}-{n}"
                retries = 1 if often == "again" else 0
                jobs.append(pool.submit(begin, item, method, retries, servers[n // 4 % 2][0]))
            time.sleep(random.uniform(0.05, 1.5))
            _, process = servers.pop(0)
            process.kill()
            process.wait()
            servers.append(shared.start())
            for job in jobs:
                job.result()
    return servers[0][0], plans


def _see_none_forgotten(shared: World, url: str, plans: dict[str, str]) -> None:
    assert len(plans) > KILL_ROUNDS * 12
    for item, plan in plans.items():
        status, body = until_ended(url, plan, longest_s=LONGEST_S + HIDDEN_S)
        sent, tries = shared.sent().get(item, 0), 2 if "again" in item else 1
        assert sent <= body["attempts"], (item, body)
        if status == 200:
            assert sent >= tries, (item, body)
        else:
            assert body["reason"]["code"] == "interrupted", (item, body)
        if item.startswith("POST"):
            # Never a second time for the same try, whatever became of the first.
            assert sent <= tries, (item, body)
    wait_for(lambda: not open_ones(url))


def open_ones(url: str) -> list[Any]:
    """Return what has not ended."""
    found: list[Any] = []
    for state in ("pending", "inProgress"):
        _, page = call("GET", f"{url}/api/invocations?top=200&state={state}", None, {})
        found += page["value"]
    return found


def _kill_one_that_holds(shared: World) -> str:
    """Kill a process that is at many requests; return the address of the one that is left."""
    other_url, other = shared.start()
    url, process = shared.start()
    release = threading.Event()
    shared.ended.callback(release.set)

    def reply(_: Received, number: int) -> Reply | None:
        if number > 1:
            return Reply()
        release.wait(60)
        return None

    shared.answer(reply)
    # So that it takes nothing; it goes on before the other one is gone.
    other.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(HELD) as pool:
        # The answers to these calls are lost with the process.
        for n in range(HELD):
            method = ("GET", "POST")[n % 2]
            if n % 4 < 2:
                pool.submit(run, url, f"{method}-{n}", method=method, prefer="respond-async")
            else:
                pool.submit(run, url, f"{method}-{n}", method=method, retries=3)
        wait_for(lambda: len(shared.sent()) == HELD)
        process.kill()
        process.wait()
        other.send_signal(signal.SIGCONT)
    return other_url


def _see_all_taken_over(shared: World, url: str) -> None:
    plans = {
        received.header("X-Item") or "": received.header("PlanId") or ""
        for received in shared.target.received
    }
    assert len(plans) == HELD
    for item, plan in plans.items():
        status, body = until_ended(url, plan)
        if item.startswith("GET"):
            assert (status, body["result"], body["attempts"]) == (200, "succeeded", 2), body
            first, second = shared.at[item]
            # A little later than the lease: the lease begins when the request does, an alarm may
            # be a few seconds late, and so many come at once.
            assert LEASE_S - 1 <= second - first <= LEASE_S + 10, (item, second - first)
            assert "was lost" in body["issues"][0]["message"]
        else:
            assert (status, body["result"], body["attempts"]) == (424, "failed", 1), body
            assert (body["reason"]["code"], body["reason"]["effect"]) == ("interrupted", "unknown")
    assert shared.sent() == {item: 2 if item.startswith("GET") else 1 for item in plans}
