from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import azure.functions as func
import pytest
from azure.functions.timer import TimerRequest

from invoke_core.local.errors import LocalServerError
from invoke_core.local.indexing import index
from invoke_core.local.server import LocalServer
from invoke_core.local.timers import Timer, Timers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_START = datetime(2025, 1, 15, 12, 0, 0, tzinfo=UTC)


class World:
    """A clock that moves when someone waits, and an end."""

    def __init__(self, lasts: timedelta) -> None:
        self.now = _START
        self.waits: list[float] = []
        self._end = _START + lasts

    def clock(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)
        return self.now >= self._end

    def run(self, app: func.FunctionApp) -> None:
        timers = [Timer(one, {}) for one in index(app)]
        Timers(timers, clock=self.clock, wait=self.wait).run()

    @property
    def passed(self) -> int:
        return int((self.now - _START).total_seconds())


def _add(
    app: func.FunctionApp,
    name: str,
    schedule: str,
    run: Callable[[func.TimerRequest], None],
    *,
    run_on_startup: bool = False,
) -> None:
    def function(timer: func.TimerRequest) -> None:
        run(timer)

    function.__name__ = name
    app.timer_trigger(schedule=schedule, arg_name="timer", run_on_startup=run_on_startup)(function)


def _app(
    schedule: str, run: Callable[[func.TimerRequest], None], *, run_on_startup: bool = False
) -> func.FunctionApp:
    app = func.FunctionApp()
    _add(app, "tick", schedule, run, run_on_startup=run_on_startup)
    return app


def test_a_timer_runs_whenever_it_is_due() -> None:
    world = World(timedelta(minutes=3, seconds=30))
    ran: list[int] = []

    world.run(_app("0 * * * * *", lambda _: ran.append(world.passed)))

    assert ran == [60, 120, 180]
    assert max(world.waits) <= 30


def test_a_timer_may_run_at_the_start_as_well() -> None:
    world = World(timedelta(seconds=90))
    ran: list[int] = []

    world.run(_app("0 * * * * *", lambda _: ran.append(world.passed), run_on_startup=True))

    assert ran == [0, 60]


def test_timers_take_turns() -> None:
    world = World(timedelta(seconds=61))
    ran: list[tuple[str, int]] = []
    app = func.FunctionApp()
    _add(app, "often", "*/20 * * * * *", lambda _: ran.append(("often", world.passed)))
    _add(app, "seldom", "00:00:30", lambda _: ran.append(("seldom", world.passed)))

    world.run(app)

    assert sorted(ran) == [
        ("often", 20),
        ("often", 40),
        ("often", 60),
        ("seldom", 30),
        ("seldom", 60),
    ]


def test_the_function_gets_the_librarys_own_request() -> None:
    world = World(timedelta(seconds=121))
    seen: list[Any] = []

    world.run(_app("0 * * * * *", seen.append))

    assert [type(one) for one in seen] == [TimerRequest] * 2
    assert [one.past_due for one in seen] == [False, False]
    assert seen[0].schedule_status == {
        "Last": "0001-01-01T00:00:00+00:00",
        "Next": "2025-01-15T12:01:00+00:00",
        "LastUpdated": "0001-01-01T00:00:00+00:00",
    }
    assert seen[1].schedule_status["Last"] == "2025-01-15T12:01:00+00:00"
    assert seen[1].schedule == {"AdjustForDST": True}


def test_a_run_that_fails_is_logged_and_the_next_takes_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(timedelta(seconds=121))
    ran: list[int] = []

    def fail(_: func.TimerRequest) -> None:
        ran.append(world.passed)
        raise RuntimeError("out of order")

    world.run(_app("0 * * * * *", fail))

    assert ran == [60, 120]
    assert caplog.text.count("The timer 'tick' failed.") == 2
    assert "RuntimeError: out of order" in caplog.text


def test_a_timer_that_returns_anything_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    world = World(timedelta(seconds=61))
    app = func.FunctionApp()

    @app.timer_trigger(schedule="0 * * * * *", arg_name="timer")
    def tick(timer: func.TimerRequest) -> str:
        return str(timer.past_due)

    world.run(app)

    assert "TypeError: a timer returns nothing" in caplog.text


def test_what_falls_due_during_a_run_is_made_up_by_one_run() -> None:
    world = World(timedelta(seconds=301))
    ran: list[tuple[int, bool]] = []

    def run(timer: func.TimerRequest) -> None:
        ran.append((world.passed, timer.past_due))
        if len(ran) == 1:
            world.now += timedelta(seconds=150)

    world.run(_app("0 * * * * *", run))

    assert ran == [(60, False), (210, True), (240, False), (300, False)]


def test_a_timer_that_had_to_wait_for_another_is_past_due() -> None:
    world = World(timedelta(seconds=60))
    seen: list[tuple[int, bool]] = []
    app = func.FunctionApp()

    def long(_: func.TimerRequest) -> None:
        world.now += timedelta(seconds=10)

    _add(app, "a_long_one", "20 * * * * *", long)
    _add(
        app,
        "other",
        "25 * * * * *",
        lambda timer: seen.append((world.passed, timer.past_due)),
    )

    world.run(app)

    assert seen == [(30, True)]


def test_a_clock_that_is_set_back_does_not_bring_the_same_run_again() -> None:
    world = World(timedelta(seconds=125))
    ran: list[int] = []

    def run(_: func.TimerRequest) -> None:
        ran.append(world.passed)
        if len(ran) == 1:
            world.now -= timedelta(seconds=5)

    world.run(_app("0 * * * * *", run))

    assert ran == [60, 120]


def test_a_faulty_schedule_is_refused_with_the_name_of_its_function() -> None:
    [function] = index(_app("0 * * * *", print))

    with pytest.raises(LocalServerError) as caught:
        Timer(function, {})

    assert caught.value.message == (
        "The timer 'tick': The schedule '0 * * * *' is refused: it has to have six fields, seconds "
        "first, or to be a period like 00:00:30."
    )


def test_the_server_runs_timers_beside_requests(
    app_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TICK_SCHEDULE", "* * * * * *")
    ran = threading.Semaphore(0)
    threads: set[str] = set()

    def run(_: func.TimerRequest) -> None:
        threads.add(threading.current_thread().name)
        ran.release()

    server = LocalServer(_app("%TICK_SCHEDULE%", run), app_root=app_root, port=0)
    assert not ran.acquire(blocking=False)
    with server:
        assert ran.acquire(timeout=5)
        assert ran.acquire(timeout=5)
    assert threads == {"timers"}


def test_a_setting_a_schedule_lacks_keeps_the_server_from_starting(app_root: Path) -> None:
    with pytest.raises(LocalServerError, match="the setting 'NOT_SET_ANYWHERE' is missing"):
        LocalServer(_app("%NOT_SET_ANYWHERE%", print), app_root=app_root, port=0)


def test_a_server_that_waits_for_a_timer_stops_at_once(app_root: Path) -> None:
    server = LocalServer(_app("0 30 3 1 1 *", print), app_root=app_root, port=0)
    server.start()
    started = time.monotonic()

    assert server.stop() == 0
    assert time.monotonic() - started < 2


def test_stopping_lets_a_running_timer_finish(app_root: Path) -> None:
    running, release = threading.Event(), threading.Event()
    finished: list[bool] = []

    def run(_: func.TimerRequest) -> None:
        running.set()
        finished.append(release.wait(10))

    app = _app("0 0 0 1 1 *", run, run_on_startup=True)
    server = LocalServer(app, app_root=app_root, port=0)
    server.start()
    assert running.wait(5)
    threading.Timer(0.2, release.set).start()

    assert server.stop() == 0
    assert finished == [True]


def test_stopping_does_not_wait_for_a_timer_for_ever(app_root: Path) -> None:
    running, release = threading.Event(), threading.Event()

    def run(_: func.TimerRequest) -> None:
        running.set()
        release.wait(20)

    app = _app("0 0 0 1 1 *", run, run_on_startup=True)
    server = LocalServer(app, app_root=app_root, port=0)
    server.start()
    assert running.wait(5)
    started = time.monotonic()

    assert server.stop(grace_s=0.2) == 1
    assert time.monotonic() - started < 5
    release.set()
