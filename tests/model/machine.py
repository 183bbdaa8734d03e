"""The model: everything that can happen to the service, in any order."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from invoke_core.records import takes_callbacks
from tests.model.actors import Order, Point
from tests.model.invariants import Invariants
from tests.model.processes import Messages
from tests.model.world import OUTCOMES, World
from tests.state.parts import call

if TYPE_CHECKING:
    from invoke_core import drafts
    from invoke_core.documents import JsonValue
    from tests.model.actors import Actor
    from tests.model.processes import FastStore

_MOST_PLANS = 5
_MOST_ACTORS = 8
_ALL = 1000
PROCESSES = st.integers(0, 1)
PLACES = st.integers(0, 7)
_SOME = (0, 1, 2, 3, 4, 5, 6, 8, 10)
Steps = tuple[int, Order]
STEPS: st.SearchStrategy[Steps] = st.one_of(
    st.just((_ALL, Order.GO)),
    st.tuples(st.sampled_from([_ALL, _ALL, _ALL, *_SOME]), st.just(Order.GO)),
    st.tuples(st.sampled_from(_SOME), st.sampled_from([Order.GO, Order.LOSE, Order.LOSE_DONE])),
)
"""How many points a call goes past, and what the store then does to it."""
_TO_THE_END: Steps = (_ALL, Order.GO)
SHAPES: dict[str, dict[str, JsonValue]] = {
    "plain": {},
    "retries": {"retryCountOnTaskFailure": "2"},
    "gate": {"gate": {"samplingInterval": "1", "timeout": "4", "minimumSuccessDuration": "1"}},
    "poll": {"poll": {"intervalSeconds": "10", "timeoutMinutes": "3"}},
    "poll and retries": {
        "poll": {"intervalSeconds": "10", "timeoutMinutes": "3"},
        "retryCountOnTaskFailure": "1",
    },
}


class Model(Invariants):
    """Two processes with clocks apart over one store; ``store`` is set by who runs it."""

    store: FastStore

    @initialize(
        skews_s=st.sampled_from([(0, 0), (-15, 15), (15, -15)]),
        has_queue=st.booleans(),
        ends_by_crash=st.booleans(),
    )
    def begin(self, *, skews_s: tuple[int, int], has_queue: bool, ends_by_crash: bool) -> None:
        self.store.empty()
        skews = tuple(timedelta(seconds=skew_s) for skew_s in skews_s)
        self.world = World(self.store, skews, Messages() if has_queue else None)
        self.ends_by_crash = ends_by_crash
        self.created = 0
        self.repeatable: list[tuple[drafts.Call, str]] = []

    @property
    def here(self) -> World:
        assert self.world is not None
        return self.world

    def has_room(self) -> bool:
        return self.world is not None and len(self.world.actors) < _MOST_ACTORS

    @precondition(lambda self: self.has_room() and self.created < _MOST_PLANS)
    @rule(
        number=PROCESSES,
        shape=st.sampled_from([*SHAPES, "retries", "retries", "callback", "callback"]),
        method=st.sampled_from(["GET", "POST", "POST", "PUT", "PATCH"]),
        key=st.sampled_from(["", "one"]),
        is_async=st.booleans(),
        wait_s=st.sampled_from([None, None, 0.0, 30.0]),
        minutes=st.sampled_from(["1", "10"]),
        steps=STEPS,
    )
    def create(
        self, *, number: int, shape: str, method: str, key: str, is_async: bool,
        wait_s: float | None, minutes: str, steps: Steps,
    ) -> None:  # fmt: skip
        self.created += 1
        is_callback = shape == "callback"
        what = call(key, method=method, waitForCompletion="true" if is_callback else "false")
        assert isinstance(what.document, dict)
        options = SHAPES.get(shape, {})
        document = {**what.document, **options, "timeoutInMinutes": minutes}
        if "gate" in options or "poll" in options:
            del document["timeoutInMinutes"]
            minutes = ""
        what = replace(what, document=document, wait_s=wait_s, is_async=is_async)
        content = f"{shape} {method} {minutes}"
        if key:
            self.repeatable.append((what, content))
        self.go_on(self.here.run(number, what, content=content), steps)

    @precondition(lambda self: self.has_room() and self.created < _MOST_PLANS and self.repeatable)
    @rule(which=PLACES, number=PROCESSES, steps=STEPS)
    def repeat(self, *, which: int, number: int, steps: Steps) -> None:
        self.created += 1
        what, content = self.repeatable[which % len(self.repeatable)]
        self.go_on(self.here.run(number, what, content=content), steps)

    @precondition(lambda self: self.has_room() and self.ledger.known())
    @rule(which=PLACES, number=PROCESSES, wait_s=st.sampled_from([None, None, 10.0]), steps=STEPS)
    def read(self, *, which: int, number: int, wait_s: float | None, steps: Steps) -> None:
        self.go_on(self.here.read(number, self.known(which), wait_s=wait_s), steps)

    @precondition(lambda self: self.has_room() and self.ledger.known())
    @rule(which=PLACES, number=PROCESSES, steps=STEPS)
    def cancel(self, *, which: int, number: int, steps: Steps) -> None:
        self.go_on(self.here.cancel(number, self.known(which)), steps)

    @precondition(lambda self: self.has_room() and self.here.between())
    @rule(which=PLACES, number=PROCESSES, rings=st.booleans(), steps=STEPS)
    def another_comes_between(self, *, which: int, number: int, rings: bool, steps: Steps) -> None:
        between = self.here.between()
        actor = between[which % len(between)]
        alarms = [one for one in self.here.alarms() if one[1].plan_id == actor.plan_id]
        if rings and alarms:
            other = self.here.ring(number, *alarms[0], again=True)
        else:
            other = self.here.cancel(number, actor.plan_id)
        self.go_on(other, _TO_THE_END)
        self.go_on(actor, steps)

    @precondition(lambda self: self.has_room() and self.ledger.tokens())
    @rule(
        which=PLACES,
        number=PROCESSES,
        result=st.sampled_from(["succeeded", "failed", None]),
        steps=STEPS,
    )
    def event(self, *, which: int, number: int, result: str | None, steps: Steps) -> None:
        plans = list(self.ledger.tokens())
        self.go_on(self.here.event(number, plans[which % len(plans)], result), steps)

    @precondition(lambda self: self.world is not None and self.here.standing(Point.EXCHANGE))
    @rule(which=PLACES, outcome=st.sampled_from(list(OUTCOMES)), steps=STEPS)
    def answer(self, *, which: int, outcome: str, steps: Steps) -> None:
        standing = self.here.standing(Point.EXCHANGE)
        actor = standing[which % len(standing)]
        self.here.answer(actor, outcome)
        self.go_on(actor, steps)

    @precondition(lambda self: self.world is not None and self.here.actors)
    @rule(which=PLACES, steps=STEPS)
    def go_further(self, *, which: int, steps: Steps) -> None:
        actors = self.here.actors
        self.here.go_on(actors[which % len(actors)], points=steps[0])

    @precondition(
        lambda self: self.world is not None and self.here.standing(Point.READ, Point.WRITE)
    )
    @rule(which=PLACES, done=st.booleans(), steps=STEPS)
    def lose_an_answer_of_the_store(self, *, which: int, done: bool, steps: Steps) -> None:
        standing = self.here.standing(Point.READ, Point.WRITE)
        order = Order.LOSE_DONE if done else Order.LOSE
        self.here.go_on(standing[which % len(standing)], order, points=steps[0])

    @precondition(lambda self: self.world is not None)
    @rule(number=PROCESSES, done=st.booleans())
    def crash(self, *, number: int, done: bool) -> None:
        self.here.crash(number, done=done)

    @precondition(lambda self: self.has_room() and self.here.alarms())
    @rule(which=PLACES, number=PROCESSES, again=st.booleans(), steps=STEPS)
    def ring(self, *, which: int, number: int, again: bool, steps: Steps) -> None:
        alarms = self.here.alarms()
        message, alarm = alarms[which % len(alarms)]
        self.go_on(self.here.ring(number, message, alarm, again=again), steps)

    @precondition(lambda self: self.has_room() and self.here.alarms())
    @rule(number=PROCESSES, steps=STEPS)
    def ring_the_next_in_time(self, *, number: int, steps: Steps) -> None:
        message, alarm = self.here.alarms()[0]
        self.here.now = max(self.here.now, alarm.at - self.here.skews[number])
        self.go_on(self.here.ring(number, message, alarm), steps)

    @precondition(lambda self: self.has_room())
    @rule(number=PROCESSES, steps=STEPS)
    def go_through_rows(self, *, number: int, steps: Steps) -> None:
        actor = self.here.go_through_rows(number)
        if actor is not None:
            self.go_on(actor, steps)

    @precondition(lambda self: self.world is not None)
    @rule(seconds=st.sampled_from([1, 5, 20, 60]))
    def time_passes(self, seconds: int) -> None:
        self.here.now += timedelta(seconds=seconds)

    @precondition(lambda self: self.world is not None and self.a_key_may_be_over())
    @rule()
    def a_day_passes(self) -> None:
        self.here.now += timedelta(days=1)

    @precondition(lambda self: self.world is not None and self.ledger.open_plans())
    @rule(which=PLACES, by_s=st.sampled_from([-15, -1, 0, 1, 15]))
    def time_passes_until_about_a_deadline(self, *, which: int, by_s: int) -> None:
        plans = self.ledger.open_plans()
        deadline = plans[which % len(plans)].invocation.deadline
        self.here.now = max(self.here.now, deadline + timedelta(seconds=by_s))

    def a_key_may_be_over(self) -> bool:
        """Tell whether the time of a key would be over a day from now."""
        records = [self.ledger.record(plan_id) for plan_id in self.ledger.states]
        ended = [one for one in records if one is not None and one.is_final and one.claim]
        return any(takes_callbacks(one, self.here.now) for one in ended)

    def known(self, which: int) -> str:
        known = self.ledger.known()
        return known[which % len(known)]

    def go_on(self, actor: Actor, steps: Steps) -> None:
        points, order = steps
        if not actor.is_over and points and actor.point not in (Point.EXCHANGE, Point.WAIT):
            self.here.go_on(actor, points=points - 1)
        if order is not Order.GO and actor.point in (Point.READ, Point.WRITE):
            self.here.go_on(actor, order)

    def teardown(self) -> None:
        """Let all alarms ring and the time of every task run out, unless something is wrong."""
        if self.world is None:
            return
        try:
            if sys.exception() is None:
                self.run_out()
        finally:
            for number in range(len(self.here.skews)):
                self.here.crash(number, done=False)

    def run_out(self) -> None:
        world = self.here
        if self.ends_by_crash:
            for number in range(len(world.skews)):
                world.crash(number, done=False)
        self.let_calls_end()
        self.let_alarms_ring()
        for record in world.ledger.open_plans():
            is_waiting = record.work is None or (
                record.waits_for_callback and record.work.due_at is None
            )
            is_excused = world.ledger.may_lack_its_alarm(record.invocation.id)
            assert is_waiting or is_excused, f"{record} is looked after by nobody"
        world.now += timedelta(hours=1)
        for record in world.ledger.open_plans():
            self.go_on(world.read(0, record.invocation.id), _TO_THE_END)
        self.is_over = True
        for one in self.invariants:
            one.function(self)

    def let_calls_end(self) -> None:
        world = self.here
        for _ in range(300):
            for actor in list(world.actors):
                self.to_its_next_wait(actor)
            if not world.actors:
                return
            world.now += timedelta(seconds=5)
        raise AssertionError("a call never ends")

    def let_alarms_ring(self) -> None:
        world = self.here
        for _ in range(500):
            alarms = world.alarms()
            if not alarms:
                return
            message, alarm = alarms[0]
            world.now = max(world.now, alarm.at - min(world.skews))
            # A row becomes a message first, where there is a queue.
            timer = None if message else world.go_through_rows(0)
            actor = timer or world.ring(0, message, alarm)
            while not actor.is_over:
                self.to_its_next_wait(actor)
        raise AssertionError("alarms ring for ever")

    def to_its_next_wait(self, actor: Actor) -> None:
        if actor.is_over:
            return
        if actor.point is Point.EXCHANGE:
            self.here.answer(actor, "ok")
            self.go_on(actor, _TO_THE_END)
        else:
            self.here.go_on(actor)
