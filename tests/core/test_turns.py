from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from invoke_core.turns import Turns
from tests.turning import is_free

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_one_thread_works_at_a_time() -> None:
    turns = Turns(patience_s=30)
    at_work: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        with turns.taken():
            at_work.append(number)
            most.append(len(at_work))
            time.sleep(0.002)
            at_work.remove(number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(64)))

    assert (len(most), max(most)) == (64, 1)


@contextmanager
def held_by_another(turns: Turns) -> Iterator[None]:
    """Have another thread keep the turn until the context is left."""
    is_taken, ends = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.taken():
            is_taken.set()
            ends.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_taken.wait(5)
    yield
    ends.set()
    holder.join()


def waited_s(turns: Turns) -> float:
    started = time.monotonic()
    with turns.taken():
        return time.monotonic() - started


def test_nobody_waits_longer_than_his_patience_for_one_who_does_not_give_up() -> None:
    turns = Turns(patience_s=0.2)

    with held_by_another(turns):
        took_s = waited_s(turns)

    assert 0.2 <= took_s < 2


def test_who_went_without_a_turn_does_not_free_that_of_another() -> None:
    turns = Turns(patience_s=0.05)

    with held_by_another(turns):
        waits_s = [waited_s(turns) for _ in range(2)]

    assert min(waits_s) >= 0.05
    assert is_free(turns)


def test_a_turn_ends_with_an_error() -> None:
    turns = Turns()

    with pytest.raises(LookupError), turns.taken():
        raise LookupError

    assert is_free(turns)
