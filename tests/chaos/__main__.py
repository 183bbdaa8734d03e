"""The command line: ``python -m tests.chaos``; see docs/faults.md."""

from __future__ import annotations

import argparse
import math
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chaos.run import SETTLED_S, run

_SHORT_S = 60
_LONG_S = 300
_SHORT_SETTLE_S = 10.0


def main() -> int:
    """Run over each store that is asked for; return 1 where a promise was not kept."""
    options = _parser().parse_args()
    _take_mounts()
    stores = [options.store] if options.store else ["sqlite", "azurite"]
    each_s = options.seconds / len(stores)
    is_good = True
    for store in stores:
        longest_s = SETTLED_S[store] if options.seconds >= _LONG_S else _SHORT_SETTLE_S
        settle_s = longest_s if options.settle is None else options.settle
        with tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as name:
            report = run(
                store, seconds=each_s, settle_s=settle_s, seed=options.seed, folder=Path(name)
            )
            print("\n".join(report.lines()), flush=True)  # noqa: T201  # what it is for
            if options.keep and not report.is_good:
                logs = Path(options.keep) / store
                logs.mkdir(parents=True, exist_ok=True)
                for log in Path(name).glob("*.log"):
                    shutil.copy(log, logs)
        is_good &= report.is_good
    return 0 if is_good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--seconds", type=_seconds, default=_SHORT_S, help="load, over all stores")
    parser.add_argument("--store", choices=list(SETTLED_S), help="this one alone")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="repeats the same faults")
    parser.add_argument("--settle", type=_seconds, help="seconds that each store gets at the end")
    parser.add_argument("--keep", metavar="FOLDER", help="where the logs of a bad run go")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError("a number of seconds above 0 belongs here")
    return seconds


def _take_mounts() -> None:
    """Begin anew where this process may mount a small disk that nobody else sees, if it can."""
    if "CHAOS_MOUNTS" in os.environ:
        return
    unshare = shutil.which("unshare")
    for options in (["-m"], ["-Urm"]) if unshare else ():
        alone = [str(unshare), *options]
        probe = [*alone, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        done = subprocess.run(probe, check=False, capture_output=True)  # noqa: S603  # our own line
        if done.returncode == 0:
            os.environ["CHAOS_MOUNTS"] = "1"
            again = [*alone, sys.executable, "-m", "tests.chaos", *sys.argv[1:]]
            os.execv(again[0], again)  # noqa: S606  # our own program
    os.environ["CHAOS_MOUNTS"] = "0"


if __name__ == "__main__":
    sys.exit(main())
