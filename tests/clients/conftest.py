"""A server process of each store, and the external service that its connection leads to."""

from __future__ import annotations

import json
import re
import signal
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from examples.external_service import PipelineTask
from tests.api.conftest import demo_connections
from tests.api.target import Received, Reply, Target
from tests.azurite import connection_string, port_of
from tests.clients.wire import Answer, ask
from tests.process.conftest import running, url_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.azurite import Azurite

PASSWORD = "some pass word"

CLOSING = (
    "TaskCompleted",
    "Finished: succeeded",
)
"""The lines, without times, that tell of a completion."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{12}Z")


@dataclass
class Service:
    """The service as its callers know it, and the target it sends to."""

    url: str
    target: Target
    printed: list[str] = field(default_factory=list)

    def run(self, step: Mapping[str, object], **headers: str) -> Answer:
        """Run a step through the connection to the target."""
        inputs = {"serviceConnection": "demo", **_dict(step.get("inputs"))}
        body = json.dumps({**step, "inputs": inputs}).encode()
        return ask(
            "POST",
            f"{self.url}/api/invocations",
            body,
            headers={"Content-Type": "application/json", **headers},
        )

    def begin(self, **inputs: object) -> PipelineTask:
        """Begin a task that waits; return it as its external service was told of it."""
        answer = self.run({"inputs": {"waitForCompletion": "true", **inputs}})
        assert answer.status == 202, answer.body
        plan_id = json.loads(answer.body)["id"]
        # Requests of other tasks may come in between: what runs in the background takes its time.
        sent = [dict(one.headers) for one in self.target.received]
        return next(PipelineTask.of(one) for one in sent if one.get("PlanId") == plan_id)

    def invocation(self, plan_id: str, **headers: str) -> tuple[int, dict[str, Any]]:
        """Read an invocation."""
        answer = ask("GET", f"{self.url}/api/invocations/{plan_id}", headers=headers)
        return answer.status, json.loads(answer.body)

    def log(self, plan_id: str) -> list[str]:
        """Read the log of an invocation."""
        answer = ask("GET", f"{self.url}/api/invocations/{plan_id}/log")
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        return answer.body.decode().splitlines()

    def opening(self) -> list[str]:
        """Return the lines, without times, that the log of a task begins with."""
        return [
            "Starting: Invoke REST API: POST",
            f"POST {self.target.url}/",
            "Request body: 0 bytes",
            "Response Code: 202",
            "Response: 2 bytes, application/json",
            "Waiting for TaskCompleted until (time)",
        ]

    def succeeded(self, task: PipelineTask) -> dict[str, Any]:
        """See that a task ended as it should, and nothing tells its token; return it."""
        status, invocation = self.invocation(task.plan_id)
        assert (status, invocation["state"], invocation["result"]) == (
            200,
            "completed",
            "succeeded",
        )
        assert invocation["reason"] is None
        shown = [json.dumps(invocation), *self.log(task.plan_id), *self.printed]
        assert not any(task.token in text for text in shown)
        return invocation

    def cancel(self, plan_id: str) -> Answer:
        """Cancel an invocation."""
        return ask("POST", f"{self.url}/api/invocations/{plan_id}/cancel")


def plan_address(task: PipelineTask, *, separator: str = "", hub: str = "") -> str:
    """Return the address of a task's plan: base, separator and project, put together."""
    return (
        f"{task.plan_url}{separator}{task.project_id}/_apis/distributedtask"
        f"/hubs/{hub or task.hub_name}/plans/{task.plan_id}"
    )


def event(task: PipelineTask, name: str = "TaskCompleted", **more: object) -> dict[str, object]:
    """Return an event of a task; a completion has succeeded."""
    result = {"result": "succeeded"} if name == "TaskCompleted" else {}
    return {"name": name, "jobId": task.job_id, "taskId": task.task_id, **result, **more}


def as_json(document: object) -> bytes:
    """Return a document as it is sent."""
    return json.dumps(document).encode()


def told(log: list[str]) -> list[str]:
    """Return the lines of a log without the times, which differ with each run."""
    return [_TIME.sub("(time)", line).removeprefix("(time) ") for line in log]


@contextmanager
def serving(store: str, *options: str) -> Iterator[Service]:
    """Run a server process over a store, its connection 'demo' leading to a target."""
    with Target() as target:
        settings = {
            "SERVICE_CONNECTIONS": json.dumps(demo_connections(target.url)),
            "DEMO_PASSWORD": PASSWORD,
            "InvokeStorage": store,
        }
        arguments = ["serve", "--port", "0", *options]
        with running("invoke_core", arguments, settings=settings, until="Listening") as (
            process,
            lines,
        ):
            yield Service(url_in(lines), target, lines)
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0


@pytest.fixture(scope="session", params=["sqlite", "azurite"])
def process(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A server process over each store in turn; it serves many tests."""
    if request.param == "azurite":
        queues: Azurite = request.getfixturevalue("azurite_queues")
        tables: str = request.getfixturevalue("azurite_connection")
        store = connection_string(port_of(tables), queue_port=queues.port)
    else:
        store = f"sqlite:///{tmp_path_factory.mktemp('store')}/invoke.db"
    with serving(store) as service:
        yield service


@pytest.fixture
def service(process: Service) -> Service:
    """The service; its target accepts what it is sent."""
    return _fresh(process)


@pytest.fixture(scope="session")
def dropping_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server process that drops chunked bodies, as the Functions host does."""
    store = f"sqlite:///{tmp_path_factory.mktemp('dropping')}/invoke.db"
    with serving(store, "--drop-chunked") as service:
        yield service


@pytest.fixture
def dropping(dropping_process: Service) -> Service:
    """The service that drops chunked bodies; its target accepts what it is sent."""
    return _fresh(dropping_process)


def values_of(received: Received) -> PipelineTask:
    """Return the task that a request is of."""
    return PipelineTask.of(dict(received.headers))


def _fresh(service: Service) -> Service:
    service.target.received.clear()
    service.target.reply = lambda _: Reply(b"{}", 202)
    return service


def _dict(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


@pytest.fixture
def cache_folder(tmp_path: Path) -> Path:
    """Where a client may keep files of its own."""
    folder = tmp_path / "cache"
    folder.mkdir()
    return folder
