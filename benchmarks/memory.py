"""What memory the service takes at its peak, beside what it may.

A peak is ``VmHWM`` of the server's process, less what the process held before, after a call of each
kind. What it may take: answers are kept within the byte budget (``MAX_BUFFERED_BYTES``, 256 MiB
where nothing is set), and the one answer that is judged takes up to 60 times its bytes beside that
(``docs/security.md``, residual risks), here 60 times ``MAX_RESPONSE_BYTES``, 10 MiB. What waits
holds no answer, so the budget alone is what it is compared with. A call that comes while the budget
is spent is answered 429; it is repeated once those it came with are answered.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from benchmarks.lines import Line
from benchmarks.serving import (
    CHECKED,
    Client,
    all_at_once,
    begin_callback,
    service,
    side_by_side,
    step,
    target,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.lines import Scale
    from benchmarks.serving import Service

BUDGET_MB: Final = 256
JUDGING_MB: Final = 60 * 10
ANSWERS: Final = 64
ANSWER_BYTES: Final = 10_000_000
SENDERS: Final = 16


def lines(scale: Scale) -> Iterator[Line]:
    """Measure each kind in a process of its own."""
    with target() as target_url:
        yield waiting(target_url, scale.of(1_000, 20))
        yield held(target_url, scale.of(1_000, 20), wait_s=scale.of(10, 2))
        yield large_answers(target_url, scale.of(ANSWERS, 3))


def waiting(target_url: str, how_many: int) -> Line:
    """Let invocations wait for their callbacks."""
    with service(target_url) as running:
        warmed_up(running)
        before_mb = running.memory_mb()
        begin(running.url, how_many)
        return line(f"{how_many:,} invocations wait for callbacks", running, before_mb, BUDGET_MB)


def held(target_url: str, how_many: int, *, wait_s: int) -> Line:
    """Hold the replies of invocations that wait; that takes as many threads, and places."""
    with (
        service(
            target_url,
            MAX_CONCURRENT_INVOCATIONS=str(how_many + SENDERS),
            PYTHON_THREADPOOL_THREAD_COUNT=str(how_many + 2 * SENDERS),
        ) as running,
        Client(running.url) as client,
    ):
        warmed_up(running)
        ids = begin(running.url, how_many)
        before_mb = running.memory_mb()
        holds = {"Prefer": f"wait={wait_s}"}
        asked = [client.request("GET", f"/api/invocations/{one}", headers=holds) for one in ids]
        with ThreadPoolExecutor(1) as beside:
            answered = beside.submit(all_at_once, running.url, asked)
            time.sleep(wait_s * 0.8)
            threads = running.status("Threads")
            assert threads >= how_many, threads
        assert {one.status for one in answered.result()} <= {200, 202}, answered.result()[0]
        return line(f"{how_many:,} replies held, a thread each", running, before_mb, BUDGET_MB)


def large_answers(target_url: str, how_many: int) -> Line:
    """Let targets answer a lot side by side."""
    # Judged one after another, the last of them waits longer than an exchange may take otherwise.
    with (
        service(target_url, API_RESPONSE_TIMEOUT_SECONDS="180") as running,
        Client(running.url) as client,
    ):
        warmed_up(running)
        before_mb = running.memory_mb()
        request = client.request(
            "POST", "/api/invocations", step(f"/large/{ANSWER_BYTES}", **CHECKED)
        )
        started_s = time.perf_counter()
        left, refused = how_many, 0
        while left:
            before = left
            for one in all_at_once(running.url, [request] * left):
                if one.status == 429:
                    refused += 1
                    continue
                assert one.status == 200, one.body[:2000]
                assert b'"result":"succeeded"' in one.body, one.body[:2000]
                left -= 1
            assert left < before, "nothing is answered any more: the budget is not given back"
        took_s = time.perf_counter() - started_s
        size_mb = ANSWER_BYTES / 1e6
        what = (
            f"{how_many} answers of {size_mb:.0f} MB at once, all judged in {took_s:.0f} s"
            f" (answered 429 meanwhile, and repeated: {refused})"
        )
        return line(what, running, before_mb, BUDGET_MB + JUDGING_MB)


def warmed_up(running: Service) -> None:
    """Have one call of each kind answered, so that all is imported."""
    with Client(running.url) as client:
        status, _ = client.call("POST", "/api/invocations", step("/fast", **CHECKED))
        assert status == 200
        begin_callback(client)


def begin(url: str, how_many: int) -> list[str]:
    """Create invocations that wait; return their ids."""

    def work(number: int) -> list[str]:
        with Client(url) as client:
            return [begin_callback(client) for _ in range(number, how_many, SENDERS)]

    return [one for ids in side_by_side(SENDERS, work) for one in ids]


def line(what: str, running: Service, before_mb: float, most_mb: int) -> Line:
    """Return what the peak comes to."""
    more_mb = running.peak_mb() - before_mb
    return Line(
        what,
        f"peak {running.peak_mb():.0f} MiB",
        f"before: {before_mb:.0f} MiB",
        f"{more_mb:.0f} MiB more",
        f"at most {most_mb} MiB",
        more_mb <= most_mb,
    )
