"""The same jobs by the service and by what somebody would use instead: call an API, check a field.

Contestants run in turns, each in a process of its own that is prepared first: modules imported,
databases made, servers started. Wall time, processors and memory then count for it and all below
it, until the last job is done and its outcome known. For the service that is a pipeline's side with
16 connections beside the local server; each of its jobs is stored before its outcome is told.

- ``requests`` and jmespath in a loop, with 1 and with 16 threads, is what a script does: nothing is
  stored, and nothing outlives the process.
- DBOS keeps each workflow and each step in a database, here SQLite as well, within the process that
  calls: the closest to what a job gets from the service. It does a fifth of the jobs, since any
  number of threads completes few a second.
- Huey keeps a queue of tasks and their results in SQLite, and needs no broker either.

Celery, Dramatiq and Procrastinate need a broker or another database server, Temporal a server.
"""

from __future__ import annotations

import logging
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks import processes
from benchmarks.lines import Line, spread
from benchmarks.serving import ROOT, Client, service, side_by_side, step, target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.lines import Scale

AT_ONCE: Final = 16
OURS: Final = "this service"
DBOS: Final = "DBOS on SQLite, 16 threads, a fifth of the jobs counted five times"
_FIFTH: Final = 5
_FIELD: Final = "status"
_RIGHT: Final = "Succeeded"
_CRITERIA: Final = f"eq(root['{_FIELD}'], '{_RIGHT}')"
_DBOS_NEEDS: Final = f"needs SQLite 3.42 with this Python; here is {sqlite3.sqlite_version}"
_SAMPLE_S: Final = 0.05
_LIMIT_S: Final = 300.0


@dataclass(frozen=True)
class Cost:
    """What the jobs of one round took.

    Attributes:
        wall_s: Seconds until the last outcome was known.
        processor_s: Seconds of processors.
        memory_mb: The most resident memory at once, in MB.
    """

    wall_s: float
    processor_s: float
    memory_mb: float


def lines(scale: Scale) -> Iterator[Line]:
    """Yield a line for each contestant."""
    jobs, rounds = scale.of(1_000, 20), scale.of(3, 1)
    absent = {} if _has_what_dbos_needs() else {DBOS: _DBOS_NEEDS}
    costs: dict[str, list[Cost]] = {name: [] for name in CONTESTANTS if name not in absent}
    with target() as url:
        for _ in range(rounds):
            for name, found in costs.items():
                times = _FIFTH if name == DBOS else 1
                found.append(_cost(name, url, jobs // times, times=times))
    ours = statistics.median(cost.wall_s for cost in costs[OURS])
    for name, found in costs.items():
        wall_s = statistics.median(cost.wall_s for cost in found)
        yield Line(
            what=f"{jobs:,} calls with a check: {name}",
            ours=str(spread([cost.wall_s for cost in found], "s")),
            beside=(
                f"{spread([cost.processor_s for cost in found], 's')} of processors, "
                f"{spread([cost.memory_mb for cost in found], 'MB')} at most"
            ),
            figure=f"{wall_s / ours:.2f} of the service's time",
        )
    for name, reason in absent.items():
        yield Line(f"{jobs:,} calls with a check: {name}", "not measured", reason, figure="")


def _has_what_dbos_needs() -> bool:
    """Tell whether DBOS runs here: its tables take the time from a function of newer SQLite.

    It takes another one with Python 3.11, whose own builds had an older SQLite.
    """
    return sys.version_info < (3, 12) or sqlite3.sqlite_version_info >= (3, 42)


def _cost(name: str, url: str, jobs: int, *, times: int) -> Cost:
    """Run a contestant's round; its jobs count so many times."""
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", "benchmarks.peers", name, url, str(jobs)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            _expect(process.stdout.readline(), "ready", name)
            peak = _Peak(process.pid)
            before_s, started = processes.usage(process.pid).processor_s, time.perf_counter()
            process.stdin.write("go\n")
            process.stdin.flush()
            _expect(process.stdout.readline(), "done", name)
            wall_s = time.perf_counter() - started
            used_s = processes.usage(process.pid).processor_s - before_s
            memory_mb = peak.stop()
            process.stdin.close()
            process.wait(_LIMIT_S)
        finally:
            if process.poll() is None:
                process.terminate()
    return Cost(wall_s * times, used_s * times, memory_mb)


def _expect(line: str, word: str, name: str) -> None:
    assert line.strip() == word, f"{name} is not {word}: {line!r}"


class _Peak:
    """Watches the memory of a process and of all below it."""

    def __init__(self, pid: int) -> None:
        """Begin."""
        self._pid = pid
        self._most_mb = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> float:
        """Return the most there was at once, in MB."""
        self._is_over.set()
        self._thread.join()
        return self._most_mb

    def _watch(self) -> None:
        while True:
            self._most_mb = max(self._most_mb, processes.usage(self._pid).memory_mb)
            if self._is_over.wait(_SAMPLE_S):
                return


def _prepared(action: Callable[[], None]) -> None:
    """Say that all is ready, do the jobs when told, and say so; then wait to be let go."""
    print("ready", flush=True)
    sys.stdin.readline()
    action()
    print("done", flush=True)
    sys.stdin.read()


def _by_service(url: str, jobs: int, folder: Path) -> None:
    with service(url, folder) as running:
        clients = [Client(running.url) for _ in range(AT_ONCE)]
        request = clients[0].request(
            "POST", "/api/invocations", step("/fast", successCriteria=_CRITERIA)
        )

        def some(number: int) -> None:
            for _ in range(number, jobs, AT_ONCE):
                status, _ = clients[number].send(request)
                assert status == 200, status

        _prepared(lambda: _ignore(side_by_side(AT_ONCE, some)))
        for client in clients:
            client.close()


def _by_script(url: str, jobs: int, threads: int) -> None:
    import jmespath  # noqa: PLC0415  # only its own process pays for it
    import requests  # noqa: PLC0415  # likewise

    field = jmespath.compile(_FIELD)

    def some(number: int) -> None:
        with requests.Session() as session:
            for _ in range(number, jobs, threads):
                answer = session.get(f"{url}/fast", timeout=20)
                assert answer.status_code == 200
                assert field.search(answer.json()) == _RIGHT

    _prepared(lambda: _ignore(side_by_side(threads, some)))


def _by_dbos(url: str, jobs: int, folder: Path) -> None:
    import dbos  # noqa: PLC0415  # likewise
    import jmespath  # noqa: PLC0415  # only its own process pays for it
    import requests  # noqa: PLC0415  # likewise

    field = jmespath.compile(_FIELD)
    own = threading.local()
    config: dbos.DBOSConfig = {
        "name": "peers",
        "system_database_url": f"sqlite:///{folder}/dbos.sqlite",
        "log_level": "ERROR",
        "run_admin_server": False,
    }
    dbos.DBOS(config=config)

    def fetch() -> bool:
        if not hasattr(own, "session"):
            own.session = requests.Session()
        answer = own.session.get(f"{url}/fast", timeout=20)
        return bool(answer.status_code == 200 and field.search(answer.json()) == _RIGHT)

    step_of_job = dbos.DBOS.step()(fetch)

    def workflow() -> bool:
        return bool(step_of_job())

    job = dbos.DBOS.workflow()(workflow)
    dbos.DBOS.launch()
    assert job()

    def run() -> None:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            assert all(threads.map(lambda _: job(), range(jobs)))

    _prepared(run)
    dbos.DBOS.destroy()


def _by_huey(url: str, jobs: int, folder: Path) -> None:
    import jmespath  # noqa: PLC0415  # only its own process pays for it
    import requests  # noqa: PLC0415  # likewise
    from huey import SqliteHuey  # noqa: PLC0415  # likewise

    logging.getLogger("huey").setLevel(logging.ERROR)
    field = jmespath.compile(_FIELD)
    own = threading.local()
    huey = SqliteHuey(filename=str(folder / "huey.db"), fsync=True)

    def fetch() -> bool:
        if not hasattr(own, "session"):
            own.session = requests.Session()
        answer = own.session.get(f"{url}/fast", timeout=20)
        return bool(answer.status_code == 200 and field.search(answer.json()) == _RIGHT)

    job = huey.task()(fetch)
    consumer = huey.create_consumer(workers=AT_ONCE, worker_type="thread", initial_delay=0.01)
    consumer.start()
    assert job().get(blocking=True, timeout=20)

    def run() -> None:
        results = [job() for _ in range(jobs)]
        assert all(one.get(blocking=True, timeout=_LIMIT_S, max_delay=0.05) for one in results)

    _prepared(run)
    consumer.stop(graceful=True)


def _ignore(_: object) -> None:
    """Take what nobody needs."""


CONTESTANTS: Final[dict[str, Callable[[str, int, Path], None]]] = {
    OURS: _by_service,
    "requests and jmespath, 1 thread": lambda url, jobs, _: _by_script(url, jobs, 1),
    "requests and jmespath, 16 threads": lambda url, jobs, _: _by_script(url, jobs, AT_ONCE),
    DBOS: _by_dbos,
    "Huey on SQLite, 16 workers": _by_huey,
}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as own_folder:
        CONTESTANTS[sys.argv[1]](sys.argv[2], int(sys.argv[3]), Path(own_folder))
