"""Processes that die at a write, and what is there to be seen after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.state.parts import all_rows

if TYPE_CHECKING:
    from invoke_core.model import State
    from invoke_core.ports import EntityStore
    from tests.state.parts import Instance


@dataclass(frozen=True)
class Crash:
    """A process died at one of its writes.

    Attributes:
        at_write: Which, from 1.
        done: Whether the write took place.
    """

    at_write: int
    done: bool

    @property
    def writes(self) -> int:
        """How many writes took place."""
        return self.at_write if self.done else self.at_write - 1


def crashes(count: int) -> pytest.MarkDecorator:
    """Run a test for a death before and after each write of a path."""
    each = [Crash(n, done) for n in range(1, count + 1) for done in (False, True)]
    names = [f"{'after' if crash.done else 'before'}-{crash.at_write}" for crash in each]
    return pytest.mark.parametrize("crash", each, ids=names)


def plans(store: EntityStore) -> list[str]:
    """Return the ids of all invocations that are stored."""
    return [partition for partition, entity in all_rows(store) if entity.row_key == "a.plan"]


def listed(instance: Instance, state: State | None = None) -> list[tuple[str, str | None]]:
    page = instance.listing.page(state=state, after=None, most=50)
    assert page.after is None
    return [(item["id"], item["result"]) for item in page.items]


def indexes(store: EntityStore) -> list[str]:
    """Return which indexes have rows."""
    return [
        partition.partition("-")[0]
        for partition, _ in all_rows(store)
        if partition.startswith(("list-", "open-"))
    ]
