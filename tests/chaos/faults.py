"""Does harm at random moments, from a seeded generator."""

from __future__ import annotations

import signal
import time
from threading import Event, Thread
from typing import TYPE_CHECKING

from tests.chaos.doubled import STOPPED
from tests.chaos.ledger import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from tests.chaos.instances import Instance
    from tests.chaos.ledger import Ledger
    from tests.chaos.worlds import World

KILLED = "kill -9"
_LONG_RUN_S = 120
_LONGER_THAN_A_LEASE_S = 46.0


class Faults:
    """Begins faults until it is told to stop, each kind once before any comes again."""

    def __init__(
        self,
        ledger: Ledger,
        world: World,
        instances: Sequence[Instance],
        *,
        chance: Random,
        seconds: float,
    ) -> None:
        """Keep what may be harmed.

        Args:
            ledger: Where each fault is noted.
            world: The store.
            instances: The instances.
            chance: Decides what happens when, and for how long.
            seconds: How long the run is; a short one has short faults.
        """
        self._ledger = ledger
        self._world = world
        self._instances = instances
        self._chance = chance
        self._is_long = seconds >= _LONG_RUN_S
        self._scale = min(1.0, seconds / 40)
        self._stopping = Event()
        self._running: list[Thread] = []
        self._thread = Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Begin no more, and wait until all have ended."""
        self._stopping.set()
        self._thread.join()
        for thread in self._running:
            thread.join()

    def _go_on(self) -> None:
        waiting: list[str] = []
        longest_stop = int(self._is_long)
        while not self._stopping.wait(self._chance.uniform(0.5, 4.0) * self._scale):
            self._running = [one for one in self._running if one.is_alive()]
            if len(self._running) > 1:
                continue
            if not waiting:
                waiting = [KILLED, KILLED, STOPPED, *self._world.faults]
                self._chance.shuffle(waiting)
            kind = waiting.pop()
            seconds = self._chance.uniform(1.0, 8.0) * self._scale
            if kind == STOPPED:
                seconds = self._chance.uniform(1.0, 15.0) * self._scale
                # A few stand still for longer than their lease.
                if longest_stop and self._chance.random() < 0.25:
                    seconds = _LONGER_THAN_A_LEASE_S
            act = self._act(kind)
            thread = Thread(target=self._do, args=(kind, act, seconds), daemon=True)
            self._running.append(thread)
            thread.start()

    def _act(self, kind: str) -> Callable[[float], None]:
        instance = self._chance.choice(self._instances)
        if kind == KILLED:
            return lambda seconds: _kill(instance, seconds)
        if kind == STOPPED:
            return lambda seconds: _stand_still(instance, seconds)
        return self._world.faults[kind]

    def _do(self, kind: str, act: Callable[[float], None], seconds: float) -> None:
        begun_at = time.monotonic()
        act(seconds)
        ended_at = time.monotonic()
        self._ledger.faults.append(Fault(kind=kind, begun_at=begun_at, ended_at=ended_at))


def _kill(instance: Instance, seconds: float) -> None:
    instance.kill()
    time.sleep(min(1.0, seconds / 8))
    instance.start()


def _stand_still(instance: Instance, seconds: float) -> None:
    instance.send(signal.SIGSTOP)
    time.sleep(seconds)
    instance.send(signal.SIGCONT)
