from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from invoke_core.wiring import handlers


def test_first_calls_side_by_side_share_one_set_of_handlers() -> None:
    together = Barrier(16)

    def first_call(_: int) -> int:
        together.wait()
        return id(handlers())

    with ThreadPoolExecutor(16) as pool:
        made = set(pool.map(first_call, range(16)))

    assert len(made) == 1
