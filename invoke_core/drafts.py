"""A call becomes an invocation that may begin: read, judged and masked, nothing stored or sent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from invoke_core.inputs import read_task
from invoke_core.lifecycle import REPORT_GRACE, Record
from invoke_core.model import CompletionEvent, Correlation, Invocation, Issue, IssueType, State

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from invoke_core.connections import ConnectionBook
    from invoke_core.documents import JsonValue
    from invoke_core.errors import Fault
    from invoke_core.ports import NewId, NewToken, Seal
    from invoke_core.sending import Prepared, Sending

PROJECT_ID: Final = "6c1b4e0a-52d7-4c39-9a57-0d1f6a3b8e21"
"""The one project of this service; clients of the Azure-Pipelines protocol need some GUID."""

HUB_NAME: Final = "build"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call to run a task.

    Attributes:
        document: The body, parsed.
        caller: Who calls (contract, section 5).
        faults: Faults found outside the body, to be reported together with those inside.
        trace: ``traceparent`` and ``tracestate`` as received.
        idempotency_key: The header of that name; empty without.
        wait_s: Seconds the reply may be held for, from the call's arrival; None where the caller
            expressed no preference.
    """

    document: JsonValue
    caller: str
    faults: tuple[Fault, ...] = ()
    trace: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str = field(default="", repr=False)
    wait_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An invocation that may begin.

    Attributes:
        prepared: Its request.
        record: Its record, in progress.
    """

    prepared: Prepared
    record: Record

    @property
    def waits(self) -> bool:
        """Whether it will wait for a callback."""
        return self.record.invocation.completion_event is CompletionEvent.CALLBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafts:
    """Makes drafts of calls.

    Attributes:
        sending: Prepares requests.
        connections: The service connections there are.
        seal: Keeps the secrets of waiting steps.
        new_id: Makes identifiers.
        new_token: Makes AuthTokens.
        public_base_url: Where this service is reached, without a slash at its end.
    """

    sending: Sending
    connections: ConnectionBook
    seal: Seal
    new_id: NewId
    new_token: NewToken
    public_base_url: str

    def draft(self, call: Call, created_at: datetime, *, plan_id: str | None = None) -> Draft:
        """Return the invocation a call asks for.

        Args:
            call: The call.
            created_at: When the invocation begins.
            plan_id: Its id; None for a new one.

        Raises:
            InvalidInputError: The document has faults.
            ConnectionUnavailableError: The connection's definition is faulty.
            PolicyError: The connection does not grant this.
        """
        correlation = Correlation(
            plan_url=f"{self.public_base_url}/azdo/default/",
            project_id=PROJECT_ID,
            hub_name=HUB_NAME,
            plan_id=plan_id or self.new_id(),
            job_id=self.new_id(),
            timeline_id=self.new_id(),
            task_instance_id=self.new_id(),
        )
        token = self.new_token()
        task = read_task(
            call.document,
            connections=self.connections,
            correlation=correlation,
            token=token,
            also=call.faults,
        )
        if task.completion_event is not CompletionEvent.CALLBACK:
            token = ""
        prepared = self.sending.prepare(
            task, caller=call.caller, trace=call.trace, correlation=correlation, token=token
        )
        invocation = Invocation(
            id=correlation.plan_id,
            display_name=prepared.masker.show(task.display_name),
            connection=prepared.connection.name,
            caller=call.caller,
            state=State.IN_PROGRESS,
            result=None,
            reason=None,
            completion_event=task.completion_event,
            request=prepared.view,
            response=None,
            criteria=None,
            attempts=1,
            created_at=created_at,
            started_at=created_at,
            finished_at=None,
            deadline=created_at + _whole_ms(task.timeout_s),
            correlation=correlation,
            issues=tuple(Issue(IssueType.WARNING, text) for text in prepared.warnings),
        )
        exchange = _whole_ms(self.sending.timeout_s(task))
        record = Record(
            invocation=invocation,
            report_by=created_at + exchange + REPORT_GRACE,
            token_hash=hash_token(token) if token else "",
            sealed=self.seal.seal(task.secrets, token=token) if token and task.secrets else "",
        )
        return Draft(prepared=prepared, record=record)


def _whole_ms(seconds: float) -> timedelta:
    """Return a duration in the unit instants are stored in, so that memory and store agree."""
    return timedelta(milliseconds=round(seconds * 1000))


def hash_token(token: str) -> str:
    """Return what is stored of an AuthToken: its SHA-256, in hex."""
    return hashlib.sha256(token.encode()).hexdigest()
