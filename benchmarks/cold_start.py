"""What a process costs before its first answer.

Imports: in fresh processes, in turns, with the bytecode cached; the interpreter's own start does
not count for either. First answer: from the start of ``python -m invoke_core serve`` over a new
SQLite file to the answer to an ApiResponse invocation of a target on loopback.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Final

from benchmarks.lines import Line, spread
from benchmarks.serving import CHECKED, ROOT, Client, service, step, target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.lines import Scale

OURS: Final = "import function_app"
BARE: Final = "import azure.functions, requests"
MOST_RATIO: Final = 1.35
MOST_S: Final = 1.0


def lines(scale: Scale) -> Iterator[Line]:
    """Measure both."""
    yield imports(scale.of(25, 2))
    yield first_answer(scale.of(9, 1))


def imports(rounds: int) -> Line:
    """Compare what the app imports with what it is made of."""
    times: dict[str, list[float]] = {OURS: [], BARE: []}
    for number in range(rounds + 1):
        for code, taken in times.items():
            took_ms = import_ms(code)
            # The first of each writes bytecode and warms the cache of the disk.
            if number:
                taken.append(took_ms)
    ours, bare = spread(times[OURS], "ms"), spread(times[BARE], "ms")
    ratio = ours.median / bare.median
    return Line(
        f"`{OURS}`",
        str(ours),
        f"`{BARE}`: {bare}",
        f"ratio {ratio:.2f}",
        f"at most {MOST_RATIO}",
        ratio <= MOST_RATIO,
    )


def import_ms(code: str) -> float:
    """Return the milliseconds of an import in a fresh process."""
    timed = f"import time; at = time.perf_counter(); {code}; print(time.perf_counter() - at)"
    found = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", timed], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return float(found.stdout) * 1000


def first_answer(rounds: int) -> Line:
    """Time the first answer of fresh processes over fresh stores."""
    times_s: list[float] = []
    with target() as target_url:
        for _ in range(rounds):
            with service(target_url) as running, Client(running.url) as client:
                status, body = client.call("POST", "/api/invocations", step("/fast", **CHECKED))
                times_s.append(time.perf_counter() - running.started_s)
                assert (status, body["result"]) == (200, "succeeded"), body
    taken = spread(times_s, "s")
    return Line(
        "process start to first answer",
        str(taken),
        "",
        f"{taken.median:.2f} s",
        f"under {MOST_S:.0f} s",
        taken.median < MOST_S,
    )
