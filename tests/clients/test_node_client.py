"""Microsoft's own Node client (``azure-devops-node-api``), unchanged, against a server process."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from tests.azurite import node_packages
from tests.clients.conftest import CLOSING, told
from tests.clients.shapes import check_guid, check_log
from tests.process.conftest import ROOT, environment

if TYPE_CHECKING:
    from examples.external_service import PipelineTask
    from tests.clients.conftest import Service

IN_PROGRESS = 1


def run(what: str, task: PipelineTask, *, handler: str = "pat") -> dict[str, Any]:
    """Run the client."""
    node = shutil.which("node")
    assert node
    ended = subprocess.run(  # noqa: S603  # our own program
        [node, ROOT / "tests/clients/node_client.cjs", what, handler],
        env=environment(NODE_PATH=str(node_packages())),
        input=json.dumps(asdict(task)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    done: dict[str, Any] = json.loads(ended.stdout)
    return done


@pytest.mark.parametrize("handler", ["pat", "bearer"])
def test_the_node_client_runs_a_task_to_its_end(service: Service, handler: str) -> None:
    task = service.begin()

    done = run("run", task, handler=handler)

    check_guid(done["connected"]["instanceId"])
    assert done["agentUrl"] == task.plan_url
    assert (done["started"], done["completed"]) == (204, 204)
    check_log(done["log"])
    assert done["lines"] == [1, 3]
    job, own = done["records"]
    assert (job["id"], own["id"], own["parentId"]) == (task.job_id, task.task_id, task.job_id)
    assert done["isDate"] is True
    # The client reads enums back as its own numbers.
    assert (own["state"], own["result"], own["percentComplete"]) == (IN_PROGRESS, None, 50)
    [issue] = own["issues"]
    assert (issue["type"], issue["message"]) == (2, "mind the gap")
    assert own["log"] == {"id": 1, "location": None}
    assert own["variables"] == {
        "Size": {"value": "12"},
        "Key": {"value": None, "isSecret": True},
    }
    assert done["updated"] == [own]
    assert done["timeline"]["id"] == task.timeline_id
    assert [record["id"] for record in done["timeline"]["records"]] == [job["id"], own["id"]]
    assert done["text"] == ["first päge", "line " * 4000, "last"]
    assert done["part"] == ["line " * 4000]
    assert (done["plan"]["planId"], done["plan"]["state"]) == (task.plan_id, IN_PROGRESS)
    assert done["unknown"] is None
    assert done["refused"] == [
        409,
        "The task ended by an earlier TaskCompleted event, with the result 'succeeded'.",
    ]
    assert service.succeeded(task)["outputs"] == {"Size": "12"}
    assert told(service.log(task.plan_id)) == [
        *service.opening(),
        "TaskStarted",
        "fed by Node",
        "first päge",
        "line " * 4000,
        "last",
        *CLOSING,
    ]


@pytest.mark.parametrize("handler", ["pat", "bearer"])
def test_a_wrong_token_is_an_error_with_its_status_in_node(service: Service, handler: str) -> None:
    done = run("wrong", service.begin(), handler=handler)

    assert done["refused"] == [401, "Failed request: (401)"]
