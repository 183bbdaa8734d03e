"""What the log of the process has after calls, beside what callers are told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from invoke_core.alarms import Alarm
from tests.api.conftest import PASSWORD, Client, demo_connections, make_app, make_client
from tests.api.target import Reply

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.target import Target

TRACE_ID = "a" * 32
PARENT = f"00-{TRACE_ID}-{'b' * 16}-01"
HEADERS = {"traceparent": PARENT, "x-functions-key": "CHOSEN-KEY"}


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Return the facts of each line, in order."""
    return [
        json.loads(record.getMessage()[record.getMessage().index("{") :])
        for record in caplog.records
        if record.name == "invoke_core.telemetry"
    ]


def step(**more: object) -> dict[str, object]:
    return {"inputs": {"serviceConnection": "DEMO", "method": "GET"}, **more}


def test_a_call_that_is_tried_again_is_told_with_the_trace_of_its_caller(
    client: Client, target: Target, caplog: pytest.LogCaptureFixture
) -> None:
    replies = [Reply(b"CHOSEN"), Reply(b"CHOSEN", 503)]
    target.reply = lambda _: replies.pop()

    answered = client.post(step(retryCountOnTaskFailure=2, displayName="CHOSEN"), headers=HEADERS)

    failed, ended = told(caplog)
    assert (failed["event"], failed["reason"], failed["status"]) == (
        "attemptFailed", "statusCode", 503,
    )  # fmt: skip
    assert (ended["event"], ended["result"], ended["attempts"]) == ("ended", "succeeded", 2)
    for facts in (failed, ended):
        assert facts["invocationId"] == answered.json["id"]
        assert facts["connection"] == "demo"
        assert facts["traceId"] == TRACE_ID
        assert facts["exchangeMs"] >= 0
    assert "CHOSEN" not in caplog.text
    assert PASSWORD not in caplog.text


def test_a_call_in_the_background_keeps_the_trace_of_its_caller(
    target: Target, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_app(tmp_path, demo_connections(target.url))
    assert app.background is not None
    prefer = {**HEADERS, "prefer": "respond-async"}
    plan_id = Client(app.handlers).post(step(), headers=prefer).json["id"]

    now = datetime.now(UTC)
    app.background.runs.ring(Alarm(plan_id=plan_id, at=now, set_at=now))

    (ended,) = told(caplog)
    assert (ended["event"], ended["traceId"]) == ("ended", TRACE_ID)


def test_a_trace_that_the_task_sends_itself_counts_where_it_is_well_formed(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for parent in (PARENT, "CHOSEN"):
        client.step(method="GET", headers={"traceparent": parent})

    assert [facts["traceId"] for facts in told(caplog)] == [TRACE_ID, None]
    assert "CHOSEN" not in caplog.text


def test_a_call_that_the_connection_does_not_grant_is_told_with_its_name(
    target: Target, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(tmp_path, demo_connections(f"{target.url}/v1"))

    for more in ({"urlSuffix": "/../CHOSEN"}, {"method": "GET", "urlSuffix": "@CHOSEN"}):
        inputs = {"serviceConnection": "demo", **more}
        assert client.post({"inputs": inputs}, headers=HEADERS).status == 403

    refused = {
        "event": "refused",
        "code": "connectionPolicy",
        "status": 403,
        "connection": "demo",
        "traceId": TRACE_ID,
        "setting": None,
        "incident": None,
    }
    assert told(caplog) == [refused, refused]
    assert "CHOSEN" not in caplog.text


def test_a_call_beyond_a_limit_is_told_with_the_connection_whose_limit_it_is(
    target: Target, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(tmp_path, demo_connections(target.url, limits={"perMinute": 1}))

    assert [client.step(method="GET").status for _ in range(2)] == [200, 429]

    ended, refused = told(caplog)
    assert ended["event"] == "ended"
    assert (refused["event"], refused["code"]) == ("refused", "tooManyRequests")
    assert refused["connection"] == "demo"


def test_an_address_that_is_refused_is_the_reason_of_an_end(
    target: Target, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(tmp_path, demo_connections(target.url, allow={"methods": ["GET"]}))

    client.step(method="GET")

    (ended,) = told(caplog)
    assert (ended["reason"], ended["effect"], ended["status"]) == ("addressRefused", "none", None)
    assert "127.0.0.1" not in caplog.text


def test_mistakes_in_a_document_are_the_callers_and_not_told(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.post("CHOSEN").status == 400
    assert client.step(method="CHOSEN").status == 400
    assert client.post({"inputs": {"serviceConnection": "CHOSEN"}}).status == 400

    assert told(caplog) == []
    assert "CHOSEN" not in caplog.text


def test_what_nobody_foresaw_is_told_by_its_incident_with_its_traceback_behind(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    service = client.handlers._service
    assert not isinstance(service, Exception)

    def broken() -> datetime:
        raise RuntimeError("out of order")

    client.handlers._service = replace(service, now=broken)

    answered = client.post(step(), headers=HEADERS)

    (failed,) = told(caplog)
    assert (failed["event"], failed["status"], failed["code"]) == ("failed", 500, "internalError")
    assert failed["incident"] in answered.json["detail"]
    assert failed["traceId"] == TRACE_ID
    assert "RuntimeError: out of order" in caplog.text


def test_a_gate_is_told_evaluation_by_evaluation_and_an_alarm_where_it_is_given_up(
    target: Target, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    target.reply = lambda _: Reply(b"", 500)
    app = make_app(tmp_path, demo_connections(target.url))
    assert app.background is not None
    plan_id = Client(app.handlers).post(step(gate={})).json["id"]

    now = datetime.now(UTC)
    alarm = Alarm(plan_id=plan_id, at=now, set_at=now)
    app.background.runs.ring(alarm)
    app.background.runs.give_up(alarm)

    evaluated, given_up = told(caplog)
    assert (evaluated["event"], evaluated["status"], evaluated["attempt"]) == ("evaluated", 500, 1)
    assert evaluated["nextDueAt"] > now.strftime("%Y-%m-%dT%H:%M")
    assert (given_up["event"], given_up["invocationId"]) == ("alarmGivenUp", plan_id)
