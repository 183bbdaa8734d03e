"""The use cases of our own routes: run a task, read, hold, cancel and list invocations."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Final

from invoke_core.errors import (
    BusyError,
    EntityConflictError,
    InvocationEndedError,
    InvocationNotFoundError,
    StoreUnavailableError,
)
from invoke_core.journal import LogEntry
from invoke_core.lifecycle import Canceled, Seen, advance, end_of, over_at, shown
from invoke_core.log import change_lines, opening_lines
from invoke_core.model import Issue, IssueType, Result, State
from invoke_core.transitions import log_end

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from invoke_core.claims import Claims
    from invoke_core.drafts import Call, Draft, Drafts
    from invoke_core.errors import DependencyError, InvocationStateError
    from invoke_core.journal import Journal, Loaded
    from invoke_core.limits import ConnectionLimits
    from invoke_core.listing import Listing, Page
    from invoke_core.model import Invocation
    from invoke_core.ports import Clock
    from invoke_core.sending import Sending
    from invoke_core.transitions import Transitions
    from invoke_core.wakeups import Wakeups
    from invoke_core.withdrawals import Withdrawals

LONGEST_WAIT_S: Final = 100
"""A reply is held no longer, whatever ``Prefer: wait`` asks for."""

POLL_S: Final = 2.0
"""How often a held reply looks at the store for what other processes did."""

_RETRY_AFTER_S: Final = 2

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


class Places:
    """The places for calls that run or are held in this process."""

    def __init__(self, count: int) -> None:
        """Offer some places."""
        self._free = BoundedSemaphore(count)

    @contextmanager
    def one(self) -> Iterator[bool]:
        """Hold a place, and tell whether there was one."""
        held = self._free.acquire(blocking=False)
        try:
            yield held
        finally:
            if held:
                self._free.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeService:
    """Runs tasks, and tells what became of them."""

    sending: Sending
    drafts: Drafts
    claims: Claims
    journal: Journal
    transitions: Transitions
    listing: Listing
    wakeups: Wakeups
    withdrawals: Withdrawals
    places: Places
    limits: ConnectionLimits
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
        """
        arrived_at = self.now()
        draft = self.drafts.draft(call, arrived_at)
        with self.places.one() as granted:
            if not granted or self.sending.is_spent():
                raise BusyError(
                    "As many invocations run here as may; try again shortly.",
                    retry_after_s=_RETRY_AFTER_S,
                )
            # A reply that is held uses a place of this process, and nothing of the connection.
            with self.limits.one(draft.prepared.connection) as use:
                view = self._run(call, draft)
                use.counts = not view.is_replay
            if call.wait_s is None or view.invocation.state is State.COMPLETED:
                return view
            until = arrived_at + timedelta(seconds=min(call.wait_s, LONGEST_WAIT_S))
            try:
                held = self._held(view.invocation.id, until)
            except (StoreUnavailableError, EntityConflictError, InvocationNotFoundError) as error:
                # The request was sent: whoever is told of a failure now would send it again.
                _log.warning("invocation %s cannot be held: %s", view.invocation.id, error.message)
                return view
            return replace(held, is_replay=view.is_replay)

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

    def _run(self, call: Call, draft: Draft) -> View:
        """Run a draft, stored before where somebody may ask for it."""
        if call.idempotency_key:
            begun = self.claims.begin(call, draft, self._store)
            if begun.draft is None:
                return replace(self._view(begun.loaded), is_replay=True)
            return self._run_stored(begun.draft, begun.loaded)
        if draft.waits or call.wait_s is not None:
            return self._run_stored(draft, self._store(draft))
        return self._run_unstored(draft)

    def _store(self, draft: Draft) -> Loaded:
        opening = opening_lines(draft.record, body=draft.prepared.request.body)
        try:
            return self.journal.add(draft.record, [LogEntry(text=opening)])
        except StoreUnavailableError:
            self.withdrawals.later(draft.record)
            raise

    def _run_stored(self, draft: Draft, loaded: Loaded) -> View:
        sent = self.sending.send(draft.prepared)
        try:
            loaded = self.transitions.apply(
                loaded.plan_id, sent.outcome, loaded=loaded, body_bytes=sent.body_bytes
            )
        except (StoreUnavailableError, EntityConflictError, InvocationNotFoundError) as error:
            record = advance(draft.record, sent.outcome, self.now())
            return View(invocation=_not_stored(record.invocation, error))
        try:
            return self._view(loaded)
        except (StoreUnavailableError, EntityConflictError):
            # What is stored is told all the same, only without the variables.
            return View(invocation=shown(loaded.record, self.now()))

    def _run_unstored(self, draft: Draft) -> View:
        """Run a task nobody can ask for before its end, and store it once."""
        sent = self.sending.send(draft.prepared)
        now = self.now()
        record = advance(draft.record, sent.outcome, now)
        lines = change_lines(draft.record, record, now=now, body_bytes=sent.body_bytes)
        opening = opening_lines(draft.record, body=draft.prepared.request.body)
        log_end(record.invocation)
        try:
            self.journal.add(record, [LogEntry(text=f"{opening}\n{lines}")])
        except (StoreUnavailableError, EntityConflictError) as error:
            return View(invocation=_not_stored(record.invocation, error))
        return View(invocation=record.invocation)

    def _seen(self, invocation_id: str) -> Loaded:
        return self.transitions.apply(invocation_id, Seen())

    def _view(self, loaded: Loaded) -> View:
        variables = self.journal.variables(loaded.plan_id) if loaded.head.variables else {}
        return View(invocation=shown(loaded.record, self.now()), variables=variables)

    def _held(self, invocation_id: str, until: datetime) -> View:
        """Return an invocation at its end, or at a time, whichever is first."""
        with self.wakeups.waiting(invocation_id) as waiting:
            while True:
                loaded = self._seen(invocation_id)
                now = self.now()
                if loaded.record.is_final or now >= until:
                    return self._view(loaded)
                next_look = min(until, over_at(loaded.record), now + timedelta(seconds=POLL_S))
                # Instants are whole milliseconds; one more, and this one has certainly passed.
                waiting.wait(max(0.0, (next_look - now).total_seconds()) + 0.001)


def _not_stored(
    invocation: Invocation, error: DependencyError | InvocationStateError
) -> Invocation:
    """Add that an outcome is not stored; the outcome itself stands (contract, section 4)."""
    _log.error("invocation %s: its outcome is not stored: %s", invocation.id, error.message)
    text = f"The outcome is as told here, but it is not stored: {error.message}"
    return replace(invocation, issues=(*invocation.issues, Issue(IssueType.WARNING, text)))
