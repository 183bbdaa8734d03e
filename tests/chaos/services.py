"""External services: they upload, and complete what was asked of them, racing one another."""

from __future__ import annotations

import base64
import json
from queue import Empty
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING, Any
from uuid import UUID

from tests.chaos.clients import Answer, call
from tests.chaos.ledger import Added, Reported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.chaos.instances import Instance
    from tests.chaos.ledger import Ledger
    from tests.chaos.target import Target

SERVICES = 4
_MOST_TRIES = 8
_RESULTS = ("succeeded", "failed")


class Plan:
    """A plan as its external service reaches it, by what the request brought."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Keep what is needed to call back."""
        self.id = headers["PlanId"]
        self._headers = headers
        token = base64.b64encode(f":{headers['AuthToken']}".encode()).decode()
        self._authorization = {"Authorization": f"Basic {token}"}

    def call(self, port: int, method: str, tail: str, body: object = None) -> Answer:
        """Call an instance about the plan; text is sent as it is, all else as JSON."""
        path = f"/azdo/default/{self._headers['ProjectId']}/_apis/distributedtask/hubs/build/plans"
        sent = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return call(
            port,
            method,
            f"{path}/{self.id}/{tail}",
            body=None if body is None else sent,
            headers=self._authorization,
        )

    def timeline(self, tail: str) -> str:
        """Return a path below the plan's timeline."""
        return f"timelines/{self._headers['TimelineId']}/records{tail}"

    @property
    def task(self) -> str:
        """The id of the task's record."""
        return self._headers["TaskInstanceId"]

    def completed(self, result: str) -> dict[str, Any]:
        """Return the event that ends it."""
        ids = {"jobId": self._headers["JobId"], "taskId": self.task}
        return {"name": "TaskCompleted", "result": result, **ids}


class Services:
    """Threads that serve the requests which want a callback."""

    def __init__(
        self, ledger: Ledger, target: Target, instances: Sequence[Instance], seed: str
    ) -> None:
        """Begin; arguments as those of ``Callers``, and the target that is asked."""
        self.plans: dict[str, Plan] = {}
        self._ledger = ledger
        self._target = target
        self._instances = instances
        self._stopping = Event()
        self._threads = [
            Thread(target=self._serve, args=(Random(f"{seed} service {n}"),), daemon=True)
            for n in range(SERVICES)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each finish what it is at, and stop."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _serve(self, chance: Random) -> None:
        while not self._stopping.is_set():
            try:
                plan = Plan(self._target.callbacks.get(timeout=0.2))
            except Empty:
                continue
            self.plans[plan.id] = plan
            self._upload(plan, chance)
            # Some never report, and run out of time or are canceled.
            if chance.random() < 0.15:
                continue
            result = chance.choice(_RESULTS)
            other = Thread(
                target=self._complete,
                args=(plan, chance.choice(_RESULTS), Random(chance.random())),
                daemon=True,
            )
            if is_race := chance.random() < 0.4:
                other.start()
            self._complete(plan, result, chance)
            if is_race:
                other.join()

    def _upload(self, plan: Plan, chance: Random) -> None:
        for kind in ("line", "record", "page"):
            if chance.random() < 0.5:
                mark = f"{kind}-{chance.getrandbits(64):016x}"
                self._note(plan, kind, mark, self._uploaded(plan, kind, mark, chance))

    def _uploaded(self, plan: Plan, kind: str, mark: str, chance: Random) -> Answer:
        port = chance.choice(self._instances).port
        if kind == "line":
            return plan.call(port, "POST", plan.timeline(f"/{plan.task}/feed"), {"value": [mark]})
        if kind == "record":
            record = {"id": str(UUID(int=chance.getrandbits(128))), "name": mark, "type": "Task"}
            return plan.call(port, "PATCH", plan.timeline(""), {"value": [record]})
        created = plan.call(port, "POST", "logs", {"path": mark})
        if created.status != 200:
            return created
        return plan.call(port, "POST", f"logs/{created.document['id']}", f"{mark}\n")

    def _note(self, plan: Plan, kind: str, mark: str, answer: Answer) -> None:
        self._ledger.added.append(
            Added(
                plan=plan.id,
                kind=kind,
                mark=mark,
                status=answer.status,
                media_type=answer.media_type,
                retry_after=answer.retry_after,
                code=answer.problem_code,
            )
        )

    def _complete(self, plan: Plan, result: str, chance: Random) -> None:
        """Report a result, again and again until it is known what became of it."""
        for _ in range(_MOST_TRIES):
            port = chance.choice(self._instances).port
            answer = plan.call(port, "POST", "events", plan.completed(result))
            self._ledger.reported.append(
                Reported(
                    asked_at=answer.asked_at,
                    at=answer.at,
                    plan=plan.id,
                    result=result,
                    status=answer.status,
                    media_type=answer.media_type,
                    retry_after=answer.retry_after,
                    code=answer.problem_code,
                )
            )
            if answer.status in {204, 400, 401, 409}:
                return
            if self._stopping.wait(chance.uniform(0.1, 1.5)):
                return
