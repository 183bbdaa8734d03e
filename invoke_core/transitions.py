"""Lets events happen to stored invocations, one conditional write each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.errors import EntityConflictError, InvocationNotFoundError
from invoke_core.journal import LogEntry
from invoke_core.lifecycle import advance
from invoke_core.log import change_lines
from invoke_core.records import SLOW_WRITE, alarm_at
from invoke_core.telemetry import tell, told_lines

if TYPE_CHECKING:
    from invoke_core.events import Event
    from invoke_core.journal import Journal, Loaded
    from invoke_core.ports import Alarms, Clock, Pause
    from invoke_core.wakeups import Wakeups

MOST_TRIES: Final = 60
"""How often a conditional write is tried against others that write at the same time."""


class Transitions:
    """The way from an event to a stored record."""

    def __init__(
        self, *, journal: Journal, alarms: Alarms, wakeups: Wakeups, now: Clock, pause: Pause
    ) -> None:
        """Keep the parts."""
        self._journal = journal
        self._alarms = alarms
        self._wakeups = wakeups
        self._now = now
        self._pause = pause

    def apply(
        self,
        invocation_id: str,
        event: Event,
        *,
        loaded: Loaded | None = None,
        body_bytes: int = 0,
    ) -> Loaded:
        """Let an event happen to an invocation, once, whoever else writes at the same time.

        Args:
            invocation_id: Its id.
            event: What happened; what the state machine makes of it is stored before this returns.
            loaded: As it was last read, where it was. An event that changes nothing there,
                though it has not ended, is judged once more by a new reading.
            body_bytes: Length of the body that goes or comes with the event.

        Returns:
            The record as it stands.

        Raises:
            InvocationNotFoundError: There is none of this id.
            EntityConflictError: Others wrote again and again.
            StoreUnavailableError: The store did not answer; the event may have been stored.
        """
        for attempt in range(MOST_TRIES):
            if attempt:
                self._pause(attempt)
            try:
                return self._tried(invocation_id, event, loaded, body_bytes)
            except EntityConflictError:
                loaded = None
        raise EntityConflictError

    def _tried(
        self, invocation_id: str, event: Event, loaded: Loaded | None, body_bytes: int
    ) -> Loaded:
        """Let the event happen to the record as it was read, or as it is read now."""
        is_new = loaded is None
        if loaded is None:
            loaded = self._journal.load(invocation_id)
        if loaded is None:
            raise InvocationNotFoundError
        now = self._now()
        before = loaded.record
        after = advance(before, event, now)
        if after is before:
            if is_new or before.is_final:
                return loaded
            return self._tried(invocation_id, event, None, body_bytes)
        lines = change_lines(before, after, now=now, body_bytes=body_bytes)
        was_due, is_due = alarm_at(before), alarm_at(after)
        turn = after.work.turn if after.work else 0
        new_alarm = is_due if is_due != was_due else None
        if new_alarm is not None:
            # First: a needless alarm is harmless, a missing one would lose the task.
            self._alarms.set(invocation_id, new_alarm, turn=turn)
        saved = self._journal.save(loaded, after, [LogEntry(text=lines)] if lines else [])
        if new_alarm is not None and self._now() - now > SLOW_WRITE:
            # This process stood still, and the alarm may have been given up.
            self._alarms.set(invocation_id, new_alarm, turn=turn)
        if was_due is not None and is_due != was_due:
            self._alarms.clear(invocation_id, was_due)
        tell(*told_lines(before, after, event, now))
        if after.is_final and not before.is_final:
            self._wakeups.wake(invocation_id)
        return saved
