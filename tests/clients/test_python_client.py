"""Microsoft's own Python client (``azure-devops``), unchanged, against a server process."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.conftest import CLOSING, told
from tests.clients.shapes import check_location
from tests.process.conftest import ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path

    from examples.external_service import PipelineTask
    from tests.clients.conftest import Service


def run(what: str, task: PipelineTask, folder: Path, *, version: str = "7.1") -> dict[str, Any]:
    """Run the client; it keeps its files in a folder of the test."""
    ended = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-m", "tests.clients.python_client", what, version],
        cwd=ROOT,
        env=environment(AZURE_DEVOPS_CACHE_DIR=str(folder)),
        input=json.dumps(asdict(task)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    done: dict[str, Any] = json.loads(ended.stdout)
    return done


@pytest.mark.parametrize("version", ["7.1", "7.0"])
def test_the_python_client_runs_a_task_to_its_end(
    service: Service, cache_folder: Path, version: str
) -> None:
    task = service.begin()

    done = run("run", task, cache_folder, version=version)

    assert done["agent_url"] == task.plan_url.rstrip("/")
    assert (done["started"], done["fed"], done["completed"]) == (204, 204, 204)
    assert (done["log"]["id"], done["log"]["path"]) == (1, f"logs\\{task.task_id}")
    assert done["lines"] == [1, 3]
    [updated] = done["updated"]
    assert (updated["id"], updated["state"], updated["percentComplete"]) == (
        task.task_id,
        "inProgress",
        50,
    )
    assert updated["log"] == {"id": 1}
    job, own = done["records"]
    assert (job["id"], own["id"], own["parentId"]) == (task.job_id, task.task_id, task.job_id)
    assert own["variables"] == {"Size": {"value": "12"}, "Key": {"isSecret": True}}
    assert done["timeline"]["id"] == task.timeline_id
    assert done["timeline"]["records"] == done["records"]
    assert done["text"] == ["first päge", "line " * 4000, "last"]
    assert done["part"] == ["line " * 4000]
    assert [(log["id"], log["lineCount"]) for log in done["logs"]] == [(1, 3)]
    assert done["plan"]["planId"] == task.plan_id
    assert done["plan"]["scopeIdentifier"] == task.project_id
    assert done["refused"] == [
        "AzureDevOpsServiceError",
        "The task ended by an earlier TaskCompleted event, with the result 'succeeded'.",
    ]
    assert done["unknown"][0] == "AzureDevOpsServiceError"
    assert service.succeeded(task)["outputs"] == {"Size": "12"}
    assert told(service.log(task.plan_id)) == [
        *service.opening(),
        "TaskStarted",
        "fed by Python",
        "first päge",
        "line " * 4000,
        "last",
        *CLOSING,
    ]


def test_the_python_client_finds_the_locations_in_its_files_the_next_time(
    service: Service, cache_folder: Path
) -> None:
    task = service.begin()
    run("run", task, cache_folder)

    kept = json.loads((cache_folder / "options.json").read_text(encoding="utf-8"))
    assert [*kept] == [task.plan_url.rstrip("/")]
    for location in kept[task.plan_url.rstrip("/")]:
        check_location(location)
    again = run("run", service.begin(), cache_folder)
    assert again["completed"] == 204


def test_a_wrong_token_is_an_authentication_error_in_python(
    service: Service, cache_folder: Path
) -> None:
    kind, message = run("wrong", service.begin(), cache_folder)["refused"]

    assert kind == "AzureDevOpsAuthenticationError"
    assert "requires user authentication" in message
