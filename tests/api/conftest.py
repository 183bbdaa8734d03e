from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import azure.functions as func
import pytest

from invoke_core.alarm_clock import AlarmClock
from invoke_core.wiring import build_app
from tests.api.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from invoke_core.web.api import Handlers
    from invoke_core.wiring import App

PASSWORD = "s3cret/pä$$ word"


@dataclass(frozen=True)
class Answered:
    """What a route answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # a test looks at any part of it
        return json.loads(self.body)


class Client:
    """Calls the handlers as the Functions host does, with the library's own request object."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers

    def post(
        self,
        body: bytes | str | object,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        route: str = "api/invocations",
    ) -> Answered:
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        request = func.HttpRequest(
            method="POST",
            url=f"http://localhost:7071/{route}",
            headers={"content-type": "application/json", **(headers or {})},
            params=query or {},
            route_params={},
            body=body.encode() if isinstance(body, str) else body,
        )
        handle = self.handlers.create if route == "api/invocations" else self.handlers.evaluate
        return _answered(handle(request))

    def get(
        self,
        route: str,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answered:
        return self._call("GET", route, headers, query)

    def cancel(self, invocation_id: str) -> Answered:
        return self._call("POST", f"api/invocations/{invocation_id}/cancel", None, None)

    def _call(
        self,
        method: str,
        route: str,
        headers: Mapping[str, str] | None,
        query: Mapping[str, str] | None,
    ) -> Answered:
        _, name, *rest = route.split("/")
        handle = {
            ("health",): self.handlers.health,
            ("openapi.json",): self.handlers.openapi,
            ("invocations",): self.handlers.list,
            ("invocations", "id"): self.handlers.get,
            ("invocations", "id", "log"): self.handlers.log,
            ("invocations", "id", "cancel"): self.handlers.cancel,
            ("invocations", "id", "outputs"): self.handlers.outputs,
        }[(name, *(["id", *rest[1:]] if rest else []))]
        request = func.HttpRequest(
            method=method,
            url=f"http://localhost:7071/{route}",
            headers=headers or {},
            params=query or {},
            route_params={"id": rest[0]} if rest else {},
            body=b"",
        )
        return _answered(handle(request))

    def step(self, *, variables: object = None, **inputs: object) -> Answered:
        """Run a step with these inputs through the connection 'demo'."""
        step: dict[str, object] = {
            "task": "InvokeRESTAPI@1",
            "inputs": {"serviceConnection": "demo", **inputs},
        }
        if variables is not None:
            step["variables"] = variables
        return self.post(step)


def _answered(response: func.HttpResponse) -> Answered:
    return Answered(response.status_code, dict(response.headers), response.get_body())


_made: list[App] = []


@pytest.fixture(autouse=True)
def _quiet_afterwards() -> Iterator[None]:
    """What an app does beside calls ends with its test, or other tests would find its lines."""
    yield
    while _made:
        background = _made.pop().background
        if background is not None and isinstance(background.alarms, AlarmClock):
            background.alarms.stop(timeout_s=0)


def make_client(root: Path, connections: object, **settings: str) -> Client:
    return Client(make_app(root, connections, **settings).handlers)


@contextmanager
def ringing(root: Path, connections: object, **settings: str) -> Iterator[Client]:
    """Run a service over the embedded store, with what is due beside calls."""
    app = make_app(root, connections, **settings)
    assert app.background is not None
    alarms = app.background.alarms
    assert isinstance(alarms, AlarmClock)
    alarms.start(app.background.runs)
    yield Client(app.handlers)
    assert alarms.stop(timeout_s=10) == 0


def make_app(root: Path, connections: object, **settings: str) -> App:
    environ = {
        "SERVICE_CONNECTIONS": json.dumps(connections),
        "PUBLIC_BASE_URL": "http://localhost:7071",
        "DEMO_PASSWORD": PASSWORD,
        **settings,
    }
    app = build_app(environ, root=root)
    _made.append(app)
    return app


def demo_connections(url: str, **members: object) -> dict[str, object]:
    allow = {
        "methods": ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PATCH"],
        "loopback": True,
    }
    auth = {"scheme": "basic", "username": "svc", "password": "${DEMO_PASSWORD}"}
    return {"demo": {"type": "generic", "url": url, "auth": auth, "allow": allow, **members}}


@pytest.fixture
def target() -> Iterator[Target]:
    with Target() as running:
        yield running


@pytest.fixture
def client(target: Target, tmp_path: Path) -> Client:
    """Calls a service whose connection 'demo' leads to the target."""
    return make_client(tmp_path, demo_connections(target.url))
