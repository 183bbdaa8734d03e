"""What is waited for without a turn at the interpreter (``turns``): store, queue and pauses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke_core.ports import write_in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke_core.ports import AlarmMessages, Change, Entity, EntityStore, Pause
    from invoke_core.turns import Turns


class AsideStore:
    """A store whose callers give their turn up while it works."""

    def __init__(self, store: EntityStore, turns: Turns) -> None:
        """Stand before a store."""
        self._store = store
        self._turns = turns

    def get(self, partition_key: str, row_key: str) -> Entity | None:
        """Return one row; see the port."""
        with self._turns.given_up():
            return self._store.get(partition_key, row_key)

    def read(
        self, partition_key: str, *, first: str, before: str, most: int | None = None
    ) -> list[Entity]:
        """Return the rows of a partition in a range of row keys; see the port."""
        with self._turns.given_up():
            return self._store.read(partition_key, first=first, before=before, most=most)

    def row_keys(self, partition_key: str, *, most: int) -> list[str]:
        """Return the first row keys of a partition; see the port."""
        with self._turns.given_up():
            return self._store.row_keys(partition_key, most=most)

    def scan(
        self,
        *,
        first_partition: str,
        before_partition: str,
        after: tuple[str, str] | None = None,
        most: int,
    ) -> list[tuple[str, Entity]]:
        """Return rows of neighbouring partitions; see the port."""
        with self._turns.given_up():
            return self._store.scan(
                first_partition=first_partition,
                before_partition=before_partition,
                after=after,
                most=most,
            )

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        """Apply changes to rows of one partition; see the port."""
        with self._turns.given_up():
            return self._store.write(partition_key, changes)

    def write_in_order(self, writes: Sequence[tuple[str, Sequence[Change]]]) -> list[list[str]]:
        """Apply several writes, one after the other; see the port."""
        with self._turns.given_up():
            return write_in_order(self._store, writes)

    def check(self) -> None:
        """See whether the store can be used; see the port."""
        with self._turns.given_up():
            self._store.check()


class AsideMessages:
    """A queue whose callers give their turn up while it works."""

    def __init__(self, messages: AlarmMessages, turns: Turns) -> None:
        """Stand before a queue."""
        self._messages = messages
        self._turns = turns

    def put(self, text: str, *, delay_s: int) -> None:
        """Leave a message; see the port."""
        with self._turns.given_up():
            self._messages.put(text, delay_s=delay_s)

    def check(self) -> None:
        """See that the queue can be used; see the port."""
        with self._turns.given_up():
            self._messages.check()


def aside(pause: Pause, turns: Turns) -> Pause:
    """Return a pause for whose time its caller gives his turn up."""

    def pause_aside(attempt: int) -> None:
        with turns.given_up():
            pause(attempt)

    return pause_aside
