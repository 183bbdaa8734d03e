"""What was stored, sent and told, in the order in which it was, as an outsider notes it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from invoke_core.model import Effect, Invocation, Method
    from invoke_core.records import Record
    from tests.model.actors import Actor

_SENT_ONCE = frozenset({"POST", "PATCH"})

End = tuple[object, ...]
"""Result, reason and time."""

NOT_STORED = "The outcome is as told here, but it is not stored"


def end_in(invocation: Invocation) -> End | None:
    """Return the end an invocation shows; None where it has not ended."""
    if invocation.result is None:
        return None
    return invocation.result, invocation.reason, invocation.finished_at


@dataclass(frozen=True)
class Call:
    """One call to the service.

    Attributes:
        how: What was asked.
        number: The process.
        begun: The moment it began.
        clock: The time then, by the clock of that process.
        key: Its idempotency key; empty without.
        content: What was asked under the key.
    """

    how: str
    number: int
    begun: int
    clock: datetime
    key: str = ""
    content: str = ""


@dataclass(frozen=True)
class Told:
    """What a call was told of a plan.

    Attributes:
        call: The call.
        at: The moment.
        plan_id: The plan.
        end: Its end; None where it was said to go on.
        clock: The time by the clock of the process.
        is_stored: Whether it was said to be stored; it was not where the answer itself says so.
    """

    call: Call
    at: int
    plan_id: str
    end: End | None
    clock: datetime
    is_stored: bool = True


@dataclass(eq=False)
class Request:
    """A request that has begun.

    Attributes:
        at: The moment.
        actor: The call that sends it.
        plan_id: The plan.
        method: Its method.
        asks_status: Whether it asks for the status of an operation.
        token: Its AuthToken; empty without.
        claimed_at: The moment of the last write its call made to the plan before; None for none.
        clock: The time by the clock of its process when it was about to send it.
        sampling: Which evaluation of a gate it is; None for no gate.
        effect: What the service heard of its effect; None while it has not heard anything.
        is_noted: Whether it has written that down.
    """

    at: int
    actor: Actor
    plan_id: str
    method: Method
    asks_status: bool
    token: str
    claimed_at: int | None
    clock: datetime
    sampling: datetime | None
    effect: Effect | None = None
    is_noted: bool = False

    @property
    def may_have_changed(self) -> bool:
        """Whether sending it again could do something twice."""
        return self.method in _SENT_ONCE and not self.asks_status


@dataclass
class Ledger:
    """The notes.

    Attributes:
        moment: Counts everything that happens.
        states: The states of each plan, with their moments; None for a plan that is gone.
        told: What calls were told.
        requests: Requests that began.
        refused: Calls that were told that nothing was sent, with their actors.
        missed: Calls that were told that there is no such plan, with the plan.
        acknowledged: Plans whose end was reported and taken, with the result.
        late: Calls that wrote a plan after they had stood still for longer than alarms wait.
        unexpected: Errors nobody is to see, with what was asked.
    """

    moment: int = 0
    states: dict[str, list[tuple[int, Record | None]]] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    refused: list[tuple[Call, Actor]] = field(default_factory=list)
    missed: list[tuple[Call, str]] = field(default_factory=list)
    acknowledged: list[tuple[str, str]] = field(default_factory=list)
    late: dict[str, list[Actor]] = field(default_factory=dict)
    unexpected: list[tuple[str, BaseException]] = field(default_factory=list)

    def next(self) -> int:
        """Return the next moment."""
        self.moment += 1
        return self.moment

    def record(self, plan_id: str) -> Record | None:
        """Return a plan as it is stored."""
        states = self.states.get(plan_id, [])
        return states[-1][1] if states else None

    def record_at(self, plan_id: str, moment: int) -> Record | None:
        """Return a plan as it was stored at a moment."""
        before = [record for at, record in self.states.get(plan_id, []) if at <= moment]
        return before[-1] if before else None

    def open_plans(self) -> list[Record]:
        """Return the plans that are stored and have not ended."""
        records = [self.record(plan_id) for plan_id in self.states]
        return [record for record in records if record is not None and not record.is_final]

    def may_lack_its_alarm(self, plan_id: str) -> bool:
        """Tell whether who wrote a plan late has not set its alarm again yet, or never could."""
        return any(not one.is_over or one.is_cut for one in self.late.get(plan_id, []))

    def known(self) -> list[str]:
        """Return the plans somebody knows of: he was told, or received a request to call back."""
        told = [one.plan_id for one in self.told if one.is_stored]
        asked = [one.plan_id for one in self.requests if one.token]
        return list(dict.fromkeys([*told, *asked]))

    def tokens(self) -> dict[str, str]:
        """Return the AuthTokens that external services hold, by plan."""
        return {one.plan_id: one.token for one in self.requests if one.token}
