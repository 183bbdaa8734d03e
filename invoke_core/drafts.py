"""A call becomes an invocation that may begin: read, judged and masked, nothing stored or sent."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from invoke_core.errors import SealError
from invoke_core.events import StatusUrl
from invoke_core.inputs import read_task
from invoke_core.lifecycle import skipped
from invoke_core.model import (
    MASK,
    CompletionEvent,
    Correlation,
    Effect,
    Invocation,
    Issue,
    IssueType,
    Reason,
    State,
)
from invoke_core.records import LEASE_GRACE, Gate, Polling, Record, Work
from invoke_core.resting import RestingStep, decode_step, encode_step

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from invoke_core.conditions import Skip
    from invoke_core.connections import ConnectionBook
    from invoke_core.documents import JsonValue
    from invoke_core.errors import Fault
    from invoke_core.inputs import Task
    from invoke_core.ports import NewId, NewToken, Seal, StateSeal
    from invoke_core.prepared import Prepared
    from invoke_core.sending import Sending

PROJECT_ID: Final = "6c1b4e0a-52d7-4c39-9a57-0d1f6a3b8e21"
"""The one project of this service; clients of the Azure-Pipelines protocol need some GUID."""

HUB_NAME: Final = "build"

_PLAIN: Final = b"p"
_SEALED: Final = b"s"
"""What the stored form of a step begins with."""


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
        is_async: Whether the task is to run beside the call.
    """

    document: JsonValue
    caller: str
    faults: tuple[Fault, ...] = ()
    trace: Mapping[str, str] = field(default_factory=dict)
    idempotency_key: str = field(default="", repr=False)
    wait_s: float | None = None
    is_async: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An invocation that may begin.

    Attributes:
        prepared: Its request.
        record: Its record: in progress, waiting to be sent, or ended where it is not to run.
        step: The step at rest, for whoever sends the next request; empty where none will be.
        condition: How the condition of a task that is not to run was evaluated; masked.
    """

    prepared: Prepared
    record: Record
    step: bytes = field(default=b"", repr=False)
    condition: tuple[str, ...] = ()

    @property
    def is_sent_now(self) -> bool:
        """Whether the call itself sends the request."""
        return self.record.report_by is not None

    @property
    def is_told_early(self) -> bool:
        """Whether somebody may ask for it before its end, so that it is stored first."""
        return self.record.waits_for_callback or self.record.work is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """A further request of an invocation that has begun.

    Attributes:
        prepared: The request.
        token_hash: SHA-256 of its AuthToken; empty without.
        sealed: The secrets of the step, sealed with that token.
    """

    prepared: Prepared
    token_hash: str = field(repr=False)
    sealed: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafts:
    """Makes drafts of calls.

    Attributes:
        sending: Prepares requests.
        connections: The service connections there are.
        seal: Keeps the secrets of steps that wait for a callback.
        state_seal: Keeps steps that are to be sent later.
        new_id: Makes identifiers.
        new_token: Makes AuthTokens.
        public_base_url: Where this service is reached, without a slash at its end.
    """

    sending: Sending
    connections: ConnectionBook
    seal: Seal
    state_seal: StateSeal
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
        prepared, token = self._prepared(call, correlation)
        task = prepared.task
        work = self._work(call, task, created_at)
        waits = work is not None and work.due_at is not None
        exchange = _whole_ms(self.sending.timeout_s(task.timeout_s))
        record = Record(
            invocation=Invocation(
                id=correlation.plan_id,
                display_name=prepared.masker.show(task.display_name),
                connection=prepared.connection.name,
                caller=call.caller,
                state=State.PENDING if waits else State.IN_PROGRESS,
                result=None,
                reason=None,
                completion_event=task.completion_event,
                request=prepared.view,
                response=None,
                criteria=None,
                attempts=0 if waits else 1,
                created_at=created_at,
                started_at=None if waits else created_at,
                finished_at=None,
                deadline=created_at + _whole_ms(task.timeout_s),
                correlation=correlation,
                issues=tuple(Issue(IssueType.WARNING, text) for text in prepared.warnings),
            ),
            continue_on_error=task.continue_on_error,
            report_by=None if waits else created_at + exchange + LEASE_GRACE,
            work=work,
            token_hash=_hash(token),
            sealed=self._sealed(task, token),
        )
        if task.skip is not None:
            return _not_run(prepared, record, task.skip)
        return Draft(
            prepared=prepared, record=record, step=self._at_rest(call, record) if work else b""
        )

    def further(self, record: Record, step: bytes) -> Further:
        """Return the request to be sent for an invocation that is kept.

        Args:
            record: Its record.
            step: Its step at rest.

        Raises:
            SealError: No key at hand opens the step.
            InvalidInputError: The connection it names is not there any more.
            ConnectionUnavailableError: The connection's definition is faulty.
            PolicyError: The connection does not grant this any more.
        """
        invocation = record.invocation
        resting = decode_step(self._opened(step, invocation.id))
        call = Call(document=resting.document, caller=resting.caller, trace=resting.trace)
        prepared, token = self._prepared(call, invocation.correlation)
        poll = record.work.poll if record.work else None
        if poll is not None and poll.url:
            url = self._opened(poll.url.encode(), invocation.id).decode()
            asked = StatusUrl(url=url, shown_url=poll.shown_url, source=poll.source)
            prepared = self.sending.prepare_status(prepared, asked)
        return Further(
            prepared=prepared, token_hash=_hash(token), sealed=self._sealed(prepared.task, token)
        )

    def kept(self, status_url: StatusUrl, plan_id: str) -> StatusUrl | None:
        """Return a status URL as it may be kept; None where it has a secret and there is no key."""
        # What is shown knows every secret: parameters by their names, those of the step, and those
        # the connection's own URL holds.
        if MASK in status_url.shown_url and not self.state_seal.available:
            return None
        kept = self._closed(status_url.url.encode(), plan_id)
        return replace(status_url, url=kept.decode())

    def _prepared(self, call: Call, correlation: Correlation) -> tuple[Prepared, str]:
        """Return the request of a call, and its AuthToken; empty where nobody is to call back."""
        token = self.new_token()
        task = read_task(
            call.document,
            connections=self.connections,
            correlation=correlation,
            token=token,
            also=call.faults,
            is_kept=call.is_async,
            keeps_secrets=lambda: self.state_seal.available,
        )
        if task.completion_event is not CompletionEvent.CALLBACK:
            token = ""
        prepared = self.sending.prepare(
            task, caller=call.caller, trace=call.trace, correlation=correlation, token=token
        )
        return prepared, token

    def _work(self, call: Call, task: Task, created_at: datetime) -> Work | None:
        if task.gate is not None:
            due_at = created_at + _whole_ms(task.gate.stabilization_s)
            gate = Gate(
                interval=_whole_ms(task.gate.interval_s),
                success=_whole_ms(task.gate.success_s),
                due_at=due_at,
            )
            return Work(due_at=due_at, gate=gate)
        if not call.is_async and not task.may_outlive_its_call:
            return None
        return Work(
            retries=task.retries,
            due_at=created_at if call.is_async else None,
            holder="" if call.is_async else self.new_id(),
            poll=Polling(interval=_whole_ms(task.poll.interval_s)) if task.poll else None,
        )

    def _at_rest(self, call: Call, record: Record) -> bytes:
        step = RestingStep(document=call.document, caller=call.caller, trace=call.trace)
        return self._closed(encode_step(step), record.invocation.id)

    def _closed(self, plain: bytes, plan_id: str) -> bytes:
        if not self.state_seal.available:
            return _PLAIN + plain
        return _SEALED + self.state_seal.seal(plain, plan_id=plan_id).encode()

    def _opened(self, step: bytes, plan_id: str) -> bytes:
        form, text = step[:1], step[1:]
        if form == _PLAIN and self.state_seal.available:
            # Whoever may write to the store could have put it there, to have it sent.
            raise SealError("it is not sealed, though there is a key")
        if form == _PLAIN:
            return text
        return self.state_seal.unseal(text.decode("ascii"), plan_id=plan_id)

    def _sealed(self, task: Task, token: str) -> str:
        return self.seal.seal(task.secrets, token=token) if token and task.secrets else ""


def _not_run(prepared: Prepared, record: Record, skip: Skip) -> Draft:
    """Return the draft of a task that ends before it begins; nothing is sent for it."""
    show = prepared.masker.show
    invocation = replace(record.invocation, attempts=0, started_at=None)
    record = replace(record, invocation=invocation, token_hash="", sealed="")
    return Draft(
        prepared=prepared,
        record=skipped(record, Reason(skip.code, show(skip.message), Effect.NONE)),
        condition=tuple(show(line) for line in skip.trace),
    )


def _hash(token: str) -> str:
    return hash_token(token) if token else ""


def _whole_ms(seconds: float) -> timedelta:
    """Return a duration in the unit instants are stored in, so that memory and store agree."""
    return timedelta(milliseconds=round(seconds * 1000))


def hash_token(token: str) -> str:
    """Return what is stored of an AuthToken: its SHA-256, in hex."""
    return hashlib.sha256(token.encode()).hexdigest()
