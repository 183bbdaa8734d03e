"""Whoever waits for the store or the queue has given his turn at the interpreter up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.aside import AsideMessages, AsideStore, aside
from invoke_core.ports import Entity, Put
from invoke_core.turns import Turns
from tests.turning import is_free

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.ports import EntityStore

PARTITION = "plan-1"
ROWS = ("a", "b", "c")

USES: dict[str, Callable[[EntityStore], object]] = {
    "get": lambda store: store.get(PARTITION, "b"),
    "read": lambda store: store.read(PARTITION, first="b", before="z", most=1),
    "row_keys": lambda store: store.row_keys(PARTITION, most=2),
    "scan": lambda store: store.scan(
        first_partition="plan-", before_partition="plan.", after=(PARTITION, "a"), most=1
    ),
    "check": lambda store: store.check(),
}


class Watched:
    """A store or queue that notes whether the turn is free while it works."""

    def __init__(self, inner: object, turns: Turns) -> None:
        self._inner = inner
        self._turns = turns
        self.seen: list[bool] = []

    def __getattr__(self, name: str) -> object:
        inner = getattr(self._inner, name)

        def use(*values: object, **named: object) -> object:
            self.seen.append(is_free(self._turns))
            return inner(*values, **named)

        return use


@pytest.mark.parametrize("use", USES)
def test_reading_is_the_store_s_own_and_done_without_a_turn(use: str, store: EntityStore) -> None:
    turns = Turns()
    watched = Watched(store, turns)
    aside = AsideStore(watched, turns)  # type: ignore[arg-type]  # it has what the store has
    store.write(PARTITION, [Put(row, row.encode()) for row in ROWS])

    with turns.taken():
        found = USES[use](aside)
        again = is_free(turns)

    assert found == USES[use](store)
    assert (watched.seen, again) == ([True], False)


def test_a_write_is_the_store_s_own_and_done_without_a_turn(store: EntityStore) -> None:
    turns = Turns()
    watched = Watched(store, turns)
    aside = AsideStore(watched, turns)  # type: ignore[arg-type]  # it has what the store has

    with turns.taken():
        etags = aside.write(PARTITION, [Put("a", b"1"), Put("b", b"2")])

    assert watched.seen == [True]
    assert [store.get(PARTITION, row) for row in "ab"] == [
        Entity("a", b"1", etags[0]),
        Entity("b", b"2", etags[1]),
    ]


def test_writes_in_order_are_done_without_a_turn(store: EntityStore) -> None:
    turns = Turns()
    watched = Watched(store, turns)
    aside_store = AsideStore(watched, turns)  # type: ignore[arg-type]  # it has what the store has

    with turns.taken():
        given = aside_store.write_in_order([("one", [Put("a", b"1")]), ("two", [Put("a", b"2")])])
        again = is_free(turns)

    assert all(watched.seen)
    assert watched.seen
    assert not again
    assert [store.get(partition, "a") for partition in ("one", "two")] == [
        Entity("a", b"1", given[0][0]),
        Entity("a", b"2", given[1][0]),
    ]


def test_a_message_is_left_without_a_turn() -> None:
    class Messages:
        def __init__(self) -> None:
            self.calls: list[object] = []

        def put(self, text: str, *, delay_s: int) -> None:
            self.calls.append((text, delay_s))

        def check(self) -> None:
            self.calls.append("check")

    turns = Turns()
    messages = Messages()
    watched = Watched(messages, turns)
    aside = AsideMessages(watched, turns)  # type: ignore[arg-type]  # it has what the queue has

    with turns.taken():
        aside.put("text", delay_s=7)
        aside.check()

    assert messages.calls == [("text", 7), "check"]
    assert watched.seen == [True, True]


def test_a_pause_is_made_without_a_turn() -> None:
    turns = Turns()
    seen: list[tuple[int, bool]] = []
    pause = aside(lambda attempt: seen.append((attempt, is_free(turns))), turns)

    with turns.taken():
        pause(3)
        again = is_free(turns)

    assert (seen, again) == ([(3, True)], False)
