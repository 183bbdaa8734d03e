"""What callbacks cost, and that it does not depend on how many invocations wait.

Stores of both kinds hold few and many waiting invocations; every operation takes its turn on every
store, in many rounds, so that a busy machine disturbs all alike. Requests go through the handlers
of the app within this process. The target answers at once, without a network: what is left is our
own time and the store's.

Run it from the repository's root, with the environment of ``make test``::

    NODE_PACKAGES=.venv/node-.../node_modules .venv/dev-.../bin/python -m benchmarks.callbacks

The two numbers that may follow are rounds of latencies (200) and of throughput (7).
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from secrets import token_urlsafe  # noqa: TID251  # a composition root
from threading import Lock
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4  # noqa: TID251  # likewise

import azure.functions as func  # noqa: TID251  # likewise

from invoke_core.adapters.credentials import TokenCredentials
from invoke_core.adapters.sealing import TokenSeal
from invoke_core.adapters.sqlite import SqliteStore
from invoke_core.adapters.tables import TablesStore
from invoke_core.drafts import hash_token
from invoke_core.journal import Journal, LogEntry
from invoke_core.model import Answer, Secret, StorageAccount
from invoke_core.plans import PlanService
from invoke_core.ports import MOST_CHANGES, Insert, Put, Remove, Replace
from invoke_core.web.api import Handlers
from invoke_core.web.pipelines import PipelineHandlers
from tests.azurite import start_azurite
from tests.pipelines.conftest import Clock, CountingStore, Plan, call
from tests.state.parts import VALID, Around, make_service, new_record, short_pause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from invoke_core.ports import Change, EntityStore

ROUNDS: Final = int(sys.argv[1]) if len(sys.argv) > 1 else 200
RATE_ROUNDS: Final = int(sys.argv[2]) if len(sys.argv) > 2 else 7
SIZES: Final = (10, 1_000, 10_000)
WARM_UP: Final = 10
AT_ONCE: Final = 16
COMPLETIONS: Final = {"SQLite": 400, "SQLite, two processes": 400, "Azurite": 160}

BARE_READ: Final = "a bare read of a plan"
BARE_EVENT: Final = "the bare transactions of TaskCompleted"
CALLBACK: Final = b'{"inputs": {"serviceConnection": "demo", "waitForCompletion": true}}'
API_RESPONSE: Final = b'{"inputs": {"serviceConnection": "demo"}}'


def now() -> datetime:
    """Return the time in whole milliseconds."""
    at = datetime.now(UTC)  # noqa: TID251  # a composition root
    return at.replace(microsecond=at.microsecond // 1000 * 1000)


def new_id() -> str:
    """Return a fresh id."""
    return str(uuid4())


class InstantSender:
    """A target that has answered already."""

    def prepared_url(self, url: str) -> str:
        """Return the URL as it is."""
        return url

    @contextmanager
    def send(self, *_: object, **__: object) -> Iterator[Answer]:
        """Answer 200."""
        body = b'{"status": "Succeeded", "count": 1425}'
        headers = (("Content-Type", "application/json"),)
        yield Answer(status=200, headers=headers, body=body, elapsed_ms=0)

    def spent(self) -> bool:
        """Have room."""
        return False


class NoStore:
    """Takes writes and keeps nothing."""

    def get(self, *_: object) -> None:
        """Find nothing."""

    def read(self, *_: object, **__: object) -> list[Any]:
        """Find nothing."""
        return []

    row_keys = scan = read

    def write(self, _: str, changes: Sequence[Change]) -> list[str]:
        """Keep nothing."""
        return ["etag"] * len(changes)

    def check(self) -> None:
        """Be there."""


class Filling(Around):
    """Index rows of many invocations in one write; it is the plans that take the time."""

    def __init__(self, store: EntityStore) -> None:
        """Keep nothing back yet."""
        super().__init__(store)
        self._rows: dict[str, list[Change]] = {}
        self._lock = Lock()

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        """Keep index rows back until there is a write full of them."""
        if not isinstance(changes[0], Put):
            return self.inner.write(partition_key, changes)
        with self._lock:
            rows = self._rows.setdefault(partition_key, [])
            rows += changes
            if len(rows) == MOST_CHANGES:
                self.inner.write(partition_key, self._rows.pop(partition_key))
        return [""] * len(changes)

    def flush(self) -> None:
        """Write what is left."""
        for partition_key, rows in self._rows.items():
            self.inner.write(partition_key, rows)


class Service:
    """The service over a store that holds waiting invocations."""

    def __init__(self, store: EntityStore) -> None:
        """Put the parts together."""
        self.store = CountingStore(store)
        sender = InstantSender()
        service = make_service(
            self.store, url="https://api.example.com", now=now, places_count=256, sender=sender
        )
        self.journal = service.journal
        self.transitions = service.transitions
        self.listing = service.listing
        plans = PlanService(
            journal=self.journal,
            transitions=self.transitions,
            connections=service.drafts.connections,
            credentials=TokenCredentials(sender=sender),
            seal=TokenSeal(),
            now=now,
            pause=short_pause,
        )
        base_url = "https://invoke.example.com"
        self.handlers = Handlers(
            service,
            store_health=None,
            base_url=base_url,
            platform_auth=False,
            now=now,
            new_id=new_id,
        )
        self.pipelines = PipelineHandlers(plans, base_url=base_url, new_id=new_id)
        self.ids: list[str] = []

    def fill(self, count: int) -> None:
        """Let invocations wait that were created one half minute after the other."""
        filling = Filling(self.store)
        journal = Journal(filling, new_id=new_id)
        latest = now() - timedelta(minutes=1)

        def add(number: int) -> str:
            record = new_record(
                created_at=latest - timedelta(seconds=30 * number), minutes=60 * 24 * 30
            )
            waiting = replace(
                record,
                invocation=replace(record.invocation, response=VALID.response),
                report_by=None,
            )
            return journal.add(waiting, [LogEntry(text="Starting")]).plan_id

        with ThreadPoolExecutor(AT_ONCE) as threads:
            self.ids = list(threads.map(add, range(count)))
        filling.flush()

    def waiting(self) -> Plan:
        """Store one more, and return it as its external service has it."""
        token = token_urlsafe(32)
        record = replace(new_record(created_at=now()), report_by=None, token_hash=hash_token(token))
        self.journal.add(record, [LogEntry(text="Starting")])
        return Plan(
            store=self.store,
            clock=Clock(),
            handlers=self.pipelines,
            journal=self.journal,
            transitions=self.transitions,
            correlation=record.invocation.correlation,
            token=token,
        )

    def forget(self, count: int) -> None:
        """Remove the newest invocations, so that a round leaves as many as it found."""
        for open_only in (True, False):
            for summary in self.journal.page(open_only=open_only, after=None, most=count):
                if summary.form["id"] not in self._kept:
                    self.journal.forget(summary, "")

    @property
    def _kept(self) -> set[str]:
        return set(self.ids)

    def create(self, body: bytes) -> int:
        """Run a task."""
        return self._sent(self.handlers.create, "POST", "api/invocations", body=body)

    def status(self) -> int:
        """Read a waiting invocation."""
        plan_id = random.choice(self.ids)  # noqa: S311  # any
        return self._sent(
            self.handlers.get, "GET", f"api/invocations/{plan_id}", route_params={"id": plan_id}
        )

    def bare_read(self) -> int:
        """Read a plan from the store, and nothing else."""
        plan_id = random.choice(self.ids)  # noqa: S311  # any
        return 200 if self.store.get(plan_id, "a.plan") else 404

    def bare_event(self, plan: Plan) -> int:
        """Send the store what a TaskCompleted sends it, with nothing of ours around it."""
        plan_id = plan.correlation.plan_id
        row = self.store.get(plan_id, "a.plan")
        assert row is not None
        change = Replace(row.row_key, row.value + b" ", row.etag)
        self.store.write(plan_id, [change, Insert("c.0000000099", b"x" * 200)])
        row_key = f"0000000000000.{plan_id}"
        self.store.write("list-00000000", [Put(row_key, b"x" * 300)])
        self.store.write("open-00000000", [Remove(row_key)])
        return 204

    def list(self, top: str) -> int:
        """Read the first page of the list."""
        return self._sent(self.handlers.list, "GET", "api/invocations", params={"top": top})

    def _sent(
        self,
        handle: Callable[[func.HttpRequest], func.HttpResponse],
        method: str,
        route: str,
        *,
        body: bytes = b"",
        params: dict[str, str] | None = None,
        route_params: dict[str, str] | None = None,
    ) -> int:
        request = func.HttpRequest(
            method=method,
            url=f"https://invoke.example.com/{route}",
            headers={"content-type": "application/json"},
            params=params or {},
            route_params=route_params or {},
            body=body,
        )
        return handle(request).status_code


@dataclass
class Timed:
    """Milliseconds of every call, by what was called."""

    times: dict[tuple[str, str], list[float]]
    transactions: dict[tuple[str, str], int]

    def call(self, what: str, where: str, service: Service, action: Callable[[], int]) -> None:
        """Call and keep the time."""
        before = service.store.transactions
        started = time.perf_counter()
        status = action()
        elapsed_ms = (time.perf_counter() - started) * 1000
        assert status in {200, 202, 204}, (what, where, status)
        self.times.setdefault((what, where), []).append(elapsed_ms)
        self.transactions[what, where] = service.store.transactions - before


def measure(services: dict[str, dict[int, Service]], unstored: Service) -> Timed:
    """Let every operation take its turn on every store."""
    timed = Timed({}, {})
    turns = [
        (f"{kind}, {size:,}", service)
        for kind, by_size in services.items()
        for size, service in by_size.items()
    ]
    for number in range(ROUNDS + WARM_UP):
        if number == WARM_UP:
            timed = Timed({}, {})
        random.shuffle(turns)
        for where, service in turns:
            plan = service.waiting()
            timed.call(
                "TaskStarted", where, service, lambda plan=plan: plan.event("TaskStarted").status
            )
            timed.call("TaskCompleted", where, service, lambda plan=plan: plan.event().status)
            other = service.waiting()
            timed.call(BARE_EVENT, where, service, lambda: service.bare_event(other))  # noqa: B023
            service.store.write(
                "list-00000000", [Remove(f"0000000000000.{other.correlation.plan_id}")]
            )
            timed.call("create, Callback", where, service, lambda one=service: one.create(CALLBACK))
            timed.call(
                "create, ApiResponse", where, service, lambda one=service: one.create(API_RESPONSE)
            )
            service.forget(4)
            timed.call("status", where, service, service.status)
            timed.call(BARE_READ, where, service, service.bare_read)
            if number % 4 == 0:
                timed.call("list, 10", where, service, lambda one=service: one.list("10"))
        timed.call(
            "create, ApiResponse", "no store", unstored, lambda: unstored.create(API_RESPONSE)
        )
    return timed


def show(timed: Timed, kinds: Sequence[str]) -> None:
    """Print latencies and their ratios."""
    for kind in kinds:
        print(f"\n| {kind}: milliseconds, median (quartiles) | transactions |", end="")
        print("".join(f" {size:,} stored |" for size in SIZES), "10,000 to 10 |")
        print("| --- | ---: |" + " ---: |" * (len(SIZES) + 1))
        for what in dict.fromkeys(what for what, _ in timed.times):
            medians, cells = [], []
            for size in SIZES:
                low, median, high = statistics.quantiles(
                    timed.times[what, f"{kind}, {size:,}"], n=4
                )
                medians.append(median)
                cells.append(f"{median:.2f} ({low:.2f}-{high:.2f})")
            count = timed.transactions[what, f"{kind}, {SIZES[0]:,}"]
            print(f"| {what} | {count} | {' | '.join(cells)} | {medians[-1] / medians[0]:.2f} |")
        ours = [
            statistics.median(
                whole - bare
                for whole, bare in zip(
                    timed.times["TaskCompleted", f"{kind}, {size:,}"],
                    timed.times[BARE_EVENT, f"{kind}, {size:,}"],
                    strict=True,
                )
            )
            for size in SIZES
        ]
        print(f"| the difference, our own | | {' | '.join(f'{one:.2f}' for one in ours)} | |")
    bare = statistics.median(timed.times["create, ApiResponse", "no store"])
    print(f"\ncreate, ApiResponse, without a store: {bare:.2f} ms; storing it adds ", end="")
    for kind in kinds:
        stored = statistics.median(timed.times["create, ApiResponse", f"{kind}, {SIZES[0]:,}"])
        print(f"{stored - bare:.2f} ms on {kind}", end="; ")
    print()


def complete(plans: Sequence[Plan]) -> float:
    """Complete plans from many threads, and return how many a second."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        started = time.perf_counter()
        told = set(threads.map(lambda plan: plan.event().status, plans))
        rate = len(plans) / (time.perf_counter() - started)
    assert told == {204}
    return rate


_service: Service | None = None


def complete_here(path: str, plans: Sequence[tuple[str, str]]) -> float:
    """Complete plans in a process of its own; return the seconds it took."""
    global _service  # noqa: PLW0603  # one for each process, as in truth
    if _service is None:
        _service = Service(SqliteStore(Path(path)))
    handlers = _service.pipelines

    def one(plan: tuple[str, str]) -> int:
        url, token = plan
        ids = url.split("\n")
        event = {
            "name": "TaskCompleted", "jobId": ids[1], "taskId": ids[2], "result": "succeeded",
        }  # fmt: skip
        given = {"authorization": f"Bearer {token}"}
        return call(handlers, "POST", f"{ids[0]}/events", event, headers=given).status

    with ThreadPoolExecutor(AT_ONCE // 2) as threads:
        started = time.perf_counter()
        assert set(threads.map(one, plans)) <= {204}
        return time.perf_counter() - started


def told_of(plan: Plan) -> tuple[str, str]:
    """Return what another process has to know of a plan."""
    ids = plan.correlation
    return f"{plan.path}\n{ids.job_id}\n{ids.task_instance_id}", plan.token


def rates(sqlite: Service, path: Path, azurite: Service) -> dict[str, list[float]]:
    """Return completions a second, and single transactions of the emulator."""
    found: dict[str, list[float]] = {}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        list(processes.map(complete_here, [str(path)] * 2, [[]] * 2))
        for _ in range(RATE_ROUNDS):
            for name, service in (("SQLite", sqlite), ("Azurite", azurite)):
                plans = [service.waiting() for _ in range(COMPLETIONS[name])]
                found.setdefault(name, []).append(complete(plans))
            name = "SQLite, two processes"
            told = [told_of(sqlite.waiting()) for _ in range(COMPLETIONS[name])]
            halves = [told[::2], told[1::2]]
            seconds = list(processes.map(complete_here, [str(path)] * 2, halves))
            found.setdefault(name, []).append(len(told) / max(seconds))
            found.setdefault("Azurite alone: reads", []).append(
                bare(lambda: azurite.store.read(azurite.ids[0], first="a", before="b"))
            )
            found.setdefault("Azurite alone: inserts", []).append(
                bare(lambda: azurite.store.write(new_id(), [Insert("row", b"x" * 1000)]))
            )
    return found


def bare(action: Callable[[], object], count: int = 400) -> float:
    """Return how many bare transactions a second the store takes."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        started = time.perf_counter()
        list(threads.map(lambda _: action(), range(count)))
        return count / (time.perf_counter() - started)


def main() -> None:
    """Measure and print."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "azurite").mkdir()
        emulator = start_azurite(folder / "azurite")
        stack.callback(emulator.stop)
        account = StorageAccount("InvokeStorage", Secret(emulator.connection_string))
        services: dict[str, dict[int, Service]] = {"SQLite": {}, "Azurite": {}}
        for size in SIZES:
            services["SQLite"][size] = Service(SqliteStore(folder / f"{size}.db"))
            services["Azurite"][size] = Service(
                TablesStore(account, threads=32, new_id=new_id, table=f"waiting{size}")
            )
        for by_size in services.values():
            for size, service in by_size.items():
                started = time.perf_counter()
                service.fill(size)
                print(f"{size} stored in {time.perf_counter() - started:.1f} s", file=sys.stderr)
        print(
            f"{ROUNDS} interleaved rounds, {RATE_ROUNDS} of throughput with {AT_ONCE} threads; "
            f"Python {sys.version.split()[0]}"
        )
        show(measure(services, Service(NoStore())), list(services))
        found = rates(services["SQLite"][10], folder / "10.db", services["Azurite"][10])
        print("\n| a second | median | lowest-highest |\n| --- | ---: | ---: |")
        for name, rounds in found.items():
            print(f"| {name} | {statistics.median(rounds):,.0f} | ", end="")
            print(f"{min(rounds):,.0f}-{max(rounds):,.0f} |")


if __name__ == "__main__":
    main()
