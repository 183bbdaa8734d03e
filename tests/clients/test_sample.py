"""The public hand-written HTTP sample: its calls, in its order, in its letter case.

Source: agentless protocol, section 5.2.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.clients.conftest import CLOSING, as_json, event, plan_address, told
from tests.clients.shapes import check_log, check_record
from tests.clients.wire import Answer, ask, basic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.clients.conftest import Service


@pytest.mark.parametrize("separator", ["/", ""])
def test_the_hand_written_sample_runs_to_its_end(service: Service, separator: str) -> None:
    task = service.begin()
    plan = plan_address(task, separator=separator)
    records = f"{plan}/timelines/{task.timeline_id}/records"
    json_type = {"Content-Type": "application/json; charset=utf-8"}

    def send(
        method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] = json_type
    ) -> Answer:
        return ask(method, url, body, headers={**basic(task.token), **headers})

    started = event(task, "TaskStarted")
    send("POST", f"{plan}/events?api-version=2.0-preview.1", as_json(started)).is_taken()
    for line in ("Task Started", "täsk is running 1", "##vso[task.complete result=Failed]"):
        feed = f"{records}/{task.job_id}/feed?api-version=4.1"
        send("POST", feed, as_json({"value": [line], "count": 1})).is_taken()
    completed = as_json(event(task))
    send("POST", f"{plan}/events?api-version=2.0-preview.1", completed).is_taken()

    path = as_json({"path": f"logs\\{task.task_id}"})
    log = send("POST", f"{plan}/logs?api-version=4.1", path).document()
    check_log(log)
    assert (log["path"], log["lineCount"]) == (f"logs\\{task.task_id}", 0)
    text = "first line of the log\nanother one, längst nicht die letzte".encode()
    appended = send("POST", f"{plan}/logs/{log['id']}?api-version=4.1", text, {}).document()
    check_log(appended)
    assert appended == {**log, "lineCount": 2, "lastChangedOn": appended["lastChangedOn"]}

    attached = {"Id": task.task_id, "Log": json.dumps(appended)}
    patch = as_json({"value": [attached], "count": 1})
    [patched] = send("PATCH", f"{records}?api-version=4.1", patch).collection()
    check_record(patched)
    assert (patched["id"], patched["log"]["id"]) == (task.task_id, log["id"])

    stored = send("GET", f"{records}?api-version=4.1", headers={}).collection()
    for record in stored:
        check_record(record)
    assert [record["id"] for record in stored] == [task.job_id, task.task_id]
    own = stored[1]
    assert "variables" not in own
    with_variable = {**own, "variables": {"OutVar": {"value": "v\n1", "isSecret": False}}}
    patch = as_json({"value": [with_variable], "count": 1})
    [kept] = send("PATCH", f"{records}?api-version=4.1", patch).collection()
    check_record(kept)
    assert kept == {
        **own,
        "changeId": kept["changeId"],
        "lastModified": kept["lastModified"],
        "variables": {"OutVar": {"value": "v\n1"}},
    }

    assert service.succeeded(task)["outputs"] == {"OutVar": "v\n1"}
    assert told(service.log(task.plan_id)) == [
        *service.opening(),
        "TaskStarted",
        "Task Started",
        "täsk is running 1",
        "# #vso[task.complete result=Failed]",
        *CLOSING,
        "first line of the log",
        "another one, längst nicht die letzte",
    ]
