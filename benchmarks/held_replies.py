"""How soon a held reply is let go once its invocation has ended, and what holding costs.

Runs the local server as its users do, one process or two on one store, with a target on loopback
that keeps what an external service is handed. The time counts from the moment the event was
answered to the moment the held reply was there, both seen from outside.

Run it from the repository's root, with the environment of ``make test``::

    NODE_PACKAGES=.venv/node-.../node_modules .venv/dev-.../bin/python -m benchmarks.held_replies
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.api.conftest import demo_connections
from tests.api.target import Received, Reply, Target
from tests.azurite import free_port, start_azurite
from tests.process.test_killed import STEP, call, complete, start

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Sequence

TIMES: Final = 50
HELD: Final = 200
WAITING: Final = 1_000
HOLDS: Final = {"Prefer": "wait=30"}


@dataclass
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen[bytes]
    target: Target

    def begin(self) -> Received:
        """Create an invocation that waits, and return what its external service was handed."""
        status, body = call("POST", f"{self.url}/api/invocations", STEP, {})
        assert status == 202, (status, body)
        return next(
            one for one in reversed(self.target.received) if one.header("PlanId") == body["id"]
        )

    def held(self, plan: Received) -> float:
        """Hold a reply until the invocation has ended; return when that was."""
        status, _ = call("GET", f"{self.url}/api/invocations/{plan.header('PlanId')}", None, HOLDS)
        ended_at = time.perf_counter()
        assert status == 200, status
        return ended_at

    def complete(self, plan: Received) -> float:
        """Complete an invocation; return when that was answered."""
        status, body = complete(self.url, plan, "succeeded")
        assert status == 204, (status, body)
        return time.perf_counter()

    def memory_mb(self) -> float:
        """Return the resident memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def descriptors(self) -> int:
        """Return how many files and sockets are open."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())


def shown(name: str, times_s: Sequence[float]) -> None:
    """Print a row."""
    ordered = sorted(max(0.0, one) * 1000 for one in times_s)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(
        f"| {name} | {len(ordered)} | {statistics.median(ordered):,.0f} | {p99:,.0f} | "
        f"{ordered[-1]:,.0f} |",
        flush=True,
    )


def wake_up(holder: Server, other: Server, count: int) -> list[float]:
    """Hold replies at one process, and end them at random moments through another."""
    plans = [other.begin() for _ in range(count)]
    with ThreadPoolExecutor(2 * count) as threads:
        held = [threads.submit(holder.held, plan) for plan in plans]
        # All of them wait by then; the moments spread over the interval of looks at the store.
        time.sleep(1.0)

        def end(plan: Received) -> float:
            time.sleep(random.uniform(0, 2.5))  # noqa: S311  # any moment
            return other.complete(plan)

        ended = [threads.submit(end, plan) for plan in plans]
        return [a.result() - b.result() for a, b in zip(held, ended, strict=True)]


def crowd(holder: Server, other: Server) -> dict[str, list[float]]:
    """Hold many replies at once, and see how the rest is answered meanwhile and how all end."""
    plans = [other.begin() for _ in range(HELD)]
    beside = [other.begin() for _ in range(TIMES)]
    found: dict[str, list[float]] = {"events": [], "health": []}
    with ThreadPoolExecutor(HELD) as threads:
        held = [threads.submit(holder.held, plan) for plan in plans]
        time.sleep(2.0)
        for plan in beside:
            found["events"].append(timed(partial(holder.complete, plan)))
            found["health"].append(timed(lambda: call("GET", f"{holder.url}/api/health", None, {})))
        assert not any(one.done() for one in held)
        with ThreadPoolExecutor(8) as enders:
            ended = list(enders.map(other.complete, plans))
        found["replies"] = [a.result() - b for a, b in zip(held, ended, strict=True)]
    return found


def timed(action: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def footprint(server: Server, log: Path) -> None:
    """Print memory, descriptors and the write-ahead log of a server that waits, holds and works."""

    def state(name: str) -> None:
        size = log.stat().st_size / 2**20 if log.exists() else 0
        print(
            f"| {name} | {server.memory_mb():.1f} | {server.descriptors()} | {size:.1f} |",
            flush=True,
        )

    print("\n| | memory (MB) | descriptors | write-ahead log (MB) |\n| --- | ---: | ---: | ---: |")
    state("at the start")
    with ThreadPoolExecutor(8) as threads:
        plans = list(threads.map(lambda _: server.begin(), range(WAITING)))
    time.sleep(1)
    state(f"{WAITING:,} waiting")
    with ThreadPoolExecutor(100) as threads:
        held = [threads.submit(server.held, plan) for plan in plans[:100]]
        time.sleep(2)
        state("100 of them held")
        for plan in plans[:100]:
            server.complete(plan)
        assert all(one.result() for one in held)
    time.sleep(1)
    state("the held ones ended")
    is_over = threading.Event()

    def read() -> None:
        while not is_over.is_set():
            call("GET", f"{server.url}/api/invocations?top=200", None, {})

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(server.complete, plans[100:]))
        state("the others ended, beside 3 readers")
        for number in range(3):
            more = list(threads.map(lambda _: server.begin(), range(WAITING)))
            list(threads.map(server.complete, more))
            state(f"{WAITING:,} more begun and ended, {number + 1}")
    is_over.set()
    for reader in readers:
        reader.join()
    time.sleep(1)
    state("at the end")


def main() -> None:
    """Measure and print."""
    print(f"Python {sys.version.split()[0]}")
    with ExitStack() as stack:
        target = stack.enter_context(Target())
        target.reply = lambda _: Reply(b"{}", 202)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "azurite").mkdir()
        emulator = start_azurite(folder / "azurite")
        stack.callback(emulator.stop)

        def server(store: str) -> Server:
            port = free_port()
            settings = {
                "SERVICE_CONNECTIONS": json.dumps(demo_connections(target.url)),
                "DEMO_PASSWORD": "some pass word",
                "InvokeStorage": store,
            }
            process = start(port, settings)
            stack.callback(process.wait)
            stack.callback(process.kill)
            return Server(f"http://127.0.0.1:{port}", process, target)

        sqlite = f"sqlite:///{folder}/invoke.db"
        one, two = server(sqlite), server(sqlite)
        three, four = server(emulator.connection_string), server(emulator.connection_string)
        print(
            "\n| milliseconds | times | median | p99 | most |\n| --- | ---: | ---: | ---: | ---: |"
        )
        shown(
            "the same process, SQLite, one at a time",
            [wake_up_alone(one) for _ in range(TIMES)],
        )
        shown("the same process, SQLite, 50 held", wake_up(one, one, TIMES))
        shown("another process, SQLite, 50 held", wake_up(one, two, TIMES))
        shown("another process, Azurite, 50 held", wake_up(three, four, TIMES))
        for name, holder, other in (
            ("the same process, SQLite", one, one),
            ("another process, SQLite", one, two),
            ("another process, Azurite", three, four),
        ):
            for what, times_s in crowd(holder, other).items():
                shown(f"{name}, {HELD} held: {what}", times_s)
        alone = f"sqlite:///{folder}/alone.db"
        footprint(server(alone), folder / "alone.db-wal")


def wake_up_alone(server: Server) -> float:
    """Hold one reply and end it."""
    plan = server.begin()
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(server.held, plan)
        time.sleep(0.1)
        ended_at = server.complete(plan)
        return held.result() - ended_at


if __name__ == "__main__":
    main()
