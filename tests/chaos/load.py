"""Callers: they create, repeat, read, hold and cancel, and write down what they are told."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from itertools import count
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from tests.chaos.clients import Answer, call, told
from tests.chaos.ledger import Item
from tests.chaos.target import BEHAVIOUR, ITEM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.chaos.instances import Instance
    from tests.chaos.ledger import Ledger

CREATORS = 5
READERS = 2
_MOST_REPEATS = 6
_TARGETS_FAULTS = ("reset", "close", "hang", "drip", "broken")
_KINDS = ("plain",) * 4 + ("callback",) * 5 + ("background",) * 3 + ("retries",) * 3
_ALL_KINDS = (*_KINDS, "gate", "poll")


@dataclass(frozen=True)
class Task:
    """A task, and how it is sent."""

    item: Item
    step: dict[str, Any]
    prefer: str


class Callers:
    """Threads that call until they are told to stop."""

    def __init__(self, ledger: Ledger, instances: Sequence[Instance], seed: str) -> None:
        """Begin.

        Args:
            ledger: Where everything is noted.
            instances: Who is called, whichever.
            seed: Names what they do.
        """
        self._ledger = ledger
        self._instances = instances
        self._stopping = Event()
        self._numbers = count()
        self._known: deque[str] = deque(maxlen=300)
        works = [self._create] * CREATORS + [self._read] * READERS
        self._threads = [
            Thread(target=self._repeat, args=(work, Random(f"{seed} caller {n}")), daemon=True)
            for n, work in enumerate(works)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each finish its call, and stop."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, work: Callable[[Random], None], chance: Random) -> None:
        while not self._stopping.wait(chance.uniform(0, 0.15)):
            work(chance)

    def _create(self, chance: Random) -> None:
        task = make_task(f"item-{next(self._numbers)}", chance)
        self._ledger.items[task.item.name] = task.item
        if not task.item.has_key:
            self._send(task, chance)
            return
        # Two at once through any instances, and repeats until there is an answer, and once more.
        other = Thread(target=self._send, args=(task, Random(chance.random())), daemon=True)
        if is_doubled := chance.random() < 0.3:
            other.start()
        for _ in range(_MOST_REPEATS):
            answer = self._send(task, chance)
            if answer.status in {200, 202, 424} and chance.random() < 0.6:
                break
            if self._stopping.wait(chance.uniform(0, 0.5)):
                break
        if is_doubled:
            other.join()

    def _send(self, task: Task, chance: Random) -> Answer:
        instance = chance.choice(self._instances)
        trace = f"{chance.getrandbits(128) | 1:032x}"
        headers = {"traceparent": f"00-{trace}-{'1' * 16}-01"}
        if task.prefer:
            headers["Prefer"] = task.prefer
        if task.item.has_key:
            headers["Idempotency-Key"] = task.item.name
        body = json.dumps(task.step).encode()
        answer = call(instance.port, "POST", "/api/invocations", body=body, headers=headers)
        found = told(answer, how="create", server=instance.number, item=task.item.name, trace=trace)
        self._ledger.told.append(found)
        if found.plan:
            self._known.append(found.plan)
        return answer

    def _read(self, chance: Random) -> None:
        if not self._known:
            return
        plan = chance.choice(tuple(self._known))
        instance = chance.choice(self._instances)
        path = f"/api/invocations/{plan}"
        how, method, headers = "read", "GET", {}
        share = chance.random()
        if share < 0.12:
            how, method, path = "cancel", "POST", f"{path}/cancel"
        elif share < 0.4:
            how, headers = "hold", {"Prefer": f"wait={chance.randint(1, 4)}"}
        elif share < 0.5:
            how, path = "log", f"{path}/log"
        answer = call(instance.port, method, path, headers=headers)
        self._ledger.told.append(told(answer, how=how, server=instance.number, plan=plan))


def make_task(name: str, chance: Random) -> Task:
    """Make up a task.

    Args:
        name: Its name, which its requests carry.
        chance: Decides what it is.
    """
    kind = chance.choice(_ALL_KINDS)
    method = chance.choice(("GET", "POST", "POST", "PUT"))
    behaviours = [chance.choice(_TARGETS_FAULTS) if chance.random() < 0.25 else "ok"]
    step: dict[str, Any] = {"timeoutInMinutes": 20}
    retries, prefer = 0, ""
    match kind:
        case "callback":
            method = "POST"
            # Some run out of time.
            step["timeoutInMinutes"] = chance.choice((0.2, 0.5, 20))
            prefer = chance.choice(("", "", "wait=3", "respond-async"))
        case "background":
            prefer = chance.choice(("respond-async", "respond-async, wait=2"))
        case "retries":
            retries = step["retryCountOnTaskFailure"] = chance.randint(1, 3)
            behaviours = [chance.choice(_TARGETS_FAULTS) for _ in range(retries)] + ["ok"]
            prefer = chance.choice(("", "wait=0", "wait=1"))
        case "gate":
            step["gate"] = {"samplingInterval": 2 / 60, "timeout": 5}
            behaviours = ["notReady", "broken", "ok"]
            prefer = "wait=0"
        case "poll":
            method, behaviours = "POST", ["accepted"]
            step["poll"] = {"intervalSeconds": 1, "timeoutMinutes": 5}
            prefer = "wait=0"
    headers = {ITEM: name, "PlanId": "$(system.PlanId)", BEHAVIOUR: ",".join(behaviours)}
    inputs: dict[str, Any] = {"serviceConnection": "demo", "method": method, "headers": headers}
    if kind == "callback":
        inputs["waitForCompletion"] = True
        headers |= {
            "ProjectId": "$(system.TeamProjectId)",
            "JobId": "$(system.JobId)",
            "TimelineId": "$(system.TimelineId)",
            "TaskInstanceId": "$(system.TaskInstanceId)",
            "AuthToken": "$(system.AccessToken)",
        }
    if kind == "gate":
        inputs["successCriteria"] = "eq(root['ready'], true)"
    has_key = chance.random() < 0.5
    item = Item(name=name, kind=kind, method=method, has_key=has_key, retries=retries)
    return Task(item, {"inputs": inputs, **step}, prefer)
