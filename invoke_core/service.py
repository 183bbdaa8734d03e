"""The use cases of our own routes: run a task, read, hold, cancel and list invocations."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from invoke_core.errors import (
    BusyError,
    EntityConflictError,
    InvocationEndedError,
    InvocationNotFoundError,
    OutcomeUnknownError,
    StoreUnavailableError,
)
from invoke_core.events import Canceled, Seen
from invoke_core.journal import LogEntry
from invoke_core.lifecycle import advance
from invoke_core.limits import Use
from invoke_core.log import change_lines, opening_lines
from invoke_core.model import Issue, IssueType, Result, State
from invoke_core.records import SLOW_WRITE, alarm_at, end_of, is_overtaken, over_at, shown
from invoke_core.telemetry import end_line, not_stored_line, tell

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from invoke_core.claims import Claims
    from invoke_core.drafts import Call, Draft, Drafts
    from invoke_core.errors import DependencyError, InvocationStateError
    from invoke_core.journal import Journal, Loaded
    from invoke_core.limits import ConnectionLimits, Places
    from invoke_core.listing import Listing, Page
    from invoke_core.model import Invocation
    from invoke_core.ports import Alarms, Clock
    from invoke_core.records import Record
    from invoke_core.runs import Runs
    from invoke_core.sending import Sending
    from invoke_core.transitions import Transitions
    from invoke_core.turns import Turns
    from invoke_core.wakeups import Wakeups
    from invoke_core.withdrawals import Withdrawals

LONGEST_WAIT_S: Final = 100
"""A reply is held no longer, whatever ``Prefer: wait`` asks for."""

LONGEST_REPLY_S: Final = 200
"""No reply comes later than so long after its call (contract, section 2, "Time limits")."""

POLL_S: Final = 2.0
"""How often a held reply looks at the store for what other processes did."""

_RETRY_AFTER_S: Final = 2

_REPLY_MARGIN_S: Final = 5.0
"""What a reply takes beside the exchange: the store, before and after."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """An invocation as a caller sees it.

    Attributes:
        invocation: The invocation; masked.
        variables: What its external service set; secret ones are left out.
        is_replay: Whether an earlier call with the same idempotency key made it.
    """

    invocation: Invocation
    variables: Mapping[str, str] = field(default_factory=dict)
    is_replay: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeService:
    """Runs tasks, and tells what became of them."""

    sending: Sending
    drafts: Drafts
    claims: Claims
    runs: Runs
    journal: Journal
    transitions: Transitions
    alarms: Alarms
    listing: Listing
    wakeups: Wakeups
    withdrawals: Withdrawals
    places: Places
    limits: ConnectionLimits
    turns: Turns
    now: Clock

    def run(self, call: Call) -> View:
        """Run one task: to its end, or until it waits for its callback.

        Args:
            call: The document with the task, and who sent it.

        Returns:
            The invocation; whatever the target did is in it.

        Raises:
            InvalidInputError: The document has faults; nothing was sent.
            ConnectionUnavailableError: The connection's definition is faulty; nothing was sent.
            PolicyError: The connection does not grant this; nothing was sent.
            IdempotencyConflictError: The key stands for another task; nothing was sent.
            BusyError: This process runs as much as it may, or the connection is used as much as
                its limits allow; nothing was stored or sent.
            StoreUnavailableError: What has to be stored first could not be; nothing was sent.
            OutcomeUnknownError: The same of a task that others send where this process cannot.
        """
        arrived_at = self.now()
        with self.turns.taken():
            draft = self.drafts.draft(call, arrived_at)
        with self.places.one() as granted:
            if not granted or self.sending.is_spent():
                raise BusyError(
                    "As many invocations run here as may; try again shortly.",
                    retry_after_s=_RETRY_AFTER_S,
                )
            last_start = self._last_start(call, draft, arrived_at)
            # A reply that is held uses a place of this process, and nothing of the connection.
            with self._use(draft) as use:
                begun = self._run(call, draft, last_start)
                use.counts = not begun.view.is_replay
            return self._carried_on(call, begun, arrived_at, last_start)

    def read(self, invocation_id: str, *, wait_s: float | None = None) -> tuple[View, bool]:
        """Return an invocation, true as of now.

        Args:
            invocation_id: Its id.
            wait_s: Seconds the reply may be held until it ends; None for none.

        Returns:
            The invocation, and whether the wait was granted. It is not where as many calls run or
            are held here as may: status is never refused for that.

        Raises:
            InvocationNotFoundError: There is none of this id.
            StoreUnavailableError: The store did not answer.
        """
        arrived_at = self.now()
        if wait_s is None:
            return self._view(self._seen(invocation_id)), False
        with self.places.one() as granted:
            wait = timedelta(seconds=min(wait_s, LONGEST_WAIT_S) if granted else 0)
            return self._held(invocation_id, arrived_at + wait), granted

    def cancel(self, invocation_id: str) -> View:
        """End an invocation as canceled.

        Returns:
            The invocation, canceled now or before.

        Raises:
            InvocationNotFoundError: There is none of this id.
            InvocationEndedError: It has ended otherwise.
            StoreUnavailableError: The store did not answer.
        """
        loaded = self.transitions.apply(invocation_id, Canceled())
        if loaded.record.invocation.result is not Result.CANCELED:
            raise InvocationEndedError(end_of(loaded.record))
        return self._view(loaded)

    def log(self, invocation_id: str, *, after: int) -> Iterator[LogEntry]:
        """Return what arrived at the log of an invocation.

        Args:
            invocation_id: Its id.
            after: The number of the entry after which to go on; 0 for the beginning.

        Raises:
            InvocationNotFoundError: There is none of this id.
            StoreUnavailableError: The store did not answer; also while iterating.
        """
        self._seen(invocation_id)
        return self.journal.entries(invocation_id, after=after)

    def list(self, *, state: State | None, after: tuple[str, str] | None, most: int) -> Page:
        """Return invocations, newest first; see ``Listing.page``."""
        return self.listing.page(state=state, after=after, most=most)

    def _last_start(self, call: Call, draft: Draft, arrived_at: datetime) -> datetime:
        """Return until when a further request may begin within the call."""
        exchange_s = self.sending.timeout_s(draft.prepared.task.timeout_s)
        most_s = max(0.0, LONGEST_REPLY_S - _REPLY_MARGIN_S - exchange_s)
        if call.wait_s is not None:
            most_s = min(most_s, call.wait_s, LONGEST_WAIT_S)
        return arrived_at + timedelta(seconds=most_s)

    def _use(self, draft: Draft) -> AbstractContextManager[Use]:
        """Use the connection, where the call itself sends the request."""
        if draft.is_sent_now:
            return self.limits.one(draft.prepared.connection)
        return nullcontext(Use(0.0))

    def _run(self, call: Call, draft: Draft, last_start: datetime) -> _Begun:
        """Run a draft as far as its first request goes, stored first where somebody may ask."""
        if call.idempotency_key:
            claimed = self.claims.begin(call, draft, self._store)
            if claimed.draft is None:
                return _Begun(replace(self._view(claimed.loaded), is_replay=True))
            return self._run_stored(claimed.draft, claimed.loaded, last_start)
        if draft.is_told_early or call.wait_s is not None:
            return self._run_stored(draft, self._store(draft), last_start)
        return _Begun(self._run_unstored(draft))

    def _store(self, draft: Draft) -> Loaded:
        opening = opening_lines(
            draft.record, body=draft.prepared.request.body, condition=draft.condition
        )
        due, now = alarm_at(draft.record), self.now()
        if due is not None:
            # Nothing is stored yet, so nothing comes of it where the store fails here.
            self.alarms.set(draft.record.invocation.id, due)
        try:
            loaded = self.journal.add(draft.record, [LogEntry(text=opening)], step=draft.step)
            if due is not None and self.now() - now > SLOW_WRITE:
                # This process stood still, and the alarm may have been given up.
                self.alarms.set(draft.record.invocation.id, due)
        except StoreUnavailableError as error:
            if due is not None:
                # Whoever is called by the alarm sends it, whatever this process does.
                raise OutcomeUnknownError(error) from error
            self.withdrawals.later(draft.record)
            raise
        if draft.record.is_final:
            tell(end_line(draft.record.invocation))
        return loaded

    def _run_stored(self, draft: Draft, loaded: Loaded, last_start: datetime) -> _Begun:
        if not draft.is_sent_now:
            return _Begun(self._view(loaded))
        if is_overtaken(draft.record, self.now()):
            return _Begun(self._view(self._seen(loaded.plan_id)))
        sent = self.sending.send(draft.prepared, left_s=draft.prepared.task.timeout_s)
        outcome = self.runs.outcome(draft.record, sent, held_until=last_start)
        try:
            loaded = self.transitions.apply(
                loaded.plan_id, outcome, loaded=loaded, body_bytes=sent.body_bytes
            )
        except (StoreUnavailableError, EntityConflictError, InvocationNotFoundError) as error:
            # No further try can be promised where it cannot be written down.
            record = advance(replace(draft.record, work=None), sent.outcome, self.now())
            return _Begun(View(invocation=_not_stored(record.invocation, error)), is_known=False)
        try:
            view = self._view(loaded)
        except (StoreUnavailableError, EntityConflictError):
            # What is stored is told all the same, only without the variables.
            view = View(invocation=shown(loaded.record, self.now()))
        return _Begun(view, sends_on=loaded.record.work is not None)

    def _run_unstored(self, draft: Draft) -> View:
        """Run a task nobody can ask for before its end, and store it once."""
        opening = opening_lines(
            draft.record, body=draft.prepared.request.body, condition=draft.condition
        )
        record, now, body_bytes = draft.record, self.now(), 0
        if draft.is_sent_now:
            sent = self.sending.send(draft.prepared, left_s=draft.prepared.task.timeout_s)
            now, body_bytes = self.now(), sent.body_bytes
            record = advance(draft.record, sent.outcome, now)
        lines = change_lines(draft.record, record, now=now, body_bytes=body_bytes)
        tell(end_line(record.invocation))
        try:
            self.journal.add(record, [LogEntry(text="\n".join(filter(None, [opening, lines])))])
        except (StoreUnavailableError, EntityConflictError) as error:
            return View(invocation=_not_stored(record.invocation, error))
        return View(invocation=record.invocation)

    def _carried_on(
        self, call: Call, begun: _Begun, arrived_at: datetime, last_start: datetime
    ) -> View:
        """Hold the reply as long as is asked for, or as its further requests fit the call."""
        view = begun.view
        if not begun.is_known or view.invocation.state is State.COMPLETED:
            return view
        until = None if call.wait_s is None else min(call.wait_s, LONGEST_WAIT_S)
        if until is None and not begun.sends_on:
            return view
        try:
            held = self._held(
                view.invocation.id,
                None if until is None else arrived_at + timedelta(seconds=until),
                last_start=last_start if begun.sends_on else None,
            )
        except (StoreUnavailableError, EntityConflictError, InvocationNotFoundError) as error:
            # The request was sent: whoever is told of a failure now would send it again.
            _log.warning("invocation %s cannot be held: %s", view.invocation.id, error.message)
            return view
        return replace(held, is_replay=view.is_replay)

    def _seen(self, invocation_id: str) -> Loaded:
        return self.transitions.apply(invocation_id, Seen())

    def _view(self, loaded: Loaded) -> View:
        variables = self.journal.variables(loaded.plan_id) if loaded.head.variables else {}
        return View(invocation=shown(loaded.record, self.now()), variables=variables)

    def _held(
        self, invocation_id: str, until: datetime | None, *, last_start: datetime | None = None
    ) -> View:
        """Return an invocation at its end, or at a time, whichever is first.

        Args:
            invocation_id: Its id.
            until: The time; None for as long as this call has requests to send.
            last_start: Until when the call itself sends the requests that are due; None where it
                sends none.
        """
        with self.wakeups.waiting(invocation_id) as waiting:
            while True:
                loaded = self._seen(invocation_id)
                now = self.now()
                record = loaded.record
                if record.is_final or (until is not None and now >= until):
                    return self._view(loaded)
                due_at = _own_due_at(record, last_start, now)
                if due_at is not None and due_at <= now:
                    if self._is_sent_on(loaded, last_start):
                        continue
                elif until is None and due_at is None and not _ends_within(record, last_start):
                    return self._view(loaded)
                looks = [over_at(record), now + timedelta(seconds=POLL_S)]
                looks += [at for at in (until, due_at) if at is not None and at > now]
                # Instants are whole milliseconds; one more, and this one has certainly passed.
                waiting.wait(max(0.0, (min(looks) - now).total_seconds()) + 0.001)

    def _is_sent_on(self, loaded: Loaded, last_start: datetime | None) -> bool:
        """Send the request that is due, and tell whether it could be."""
        try:
            self.runs.go_on(loaded, held_until=last_start)
        except BusyError:
            return False
        return True


@dataclass(frozen=True, slots=True)
class _Begun:
    """What a call has come to with its first request.

    Attributes:
        view: The invocation.
        sends_on: Whether it is the call's to send further requests.
        is_known: Whether the store knows the invocation as it is.
    """

    view: View
    sends_on: bool = False
    is_known: bool = True


def _own_due_at(record: Record, last_start: datetime | None, now: datetime) -> datetime | None:
    """Return when a request is due that the call itself sends; None where it sends none.

    That is none any more as well where the connection was busy until it was too late to begin.
    """
    if last_start is None or now > last_start:
        return None
    if record.work is None or not record.work.is_held:
        return None
    due_at = record.work.due_at
    return due_at if due_at is not None and due_at <= last_start else None


def _ends_within(record: Record, last_start: datetime | None) -> bool:
    """Tell whether a task has no request to come, and its time is over while the call lasts."""
    if last_start is None or record.work is None:
        return False
    if record.waits_for_callback or record.report_by is not None:
        return False
    return record.work.due_at is None and over_at(record) <= last_start


def _not_stored(
    invocation: Invocation, error: DependencyError | InvocationStateError
) -> Invocation:
    """Add that an outcome is not stored; the outcome itself stands (contract, section 4)."""
    tell(not_stored_line(invocation, error))
    text = f"The outcome is as told here, but it is not stored: {error.message}"
    return replace(invocation, issues=(*invocation.issues, Issue(IssueType.WARNING, text)))
