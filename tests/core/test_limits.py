"""How much of a connection may be used (contract, section 7, ``limits``)."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from invoke_core.connections import Connection, ConnectionKind, Limits
from invoke_core.errors import BusyError, StoreUnavailableError
from invoke_core.limits import ConnectionLimits


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def connection(name: str = "demo", **limits: int) -> Connection:
    return Connection(
        name=name, kind=ConnectionKind.GENERIC, url="https://h", limits=Limits(**limits)
    )


def refused(limits: ConnectionLimits, used: Connection) -> tuple[str, int]:
    with pytest.raises(BusyError) as caught, limits.one(used):
        pass
    return caught.value.message, caught.value.retry_after_s


def test_without_limits_any_number_runs() -> None:
    limits = ConnectionLimits(Clock())

    with ExitStack() as running:
        for _ in range(1000):
            running.enter_context(limits.one(connection()))


def test_as_many_run_at_once_as_concurrency_lets() -> None:
    limits, used = ConnectionLimits(Clock()), connection(concurrency=2)

    with limits.one(used):
        with limits.one(used):
            message, retry_after_s = refused(limits, used)
        with limits.one(used):
            pass

    assert message == (
        "As many requests run through the connection 'demo' as its limits.concurrency lets run at "
        "once (2); try again shortly."
    )
    assert retry_after_s == 2


def test_a_place_is_free_again_after_an_error() -> None:
    limits, used = ConnectionLimits(Clock()), connection(concurrency=1)
    with pytest.raises(LookupError), limits.one(used):
        raise LookupError

    with limits.one(used):
        pass


def test_as_many_begin_within_any_minute_as_per_minute_lets() -> None:
    clock = Clock()
    limits, used = ConnectionLimits(clock), connection(per_minute=2)
    with limits.one(used):
        pass
    clock.now_s += 40
    with limits.one(used):
        pass
    clock.now_s += 10.5

    message, retry_after_s = refused(limits, used)

    assert message == (
        "The connection 'demo' was used as often within a minute as its limits.perMinute allows "
        "(2)."
    )
    assert retry_after_s == 10
    clock.now_s += retry_after_s
    with limits.one(used):
        pass
    assert refused(limits, used)[1] == 40


def test_what_was_refused_or_failed_before_it_was_sent_does_not_count() -> None:
    limits, used = ConnectionLimits(Clock()), connection(per_minute=1)
    with pytest.raises(StoreUnavailableError), limits.one(used):
        raise StoreUnavailableError("InvokeStorage", "timeout")
    with limits.one(used) as replay:
        replay.counts = False

    with limits.one(used):
        pass
    refused(limits, used)


def test_connections_do_not_share_their_limits() -> None:
    limits = ConnectionLimits(Clock())

    with limits.one(connection("one", concurrency=1)), limits.one(connection("two", concurrency=1)):
        refused(limits, connection("ONE", concurrency=1))
