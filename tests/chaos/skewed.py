"""The server, with a clock that is set apart: ``python -m tests.chaos.skewed SECONDS serve …``."""

from __future__ import annotations

import sys
from datetime import timedelta

from invoke_core import wiring
from invoke_core.command_line import main


def _set_apart(by: timedelta) -> None:
    """Have the composition root hand out another clock; nothing below it reads one by itself."""
    right = wiring._now
    wiring._now = lambda: right() + by


if __name__ == "__main__":
    _set_apart(timedelta(seconds=float(sys.argv[1])))
    sys.exit(main(sys.argv[2:]))
