"""What an ApiResponse invocation costs beside the call it makes.

The call: GET with a Basic credential to a target on loopback, its answer parsed and one field
looked at. Bare: ``requests.Session`` in this process, on a connection that is kept alive. Ours: the
same call as an invocation with a criteria, by the local server in a process of its own over SQLite
(two transactions, each waits for the disk), asked through a socket that is kept alive; what the
client takes counts as ours. The target is a process of its own as well and serves both.

One at a time, the two take turns call by call. Sixteen in flight, they take turns in short rounds:
sixteen threads with a session each, against sixteen threads with a connection each to the server.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import requests

from benchmarks.lines import Line, spread
from benchmarks.serving import CHECKED, PASSWORD, Client, service, side_by_side, step, target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.lines import Scale

AT_ONCE: Final = 16
MOST_ADDED_MS: Final = 3.0
LEAST_SHARE: Final = 0.40


def lines(scale: Scale) -> Iterator[Line]:
    """Measure both."""
    with target() as target_url, service(target_url) as running, ExitStack() as stack:
        ours = [stack.enter_context(Invoking(running.url)) for _ in range(AT_ONCE)]
        bare = [stack.enter_context(Bare(target_url)) for _ in range(AT_ONCE)]
        # What is done once is done: threads, connections to the store, compiled criteria.
        side_by_side(AT_ONCE, lambda number: [ours[number](), bare[number]()])
        yield latency(ours[0], bare[0], scale.of(1_500, 5))
        yield throughput(ours, bare, rounds=scale.of(7, 1), seconds=scale.of(30, 1) / 10)


class Bare:
    """The call as a program would make it."""

    def __init__(self, target_url: str) -> None:
        """Open a session."""
        self._url = f"{target_url}/fast"
        self._session = requests.Session()
        self._session.auth = ("svc", PASSWORD)

    def __call__(self) -> None:
        """Call, and look at the field."""
        answer = self._session.get(self._url, timeout=20)
        assert answer.ok
        assert answer.json()["status"] == "Succeeded"

    def __enter__(self) -> Bare:  # noqa: PYI034  # no subclass
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the session."""
        self._session.close()


class Invoking(Client):
    """The call as an invocation."""

    def __init__(self, url: str) -> None:
        """Connect to the service."""
        super().__init__(url)
        self._request = self.request("POST", "/api/invocations", step("/fast", **CHECKED))

    def __call__(self) -> None:
        """Invoke, and look at the outcome."""
        status, body = self.send(self._request)
        assert status == 200, body
        assert b'"result":"succeeded"' in body, body


def latency(ours: Callable[[], None], bare: Callable[[], None], times: int) -> Line:
    """Compare one call at a time."""
    taken: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(times):
        for name, call in (("ours", ours), ("bare", bare)):
            started = time.perf_counter()
            call()
            taken[name].append((time.perf_counter() - started) * 1000)
    mine, other = spread(taken["ours"], "ms"), spread(taken["bare"], "ms")
    added = mine.median - other.median
    return Line(
        "ApiResponse, one at a time",
        str(mine),
        f"`requests.Session`: {other}",
        f"added {added:.2f} ms",
        f"at most {MOST_ADDED_MS:.0f} ms",
        added <= MOST_ADDED_MS,
    )


def throughput(
    ours: Sequence[Callable[[], None]],
    bare: Sequence[Callable[[], None]],
    *,
    rounds: int,
    seconds: float,
) -> Line:
    """Compare sixteen in flight."""
    rates: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(rounds):
        rates["ours"].append(rate(ours, seconds))
        rates["bare"].append(rate(bare, seconds))
    mine, other = spread(rates["ours"], "/s"), spread(rates["bare"], "/s")
    shares = [a / b for a, b in zip(rates["ours"], rates["bare"], strict=True)]
    share = spread([one * 100 for one in shares], "%")
    return Line(
        f"ApiResponse, {AT_ONCE} in flight",
        str(mine),
        f"`requests.Session`, {AT_ONCE} threads: {other}",
        f"{share} of the bare loop",
        f"at least {LEAST_SHARE:.0%}",
        share.median >= LEAST_SHARE * 100,
    )


def rate(calls: Sequence[Callable[[], None]], seconds: float) -> float:
    """Return the calls a second that as many threads as there are calls get done."""

    def work(number: int) -> int:
        count, call = 0, calls[number]
        while time.perf_counter() < ends:
            call()
            count += 1
        return count

    started = time.perf_counter()
    ends = started + seconds
    counts = side_by_side(len(calls), work)
    return sum(counts) / (time.perf_counter() - started)
