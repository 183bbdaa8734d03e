"""Sends the requests of invocations that are kept, and writes down what came of each.

One process runs a request at a time: it claims the run with a conditional write first, and one
whose claim has run out is not believed any more.

Source: HTTP contract, section 3; design, "Work that outlives the call".
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from invoke_core.drafts import Further
from invoke_core.errors import (
    BusyError,
    ConnectionUnavailableError,
    InvalidInputError,
    InvocationNotFoundError,
    PolicyError,
)
from invoke_core.events import Begun, Exchanged, Noted, Seen
from invoke_core.limits import Use
from invoke_core.model import Effect, Issue, IssueType, Reason, ReasonCode, Result
from invoke_core.prepared import Sent
from invoke_core.records import LEASE_GRACE, alarm_at, is_overtaken
from invoke_core.retries import told_pause
from invoke_core.telemetry import given_up_line, tell
from invoke_core.variables import Masker

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from invoke_core.alarms import Alarm
    from invoke_core.connections import ConnectionBook
    from invoke_core.drafts import Drafts
    from invoke_core.journal import Journal, Loaded
    from invoke_core.limits import ConnectionLimits
    from invoke_core.ports import Alarms, Clock, NewId
    from invoke_core.records import Record
    from invoke_core.sending import Sending
    from invoke_core.transitions import Transitions

_YOUNG: Final = timedelta(seconds=90)
"""An alarm is set before the record that needs it is written; a young one may be ahead of it.

It was set by the clock of another process, which may differ by 30 seconds (design).
"""

_SHORTLY: Final = timedelta(milliseconds=500)
_BUSY: Final = timedelta(seconds=2)

_LATER: Final = timedelta(minutes=10)
"""After how long is tried again what failed as often as it may."""

_GIVEN_UP: Final = Issue(
    IssueType.WARNING,
    "What was due could not be done, though it was tried again and again; it goes on being tried "
    "until the task's time is over. The log of the service says what failed.",
)


_NOT_KEPT: Final = Reason(
    ReasonCode.POLL_FAILED,
    "The status URL has a secret in it, and the service has no key to keep it with: set STATE_KEY.",
    Effect.ANSWERED,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """Runs requests, the first one of a call and those that follow.

    Attributes:
        sending: Sends them.
        drafts: Makes a request of a step at rest.
        connections: The service connections there are.
        journal: Has the steps.
        transitions: Writes down what happened.
        alarms: See that the next request is not forgotten.
        limits: How much of each connection may be used.
        new_id: Names runs.
        jitter: Returns a random number from 0 to 1.
        now: The clock.
    """

    sending: Sending
    drafts: Drafts
    connections: ConnectionBook
    journal: Journal
    transitions: Transitions
    alarms: Alarms
    limits: ConnectionLimits
    new_id: NewId
    jitter: Callable[[], float]
    now: Clock

    def outcome(self, record: Record, sent: Sent, *, held_until: datetime | None) -> Exchanged:
        """Return what came of a request as an event of the run that sent it.

        Args:
            record: The record the run began with.
            sent: What came of it.
            held_until: Until when the next request would be sent by this very call.
        """
        outcome, response = sent.outcome, sent.outcome.response
        if record.work is None:
            return outcome
        told = None
        if response is not None:
            goes_on = outcome.status_url is not None
            told = told_pause(response.status, response.headers, self.now(), always=goes_on)
        if outcome.status_url is not None:
            kept = self.drafts.kept(outcome.status_url, record.invocation.id)
            if kept is None:
                outcome = replace(
                    outcome, result=Result.FAILED, reason=_NOT_KEPT, may_start_anew=False
                )
            outcome = replace(outcome, status_url=kept)
        return replace(
            outcome,
            holder=record.work.holder,
            told_pause=told,
            jitter=self.jitter(),
            held_until=held_until,
        )

    def go_on(self, loaded: Loaded, *, held_until: datetime | None = None) -> Loaded:
        """Send the request that is due, unless another process does.

        Args:
            loaded: An invocation with a request that is due, or with a run that was lost.
            held_until: As in ``outcome``.

        Returns:
            The invocation as it stands then.

        Raises:
            BusyError: The connection is used as much as it may be; nothing was sent.
            SealError: The step cannot be read here; nothing was sent.
            StoreUnavailableError: Something may not have been written down.
            EntityConflictError: Likewise.
            InvocationNotFoundError: It is gone.
        """
        with self._use(loaded.record) as use:
            run = self._further(loaded)
            holder = self.new_id()
            lease = _whole_ms(timedelta(seconds=self._timeout_s(loaded.record))) + LEASE_GRACE
            begun = Begun(holder=holder, lease=lease)
            body = None
            if isinstance(run, Further):
                begun = replace(begun, token_hash=run.token_hash, sealed=run.sealed)
                body = run.prepared.request.body
            loaded = self.transitions.apply(
                loaded.plan_id, begun, loaded=loaded, body_bytes=len(body or b"")
            )
            record = loaded.record
            is_mine = record.work is not None and record.work.holder == holder
            if record.is_final or not is_mine or is_overtaken(record, self.now()):
                use.counts = False
                return loaded
            if isinstance(run, Further):
                sent = self.sending.send(run.prepared, left_s=self._left_s(record))
            else:
                use.counts = False
                asks_status = record.work is not None and record.work.asks_status
                sent = Sent(
                    outcome=Exchanged(
                        result=Result.FAILED, reason=run, may_start_anew=not asks_status
                    )
                )
            return self.transitions.apply(
                loaded.plan_id,
                self.outcome(record, sent, held_until=held_until),
                loaded=loaded,
                body_bytes=sent.body_bytes,
            )

    def ring(self, alarm: Alarm) -> None:
        """Do what is due of an invocation, if it still is.

        Whatever this raises, it is to be called again with the same alarm.
        """
        try:
            loaded = self.transitions.apply(alarm.plan_id, Seen())
        except InvocationNotFoundError:
            self._ring_again_if_young(alarm)
            return
        at, now = alarm_at(loaded.record), self.now()
        if at is None:
            return
        if at > now:
            turn = loaded.record.work.turn if loaded.record.work else 0
            if turn == alarm.turn:
                # It came early, by another clock; or came before its record, and again since.
                self.alarms.set(alarm.plan_id, at, set_at=alarm.set_at, turn=alarm.turn)
            elif turn < alarm.turn:
                self._ring_again_if_young(alarm)
            # Else the record has gone on, and has an alarm of its own, which was set before it was
            # written. To set it once more would make two of one, and more with each run.
            return
        # The places of this process are for calls: those that are held would have the very
        # requests wait that they are held for. How many alarms ring at once is bounded elsewhere.
        if self.sending.is_spent():
            self.alarms.set(alarm.plan_id, now + _BUSY, turn=alarm.turn)
            return
        try:
            self.go_on(loaded)
        except BusyError as error:
            later = now + timedelta(seconds=error.retry_after_s)
            self.alarms.set(alarm.plan_id, later, turn=alarm.turn)

    def give_up(self, alarm: Alarm) -> None:
        """Leave a remark where an alarm failed again and again, and try again much later."""
        try:
            loaded = self.transitions.apply(alarm.plan_id, Noted(_GIVEN_UP))
        except InvocationNotFoundError:
            return
        if alarm_at(loaded.record) is not None:
            tell(given_up_line(loaded.record.invocation, alarm.at))
            turn = loaded.record.work.turn if loaded.record.work else 0
            self.alarms.set(alarm.plan_id, self.now() + _LATER, turn=turn)

    def _ring_again_if_young(self, alarm: Alarm) -> None:
        """Ring again shortly where the record may not have been written yet, ever less often."""
        now = self.now()
        age = now - alarm.set_at
        if age <= _YOUNG:
            later = max(_SHORTLY, _whole_ms(age / 8))
            self.alarms.set(alarm.plan_id, now + later, set_at=alarm.set_at, turn=alarm.turn)

    def _use(self, record: Record) -> AbstractContextManager[Use]:
        known = self.connections.find(record.invocation.connection)
        if known is None or known.connection is None:
            return nullcontext(Use(0.0))
        return self.limits.one(known.connection)

    def _further(self, loaded: Loaded) -> Further | Reason:
        """Return the request to be sent, or why there is none any more."""
        step = self.journal.step(loaded.plan_id)
        if not step:
            # It goes with the end of the task, which the claim is about to find.
            return Reason(ReasonCode.INTERRUPTED, "The step is not kept any more.", Effect.NONE)
        try:
            return self.drafts.further(loaded.record, step)
        except InvalidInputError as error:
            message = Masker(error.secrets).show(error.faults[0].detail)
        except (ConnectionUnavailableError, PolicyError) as error:
            message = error.message
        asks_status = loaded.record.work is not None and loaded.record.work.asks_status
        if asks_status:
            # The operation has been started, and goes on or not.
            return Reason(ReasonCode.POLL_FAILED, message, Effect.UNKNOWN)
        return Reason(ReasonCode.CONNECTION_FAILED, message, Effect.NONE)

    def _timeout_s(self, record: Record) -> float:
        return self.sending.timeout_s(self._left_s(record))

    def _left_s(self, record: Record) -> float:
        return max(0.0, (record.invocation.deadline - self.now()).total_seconds())


def _whole_ms(duration: timedelta) -> timedelta:
    """Return a duration in the unit instants are stored in."""
    return timedelta(milliseconds=duration // timedelta(milliseconds=1))
