"""How the C library keeps the memory of the server's threads."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLE: Final = "GLIBC_TUNABLES"
_OF_MEMORY: Final = "glibc.malloc."
_ARENAS: Final = "MALLOC_ARENA_MAX"
_CHOSEN: Final = "glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0"


def begin_again() -> None:
    """Replace this process by the same program, with one arena for all threads and no caches.

    The GNU C library gives threads eight arenas for each processor, and each thread a cache, so
    that those who ask at the same moment need not wait for each other. Python runs one thread at a
    time, so nobody would have waited. What is left is the price: each arena takes as much as ever
    a crowd of threads needed of it, and what caches hold keeps the pages around it from being
    given back. ``docs/benchmarks.md`` ("Load and soak") has what it comes to.

    Caches can be chosen in the environment only, before a process starts; so call this before
    anything else. It returns where there is nothing to choose: another C library, somebody who has
    chosen already, as this function has the second time, or a program that came by standard input
    and cannot be read again.
    """
    is_from_input = len(sys.orig_argv) < 2 or "-" in sys.orig_argv
    environ = dict(os.environ)  # at the process's edge
    if sys.executable and not is_from_input and _is_gnu() and (value := chosen(environ)):
        with suppress(OSError):
            os.execve(  # noqa: S606  # this program
                sys.executable, [sys.executable, *sys.orig_argv[1:]], {**environ, _VARIABLE: value}
            )


def chosen(environ: Mapping[str, str]) -> str | None:
    """Return the value of ``GLIBC_TUNABLES`` for a server.

    Returns:
        What is set already with the choice before it; None where somebody has chosen, with this
        variable or with ``MALLOC_ARENA_MAX``.
    """
    given = environ.get(_VARIABLE, "")
    if _OF_MEMORY in given or _ARENAS in environ:
        return None
    # The C library may cut what it has read at a colon; so ours, by which this is known, is first.
    return f"{_CHOSEN}:{given}" if given else _CHOSEN


def _is_gnu() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):
        return False
