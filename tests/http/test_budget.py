"""The bytes of answers the process holds at once.

Source: HTTP contract, section 9 (``MAX_BUFFERED_BYTES``).
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.http import HttpSender
from invoke_core.connections import Allow, Connection, ConnectionKind
from invoke_core.model import Method, OutgoingRequest
from tests.http.conftest import Client, accept_any
from tests.http.targets import Peer, answer, answering

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from invoke_core.model import Answer
    from tests.http.conftest import Start


def holding(sender: HttpSender, url: str, timeout_s: float = 10) -> AbstractContextManager[Answer]:
    return sender.send(
        OutgoingRequest(method=Method.GET, url=url, headers=(), body=None),
        connection=Connection(
            name="target", kind=ConnectionKind.GENERIC, url=url, allow=Allow(loopback=True)
        ),
        judge=accept_any,
        answers=(),
        timeout_s=timeout_s,
        limit_bytes=1_000_000,
    )


def test_bytes_are_held_until_the_answer_is_let_go(start: Start) -> None:
    budget = ByteBudget(10_000)
    sender = HttpSender(budget=budget)
    target = start(answering(answer(b"x" * 10_000)))

    with holding(sender, target.origin):
        within = sender.spent(), budget.held_bytes >= 10_000
    after = sender.spent(), budget.held_bytes

    assert (within, after) == ((True, True), (False, 0))


def test_bytes_of_a_failed_exchange_are_let_go(start: Start) -> None:
    budget = ByteBudget(1 << 20)
    target = start(answering(answer(b"x" * 10_000)[:-1]))

    failure = Client(sender=HttpSender(budget=budget)).fail(target.origin)

    assert (failure.code, budget.held_bytes) == ("responseInvalid", 0)


def test_bytes_are_let_go_when_the_user_of_an_answer_fails(start: Start) -> None:
    budget = ByteBudget(1 << 20)
    target = start(answering(answer(b"x" * 10_000)))

    with pytest.raises(LookupError), holding(HttpSender(budget=budget), target.origin):
        raise LookupError

    assert budget.held_bytes == 0


def test_bytes_count_as_they_arrive(start: Start) -> None:
    budget = ByteBudget(10_000)
    sender = HttpSender(budget=budget)

    def half(peer: Peer) -> None:
        peer.request()
        peer.send(answer(b"x" * 20_000)[:-5_000])
        peer.wait()

    target = start(half)
    caller = threading.Thread(
        target=Client(sender=sender, timeout_s=1.5).fail, args=(target.origin,)
    )
    caller.start()
    deadline = time.monotonic() + 1.2
    while not sender.spent() and time.monotonic() < deadline:
        time.sleep(0.01)

    was_spent = sender.spent()

    caller.join()
    assert (was_spent, budget.held_bytes) == (True, 0)


def test_running_exchange_pauses_until_bytes_are_free(start: Start) -> None:
    sender = HttpSender(budget=ByteBudget(50_000))
    target = start(answering(answer(b"x" * 60_000)))
    found: list[Answer] = []

    with holding(sender, target.origin):
        caller = threading.Thread(
            target=lambda: found.append(Client(sender=sender).send(target.origin))
        )
        caller.start()
        caller.join(0.7)
        while_held = list(found)
    caller.join(5)

    assert while_held == []
    assert [len(answer.body) for answer in found] == [60_000]
    assert found[0].elapsed_ms == pytest.approx(700, abs=300)


def test_pause_ends_at_the_deadline(start: Start) -> None:
    sender = HttpSender(budget=ByteBudget(50_000))
    target = start(answering(answer(b"x" * 60_000)))

    with holding(sender, target.origin):
        failure = Client(sender=sender, timeout_s=0.8).fail(target.origin)

    assert failure.code == "timedOut"
    assert failure.elapsed_s == pytest.approx(0.8, abs=0.5)
    assert "MAX_BUFFERED_BYTES" in failure.message


def test_answer_longer_than_the_budget_never_comes_in(start: Start) -> None:
    sender = HttpSender(budget=ByteBudget(50_000))
    target = start(answering(answer(b"x" * 500_000)))

    failure = Client(sender=sender, timeout_s=0.8).fail(target.origin)

    assert (failure.code, failure.effect) == ("timedOut", "answered")
    assert "MAX_BUFFERED_BYTES" in failure.message


def test_many_long_answers_at_once_all_end(start: Start) -> None:
    # Together they want eight times the budget, and each has begun before any has ended.
    budget = ByteBudget(1_000_000)
    sender = HttpSender(budget=budget)

    def in_two_parts(peer: Peer) -> None:
        peer.request()
        whole = answer(b"x" * 500_000)
        peer.send(whole[:200_000])
        time.sleep(0.3)
        peer.send(whole[200_000:])

    target = start(in_two_parts)
    most_held: list[int] = []
    bodies: list[int] = []

    def call() -> None:
        with holding(sender, target.origin) as found:
            most_held.append(budget.held_bytes)
            bodies.append(len(found.body))

    threads = [threading.Thread(target=call) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert bodies == [500_000] * 16
    assert max(most_held) < 2_500_000
    assert budget.held_bytes == 0


def test_silent_target_holds_up_nobody_who_shares_the_budget(start: Start) -> None:
    budget = ByteBudget(300_000)
    sender = HttpSender(budget=budget)

    def says_little(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n")
        peer.wait()

    def in_two_parts(peer: Peer) -> None:
        peer.request()
        whole = answer(b"x" * 200_000)
        peer.send(whole[:100_000])
        time.sleep(0.3)
        peer.send(whole[100_000:])

    silent, target = start(says_little), start(in_two_parts)
    first = threading.Thread(target=Client(sender=sender, timeout_s=3).fail, args=(silent.origin,))
    first.start()
    elapsed_ms: list[int] = []

    def call() -> None:
        elapsed_ms.append(Client(sender=sender).send(target.origin).elapsed_ms)

    others = [threading.Thread(target=call) for _ in range(6)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()

    assert len(elapsed_ms) == 6
    assert max(elapsed_ms) < 2000
    first.join()
