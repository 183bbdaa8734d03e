"""The service as its users run it, on a store of its own, before a target on loopback."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.api.conftest import demo_connections
from tests.api.target import Target
from tests.contract.target import answer
from tests.process.conftest import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FUNCTION_KEY: Final = "contract-tests-key"
PASSWORD: Final = "contract/pässword"


@dataclass(frozen=True, slots=True)
class Plan:
    """What an external service was told of the plan it works for."""

    token: str
    job: str
    task: str


@dataclass(frozen=True, slots=True)
class Service:
    """A service that runs, and the target it calls."""

    url: str
    target: Target

    def plans(self) -> dict[str, Plan]:
        """Return what the target was told since the last time, by the ids of plans."""
        told: dict[str, Plan] = {}
        while self.target.received:
            request = self.target.received.pop(0)
            headers = {name.lower(): value for name, value in request.headers}
            if headers.get("authtoken"):
                told[headers["planid"]] = Plan(
                    headers["authtoken"], headers["jobid"], headers["taskinstanceid"]
                )
        return told


@contextmanager
def serving(folder: Path) -> Iterator[Service]:
    """Run the service until the context is left."""
    with Target() as target:
        target.reply = answer
        settings = {
            "SERVICE_CONNECTIONS": json.dumps(demo_connections(target.url)),
            "DEMO_PASSWORD": PASSWORD,
            "InvokeStorage": f"sqlite:///{folder}/invoke.db",
        }
        arguments = ["serve", "--port", "0", "--function-key", FUNCTION_KEY]
        with running("invoke_core", arguments, settings=settings, until="http://") as (_, lines):
            found = re.search(r"http://[0-9.:]+", "\n".join(lines))
            assert found is not None
            yield Service(found[0], target)
