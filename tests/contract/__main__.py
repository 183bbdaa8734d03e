"""``python -m tests.contract [--cases N]``: 1 where an answer was not as described."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contract.campaign import run
from tests.contract.service import serving

if TYPE_CHECKING:
    from tests.contract.campaign import Report


def main() -> int:
    """Run, print what came of it, and return the exit code."""
    parser = argparse.ArgumentParser(description="The API against its own description.")
    parser.add_argument("--cases", type=int, default=20_000, help="at least (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what is generated (%(default)s)")
    parser.add_argument("--seconds", type=int, default=3600, help="at most (%(default)s)")
    options = parser.parse_args()
    began = time.monotonic()
    if options.cases < 1:
        parser.error("--cases is 1 or more")
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        serving(Path(folder)) as service,
    ):
        report = run(service, cases=options.cases, seed=options.seed, longest_s=options.seconds)
    sys.stdout.write(table(report))
    if not report.followed:
        sys.stdout.write("no read of what a call had created succeeded\n")
    passed = report.cases.total() >= options.cases and report.is_clean
    sys.stdout.write(
        f"{report.cases.total()} cases of {options.cases} in {time.monotonic() - began:.0f} s; "
        f"{report.followed} calls about what was created; {len(report.failures)} failures: "
        f"{'passed' if passed else 'FAILED'}\n"
    )
    return 0 if passed else 1


def table(report: Report) -> str:
    """Return the counts, and how to repeat each failure."""
    phases = sorted({phase for _, phase in report.cases})
    rows = [["operation", *phases]]
    rows += [
        [operation, *(str(report.cases[operation, phase]) for phase in phases)]
        for operation in sorted({operation for operation, _ in report.cases})
    ]
    lines = ["  ".join(cell.rjust(10) for cell in [*row[1:], ""]) + row[0] for row in rows]
    lines.append(
        ", ".join(f"{status}: {count}" for status, count in sorted(report.statuses.items()))
    )
    for told, repeated in report.failures.items():
        lines += ["", told, repeated]
    return "\n".join([*lines, *report.broken, ""])


if __name__ == "__main__":
    sys.exit(main())
