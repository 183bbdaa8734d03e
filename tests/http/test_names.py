"""Look-ups of names: found, not found, hanging.

Source: design, "Running" (a look-up is given up at the deadline; hung names starve nobody else).
"""

from __future__ import annotations

import socket
import threading
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.http import HttpSender
from invoke_core.adapters.resolver import Resolver, SocketAddress
from tests.http.conftest import Client
from tests.http.targets import answer, answering

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.http.conftest import Start


def failing(error: Exception) -> HttpSender:
    def look_up(_host: str, _port: int) -> Sequence[SocketAddress]:
        raise error

    return HttpSender(budget=ByteBudget(1 << 20), look_up=look_up)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (
            socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
            "it does not exist, or has no address; check the host of the service connection",
        ),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure"),
            "no name server answered; try again, and check the network's DNS",
        ),
        (
            UnicodeError("label too long"),
            "it cannot be a host name; check the host of the service connection",
        ),
    ],
)
def test_name_that_is_not_found(error: Exception, why: str) -> None:
    client = Client(sender=failing(error))

    failure = client.fail("https://unknown.example/v1?sig=hidden")

    assert (failure.code, failure.effect) == ("nameNotResolved", "none")
    assert failure.message == f"The name unknown.example was not found: {why}."


def test_name_without_addresses_is_not_found() -> None:
    sender = HttpSender(budget=ByteBudget(1 << 20), look_up=lambda _host, _port: [])

    failure = Client(sender=sender).fail("http://empty.example/")

    assert (failure.code, failure.effect) == ("nameNotResolved", "none")


def test_label_that_is_too_long_is_not_found() -> None:
    failure = Client().fail(f"http://{'a' * 64}.example/")

    assert (failure.code, failure.effect) == ("nameNotResolved", "none")


class Counting:
    """A look-up that hangs for some names, and counts what runs."""

    def __init__(self, port: int = 80) -> None:
        self.port = port
        self.calls: list[str] = []
        self.began = threading.Event()
        self.ends = threading.Event()

    def __call__(self, host: str, _port: int) -> Sequence[SocketAddress]:
        self.calls.append(host)
        self.began.set()
        if host.startswith("hung"):
            self.ends.wait(30)
        return [("127.0.0.1", self.port)]


def test_hung_names_starve_no_other(start: Start) -> None:
    target = start(answering(answer(b"fine")))
    look_up = Counting(target.port)
    sender = HttpSender(budget=ByteBudget(1 << 20), look_up=look_up)
    patient = Client(sender=sender, timeout_s=4)
    failures: list[str] = []

    def wait_for(host: str) -> None:
        failures.append(patient.fail(f"http://{host}/").code)

    hung = [threading.Thread(target=wait_for, args=(f"hung{n % 3}.example",)) for n in range(90)]
    for thread in hung:
        thread.start()

    found = Client(sender=sender, timeout_s=2).send("http://fine.example/")

    for thread in hung:
        thread.join()
    look_up.ends.set()
    assert (found.body, found.elapsed_ms < 1000) == (b"fine", True)
    assert failures == ["timedOut"] * 90
    assert len(look_up.calls) <= 3 * 4 + 1


def test_look_ups_of_one_name_at_once_are_one() -> None:
    look_up = Counting()
    resolver = Resolver(look_up)

    def resolve() -> None:
        resolver.addresses("hung.example", 80, timeout_s=10)

    threads = [threading.Thread(target=resolve) for _ in range(20)]
    for thread in threads:
        thread.start()
    look_up.began.wait(5)
    look_up.ends.set()
    for thread in threads:
        thread.join()

    assert len(look_up.calls) <= 2


def test_look_up_that_hangs_is_tried_again_by_a_later_caller() -> None:
    look_up = Counting()
    resolver = Resolver(look_up)
    with pytest.raises(TimeoutError):
        resolver.addresses("hung.example", 80, timeout_s=2.1)
    with pytest.raises(TimeoutError):
        resolver.addresses("hung.example", 80, timeout_s=0.1)

    look_up.ends.set()

    assert look_up.calls == ["hung.example", "hung.example"]


def test_finished_look_ups_are_forgotten() -> None:
    look_up = Counting()
    resolver = Resolver(look_up)

    for _ in range(3):
        resolver.addresses("fine.example", 80, timeout_s=1)

    assert len(look_up.calls) == 3


def test_each_waiting_caller_gets_an_error_of_his_own() -> None:
    resolver = Resolver(lambda _host, _port: (_ for _ in ()).throw(OSError(5, "no")))
    started_at = monotonic()

    with pytest.raises(OSError, match="no") as first:
        resolver.addresses("bad.example", 80, timeout_s=5)
    with pytest.raises(OSError, match="no") as second:
        resolver.addresses("bad.example", 80, timeout_s=5)

    assert first.value is not second.value
    assert monotonic() - started_at < 1


@pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7"])
def test_an_address_is_looked_up_without_a_thread(host: str) -> None:
    threads: list[str] = []

    def look_up(_host: str, _port: int) -> Sequence[SocketAddress]:
        threads.append(threading.current_thread().name)
        return [("192.0.2.7", 80)]

    assert Resolver(look_up).addresses(host, 80, timeout_s=1) == [("192.0.2.7", 80)]
    assert threads == [threading.current_thread().name]
