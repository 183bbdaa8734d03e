"""Runs Microsoft's Python task client on a task, and prints what it returned as JSON.

A program of its own: the client keeps what it learns of a server in files, and reads where from
its environment when it is imported. The task comes as JSON on standard input; its one argument is
the API version of the client.

Source: agentless protocol, section 6.
"""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

from azure.devops._models import (  # type: ignore[import-untyped]  # it has no types
    VssJsonCollectionWrapper,
)
from azure.devops.connection import Connection  # type: ignore[import-untyped]  # likewise
from azure.devops.exceptions import (  # type: ignore[import-untyped]  # likewise
    AzureDevOpsAuthenticationError,
    AzureDevOpsServiceError,
)
from msrest.authentication import BasicAuthentication

if TYPE_CHECKING:
    from collections.abc import Callable

EVENTS = "557624af-b29e-4c20-8ab0-0399d2204f3f"
FEED = "858983e4-19bd-4c5e-864c-507b59b58b12"
PLANS = "5cecd946-d704-471e-a45f-3b4064fcfaba"


def run(task: dict[str, str], version: str) -> dict[str, Any]:
    """Do everything the client can do with a task."""
    connection = _connection(task, task["token"])
    client = _task_client(connection, version)
    plan = (task["project_id"], task["hub_name"], task["plan_id"])
    routes = {"scopeIdentifier": plan[0], "hubName": plan[1], "planId": plan[2]}
    timeline = task["timeline_id"]

    def send(method: str, location: str, content: object = None, **more: str) -> Any:  # noqa: ANN401  # the library's own
        return client._send(  # the client has no methods for these
            method, location, "7.1-preview.1", route_values={**routes, **more}, content=content
        )

    def event(name: str, **more: str) -> int:
        ids = {"jobId": task["job_id"], "taskId": task["task_id"]}
        status: int = send("POST", EVENTS, {"name": name, **ids, **more}).status_code
        return status

    def update(**members: object) -> Any:  # noqa: ANN401  # likewise
        records = VssJsonCollectionWrapper(count=1, value=[{"id": task["task_id"], **members}])
        return client.update_records(records, *plan, timeline)

    connection.authenticate()
    # A client with an area asks where that is, and has to be told: here.
    agent = connection.clients_v7_1.get_task_agent_client()
    done: dict[str, Any] = {"agent_url": agent.config.base_url, "started": event("TaskStarted")}
    lines = {"value": ["fed by Python"], "count": 1}
    feed = send("POST", FEED, lines, timelineId=timeline, recordId=task["job_id"])
    done["fed"] = feed.status_code
    log = client.create_log({"path": f"logs\\{task['task_id']}"}, *plan)
    done["log"] = log.serialize()
    pages = [b"\xef\xbb\xbffirst p\xc3\xa4ge\r\n", b"line " * 4000 + b"\nlast"]
    done["lines"] = [
        client.append_log_content(io.BytesIO(page), *plan, log.id).line_count for page in pages
    ]
    done["updated"] = _forms(update(state="inProgress", percentComplete=50, log={"id": log.id}))
    update(variables={"Size": {"value": "12"}, "Key": {"value": "hush-hush", "isSecret": True}})
    done["records"] = _forms(client.get_records(*plan, timeline))
    done["timeline"] = client.get_timeline(*plan, timeline, include_records=True).serialize()
    done["text"] = client.get_log(*plan, log.id)
    done["part"] = client.get_log(*plan, log.id, start_line=2, end_line=2)
    done["logs"] = _forms(client.get_logs(*plan))
    done["plan"] = send("GET", PLANS).json()
    done["completed"] = event("TaskCompleted", result="Succeeded")
    done["refused"] = _refusal(lambda: event("TaskCompleted", result="failed"))
    done["unknown"] = _refusal(lambda: client.get_log(*plan, 7))
    return done


def run_dropped(task: dict[str, str], version: str) -> dict[str, Any]:
    """Upload a log, and send an event in chunks, to a server that drops chunked bodies."""
    client = _task_client(_connection(task, task["token"]), version)
    plan = (task["project_id"], task["hub_name"], task["plan_id"])
    routes = {"scopeIdentifier": plan[0], "hubName": plan[1], "planId": plan[2]}
    log = client.create_log({"path": "logs\\1"}, *plan)
    page = io.BytesIO(b"one\ntwo\n")
    chunks = iter([b'{"name": "TaskCompleted"}'])
    return {
        "lines": client.append_log_content(page, *plan, log.id).line_count,
        "refused": _refusal(
            lambda: client._send("POST", EVENTS, "7.1", route_values=routes, content=chunks)
        ),
    }


def run_wrong(task: dict[str, str], version: str) -> dict[str, Any]:
    """Ask with a token of another plan."""
    client = _task_client(_connection(task, "A" * 43), version)
    plan = (task["project_id"], task["hub_name"], task["plan_id"])
    return {"refused": _refusal(lambda: client.get_records(*plan, task["timeline_id"]))}


def _connection(task: dict[str, str], token: str) -> Any:  # noqa: ANN401  # likewise
    return Connection(base_url=task["plan_url"], creds=BasicAuthentication("", token))


def _task_client(connection: Any, version: str) -> Any:  # noqa: ANN401  # likewise
    factory = {"7.1": connection.clients_v7_1, "7.0": connection.clients}[version]
    return factory.get_task_client()


def _forms(models: list[Any]) -> list[Any]:
    return [model.serialize() for model in models]


def _refusal(call: Callable[[], object]) -> list[str]:
    try:
        call()
    except (AzureDevOpsServiceError, AzureDevOpsAuthenticationError) as error:
        return [type(error).__name__, str(error)]
    return []


if __name__ == "__main__":
    what, api_version = sys.argv[1:]
    runs = {"run": run, "dropped": run_dropped, "wrong": run_wrong}
    json.dump(runs[what](json.load(sys.stdin), api_version), sys.stdout)
