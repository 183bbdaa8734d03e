"""A plan that waits for its callback, and an external service that calls the real handlers."""

from __future__ import annotations

import base64
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import sleep
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from uuid import uuid4

import azure.functions as func
import pytest

from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.credentials import TokenCredentials
from invoke_core.adapters.http import HttpSender
from invoke_core.adapters.sealing import TokenSeal
from invoke_core.alarm_clock import AlarmClock
from invoke_core.alarms import DueIndex
from invoke_core.connections import (
    BasicAuth,
    Connection,
    ConnectionBook,
    ConnectionKind,
    KnownConnection,
)
from invoke_core.drafts import HUB_NAME, PROJECT_ID, hash_token
from invoke_core.journal import Journal, LogEntry
from invoke_core.model import CompletionEvent, Correlation, Invocation, RequestView, Secret, State
from invoke_core.plans import PlanService
from invoke_core.records import Record
from invoke_core.transitions import Transitions
from invoke_core.wakeups import Wakeups
from invoke_core.web.pipelines import PipelineHandlers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from invoke_core.ports import Change, Entity, EntityStore

BASE_URL = "https://invoke.example.com"
PASSWORD = "s3cret/pä$$ word"
URL_KEY = "k7/Qz-9"
VARIABLE = "line one of it\r\nline two of it"
START = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def move(self, **by: float) -> None:
        self.time += timedelta(**by)


class CountingStore:
    """A store that counts its transactions."""

    def __init__(self, store: EntityStore) -> None:
        self._store = store
        self.transactions = 0

    def get(self, partition_key: str, row_key: str) -> Entity | None:
        self.transactions += 1
        return self._store.get(partition_key, row_key)

    def read(
        self, partition_key: str, *, first: str, before: str, most: int | None = None
    ) -> list[Entity]:
        self.transactions += 1
        return self._store.read(partition_key, first=first, before=before, most=most)

    def row_keys(self, partition_key: str, *, most: int) -> list[str]:
        self.transactions += 1
        return self._store.row_keys(partition_key, most=most)

    def scan(
        self,
        *,
        first_partition: str,
        before_partition: str,
        after: tuple[str, str] | None = None,
        most: int,
    ) -> list[tuple[str, Entity]]:
        self.transactions += 1
        return self._store.scan(
            first_partition=first_partition,
            before_partition=before_partition,
            after=after,
            most=most,
        )

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        self.transactions += 1
        return self._store.write(partition_key, changes)

    def check(self) -> None:
        self._store.check()


@dataclass(frozen=True)
class Answered:
    """What the service answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  # a test looks at any part of it
        return json.loads(self.body)


def call(
    handlers: PipelineHandlers,
    method: str,
    path: str,
    body: object = b"",
    *,
    headers: Mapping[str, str] | None = None,
) -> Answered:
    """Send a request as the Functions host hands it over; a body that is no bytes becomes JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    url, _, query = f"{BASE_URL}{path}".partition("?")
    request = func.HttpRequest(
        method=method,
        url=f"{url}?{query}" if query else url,
        headers={"content-length": str(len(raw)), **(headers or {})},
        params=dict(parse_qsl(query)),
        route_params={},
        body=raw,
    )
    handle = handlers.events if path.endswith("/events") else handlers.pipelines
    response = handle(request)
    return Answered(response.status_code, dict(response.headers), response.get_body())


def basic(token: str, *, user: str = "") -> str:
    return "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()


@dataclass
class Plan:
    """A plan in a store, with the service it is in and the token it was given."""

    store: CountingStore
    clock: Clock
    handlers: PipelineHandlers
    journal: Journal
    transitions: Transitions
    correlation: Correlation
    token: str = field(repr=False)

    @property
    def path(self) -> str:
        ids = self.correlation
        return (
            f"/azdo/default/{ids.project_id}/_apis/distributedtask/hubs/{ids.hub_name}"
            f"/plans/{ids.plan_id}"
        )

    @property
    def records_path(self) -> str:
        return f"/timelines/{self.correlation.timeline_id}/records"

    @property
    def feed_path(self) -> str:
        return f"{self.records_path}/{self.correlation.job_id}/feed"

    def call(
        self,
        method: str,
        path: str = "",
        body: object = b"",
        *,
        headers: Mapping[str, str] | None = None,
    ) -> Answered:
        """Send a request about the plan, with its token."""
        given = {"authorization": basic(self.token), **(headers or {})}
        return call(self.handlers, method, self.path + path, body, headers=given)

    def event(self, name: str = "TaskCompleted", **members: object) -> Answered:
        body: dict[str, object] = {
            "name": name,
            "jobId": self.correlation.job_id,
            "taskId": self.correlation.task_instance_id,
        }
        if name == "TaskCompleted":
            body["result"] = "succeeded"
        return self.call("POST", "/events", {**body, **members})

    def patch(self, *records: object) -> Answered:
        return self.call("PATCH", self.records_path, {"value": records, "count": len(records)})

    def records(self) -> dict[str, dict[str, Any]]:
        answered = self.call("GET", self.records_path)
        assert answered.status == 200
        assert answered.json["count"] == len(answered.json["value"])
        return {record["id"]: record for record in answered.json["value"]}

    def task(self) -> dict[str, Any]:
        return self.records()[self.correlation.task_instance_id]

    def new_log(self, path: str = "logs\\1") -> int:
        log_id = self.call("POST", "/logs", {"path": path}).json["id"]
        assert isinstance(log_id, int)
        return log_id

    def record(self) -> Record:
        loaded = self.journal.load(self.correlation.plan_id)
        assert loaded is not None
        return loaded.record

    def log_text(self) -> str:
        entries = self.journal.entries(self.correlation.plan_id)
        return "\n".join(entry.text for entry in entries)

    def raw(self) -> str:
        """Return everything the store holds of the plan, as text."""
        rows = self.store.read(self.correlation.plan_id, first="", before="~")
        return "\n".join(row.value.decode() for row in rows)


def make_plan(
    store: EntityStore,
    *,
    completion_event: CompletionEvent = CompletionEvent.CALLBACK,
    secret_variables: Sequence[str] = (VARIABLE,),
) -> Plan:
    """Store an invocation that waits for an hour, as the service does when it begins one."""
    counting, clock = CountingStore(store), Clock()
    journal = Journal(counting, new_id=lambda: str(uuid4()))
    transitions = Transitions(
        journal=journal,
        alarms=AlarmClock(DueIndex(counting), clock),
        wakeups=Wakeups(),
        now=clock,
        pause=lambda attempt: sleep(0.002 * attempt),
    )
    connection = Connection(
        name="demo",
        kind=ConnectionKind.GENERIC,
        url=f"https://api.example.com/{URL_KEY}",
        url_secrets=(Secret(URL_KEY),),
        auth=BasicAuth(username="svc", password=Secret(PASSWORD)),
    )
    token, seal = secrets.token_urlsafe(32), TokenSeal()
    plans = PlanService(
        journal=journal,
        transitions=transitions,
        connections=ConnectionBook([KnownConnection("demo", connection)]),
        credentials=TokenCredentials(sender=HttpSender(budget=ByteBudget(1 << 20))),
        seal=seal,
        now=clock,
        pause=lambda attempt: sleep(0.002 * attempt),
    )
    correlation = Correlation(
        plan_url=f"{BASE_URL}/azdo/default/",
        project_id=PROJECT_ID,
        hub_name=HUB_NAME,
        plan_id=str(uuid4()),
        job_id=str(uuid4()),
        timeline_id=str(uuid4()),
        task_instance_id=str(uuid4()),
    )
    invocation = Invocation(
        id=correlation.plan_id,
        display_name="Deploy",
        connection="demo",
        caller="local",
        state=State.IN_PROGRESS,
        result=None,
        reason=None,
        completion_event=completion_event,
        request=RequestView(method="POST", url="https://api.example.com", headers={}),
        response=None,
        criteria=None,
        attempts=1,
        created_at=START,
        started_at=START,
        finished_at=None,
        deadline=START + timedelta(hours=1),
        correlation=correlation,
    )
    waits = completion_event is CompletionEvent.CALLBACK
    record = Record(
        invocation=invocation,
        report_by=None if waits else START + timedelta(seconds=30),
        token_hash=hash_token(token) if waits else "",
        sealed=seal.seal(secret_variables, token=token) if secret_variables else "",
    )
    journal.add(record, [LogEntry(text="Starting: Deploy")])
    handlers = PipelineHandlers(plans, base_url=BASE_URL, new_id=lambda: str(uuid4()))
    return Plan(counting, clock, handlers, journal, transitions, correlation, token)


@pytest.fixture
def plan(store: EntityStore) -> Plan:
    """A plan that waits for its callback, in a store of each kind."""
    return make_plan(store)
