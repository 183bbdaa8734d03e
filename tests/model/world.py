"""Two processes, what they do, and everything outside of them: time, target, callers, alarms."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from invoke_core.alarms import QueueAlarms
from invoke_core.errors import (
    IdempotencyConflictError,
    InvocationEndedError,
    InvocationNotFoundError,
    OutcomeUnknownError,
    SendError,
    StoreUnavailableError,
    TokenRejectedError,
)
from invoke_core.model import Answer
from invoke_core.records import end_of, takes_callbacks
from invoke_core.service import View
from tests.model.actors import Actor, Order, Point
from tests.model.ledger import NOT_STORED, Call, Ledger, Told, end_in
from tests.model.processes import Messages, Names, Process, alarms_left
from tests.state.parts import START, DiedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from invoke_core import drafts
    from invoke_core.alarms import Alarm
    from invoke_core.documents import JsonValue
    from tests.model.processes import FastStore

_WAITS = frozenset({Point.EXCHANGE, Point.WAIT})
"""Where an actor stands until something happens outside of it."""


def answered(status: int, *headers: tuple[str, str], body: bytes = b"{}") -> Answer:
    """Return an answer of the target."""
    return Answer(status=status, headers=headers, body=body, elapsed_ms=1)


def failed(effect: str) -> SendError:
    """Return a failure after which this much is known of the effect."""
    return SendError("The target hung up.", code="connectionFailed", effect=effect)


OUTCOMES: dict[str, Callable[[], Answer | SendError]] = {
    "ok": lambda: answered(200),
    "accepted": lambda: answered(202, ("Location", "/operations/7")),
    "begun": lambda: answered(202, ("Azure-AsyncOperation", "/operations/8")),
    "ended badly": lambda: answered(200, body=b'{"status": "Failed"}'),
    "broken": lambda: answered(500),
    "busy": lambda: answered(503, ("Retry-After", "20")),
    "lost": lambda: failed("unknown"),
    "unreached": lambda: failed("none"),
}
"""What may come of a request."""


@dataclass
class World:
    """What the model plays with.

    Attributes:
        store: What all processes share.
        skews: How far the clock of each process is off.
        messages: The queue of alarms; None where the embedded store has them.
    """

    store: FastStore
    skews: tuple[timedelta, ...]
    messages: Messages | None
    at: datetime = START
    ledger: Ledger = field(default_factory=Ledger)
    names: Names = field(default_factory=Names)
    actors: list[Actor] = field(default_factory=list)
    processes: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.processes = [self._process(number) for number in range(len(self.skews))]

    @property
    def now(self) -> datetime:
        """The true time."""
        return self.at

    @now.setter
    def now(self, at: datetime) -> None:
        for actor in self.standing(Point.READ, Point.WRITE):
            actor.stood_still += at - self.at
        self.at = at

    def clock(self, number: int) -> datetime:
        """Return the time by the clock of a process."""
        return self.now + self.skews[number]

    def run(self, number: int, call: drafts.Call, *, content: str) -> Actor:
        """Have a task run."""
        note = self._call("run", number, key=call.idempotency_key, content=content)
        return self._begin(number, lambda: self.processes[number].service.run(call), note)

    def read(self, number: int, plan_id: str, *, wait_s: float | None = None) -> Actor:
        """Read an invocation."""
        service = self.processes[number].service
        return self._begin(
            number,
            lambda: service.read(plan_id, wait_s=wait_s)[0],
            self._call("read", number),
            plan_id,
        )

    def cancel(self, number: int, plan_id: str) -> Actor:
        """Cancel an invocation."""
        service = self.processes[number].service
        note = self._call("cancel", number)
        return self._begin(number, lambda: service.cancel(plan_id), note, plan_id)

    def event(self, number: int, plan_id: str, result: str | None) -> Actor:
        """Send an event: the task has ended with a result, or has started."""
        plans, token = self.processes[number].plans, self.ledger.tokens()[plan_id]

        def send() -> object:
            try:
                plan = plans.open(plan_id, token)
            except TokenRejectedError:
                if self._is_closed(plan_id):
                    return None
                raise
            correlation = plan.loaded.record.invocation.correlation
            document: dict[str, JsonValue] = {
                "name": "TaskCompleted" if result else "TaskStarted",
                "jobId": correlation.job_id,
                "taskId": correlation.task_instance_id,
            }
            if result:
                document["result"] = result
            plans.event(plan, document)
            return result

        return self._begin(number, send, self._call("event", number), plan_id)

    def ring(self, number: int, message: int, alarm: Alarm, *, again: bool = False) -> Actor:
        """Ring an alarm, whatever the time."""
        process = self.processes[number]
        return self._start(
            number,
            lambda: process.ring(message, alarm, again=again),
            self._finished,
            alarm.plan_id,
        )

    def go_through_rows(self, number: int) -> Actor | None:
        """Turn the rows of what is due into messages, where there is a queue."""
        alarms = self.processes[number].alarms
        if not isinstance(alarms, QueueAlarms):
            return None
        send_due: Callable[..., int] = alarms.send_due
        until = self.clock(number) + timedelta(minutes=1)
        return self._start(number, lambda: send_due(until=until), self._finished)

    def crash(self, number: int, *, done: bool) -> None:
        """Kill a process; a new one comes in its place.

        Args:
            number: The process.
            done: Whether what it was about to write is written all the same.
        """
        for actor in [one for one in self.actors if one.number == number]:
            writes = done and actor.point is Point.WRITE
            actor.go_on(Order.DIE_DONE if writes else Order.DIE)
            assert actor.is_over
        self._sweep()
        self.processes[number] = self._process(number)

    def go_on(self, actor: Actor, order: object = Order.GO, *, points: int = 1000) -> None:
        """Let an actor go on, past so many points, or until it waits for something."""
        if not actor.is_over and actor.point is not Point.EXCHANGE:
            actor.go_on(order)
        while not actor.is_over and actor.point not in _WAITS and points:
            actor.go_on()
            points -= 1
        self._sweep()

    def answer(self, actor: Actor, outcome: str) -> None:
        """Let the request of an actor come to an outcome."""
        actor.go_on(OUTCOMES[outcome]())
        self._sweep()

    def alarms(self) -> list[tuple[int, Alarm]]:
        """Return every alarm that is set, earliest first."""
        return alarms_left(self.store, self.messages)

    def standing(self, *points: Point) -> list[Actor]:
        """Return the actors that stand at one of these points."""
        return [actor for actor in self.actors if actor.point in points]

    def between(self) -> list[Actor]:
        """Return the actors that stand between two accesses to a plan."""
        return [actor for actor in self.standing(Point.READ, Point.WRITE) if actor.plan_id]

    def _process(self, number: int) -> Process:
        return Process(
            self.store,
            ledger=self.ledger,
            names=self.names,
            messages=self.messages,
            now=lambda: self.clock(number),
            run_later=lambda work: self._run_later(number, work),
        )

    def _run_later(self, number: int, work: Callable[[], None]) -> None:
        self._start(number, work, self._finished)

    def _call(self, how: str, number: int, *, key: str = "", content: str = "") -> Call:
        moment = self.ledger.next()
        return Call(how, number, moment, self.clock(number), key, content)

    def _begin(
        self, number: int, work: Callable[[], object], call: Call, plan_id: str = ""
    ) -> Actor:
        def then(outcome: object) -> None:
            self._told(call, actor, outcome, plan_id)

        actor = Actor(number, work, then, plan_id)
        self.actors.append(actor)
        actor.start()
        self._sweep()
        return actor

    def _start(
        self,
        number: int,
        work: Callable[[], object],
        then: Callable[[object], None],
        plan_id: str = "",
    ) -> Actor:
        actor = Actor(number, work, then, plan_id)
        self.actors.append(actor)
        actor.start()
        return actor

    def _sweep(self) -> None:
        self.actors = [actor for actor in self.actors if not actor.is_over]

    def _finished(self, outcome: object) -> None:
        """Hear that something nobody waits for is over."""
        if isinstance(outcome, BaseException) and not isinstance(
            outcome, (StoreUnavailableError, DiedError)
        ):
            self.ledger.unexpected.append(("in the background", outcome))

    def _is_closed(self, plan_id: str) -> bool:
        """Tell whether some clock says that a plan takes nothing from its service any more."""
        record = self.ledger.record(plan_id)
        return record is not None and not takes_callbacks(record, self.now + max(self.skews))

    def _told(self, call: Call, actor: Actor, outcome: object, plan_id: str) -> None:
        """Note what a caller was told."""
        ledger = self.ledger
        match outcome:
            case View(invocation=invocation):
                is_stored = not any(
                    issue.message.startswith(NOT_STORED) for issue in invocation.issues
                )
                end, clock = end_in(invocation), self.clock(call.number)
                told = Told(call, ledger.next(), invocation.id, end, clock, is_stored)
                ledger.told.append(told)
            case StoreUnavailableError() if call.how != "run":
                pass
            case StoreUnavailableError() | IdempotencyConflictError() | OutcomeUnknownError():
                ledger.refused.append((call, actor))
            case InvocationEndedError(message=message):
                record = ledger.record(plan_id)
                if record is None or end_of(record) != message:
                    ledger.unexpected.append((call.how, outcome))
            case InvocationNotFoundError() if call.how != "run":
                ledger.missed.append((call, plan_id))
            case str():
                ledger.acknowledged.append((plan_id, outcome))
            case None:
                pass
            case BaseException():
                ledger.unexpected.append((call.how, outcome))
