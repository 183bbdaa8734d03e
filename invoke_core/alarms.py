"""What is due when: rows that outlive every process, and messages that call at the exact moment.

Source: design, "Work that outlives the call".
"""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from invoke_core.documents import JsonNumber, dump_json, parse_input
from invoke_core.encoding import read_time, time_form
from invoke_core.errors import JsonSyntaxError, StoreUnavailableError
from invoke_core.ports import MOST_CHANGES, Put, Remove

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke_core.documents import JsonValue
    from invoke_core.ports import AlarmMessages, Clock, EntityStore

SOON: Final = timedelta(seconds=60)
"""What is due within this time is a message; every so often a timer makes messages of rows."""

_OVERLAP: Final = timedelta(seconds=15)
"""So much more is turned into messages, for a timer that comes late."""

_INDEX: Final = "due-"
_AFTER_INDEX: Final = "due."
_PAGE: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TURN: Final = re.compile(r"\d{1,15}", re.ASCII)
_PLAN_ID: Final = re.compile(r"[0-9A-Za-z._-]{1,100}", re.ASCII)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A word to look after an invocation.

    Attributes:
        plan_id: The invocation.
        at: When.
        set_at: When that was said, which is before the record says so too.
        turn: Which change of the record it belongs to (``records.Work.turn``).
    """

    plan_id: str
    at: datetime
    set_at: datetime
    turn: int = 0

    def text(self) -> str:
        """Return the alarm as the text of a row or message."""
        return dump_json(
            {
                "planId": self.plan_id,
                "at": time_form(self.at),
                "setAt": time_form(self.set_at),
                "turn": self.turn,
            }
        )

    @classmethod
    def read(cls, text: str) -> Alarm | None:
        """Return the alarm in a text, or None where there is none: anybody may fill a queue."""
        try:
            form = parse_input(text)
            if not isinstance(form, dict):
                return None
            plan_id, at, set_at = form["planId"], _time(form["at"]), _time(form["setAt"])
            turn = _turn(form["turn"]) if "turn" in form else 0
        except (JsonSyntaxError, KeyError, TypeError, ValueError, OverflowError):
            return None
        if not isinstance(plan_id, str) or not _PLAN_ID.fullmatch(plan_id):
            return None
        return cls(plan_id=plan_id, at=at, set_at=set_at, turn=turn)


class DueIndex:
    """The rows of alarms, in the order in which they are due."""

    def __init__(self, store: EntityStore) -> None:
        """Keep the store."""
        self._store = store

    def add(self, alarm: Alarm) -> None:
        """Write an alarm down.

        Raises:
            StoreUnavailableError: It may or may not be there.
        """
        partition_key, row_key = _place(alarm.plan_id, alarm.at)
        self._store.write(partition_key, [Put(row_key, alarm.text().encode())])

    def remove(self, alarms: Sequence[tuple[str, datetime]]) -> None:
        """Remove alarms, each by its invocation and time; those that are gone do not matter."""
        rows: dict[str, list[Remove]] = {}
        for plan_id, at in alarms:
            partition_key, row_key = _place(plan_id, at)
            rows.setdefault(partition_key, []).append(Remove(row_key))
        for partition_key, changes in rows.items():
            for start in range(0, len(changes), MOST_CHANGES):
                self._store.write(partition_key, changes[start : start + MOST_CHANGES])

    def due(self, *, until: datetime, most: int) -> list[Alarm]:
        """Return alarms of the minute of an instant and of those before it, earliest first.

        Args:
            until: The instant.
            most: How many at most.
        """
        rows = self._store.scan(
            first_partition=_INDEX,
            before_partition=_partition(until + timedelta(minutes=1)),
            most=most,
        )
        alarms = [Alarm.read(row.value.decode()) for _, row in rows]
        return [alarm for alarm in alarms if alarm is not None]


class QueueAlarms:
    """Alarms of a storage account: rows for what is far, messages for what is near.

    Waiting messages would count as work for the platform's scaler, and would have it start
    instances for thousands of tasks that only wait; rows do not.
    """

    def __init__(self, index: DueIndex, messages: AlarmMessages, now: Clock) -> None:
        """Keep the parts."""
        self._index = index
        self._messages = messages
        self._now = now

    def set(
        self, plan_id: str, at: datetime, *, set_at: datetime | None = None, turn: int = 0
    ) -> None:
        """See that an invocation is looked after; see the port."""
        now = self._now()
        alarm = Alarm(plan_id=plan_id, at=at, set_at=set_at or now, turn=turn)
        if at - now < SOON:
            self._send(alarm, now)
        else:
            self._index.add(alarm)

    def clear(self, plan_id: str, at: datetime) -> None:
        """Forget an alarm; see the port."""
        if at - self._now() < SOON - _OVERLAP:
            # It is a message by now, or about to become one, and harmless. What was a row when it
            # was set is worth the attempt: a message would wake somebody for nothing.
            return
        _forgiving_remove(self._index, plan_id, at)

    def check(self) -> None:
        """See that messages can be left.

        Raises:
            StoreUnavailableError: They cannot.
        """
        self._messages.check()

    def send_due(self, *, until: datetime) -> int:
        """Turn the rows of what is due within the next minute into messages.

        A process that dies between the two leaves both; the second look finds nothing to do.

        Args:
            until: When to stop, whatever is left; the next minute goes on.

        Returns:
            How many there were.

        Raises:
            StoreUnavailableError: The table or the queue did not answer.
        """
        sent = 0
        while (now := self._now()) < until:
            horizon = now + SOON + _OVERLAP
            found = self._index.due(until=horizon, most=_PAGE)
            due = [alarm for alarm in found if alarm.at <= horizon]
            moved = []
            for alarm in due:
                if (now := self._now()) >= until:
                    break
                self._send(alarm, now)
                moved.append((alarm.plan_id, alarm.at))
            self._index.remove(moved)
            sent += len(moved)
            if len(due) < len(found) or len(found) < _PAGE:
                break
        return sent

    def _send(self, alarm: Alarm, now: datetime) -> None:
        delay_s = max(0, math.ceil((alarm.at - now).total_seconds()))
        self._messages.put(alarm.text(), delay_s=delay_s)


def _forgiving_remove(index: DueIndex, plan_id: str, at: datetime) -> None:
    try:
        index.remove([(plan_id, at)])
    except StoreUnavailableError as error:
        _log.warning("invocation %s: a needless alarm stays: %s", plan_id, error.message)


def _place(plan_id: str, at: datetime) -> tuple[str, str]:
    return _partition(at), f"{(at - _EPOCH) // timedelta(milliseconds=1):013}.{plan_id}"


def _partition(at: datetime) -> str:
    return f"{_INDEX}{at:%Y%m%d%H%M}"


def _turn(given: JsonValue) -> int:
    """Return a turn that a stranger may have written."""
    if not isinstance(given, JsonNumber) or not _TURN.fullmatch(given.text):
        raise TypeError
    return int(given.text)


def _time(given: JsonValue) -> datetime:
    """Return an instant that a stranger may have written, in UTC."""
    if not isinstance(given, str):
        raise TypeError
    at = read_time(given)
    if at.tzinfo is None:
        raise ValueError
    return at.astimezone(UTC)
