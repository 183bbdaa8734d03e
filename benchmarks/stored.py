"""The service within this process, over a file that holds many invocations.

Requests go through the handlers of the app; the target answers at once and without a network, so
that what is left is our own time and the store's.
"""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4  # noqa: TID251  # a composition root

import azure.functions as func  # noqa: TID251  # likewise

from invoke_core.adapters.credentials import TokenCredentials
from invoke_core.adapters.sealing import TokenSeal
from invoke_core.adapters.sqlite import SqliteStore
from invoke_core.drafts import hash_token
from invoke_core.journal import Journal, LogEntry
from invoke_core.model import Answer, CompletionEvent
from invoke_core.plans import PlanService
from invoke_core.ports import Insert, Put, Remove, Replace
from invoke_core.web.api import Handlers
from invoke_core.web.pipelines import PipelineHandlers
from tests.pipelines.conftest import call
from tests.state.parts import VALID, ended, make_service, new_record, short_pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from invoke_core.model import Correlation
    from invoke_core.ports import Change
    from invoke_core.records import Record

TOKEN: Final = "a" * 43
"""The AuthToken of every plan that waits."""

WAITS: Final = 10
"""One of so many waits for its callback; the others have ended."""

_BASE_URL: Final = "https://invoke.example.com"
_APART: Final = timedelta(seconds=8.64)
"""Time between two creations: 100,000 in ten days."""


def now() -> datetime:
    """Return the time in whole milliseconds."""
    at = datetime.now(UTC)  # noqa: TID251  # a composition root
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def new_id() -> str:
    """Return a fresh id."""
    return str(uuid4())


class StoredService:
    """The service over a file.

    Attributes:
        ids: What ``fill`` stored, newest first.
        waiting: Those of it that wait.
    """

    def __init__(self, path: Path) -> None:
        """Put the parts together."""
        self.store = SqliteStore(path)
        self.ids: list[str] = []
        self.waiting: list[Correlation] = []
        self._path = path
        sender = _InstantSender()
        service = make_service(
            self.store, url="https://api.example.com", now=now, places_count=256, sender=sender
        )
        self.journal = service.journal
        plans = PlanService(
            journal=self.journal,
            transitions=service.transitions,
            connections=service.drafts.connections,
            credentials=TokenCredentials(sender=sender),
            seal=TokenSeal(),
            now=now,
            pause=short_pause,
        )
        self._handlers = Handlers(
            service,
            store_health=None,
            base_url=_BASE_URL,
            platform_auth=False,
            now=now,
            new_id=new_id,
        )
        self._pipelines = PipelineHandlers(plans, base_url=_BASE_URL, new_id=new_id)

    def fill(self, count: int) -> None:
        """Store invocations of several days, as the journal writes them, in one transaction."""
        self.store.check()
        latest = now() - timedelta(minutes=1)
        collected = _Collected()
        journal = Journal(collected, new_id=new_id)
        for number in reversed(range(count)):
            record = _stored_record(number, latest - number * _APART)
            journal.add(record, [LogEntry(text="Starting: Invoke REST API: POST\nPOST …")])
            self.ids.append(record.invocation.id)
            if record.is_final:
                journal.close_index(record)
            else:
                self.waiting.append(record.invocation.correlation)
        self.ids.reverse()
        with closing(sqlite3.connect(self._path)) as file, file:
            file.execute("PRAGMA cache_size = -200000")
            file.executemany(
                "INSERT INTO entities VALUES (?, ?, lower(hex(randomblob(8))), ?)",
                collected.rows(),
            )

    def add_waiting(self) -> Correlation:
        """Store one more that waits, as a create does."""
        record = replace(new_record(created_at=now()), report_by=None, token_hash=hash_token(TOKEN))
        self.journal.add(record, [LogEntry(text="Starting")])
        return record.invocation.correlation

    def forget_new(self) -> None:
        """Remove what was added since ``fill``, so that a round leaves as many as it found."""
        for summary in self.journal.page(open_only=False, after=None, most=10):
            if summary.form["id"] == self.ids[0]:
                return
            self.store.write(
                summary.partition_key.replace("list", "open"), [Remove(summary.row_key)]
            )
            self.journal.forget(summary, "")
        raise AssertionError("more was added than is looked for")

    def create(self, *, waits: bool) -> int:
        """Run a task, one that waits for its callback or one that does not; return the status."""
        waiting = b', "waitForCompletion": true' if waits else b""
        body = b'{"inputs": {"serviceConnection": "demo"%s}}' % waiting
        status: int = self._sent(
            self._handlers.create, "POST", "api/invocations", body=body
        ).status_code
        return status

    def event(self, name: str, ids: Correlation) -> int:
        """Send an event of a plan; return the status."""
        event = {"name": name, "jobId": ids.job_id, "taskId": ids.task_instance_id}
        if name == "TaskCompleted":
            event["result"] = "succeeded"
        path = (
            f"/azdo/default/{ids.project_id}/_apis/distributedtask/hubs/{ids.hub_name}"
            f"/plans/{ids.plan_id}/events"
        )
        given = {"authorization": f"Bearer {TOKEN}"}
        return call(self._pipelines, "POST", path, event, headers=given).status

    def status(self) -> int:
        """Read any invocation; return the status."""
        plan_id = random.choice(self.ids)  # noqa: S311  # any
        params = {"id": plan_id}
        status: int = self._sent(
            self._handlers.get, "GET", f"api/invocations/{plan_id}", route_params=params
        ).status_code
        return status

    def page(self, **params: str) -> func.HttpResponse:
        """Read a page of the list."""
        return self._sent(self._handlers.list, "GET", "api/invocations", params=params)

    def _sent(
        self,
        handle: Callable[[func.HttpRequest], func.HttpResponse],
        method: str,
        route: str,
        *,
        body: bytes = b"",
        params: dict[str, str] | None = None,
        route_params: dict[str, str] | None = None,
    ) -> func.HttpResponse:
        request = func.HttpRequest(
            method=method,
            url=f"{_BASE_URL}/{route}",
            headers={"content-type": "application/json"},
            params=params or {},
            route_params=route_params or {},
            body=body,
        )
        return handle(request)


class _InstantSender:
    """A target that has answered already."""

    def prepared_url(self, url: str) -> str:
        """Return the URL as it is."""
        return url

    @contextmanager
    def send(self, *_: object, **__: object) -> Iterator[Answer]:
        """Answer 200."""
        body = b'{"status": "Succeeded", "count": 1425}'
        headers = (("Content-Type", "application/json"),)
        yield Answer(status=200, headers=headers, body=body, elapsed_ms=0)

    def spent(self) -> bool:
        """Have room."""
        return False


class _Collected:
    """A store that keeps what is written, for one large transaction."""

    def __init__(self) -> None:
        """Have nothing yet."""
        self._values: dict[tuple[str, str], bytes] = {}

    def rows(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield partition key, row key and value, in the order in which they came."""
        for (partition_key, row_key), value in self._values.items():
            yield partition_key, row_key, value

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        """Keep what is written."""
        for change in changes:
            match change:
                case Insert() | Put() | Replace():
                    self._values[partition_key, change.row_key] = change.value
                case Remove():
                    self._values.pop((partition_key, change.row_key), None)
        return [""] * len(changes)

    def get(self, *_: object) -> None:
        """Find nothing: what is only written is never read."""

    def read(self, *_: object, **__: object) -> list[Any]:
        """Likewise."""
        return []

    row_keys = scan = read

    def check(self) -> None:
        """Be there."""


def _stored_record(number: int, created_at: datetime) -> Record:
    """Return one of many: a task that waits for days, or one of either kind that has ended."""
    if number % WAITS == 0:
        record = new_record(created_at=created_at, minutes=60 * 24 * 30)
        invocation = replace(record.invocation, response=VALID.response)
        return replace(record, invocation=invocation, report_by=None, token_hash=hash_token(TOKEN))
    mode = CompletionEvent.CALLBACK if number % 2 else CompletionEvent.API_RESPONSE
    record = new_record(created_at=created_at, mode=mode)
    return ended(record, at=created_at + timedelta(seconds=30))
