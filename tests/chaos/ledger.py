"""What clients were told and what the target received, kept apart from every server and store."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A task that a caller asked for, under a name that its requests carry.

    Attributes:
        name: Its name; its ``Idempotency-Key`` as well, where it has one.
        kind: plain, callback, background, retries, gate or poll.
        method: That of its requests.
        has_key: Whether it was sent with an ``Idempotency-Key``.
        retries: Its ``retryCountOnTaskFailure``.
    """

    name: str
    kind: str
    method: str
    has_key: bool
    retries: int = 0

    @property
    def is_stored_first(self) -> bool:
        """Whether it is stored before its first request."""
        return self.has_key or self.kind != "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer to a caller, or that none came.

    Attributes:
        asked_at: When the call began, in seconds of one steady clock.
        at: When its answer was there.
        how: create, read, hold, cancel or log.
        server: The number of the instance.
        item: The task, of a call that creates it.
        trace: The trace id the call carried, which the target receives.
        status: The HTTP status; None where no answer came.
        media_type: Without parameters.
        retry_after: The header, or nothing.
        plan: The id of the invocation; empty where none was told.
        state: Likewise.
        result: Likewise.
        code: Of its reason, or of the problem.
        response: The status the target answered with, as the caller was told it.
        is_stored: Whether no issue says that the outcome is not stored.
    """

    asked_at: float
    at: float
    how: str
    server: int
    item: str = ""
    trace: str = ""
    status: int | None
    media_type: str = ""
    retry_after: str = ""
    plan: str = ""
    state: str = ""
    result: str = ""
    code: str = ""
    response: int | None = None
    is_stored: bool = True


@dataclass(slots=True, kw_only=True)
class Received:
    """One request as it reached the target.

    Attributes:
        at: When it was there whole.
        item: The task that it is of.
        plan: The id it carried.
        trace: The trace id it carried.
        method: The HTTP method.
        path: The path.
        behaviour: What the target did with it.
        answered: The status, once all of the answer was written; None where it never was.
    """

    at: float
    item: str
    plan: str
    trace: str
    method: str
    path: str
    behaviour: str
    answered: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """How a ``TaskCompleted`` event was answered."""

    asked_at: float
    at: float
    plan: str
    result: str
    status: int | None
    media_type: str = ""
    retry_after: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """How an upload was answered.

    Attributes:
        kind: line, record or page.
        mark: What is to be found again: a line, or the name of a record.
    """

    plan: str
    kind: str
    mark: str
    status: int | None
    media_type: str = ""
    retry_after: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault, and when it was."""

    kind: str
    begun_at: float
    ended_at: float


@dataclass(slots=True)
class Ledger:
    """All of it, in the order in which it became known; any thread may append."""

    items: dict[str, Item] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    reported: list[Reported] = field(default_factory=list)
    added: list[Added] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    """What the target did instead of answering, each time."""

    def plans(self) -> set[str]:
        """Return every id that somebody was told, or that the target received."""
        told = {one.plan for one in self.told}
        return (told | {one.plan for one in self.received}) - {""}

    def item_of(self) -> dict[str, Item]:
        """Return the task of each id."""
        named = [(one.plan, one.item) for one in self.told]
        named += [(one.plan, one.item) for one in self.received]
        return {plan: self.items[item] for plan, item in named if plan and item in self.items}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What an instance that had no part in it tells of an invocation at the end.

    Attributes:
        status: The HTTP status of reading it.
        state: As it is stored.
        result: Likewise.
        code: Of its reason.
        attempts: Likewise.
        overdue_s: Seconds since its deadline; below 0 before it.
        log: Its log.
        pages: The text of the pages of its logs.
        records: The names of its timeline records.
        is_listed: Whether a listing shows it.
    """

    status: int
    state: str = ""
    result: str = ""
    code: str = ""
    attempts: int = 0
    overdue_s: float = -1.0
    log: str = ""
    pages: str = ""
    records: frozenset[str] = frozenset()
    is_listed: bool = True

    @property
    def is_ended(self) -> bool:
        """Whether it has ended."""
        return self.state == "completed"


@dataclass(frozen=True, slots=True)
class Hit:
    """A promise that was not kept.

    Attributes:
        word: lost, doubled or contradictory.
        what: Which promise.
        name: The id of the invocation, or the name of the task.
        evidence: Who was told what.
    """

    word: str
    what: str
    name: str
    evidence: str

    def __str__(self) -> str:
        """Return it as a line of the report."""
        return f"{self.word}: {self.what}: {self.name}: {self.evidence}"
