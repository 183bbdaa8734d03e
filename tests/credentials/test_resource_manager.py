"""Long operations of Azure Resource Manager, waited for with ``"poll": {}`` alone.

The conversations follow the documentation of Azure Resource Manager ("Track asynchronous Azure
operations", "Deployments - Create Or Update"); ``Retry-After`` is shortened.

Source: HTTP contract, section 3 ("Poll").
"""

from __future__ import annotations

import json
from itertools import pairwise
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import make_client
from tests.api.target import Reply
from tests.credentials.conftest import CLIENT_SECRET, authorizations
from tests.credentials.test_entra import own_cloud

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.api.conftest import Answered
    from tests.api.target import Received, Target
    from tests.credentials.conftest import Trusted

GROUP = "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourcegroups/demo"
DEPLOYMENT = f"{GROUP}/providers/Microsoft.Resources/deployments/site?api-version=2021-04-01"
OPERATION = (
    f"{GROUP}/providers/Microsoft.Resources/deployments/site/operationStatuses"
    "/08584706392432519364?api-version=2021-04-01"
)
RESULT = (
    "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/operationresults"
    "/eyJqb2JJZCI6IlJFU09VUkNFR1JPVVBERUxFVElPTkpPQiJ9?api-version=2021-04-01"
)
JSON = {"Content-Type": "application/json; charset=utf-8"}


def said(document: object, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(json.dumps(document).encode(), status, {**JSON, **named})


def nothing(status: int, **headers: str) -> Reply:
    return Reply(b"", status, {name.replace("_", "-"): value for name, value in headers.items()})


def deployment(state: str) -> dict[str, object]:
    return {
        "id": DEPLOYMENT.partition("?")[0],
        "name": "site",
        "type": "Microsoft.Resources/deployments",
        "properties": {
            "templateHash": "4048440303347016163",
            "parameters": {},
            "mode": "Incremental",
            "provisioningState": state,
            "timestamp": "2026-05-04T10:00:00.0000000Z",
            "duration": "PT0.5S",
            "correlationId": "cf6e0a4b-9c50-4a8b-a3d3-6d7f2d3b4c5e",
        },
    }


class Conversation:
    """Answers one after the other, as they were recorded."""

    def __init__(self, api: Target, replies: Sequence[Reply]) -> None:
        self._replies = iter(replies)
        self.at: list[float] = []
        api.reply = self._reply

    def _reply(self, _: Received) -> Reply:
        self.at.append(monotonic())
        return next(self._replies)


def run(
    root: Path,
    api: Target,
    entra: Trusted,
    *,
    method: str,
    suffix: str,
    poll: object = None,
    **step: object,
) -> Answered:
    client = make_client(root, {"arm": own_cloud(api.url, entra)}, CLIENT_SECRET=CLIENT_SECRET)
    inputs = {
        "connectionType": "connectedServiceNameARM",
        "azureServiceConnection": "arm",
        "method": method,
        "urlSuffix": suffix,
        "headers": {"Content-Type": "application/json"},
        "body": '{"properties": {"mode": "Incremental"}}',
    }
    return client.post({"inputs": inputs, "poll": {} if poll is None else poll, **step})


def asked(api: Target) -> list[tuple[str, str]]:
    return [(request.method, request.path) for request in api.received]


def test_a_deployment_is_created_and_waited_for(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    operation = f"{api.url}{OPERATION}"
    conversation = Conversation(
        api,
        [
            said(deployment("Accepted"), 201, Azure_AsyncOperation=operation, Retry_After="0"),
            said({"status": "Accepted"}, Retry_After="1"),
            said({"status": "Running"}, Retry_After="1"),
            said({"status": "Succeeded"}),
        ],
    )

    answered = run(
        tmp_path, api, entra, method="PUT", suffix=DEPLOYMENT, outputs={"status": "$.status"}
    )

    assert (answered.status, answered.json["result"]) == (200, "succeeded"), answered.json
    assert asked(api) == [("PUT", DEPLOYMENT)] + [("GET", OPERATION)] * 3
    assert [later - earlier >= 1 for earlier, later in pairwise(conversation.at)][1:] == [True] * 2
    assert set(authorizations(api)) == {f"Bearer {entra.issuer.issued[0]}"}
    assert answered.json["response"]["body"] == {"status": "Succeeded"}
    assert answered.json["outputs"] == {"status": "Succeeded"}


def test_a_deployment_that_fails_fails_the_task_and_says_why(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    error = {
        "code": "DeploymentFailed",
        "message": "At least one resource deployment operation failed. Please list deployment "
        "operations for details.",
        "details": [
            {
                "code": "Conflict",
                "message": '{"error": {"code": "StorageAccountAlreadyTaken", "message": "…"}}',
            }
        ],
    }
    Conversation(
        api,
        [
            said(
                deployment("Accepted"),
                201,
                Azure_AsyncOperation=f"{api.url}{OPERATION}",
                Retry_After="0",
            ),
            said({"status": "Running"}, Retry_After="0"),
            said({"status": "Failed", "error": error}),
        ],
    )

    answered = run(tmp_path, api, entra, method="PUT", suffix=DEPLOYMENT)

    assert (answered.status, answered.json["result"]) == (424, "failed")
    reason = answered.json["reason"]
    assert (reason["code"], reason["effect"]) == ("pollFailed", "answered")
    assert "'Failed'" in reason["message"]
    assert (
        "DeploymentFailed: At least one resource deployment operation failed."
        in (reason["message"])
    )
    assert answered.json["response"]["body"]["error"] == error
    assert len(api.received) == 3


def test_what_is_accepted_with_a_location_is_waited_for(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    location = f"{api.url}{RESULT}"
    conversation = Conversation(
        api,
        [
            nothing(202, Location=location, Retry_After="1"),
            nothing(202, Location=location, Retry_After="1"),
            said({"template": {"resources": []}}),
        ],
    )
    suffix = f"{GROUP}/exportTemplate?api-version=2021-04-01"

    answered = run(
        tmp_path, api, entra, method="POST", suffix=suffix, outputs={"template": "$.template"}
    )

    assert (answered.status, answered.json["result"]) == (200, "succeeded")
    assert asked(api) == [("POST", suffix), ("GET", RESULT), ("GET", RESULT)]
    assert all(later - earlier >= 1 for earlier, later in pairwise(conversation.at))
    assert answered.json["outputs"] == {"template": '{"resources":[]}'}


@pytest.mark.parametrize("status", [200, 204])
def test_a_group_that_is_deleted_is_waited_for(
    tmp_path: Path, api: Target, entra: Trusted, status: int
) -> None:
    location = f"{api.url}{RESULT}"
    Conversation(
        api,
        [
            nothing(202, Location=location, Retry_After="0"),
            nothing(202, Location=location, Retry_After="0"),
            nothing(status),
        ],
    )
    suffix = f"{GROUP}?api-version=2021-04-01"

    answered = run(tmp_path, api, entra, method="DELETE", suffix=suffix)

    assert (answered.status, answered.json["response"]["status"]) == (200, status)
    assert asked(api) == [("DELETE", suffix), ("GET", RESULT), ("GET", RESULT)]


def test_of_both_headers_the_operation_is_asked(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    Conversation(
        api,
        [
            nothing(
                202,
                Location=f"{api.url}{RESULT}",
                Azure_AsyncOperation=f"{api.url}{OPERATION}",
                Retry_After="0",
            ),
            said({"status": "Updating"}, 202, Retry_After="0"),
            said({"status": "Some new word", "percentComplete": 60}, Retry_After="0"),
            said({"status": "Succeeded", "properties": {"output": {"id": "x"}}}),
        ],
    )
    suffix = f"{GROUP}/providers/Microsoft.Compute/virtualMachines/vm/start?api-version=2019-12-01"

    answered = run(tmp_path, api, entra, method="POST", suffix=suffix)

    assert answered.status == 200
    assert asked(api)[1:] == [("GET", OPERATION)] * 3


def test_a_deployment_that_was_there_already_is_not_waited_for(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    Conversation(api, [said(deployment("Succeeded"))])

    answered = run(tmp_path, api, entra, method="PUT", suffix=DEPLOYMENT)

    assert answered.status == 200
    assert len(api.received) == 1


def test_a_token_that_runs_out_during_the_operation_is_renewed(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    expired = said({"error": {"code": "ExpiredAuthenticationToken"}}, 401)
    Conversation(
        api,
        [
            nothing(202, Location=f"{api.url}{RESULT}", Retry_After="0"),
            expired,
            nothing(202, Retry_After="0"),
            nothing(200),
        ],
    )

    answered = run(tmp_path, api, entra, method="DELETE", suffix=f"{GROUP}?api-version=2021-04-01")

    assert answered.status == 200, answered.json
    first, second = (f"Bearer {token}" for token in entra.issuer.issued)
    assert authorizations(api) == [first, first, second, second]
