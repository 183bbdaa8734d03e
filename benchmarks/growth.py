"""What requests cost with few and with many stored invocations.

Files hold 100, 10,000 and 100,000 invocations, one in ten of which waits. Every operation takes its
turn on every file, in many rounds, so that a busy machine disturbs all alike; a round removes what
it added. Requests go through the handlers within this process (`stored`).
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.lines import Line, spread
from benchmarks.stored import StoredService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.lines import Scale

MOST_RATIO: Final = 1.3
_WARM_UP: Final = 20
_PAGE: Final = "10"


def lines(scale: Scale) -> Iterator[Line]:
    """Yield a line for each operation and size but the smallest."""
    sizes = (100, scale.of(10_000, 200), scale.of(100_000, 400))
    with tempfile.TemporaryDirectory() as folder:
        services = {}
        for size in sizes:
            services[size] = StoredService(Path(folder) / f"{size}.db")
            started = time.perf_counter()
            services[size].fill(size)
            print(f"{size:,} stored in {time.perf_counter() - started:.0f} s", file=sys.stderr)
        times = _times(services, rounds=scale.of(300, 2))
        for service in services.values():
            service.store.close()
    few = sizes[0]
    for what, by_size in times.items():
        for many in sizes[1:]:
            ratio = statistics.median(by_size[many]) / statistics.median(by_size[few])
            yield Line(
                what=f"{what}, {many:,} stored",
                ours=str(spread(by_size[many], "ms")),
                beside=f"{spread(by_size[few], 'ms')}: {few} stored",
                figure=f"{ratio:.2f}",
                target=f"at most {MOST_RATIO}",
                is_met=ratio <= MOST_RATIO,
            )


def _times(services: dict[int, StoredService], *, rounds: int) -> dict[str, dict[int, list[float]]]:
    """Return milliseconds of every call, by what was called and the number stored."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    middles = {size: _middle(service, size) for size, service in services.items()}
    turns = list(services)
    for number in range(-min(_WARM_UP, rounds), rounds):
        random.shuffle(turns)
        ready = {size: _operations(services[size], middles[size]) for size in turns}
        for what in ready[turns[0]]:
            for size in turns:
                action = ready[size][what]
                started = time.perf_counter()
                status = action()
                elapsed_ms = (time.perf_counter() - started) * 1000
                assert status in {200, 202, 204}, (what, size, status)
                if number >= 0:
                    found[what][size].append(elapsed_ms)
        for size in turns:
            services[size].forget_new()
    return found


def _operations(service: StoredService, middle: str) -> dict[str, Callable[[], int]]:
    """Return what is measured, by name, each ready to be called once."""
    any_waiting = random.choice(service.waiting)  # noqa: S311  # any
    new = service.add_waiting()

    def listed(**params: str) -> Callable[[], int]:
        return lambda: service.page(top=_PAGE, **params).status_code

    return {
        "create, ApiResponse": lambda: service.create(waits=False),
        "create, Callback": lambda: service.create(waits=True),
        "event TaskStarted": lambda: service.event("TaskStarted", any_waiting),
        "event TaskCompleted": lambda: service.event("TaskCompleted", new),
        "status": service.status,
        "list": listed(),
        "list, state=inProgress": listed(state="inProgress"),
        "list, state=completed": listed(state="completed"),
        "list, a page from the middle": listed(continuationToken=middle),
    }


def _middle(service: StoredService, size: int) -> str:
    """Return the continuation token of the place after half of all, found page by page."""
    token = ""
    for _ in range(-(-size // 2 // 200)):
        most = min(200, size // 2)
        page = service.page(top=str(most), **({"continuationToken": token} if token else {}))
        token = json.loads(page.get_body())["continuationToken"]
    return token
