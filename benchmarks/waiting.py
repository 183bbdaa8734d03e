"""That waiting costs next to nothing: slow targets, and what is answered beside them.

256 invocations of a target that takes five seconds begin at once, on one process with its default
settings: ``MAX_CONCURRENT_INVOCATIONS`` is 256, and 320 requests are handled at once. They are sent
from one thread. Meanwhile 100 events a second arrive, each the completion of another invocation
that waits for it, at the times of a fixed plan; the time of an event counts from the moment of the
plan, so that an event that could not be sent in time counts as slow. The store is SQLite.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING, Final

from benchmarks.lines import Line, percentile, spread
from benchmarks.serving import (
    Client,
    all_at_once,
    begin_callback,
    event,
    kept,
    service,
    side_by_side,
    step,
    target,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.lines import Scale

AT_ONCE: Final = 256
MOST_S: Final = 6.5
EVENTS_PER_S: Final = 100
MOST_P99_MS: Final = 150.0
SENDERS: Final = 16


def lines(scale: Scale) -> Iterator[Line]:
    """Measure both at once, a few times; every round has to be within the targets."""
    target_s = scale.of(5, 1)
    ends_s: list[float] = []
    times_ms: list[float] = []
    worst_ms: list[float] = []
    with target() as target_url, service(target_url) as running:
        for _ in range(scale.of(3, 1)):
            events = waiting_events(running.url, target_url, target_s * EVENTS_PER_S)
            request = slow_request(running.url, target_s)
            with ThreadPoolExecutor(1) as beside:
                answered = beside.submit(all_at_once, running.url, [request] * AT_ONCE)
                times = at_their_times(running.url, events)
            for one in answered.result():
                assert one.status == 200, one.body
                assert b'"result":"succeeded"' in one.body, one.body
            ends_s.append(max(one.after_s for one in answered.result()))
            times_ms += times
            worst_ms.append(percentile(times, 99))
    yield Line(
        f"{AT_ONCE} invocations of a {target_s} s target at once: all ended",
        str(spread(ends_s, "s")),
        f"the target alone: {target_s} s",
        f"slowest round {max(ends_s):.2f} s",
        f"within {MOST_S} s",
        max(ends_s) <= MOST_S,
    )
    yield Line(
        f"meanwhile {EVENTS_PER_S} events a second",
        str(spread(times_ms, "ms")),
        "",
        f"p99 of the slowest round {max(worst_ms):.0f} ms",
        f"under {MOST_P99_MS:.0f} ms",
        max(worst_ms) < MOST_P99_MS,
    )


def slow_request(url: str, target_s: int) -> bytes:
    """Return a request that invokes a target which takes its time."""
    with Client(url) as client:
        return client.request("POST", "/api/invocations", step(f"/slow/{target_s}"))


def waiting_events(url: str, target_url: str, how_many: int) -> list[bytes]:
    """Create invocations that wait; return the requests that complete them."""

    def begin(number: int) -> list[str]:
        with Client(url) as client:
            return [begin_callback(client) for _ in range(number, how_many, SENDERS)]

    side_by_side(SENDERS, begin)
    return [event(plan, result="succeeded") for plan in kept(target_url).values()]


def at_their_times(url: str, events: Sequence[bytes]) -> list[float]:
    """Send events at the times of a fixed plan.

    Returns:
        Milliseconds from the planned moment of each to the end of its answer.
    """
    numbers = count()
    started = time.perf_counter() + 0.1
    times_ms: list[float] = []
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(url)) for _ in range(SENDERS)]

        def work(sender: int) -> None:
            while (number := next(numbers)) < len(events):
                due = started + number / EVENTS_PER_S
                time.sleep(max(0.0, due - time.perf_counter()))
                status, body = clients[sender].send(events[number])
                times_ms.append((time.perf_counter() - due) * 1000)
                assert status == 204, body

        side_by_side(SENDERS, work)
    return times_ms
