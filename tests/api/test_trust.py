"""Who may do what: callers among each other, and everybody else (docs/security.md)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest

from invoke_core.web.callers import caller_of_key
from tests.api.conftest import demo_connections, make_client

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.conftest import Client
    from tests.api.target import Target

MINE, OTHER = {"x-functions-key": "mine"}, {"x-functions-key": "other"}
STEP = {"inputs": {"serviceConnection": "demo", "method": "GET"}}
PRINCIPAL = "11111111-2222-3333-4444-555555555555"


def granting(root: Path, target: Target, *callers: str, **settings: str) -> Client:
    """Return a client whose connection names who may use it."""
    allow = {"methods": ["GET"], "loopback": True, "callers": list(callers)}
    return make_client(root, demo_connections(target.url, allow=allow), **settings)


def test_a_connection_is_used_by_the_callers_it_names_and_by_no_other(
    target: Target, tmp_path: Path
) -> None:
    client = granting(tmp_path, target, caller_of_key("mine"))

    answers = [client.post(STEP, headers=headers) for headers in (MINE, OTHER, {})]

    assert [answered.status for answered in answers] == [200, 403, 403]
    assert "allow.callers" in answers[1].json["detail"]
    assert len(target.received) == 1


def test_a_connection_that_names_no_callers_is_everybodys(client: Client) -> None:
    assert [client.post(STEP, headers=one).status for one in (MINE, OTHER)] == [200, 200]


@pytest.mark.parametrize(("is_on", "status"), [("", 403), ("false", 403), ("True", 200)])
def test_a_principal_opens_a_connection_only_where_the_platform_tells_it(
    target: Target, tmp_path: Path, is_on: str, status: int
) -> None:
    client = granting(tmp_path, target, f"entra:{PRINCIPAL}", WEBSITE_AUTH_ENABLED=is_on)

    answered = client.post(STEP, headers={"x-ms-client-principal-id": PRINCIPAL})

    assert answered.status == status


def test_a_caller_may_read_and_cancel_what_another_has_started(
    target: Target, tmp_path: Path
) -> None:
    client = make_client(tmp_path, demo_connections(target.url))
    waiting = {"inputs": {"serviceConnection": "demo", "waitForCompletion": "true"}}
    started = client.post(waiting, headers=MINE).json["id"]

    seen = client.get(f"api/invocations/{started}", headers=OTHER)
    listed = client.get("api/invocations", headers=OTHER).json["value"]

    assert (seen.status, seen.json["state"]) == (202, "inProgress")
    assert [one["id"] for one in listed] == [started]
    assert client.cancel(started).json["result"] == "canceled"


@pytest.mark.parametrize(
    "written",
    ["${DEMO_PASSWORD}", "%DEMO_PASSWORD%", "@Microsoft.KeyVault(SecretUri=https://v.example/s)"],
)
def test_what_a_caller_writes_brings_in_no_setting(
    target: Target, client: Client, written: str
) -> None:
    answered = client.step(
        method="POST", headers={"X-Own": written}, body=written, urlSuffix="/?" + quote(written)
    )

    assert answered.status == 200
    (sent,) = target.received
    assert sent.header("X-Own") == written
    assert sent.body == written.encode()
    assert unquote(sent.path) == f"/?{written}"


def test_the_list_shows_nothing_of_what_was_sent_or_answered(
    target: Target, client: Client
) -> None:
    client.step(method="POST", urlSuffix="/particular", body="particular")

    listed = client.get("api/invocations")

    assert len(listed.json["value"]) == len(target.received) == 1
    assert b"particular" not in listed.body
    assert target.url.encode() not in listed.body


@pytest.mark.parametrize(
    "place",
    [
        "key-0123456789abcdef\nrow",
        "due-202605171200\n1.x",
        "11111111-2222-3333-4444-555555555555\na.plan",
        "list-00000000\n\na.plan",
        "list-00000000' or PartitionKey ne '\n0000000000000.0",
    ],
)
def test_a_continuation_token_leads_to_no_rows_but_those_of_the_list(
    client: Client, place: str
) -> None:
    client.post(STEP, headers={"idempotency-key": "k"})
    token = base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")

    answered = client.get("api/invocations", query={"continuationToken": token})

    assert answered.status == 400
    assert "continuationToken" in answered.json["errors"][0]["detail"]


def test_anybody_may_ask_for_health_and_description_and_learns_nothing_of_the_connections(
    target: Target, tmp_path: Path
) -> None:
    bare = make_client(tmp_path / "bare", {})
    payroll = {"payroll": demo_connections(f"{target.url}/salaries")["demo"]}
    client = make_client(tmp_path / "set up", payroll)

    for route in ("api/health", "api/openapi.json"):
        told = client.get(route)
        assert told.status == 200
        for word in (b"payroll", b"salaries", target.url.encode(), b"DEMO_PASSWORD"):
            assert word not in told.body
        assert told.body == bare.get(route).body


def test_each_run_is_warned_where_nobody_checks_the_certificate(
    target: Target, tmp_path: Path
) -> None:
    trusting = make_client(tmp_path, demo_connections(target.url, tls={"verify": False}))

    runs = [trusting.post(STEP).json for _ in range(2)]

    for run in runs:
        assert [(issue["type"], "certificate" in issue["message"]) for issue in run["issues"]] == [
            ("warning", True)
        ]
