"""What is due when: the rows, the messages, and the way from one to the other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.adapters.queue_requests import QueueRequests
from invoke_core.adapters.queues import AlarmQueue
from invoke_core.alarms import Alarm, DueIndex, QueueAlarms
from invoke_core.errors import StoreUnavailableError
from invoke_core.model import Secret, StorageAccount
from tests.state.parts import (
    START,
    Around,
    Clock,
    DiedError,
    DyingStore,
    LosingStore,
    all_rows,
    new_id,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke_core.ports import Change, EntityStore
    from tests.azurite import Azurite

FAR = timedelta(days=1)
EVER = START + timedelta(days=1000)
MS = timedelta(milliseconds=1)


def alarm(plan_id: str = "plan-1", *, at: datetime = START, set_at: datetime = START) -> Alarm:
    return Alarm(plan_id=plan_id, at=at, set_at=set_at)


def after(**duration: float) -> datetime:
    return START + timedelta(**duration)


@dataclass
class Messages:
    """A queue in memory.

    Attributes:
        put_s: How long each message takes, by the clock.
        fails_at: The message at which the queue does not answer, from 1; 0 for none.
    """

    clock: Clock
    put_s: float = 0
    fails_at: int = 0
    sent: list[tuple[Alarm, int]] = field(default_factory=list)

    def check(self) -> None:
        """Tell that it can be used, as it always can."""

    def put(self, text: str, *, delay_s: int) -> None:
        if len(self.sent) + 1 == self.fails_at:
            raise StoreUnavailableError("InvokeStorage", "its queue does not answer")
        read = Alarm.read(text)
        assert read is not None
        assert len(text) < 1000
        self.sent.append((read, delay_s))
        self.clock.go_on(seconds=self.put_s)

    @property
    def ids(self) -> list[str]:
        return [read.plan_id for read, _ in self.sent]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def messages(clock: Clock) -> Messages:
    return Messages(clock)


@pytest.fixture
def index(store: EntityStore) -> DueIndex:
    return DueIndex(store)


@pytest.fixture
def alarms(index: DueIndex, messages: Messages, clock: Clock) -> QueueAlarms:
    return QueueAlarms(index, messages, clock)


def ids(found: list[Alarm]) -> list[str]:
    return [one.plan_id for one in found]


def test_alarms_come_in_the_order_in_which_they_are_due(index: DueIndex) -> None:
    moments = [after(minutes=m, milliseconds=ms) for m in (-90, -1, 0, 9) for ms in (0, 1, 59_999)]
    for number, at in reversed(list(enumerate(moments))):
        index.add(alarm(f"plan-{number:02}", at=at))

    found = index.due(until=after(hours=1), most=100)

    assert [one.at for one in found] == moments
    assert ids(found) == [f"plan-{number:02}" for number in range(12)]


def test_an_alarm_comes_back_as_it_was_set(index: DueIndex) -> None:
    wanted = alarm(new_id(), at=after(milliseconds=7), set_at=after(milliseconds=-8))

    index.add(wanted)
    index.add(wanted)

    assert index.due(until=START, most=10) == [wanted]


def test_two_alarms_of_one_moment_are_two(index: DueIndex) -> None:
    index.add(alarm("plan-1"))
    index.add(alarm("plan-2"))
    index.add(alarm("plan-1", at=START + MS))

    assert len(index.due(until=START, most=10)) == 3


def test_the_minute_of_an_instant_is_read_whole_and_the_next_one_is_not(index: DueIndex) -> None:
    index.add(alarm("last", at=after(minutes=1) - MS))
    index.add(alarm("next", at=after(minutes=1)))

    assert ids(index.due(until=START, most=10)) == ["last"]
    assert ids(index.due(until=after(minutes=1) - MS, most=10)) == ["last"]
    assert ids(index.due(until=after(minutes=1), most=10)) == ["last", "next"]


def test_the_end_of_a_year_is_no_end_of_the_order(index: DueIndex) -> None:
    midnight = datetime(2027, 1, 1, tzinfo=UTC)
    index.add(alarm("new", at=midnight))
    index.add(alarm("old", at=midnight - MS))

    assert ids(index.due(until=midnight - MS, most=10)) == ["old"]
    assert ids(index.due(until=midnight, most=10)) == ["old", "new"]


def test_no_more_alarms_are_returned_than_are_asked_for(index: DueIndex) -> None:
    for number in range(7):
        index.add(alarm(f"plan-{number}", at=after(seconds=-number * 30)))

    assert ids(index.due(until=START, most=3)) == ["plan-6", "plan-5", "plan-4"]


def test_removed_alarms_are_gone_and_others_stay(index: DueIndex) -> None:
    moments = {f"plan-{number}": after(seconds=number % 3) for number in range(150)}
    for plan_id, at in moments.items():
        index.add(alarm(plan_id, at=at))
    index.add(alarm("plan-1", at=after(seconds=2)))

    index.remove([*moments.items(), ("never there", START)])
    index.remove([])

    assert index.due(until=EVER, most=500) == [alarm("plan-1", at=after(seconds=2))]


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001
)
def test_an_alarm_is_removed_by_the_instant_that_its_own_text_tells(moment: datetime) -> None:
    rows: dict[tuple[str, str], bytes] = {}

    class Rows:
        def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
            for change in changes:
                key = (partition_key, change.row_key)
                value: bytes = getattr(change, "value", b"")
                if value:
                    rows[key] = value
                else:
                    del rows[key]
            return []

    index = DueIndex(Rows())  # type: ignore[arg-type]  # it only writes here
    index.add(alarm(at=moment.replace(tzinfo=UTC)))
    (text,) = rows.values()
    read = Alarm.read(text.decode())

    assert read is not None
    index.remove([(read.plan_id, read.at)])
    assert rows == {}


GOOD = {
    "planId": "plan-1",
    "at": "2026-05-17T12:00:00.000Z",
    "setAt": "2026-05-17T12:00:00.000Z",
}
NO_IDS: list[object] = [
    *(None, 1, True, [], {}, "", "a/b", "../a", "a'b", "a b", "ä", "x" * 101, "a\n"),
]
NO_INSTANTS: list[object] = [
    *(None, 1, 1.5, True, [], {}, "", "now", "2026-05-17", "12:00", "9" * 9999),
    "2026-05-17T12:00:00",
    "2026-13-17T12:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59-23:59",
]
GARBAGE: list[object] = [
    *(None, True, 1, 1.5, "text", [], ["planId", "at", "setAt"], {}, [[[]]]),
    *({name: GOOD[name] for name in GOOD if name != missing} for missing in GOOD),
    *({**GOOD, "planId": value} for value in NO_IDS),
    *({**GOOD, "at": value} for value in NO_INSTANTS),
    *({**GOOD, "setAt": value} for value in NO_INSTANTS),
]


@pytest.mark.parametrize("value", GARBAGE)
def test_what_is_no_alarm_is_none(value: object) -> None:
    assert Alarm.read(json.dumps(GOOD)) is not None
    assert Alarm.read(json.dumps(value)) is None


@pytest.mark.parametrize(
    "text",
    [
        *("", "alarm", "\ufeff", "{", "NaN", "\x00", "\ud800", '{"planId": "a", "planId": "b"}'),
        *("[" * 100_000, '{"planId":' * 100_000, "9" * 100_000),
    ],
    ids=lambda text: repr(text[:30]),
)
def test_what_is_no_document_is_no_alarm(text: str) -> None:
    assert Alarm.read(text) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(sorted(GOOD)), inner, max_size=3)
    ),
    max_leaves=8,
)
NEARLY = st.fixed_dictionaries(
    {name: JSON | st.sampled_from(sorted(GOOD.values())) for name in GOOD}
)


@given(st.text() | (JSON | NEARLY).map(json.dumps))
def test_whatever_lies_in_the_queue_is_an_alarm_or_none(text: str) -> None:
    read = Alarm.read(text)

    assert read is None or read.at.utcoffset() == read.set_at.utcoffset() == timedelta()


def test_an_instant_of_another_zone_is_the_same_instant() -> None:
    moment = START.astimezone(timezone(timedelta(hours=5, minutes=30)))

    read = Alarm.read(json.dumps({**GOOD, "at": moment.isoformat()}))

    assert read == alarm()
    assert read.at.tzinfo is UTC


@pytest.mark.parametrize(
    ("at", "delay_s"),
    [
        (after(hours=-1), 0),
        (START, 0),
        (START + MS, 1),
        (after(seconds=2), 2),
        (after(seconds=2) + MS, 3),
        (after(seconds=60) - MS, 60),
    ],
)
def test_what_is_near_is_a_message_that_comes_no_earlier(
    store: EntityStore, alarms: QueueAlarms, messages: Messages, at: datetime, delay_s: int
) -> None:
    alarms.set("plan-1", at)

    assert messages.sent == [(alarm(at=at), delay_s)]
    assert all_rows(store) == []


@pytest.mark.parametrize("at", [after(seconds=60), after(days=30)])
def test_what_is_far_is_a_row(
    alarms: QueueAlarms, messages: Messages, index: DueIndex, at: datetime
) -> None:
    alarms.set("plan-1", at, set_at=after(seconds=-5))

    assert messages.sent == []
    assert index.due(until=at, most=10) == [alarm(at=at, set_at=after(seconds=-5))]


def test_a_run_that_ends_soon_leaves_no_row_of_its_lease(
    store: EntityStore, alarms: QueueAlarms, clock: Clock
) -> None:
    lease_ends_at = after(seconds=60)
    alarms.set("plan-1", lease_ends_at)
    clock.go_on(seconds=5)

    alarms.clear("plan-1", lease_ends_at)

    assert all_rows(store) == []


def test_what_is_a_message_costs_nothing_to_forget(clock: Clock, messages: Messages) -> None:
    class Unused:
        pass

    alarms = QueueAlarms(DueIndex(Unused()), messages, clock)  # type: ignore[arg-type]  # not used

    alarms.clear("plan-1", after(seconds=44))
    alarms.clear("plan-1", START)


def test_an_alarm_that_cannot_be_forgotten_stays_and_does_no_harm(
    store: EntityStore, messages: Messages, clock: Clock
) -> None:
    losing = LosingStore(store)
    alarms = QueueAlarms(DueIndex(losing), messages, clock)
    alarms.set("plan-1", after(hours=1))
    losing.lose = [False]

    alarms.clear("plan-1", after(hours=1))

    assert len(all_rows(store)) == 1


def test_once_a_minute_rows_become_messages_each_of_them_once(
    store: EntityStore, alarms: QueueAlarms, messages: Messages, clock: Clock
) -> None:
    moments = {f"plan-{number:03}": after(seconds=60 + number) for number in range(300)}
    for plan_id, at in moments.items():
        alarms.set(plan_id, at)
    assert messages.sent == []

    while all_rows(store):
        alarms.send_due(until=clock.at + timedelta(minutes=1))
        for sent, delay_s in messages.sent:
            due_in = (sent.at - clock.at).total_seconds()
            assert delay_s >= due_in or sent.at < clock.at + timedelta(seconds=15)
        clock.go_on(minutes=1)

    assert messages.ids == sorted(moments)
    assert all(moments[sent.plan_id] == sent.at for sent, _ in messages.sent)


def test_what_is_not_due_within_the_minute_and_a_little_more_stays_a_row(
    alarms: QueueAlarms, messages: Messages, clock: Clock, index: DueIndex
) -> None:
    alarms.set("late", after(seconds=76))
    alarms.set("soon", after(seconds=75))

    assert alarms.send_due(until=clock.at + FAR) == 1

    assert messages.sent == [(alarm("soon", at=after(seconds=75)), 75)]
    assert ids(index.due(until=EVER, most=10)) == ["late"]


def test_what_a_timer_that_stood_still_has_missed_is_sent_at_once(
    alarms: QueueAlarms, messages: Messages, clock: Clock
) -> None:
    for number in range(450):
        alarms.set(f"plan-{number:03}", after(minutes=2, seconds=number))
    clock.go_on(hours=5)

    assert alarms.send_due(until=clock.at + FAR) == 450
    assert alarms.send_due(until=clock.at + FAR) == 0

    assert len(set(messages.ids)) == 450
    assert {delay_s for _, delay_s in messages.sent} == {0}


def test_however_slow_the_queue_is_the_step_ends_in_time_and_the_next_goes_on(
    alarms: QueueAlarms, messages: Messages, clock: Clock
) -> None:
    for number in range(50):
        alarms.set(f"plan-{number:02}", after(seconds=60))
    messages.put_s = 3

    assert alarms.send_due(until=after(seconds=30)) == 10
    assert clock.at == after(seconds=30)
    assert alarms.send_due(until=after(seconds=30)) == 0
    messages.put_s = 0
    assert alarms.send_due(until=after(seconds=60)) == 40

    assert messages.ids == [f"plan-{number:02}" for number in range(50)]


def test_a_queue_that_does_not_answer_leaves_the_rows(
    store: EntityStore, alarms: QueueAlarms, messages: Messages
) -> None:
    for number in range(5):
        alarms.set(f"plan-{number}", after(seconds=60))
    messages.fails_at = 3

    with pytest.raises(StoreUnavailableError):
        alarms.send_due(until=EVER)
    messages.fails_at = 0
    alarms.send_due(until=EVER)

    # Two were sent twice, and whoever gets the second finds nothing to do.
    assert sorted(set(messages.ids)) == [f"plan-{number}" for number in range(5)]
    assert all_rows(store) == []


@pytest.mark.parametrize("done", [False, True])
def test_a_process_that_dies_between_message_and_row_leaves_a_message_too_many(
    store: EntityStore, alarms: QueueAlarms, messages: Messages, clock: Clock, *, done: bool
) -> None:
    alarms.set("plan-1", after(seconds=60))
    dying = QueueAlarms(DueIndex(DyingStore(store, at_write=1, done=done)), messages, clock)
    with pytest.raises(DiedError):
        dying.send_due(until=EVER)

    alarms.send_due(until=EVER)

    assert messages.ids == ["plan-1"] * (1 if done else 2)
    assert all_rows(store) == []


def test_a_row_whose_writing_is_left_open_may_be_there(store: EntityStore) -> None:
    losing = LosingStore(store)
    losing.lose = [True]

    with pytest.raises(StoreUnavailableError):
        DueIndex(losing).add(alarm())

    assert DueIndex(Around(store)).due(until=START, most=10) == [alarm()]


def test_a_thousand_that_wait_cost_one_query_a_minute(
    store: EntityStore, messages: Messages, clock: Clock
) -> None:
    class Counting(Around):
        """Counts whatever is asked or written."""

        def __init__(self, inner: EntityStore) -> None:
            super().__init__(inner)
            self.count = 0
            scan = self.scan

            def counted(**wanted: object) -> object:
                self.count += 1
                return scan(**wanted)  # type: ignore[arg-type]

            self.scan = counted  # type: ignore[assignment]

        def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
            self.count += 1
            return self.inner.write(partition_key, changes)

    counting = Counting(store)
    alarms = QueueAlarms(DueIndex(counting), messages, clock)
    for number in range(1000):
        alarms.set(f"plan-{number}", after(hours=2, seconds=number))
    counting.count = 0

    for _ in range(60):
        alarms.send_due(until=clock.at + timedelta(seconds=50))
        clock.go_on(minutes=1)

    assert counting.count == 60
    assert messages.sent == []


def test_a_message_of_the_real_queue_is_read_back(
    store: EntityStore, azurite_queues: Azurite, clock: Clock
) -> None:
    account = StorageAccount("InvokeStorage", Secret(azurite_queues.connection_string))
    name = f"q{new_id()}"
    queue = AlarmQueue(account, threads=2, queue=name)
    requests = QueueRequests(account, queue=name, threads=2)
    plan_id = new_id()

    QueueAlarms(DueIndex(store), queue, clock).set(plan_id, START)

    (message,) = requests.receive(most=32, hide_s=60)
    assert Alarm.read(message.text or "") == alarm(plan_id)
    queue.close()
    requests.close()
