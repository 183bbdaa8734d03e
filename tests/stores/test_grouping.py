"""That many threads share the work one of them does, and nobody is forgotten."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.grouping import Grouping

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Gate:
    """Work that stands still until it is let go, and keeps the groups it was given."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.began = Event()
        self.go_on = Event()

    def work(self, group: Sequence[int]) -> None:
        self.groups.append(list(group))
        self.began.set()
        assert self.go_on.wait(10)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(70) as threads:
        yield threads


def behind(
    grouping: Grouping[int], threads: ThreadPoolExecutor, numbers: range, *, timeout_s: float = 10
) -> list[Future[None]]:
    """Queue numbers one after the other, behind work that stands still."""
    queued = []
    for number in numbers:
        queued.append(threads.submit(grouping.run, number, timeout_s=timeout_s))
        time.sleep(0.005)
    return queued


def test_what_came_during_the_work_is_done_together_in_order(threads: ThreadPoolExecutor) -> None:
    gate = Gate()
    grouping = Grouping(gate.work, most=4)
    first = threads.submit(grouping.run, 0, timeout_s=10)
    assert gate.began.wait(10)

    others = behind(grouping, threads, range(1, 7))
    gate.go_on.set()

    for one in [first, *others]:
        one.result(10)
    assert gate.groups == [[0], [1, 2, 3, 4], [5, 6]]


def test_it_never_runs_twice_at_once_and_leaves_nobody_out(threads: ThreadPoolExecutor) -> None:
    busy = Lock()
    done: list[int] = []

    def work(group: Sequence[int]) -> None:
        assert busy.acquire(blocking=False)
        done.extend(group)
        time.sleep(0.0001)
        busy.release()

    grouping = Grouping(work, most=5)

    def run(number: int) -> None:
        for turn in range(20):
            grouping.run(number * 20 + turn, timeout_s=10)
            assert number * 20 + turn in done

    for one in [threads.submit(run, number) for number in range(64)]:
        one.result(60)
    assert sorted(done) == list(range(64 * 20))


def test_who_waits_too_long_gives_up_and_the_others_go_on(threads: ThreadPoolExecutor) -> None:
    gate = Gate()
    grouping = Grouping(gate.work, most=4)
    first = threads.submit(grouping.run, 0, timeout_s=10)
    assert gate.began.wait(10)

    [impatient] = behind(grouping, threads, range(1, 2), timeout_s=0.1)
    [patient] = behind(grouping, threads, range(2, 3))
    with pytest.raises(TimeoutError):
        impatient.result(10)
    gate.go_on.set()

    first.result(10)
    patient.result(10)
    assert gate.groups == [[0], [2]]
    grouping.run(3, timeout_s=1)
    assert gate.groups[-1] == [3]


def test_work_that_fails_tells_who_did_it_and_holds_nobody_up(threads: ThreadPoolExecutor) -> None:
    gate = Gate()

    def work(group: Sequence[int]) -> None:
        gate.work(group)
        if 0 in group:
            raise ValueError("broken")

    grouping = Grouping(work, most=4)
    first = threads.submit(grouping.run, 0, timeout_s=10)
    assert gate.began.wait(10)
    others = behind(grouping, threads, range(1, 4))
    gate.go_on.set()

    with pytest.raises(ValueError, match="broken"):
        first.result(10)
    for one in others:
        one.result(10)
    assert gate.groups == [[0], [1, 2, 3]]
