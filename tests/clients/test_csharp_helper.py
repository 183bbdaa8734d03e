"""The C# helper library's calls, in its order and with its headers; it is imitated, not run.

Source: agentless protocol, sections 2, 3.4, 4.5 and 5.1.
"""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.clients.conftest import CLOSING, as_json, event, plan_address, told
from tests.clients.shapes import check_guid, check_location, check_log, check_plan, check_record
from tests.clients.wire import Answer, answer_of, ask_on, basic

if TYPE_CHECKING:
    from examples.external_service import PipelineTask
    from tests.clients.conftest import Service

ZEROS = "00000000-0000-0000-0000-000000000000"
NEVER = "0001-01-01T00:00:00"
GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
UNSET = dict.fromkeys(
    (
        *("parentId", "type", "name", "startTime", "finishTime", "currentOperation"),
        *("percentComplete", "state", "result", "resultCode", "workerName", "refName", "log"),
        *("details", "errorCount", "warningCount", "location", "identifier", "queueId"),
    ),
    None,
)
"""The members that .NET writes as null where nobody set them."""


class DotNet:
    """Sends as the .NET client does: without the token first, and with it when challenged."""

    def __init__(self, task: PipelineTask) -> None:
        self.task = task
        self.base = task.plan_url
        self.plan = plan_address(task)
        self.records = f"{self.plan}/timelines/{task.timeline_id}/records"
        self._connection = HTTPConnection(urlsplit(task.plan_url).netloc, timeout=20)

    def close(self) -> None:
        self._connection.close()

    def anonymous(self, method: str, url: str, *, version: str = "") -> Answer:
        """Ask what needs no token."""
        return self._send(method, url, None, self._headers(version))

    def call(
        self, method: str, url: str, body: object = None, *, version: str = "5.1-preview.1"
    ) -> Answer:
        """Ask on one connection, twice: the token is sent once it was asked for."""
        data = body if isinstance(body, bytes) or body is None else as_json(body)
        headers = self._headers(version)
        if isinstance(body, bytes):
            headers["Content-Type"] = "application/octet-stream"
        elif body is not None:
            headers["Content-Type"] = f"application/json; charset=utf-8; api-version={version}"
        self._send(method, url, data, headers).is_challenge()
        return self._send(method, url, data, {**headers, **basic(self.task.token)})

    def event(self, name: str = "TaskCompleted", **more: object) -> Answer:
        body = event(self.task, name, **more)
        return self.call("POST", f"{self.plan}/events", body, version="2.0-preview.1")

    def patch(self, record: dict[str, Any]) -> dict[str, Any]:
        """Change a record of which only some members are set."""
        whole = {**UNSET, "changeId": 0, "lastModified": NEVER, "attempt": 0, **record}
        [stored] = self.call(
            "PATCH", self.records, {"count": 1, "value": [whole]}, version="5.1-preview.1"
        ).collection()
        check_record(stored)
        assert isinstance(stored, dict)
        return stored

    def flush(self, *lines: str) -> int:
        """Upload lines as a log of their own and let the record point to it; return its number."""
        new = {
            "id": 0,
            "location": None,
            "indexLocation": None,
            "path": f"logs\\{self.task.task_id}",
            "lineCount": 0,
            "createdOn": NEVER,
            "lastChangedOn": NEVER,
        }
        log = self.call("POST", f"{self.plan}/logs", new).document()
        check_log(log)
        page = "\ufeff" + "".join(f"{line}\r\n" for line in lines)
        grown = self.call("POST", f"{self.plan}/logs/{log['id']}", page.encode()).document()
        check_log(grown)
        assert (grown["id"], grown["lineCount"]) == (log["id"], len(lines))
        stored = self.patch(
            {"id": self.task.task_id, "log": {"id": grown["id"], "location": grown["location"]}}
        )
        assert stored["log"] == {"id": log["id"], "location": None}
        number: int = log["id"]
        return number

    def _headers(self, version: str) -> dict[str, str]:
        accept = f"application/json; api-version={version}" if version else "application/json"
        return {
            "Accept": accept,
            "User-Agent": "VSServices/16.170.30907.2 (NetStandard; Linux 6.1)",
            "Accept-Language": "en-GB",
            "X-TFS-FedAuthRedirect": "Suppress",
            "X-TFS-Session": "0d3b7e2c-9f61-4d0a-8a55-0a7f5f6f2a11",
            "X-VSS-E2EID": "5b1c7d9e-1234-4d0a-8a55-0a7f5f6f2a11",
            "X-VSS-ForceMsaPassThrough": "true",
            "X-VSS-UserData": "",
        }

    def _send(self, method: str, url: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        target = url.partition(self._connection.host + f":{self._connection.port}")[2]
        if data is None:
            return ask_on(self._connection, method, target, headers=headers)
        # The body is held back until the server asks for it.
        self._connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self._connection.putheader(name, value)
        self._connection.putheader("Expect", "100-continue")
        self._connection.endheaders()
        came = b""
        while len(came) < len(GO_ON):
            came += self._connection.sock.recv(len(GO_ON) - len(came))
        assert came == GO_ON
        self._connection.send(data)
        return answer_of(self._connection)


def handshake(client: DotNet) -> None:
    """Find the endpoints, before the token is sent for the first time."""
    query = "connectOptions=1&lastChangeId=-1&lastChangeId64=-1"
    address = f"{client.base}_apis/connectionData?{query}"
    seen = [client.anonymous("GET", address, version="1.0").document() for _ in range(2)]
    assert seen[0] == seen[1]
    data = seen[0]
    check_guid(data["instanceId"])
    check_guid(data["deploymentId"])
    check_guid(data["authenticatedUser"]["id"])
    services = data["locationServiceData"]
    assert services["serviceOwner"] == ZEROS
    mappings = {each["moniker"]: each for each in services["accessMappings"]}
    assert mappings[services["defaultAccessMappingMoniker"]]["accessPoint"] == client.base
    assert isinstance(services["lastChangeId"], int)
    assert services["clientCacheFresh"] is False
    assert services["serviceDefinitions"] == []
    locations = client.anonymous("OPTIONS", f"{client.base}_apis/").collection()
    for location in locations:
        check_location(location)
    needed = {"events", "plans", "timelines", "records", "feed", "logs"}
    assert needed <= {each["resourceName"] for each in locations}


def start(client: DotNet) -> None:
    """Do what the helper does before it calls its user's code."""
    task = client.task
    own = {
        "id": task.task_id,
        "type": "task",
        "startTime": "2026-11-24T12:00:00.1234567Z",
        "parentId": task.job_id,
    }
    stored = client.patch(own)
    assert (stored["type"], stored["parentId"]) == ("task", task.job_id)
    assert client.flush("Task started") == 1
    client.event("TaskStarted").is_taken()
    stored = {record["id"]: record for record in client.call("GET", client.records).collection()}
    for record in stored.values():
        check_record(record)
        assert "variables" not in record
    moved = client.patch({**stored[task.task_id], "state": "inProgress"})
    assert moved == {
        **stored[task.task_id],
        "state": "inProgress",
        **{name: moved[name] for name in ("changeId", "lastModified")},
    }


def test_the_helper_runs_a_task_to_its_end(service: Service) -> None:
    task = service.begin()
    with closing(DotNet(task)) as client:
        handshake(client)
        start(client)
        assert client.flush("working", "wörking") == 2
        [own] = [
            record
            for record in client.call("GET", client.records).collection()
            if record["id"] == task.task_id
        ]
        set_variable = client.patch({**own, "variables": {"Out": {"value": "1"}}})
        assert set_variable["variables"] == {"Out": {"value": "1"}}
        assert client.flush("Task completed") == 3
        client.event().is_taken()
        assert client.flush("left over") == 4
        logs = client.call("GET", f"{client.plan}/logs").collection()

    for log in logs:
        check_log(log)
    assert {log["path"] for log in logs} == {f"logs\\{task.task_id}"}
    assert service.succeeded(task)["outputs"] == {"Out": "1"}
    assert told(service.log(task.plan_id)) == [
        *service.opening(),
        "Task started",
        "TaskStarted",
        *("working", "wörking", "Task completed"),
        *CLOSING,
        "left over",
    ]


def test_the_helper_completes_again_after_its_last_log_failed(service: Service) -> None:
    task = service.begin()
    with closing(DotNet(task)) as client:
        start(client)
        client.event().is_taken()
        missing = client.call("POST", f"{client.plan}/logs/99", b"left over\r\n")
        assert missing.message(404)
        client.event().is_taken()
        refused = client.event(result="failed").message(409)
        [own] = [
            record
            for record in client.call("GET", client.records).collection()
            if record["id"] == task.task_id
        ]

    assert "'succeeded'" in refused
    assert (own["state"], own["result"]) == ("completed", "succeeded")
    service.succeeded(task)
    assert told(service.log(task.plan_id))[-2:] == [*CLOSING]


@pytest.mark.parametrize("result", ["failed", "canceled"])
def test_the_helper_tells_of_an_exception_and_of_a_cancel(service: Service, result: str) -> None:
    task = service.begin()
    with closing(DotNet(task)) as client:
        start(client)
        client.event(result=result).is_taken()
        late = client.patch({"id": task.task_id, "state": "inProgress"})

    assert (late["state"], late["result"]) == ("completed", result)
    status, invocation = service.invocation(task.plan_id)
    assert (status, invocation["result"]) == (424, result)
    assert invocation["reason"]["code"] == "callbackFailed"
    assert told(service.log(task.plan_id))[-1] == f"Finished: {result}"


@pytest.mark.parametrize("hub", ["Gates", "gates", "GATES"])
def test_the_helper_of_the_gates_hub_reads_the_plan_and_sends_both_ids(
    service: Service, hub: str
) -> None:
    task = service.begin()
    with closing(DotNet(task)) as client:
        client.plan = plan_address(task, hub=hub)
        plan = client.call("GET", client.plan).document()
        check_plan(plan)
        assert plan["version"] > 12
        client.event().is_taken()
        ended = client.call("GET", client.plan).document()

    assert (plan["planId"], plan["state"], ended["state"]) == (
        task.plan_id,
        "inProgress",
        "completed",
    )
    service.succeeded(task)
