"""Processes of the service, each with its own memory and clock, over one store."""

from __future__ import annotations

import base64
import hashlib
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from threading import Event
from typing import TYPE_CHECKING, Any

from invoke_core.adapters.credentials import TokenCredentials
from invoke_core.adapters.sqlite import SqliteStore
from invoke_core.alarm_clock import AlarmClock
from invoke_core.alarms import Alarm, DueIndex, QueueAlarms
from invoke_core.errors import EntityConflictError, SendError, StoreUnavailableError
from invoke_core.journal import Journal
from invoke_core.model import Answer, Effect
from invoke_core.plans import PlanService
from invoke_core.wakeups import Wakeups
from tests.model.actors import Order, Point, current, stop_at
from tests.model.ledger import Ledger, Request
from tests.state.parts import Around, DiedError, Instance, alarms_of, make_service, no_pause

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from invoke_core.model import OutgoingRequest
    from invoke_core.ports import Alarms, Change, EntityStore
    from invoke_core.runs import Runs

STANDS_STILL = timedelta(seconds=45)
"""An alarm waits for its record for 90 seconds, by clocks that differ by 30."""

URL = "https://api.example.com/start"


class FastStore(SqliteStore):
    """The embedded store on a disk that need not be waited for."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)

    def _open(self) -> sqlite3.Connection:
        connection = super()._open()
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    def empty(self) -> None:
        """Remove every row."""
        self._rows("DELETE FROM entities")


class Names:
    """Identifiers and tokens, the same ones with each run of an example."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def new_id(self) -> str:
        number = next(self._numbers)
        return f"{number:08x}-0000-4000-8000-{number:012x}"

    def new_token(self) -> str:
        digest = hashlib.sha256(str(next(self._numbers)).encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class StoppingStore(Around):
    """The store as one process has it: before each access the process stops."""

    def __init__(self, store: EntityStore, ledger: Ledger) -> None:
        super().__init__(store)
        self._ledger = ledger
        self._journal = Journal(store, new_id=str)
        for name in ("get", "read", "row_keys", "scan"):
            setattr(self, name, _stopping(getattr(store, name)))

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        order = stop_at(Point.WRITE)
        if order is Order.LOSE:
            raise _lost()
        try:
            etags = self.inner.write(partition_key, changes)
        except EntityConflictError:
            if order is Order.GO:
                raise
            etags = []
        else:
            self._note(partition_key)
        if order is Order.LOSE_DONE:
            raise _lost()
        if order is Order.DIE_DONE:
            raise DiedError
        return etags

    def _note(self, plan_id: str) -> None:
        """Note the state of a plan, and who wrote it."""
        if not plan_id[0].isdigit():
            return
        moment = self._ledger.next()
        loaded = self._journal.load(plan_id)
        states = self._ledger.states.setdefault(plan_id, [])
        states.append((moment, loaded.record if loaded else None))
        actor = current()
        if actor is None:
            return
        actor.wrote[plan_id] = moment
        if actor.stood_still > STANDS_STILL:
            self._ledger.late.setdefault(plan_id, []).append(actor)
        for request in self._ledger.requests:
            if request.actor is actor and request.plan_id == plan_id:
                request.is_noted = request.effect is not None


def _stopping(reading: Callable[..., Any]) -> Callable[..., Any]:
    def read(*args: object, **named: object) -> object:
        order = stop_at(Point.READ)
        if order in (Order.LOSE, Order.LOSE_DONE):
            raise _lost()
        if order is Order.DIE_DONE:
            raise DiedError
        return reading(*args, **named)

    return read


def _lost() -> StoreUnavailableError:
    return StoreUnavailableError("InvokeStorage", "its answer was lost")


class StoppingSender:
    """The way to a target that answers when, and what, the test says."""

    def __init__(self, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._now = now

    def prepared_url(self, url: str) -> str:
        return url

    def spent(self) -> bool:
        return False

    @contextmanager
    def send(self, request: OutgoingRequest, *, timeout_s: float, **_: object) -> Iterator[Answer]:
        if timeout_s <= 0:
            raise SendError("There was no time left.", code="timedOut", effect="none")
        clock = self._now()
        stop_at(Point.SEND)
        actor, ledger, headers = current(), self._ledger, dict(request.headers)
        assert actor is not None
        plan_id = headers["PlanId"]
        record = ledger.record(plan_id)
        gate = record.work.gate if record and record.work else None
        begun = Request(
            at=ledger.next(),
            actor=actor,
            plan_id=plan_id,
            method=request.method,
            asks_status=request.url != URL,
            token=headers.get("AuthToken", ""),
            claimed_at=actor.wrote.get(plan_id),
            clock=clock,
            sampling=gate.due_at if gate else None,
        )
        ledger.requests.append(begun)
        told = stop_at(Point.EXCHANGE)
        if isinstance(told, SendError):
            begun.effect = Effect(told.effect)
            raise told
        begun.effect = Effect.ANSWERED
        assert isinstance(told, Answer)
        # So it can be told in a record which request was answered.
        yield replace(told, elapsed_ms=begun.at)


class StoppingWakeups(Wakeups):
    """Held replies wait for the test, not for time."""

    @contextmanager
    def waiting(self, invocation_id: str) -> Iterator[Event]:
        del invocation_id
        yield _Stopping()


class _Stopping(Event):
    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        stop_at(Point.WAIT)
        return False


def _sleep(_: float) -> None:
    stop_at(Point.WAIT)


class Messages:
    """A queue; its messages outlive every process, and come when the test says."""

    def __init__(self) -> None:
        self.texts: dict[int, str] = {}
        self._numbers = count(1)

    def put(self, text: str, *, delay_s: int) -> None:
        del delay_s
        order = stop_at(Point.WRITE)
        if order is not Order.LOSE:
            self.texts[next(self._numbers)] = text
        if order in (Order.LOSE, Order.LOSE_DONE):
            raise _lost()
        if order is Order.DIE_DONE:
            raise DiedError

    def check(self) -> None:
        """Nothing is wrong with it."""


class Process:
    """One process of the service, with nothing in its memory."""

    def __init__(
        self,
        store: EntityStore,
        *,
        ledger: Ledger,
        names: Names,
        messages: Messages | None,
        now: Callable[[], datetime],
        run_later: Callable[[Callable[[], None]], None],
    ) -> None:
        self.now = now
        self._store = StoppingStore(store, ledger)
        self._messages = messages
        sender = StoppingSender(ledger, now)
        index = DueIndex(self._store)
        alarms: Alarms = QueueAlarms(index, messages, now) if messages else AlarmClock(index, now)
        self.alarms = alarms
        self.service = make_service(
            self._store,
            url=URL,
            now=now,
            sender=sender,
            instance=Instance(
                self._store,
                now,
                given_alarms=alarms,
                wakeups=StoppingWakeups(),
                pause=no_pause,
                new_id=names.new_id,
            ),
            new_token=names.new_token,
            sleep_s=_sleep,
            run_later=run_later,
        )
        self._rings = _Rings(self.service.runs, ledger)
        self.plans = PlanService(
            journal=self.service.journal,
            transitions=self.service.transitions,
            connections=self.service.drafts.connections,
            credentials=TokenCredentials(sender=sender),
            seal=self.service.drafts.seal,
            now=now,
            pause=no_pause,
        )

    def ring(self, number: int, alarm: Alarm, *, again: bool) -> None:
        """Ring an alarm as the alarm clock or the host does, and be done with it after.

        Args:
            number: The number of its message; 0 for a row.
            alarm: The alarm.
            again: Whether the message comes once more all the same.
        """
        if isinstance(self.alarms, AlarmClock):
            self.alarms._ring(self._rings, alarm)
            return
        try:
            self._rings.ring(alarm)
        except StoreUnavailableError:
            return
        if self._messages is not None and not again:
            self._messages.texts.pop(number, None)


@dataclass(frozen=True)
class _Rings:
    """Does what is due, and notes what nobody expects, which an alarm clock only logs."""

    runs: Runs
    ledger: Ledger

    def ring(self, alarm: Alarm) -> None:
        try:
            self.runs.ring(alarm)
        except StoreUnavailableError:
            raise
        except Exception as error:
            self.ledger.unexpected.append(("ring", error))
            raise

    def give_up(self, alarm: Alarm) -> None:
        self.runs.give_up(alarm)


def alarms_left(store: EntityStore, messages: Messages | None) -> list[tuple[int, Alarm]]:
    """Return every alarm that is set, messages with their numbers, earliest first."""
    texts = messages.texts if messages else {}
    read = [(number, Alarm.read(text)) for number, text in texts.items()]
    rows = [(0, alarm) for alarm in alarms_of(store)]
    found = [(number, alarm) for number, alarm in read if alarm is not None]
    return sorted([*rows, *found], key=lambda one: (one[1].at, one[1].plan_id, one[0]))
