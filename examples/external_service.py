"""An external service: it takes work from a pipeline task and completes the task when it is done.

It is written for the agentless protocol of Azure Pipelines, and knows nothing of this project: the
addresses and the token come with each request. The demo API runs it at ``/work``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Thread
from typing import TYPE_CHECKING, Final

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

TRUSTED: Final = ("http://127.0.0.1:", "http://localhost:")
"""Where callbacks may go. A real service lists its pipelines' addresses here: whoever can reach it
could otherwise have it send requests anywhere."""

_TIMEOUT_S: Final = 10


@dataclass(frozen=True, kw_only=True)
class PipelineTask:
    """The task that waits, as its headers describe it."""

    plan_url: str
    project_id: str
    hub_name: str
    plan_id: str
    job_id: str
    timeline_id: str
    task_id: str
    token: str = field(repr=False)

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> PipelineTask:
        """Read the correlation headers of a request.

        Raises:
            KeyError: One of them is missing.
            ValueError: The callback would go where this service does not call.
        """
        if not headers["PlanUrl"].startswith(TRUSTED):
            raise ValueError("PlanUrl is none of the pipelines this service works for.")
        return cls(
            plan_url=headers["PlanUrl"],
            project_id=headers["ProjectId"],
            hub_name=headers["HubName"],
            plan_id=headers["PlanId"],
            job_id=headers["JobId"],
            timeline_id=headers["TimelineId"],
            task_id=headers["TaskInstanceId"],
            token=headers["AuthToken"],
        )

    def start(self) -> None:
        """Tell that the work has begun."""
        self._event("TaskStarted")

    def say(self, *lines: str) -> None:
        """Show lines in the task's live log."""
        self._call(
            "POST",
            f"timelines/{self.timeline_id}/records/{self.job_id}/feed",
            json={"value": lines, "count": len(lines)},
        )

    def set_variable(self, name: str, value: str) -> None:
        """Hand a value to the pipeline."""
        record = {"id": self.task_id, "variables": {name: {"value": value}}}
        self._call(
            "PATCH",
            f"timelines/{self.timeline_id}/records",
            json={"value": [record], "count": 1},
        )

    def attach_log(self, text: str) -> None:
        """Upload a log and attach it to the task."""
        log = self._call("POST", "logs", json={"path": f"logs\\{self.task_id}"}).json()
        self._call("POST", f"logs/{log['id']}", data=text.encode())
        record = {"id": self.task_id, "log": {"id": log["id"]}}
        self._call(
            "PATCH",
            f"timelines/{self.timeline_id}/records",
            json={"value": [record], "count": 1},
        )

    def complete(self, result: str) -> None:
        """End the task: ``succeeded`` or ``failed``."""
        self._event("TaskCompleted", result=result)

    def _event(self, name: str, **more: str) -> None:
        event = {"name": name, "jobId": self.job_id, "taskId": self.task_id, **more}
        self._call("POST", "events", json=event)

    def _call(
        self, method: str, path: str, *, json: object = None, data: bytes | None = None
    ) -> requests.Response:
        answer = requests.request(
            method,
            f"{self.plan_url}{self.project_id}/_apis/distributedtask"
            f"/hubs/{self.hub_name}/plans/{self.plan_id}/{path}",
            params={"api-version": "7.1"},
            auth=("", self.token),
            json=json,
            data=data,
            timeout=_TIMEOUT_S,
        )
        answer.raise_for_status()
        return answer


def take(headers: Mapping[str, str], *, seconds: float) -> None:
    """Take work and return at once; the work goes on and completes the task in the end.

    Args:
        headers: The headers of the request, correlation included.
        seconds: How long the work takes.
    """
    task = PipelineTask.of(headers)
    Thread(target=_work, args=(task, seconds), daemon=True).start()


def _work(task: PipelineTask, seconds: float) -> None:
    task.start()
    task.say("Deploying ...")
    time.sleep(seconds)
    task.say("Deployed.")
    task.set_variable("deployedVersion", "1.4.2")
    task.attach_log("deployment 17: all 3 hosts answered\n")
    task.complete("succeeded")
