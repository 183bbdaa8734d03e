"""What a process and all below it use; Linux only."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Usage:
    """What a process and its descendants use.

    Attributes:
        processor_s: Seconds of processors so far, those of ended children too.
        memory_mb: Resident memory now, in MB; what processes share counts for each.
    """

    processor_s: float
    memory_mb: float


def usage(pid: int) -> Usage:
    """Return what a process and its descendants use."""
    processor_s, memory_mb = 0.0, 0.0
    for one in _tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            processor_s += sum(int(ticks) for ticks in fields[11:15]) / os.sysconf("SC_CLK_TCK")
            memory_mb += int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    return Usage(processor_s, memory_mb)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found
