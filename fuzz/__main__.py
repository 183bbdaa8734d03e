"""Runs targets one after another, and tells what came of each; or tries one input again."""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

NAMES = ("criteria", "headers", "macros", "pipelines", "settings", "steps", "urls")


def main() -> int:
    """Return 1 where anything was found."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="for each target")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    asked = parser.parse_args()
    if asked.seconds < 1:
        parser.error("--seconds is 1 or more")
    if len(asked.names) == 2 and asked.names[0] in NAMES and asked.names[1] not in NAMES:
        try:
            data = Path(asked.names[1]).read_bytes()
        except OSError as error:
            parser.error(f"there is neither a target nor an input '{asked.names[1]}': {error}")
        import_module(f"fuzz.{asked.names[0]}").TARGET.check(data)
        return 0
    unknown = set(asked.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no target {', '.join(sorted(unknown))}")
    print(f"{'target':<10}{'executions':>12}{'a second':>10}{'features':>10}{'longest':>10}  found")
    results = [run(name, asked.seconds, asked.seed) for name in asked.names or NAMES]
    return int(not all(results))


def run(name: str, seconds: int, seed: int) -> bool:
    """Fuzz one target, print its row, and tell whether nothing was found."""
    place = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
    command = [sys.executable, "-m", "fuzz.campaign", name, str(seconds), str(seed), str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    if not (place / "facts").exists():
        print(done.stderr[-2000:])
        return False
    facts = json.loads((place / "facts").read_text())
    features = re.findall(r" ft: (\d+)", done.stderr)
    count, took = facts["executions"], facts["seconds"] or 1
    print(
        f"{name:<10}{count:>12,}{count / took:>10,.0f}{(features or ['-'])[-1]:>10}"
        f"{facts['longest_s']:>9.2f}s  {len(facts['findings'])}",
        flush=True,
    )
    for number, what in enumerate(facts["findings"], 1):
        print(f"  {what}")
        print(f"  one of them again: python -m fuzz {name} {place / f'finding{number}'}")
    if done.returncode and not facts["findings"]:
        print(done.stderr[-2000:])
    is_clean = not facts["findings"] and not done.returncode
    if is_clean:
        shutil.rmtree(place, ignore_errors=True)
    return is_clean


if __name__ == "__main__":
    sys.exit(main())
