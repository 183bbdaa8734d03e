from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from invoke_core.turns import Turns
from tests.turning import is_free


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


def test_nobody_waits_longer_than_his_patience_for_one_who_does_not_give_up() -> None:
    turns = Turns(patience_s=0.2)
    ends = threading.Event()
    is_taken = threading.Event()

    def never_give_up() -> None:
        with turns.taken():
            is_taken.set()
            ends.wait(30)

    holder = threading.Thread(target=never_give_up)
    holder.start()
    assert is_taken.wait(5)
    started = time.monotonic()
    with turns.taken():
        took_s = time.monotonic() - started
    ends.set()
    holder.join()

    assert 0.2 <= took_s < 2


def test_who_went_without_a_turn_does_not_free_that_of_another() -> None:
    turns = Turns(patience_s=0.05)
    is_taken, ends = threading.Event(), threading.Event()

    def hold() -> None:
        with turns.taken():
            is_taken.set()
            ends.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_taken.wait(5)
    with turns.taken():
        pass
    started = time.monotonic()
    with turns.taken():
        took_s = time.monotonic() - started
    ends.set()
    holder.join()

    assert took_s >= 0.05
    assert is_free(turns)


def test_a_turn_ends_with_an_error() -> None:
    turns = Turns()

    with pytest.raises(LookupError), turns.taken():
        raise LookupError

    assert is_free(turns)
