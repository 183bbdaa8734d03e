"""Many writers at once at one plan, from two instances: one end, and nothing of theirs is lost.

``RACE_ROUNDS=100`` races that often and ``-s`` shows the figures; a run of all tests does it a few
times.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from secrets import token_urlsafe
from threading import Barrier, Lock
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.credentials import TokenCredentials
from invoke_core.adapters.http import HttpSender
from invoke_core.adapters.sealing import TokenSeal
from invoke_core.connections import ConnectionBook
from invoke_core.drafts import hash_token
from invoke_core.errors import EntityConflictError
from invoke_core.events import Canceled
from invoke_core.journal import Journal
from invoke_core.model import Result
from invoke_core.plans import PlanService
from invoke_core.records import Ending
from invoke_core.transitions import Transitions
from invoke_core.wakeups import Wakeups
from invoke_core.web.pipelines import PipelineHandlers
from invoke_core.wiring import _pause as pause_of_the_service
from tests.pipelines.conftest import Clock, CountingStore, Plan
from tests.state.parts import log_of, make_alarms, new_id, new_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from invoke_core.model import Correlation
    from invoke_core.records import Record
    from tests.conftest import OpenStore

ROUNDS = int(os.environ.get("RACE_ROUNDS", "2"))
WRITERS = 50
_RESULTS = {"succeeded": Result.SUCCEEDED, "failed": Result.FAILED}


@dataclass
class Figures:
    """What the rounds of a test came to."""

    name: str
    answers: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    repeats: Counter[int] = field(default_factory=Counter)
    rounds_s: list[float] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def pause(self, attempt: int) -> None:
        """Wait as the service does, and count."""
        with self.lock:
            self.repeats[attempt] += 1
        pause_of_the_service(attempt)

    def show(self) -> None:
        rounds = sorted(self.rounds_s)
        print(  # noqa: T201  # the figures of a run by hand
            f"\n{self.name}: {len(rounds)} rounds of {WRITERS} writers, "
            f"median {rounds[len(rounds) // 2]:.2f} s, slowest {rounds[-1]:.2f} s; "
            f"answers {dict(sorted(self.answers.items()))}; ends {dict(self.ends)}; "
            f"repeated writes {sum(self.repeats.values())}, "
            f"most by one writer {max(self.repeats, default=0)}"
        )


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    figures = Figures(request.node.name)
    yield figures
    if figures.rounds_s:
        figures.show()


@dataclass
class Instance:
    """One process of the service: parts of its own over a store that others write to as well."""

    store: CountingStore
    clock: Clock
    journal: Journal
    transitions: Transitions
    handlers: PipelineHandlers

    def plan(self, correlation: Correlation, token: str) -> Plan:
        """Return what an external service does to a plan through this instance."""
        return Plan(
            store=self.store,
            clock=self.clock,
            handlers=self.handlers,
            journal=self.journal,
            transitions=self.transitions,
            correlation=correlation,
            token=token,
        )


def make_instance(open_store: OpenStore, figures: Figures) -> Instance:
    store, clock = CountingStore(open_store()), Clock()
    journal = Journal(store, new_id=new_id)
    transitions = Transitions(
        journal=journal,
        alarms=make_alarms(store, clock),
        wakeups=Wakeups(),
        now=clock,
        pause=figures.pause,
    )
    plans = PlanService(
        journal=journal,
        transitions=transitions,
        connections=ConnectionBook([]),
        credentials=TokenCredentials(sender=HttpSender(budget=ByteBudget(1 << 20))),
        seal=TokenSeal(),
        now=clock,
        pause=figures.pause,
    )
    handlers = PipelineHandlers(plans, base_url="https://invoke.example.com", new_id=new_id)
    return Instance(store, clock, journal, transitions, handlers)


@dataclass
class Race:
    """Two instances, and plans at which writers start at the same moment."""

    instances: tuple[Instance, Instance]
    threads: ThreadPoolExecutor
    figures: Figures

    def begin(self) -> tuple[Plan, Plan]:
        """Store a plan that waits, and return it as each instance serves it."""
        token = token_urlsafe(32)
        first, second = self.instances
        record = replace(new_record(created_at=first.clock()), token_hash=hash_token(token))
        first.journal.add(record, [])
        correlation = record.invocation.correlation
        return first.plan(correlation, token), second.plan(correlation, token)

    def run(self, writers: Sequence[Callable[[], str]]) -> list[str]:
        """Let writers loose at once, and return what each was told."""
        barrier = Barrier(len(writers))

        def start(write: Callable[[], str]) -> str:
            barrier.wait()
            return write()

        started = time.perf_counter()
        told = list(self.threads.map(start, writers))
        self.figures.rounds_s.append(time.perf_counter() - started)
        self.figures.answers.update(told)
        return told

    def ended(self, plan: Plan) -> Record:
        """Return the record of a plan that has ended, once, for every reader."""
        stored = [instance.journal.load(plan.correlation.plan_id) for instance in self.instances]
        assert stored[0] == stored[1]
        assert stored[0] is not None
        record = stored[0].record
        result = record.invocation.result
        assert result is not None
        finished = [line for line in log_of(plan.journal, record.invocation.id) if "Finish" in line]
        assert len(finished) == 1
        assert shown_in(plan, open_only=True) == []
        assert shown_in(plan, open_only=False) == [result.value]
        self.figures.ends[f"{record.ended_by} {result.value}"] += 1
        return record


def shown_in(plan: Plan, *, open_only: bool) -> list[str | None]:
    """Return the results that an index shows of a plan, one for each of its rows."""
    page = plan.journal.page(open_only=open_only, after=None, most=1000)
    return [row.form["result"] for row in page if row.form["id"] == plan.correlation.plan_id]


@pytest.fixture
def race(open_store: OpenStore, figures: Figures) -> Iterator[Race]:
    with ThreadPoolExecutor(WRITERS) as threads:
        instances = (make_instance(open_store, figures), make_instance(open_store, figures))
        yield Race(instances, threads, figures)


def completing(plan: Plan, result: str) -> Callable[[], str]:
    return lambda: f"{result} {plan.event(result=result).status}"


def feeding(plan: Plan, line: str) -> Callable[[], str]:
    return lambda: f"feed {plan.call('POST', plan.feed_path, {'value': [line]}).status}"


def setting(plan: Plan, name: str) -> Callable[[], str]:
    record = {
        "id": plan.correlation.task_instance_id,
        "variables": {name: {"value": f"value of {name}"}},
    }
    return lambda: f"patch {plan.patch(record).status}"


def paging(plan: Plan, log_id: int, text: str) -> Callable[[], str]:
    return lambda: f"page {plan.call('POST', f'/logs/{log_id}', text.encode()).status}"


def canceling(plan: Plan) -> Callable[[], str]:
    def cancel() -> str:
        try:
            loaded = plan.transitions.apply(plan.correlation.plan_id, Canceled())
        except EntityConflictError:
            return "cancel 503"
        result = loaded.record.invocation.result
        assert result is not None
        return f"cancel told {result.value}"

    return cancel


def test_of_fifty_completions_the_first_counts_and_everybody_is_told_so(race: Race) -> None:
    for _ in range(ROUNDS):
        plans = race.begin()

        told = race.run(
            [
                completing(plans[number % 2], result)
                for number in range(WRITERS // 2)
                for result in _RESULTS
            ]
        )

        record = race.ended(plans[0])
        assert record.ended_by is Ending.EVENT
        won = "succeeded" if record.invocation.result is Result.SUCCEEDED else "failed"
        lost = "failed" if won == "succeeded" else "succeeded"
        assert Counter(told) == {f"{won} 204": WRITERS // 2, f"{lost} 409": WRITERS // 2}


def test_no_line_and_no_variable_is_lost_between_completions_and_cancels(race: Race) -> None:
    for _ in range(ROUNDS):
        plans = race.begin()
        log_id = plans[0].new_log()
        writers: list[Callable[[], str]] = []
        for number in range(WRITERS // 10):
            plan = plans[number % 2]
            writers += [
                *(completing(plan, result) for result in _RESULTS),
                *(feeding(plan, f"line {number}{part}") for part in "abc"),
                *(setting(plan, f"name{number}{part}") for part in "abc"),
                paging(plan, log_id, f"page {number}\n"),
                canceling(plan),
            ]

        told = Counter(race.run(writers))

        record = race.ended(plans[0])
        numbers = range(WRITERS // 10)
        won = record.invocation.result
        for name, result in _RESULTS.items():
            assert told[f"{name} {204 if result is won else 409}"] == len(numbers)
        assert told[f"cancel told {won}"] == len(numbers)
        assert told["feed 204"] == told["patch 200"] == 3 * len(numbers)
        assert told["page 200"] == len(numbers)
        lines = Counter(log_of(plans[0].journal, plans[0].correlation.plan_id))
        for number in numbers:
            assert lines[f"page {number}"] == 1
            assert [lines[f"line {number}{part}"] for part in "abc"] == [1, 1, 1]
        assert plans[1].task()["variables"] == {
            f"name{number}{part}": {"value": f"value of name{number}{part}"}
            for number in numbers
            for part in "abc"
        }
        log = plans[1].call("GET", "/logs").json["value"]
        assert [one["lineCount"] for one in log] == [len(numbers)]


def test_fifty_appends_at_once_are_all_taken(race: Race) -> None:
    for _ in range(ROUNDS):
        plans = race.begin()

        told = race.run([feeding(plans[number % 2], f"line {number}") for number in range(WRITERS)])

        assert Counter(told) == {"feed 204": WRITERS}
        lines = log_of(plans[0].journal, plans[0].correlation.plan_id)
        assert sorted(lines) == sorted(f"line {number}" for number in range(WRITERS))
