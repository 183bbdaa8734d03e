"""A turn at the interpreter is given up wherever an exchange may wait."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.http import HttpSender
from invoke_core.adapters.resolver import system_look_up
from invoke_core.connections import EgressProxy, ProxyServer
from invoke_core.model import Method
from invoke_core.turns import Turns
from tests.http.targets import Peer, answer
from tests.turning import is_free

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke_core.adapters.resolver import SocketAddress
    from tests.http.conftest import Authority, Client, Start
    from tests.http.targets import Script

WAITS_S = 1.5
LONG = b"x" * (16 << 20)


def say_nothing(peer: Peer) -> None:
    peer.wait()


def take_nothing(peer: Peer) -> None:
    peer.target.stopping.wait(30)


def never_answer(peer: Peer) -> None:
    peer.request()
    peer.wait()


def drip_headers(peer: Peer) -> None:
    peer.request()
    peer.drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 1000)


def drip_body(peer: Peer) -> None:
    peer.request()
    peer.send(answer(b"x" * 1000)[:-1000])
    peer.drip(b"x" * 1000)


def stop_within_the_body(peer: Peer) -> None:
    peer.request()
    peer.send(answer(b"x" * 1000)[:-500])
    peer.wait()


def was_free_while_it_waited(client: Client, url: str, body: bytes | None = None) -> list[bool]:
    """Send in turn, and look at the turn several times while the request waits."""
    turns = Turns()
    client.sender = HttpSender(budget=ByteBudget(1 << 20), turns=turns)
    return looked_at(client, turns, url, body)


def looked_at(client: Client, turns: Turns, url: str, body: bytes | None = None) -> list[bool]:
    client.timeout_s = WAITS_S

    def work() -> None:
        with turns.taken():
            client.fail(url, method=Method.POST, body=body)

    worker = threading.Thread(target=work)
    worker.start()
    seen = []
    for _ in range(3):
        time.sleep(0.2)
        seen.append(is_free(turns))
    still_waits = worker.is_alive()
    worker.join()
    assert still_waits
    return seen


@pytest.mark.parametrize(
    "script",
    [never_answer, drip_headers, drip_body, stop_within_the_body],
    ids=lambda script: script.__name__,
)
def test_while_an_answer_is_waited_for(script: Script, start: Start, client: Client) -> None:
    target = start(script)

    assert was_free_while_it_waited(client, target.origin) == [True] * 3


def test_while_a_request_is_not_taken(start: Start, client: Client) -> None:
    target = start(take_nothing)

    assert was_free_while_it_waited(client, target.origin, LONG) == [True] * 3


def test_while_hands_are_shaken(start: Start, authority: Authority, secure: Client) -> None:
    target = start(say_nothing, tls=authority.tls)

    assert was_free_while_it_waited(secure, target.origin) == [True] * 3


def test_while_a_proxy_opens_no_tunnel(start: Start, authority: Authority, secure: Client) -> None:
    proxy = start(say_nothing)
    secure.proxy = EgressProxy(https=ProxyServer(host="127.0.0.1", port=proxy.port))
    target = start(say_nothing, tls=authority.tls)

    assert was_free_while_it_waited(secure, target.origin) == [True] * 3


def test_while_a_connection_is_not_accepted(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        others = [socket.socket() for _ in range(4)]
        for other in others:
            other.setblocking(False)  # noqa: FBT003  # the name of its parameter is not public
            other.connect_ex(("127.0.0.1", port))

        seen = was_free_while_it_waited(client, f"http://127.0.0.1:{port}/")

        for other in others:
            other.close()
    assert seen == [True] * 3


def test_while_a_name_is_looked_up(client: Client) -> None:
    ends = threading.Event()

    def look_up(_host: str, _port: int) -> Sequence[SocketAddress]:
        ends.wait(30)
        return system_look_up("127.0.0.1", 9)

    turns = Turns()
    client.sender = HttpSender(budget=ByteBudget(1 << 20), look_up=look_up, turns=turns)

    seen = looked_at(client, turns, "http://silent.example/")

    ends.set()
    assert seen == [True] * 3


def test_while_the_budget_is_spent(start: Start, client: Client) -> None:
    turns = Turns()
    budget = ByteBudget(50_000)
    client.sender = HttpSender(budget=budget, turns=turns)
    target = start(never_answer)

    with budget.lease() as other:
        other.add(50_000)
        seen = looked_at(client, turns, target.origin)

    assert seen == [True] * 3


@pytest.mark.parametrize("form", ["by length", "in chunks", "to the end"])
def test_a_long_body_does_not_wait_for_a_turn_after_each_piece(
    form: str, start: Start, client: Client
) -> None:
    pieces = [bytes([ord("a") + number]) * 90_000 for number in range(10)]
    is_begun, is_taken, ends = threading.Event(), threading.Event(), threading.Event()

    def in_pieces(peer: Peer) -> None:
        peer.request()
        headers = ["Transfer-Encoding: chunked"] if form == "in chunks" else []
        whole = b"".join(pieces)
        head = answer(whole, headers=headers, length=form == "by length")
        peer.send(head.removesuffix(whole))
        is_begun.set()
        is_taken.wait(5)
        for piece in pieces:
            peer.send(b"%x\r\n%b\r\n" % (len(piece), piece) if form == "in chunks" else piece)
        if form == "in chunks":
            peer.send(b"0\r\n\r\n")

    turns = Turns()
    client.sender = HttpSender(budget=ByteBudget(1 << 22), turns=turns)
    client.timeout_s = 3
    target = start(in_pieces)
    found: list[bytes] = []

    def work() -> None:
        with turns.taken():
            found.append(client.send(target.origin).body)

    def hold() -> None:
        is_begun.wait(5)
        with turns.taken():
            is_taken.set()
            ends.wait(30)

    worker, holder = threading.Thread(target=work), threading.Thread(target=hold)
    worker.start()
    holder.start()
    # Half a second goes by for the head, and as much after the body.
    worker.join(10)
    ends.set()
    holder.join()

    assert found == [b"".join(pieces)]
