from __future__ import annotations

import threading
import time

import pytest

from invoke_core.threads import Threads


def test_jobs_run_side_by_side_up_to_the_limit() -> None:
    threads = Threads(3, name="test")
    running = threading.Semaphore(0)
    release = threading.Event()

    def job() -> None:
        running.release()
        release.wait(10)

    for _ in range(5):
        threads.run(job)

    assert [running.acquire(timeout=0.5) for _ in range(4)] == [True, True, True, False]
    release.set()
    assert threads.close(timeout_s=5) == 0
    assert [running.acquire(blocking=False) for _ in range(3)] == [True, True, False]


def test_a_thread_that_is_free_is_used_again() -> None:
    threads = Threads(10, name="test")
    names = []
    done = threading.Semaphore(0)

    def job() -> None:
        names.append(threading.current_thread().name)
        done.release()

    for _ in range(5):
        threads.run(job)
        assert done.acquire(timeout=5)
        time.sleep(0.05)

    assert set(names) == {"test-1"}
    threads.close(timeout_s=5)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads that were started: two at most, as in a container with a limit on processes."""
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def start_two(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_two)
    return started


@pytest.mark.usefixtures("two")
def test_where_no_further_thread_can_be_had_the_others_do_the_work() -> None:
    threads = Threads(10, name="test")
    done = threading.Semaphore(0)

    def job() -> None:
        time.sleep(0.05)
        done.release()

    for _ in range(6):
        threads.run(job)

    assert all(done.acquire(timeout=5) for _ in range(6))
    assert threads.close(timeout_s=5) == 0


def test_threads_that_were_started_are_there_before_the_jobs() -> None:
    threads = Threads(5, name="ready")
    threads.start()
    together = threading.Barrier(6)

    def job() -> None:
        together.wait(10)

    before = {one for one in threading.enumerate() if one.name.startswith("ready-")}

    for _ in range(5):
        threads.run(job)
    during = {one for one in threading.enumerate() if one.name.startswith("ready-")}
    together.wait(10)

    assert (len(before), during) == (5, before)
    assert threads.close(timeout_s=5) == 0


def test_as_many_threads_are_started_as_can_be_had(two: list[threading.Thread]) -> None:
    threads = Threads(10, name="test")
    threads.start()
    before = list(two)
    done = threading.Semaphore(0)

    for _ in range(6):
        threads.run(done.release)

    assert len(before) == 2
    assert all(done.acquire(timeout=5) for _ in range(6))
    assert threads.close(timeout_s=5) == 0
