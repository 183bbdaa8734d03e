"""Which processors the server's threads run on.

CPython runs one thread at a time. A thread gives its turn up with every call of the system, however
short; on several processors another one starts elsewhere at once, and the first has to wait for it,
some fifty times in one invocation. On one processor the short calls are over before anybody else
is awake. ``docs/benchmarks.md`` has what it makes of 16 invocations at a time.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def stay_on_one() -> int | None:
    """Keep the calling thread, and all it starts from now on, on one of its processors.

    It is the one the system has put the process on, so that programs begun one after the other
    are spread as the system spreads them; those begun at the same moment may share one.

    Returns:
        Its number; None where the system does not offer this, or offers one processor only.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        return None
    chosen = _current()
    if chosen not in allowed:
        chosen = min(allowed)
    with suppress(OSError):
        os.sched_setaffinity(0, {chosen})
        return chosen
    return None


def _current() -> int | None:
    """Return the processor this process last ran on (proc(5), ``stat``, field 39)."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[36])
    return None
