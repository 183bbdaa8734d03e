"""Which addresses are connected to: judged one by one, whatever name or notation leads to them.

Source: HTTP contract, section 7 ("The address actually connected to is judged at every hop").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.addresses import refusal
from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.http import HttpSender
from invoke_core.adapters.resolver import SocketAddress, system_look_up
from invoke_core.connections import Allow
from tests.http.conftest import Client
from tests.http.targets import answer, answering, redirecting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.http.conftest import Start

REFUSED = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "168.63.129.16",
    "192.0.0.1",
    "192.0.0.192",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:a83f:8110",
    "::127.0.0.1",
    "::a9fe:a9fe",
    "::ffff:0:127.0.0.1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::169.254.169.254",
    "64:ff9b:1:a9fe:a9:fe00::",
    "64:ff9b:1::8.8.8.8",
    "2001:0:4136:e378:8000:63bf:5601:5601",  # Teredo with client 169.254.169.254
    "2001:0:7f00:1:8000:63bf:f7f7:f7f7",  # Teredo with server 127.0.0.1
    "not an address",
]

ACCEPTED = [
    "8.8.8.8",
    "1.1.1.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "168.63.129.15",
    "192.0.1.1",
    "126.255.255.255",
    "128.0.0.0",
    "223.255.255.255",
    "2606:4700::1111",
    "fd00::1",
    "::ffff:8.8.8.8",
    "::8.8.8.8",
    "2002:808:808::1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:2::1",
    "2001:0:4136:e378:8000:63bf:f7f7:f7f7",  # Teredo with server and client elsewhere
]


@pytest.mark.parametrize("address", REFUSED)
def test_address_is_refused(address: str) -> None:
    assert refusal(address) is not None


@pytest.mark.parametrize("address", ACCEPTED)
def test_address_is_accepted(address: str) -> None:
    assert refusal(address) is None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "0.0.0.0",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
    ],
)
def test_no_notation_of_this_machine_is_connected_to(host: str, start: Start) -> None:
    four = start(answering(answer()), host="0.0.0.0")
    client = Client(allow=Allow())

    failure = client.fail(f"http://{host}:{four.port}/")

    assert (failure.code, failure.effect) == ("addressRefused", "none")
    assert four.connections == 0


@pytest.mark.parametrize("address", [text for text in REFUSED if " " not in text])
def test_refused_address_is_not_connected_to_whether_written_or_looked_up(
    address: str, start: Start
) -> None:
    # Judged before a socket is made, so none of these is ever asked for a connection.
    target = start(answering(answer()))
    looked_up = Client(sender=resolving((address, target.port)), allow=Allow(), timeout_s=2)
    written = Client(allow=Allow(), timeout_s=2)
    host = f"[{address.partition('%')[0]}]" if ":" in address else address

    failures = [
        looked_up.fail(f"http://name.example:{target.port}/"),
        written.fail(f"http://{host}:{target.port}/"),
    ]

    assert {(failure.code, failure.effect) for failure in failures} == {("addressRefused", "none")}
    assert target.connections == 0


def resolving(*addresses: SocketAddress) -> HttpSender:
    def look_up(_host: str, _port: int) -> Sequence[SocketAddress]:
        return addresses

    return HttpSender(budget=ByteBudget(1 << 20), look_up=look_up)


@pytest.mark.parametrize("order", [1, -1], ids=["good first", "bad first"])
def test_name_with_a_good_and_a_bad_address_is_refused_without_a_connection(
    order: int, start: Start
) -> None:
    # The good one is of the range for documentation (RFC 5737): nothing may be sent there either.
    target = start(answering(answer()))
    addresses: list[SocketAddress] = [("192.0.2.1", target.port), ("127.0.0.1", target.port)]
    client = Client(sender=resolving(*addresses[::order]), allow=Allow())

    failure = client.fail("http://mixed.example/")

    assert (failure.code, failure.effect) == ("addressRefused", "none")
    assert failure.message == (
        "mixed.example leads to 127.0.0.1, a loopback address, which this service does not "
        "connect to. For development, allow.loopback in the service connection lifts this."
    )
    assert failure.elapsed_s < 1
    assert target.connections == 0


def test_message_for_a_literal_address_names_it_once() -> None:
    failure = Client(allow=Allow()).fail("http://127.0.0.1:1/?sig=hidden")

    assert failure.message == (
        "127.0.0.1 is a loopback address, which this service does not connect to. For "
        "development, allow.loopback in the service connection lifts this."
    )


def test_name_is_looked_up_again_for_every_hop(start: Start) -> None:
    # What a name leads to may change between two hops, so nothing is kept of the first.
    first, second = start(redirecting("/there")), start(answering(answer(b"second")))
    ports = iter([first.port, second.port])

    def look_up(_host: str, _port: int) -> Sequence[SocketAddress]:
        return [("127.0.0.1", next(ports))]

    client = Client(sender=HttpSender(budget=ByteBudget(1 << 20), look_up=look_up))

    found = client.send("http://moving.example/")

    assert (found.body, first.connections, second.connections) == (b"second", 1, 1)


def test_addresses_are_tried_in_turn(start: Start) -> None:
    target = start(answering(answer(b"second")))
    closed = start(answering(answer()))
    closed.close()
    client = Client(
        sender=resolving(
            ("127.0.0.1", closed.port), ("::1", closed.port), ("127.0.0.1", target.port)
        )
    )

    found = client.send("http://three.example/")

    assert found.body == b"second"
    assert b"Host: three.example\r\n" in target.requests[0]


def test_allowance_of_loopback_lifts_the_whole_list(start: Start, client: Client) -> None:
    target = start(answering(answer(b"here")), host="0.0.0.0")

    bodies = [
        client.send(f"http://{host}:{target.port}/").body
        for host in ("127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "127.1", "localhost")
    ]

    assert bodies == [b"here"] * 5


def test_system_look_up_gives_numeric_addresses() -> None:
    found = system_look_up("127.0.0.1", 80)

    assert list(found) == [("127.0.0.1", 80)]
