"""One run over one store: load, faults, quiet, and the comparison."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from random import Random
from typing import TYPE_CHECKING, Final

from tests.api.conftest import demo_connections
from tests.azurite import free_port
from tests.chaos.faults import Faults
from tests.chaos.instances import Instance
from tests.chaos.ledger import Ledger
from tests.chaos.load import Callers
from tests.chaos.report import Report, compare
from tests.chaos.services import Services
from tests.chaos.settling import await_ends, read_all
from tests.chaos.target import Target
from tests.chaos.worlds import AzuriteWorld, SqliteWorld

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tests.chaos.worlds import World

EXCHANGE_S: Final = 2
CLOCKS_S: Final = (12.0, -12.0)
SETTLED_S: Final[Mapping[str, float]] = {"sqlite": 100.0, "azurite": 720.0}
"""After so long without a fault, nothing still waits for the end of somebody's lease.

A message of the queue that a killed host had received is hidden for ten minutes.
"""

_STARTED_S: Final = 60.0
_WORLDS: Final[Mapping[str, Callable[[Path, Sequence[Instance]], World]]] = {
    "sqlite": SqliteWorld,
    "azurite": AzuriteWorld,
}


def run(store: str, *, seconds: float, settle_s: float, seed: str, folder: Path) -> Report:
    """Run load and faults over a store, and compare what was told with what is stored.

    Args:
        store: sqlite or azurite.
        seconds: How long.
        settle_s: How long what goes on by itself is waited for at the end, at most.
        seed: Names the faults and what callers do; the moments differ from run to run.
        folder: An empty folder.
    """
    ledger = Ledger()
    seed_here = f"{seed} {store}"
    with ExitStack() as ended:
        target = ended.enter_context(Target(ledger))
        instances: list[Instance] = []
        world = _WORLDS[store](folder, instances)
        ended.callback(world.close)
        settings = {
            "SERVICE_CONNECTIONS": json.dumps(demo_connections(target.url)),
            "DEMO_PASSWORD": "some pass word",
            "InvokeStorage": world.setting,
            "STATE_KEY": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "API_RESPONSE_TIMEOUT_SECONDS": str(EXCHANGE_S),
        }

        def made(number: int, clock_s: float) -> Instance:
            one = Instance(number, free_port(), settings, clock_s=clock_s, folder=folder)
            ended.callback(one.kill)
            one.start()
            return one

        instances += [made(number, clock_s) for number, clock_s in enumerate(CLOCKS_S, 1)]
        for instance in instances:
            instance.await_health(_STARTED_S)
        callers = Callers(ledger, instances, seed_here)
        services = Services(ledger, target, instances, seed_here)
        faults = Faults(ledger, world, instances, chance=Random(seed_here), seconds=seconds)
        time.sleep(seconds)
        faults.stop()
        callers.stop()
        services.stop()
        for instance in instances:
            instance.kill()
        quiet_since = time.monotonic()
        fresh = made(3, 0.0)
        fresh.await_health(_STARTED_S)
        await_ends(fresh.port, ledger, longest_s=settle_s)
        is_settled = time.monotonic() - quiet_since >= SETTLED_S[store]
        kept = read_all(fresh.port, ledger, services.plans)
    hits = compare(ledger, kept, is_settled=is_settled)
    return Report(store=store, seconds=seconds, seed=seed, ledger=ledger, kept=kept, hits=hits)
