"""The thread that rings the alarms of an embedded store."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.sqlite import SqliteStore
from invoke_core.alarm_clock import MOST_TRIES, AlarmClock
from invoke_core.alarms import Alarm, DueIndex
from invoke_core.errors import StoreUnavailableError
from invoke_core.model import Result
from tests.state.parts import Around, alarms_of, call, later, make_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from invoke_core.ports import Entity, EntityStore
    from tests.api.target import Target


def now() -> datetime:
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def comes_true(condition: Callable[[], object], *, within_s: float = 10) -> bool:
    until = monotonic() + within_s
    while monotonic() < until:
        if condition():
            return True
        sleep(0.01)
    return False


@dataclass
class Bell:
    """Counts what is rung, and does as it is told."""

    act: Callable[[Alarm], object] = lambda _: None
    give: Callable[[Alarm], object] = lambda _: None
    rung: list[tuple[str, float]] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)

    def ring(self, alarm: Alarm) -> None:
        self.rung.append((alarm.plan_id, monotonic()))
        self.act(alarm)

    def give_up(self, alarm: Alarm) -> None:
        self.given_up.append(alarm.plan_id)
        self.give(alarm)

    @property
    def counts(self) -> Counter[str]:
        return Counter(plan_id for plan_id, _ in self.rung)


def failing(_: Alarm) -> None:
    raise RuntimeError("what is due fails")


@pytest.fixture
def open_one(tmp_path: Path) -> Iterator[Callable[[], SqliteStore]]:
    stores: list[SqliteStore] = []

    def opened() -> SqliteStore:
        stores.append(SqliteStore(tmp_path / "invoke.db"))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def store(open_one: Callable[[], SqliteStore]) -> SqliteStore:
    return open_one()


@pytest.fixture
def clocks(store: SqliteStore) -> Iterator[Callable[..., AlarmClock]]:
    """Makes alarm clocks that stop with the test."""
    made: list[AlarmClock] = []

    def make(over: EntityStore = store, *, now: Callable[[], datetime] = now, **pace: float):  # type: ignore[no-untyped-def]  # noqa: ANN202
        made.append(AlarmClock(DueIndex(over), now, **{"poll_s": 0.02, "outage_s": 0.05} | pace))
        return made[-1]

    yield make
    for clock in made:
        clock.stop(timeout_s=10)


def test_what_is_due_rings_within_a_second_and_is_over_then(store: SqliteStore) -> None:
    clock, bell = AlarmClock(DueIndex(store), now), Bell()
    due: dict[str, float] = {}
    for number in range(30):
        plan_id, in_s = f"plan-{number}", number / 20
        due[plan_id] = monotonic() + in_s
        clock.set(plan_id, now() + timedelta(seconds=in_s))

    clock.start(bell)

    assert comes_true(lambda: len(bell.rung) == 30)
    assert comes_true(lambda: not alarms_of(store))
    assert clock.stop(timeout_s=10) == 0
    late_s = sorted(rung_at - due[plan_id] for plan_id, rung_at in bell.rung)
    # The clock of the store's instants and the one that is measured with are two, and a busy
    # machine is late with one or the other.
    assert late_s[0] > -0.05
    assert late_s[20] < 1
    assert late_s[-1] < 5


def test_what_another_process_has_set_is_found(
    open_one: Callable[[], SqliteStore], clocks: Callable[..., AlarmClock]
) -> None:
    bell = Bell()
    clocks().start(bell)
    sleep(0.1)

    clocks(open_one()).set("plan-1", now())

    assert comes_true(lambda: bell.rung)


def test_what_was_cleared_does_not_ring(clocks: Callable[..., AlarmClock]) -> None:
    clock, bell = clocks(), Bell()
    at = now() + timedelta(seconds=0.2)
    clock.set("plan-1", at)
    clock.set("plan-2", at)
    clock.start(bell)

    clock.clear("plan-1", at)

    assert comes_true(lambda: bell.rung)
    assert bell.counts == {"plan-2": 1}


def test_what_is_running_is_not_rung_again(
    store: SqliteStore, clocks: Callable[..., AlarmClock]
) -> None:
    release = threading.Event()
    clock, bell = clocks(), Bell(act=lambda _: release.wait(10))
    clock.set("plan-1", now())
    clock.start(bell)
    clock.start(bell)
    assert comes_true(lambda: bell.rung)

    sleep(0.3)

    assert bell.counts == {"plan-1": 1}
    release.set()
    assert comes_true(lambda: not alarms_of(store))


def test_what_fails_rings_again_until_it_succeeds(
    store: SqliteStore, clocks: Callable[..., AlarmClock]
) -> None:
    bell = Bell()

    def act(alarm: Alarm) -> None:
        if len(bell.rung) < 3:
            failing(alarm)

    bell.act = act
    clock = clocks(retry_s=0.2)
    clock.set("plan-1", now())
    clock.start(bell)

    assert comes_true(lambda: not alarms_of(store))
    moments = [moment for _, moment in bell.rung]
    assert len(moments) == 3
    assert all(second - first >= 0.2 for first, second in pairwise(moments))
    assert bell.given_up == []


def test_what_always_fails_is_given_up(
    store: SqliteStore, clocks: Callable[..., AlarmClock]
) -> None:
    bell = Bell(act=failing)
    clock = clocks(retry_s=0)
    clock.set("plan-1", now())
    clock.start(bell)

    assert comes_true(lambda: not alarms_of(store), within_s=20)
    assert bell.counts == {"plan-1": MOST_TRIES}
    assert bell.given_up == ["plan-1"]


def test_even_giving_up_is_repeated_where_it_fails(
    store: SqliteStore, clocks: Callable[..., AlarmClock]
) -> None:
    bell = Bell(act=failing)

    def give(alarm: Alarm) -> None:
        if len(bell.given_up) < 3:
            failing(alarm)

    bell.give = give
    clock = clocks(retry_s=0)
    clock.set("plan-1", now())
    clock.start(bell)

    assert comes_true(lambda: not alarms_of(store), within_s=20)
    assert bell.given_up == ["plan-1"] * 3


def test_many_that_fail_do_not_keep_others_from_ringing(
    clocks: Callable[..., AlarmClock],
) -> None:
    bell = Bell(act=lambda alarm: None if alarm.plan_id == "last" else failing(alarm))
    clock = clocks(retry_s=300)
    for number in range(450):
        clock.set(f"plan-{number}", now() - timedelta(seconds=10))
    clock.start(bell)
    assert comes_true(lambda: len(bell.rung) == 450, within_s=30)

    clock.set("last", now())

    assert comes_true(lambda: bell.counts["last"] == 1)


class Failing(Around):
    """A store that cannot be asked for as long as it is told so."""

    error: Exception | None = None
    asked = 0

    def __init__(self, store: EntityStore) -> None:
        super().__init__(store)
        self.scan = self._scan

    def _scan(
        self,
        *,
        first_partition: str,
        before_partition: str,
        after: tuple[str, str] | None = None,
        most: int,
    ) -> list[tuple[str, Entity]]:
        self.asked += 1
        if self.error:
            raise self.error
        return self.inner.scan(
            first_partition=first_partition,
            before_partition=before_partition,
            after=after,
            most=most,
        )


@pytest.mark.parametrize(
    "error", [StoreUnavailableError("STORE", "it is out"), RuntimeError("nobody thought of it")]
)
def test_an_outage_of_the_store_is_survived(
    store: SqliteStore, clocks: Callable[..., AlarmClock], error: Exception
) -> None:
    out = Failing(store)
    out.error = error
    clock, bell = clocks(out), Bell()
    clock.set("plan-1", now())
    clock.start(bell)
    assert comes_true(lambda: out.asked > 3)
    assert bell.rung == []

    out.error = None

    assert comes_true(lambda: bell.rung)


def test_an_alarm_that_is_set_anew_by_a_clock_set_back_is_not_lost(
    store: SqliteStore, clocks: Callable[..., AlarmClock]
) -> None:
    """While it rings, the clock of the machine is set back by a minute."""
    back = timedelta()
    clock = clocks(now=lambda: now() + back)

    def act(alarm: Alarm) -> None:
        nonlocal back
        back = timedelta(minutes=-1)
        clock.set(alarm.plan_id, alarm.at)

    bell = Bell(act=act)
    clock.set("plan-1", now())
    clock.start(bell)

    assert comes_true(lambda: bell.rung)
    assert clock.stop(timeout_s=10) == 0
    assert [alarm.plan_id for alarm in alarms_of(store)] == ["plan-1"]


def test_a_stop_waits_for_what_runs_and_begins_nothing_more(
    store: SqliteStore, clocks: Callable[..., AlarmClock]
) -> None:
    finished = []

    def act(alarm: Alarm) -> None:
        sleep(0.5)
        finished.append(alarm.plan_id)

    clock, bell = clocks(), Bell(act=act)
    clock.set("plan-1", now())
    clock.start(bell)
    assert comes_true(lambda: bell.rung)

    assert clock.stop(timeout_s=10) == 0
    assert finished == ["plan-1"]
    assert alarms_of(store) == []
    clock.set("plan-2", now())
    sleep(0.2)
    assert bell.counts == {"plan-1": 1}


def test_a_stop_waits_no_longer_than_it_may(clocks: Callable[..., AlarmClock]) -> None:
    release = threading.Event()
    clock, bell = clocks(), Bell(act=lambda _: release.wait(10))
    for number in range(3):
        clock.set(f"plan-{number}", now())
    clock.start(bell)
    assert comes_true(lambda: len(bell.rung) == 3)

    started = monotonic()
    assert clock.stop(timeout_s=0.3) == 3
    assert monotonic() - started < 2
    release.set()


def test_a_clock_that_never_began_stops_at_once(clocks: Callable[..., AlarmClock]) -> None:
    assert clocks().stop(timeout_s=0) == 0


def test_two_clocks_on_one_store_do_each_thing_once(
    open_one: Callable[[], SqliteStore], clocks: Callable[..., AlarmClock], target: Target
) -> None:
    services = [make_service(open_one(), url=target.url, now=now) for _ in range(2)]
    begun = [
        services[number % 2].run(later(call(method="POST", body=str(number)))).invocation.id
        for number in range(60)
    ]
    running = [clocks(open_one()) for _ in services]

    for clock, service in zip(running, services, strict=True):
        clock.start(service.runs)

    def is_over() -> bool:
        return all(services[0].read(one)[0].invocation.result for one in begun)

    assert comes_true(is_over, within_s=60)
    ended = [services[0].read(one)[0].invocation for one in begun]
    assert {one.result for one in ended} == {Result.SUCCEEDED}
    assert {one.attempts for one in ended} == {1}
    bodies = sorted(int(request.body) for request in target.received)
    assert bodies == list(range(60))
