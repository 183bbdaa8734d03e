"""What the tests of state are made of: records, a clock, and a service over any store."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from secrets import token_urlsafe
from threading import Lock
from time import monotonic, sleep
from typing import TYPE_CHECKING
from uuid import uuid4

from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.credentials import TokenCredentials
from invoke_core.adapters.http import HttpSender
from invoke_core.adapters.sealing import StateSeal, TokenSeal
from invoke_core.alarm_clock import AlarmClock
from invoke_core.alarms import Alarm, DueIndex
from invoke_core.claims import Claims
from invoke_core.connections import (
    Allow,
    Connection,
    ConnectionBook,
    ConnectionKind,
    KnownConnection,
    Limits,
)
from invoke_core.drafts import Call, Drafts
from invoke_core.errors import StoreUnavailableError
from invoke_core.events import Exchanged
from invoke_core.journal import Journal
from invoke_core.limits import ConnectionLimits, Places
from invoke_core.listing import Listing
from invoke_core.model import (
    CompletionEvent,
    Correlation,
    Effect,
    Invocation,
    Reason,
    ReasonCode,
    RequestView,
    ResponseView,
    Result,
    State,
)
from invoke_core.records import Record
from invoke_core.runs import Runs
from invoke_core.sending import Sending
from invoke_core.service import InvokeService
from invoke_core.state_keys import state_key_of
from invoke_core.transitions import Transitions
from invoke_core.turns import Turns
from invoke_core.wakeups import Wakeups
from invoke_core.withdrawals import Withdrawals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from invoke_core.documents import JsonValue
    from invoke_core.ports import (
        Alarms,
        Change,
        Entity,
        EntityStore,
        NewId,
        NewToken,
        Pause,
        Sender,
    )

START = datetime(2026, 5, 17, 12, 0, 0, tzinfo=UTC)
EXCHANGE_S = 20
LOOPBACK = Allow(loopback=True)
UNLIMITED = Limits()
GRACE_S = 40

VALID = Exchanged(
    result=None,
    response=ResponseView(
        status=202, headers={"Content-Type": "text/plain"}, body="", body_truncated=False,
        elapsed_ms=5,
    ),
)  # fmt: skip
"""A valid answer to a request whose task waits for its callback."""

SUCCEEDED = replace(VALID, result=Result.SUCCEEDED)
"""A valid answer that ends its task."""

BAD_STATUS = replace(
    VALID,
    result=Result.FAILED,
    reason=Reason(ReasonCode.STATUS_CODE, "The target answered 500.", Effect.ANSWERED),
)
NO_ANSWER = Exchanged(
    result=Result.FAILED,
    reason=Reason(ReasonCode.CONNECTION_FAILED, "The target hung up.", Effect.UNKNOWN),
)


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def go_on(self, **duration: float) -> None:
        self.at += timedelta(**duration)


def new_record(
    *,
    plan_id: str | None = None,
    mode: CompletionEvent = CompletionEvent.CALLBACK,
    created_at: datetime = START,
    minutes: float = 60,
    claim: str = "",
) -> Record:
    """Return the record of an invocation whose request is about to be sent."""
    plan_id = plan_id or str(uuid4())
    exchange_s = min(EXCHANGE_S, minutes * 60)
    return Record(
        invocation=Invocation(
            id=plan_id,
            display_name="Invoke REST API: POST",
            connection="demo",
            caller="local",
            state=State.IN_PROGRESS,
            result=None,
            reason=None,
            completion_event=mode,
            request=RequestView(
                method="POST", url="https://api.example.com/v1", headers={"X": "y"}
            ),
            response=None,
            criteria=None,
            attempts=1,
            created_at=created_at,
            started_at=created_at,
            finished_at=None,
            deadline=created_at + timedelta(minutes=minutes),
            correlation=Correlation(
                plan_url="https://invoke.example.com/azdo/default/",
                project_id=str(uuid4()),
                hub_name="build",
                plan_id=plan_id,
                job_id=str(uuid4()),
                timeline_id=str(uuid4()),
                task_instance_id=str(uuid4()),
            ),
        ),
        report_by=created_at + timedelta(seconds=exchange_s + GRACE_S),
        token_hash="0" * 64,
        claim=claim,
    )


def ended(record: Record, *, at: datetime, result: Result = Result.SUCCEEDED) -> Record:
    """Return a record as it looks once its exchange has ended it."""
    invocation = replace(
        record.invocation,
        state=State.COMPLETED,
        result=result,
        response=VALID.response,
        finished_at=at,
    )
    return replace(record, invocation=invocation, report_by=None)


def no_pause(_: int) -> None:
    """Try again at once."""


def short_pause(attempt: int) -> None:
    """Let other threads come to their turn."""
    sleep(0.002 * min(attempt, 10))


def new_id() -> str:
    return str(uuid4())


def make_alarms(store: EntityStore, now: Callable[[], datetime]) -> AlarmClock:
    """Return alarms that are kept, and do not ring before they are started."""
    return AlarmClock(DueIndex(store), now)


@dataclass
class Instance:
    """One process of the service, as far as stored records go."""

    store: EntityStore
    now: Callable[[], datetime]
    keep: timedelta = timedelta(days=30)
    given_alarms: InitVar[Alarms | None] = None
    wakeups: Wakeups = field(default_factory=Wakeups)
    pause: Pause = short_pause
    new_id: NewId = new_id
    alarms: Alarms = field(init=False)
    journal: Journal = field(init=False)
    transitions: Transitions = field(init=False)
    listing: Listing = field(init=False)

    def __post_init__(self, given_alarms: Alarms | None) -> None:
        self.journal = Journal(self.store, new_id=self.new_id)
        self.alarms = given_alarms or make_alarms(self.store, self.now)
        self.transitions = Transitions(
            journal=self.journal,
            alarms=self.alarms,
            wakeups=self.wakeups,
            now=self.now,
            pause=self.pause,
        )
        self.listing = Listing(
            journal=self.journal, transitions=self.transitions, keep=self.keep, now=self.now
        )


def make_service(
    store: EntityStore,
    *,
    url: str,
    now: Callable[[], datetime],
    names: Sequence[str] = ("demo", "other"),
    allow: Allow = LOOPBACK,
    limits: Limits = UNLIMITED,
    places_count: int = 64,
    state_key: bytes = bytes(range(32)),
    sender: Sender | None = None,
    instance: Instance | None = None,
    new_token: NewToken = lambda: token_urlsafe(32),
    sleep_s: Callable[[float], None] = lambda _: None,
    run_later: Callable[[Callable[[], None]], None] = lambda work: work(),
) -> InvokeService:
    """Return a service with the connections 'demo' and 'other', which lead to a URL."""
    instance = instance or Instance(store, now)
    connections = ConnectionBook(
        KnownConnection(
            name,
            Connection(name=name, kind=ConnectionKind.GENERIC, url=url, allow=allow, limits=limits),
        )
        for name in names
    )
    turns = Turns()
    sender = sender or HttpSender(budget=ByteBudget(1 << 26))
    sending = Sending(
        sender=sender,
        credentials=TokenCredentials(sender=sender),
        connections=connections,
        exchange_timeout_s=EXCHANGE_S,
        body_limit_bytes=1 << 20,
        monotonic_s=monotonic,
        turns=turns,
    )
    drafts = Drafts(
        sending=sending,
        connections=connections,
        seal=TokenSeal(),
        state_seal=StateSeal([state_key_of(state_key)]),
        new_id=instance.new_id,
        new_token=new_token,
        public_base_url="https://invoke.example.com",
    )
    places, uses = Places(places_count), ConnectionLimits(monotonic)
    runs = Runs(
        sending=sending,
        drafts=drafts,
        connections=connections,
        journal=instance.journal,
        transitions=instance.transitions,
        alarms=instance.alarms,
        limits=uses,
        new_id=instance.new_id,
        jitter=lambda: 0.0,
        now=now,
    )
    return InvokeService(
        sending=sending,
        drafts=drafts,
        claims=Claims(
            journal=instance.journal,
            transitions=instance.transitions,
            drafts=drafts,
            now=now,
            pause=instance.pause,
        ),
        runs=runs,
        journal=instance.journal,
        transitions=instance.transitions,
        alarms=instance.alarms,
        listing=instance.listing,
        wakeups=instance.wakeups,
        withdrawals=Withdrawals(
            instance.journal, instance.transitions, sleep=sleep_s, run_later=run_later
        ),
        places=places,
        limits=uses,
        turns=turns,
        now=now,
    )


def call(key: str = "", *, caller: str = "local", **inputs: JsonValue) -> Call:
    """Return a call for one step, on the connection 'demo' unless it says otherwise."""
    document: JsonValue = {"inputs": {"serviceConnection": "demo", **inputs}}
    return Call(document=document, caller=caller, idempotency_key=key)


def later(what: Call, *, retries: int = 0, **options: JsonValue) -> Call:
    """Return a call for the same step that is answered at once and run by an alarm."""
    return replace(with_options(what, retries=retries, **options), is_async=True, wait_s=None)


def with_options(what: Call, *, retries: int = 0, **options: JsonValue) -> Call:
    """Return a call for the same step with control options, held for no further request."""
    assert isinstance(what.document, dict)
    document = {**what.document, "retryCountOnTaskFailure": str(retries), **options}
    return replace(what, document=document, wait_s=0.0)


def alarms_of(store: EntityStore) -> list[Alarm]:
    """Return every alarm that is set, earliest first."""
    return DueIndex(store).due(until=START + timedelta(days=1000), most=10_000)


def ring_next(store: EntityStore, service: InvokeService, clock: Clock) -> None:
    """Let the time come of the next alarm, and ring it as an alarm clock does."""
    alarm = alarms_of(store)[0]
    clock.at = max(clock.at, alarm.at)
    service.runs.ring(alarm)
    DueIndex(store).remove([(alarm.plan_id, alarm.at)])


def ring_all(store: EntityStore, service: InvokeService, clock: Clock) -> int:
    """Ring alarm after alarm until none is left, and return how many there were."""
    for number in range(1000):
        if not alarms_of(store):
            return number
        ring_next(store, service, clock)
    raise AssertionError(alarms_of(store))


class DiedError(BaseException):
    """The process is gone; nothing in it runs any more."""


class Around:
    """A store with something around each write."""

    def __init__(self, store: EntityStore) -> None:
        self.inner = store
        self.get = store.get
        self.read = store.read
        self.row_keys = store.row_keys
        self.scan = store.scan
        self.check = store.check

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        return self.inner.write(partition_key, changes)


class DyingStore(Around):
    """A store whose process dies at its n-th write, before it takes place or right after."""

    def __init__(self, store: EntityStore, *, at_write: int, done: bool) -> None:
        super().__init__(store)
        self._at_write = at_write
        self._done = done
        self._numbers = count(1)
        self._lock = Lock()
        self.died = False

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        with self._lock:
            if self.died:
                raise DiedError
            if next(self._numbers) == self._at_write:
                self.died = True
                if self._done:
                    self.inner.write(partition_key, changes)
                raise DiedError
        return self.inner.write(partition_key, changes)


class LosingStore(Around):
    """A store some of whose answers are lost, whether the write took place or not."""

    def __init__(self, store: EntityStore) -> None:
        super().__init__(store)
        self.lose: list[bool] = []
        """For each of the next writes, whether it takes place all the same."""

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        if not self.lose:
            return self.inner.write(partition_key, changes)
        if self.lose.pop(0):
            self.inner.write(partition_key, changes)
        raise StoreUnavailableError("InvokeStorage", "its answer was lost")


def all_rows(store: EntityStore) -> list[tuple[str, Entity]]:
    """Return every row there is."""
    return store.scan(first_partition="", before_partition="~", most=100_000)


def log_of(journal: Journal, plan_id: str) -> list[str]:
    """Return the lines of an invocation's log."""
    return [line for entry in journal.entries(plan_id) for line in entry.text.split("\n")]
