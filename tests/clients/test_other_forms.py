"""Services of the Gates hub, services written for version 0 of the task, and chunked bodies.

Source: agentless protocol, sections 4, 5.3 and 7.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from examples.external_service import PipelineTask
from tests.clients import test_node_client as node
from tests.clients import test_python_client as python
from tests.clients.conftest import as_json, event, plan_address, told
from tests.clients.wire import ask, basic

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clients.conftest import Service

DROPPED = (
    "Warning: a page of this log arrived empty. It was sent in chunks, and Azure Functions drops "
    "chunked bodies; with a Content-Length it would have arrived."
)
VALUES = {
    "PlanId": "$(system.PlanId)",
    "JobId": "$(system.JobId)",
    "TimelineId": "$(system.TimelineId)",
    "ProjectId": "$(system.TeamProjectId)",
    "VstsUrl": "$(system.CollectionUri)",
    "TaskInstanceId": "$(system.TaskInstanceId)",
    "AuthToken": "$(system.AccessToken)",
}


@pytest.mark.parametrize("hub", ["Gates", "gates"])
def test_a_gate_names_its_task_in_the_place_of_the_job(service: Service, hub: str) -> None:
    task = service.begin()
    events = f"{plan_address(task, hub=hub, separator='/')}/events"
    completed = {"name": "TaskCompleted", "jobId": task.task_id, "result": "succeeded"}

    ask("POST", events, as_json(completed), headers=basic(task.token)).is_taken()

    service.succeeded(task)


def test_a_service_for_version_0_finds_the_values_in_the_body(service: Service) -> None:
    answer = service.run(
        {
            "inputs": {
                "waitForCompletion": "true",
                "headers": '{"Content-Type": "application/json"}',
                "body": json.dumps(VALUES),
            }
        }
    )
    assert (answer.status, json.loads(answer.body)["issues"]) == (202, [])
    [received] = service.target.received
    assert not {name for name, _ in received.headers} & {"AuthToken", "PlanUrl", "PlanId"}
    sent = json.loads(received.body)
    assert [*sent] == [*VALUES]
    task = PipelineTask(
        plan_url=sent["VstsUrl"],
        project_id=sent["ProjectId"],
        hub_name="release",
        plan_id=sent["PlanId"],
        job_id=sent["JobId"],
        timeline_id=sent["TimelineId"],
        task_id=sent["TaskInstanceId"],
        token=sent["AuthToken"],
    )

    task.start()
    task.say("from version 0")
    task.complete("succeeded")

    assert "from version 0" in service.log(task.plan_id)
    service.succeeded(task)


def test_a_chunked_event_is_taken_where_it_arrives(service: Service) -> None:
    task = service.begin()
    whole = as_json(event(task))

    answer = ask(
        "POST",
        f"{plan_address(task)}/events",
        iter([whole[:20], whole[20:]]),
        headers=basic(task.token),
    )

    answer.is_taken()
    service.succeeded(task)


def test_python_is_told_of_its_chunked_bodies_where_they_are_dropped(
    dropping: Service, cache_folder: Path
) -> None:
    task = dropping.begin()

    done = python.run("dropped", task, cache_folder)

    assert done["lines"] == 1
    kind, message = done["refused"]
    assert kind == "AzureDevOpsServiceError"
    assert "Send it with a Content-Length." in message
    assert told(dropping.log(task.plan_id)) == [*dropping.opening(), DROPPED]


def test_node_is_told_of_its_chunked_bodies_where_they_are_dropped(dropping: Service) -> None:
    task = dropping.begin()

    done = node.run("dropped", task)

    assert done["lines"] == 1
    status, message = done["refused"]
    assert status == 411
    assert "Send it with a Content-Length." in message
    assert told(dropping.log(task.plan_id)) == [*dropping.opening(), DROPPED]


def test_a_chunked_event_that_is_dropped_ends_nothing_and_may_be_sent_again(
    dropping: Service,
) -> None:
    task = dropping.begin()
    events, body = f"{plan_address(task, separator='/')}/events", as_json(event(task))

    dropped = ask("POST", events, iter([body]), headers=basic(task.token))
    status, invocation = dropping.invocation(task.plan_id)
    again = ask("POST", events, body, headers=basic(task.token))

    assert dropped.message(411).startswith("The body was sent in chunks and did not arrive")
    assert (status, invocation["state"]) == (202, "inProgress")
    again.is_taken()
    dropping.succeeded(task)
