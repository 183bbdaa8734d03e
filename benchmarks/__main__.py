"""Every measurement, as one table of ratios: ``make bench``.

``python -m benchmarks [--smoke] [NAME ...]``, from the repository's root, in the environment of
``make test``. A name is one of `MEASUREMENTS`; without any, all run. ``--smoke`` does as little of
each as shows that it works.

Ends with 1 where a target was missed, unless it was a smoke, whose figures mean nothing.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, Final

from benchmarks.lines import Scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.lines import Line

MEASUREMENTS: Final = (
    "cold_start",
    "overhead",
    "waiting",
    "completions",
    "growth",
    "memory",
    "peers",
)
HEAD: Final = (
    "| measured | this service | beside | figure | target | |",
    "| --- | --- | --- | --- | --- | --- |",
)


def main() -> int:
    """Run what was asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="show only that everything works")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASUREMENTS))
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in MEASUREMENTS]
    if unknown:
        parser.error(f"{unknown[0]} is no measurement; there are {', '.join(MEASUREMENTS)}")
    missed = False
    print(*HEAD, sep="\n", flush=True)
    for line in _lines(options.names or MEASUREMENTS, Scale(is_smoke=options.smoke)):
        print(line, flush=True)
        missed |= line.is_met is False
    return int(missed and not options.smoke)


def _lines(names: tuple[str, ...] | list[str], scale: Scale) -> Iterator[Line]:
    """Yield the lines of these measurements, each imported when its turn comes."""
    for name in names:
        yield from importlib.import_module(f"benchmarks.{name}").lines(scale)


if __name__ == "__main__":
    sys.exit(main())
