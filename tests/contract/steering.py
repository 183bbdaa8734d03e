"""What makes generated calls reach further than the first refusal.

A text made up by chance is no connection and no token. Of the calls, most get real ones; the rest
stay as they were generated.
"""

from __future__ import annotations

from base64 import b64encode
from random import Random
from typing import TYPE_CHECKING, Any, Final

from tests.contract.service import FUNCTION_KEY, Plan
from tests.contract.target import PATHS

if TYPE_CHECKING:
    from schemathesis import Case

    from tests.contract.service import Service

_PREFERENCES: Final = (*("wait=0", "respond-async", "respond-async, wait=0", "") * 5, "wait=1")
_FRAMING: Final = frozenset({"connection", "content-length", "transfer-encoding", "upgrade"})
"""Headers of HTTP itself: a server answers what it cannot frame before any function is asked."""

_MODES: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"outputs": {"count": "$.count"}},
    {"gate": {"samplingInterval": 0.01, "timeout": 0.05}},
    {"poll": {"intervalSeconds": 0.1, "timeoutMinutes": 0.01}},
    {"retryCountOnTaskFailure": 1},
    {"continueOnError": True},
    {"condition": False},
)


class Steering:
    """Changes calls before they are sent."""

    def __init__(self, service: Service, seed: int) -> None:
        self._service = service
        self._chance = Random(seed)
        self._plans: dict[str, Plan] = {}

    def steer(self, case: Case[Any]) -> None:
        """Give a call what it needs to get further, or leave it as it is."""
        operation = case.operation.definition.raw.get("operationId")
        for name in [name for name in case.headers if name.lower() in _FRAMING]:
            del case.headers[name]
        if self._chance.random() < 0.05:
            return
        if not case.path.startswith("/azdo/"):
            case.headers["x-functions-key"] = FUNCTION_KEY
            if "Prefer" in case.headers or operation == "invocations_create":
                case.headers["Prefer"] = self._chance.choice(_PREFERENCES)
            if operation == "invocations_create" and self._chance.random() < 0.7:
                self._step(case)
        elif "planId" in case.path_parameters:
            self._plan(case, operation)

    def _step(self, case: Case[Any]) -> None:
        if self._chance.random() < 0.3:
            case.headers["Idempotency-Key"] = f"key-{self._chance.randrange(200)}"
        inputs: dict[str, Any] = {
            "serviceConnection": "demo",
            "method": self._chance.choice(["GET", "POST", "PUT", "HEAD", "DELETE"]),
            "urlSuffix": self._chance.choice(PATHS),
        }
        step: dict[str, Any] = {"inputs": inputs}
        if self._chance.random() < 0.3:
            inputs["waitForCompletion"] = True
        else:
            step |= self._chance.choice(_MODES)
            if self._chance.random() < 0.3:
                inputs["successCriteria"] = "eq(root['count'], '1425')"
        if self._chance.random() < 0.2 and isinstance(case.body, dict):
            # Of what was generated, something is left: mostly it is refused.
            step = {**case.body, **step}
        case.body = step
        case.media_type = "application/json"
        case.headers["Content-Type"] = "application/json"

    def _plan(self, case: Case[Any], operation: str) -> None:
        self._plans |= self._service.plans()
        plan_id = str(case.path_parameters["planId"])
        if plan_id not in self._plans and self._plans and self._chance.random() < 0.8:
            plan_id = self._chance.choice([*self._plans])
            case.path_parameters["planId"] = plan_id
        plan = self._plans.get(plan_id)
        if plan is None:
            return
        basic = b64encode(f":{plan.token}".encode()).decode()
        case.headers["Authorization"] = self._chance.choice(
            [f"Bearer {plan.token}", f"Basic {basic}"]
        )
        if operation == "events" and self._chance.random() < 0.8:
            case.body = {
                "name": self._chance.choice(["TaskAssigned", "TaskStarted", "TaskCompleted"]),
                "jobId": plan.job,
                "taskId": plan.task,
                "result": self._chance.choice(["succeeded", "failed"]),
            }
