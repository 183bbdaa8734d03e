"""Looks at a turn from outside."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import TYPE_CHECKING

from invoke_core.turns import PATIENCE_S

if TYPE_CHECKING:
    from invoke_core.turns import Turns


def is_free(turns: Turns) -> bool:
    """Tell whether another thread can take the turn; where it cannot, it loses its patience."""

    def take() -> float:
        started = monotonic()
        with turns.taken():
            return monotonic() - started

    with ThreadPoolExecutor(1) as other:
        return other.submit(take).result() < PATIENCE_S / 2
