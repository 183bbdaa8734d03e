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


def test_a_turn_that_is_given_up_is_another_thread_s_and_is_taken_again() -> None:
    turns = Turns()

    with turns.taken():
        before = is_free(turns)
        with turns.given_up():
            meanwhile = is_free(turns)
        again = is_free(turns)
    after = is_free(turns)

    assert (before, meanwhile, again, after) == (False, True, False, True)


def test_who_comes_back_waits_for_his_turn() -> None:
    turns = Turns(patience_s=30)
    order: list[str] = []
    is_taken = threading.Event()

    def take_for_a_while() -> None:
        with turns.taken():
            is_taken.set()
            time.sleep(0.2)
            order.append("the other")

    other = threading.Thread(target=take_for_a_while)
    with turns.taken():
        with turns.given_up():
            other.start()
            assert is_taken.wait(5)
        order.append("who came back")
    other.join()

    assert order == ["the other", "who came back"]


def test_a_turn_within_a_turn_is_the_same() -> None:
    turns = Turns()

    with turns.taken():
        with turns.taken():
            within = is_free(turns)
            with turns.given_up():
                given_up = is_free(turns)
        behind = is_free(turns)

    assert (within, given_up, behind) == (False, True, False)


def test_who_has_no_turn_gives_none_up() -> None:
    turns = Turns()

    with turns.given_up():
        pass
    with ThreadPoolExecutor(1) as pool, turns.taken():

        def give_up_what_is_not_mine() -> bool:
            with turns.given_up():
                return is_free(turns)

        seen = pool.submit(give_up_what_is_not_mine).result()

    assert seen is False


def test_a_wait_within_a_wait_takes_nothing() -> None:
    turns = Turns()

    with turns.taken(), turns.given_up():
        with turns.given_up():
            pass
        between = is_free(turns)

    assert between is True


def test_a_turn_that_was_ended_is_not_taken_again() -> None:
    turns = Turns()

    with turns.taken():
        turns.end()
        ended = is_free(turns)
        with turns.given_up():
            pass
        after_a_wait = is_free(turns)
        turns.end()
    with turns.taken():
        anew = is_free(turns)

    assert (ended, after_a_wait, anew) == (True, True, False)
    assert is_free(turns)


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
        with turns.given_up():
            pass
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
    with turns.taken(), turns.given_up():
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
    after_work = is_free(turns)
    with turns.taken():
        with pytest.raises(LookupError), turns.given_up():
            raise LookupError
        after_a_wait = is_free(turns)

    assert (after_work, after_a_wait) == (True, False)
    assert is_free(turns)
