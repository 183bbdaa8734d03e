"""Callback mode from the caller's side: stored, sent, waiting, ended."""

from __future__ import annotations

import base64
import json
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest

from tests.api.conftest import PASSWORD, demo_connections, make_client
from tests.api.target import Received, Reply, Target

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.conftest import Answered, Client

CORRELATION_HEADERS = [
    "PlanUrl",
    "ProjectId",
    "HubName",
    "PlanId",
    "JobId",
    "TimelineId",
    "TaskInstanceId",
    "AuthToken",
]


def waiting(client: Client, *, variables: object = None, **inputs: object) -> Answered:
    answered = client.step(variables=variables, waitForCompletion="true", **inputs)
    assert answered.status == 202
    return answered


def later(answered: Answered, client: Client, **options: str) -> Answered:
    return client.get(f"api/invocations/{answered.json['id']}", headers=options)


def test_a_task_that_waits_is_accepted_and_can_be_found_again(client: Client) -> None:
    answered = waiting(client)

    own = f"http://localhost:7071/api/invocations/{answered.json['id']}"
    assert answered.headers["Location"] == own == answered.json["links"]["self"]
    assert 1 <= int(answered.headers["Retry-After"]) <= 30
    assert answered.json["state"] == "inProgress"
    assert answered.json["result"] is None
    assert answered.json["completionEvent"] == "Callback"
    assert answered.json["response"]["status"] == 200
    assert answered.json["issues"] == []
    assert later(answered, client).json == answered.json


def test_the_ready_made_address_for_events_is_in_the_invocation(client: Client) -> None:
    answered = waiting(client).json

    ids = answered["correlation"]
    assert answered["links"]["events"] == (
        f"http://localhost:7071/azdo/default/{ids['projectId']}/_apis/distributedtask"
        f"/hubs/build/plans/{ids['planId']}/events"
    )


def test_the_external_service_gets_the_eight_headers_in_their_letter_case(
    client: Client, target: Target
) -> None:
    answered = waiting(client).json

    (received,) = target.received
    names = [name for name, _ in received.headers]
    assert [name for name in names if name in CORRELATION_HEADERS] == CORRELATION_HEADERS
    ids = answered["correlation"]
    assert received.header("PlanUrl") == ids["planUrl"] == "http://localhost:7071/azdo/default/"
    assert received.header("ProjectId") == ids["projectId"]
    assert received.header("HubName") == "build"
    assert received.header("PlanId") == ids["planId"] == answered["id"]
    assert received.header("JobId") == ids["jobId"]
    assert received.header("TimelineId") == ids["timelineId"]
    assert received.header("TaskInstanceId") == ids["taskInstanceId"]
    token = received.header("AuthToken") or ""
    assert len(base64.urlsafe_b64decode(token + "=")) == 32
    assert len({*ids.values()}) == 7


def test_each_invocation_has_a_token_of_its_own(client: Client, target: Target) -> None:
    waiting(client)
    waiting(client)

    assert target.received[0].header("AuthToken") != target.received[1].header("AuthToken")


def test_it_is_stored_before_the_request_is_sent(client: Client, target: Target) -> None:
    seen: list[Answered] = []

    def reply(received: Received) -> Reply:
        seen.append(client.get(f"api/invocations/{received.header('PlanId')}"))
        return Reply()

    target.reply = reply

    waiting(client)

    assert [(one.status, one.json["state"], one.json["response"]) for one in seen] == [
        (202, "inProgress", None)
    ]


@pytest.mark.parametrize("status", [400, 404, 500, 503])
def test_a_bad_status_fails_the_task_at_once(status: int, client: Client, target: Target) -> None:
    target.reply = lambda _: Reply(b'{"why": "no"}', status)

    answered = client.step(waitForCompletion=True)

    assert answered.status == 424
    assert answered.json["result"] == "failed"
    assert answered.json["reason"]["code"] == "statusCode"
    assert answered.json["response"]["body"] == {"why": "no"}
    assert later(answered, client).json == answered.json


def test_a_request_that_reaches_nobody_fails_the_task_at_once(tmp_path: Path) -> None:
    client = make_client(tmp_path, demo_connections("http://127.0.0.1:9"))

    answered = client.step(waitForCompletion=True)

    assert answered.status == 424
    assert answered.json["reason"]["code"] == "connectionFailed"
    assert answered.json["reason"]["effect"] == "none"
    assert later(answered, client).json == answered.json


def test_a_service_that_is_not_told_where_to_call_back_is_a_warning(client: Client) -> None:
    (issue,) = waiting(client, headers={"X-Mine": "1"}).json["issues"]

    assert issue["type"] == "warning"
    assert "$(system.AccessToken)" in issue["message"]
    assert "Leave the input 'headers' out" in issue["message"]


def test_a_service_may_be_told_in_the_body(client: Client, target: Target) -> None:
    body = {
        "PlanId": "$(system.PlanId)",
        "JobId": "$(system.JobId)",
        "TaskInstanceId": "$(system.TaskInstanceId)",
        "ProjectId": "$(system.TeamProjectId)",
        "VstsUrl": "$(system.CollectionUri)",
        "AuthToken": "$(system.AccessToken)",
    }

    answered = waiting(client, headers={"X-Mine": "1"}, body=body).json

    assert answered["issues"] == []
    sent = json.loads(target.received[0].body)
    assert sent["PlanId"] == answered["id"]
    assert len(sent["AuthToken"]) == 43


def test_a_criteria_is_refused_since_nobody_would_look_at_it(client: Client) -> None:
    answered = client.step(waitForCompletion="true", successCriteria="eq(root.a, 1)")

    assert answered.status == 400
    (error,) = answered.json["errors"]
    assert error["pointer"] == "/inputs/successCriteria"


def test_past_its_deadline_nobody_is_told_that_it_is_in_progress(client: Client) -> None:
    step = {"timeoutInMinutes": 0.01, "inputs": {"serviceConnection": "demo"}}
    step["inputs"] |= {"waitForCompletion": "true"}  # type: ignore[operator]  # it is an object
    answered = client.post(step)
    assert answered.status == 202

    time.sleep(0.65)
    ended = later(answered, client)

    assert ended.status == 424
    assert ended.json["result"] == "failed"
    assert ended.json["reason"]["code"] == "callbackTimedOut"
    assert "0.01 minutes" in ended.json["reason"]["message"]
    assert ended.json["finishedAt"] == ended.json["deadline"] == answered.json["deadline"]
    assert client.cancel(answered.json["id"]).status == 409


def test_a_held_reply_comes_at_the_deadline(client: Client) -> None:
    step: dict[str, object] = {"timeoutInMinutes": 0.01}
    step["inputs"] = {"serviceConnection": "demo", "waitForCompletion": "true"}
    began = time.monotonic()

    answered = client.post(step, headers={"prefer": "wait=30"})

    assert answered.status == 424
    assert answered.json["reason"]["code"] == "callbackTimedOut"
    assert answered.headers["Preference-Applied"] == "wait=30"
    assert 0.5 <= time.monotonic() - began < 2


def test_a_canceled_task_is_canceled_for_ever(client: Client) -> None:
    answered = waiting(client)

    first, second = (client.cancel(answered.json["id"]) for _ in range(2))

    assert first.status == second.status == 200
    assert first.json == second.json
    assert first.json["result"] == "canceled"
    assert first.json["reason"]["code"] == "canceled"
    assert later(answered, client).status == 424


def test_canceling_what_ended_otherwise_names_its_result(client: Client) -> None:
    ended = client.step(method="GET")

    refused = client.cancel(ended.json["id"])

    assert refused.status == 409
    assert refused.json["code"] == "alreadyEnded"
    assert "'succeeded'" in refused.json["detail"]


def test_a_held_call_is_woken_within_half_a_second(client: Client) -> None:
    answered = waiting(client)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(later, answered, client, prefer="wait=30")
        time.sleep(0.3)
        assert not held.done()
        client.cancel(answered.json["id"])
        canceled_at = time.monotonic()
        result = held.result(10)

    assert time.monotonic() - canceled_at < 0.5
    assert result.status == 424
    assert result.headers["Preference-Applied"] == "wait=30"


def test_another_process_is_noticed_within_two_and_a_half_seconds(
    target: Target, tmp_path: Path
) -> None:
    one, other = (make_client(tmp_path, demo_connections(target.url)) for _ in range(2))
    answered = waiting(one)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(later, answered, one, prefer="wait=30")
        time.sleep(0.3)
        other.cancel(answered.json["id"])
        canceled_at = time.monotonic()
        result = held.result(10)

    assert time.monotonic() - canceled_at < 2.5
    assert result.json["result"] == "canceled"


def test_a_reply_is_held_no_longer_than_asked(client: Client) -> None:
    began = time.monotonic()

    answered = client.post(
        {"inputs": {"serviceConnection": "demo", "waitForCompletion": "true"}},
        headers={"prefer": "wait=1"},
    )

    assert answered.status == 202
    assert 0.9 <= time.monotonic() - began < 1.8


def test_strict_answers_408_for_what_has_not_ended(client: Client) -> None:
    answered = waiting(client)
    route = f"api/invocations/{answered.json['id']}"

    strict = client.get(route, query={"strict": "true"})

    assert strict.status == 408
    assert strict.json == answered.json
    assert strict.headers["Location"] == answered.headers["Location"]
    assert int(strict.headers["Retry-After"]) >= 1
    client.cancel(answered.json["id"])
    assert client.get(route, query={"strict": "true"}).status == 424


def test_a_strict_call_needs_a_key_since_it_will_be_repeated(
    client: Client, target: Target
) -> None:
    step = {"inputs": {"serviceConnection": "demo", "waitForCompletion": "true"}}

    without = client.post(step, query={"strict": "true"})
    first = client.post(step, query={"strict": "true"}, headers={"idempotency-key": "k"})
    again = client.post(step, query={"strict": "true"}, headers={"idempotency-key": "k"})

    assert without.status == 400
    assert "Idempotency-Key" in without.json["errors"][0]["detail"]
    assert (first.status, again.status) == (408, 408)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len(target.received) == 1


def test_no_token_and_no_secret_is_in_the_store_the_log_or_an_answer(
    client: Client, target: Target, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = 'Sw0rd/fi$h + "quoted"'
    caplog.set_level(logging.DEBUG)
    target.reply = lambda received: Reply(
        json.dumps({"echo": dict(received.headers), "body": received.body.decode()}).encode()
    )

    answered = waiting(
        client,
        body={"token": "$(system.AccessToken)", "secret": "$(json:s)"},
        urlSuffix="/?token=$(system.AccessToken)",
        variables={"s": {"value": secret, "isSecret": True}},
    )

    token = target.received[-1].header("AuthToken") or ""
    assert len(token) == 43
    answers = [answered.body, later(answered, client).body]
    answers.append(client.get(f"api/invocations/{answered.json['id']}/log").body)
    stored = b"".join(path.read_bytes() for path in (tmp_path / ".data").iterdir())
    haystack = b"\n".join([stored, *answers, caplog.text.encode()])
    for text in (token, secret, PASSWORD):
        forms = {
            text,
            quote(text, safe=""),
            quote_plus(text),
            json.dumps(text)[1:-1],
            base64.b64encode(text.encode()).decode().rstrip("="),
            base64.b64encode(f":{text}".encode()).decode().rstrip("="),
        }
        assert [form for form in forms if form.encode() in haystack] == []


def test_hundreds_of_faults_are_told_as_a_hundred(client: Client) -> None:
    inputs = {f"input{number}": "x" for number in range(2000)}
    began = time.process_time()

    answered = client.post({"inputs": {"serviceConnection": "demo", **inputs}})

    assert answered.status == 400
    assert "2000 faults" in answered.json["detail"]
    assert len(answered.json["errors"]) == 101
    assert answered.json["errors"][-1]["detail"] == "There are 1900 more faults."
    assert time.process_time() - began < 1


def test_more_secret_variables_than_can_be_masked_are_refused(client: Client) -> None:
    variables = {f"v{n}": {"value": f"secret{n:04}", "isSecret": True} for n in range(101)}

    answered = client.step(variables=variables, method="GET")

    assert answered.status == 400
    assert "100 secret variables" in answered.json["errors"][0]["detail"]
