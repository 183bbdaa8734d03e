"""Drives mixed traffic against the service with locust: ``python -m benchmarks.load``.

A process of its own, started by `soak`, since locust changes the sockets of its process. It is also
the target that the service calls, so that it has the tokens its external services need.

It prints its target's URL, reads the service's URL, and then prints a JSON object a line: what each
step of the ramp reached, the capacity found, and what each 5 seconds of the soak brought.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.pywsgi import WSGIServer
from locust import constant_throughput, events
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment
from locust.exception import RescheduleTask

from benchmarks.lines import percentile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

USERS: Final = 48
SHARE: Final = 0.7
"""Of the capacity that the soak asks for."""

SAMPLE_S: Final = 5.0
_RAMP: Final = (2, 4, 8, 16, 32)
_EVENT: Final = {"Content-Type": "application/json"}
_HOLD_S: Final = 0.2
_LOOK_AFTER_S: Final = 20.0
"""A retry takes 2 s and a gate a little more; what has not ended by then is an error."""


class State:
    """What users, target and measurement share.

    Attributes:
        pace: Runs a second of each user; 0 for as many as it can.
        handed: The headers that external services were handed, by plan id.
        asked: How often a path of the target was asked that changes its mind.
        times_ms: Of the requests since the last sample.
        faults: What went wrong, by what it was.
        runs: Scenarios that have ended.
        created: Invocations that were begun.
    """

    pace = 0.0
    handed: Final[dict[str, dict[str, str]]] = {}
    asked: Final[dict[str, int]] = defaultdict(int)
    times_ms: Final[list[float]] = []
    faults: Final[dict[str, int]] = defaultdict(int)
    runs = 0
    created = 0


class Pipeline(FastHttpUser):  # type: ignore[misc]  # make check has no locust
    """Somebody who runs tasks, and the external service that completes them.

    The weights of ``tasks`` are those of an installation with many callbacks: a run of
    ``callback`` alone is eight requests.
    """

    network_timeout = 60.0
    connection_timeout = 60.0

    def wait_time(self) -> float:
        """Return how long to wait before the next run, so that the pace is kept."""
        State.runs += 1
        return float(constant_throughput(State.pace)(self)) if State.pace else 0.0

    def api_response(self) -> None:
        """A call with a check."""
        self._begin("create ApiResponse", {"urlSuffix": "/fast", **_CHECK}, expect=200)

    def callback(self) -> None:
        """A task that is completed by its external service, which tells and logs a lot."""
        plan = self._begin_callback()
        self._tell(plan, "POST", "/events", _event(plan, "TaskStarted"), 204)
        feed = f"/timelines/{plan['TimelineId']}/records/{plan['JobId']}/feed"
        for number in range(2):
            self._tell(plan, "POST", feed, {"value": [f"Step {number} is done."], "count": 1}, 204)
        variables = {"deployedVersion": {"value": "1.4.2"}}
        record = {"id": plan["TaskInstanceId"], "variables": variables}
        records = f"/timelines/{plan['TimelineId']}/records"
        self._tell(plan, "PATCH", records, {"value": [record], "count": 1}, 200)
        self._tell(plan, "POST", "/events", _event(plan, "TaskCompleted"), 204)
        self._get("status", f"/{plan['PlanId']}", 200)
        self._get("log", f"/{plan['PlanId']}/log", 200)

    def held(self) -> None:
        """A reply that is held until the task is completed."""
        plan = self._begin_callback()
        event = _event(plan, "TaskCompleted")
        self._later(_HOLD_S, self._tell, plan, "POST", "/events", event, 204)
        self._get("status, held", f"/{plan['PlanId']}", 200, {"Prefer": "wait=30"})

    def canceled(self) -> None:
        """A task that is canceled while it waits."""
        plan = self._begin_callback()
        self._send("POST", "cancel", f"/api/invocations/{plan['PlanId']}/cancel", {}, 200)
        self._tell(plan, "POST", "/events", _event(plan, "TaskCompleted"), 409)

    def listed(self) -> None:
        """The first page, and what waits."""
        self._get("list", "?top=50", 200)
        self._get("list, state=inProgress", "?top=50&state=inProgress", 200)

    def retried(self) -> None:
        """A task in the background whose first try fails."""
        name = f"/starting/{random.getrandbits(64)}"  # a name, no secret
        self._in_background("create, retries", name, {"retryCountOnTaskFailure": 2}, {})

    def gated(self) -> None:
        """A gate, now and then: its third evaluation passes."""
        if random.random() < 0.3:  # noqa: S311  # chance drives load
            name = f"/alerts/{random.getrandbits(64)}"  # a name, no secret
            gate = {"gate": {"samplingInterval": 0.02, "timeout": 5}}
            check = {"successCriteria": "eq(root['open'], 0)"}
            self._in_background("create, gate", name, gate, check)

    def _in_background(
        self, name: str, path: str, members: dict[str, Any], inputs: dict[str, Any]
    ) -> None:
        prefer = {"Prefer": "respond-async"}
        body = self._begin(name, {"urlSuffix": path, **inputs}, members, prefer, expect=202)
        self._later(_LOOK_AFTER_S, self._get, "status", f"/{body['id']}", 200)

    @staticmethod
    def _later(seconds: float, action: Callable[..., None], *values: object) -> None:
        gevent.spawn_later(seconds, action, *values).link_exception(_report_greenlet)

    def _begin_callback(self) -> dict[str, str]:
        inputs = {"urlSuffix": "/keep", "method": "POST", "waitForCompletion": True}
        body = self._begin("create Callback", inputs, expect=202)
        return State.handed.pop(body["id"])

    def _begin(
        self,
        name: str,
        inputs: dict[str, Any],
        members: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        *,
        expect: int,
    ) -> dict[str, Any]:
        given = {"serviceConnection": "demo", "method": "GET", **inputs}
        step = {"inputs": given, **(members or {})}
        body: dict[str, Any] = self._send("POST", name, "/api/invocations", step, expect, headers)
        State.created += 1
        return body

    def _get(
        self, name: str, rest: str, expect: int, headers: dict[str, str] | None = None
    ) -> None:
        self._send("GET", name, f"/api/invocations{rest}", None, expect, headers)

    def _tell(self, plan: dict[str, str], method: str, rest: str, body: Any, expect: int) -> None:  # noqa: ANN401  # any JSON
        path = (
            f"/azdo/default/{plan['ProjectId']}/_apis/distributedtask/hubs/{plan['HubName']}"
            f"/plans/{plan['PlanId']}{rest}"
        )
        headers = {"Authorization": f"Bearer {plan['AuthToken']}"}
        self._send(method, f"{method} {rest.rpartition('/')[2]}", path, body, expect, headers)

    def _send(  # noqa: PLR0917  # a request has so many parts
        self,
        method: str,
        name: str,
        path: str,
        body: Any,  # noqa: ANN401  # any JSON
        expect: int,
        headers: dict[str, str] | None = None,
    ) -> Any:  # noqa: ANN401  # any JSON
        """Send a request; an answer that is not what it has to be ends the run."""
        given = {**_EVENT, **(headers or {})}
        data = None if body is None else json.dumps(body)
        with self.client.request(
            method, path, data=data, headers=given, name=name, catch_response=True
        ) as answer:
            if answer.status_code == expect:
                answer.success()
            else:
                answer.failure(f"{answer.status_code} instead of {expect}")
                State.faults[f"{name}: {answer.status_code} {answer.text[:300]}"] += 1
                # The run ends here, and its user begins another one.
                raise RescheduleTask
        text = answer.text or ""
        return json.loads(text) if text.startswith(("{", "[")) else None


Pipeline.tasks = {
    Pipeline.api_response: 8,
    Pipeline.callback: 4,
    Pipeline.held: 2,
    Pipeline.canceled: 1,
    Pipeline.listed: 2,
    Pipeline.retried: 1,
    Pipeline.gated: 1,
}

_CHECK: Final = {"successCriteria": "eq(root['status'], 'Succeeded')"}


def _event(plan: dict[str, str], name: str) -> dict[str, str]:
    ids = {"jobId": plan["JobId"], "taskId": plan["TaskInstanceId"]}
    return {"name": name, **ids, **({"result": "succeeded"} if name == "TaskCompleted" else {})}


def _target(environ: dict[str, Any], start: Callable[..., object]) -> Iterable[bytes]:
    """Answer as a target does whose path says what it is to do."""
    path = environ["PATH_INFO"]
    status, body = "200 OK", b'{"status": "Succeeded", "count": 1425}'
    if path == "/keep":
        names = {"PlanId", "ProjectId", "HubName", "JobId", "TaskInstanceId", "TimelineId"}
        handed = {name: environ[f"HTTP_{name.upper()}"] for name in {*names, "AuthToken"}}
        State.handed[handed["PlanId"]] = handed
        status = "202 Accepted"
    elif path != "/fast":
        State.asked[path] += 1
        is_done = State.asked[path] > (2 if path.startswith("/alerts") else 1)
        if is_done:
            del State.asked[path]
        if path.startswith("/alerts"):
            body = b'{"open": 0}' if is_done else b'{"open": 1}'
        elif not is_done:
            status = "503 Service Unavailable"
    start(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _reached(seconds: float) -> dict[str, float]:
    """Let users run for a while; return what was reached."""
    State.times_ms.clear()
    runs, started = State.runs, time.monotonic()
    gevent.sleep(seconds)
    took_s = time.monotonic() - started
    times_ms = [*State.times_ms]
    return {
        "requests_s": len(times_ms) / took_s,
        "runs_s": (State.runs - runs) / took_s,
        "p50_ms": percentile(times_ms, 50) if times_ms else 0.0,
        "p99_ms": percentile(times_ms, 99) if times_ms else 0.0,
        "created": State.created,
        "faults": sum(State.faults.values()),
    }


def _report(exception: BaseException, **_: object) -> None:
    """Count what ended a run for another reason than the status of an answer."""
    State.faults[f"{type(exception).__name__}: {exception}"[:300]] += 1


def _report_greenlet(ended: gevent.Greenlet) -> None:
    # What a wrong status raises was counted with the answer.
    if not isinstance(ended.exception, RescheduleTask):
        _report(ended.exception)


def _say(**members: object) -> None:
    print(json.dumps(members), flush=True)


def main(seconds: float, step_s: float) -> None:
    """Find the capacity, then ask for a share of it.

    Args:
        seconds: How long the soak takes.
        step_s: How long a step of the ramp takes.
    """
    server = WSGIServer(("127.0.0.1", 0), _target, log=None, spawn=200)
    server.start()
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    environment = Environment(
        user_classes=[Pipeline], events=events, host=sys.stdin.readline().strip()
    )
    environment.events.request.add_listener(
        lambda response_time, **_: State.times_ms.append(response_time)
    )
    environment.events.user_error.add_listener(_report)
    runner = environment.create_local_runner()
    most_runs_s = 0.0
    for users in _RAMP:
        runner.start(users, spawn_rate=users)
        reached = _reached(step_s)
        _say(users=users, **reached)
        most_runs_s = max(most_runs_s, reached["runs_s"])
    _say(capacity_runs_s=most_runs_s)
    State.pace = SHARE * most_runs_s / USERS
    runner.start(USERS, spawn_rate=USERS)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        _say(sample=_reached(SAMPLE_S))
    runner.quit()
    _say(faults=dict(State.faults))


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
