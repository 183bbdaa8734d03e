"""When a callback comes: before the answer, after it, after any end, and from somebody else.

Source: HTTP contract, section 6.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests.api.target import Received, Reply
from tests.clients.conftest import CLOSING, as_json, event, plan_address, told, values_of
from tests.clients.wire import Answer, ask, basic

if TYPE_CHECKING:
    from examples.external_service import PipelineTask
    from tests.clients.conftest import Service

WAITS = {"inputs": {"waitForCompletion": "true"}}


def complete(task: PipelineTask, *, token: str = "", **more: object) -> Answer:
    """Complete a task as the external service does."""
    return ask(
        "POST",
        f"{plan_address(task, separator='/')}/events?api-version=2.0-preview.1",
        as_json(event(task, "TaskCompleted", **more)),
        headers=basic(token or task.token),
    )


@pytest.mark.parametrize("status", [200, 202, 500])
def test_a_task_may_be_completed_before_its_request_is_answered(
    service: Service, status: int
) -> None:
    tasks: list[PipelineTask] = []

    def reply(received: Received) -> Reply:
        tasks.append(values_of(received))
        complete(tasks[0]).is_taken()
        return Reply(b"{}", status)

    service.target.reply = reply

    answer = service.run(WAITS)

    [task] = tasks
    ended = service.succeeded(task)
    assert answer.status == 200
    assert json.loads(answer.body) == ended
    assert ended["response"]["status"] == status
    warnings = [issue["type"] for issue in ended["issues"]]
    assert warnings == (["warning"] if status == 500 else [])
    assert told(service.log(task.plan_id)) == [
        *service.opening()[:3],
        *CLOSING,
        f"Response Code: {status}",
        "Response: 2 bytes, application/json",
    ]
    complete(task).is_taken()


def test_a_failure_told_before_the_answer_fails_the_task(service: Service) -> None:
    def reply(received: Received) -> Reply:
        complete(values_of(received), result="failed").is_taken()
        return Reply(b"{}", 200)

    service.target.reply = reply

    answer = service.run(WAITS)

    invocation = json.loads(answer.body)
    assert (answer.status, invocation["result"]) == (424, "failed")
    assert invocation["reason"]["code"] == "callbackFailed"


def test_after_an_answer_that_failed_the_task_a_completion_is_refused(service: Service) -> None:
    service.target.reply = lambda _: Reply(b"{}", 500)
    answer = service.run(WAITS)
    task = values_of(service.target.received[0])

    refused = complete(task)

    assert answer.status == 424
    assert refused.message(409) == (
        "The task ended by the answer to its request, with the result 'failed'."
    )
    status, invocation = service.invocation(task.plan_id)
    assert (status, invocation["reason"]["code"]) == (424, "statusCode")


def test_after_the_deadline_a_completion_is_refused(service: Service) -> None:
    service.run({**WAITS, "timeoutInMinutes": 0.03})
    task = values_of(service.target.received[0])

    status, invocation = service.invocation(task.plan_id, Prefer="wait=10")
    refused = complete(task)

    assert (status, invocation["reason"]["code"]) == (424, "callbackTimedOut")
    assert refused.message(409) == "The task ended by its deadline, with the result 'failed'."
    assert service.invocation(task.plan_id)[1] == invocation


def test_after_a_cancel_a_completion_is_refused(service: Service) -> None:
    task = service.begin()
    canceled = service.cancel(task.plan_id)

    refused = complete(task, result="canceled")

    assert canceled.status == 200
    assert refused.message(409) == "The task ended by a cancel request, with the result 'canceled'."
    status, invocation = service.invocation(task.plan_id)
    assert (status, invocation["result"], invocation["reason"]["code"]) == (
        424,
        "canceled",
        "canceled",
    )
    assert told(service.log(task.plan_id))[-1] == "Finished: canceled"


def test_the_token_of_another_plan_opens_nothing(service: Service) -> None:
    task, other = service.begin(), service.begin()

    complete(task, token=other.token).is_challenge()

    assert [service.invocation(each.plan_id)[0] for each in (task, other)] == [202, 202]


def test_an_event_for_another_job_is_told_the_right_one(service: Service) -> None:
    task, other = service.begin(), service.begin()

    refused = complete(task, jobId=other.job_id)

    message = refused.message(400)
    assert f"'jobId' is {task.job_id} and 'taskId' is {task.task_id}" in message
    assert other.job_id not in message
    assert service.invocation(task.plan_id)[0] == 202


def test_a_plan_that_waits_for_no_callback_opens_to_nobody(service: Service) -> None:
    def challenge(received: Received) -> None:
        sent = dict(received.headers)
        assert "AuthToken" not in sent
        url = f"{sent['PlanUrl']}{sent['ProjectId']}/_apis/distributedtask/hubs/build/plans"
        for headers in ({}, basic(""), basic("A" * 43)):
            ask("POST", f"{url}/{sent['PlanId']}/events", b"{}", headers=headers).is_challenge()
            ask("GET", f"{url}/{sent['PlanId']}", headers=headers).is_challenge()

    def reply(received: Received) -> Reply:
        challenge(received)
        return Reply()

    service.target.reply = reply

    answer = service.run({}, **{"Idempotency-Key": uuid4().hex})

    assert (answer.status, json.loads(answer.body)["result"]) == (200, "succeeded")
    challenge(service.target.received[0])
