"""That many threads share the work one of them does, and nobody is forgotten."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Event, Lock
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.grouping import Grouping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


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


def queued(
    threads: ThreadPoolExecutor, run: Callable[..., None], *numbers: int, timeout_s: float = 10
) -> list[Future[None]]:
    """Queue numbers one after the other, behind work that stands still."""
    futures = []
    for number in numbers:
        futures.append(threads.submit(run, number, timeout_s=timeout_s))
        time.sleep(0.005)
    return futures


def test_what_came_during_the_work_is_done_together_in_order(threads: ThreadPoolExecutor) -> None:
    gate = Gate()
    run = partial(Grouping[int](most=4).run, work=gate.work)
    first = threads.submit(run, 0, timeout_s=10)
    assert gate.began.wait(10)

    others = queued(threads, run, 1, 2, 3, 4, 5, 6)
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

    grouping = Grouping[int](most=5)

    def run_twenty(number: int) -> None:
        for turn in range(20):
            grouping.run(number * 20 + turn, work, timeout_s=10)
            assert number * 20 + turn in done

    for one in [threads.submit(run_twenty, number) for number in range(64)]:
        one.result(60)
    assert sorted(done) == list(range(64 * 20))


def test_who_waits_too_long_gives_up_and_the_others_go_on(threads: ThreadPoolExecutor) -> None:
    gate = Gate()
    run = partial(Grouping[int](most=4).run, work=gate.work)
    first = threads.submit(run, 0, timeout_s=10)
    assert gate.began.wait(10)

    [impatient] = queued(threads, run, 1, timeout_s=0.1)
    [patient] = queued(threads, run, 2)
    with pytest.raises(TimeoutError):
        impatient.result(10)
    gate.go_on.set()

    first.result(10)
    patient.result(10)
    assert gate.groups == [[0], [2]]
    run(3, timeout_s=1)
    assert gate.groups[-1] == [3]


def test_work_that_fails_tells_who_did_it_and_holds_nobody_up(threads: ThreadPoolExecutor) -> None:
    gate = Gate()

    def work(group: Sequence[int]) -> None:
        gate.work(group)
        if 0 in group:
            raise ValueError("broken")

    run = partial(Grouping[int](most=4).run, work=work)
    first = threads.submit(run, 0, timeout_s=10)
    assert gate.began.wait(10)
    others = queued(threads, run, 1, 2, 3)
    gate.go_on.set()

    with pytest.raises(ValueError, match="broken"):
        first.result(10)
    for one in others:
        one.result(10)
    assert gate.groups == [[0], [1, 2, 3]]


def test_who_is_called_as_he_gives_up_does_the_work_all_the_same(
    threads: ThreadPoolExecutor,
) -> None:
    """Times to wait that are about as long as the work: both happen at once again and again."""
    done: list[int] = []

    def work(group: Sequence[int]) -> None:
        time.sleep(0.0005)
        done.extend(group)

    run = partial(Grouping[int](most=2).run, work=work)

    def run_often(number: int) -> int:
        gave_up = 0
        for turn in range(number * 300, number * 300 + 300):
            try:
                run(turn, timeout_s=0.001)
            except TimeoutError:
                gave_up += 1
            else:
                assert turn in done
        return gave_up

    gave_up = [one.result(60) for one in [threads.submit(run_often, n) for n in range(8)]]

    assert 0 < sum(gave_up) < 8 * 300
    run(-1, timeout_s=10)
    assert done[-1] == -1
    assert len(done) == len(set(done))
