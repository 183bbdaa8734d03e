"""A server killed at random moments loses nothing it told anybody.

``KILL_ROUNDS=50`` kills it that often; a run of all tests does it a few times.
"""

from __future__ import annotations

import base64
import json
import os
import random
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from tests.api.conftest import demo_connections
from tests.api.target import Received, Reply, Target
from tests.azurite import free_port
from tests.process.conftest import ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = int(os.environ.get("KILL_ROUNDS", "4"))
STEP = json.dumps(
    {"inputs": {"serviceConnection": "demo", "waitForCompletion": True}, "timeoutInMinutes": 600}
).encode()


@dataclass
class Ledger:
    """What clients were told, kept apart from the server.

    Attributes:
        accepted: Ids of invocations a caller was told of.
        acknowledged: Results of events that were acknowledged, by plan.
        refused: Plans of which an event was refused because of how they had ended.
        wrong: Answers no client may ever get.
    """

    accepted: set[str] = field(default_factory=set)
    acknowledged: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    refused: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


class Load:
    """Callers that create and external services that complete, until told to stop."""

    def __init__(self, url: str, target: Target, ledger: Ledger) -> None:
        self._url = url
        self._target = target
        self._ledger = ledger
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._create, self._create, self._complete, self._complete)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _create(self) -> None:
        while not self._stop.is_set():
            status, body = call("POST", f"{self._url}/api/invocations", STEP, {})
            if status == 202:
                self._ledger.accepted.add(body["id"])
            # It may have been completed before the call was answered.
            elif status not in {None, 200, 424}:
                self._ledger.wrong.append(f"create: {status} {body}")

    def _complete(self) -> None:
        while not self._stop.is_set():
            if not self._target.received:
                time.sleep(0.01)
                continue
            received = random.choice(self._target.received)
            plan = received.header("PlanId") or ""
            result = random.choice(["succeeded", "failed"])
            status, body = complete(self._url, received, result)
            if status == 204:
                self._ledger.acknowledged[plan].add(result)
            elif status == 409:
                self._ledger.refused.add(plan)
            elif status is not None:
                self._ledger.wrong.append(f"complete: {status} {body}")


def complete(url: str, received: Received, result: str) -> tuple[int | None, Any]:
    ids = {name: received.header(name) or "" for name in ("PlanId", "JobId", "TaskInstanceId")}
    event = {
        "name": "TaskCompleted",
        "jobId": ids["JobId"],
        "taskId": ids["TaskInstanceId"],
        "result": result,
    }
    token = base64.b64encode(f":{received.header('AuthToken')}".encode()).decode()
    return call(
        "POST",
        f"{url}/azdo/default/{received.header('ProjectId')}/_apis/distributedtask/hubs/build"
        f"/plans/{ids['PlanId']}/events",
        json.dumps(event).encode(),
        {"Authorization": f"Basic {token}"},
    )


def call(
    method: str, url: str, body: bytes | None, headers: dict[str, str]
) -> tuple[int | None, Any]:
    """Return status and body, or None where no answer came."""
    request = urllib.request.Request(  # noqa: S310  # this machine
        url, body, {"Content-Type": "application/json", **headers}, method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # likewise
            return answer.status, _parsed(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _parsed(error.read())
    except (OSError, ValueError, HTTPException):
        return None, None


def _parsed(body: bytes) -> Any:  # noqa: ANN401  # any JSON
    return json.loads(body) if body else None


def start(port: int, settings: dict[str, str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", "invoke_core", "serve", "--port", str(port)],
        cwd=ROOT,
        env=environment(**settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while call("GET", f"http://127.0.0.1:{port}/api/health", None, {})[0] != 200:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_what_was_told_is_there_after_every_kill(tmp_path: Path) -> None:
    ledger = Ledger()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with Target() as target:
        target.reply = lambda _: Reply(b"{}", 202)
        settings = {
            "SERVICE_CONNECTIONS": json.dumps(demo_connections(target.url)),
            "DEMO_PASSWORD": "some pass word",
            "InvokeStorage": f"sqlite:///{tmp_path}/invoke.db",
        }
        for _ in range(ROUNDS):
            server = start(port, settings)
            load = Load(url, target, ledger)
            time.sleep(random.uniform(0.1, 1.0))
            server.kill()
            server.wait()
            load.stop()
        server = start(port, settings)
        try:
            check(url, target, ledger)
        finally:
            server.kill()
            server.wait()


def check(url: str, target: Target, ledger: Ledger) -> None:
    """Compare what is stored with what clients were told."""
    assert ledger.wrong == []
    assert len(ledger.accepted) >= ROUNDS
    assert len(ledger.acknowledged) >= ROUNDS
    told_two = {plan for plan, results in ledger.acknowledged.items() if len(results) > 1}
    assert told_two == set()
    for received in target.received:
        plan = received.header("PlanId") or ""
        status, body = call("GET", f"{url}/api/invocations/{plan}", None, {})
        # The target received it, so it was stored before, whoever was told of it.
        assert status in {200, 202, 424}, (plan, status)
        if plan in ledger.acknowledged:
            assert body["result"] in ledger.acknowledged[plan]
        elif plan in ledger.refused:
            assert body["state"] == "completed"
        assert log_of(url, plan).count("Finished: ") == (body["state"] == "completed")
    sent = {received.header("PlanId") for received in target.received}
    assert ledger.accepted <= sent
    assert ledger.accepted <= listed(url)


def log_of(url: str, plan: str) -> str:
    with urllib.request.urlopen(  # noqa: S310  # this machine
        f"{url}/api/invocations/{plan}/log", timeout=30
    ) as answer:
        return str(answer.read().decode())


def listed(url: str) -> set[str]:
    ids: set[str] = set()
    token = ""
    while True:
        status, page = call(
            "GET", f"{url}/api/invocations?top=200&continuationToken={token}", None, {}
        )
        assert status == 200
        ids |= {item["id"] for item in page["value"]}
        token = page["continuationToken"]
        if not token:
            return ids
