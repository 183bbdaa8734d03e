"""Completions accepted a second: TaskCompleted over HTTP, while many plans wait.

Sixteen clients send events to one local server, over a file (each answer waits for the disk) and
over the emulator of Azure Storage. A round completes plans that were stored beforehand; the stores
take turns. What the emulator takes of bare single-entity inserts stands beside it: a completion
is four transactions.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from secrets import token_urlsafe  # noqa: TID251  # a composition root
from typing import TYPE_CHECKING, Final

from benchmarks.lines import Line, spread
from benchmarks.serving import Client, event, service, side_by_side
from benchmarks.stored import new_id, now
from invoke_core.adapters.sqlite import SqliteStore
from invoke_core.adapters.tables import TablesStore
from invoke_core.drafts import hash_token
from invoke_core.journal import Journal, LogEntry
from invoke_core.model import Secret, StorageAccount
from invoke_core.ports import Insert
from tests.azurite import start_azurite
from tests.state.parts import new_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.lines import Scale
    from invoke_core.ports import EntityStore

AT_ONCE: Final = 16
LEAST_A_SECOND: Final = 250
_TRANSACTIONS: Final = 4
_NO_TARGET: Final = "http://127.0.0.1:9"


def lines(scale: Scale) -> Iterator[Line]:
    """Yield the rates over both stores."""
    rounds = scale.of(5, 1)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        emulator = start_azurite(folder)
        stack.callback(emulator.stop)
        account = StorageAccount("InvokeStorage", Secret(emulator.connection_string))
        tables = TablesStore(account, threads=AT_ONCE, new_id=new_id)
        file = SqliteStore(folder / "invoke.db")
        stack.callback(file.close)
        over_file = stack.enter_context(service(_NO_TARGET, folder))
        over_tables = stack.enter_context(service(_NO_TARGET, store=emulator.connection_string))
        add_waiting(file, scale.of(2_000, 20))
        add_waiting(tables, scale.of(300, 20))
        on_file, on_tables, bare, used_ms = [], [], [], []
        for _ in range(rounds):
            plans = add_waiting(file, scale.of(500, 20))
            before_s = over_file.processor_s()
            on_file.append(_rate(over_file.url, plans))
            used_ms.append((over_file.processor_s() - before_s) / len(plans) * 1000)
            on_tables.append(_rate(over_tables.url, add_waiting(tables, scale.of(100, 20))))
            bare.append(_bare_rate(tables, scale.of(400, 20)))
    rate = statistics.median(on_file)
    yield Line(
        what="completions a second, SQLite",
        ours=f"{spread(on_file, '/s')}, {spread(used_ms, 'ms')} of a processor each",
        beside="50/s: external events an instance, published for Durable Functions",
        figure=f"{rate:,.0f}/s",
        target=f"at least {LEAST_A_SECOND}/s",
        is_met=rate >= LEAST_A_SECOND,
    )
    share = statistics.median(on_tables) * _TRANSACTIONS / statistics.median(bare)
    yield Line(
        what=f"completions a second, Azurite, {_TRANSACTIONS} transactions each",
        ours=str(spread(on_tables, "/s")),
        beside=f"{spread(bare, '/s')}: bare single-entity inserts",
        figure=f"{share:.0%} of its transactions",
    )


def add_waiting(store: EntityStore, count: int) -> list[dict[str, str]]:
    """Store plans that wait for their event; return what their external services know of each."""
    journal = Journal(store, new_id=new_id)

    def add(_: int) -> dict[str, str]:
        token = token_urlsafe(32)
        record = replace(new_record(created_at=now()), report_by=None, token_hash=hash_token(token))
        journal.add(record, [LogEntry(text="Starting: Invoke REST API: POST")])
        ids = record.invocation.correlation
        return {
            "PlanId": ids.plan_id,
            "ProjectId": ids.project_id,
            "JobId": ids.job_id,
            "TaskInstanceId": ids.task_instance_id,
            "AuthToken": token,
        }

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(add, range(count)))


def _rate(url: str, plans: Sequence[dict[str, str]]) -> float:
    """Complete plans from many clients; return how many a second were accepted."""
    requests = [event(plan, result="succeeded") for plan in plans]

    def complete(number: int) -> None:
        with Client(url) as client:
            for request in requests[number::AT_ONCE]:
                status, body = client.send(request)
                assert status == 204, (status, body)

    started = time.perf_counter()
    side_by_side(AT_ONCE, complete)
    return len(plans) / (time.perf_counter() - started)


def _bare_rate(store: EntityStore, count: int) -> float:
    """Return how many single rows a second the store takes."""

    def insert(number: int) -> None:
        for _ in range(number, count, AT_ONCE):
            store.write(new_id(), [Insert("row", b"x" * 300)])

    started = time.perf_counter()
    side_by_side(AT_ONCE, insert)
    return count / (time.perf_counter() - started)
