"""Mixed traffic for a while, and whether anything grows: ``make soak [SECONDS=900]``.

The local server over a new SQLite file; `load` drives it with locust. First a ramp finds the
capacity: 2 to 32 users without pauses, 12 seconds each (less in a short run), and the most runs of
the mixture a second count. Then 70 % of that are asked for, at a steady pace.

Every 5 seconds memory, descriptors, threads and the write-ahead log of the server are looked at. A
line is fitted to what came after the warm-up, which is the first third; what it gains over that
period is the growth. `BOUNDS` says how much of it is noise: caches that fill, and threads and
connections made when first needed, reach a level; a leak does not. A soak of less than five minutes
shows that it works, and growth is not judged.

The store grows on purpose, since invocations are kept for ``RETENTION_DAYS``: what one takes is
printed, and has its bound.

Ends with 1 where an answer was not what it had to be, the server logged an error, or something
grew.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.serving import ROOT, service

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.serving import Service

BOUNDS: Final = {"memory_mb": 4.0, "descriptors": 4.0, "threads": 4.0}
"""The most that the fitted line may gain over the judged period."""

MOST_LOG_MB: Final = 32.0
"""The write-ahead log is emptied by 16 MiB; one that a reader holds up may be as long again."""

MOST_INVOCATION_KB: Final = 16.0
"""What an invocation of this mixture may take of the file, with its log, records and indexes."""

_WHOLE_S: Final = 900.0
_JUDGED_FROM_S: Final = 300.0
_WARM_UP: Final = 1 / 3
_RAMP_STEP_S: Final = 12.0
_LEAST_SAMPLES: Final = 6
_ERROR: Final = re.compile(r"^(ERROR|CRITICAL|Traceback)", re.MULTILINE)


@dataclass(frozen=True)
class Sample:
    """How the server stands at a moment of the soak.

    Attributes:
        at_s: Seconds since the soak began.
        memory_mb: Resident memory, in MiB.
        descriptors: Files and sockets.
        threads: Threads.
        log_mb: Length of the write-ahead log, in MiB.
        requests_s: Requests a second since the sample before.
        p50_ms: Their median.
        p99_ms: What one of a hundred exceeds.
    """

    at_s: float
    memory_mb: float
    descriptors: float
    threads: float
    log_mb: float
    requests_s: float
    p50_ms: float
    p99_ms: float


def main() -> int:
    """Run the soak; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, default=_WHOLE_S, help="of the soak, after the ramp"
    )
    parser.add_argument("--plot", type=Path, help="docs/soak.svg, if it is a whole one")
    options = parser.parse_args()
    samples, faults = run(options.seconds)
    is_whole = options.seconds >= _WHOLE_S
    plot = options.plot or (ROOT / "docs" if is_whole else Path(tempfile.gettempdir())) / "soak.svg"
    draw(samples, plot)
    print(f"The plot is in {plot}.")
    for fault in faults:
        print(f"FAULT: {fault}")
    return int(bool(faults))


def run(seconds: float) -> tuple[list[Sample], list[str]]:
    """Drive load for so many seconds after the ramp; return the samples and what is wrong."""
    step_s = min(_RAMP_STEP_S, max(2.0, seconds / 15))
    with (
        tempfile.TemporaryDirectory(prefix="invoke-soak-") as name,
        subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, "-m", "benchmarks.load", str(seconds), str(step_s)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as load,
    ):
        assert load.stdin is not None
        assert load.stdout is not None
        folder = Path(name)
        try:
            with service(load.stdout.readline().strip(), folder) as running:
                load.stdin.write(f"{running.url}\n")
                load.stdin.flush()
                found = _Watched(running, folder)
                for line in load.stdout:
                    found.take(json.loads(line))
        finally:
            if load.poll() is None:
                load.terminate()
        faults = found.faults()
        if load.wait() != 0:
            faults.append(f"the load driver ended with {load.returncode}")
        if _ERROR.search((folder / "service.log").read_text()):
            faults.append("the server logged an error:\n" + _first_error(folder / "service.log"))
    return found.samples, faults


class _Watched:
    """A server under load, and what the load driver tells."""

    def __init__(self, running: Service, folder: Path) -> None:
        self.samples: list[Sample] = []
        self._running = running
        self._file = folder / "invoke.db"
        self._unexpected: dict[str, int] = {}
        self._created = 0
        self._file_bytes = self._size()
        self._started = time.monotonic()

    def take(self, told: dict[str, Any]) -> None:
        """Take one object that the driver printed."""
        match told:
            case {"sample": dict(reached)}:
                self._sample(reached)
            case {"capacity_runs_s": rate}:
                print(f"Capacity: {rate:.1f} runs a second; the soak asks for 70 % of it.")
                self._started = time.monotonic()
            case {"users": users}:
                print(
                    f"Ramp, {users} users: {told['runs_s']:.1f} runs, "
                    f"{told['requests_s']:.0f} requests a second, p99 {told['p99_ms']:.0f} ms",
                    flush=True,
                )
            case {"faults": dict(faults)}:
                self._unexpected = faults

    def faults(self) -> list[str]:
        """Return what is wrong, and print what was found."""
        wrong = [f"{count} times {what}" for what, count in self._unexpected.items()]
        judged = self.samples[int(len(self.samples) * _WARM_UP) :]
        if len(judged) < _LEAST_SAMPLES:
            return [*wrong, f"only {len(judged)} samples after the warm-up"]
        print(
            f"{statistics.mean(one.requests_s for one in judged):.0f} requests a second, "
            f"p50 {statistics.median(one.p50_ms for one in judged):.1f} ms, "
            f"p99 {statistics.median(one.p99_ms for one in judged):.1f} ms (medians of samples)"
        )
        for name, most in BOUNDS.items():
            values = [getattr(one, name) for one in judged]
            gain = growth([one.at_s for one in judged], values)
            shown = f"{name.replace('_mb', ' (MiB)')}: {values[0]:.1f} to {values[-1]:.1f}, "
            shown += f"the fitted line gains {gain:+.1f}; at most {most:.0f}"
            if self.samples[-1].at_s < _JUDGED_FROM_S:
                print(f"{shown} (not judged: too short for pools and caches to fill)")
                continue
            print(shown)
            if gain > most:
                wrong.append(f"grown: {shown}")
        longest_mb = max(one.log_mb for one in self.samples)
        print(f"write-ahead log: {longest_mb:.1f} MiB at most, bound {MOST_LOG_MB:.0f}")
        if longest_mb > MOST_LOG_MB:
            wrong.append("the write-ahead log is too long")
        each_kb = (self._size() - self._file_bytes) / 1024 / max(1, self._created)
        print(
            f"store: {self._created:,} invocations, {each_kb:.1f} KiB each, bound "
            f"{MOST_INVOCATION_KB:.0f}"
        )
        if each_kb > MOST_INVOCATION_KB:
            wrong.append("an invocation takes too much of the store")
        return wrong

    def _size(self) -> int:
        return self._file.stat().st_size if self._file.exists() else 0

    def _sample(self, reached: dict[str, float]) -> None:
        self._created = int(reached["created"])
        log = self._file.with_name("invoke.db-wal")
        self.samples.append(
            Sample(
                at_s=time.monotonic() - self._started,
                memory_mb=self._running.memory_mb(),
                descriptors=self._running.descriptors(),
                threads=self._running.status("Threads"),
                log_mb=log.stat().st_size / 2**20 if log.exists() else 0.0,
                requests_s=reached["requests_s"],
                p50_ms=reached["p50_ms"],
                p99_ms=reached["p99_ms"],
            )
        )


def growth(at: Sequence[float], values: Sequence[float]) -> float:
    """Return what the line that fits best gains from the first to the last moment."""
    slope, _ = statistics.linear_regression(at, values)
    return slope * (at[-1] - at[0])


def draw(samples: Sequence[Sample], path: Path) -> None:
    """Write the plot: one panel for each of what was looked at, over time."""
    import matplotlib as mpl  # noqa: PLC0415  # only who draws needs it
    from matplotlib.backends.backend_svg import FigureCanvasSVG  # noqa: PLC0415  # likewise
    from matplotlib.figure import Figure  # noqa: PLC0415  # likewise

    mpl.rcParams["svg.hashsalt"] = "soak"
    panels = {
        "memory (MiB)": ("memory_mb",),
        "descriptors, threads": ("descriptors", "threads"),
        "write-ahead log (MiB)": ("log_mb",),
        "requests a second": ("requests_s",),
        "p50, p99 (ms)": ("p50_ms", "p99_ms"),
    }
    figure = Figure(figsize=(8, 9), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots(len(panels), 1, sharex=True)
    minutes = [one.at_s / 60 for one in samples]
    for axis, (title, names) in zip(axes, panels.items(), strict=True):
        for name in names:
            axis.plot(minutes, [getattr(one, name) for one in samples], linewidth=1)
        axis.set_ylabel(title, fontsize=8)
        axis.set_ylim(bottom=0)
        axis.grid(visible=True, alpha=0.3)
    axes[-1].set_xlabel("minutes")
    figure.savefig(path, metadata={"Date": None})


def _first_error(log: Path) -> str:
    text = log.read_text()
    found = _ERROR.search(text)
    return text[found.start() : found.start() + 2000] if found else ""


if __name__ == "__main__":
    sys.exit(main())
