"""``python -m invoke_core``; `command_line` has what it does."""

from __future__ import annotations

import sys

from invoke_core.local.memory import begin_again

if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        begin_again()
    # Only now: what it imports would have been imported twice.
    from invoke_core.command_line import main

    sys.exit(main())
