"""Gates and operations asked for by server processes that are killed, and start again.

``GATE_COUNT=200 GATE_SECONDS=60`` begins that many gates within that many seconds; a run of all
tests does with less. ``-s`` shows how late their samplings came.

Source: HTTP contract, section 3 ("Gate", "Poll"); design, "Work that outlives the call".
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import pytest

from invoke_core.records import LEASE_GRACE
from tests.api.target import Received, Reply
from tests.process.test_background import note, until_ended, wait_for, world
from tests.process.test_killed import call, log_of

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.process.test_background import World

GATE_COUNT: Final = int(os.environ.get("GATE_COUNT", "20"))
GATE_SECONDS: Final = float(os.environ.get("GATE_SECONDS", "10"))

INTERVAL_S: Final = 3
EXCHANGE_S: Final = 5
LEASE_S: Final = EXCHANGE_S + LEASE_GRACE.total_seconds()
RARELY_S: Final = 8
"""What is interrupted is taken up at the end of a lease, and this long before the next is due."""

LONGEST_S: Final = 120

READY = Reply(b'{"ready": true}')
NOT_READY = Reply(b'{"ready": false}')
PASSED = ("succeeded", None)
NOT_MET = ("failed", "criteriaNotMet")
INTERRUPTED = ("failed", "interrupted")


@pytest.fixture(params=["sqlite", "azurite"])
def shared(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with world(request.param, tmp_path) as made:
        yield made


def begin(
    url: str,
    item: str,
    *,
    method: str = "GET",
    interval_s: int = INTERVAL_S,
    is_gate: bool = True,
) -> Any:  # noqa: ANN401  # any JSON
    """Begin a gate, or an operation, whose requests carry the name of an item.

    As any client should, it repeats a call whose effect is not known: the disk may be busy.
    """
    inputs = {
        "serviceConnection": "demo",
        "method": method,
        "headers": {"X-Item": item},
        "successCriteria": "eq(root['ready'], true)",
    }
    waits: dict[str, object] = {"poll": {"intervalSeconds": interval_s}}
    if is_gate:
        waits = {"gate": {"samplingInterval": interval_s / 60}}
    headers = {"Idempotency-Key": item, "Prefer": "wait=0"}
    sent = json.dumps({"inputs": inputs, **waits}).encode()
    give_up_at = time.monotonic() + LONGEST_S
    while True:
        status, body = call("POST", f"{url}/api/invocations", sent, headers)
        if status == 202:
            return body
        assert status in {500, 503, 504}, body
        assert time.monotonic() < give_up_at, body


def evaluations(invocation: Any) -> list[tuple[str, str | None]]:  # noqa: ANN401  # any JSON
    return [
        (one["result"], one["reason"] and one["reason"]["code"])
        for one in invocation["evaluations"]
    ]


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def test_what_is_asked_again_goes_on_where_it_was_whenever_its_process_is_killed(
    tmp_path: Path,
) -> None:
    """Both stores in one test: most of it is waiting, which can be done at once."""
    with ExitStack() as made:
        worlds = []
        for store in ("sqlite", "azurite"):
            (tmp_path / store).mkdir()
            settings = {"API_RESPONSE_TIMEOUT_SECONDS": str(EXCHANGE_S)}
            worlds.append(made.enter_context(world(store, tmp_path / store, **settings)))
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(_see_killed_between_and_during_requests, worlds))


def _see_killed_between_and_during_requests(shared: World) -> None:
    release = Event()
    shared.ended.callback(release.set)

    def reply(received: Received, number: int) -> Reply:
        if number == 2:
            release.wait(60)
        if received.header("X-Item") == "poll" and number < 4:
            return Reply(b"{}", 202, {"Operation-Location": "/status"})
        return READY if number == 4 else NOT_READY

    shared.answer(reply)
    url, process = shared.start()
    methods = {"GET": "GET", "POST": "POST", "poll": "POST"}

    def begin_one(item: str) -> tuple[str, str]:
        begun = begin(url, item, method=methods[item], interval_s=RARELY_S, is_gate=item != "poll")
        return item, begun["id"]

    # At once, so that what follows is due at once as well.
    with ThreadPoolExecutor(len(methods)) as pool:
        plans = dict(pool.map(begin_one, methods))

    def is_told(times: int) -> bool:
        """Tell whether it is stored what came of so many requests of each."""
        logs = [log_of(url, plan) for plan in plans.values()]
        return all(
            log.count("Next evaluation at") + log.count("asking for its status at") >= times
            for log in logs
        )

    wait_for(lambda: is_told(1))
    kill(process)
    assert shared.sent() == dict.fromkeys(plans, 1)
    url, process = shared.start()
    # All are sent at once, and none is answered before the process is gone.
    wait_for(lambda: shared.sent() == dict.fromkeys(plans, 2))
    kill(process)
    release.set()
    url, process = shared.start()
    wait_for(lambda: is_told(2))
    kill(process)
    url, _ = shared.start()
    ended = {item: until_ended(url, plan) for item, plan in plans.items()}

    status, body = ended["GET"]
    assert (status, body["result"]) == (200, "succeeded"), body
    assert evaluations(body) == [NOT_MET, NOT_MET, PASSED]
    # The sampling its process died in was sent once more, and no other.
    assert (body["attempts"], shared.sent()["GET"]) == (4, 4)
    _, second, again, _ = shared.at["GET"]
    assert LEASE_S - 1 <= again - second <= LEASE_S + 10
    status, body = ended["POST"]
    assert (status, body["result"]) == (200, "succeeded"), body
    assert evaluations(body) == [NOT_MET, INTERRUPTED, NOT_MET, PASSED]
    assert body["evaluations"][1]["reason"]["effect"] == "unknown"
    assert (body["attempts"], shared.sent()["POST"]) == (4, 4)
    status, body = ended["poll"]
    assert (status, body["result"], body["attempts"]) == (200, "succeeded", 1), body
    asked = [one for one in shared.target.received if one.header("X-Item") == "poll"]
    # The operation was started once; the status its process died over was asked once more.
    assert [(one.method, one.path) for one in asked] == [("POST", "/")] + [("GET", "/status")] * 3
    for _, body in ended.values():
        times = [datetime.fromisoformat(one["at"]) for one in body["evaluations"]]
        assert times == sorted(times)


def test_no_gate_is_forgotten_and_no_sampling_is_done_twice(shared: World) -> None:
    urls = [shared.start()[0] for _ in range(2)]
    shared.answer(lambda _, number: READY if number == 3 else NOT_READY)
    begun_at: dict[str, float] = {}

    def begin_in_time(n: int) -> tuple[str, str]:
        item = f"gate-{n}"
        time.sleep(max(0.0, started + GATE_SECONDS * n / GATE_COUNT - time.monotonic()))
        begun_at[item] = time.monotonic()
        return item, begin(urls[n % 2], item)["id"]

    with ThreadPoolExecutor(8) as pool:
        started = time.monotonic()
        plans = dict(pool.map(begin_in_time, range(GATE_COUNT)))
        ended = dict(pool.map(lambda item: (item, until_ended(urls[0], plans[item])), plans))

    wrong = {
        item: body
        for item, (status, body) in ended.items()
        if status != 200 or evaluations(body) != [NOT_MET, NOT_MET, PASSED]
    }
    assert wrong == {}
    assert shared.sent() == {f"gate-{n}": 3 for n in range(GATE_COUNT)}
    late = []
    for item, times in shared.at.items():
        # One that is a whole interval late takes the place of the next one.
        since = [at - begun_at[item] - n * INTERVAL_S for n, at in enumerate(times)]
        assert min(since) >= 0, (item, since)
        late += since
    ordered = sorted(late)
    p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
    note(
        f"{shared.store}: {len(ended)} gates, {len(late)} samplings, late by p50 {p50:.2f} s, "
        f"p99 {p99:.2f} s, at most {ordered[-1]:.2f} s"
    )
