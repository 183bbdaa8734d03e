"""The use cases: what the service does, with the outside world behind ports."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final

from invoke_core.answers import AnswerReading
from invoke_core.errors import BusyError, ConnectionUnavailableError, Fault, SendError
from invoke_core.headers import credential_texts, with_credential
from invoke_core.inputs import read_task
from invoke_core.model import (
    Correlation,
    Effect,
    Invocation,
    Issue,
    IssueType,
    OutgoingRequest,
    Reason,
    ReasonCode,
    RequestView,
    Result,
    State,
)
from invoke_core.targets import full_url, judge_grant, judge_url
from invoke_core.variables import Masker
from invoke_core.verdict import Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from invoke_core.documents import JsonValue
    from invoke_core.inputs import Task
    from invoke_core.model import Answer, Auth, Connection, ConnectionBook, ResponseView
    from invoke_core.ports import Clock, NewId, Sender

PROJECT_ID: Final = "6c1b4e0a-52d7-4c39-9a57-0d1f6a3b8e21"
"""The one project of this service; clients of the Azure-Pipelines protocol need some GUID."""

HUB_NAME: Final = "build"

_RETRY_AFTER_S: Final = 2
_TRACE_PARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_TRACE_STATE: Final = re.compile(r"[\x20-\x7e]{1,512}")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one process grants.

    Attributes:
        exchange_timeout_s: Seconds for one exchange with a target.
        body_bytes: Longest body of an answer, content encodings undone.
        concurrent: Invocations that may run at once.
    """

    exchange_timeout_s: float
    body_bytes: int
    concurrent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call to run a task.

    Attributes:
        document: The body, parsed.
        caller: Who calls (contract, section 5).
        faults: Faults found outside the body, to be reported together with those inside.
        trace: ``traceparent`` and ``tracestate`` as received.
    """

    document: JsonValue
    caller: str
    faults: tuple[Fault, ...] = ()
    trace: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """What came of an exchange."""

    verdict: Verdict
    response: ResponseView | None = None


class InvokeService:
    """Runs tasks."""

    def __init__(
        self,
        *,
        sender: Sender,
        connections: ConnectionBook,
        now: Clock,
        new_id: NewId,
        limits: Limits,
        public_base_url: str,
    ) -> None:
        """Keep the parts; nothing is done before the first call."""
        self._sender = sender
        self._connections = connections
        self._now = now
        self._new_id = new_id
        self._limits = limits
        self._plan_url = f"{public_base_url}/azdo/default/"
        self._running = BoundedSemaphore(limits.concurrent)

    def run(self, call: Call) -> Invocation:
        """Run one task to its end.

        Args:
            call: The document with the task, and who sent it.

        Returns:
            The invocation, completed; whatever the target did is in it.

        Raises:
            InvalidInputError: The document has faults; nothing was sent.
            ConnectionUnavailableError: The connection's definition is faulty; nothing was sent.
            PolicyError: The connection does not grant this; nothing was sent.
            BusyError: This process runs as much as it may; nothing was sent.
        """
        created_at = self._now()
        correlation = self._new_correlation()
        task = read_task(
            call.document,
            connections=self._connections,
            correlation=correlation,
            also=call.faults,
        )
        connection = self._connection(task.connection)
        url = self._granted_url(task, connection, call.caller)
        credential = _credential_masker(connection.auth)
        masker = credential.also(task.secrets)
        headers, warning = with_credential(_with_trace(task.headers, call.trace), connection.auth)
        request = OutgoingRequest(method=task.method, url=url, headers=headers, body=task.body)
        with self._slot():
            started_at = self._now()
            outcome = self._exchange(request, task, connection, masker)
            finished_at = self._now()
        warnings = [*task.warnings, *([warning] if warning else []), *_tls_warnings(connection)]
        invocation = Invocation(
            id=correlation.plan_id,
            display_name=masker.show(task.display_name),
            connection=connection.name,
            caller=call.caller,
            state=State.COMPLETED,
            result=outcome.verdict.result,
            reason=outcome.verdict.reason,
            completion_event=task.completion_event,
            request=RequestView(
                method=request.method,
                url=masker.show_url(self._sender.prepared_url(url)),
                headers={
                    masker.show(name): masker.show_header(name, value) for name, value in headers
                },
            ),
            response=outcome.response,
            criteria=outcome.verdict.criteria,
            attempts=1,
            created_at=created_at,
            started_at=started_at,
            finished_at=finished_at,
            deadline=_deadline(created_at, task.timeout_s),
            correlation=correlation,
            issues=_issues(outcome.verdict, [masker.show(text) for text in warnings]),
        )
        _log_end(invocation)
        return invocation

    def _new_correlation(self) -> Correlation:
        return Correlation(
            plan_url=self._plan_url,
            project_id=PROJECT_ID,
            hub_name=HUB_NAME,
            plan_id=self._new_id(),
            job_id=self._new_id(),
            timeline_id=self._new_id(),
            task_instance_id=self._new_id(),
        )

    def _connection(self, name: str) -> Connection:
        known = self._connections.find(name)
        if known is None or known.connection is None:
            raise ConnectionUnavailableError(name)
        return known.connection

    def _granted_url(self, task: Task, connection: Connection, caller: str) -> str:
        """Return the URL to reach, judged as concatenated and as it would be sent."""
        allow = connection.allow
        judge_grant(allow, method=task.method, caller=caller, connection=connection.name)
        url = full_url(connection, task.url_suffix)
        judge_url(url, base=connection.url, allow=allow)
        self._judge_prepared(self._sender.prepared_url(url), connection)
        return url

    def _judge_prepared(self, url: str, connection: Connection) -> None:
        base = self._sender.prepared_url(connection.url)
        judge_url(url, base=base, allow=connection.allow)

    @contextmanager
    def _slot(self) -> Iterator[None]:
        """Hold one of the places for running invocations.

        Raises:
            BusyError: There is none left.
        """
        if self._sender.spent() or not self._running.acquire(blocking=False):
            raise BusyError(
                "As many invocations run here as may; try again shortly.",
                retry_after_s=_RETRY_AFTER_S,
            )
        try:
            yield
        finally:
            self._running.release()

    def _exchange(
        self, request: OutgoingRequest, task: Task, connection: Connection, masker: Masker
    ) -> _Outcome:
        try:
            with self._sender.send(
                request,
                connection=connection,
                judge=lambda url: self._judge_prepared(url, connection),
                answers=task.valid_status,
                timeout_s=min(self._limits.exchange_timeout_s, task.timeout_s),
                limit_bytes=self._limits.body_bytes,
            ) as answer:
                return _judged(answer, task, connection, masker)
        except SendError as error:
            reason = Reason(
                ReasonCode(error.code), masker.show(error.message), Effect(error.effect)
            )
            return _Outcome(verdict=Verdict(result=Result.FAILED, reason=reason))


@lru_cache(maxsize=256)
def _credential_masker(auth: Auth) -> Masker:
    """Return what masks a credential; making it costs more than using it."""
    return Masker(credential_texts(auth))


def _judged(answer: Answer, task: Task, connection: Connection, masker: Masker) -> _Outcome:
    """Judge an answer and keep what may be shown of it; the answer itself is let go after."""
    reading = AnswerReading(
        answer,
        credential=_credential_masker(connection.auth),
        store_body=connection.store_body,
    )
    verdict = judge(
        reading,
        valid=task.valid_status,
        criteria=task.criteria,
        variables=task.variables,
        task_inputs=task.inputs,
        mask=masker.show,
    )
    response = reading.view(masker)
    return _Outcome(verdict=verdict, response=response)


def _with_trace(
    headers: tuple[tuple[str, str], ...], trace: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Carry a well-formed trace context on, unless the caller set one for the target."""
    parent = trace.get("traceparent", "")
    names = {name.lower() for name, _ in headers}
    if "traceparent" in names or not _TRACE_PARENT.fullmatch(parent):
        return headers
    state = trace.get("tracestate", "")
    carried = [("traceparent", parent)]
    if "tracestate" not in names and _TRACE_STATE.fullmatch(state):
        carried.append(("tracestate", state))
    return (*headers, *carried)


def _tls_warnings(connection: Connection) -> list[str]:
    if connection.tls.verify:
        return []
    return [f"The connection '{connection.name}' does not check its target's certificate."]


def _issues(verdict: Verdict, warnings: list[str]) -> tuple[Issue, ...]:
    errors = [] if verdict.reason is None else [Issue(IssueType.ERROR, verdict.reason.message)]
    return (*errors, *(Issue(IssueType.WARNING, text) for text in warnings))


def _deadline(created_at: datetime, timeout_s: float) -> datetime:
    return created_at + timedelta(seconds=timeout_s)


def _log_end(invocation: Invocation) -> None:
    """Write one line, with nothing in it that a caller or a target chose."""
    _log.info(
        "invocation %s: %s on %s, %s%s",
        invocation.id,
        invocation.request.method if invocation.request else "-",
        invocation.connection,
        invocation.result,
        f" ({invocation.reason.code})" if invocation.reason else "",
    )
