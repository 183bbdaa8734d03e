"""A deadline is a deadline: the whole exchange ends in time, wherever a target drags its feet.

Source: HTTP contract, section 2 ("The whole exchange"), section 7; issue of the first light.
"""

from __future__ import annotations

import itertools
import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.deadline import Watchdog
from invoke_core.adapters.http import HttpSender
from invoke_core.adapters.resolver import SocketAddress, system_look_up
from invoke_core.connections import Allow, TlsOptions
from invoke_core.model import Method
from tests.http.conftest import Authority, Client, Start
from tests.http.targets import Peer, Script, answer, answering, redirecting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

TIMEOUT_S = 0.8
TOLERANCE_S = 0.5


def drips(*, first: bytes = b"", then: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.secure()
        peer.request()
        peer.send(first)
        peer.drip(then)

    return script


def says_nothing(peer: Peer) -> None:
    peer.secure()
    peer.request()
    peer.wait()


def floods(peer: Peer) -> None:
    # Faster than the reader: what has arrived can be read after the socket was shut down.
    peer.secure()
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not peer.target.stopping.is_set():
        peer.send(b"1\r\nx\r\n" * 10_000)


def takes_no_request(peer: Peer) -> None:
    peer.secure()
    peer.target.stopping.wait(10)


LONG = b"x" * 1000
DRAGGING = {
    "no answer": (says_nothing, "unknown", "no answer had begun"),
    "status line": (drips(then=b"HTTP/1.1 200 " + LONG), "unknown", "no answer had begun"),
    "interim answers": (
        drips(then=b"HTTP/1.1 100 Continue\r\nA: b\r\n\r\n" * 10),
        "unknown",
        "no answer had begun",
    ),
    "headers": (
        drips(first=b"HTTP/1.1 200 OK\r\n", then=b"A: b\r\n" * 100),
        "answered",
        "the headers of its answer had not ended",
    ),
    "body with length": (
        drips(first=b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", then=LONG),
        "answered",
        "the body of its answer had not ended",
    ),
    "body without length": (
        drips(first=b"HTTP/1.1 200 OK\r\n\r\n", then=LONG),
        "answered",
        "the body of its answer had not ended",
    ),
    "chunked body": (
        drips(first=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n", then=LONG),
        "answered",
        "the body of its answer had not ended",
    ),
    "chunk sizes": (
        drips(first=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", then=b"0" * 1000),
        "answered",
        "the body of its answer had not ended",
    ),
    "trailers": (
        drips(first=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", then=LONG),
        "answered",
        "the body of its answer had not ended",
    ),
    "fast chunks without end": (floods, "answered", "the body of its answer had not ended"),
}
"""Where a target drags its feet: its script, what is then known of the effect, and the words."""


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("hop", ["first hop", "after a redirect"])
@pytest.mark.parametrize("where", DRAGGING)
def test_exchange_is_cut_at_its_deadline(
    where: str, hop: str, scheme: str, start: Start, authority: Authority
) -> None:
    script, effect, words = DRAGGING[where]
    scripts = [script] if hop == "first hop" else [redirecting("/there"), script]
    target = start(*scripts, tls=authority.tls if scheme == "https" else None)
    client = Client(
        tls=TlsOptions(ca_bundle=authority.bundle), timeout_s=TIMEOUT_S, limit_bytes=1 << 30
    )

    failure = client.fail(f"{target.origin}/?sig=hidden")

    assert failure.elapsed_s == pytest.approx(TIMEOUT_S, abs=TOLERANCE_S)
    assert (failure.code, failure.effect) == ("timedOut", effect)
    assert failure.message == (
        f"127.0.0.1:{target.port} took longer than the 0.8 s a request may take: when they ended, "
        f"{words}. Raise API_RESPONSE_TIMEOUT_SECONDS (at most 180), or let the target report its "
        "end later (waitForCompletion: true, a callback)."
    )
    assert target.connections == len(scripts)


@pytest.mark.parametrize(
    ("scripts", "effect"),
    [
        ([], "none"),
        ([redirecting("/there")], "answered"),
    ],
    ids=["first hop", "after a redirect"],
)
@pytest.mark.parametrize(
    "handshake", [b"", b"\x16\x03\x03\x40\x00\x02" + b"\x00" * 1000], ids=["silent", "dripping"]
)
def test_handshake_is_cut_at_the_deadline(
    handshake: bytes, scripts: list[Script], effect: str, start: Start, authority: Authority
) -> None:
    def shakes_slowly(peer: Peer) -> None:
        peer.drip(handshake)
        peer.target.stopping.wait(10)

    target = start(*scripts, shakes_slowly, tls=authority.tls)
    client = Client(tls=TlsOptions(ca_bundle=authority.bundle), timeout_s=TIMEOUT_S)

    failure = client.fail(target.origin)

    assert failure.elapsed_s == pytest.approx(TIMEOUT_S, abs=TOLERANCE_S)
    assert (failure.code, failure.effect) == ("timedOut", effect)
    assert "the TLS handshake had not ended" in failure.message


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_request_nobody_takes_is_cut_at_the_deadline(
    scheme: str, start: Start, authority: Authority
) -> None:
    target = start(takes_no_request, tls=authority.tls if scheme == "https" else None)
    client = Client(tls=TlsOptions(ca_bundle=authority.bundle), timeout_s=TIMEOUT_S)

    failure = client.fail(target.origin, method=Method.POST, body=b"x" * 20_000_000)

    assert failure.elapsed_s == pytest.approx(TIMEOUT_S, abs=TOLERANCE_S)
    assert (failure.code, failure.effect) == ("timedOut", "unknown")
    assert "it had not taken the whole request" in failure.message


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: the next one waits for ever."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        fill(listener, stack)
        yield listener.getsockname()[1]


def fill(listener: socket.socket, stack: ExitStack) -> None:
    for _ in range(4):
        waiting = stack.enter_context(socket.socket())
        waiting.settimeout(0)
        waiting.connect_ex(listener.getsockname())


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_connecting_is_cut_at_the_deadline(scheme: str, full_port: int, client: Client) -> None:
    client.timeout_s = TIMEOUT_S

    failure = client.fail(f"{scheme}://127.0.0.1:{full_port}/")

    assert failure.elapsed_s == pytest.approx(TIMEOUT_S, abs=TOLERANCE_S)
    assert (failure.code, failure.effect) == ("timedOut", "none")
    assert "no connection had been made" in failure.message


def test_connecting_after_a_redirect_is_cut_at_the_deadline(client: Client) -> None:
    client.timeout_s = TIMEOUT_S
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listener.getsockname()[1]

        def redirect_and_fall_silent() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(65536)
                fill(listener, stack)
                sock.sendall(answer(status="307 Again", headers=["Location: /there"]))

        thread = threading.Thread(target=redirect_and_fall_silent)
        thread.start()

        failure = client.fail(f"http://127.0.0.1:{port}/", method=Method.POST, body=b"x")

        thread.join()
    assert failure.elapsed_s == pytest.approx(TIMEOUT_S, abs=TOLERANCE_S)
    assert (failure.code, failure.effect) == ("timedOut", "answered")


def test_silent_address_leaves_time_for_the_next(full_port: int, start: Start) -> None:
    target = start(answering(answer(b"hello")))
    addresses: list[SocketAddress] = [("127.0.0.1", full_port), ("127.0.0.1", target.port)]
    sender = HttpSender(budget=ByteBudget(1 << 20), look_up=lambda _host, _port: addresses)

    found = Client(sender=sender, timeout_s=2).send("http://two.example/")

    assert found.body == b"hello"
    assert found.elapsed_ms == pytest.approx(1000, abs=500)


@pytest.mark.parametrize("hop", ["first hop", "after a redirect"])
def test_look_up_that_never_ends_is_given_up_at_the_deadline(hop: str, start: Start) -> None:
    ends = threading.Event()
    looked_up = itertools.count()
    target = start(redirecting("/there"))

    def look_up(_host: str, _port: int) -> Sequence[SocketAddress]:
        if hop == "first hop" or next(looked_up):
            ends.wait(30)
        return system_look_up("127.0.0.1", target.port)

    sender = HttpSender(budget=ByteBudget(1 << 20), look_up=look_up)

    failure = Client(sender=sender, timeout_s=TIMEOUT_S).fail("http://silent.example/")

    ends.set()
    assert failure.elapsed_s == pytest.approx(TIMEOUT_S, abs=TOLERANCE_S)
    assert failure.code == "timedOut"
    assert failure.effect == ("none" if hop == "first hop" else "answered")
    assert "the look-up of its name had not ended" in failure.message


def test_redirects_share_one_deadline(start: Start, client: Client) -> None:
    def redirects_slowly(peer: Peer) -> None:
        peer.request()
        if not peer.target.stopping.wait(0.35):
            peer.send(answer(status="302 Found", headers=["Location: /again"]))

    target = start(redirects_slowly)
    client.timeout_s = TIMEOUT_S

    failure = client.fail(target.origin)

    assert failure.elapsed_s == pytest.approx(TIMEOUT_S, abs=TOLERANCE_S)
    assert failure.code == "timedOut"
    assert target.connections == 3


def test_slow_answer_that_ends_in_time_is_an_answer(start: Start, client: Client) -> None:
    target = start(drips(first=answer(b"hello")[:-5], then=b"hello"))
    client.timeout_s = 2.0

    found = client.send(target.origin)

    assert found.body == b"hello"
    assert found.elapsed_ms == pytest.approx(500, abs=200)


def test_watchdog_never_touches_what_was_let_go() -> None:
    # The number of a closed socket belongs to whoever opens the next one.
    watchdog = Watchdog()
    left, right = socket.socketpair()
    with watchdog.deadline(0.2) as deadline:
        deadline.watch(left)
        deadline.unwatch()
        late = threading.Event()
        late.wait(0.5)
        was_cut = deadline.is_cut
    right.sendall(b"still open")

    assert was_cut
    assert left.recv(100) == b"still open"
    left.close()
    right.close()


def test_watchdog_cuts_the_nearest_deadline_first() -> None:
    watchdog = Watchdog()
    far, near = socket.socketpair(), socket.socketpair()
    with watchdog.deadline(30) as one, watchdog.deadline(0.3) as other:
        one.watch(far[0])
        other.watch(near[0])
        near[0].settimeout(5)

        ended = near[0].recv(1)

        assert (ended, other.is_cut, one.is_cut) == (b"", True, False)
        with pytest.raises(TimeoutError):
            other.watch(near[0])
    for sock in (*far, *near):
        sock.close()


def test_allowance_of_loopback_is_needed_here(start: Start) -> None:
    # Every test of this folder connects to loopback: this one shows that the guard is on.
    target = start(answering(answer()))

    failure = Client(allow=Allow()).fail(target.origin)

    assert (failure.code, target.connections) == ("addressRefused", 0)
