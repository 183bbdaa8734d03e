"""What can happen to an invocation; ``lifecycle`` says what it makes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from invoke_core.model import CriteriaView, Issue, Reason, ResponseView, Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A run begins: the request that is due is about to be sent.

    Attributes:
        holder: A new name for this run.
        lease: How long it may take until it is taken for dead.
        token_hash: SHA-256 of the AuthToken it sends, where it has one.
        sealed: The secrets of the step, sealed with that token.
    """

    holder: str
    lease: timedelta
    token_hash: str = field(default="", repr=False)
    sealed: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusUrl:
    """Where the status of an operation is to be asked.

    Attributes:
        url: As it is kept.
        shown_url: As it may be shown.
        source: Where it was found.
    """

    url: str = field(repr=False)
    shown_url: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """The exchange with the target is over.

    Attributes:
        result: How it ends the task; None where the task goes on and waits for its callback.
        reason: Why it failed; None where it did not.
        response: The answer, where there was one.
        criteria: How the criteria was evaluated, where one was.
        issues: Remarks that came up on the way.
        outputs: What the answer puts out.
        status_url: Where an operation goes on that the task waits for; None where it is over.
        may_pass: Whether the failure of a status request says nothing about the operation.
        may_start_anew: Whether a failure leaves no operation behind that goes on unwatched.
        holder: The run that reports; empty for a task without work.
        told_pause: How long the target asks to be left alone, where it does.
        jitter: A random number from 0 to 1 that spreads the next try in time.
        held_until: Until when the process that reports would itself send the next request; None
            where it would not.
    """

    result: Result | None
    reason: Reason | None = None
    response: ResponseView | None = None
    criteria: CriteriaView | None = None
    issues: tuple[Issue, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    status_url: StatusUrl | None = None
    may_pass: bool = False
    may_start_anew: bool = True
    holder: str = ""
    told_pause: timedelta | None = None
    jitter: float = 0.0
    held_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskCompleted:
    """The external service says that the task has ended."""

    result: Result


@dataclass(frozen=True, slots=True)
class Canceled:
    """A caller does not want the task any more."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """Another call is told of the invocation, by its idempotency key."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The store failed while the invocation was written down, so nothing was sent, or will be."""


@dataclass(frozen=True, slots=True)
class Noted:
    """Something is to be remarked, once."""

    issue: Issue


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody looks; nothing but time has passed."""


Event = Begun | Exchanged | TaskCompleted | Canceled | Replayed | Withdrawn | Noted | Seen
