"""Calls that stop before whatever they do to the world, so that a test decides what comes first.

A call runs in a thread of its own, and only one thread runs at a time: the others stand at a
point, before a reading, a write, a request, or a wait. So any order of two calls can be played,
and a process can die between any two of its lines.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, StrEnum, auto
from typing import TYPE_CHECKING

from tests.state.parts import DiedError

if TYPE_CHECKING:
    from collections.abc import Callable

_HANGS_S = 60.0


class Point(StrEnum):
    """What an actor is about to do."""

    READ = "read"
    WRITE = "write"
    SEND = "send"
    """To send a request."""
    EXCHANGE = "exchange"
    """To hear what came of the request it has sent."""
    WAIT = "wait"
    """To be woken, or to see that time has passed."""


class Order(Enum):
    """What becomes of what an actor is about to do."""

    GO = auto()
    LOSE = auto()
    """The store does not answer, and nothing took place."""
    LOSE_DONE = auto()
    """The store does not answer, though it took place."""
    DIE = auto()
    DIE_DONE = auto()
    """It takes place, and the process dies before it hears of it."""


_here = threading.local()


def current() -> Actor | None:
    """Return the actor whose thread this is; None for the test's own."""
    return getattr(_here, "actor", None)


def stop_at(point: Point) -> object:
    """Stop the actor whose thread this is, and return its order once it may go on."""
    actor = current()
    return Order.GO if actor is None else actor.stop_at(point)


@dataclass(eq=False)
class Actor:
    """One call to one process.

    Attributes:
        number: The process.
        work: The call.
        then: Is told once the call is over, unless its process died.
        plan_id: The plan it is about; empty where it makes one.
        point: Where it stands; None where it runs or is over.
        wrote: The moment of its last write to each plan.
        stood_still: How long it stood before accesses to the store.
        is_cut: Whether its process died, or an answer of the store to it was lost.
    """

    number: int
    work: Callable[[], object]
    then: Callable[[object], None]
    plan_id: str = ""
    point: Point | None = None
    is_over: bool = False
    is_cut: bool = False
    wrote: dict[str, int] = field(default_factory=dict)
    stood_still: timedelta = timedelta(0)
    _is_dead: bool = False
    _order: object = Order.GO
    _outcome: object = None
    _go: threading.Lock = field(default_factory=threading.Lock)
    _stopped: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Run until the first point."""
        self._go.acquire()
        self._stopped.acquire()
        threading.Thread(target=self._run, daemon=True).start()
        self._await()

    def go_on(self, order: object = Order.GO) -> None:
        """Run until the next point, or to the end."""
        assert not self.is_over
        self._order = order
        self.is_cut = self.is_cut or (isinstance(order, Order) and order is not Order.GO)
        self._go.release()
        self._await()

    def stop_at(self, point: Point) -> object:
        """Stop, and return the order once there is one."""
        if self._is_dead:
            raise DiedError
        self.point = point
        self._stopped.release()
        self._go.acquire()
        self.point = None
        self._is_dead = self._order in (Order.DIE, Order.DIE_DONE)
        if self._order is Order.DIE:
            raise DiedError
        return self._order

    def _await(self) -> None:
        assert self._stopped.acquire(timeout=_HANGS_S), "the call hangs"
        if self.is_over and not self._is_dead:
            self.then(self._outcome)

    def _run(self) -> None:
        _here.actor = self
        try:
            self._outcome = self.work()
        except BaseException as error:  # noqa: BLE001  # it is told to the test
            self._outcome = error
        self.is_over = True
        self._stopped.release()
