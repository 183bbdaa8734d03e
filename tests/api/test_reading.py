"""Reading back: the invocation, its log, the list; and keys that make a call repeatable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.target import Reply

if TYPE_CHECKING:
    from tests.api.conftest import Answered, Client
    from tests.api.target import Target

UNKNOWN = "0f1c8a52-6a3c-4d0a-8a8e-2f1f6f0c5a11"


def log_of(answered: Answered, client: Client, **query: str) -> Answered:
    return client.get(f"api/invocations/{answered.json['id']}/log", query=query)


def test_an_ended_invocation_reads_as_it_was_answered(client: Client) -> None:
    answered = client.step(method="GET", successCriteria="eq(root.count, 1)")

    again = client.get(f"api/invocations/{answered.json['id'].upper()}")

    assert again.status == answered.status == 424
    assert again.body == answered.body


@pytest.mark.parametrize("unknown", [UNKNOWN, "1", "..%2f", "0f1c8a526a3c4d0a8a8e2f1f6f0c5a11"])
@pytest.mark.parametrize("route", ["api/invocations/{}", "api/invocations/{}/log"])
def test_an_unknown_invocation_is_not_found(unknown: str, route: str, client: Client) -> None:
    answered = client.get(route.format(unknown))

    assert answered.status == 404
    assert answered.json["code"] == "notFound"
    assert client.cancel(unknown).status == 404


def test_the_log_tells_the_request_the_answer_the_trace_and_the_end(
    client: Client, target: Target
) -> None:
    answered = client.step(
        method="POST", body="secret stuff", urlSuffix="/a?b=c", successCriteria="eq(root.count, 1)"
    )

    log = log_of(answered, client)

    assert log.status == 200
    assert log.headers["Content-Type"] == "text/plain; charset=utf-8"
    lines = log.body.decode().splitlines()
    assert lines[0].endswith("Starting: Invoke REST API: POST")
    assert lines[1].endswith(f" POST {target.url}/a?b=c")
    assert lines[2:8] == [
        "Request body: 12 bytes, application/json",
        "Response Code: 200",
        "Response: 15 bytes, application/json",
        "Evaluating: eq(root['count'], 1)",
        "Expanded: eq(1425, 1)",
        "Result: False",
    ]
    assert lines[8].startswith("criteriaNotMet: `root.count` was 1425 (number)")
    assert lines[9].endswith("Finished: failed")
    assert "secret stuff" not in log.body.decode()


def test_the_cursor_leads_on_to_what_is_new(client: Client) -> None:
    answered = client.step(waitForCompletion="true")

    first = log_of(answered, client)
    nothing = log_of(answered, client, after=first.headers["X-Log-Cursor"])
    client.cancel(answered.json["id"])
    rest = log_of(answered, client, after=nothing.headers["X-Log-Cursor"])

    assert nothing.body == b""
    assert b"Waiting for TaskCompleted" in first.body
    assert b"Finished: canceled" in rest.body
    assert log_of(answered, client).body == first.body + rest.body


def test_a_cursor_that_is_none_is_refused(client: Client) -> None:
    answered = client.step(method="GET")

    refused = log_of(answered, client, after="x")

    assert refused.status == 400
    assert "X-Log-Cursor" in refused.json["errors"][0]["detail"]


def test_what_a_target_says_cannot_act_as_a_pipeline_command(
    client: Client, target: Target
) -> None:
    target.reply = lambda _: Reply(b'{"a": "##vso[task.complete]\\r\\n::set-output name=x::y"}')

    answered = client.step(method="GET", successCriteria="eq(root.a, 'b')")

    text = log_of(answered, client).body.decode()
    assert "##vso[" not in text
    assert "# #vso[task.complete]" in text
    assert [line for line in text.splitlines() if line.lstrip().startswith("::")] == []


def test_the_list_has_the_newest_first_in_pages(client: Client) -> None:
    ids = [client.step(method="GET", urlSuffix=f"/{n}").json["id"] for n in range(5)]

    pages = [client.get("api/invocations", query={"top": "2"}).json]
    while token := pages[-1]["continuationToken"]:
        query = {"top": "2", "continuationToken": token}
        pages.append(client.get("api/invocations", query=query).json)

    listed = [item["id"] for page in pages for item in page["value"]]
    assert listed == ids[::-1]
    assert [len(page["value"]) for page in pages] == [2, 2, 1]


def test_the_list_shows_of_each_what_the_contract_says(client: Client) -> None:
    answered = client.step(method="GET").json

    (item,) = client.get("api/invocations").json["value"]

    assert item == {
        name: answered[name]
        for name in (
            "id",
            "displayName",
            "connection",
            "state",
            "result",
            "completionEvent",
            "createdAt",
            "finishedAt",
        )
    }


def test_the_list_can_be_asked_for_a_state(client: Client) -> None:
    ended = client.step(method="GET").json["id"]
    open_one = client.step(waitForCompletion="true").json["id"]

    def listed(state: str) -> list[str]:
        page = client.get("api/invocations", query={"state": state}).json
        return [item["id"] for item in page["value"]]

    assert listed("inProgress") == listed("INPROGRESS") == [open_one]
    assert listed("completed") == [ended]
    assert listed("pending") == []
    client.cancel(open_one)
    assert listed("inProgress") == []
    assert listed("completed") == [open_one, ended]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ({"top": "0"}, "top"),
        ({"top": "201"}, "top"),
        ({"top": "many"}, "top"),
        ({"state": "inProgres"}, "Did you mean 'inProgress'?"),
        ({"continuationToken": "x"}, "continuationToken"),
        ({"continuationToken": "bGlzdC0x"}, "continuationToken"),
    ],
)
def test_a_bad_question_to_the_list_is_refused(
    query: dict[str, str], word: str, client: Client
) -> None:
    answered = client.get("api/invocations", query=query)

    assert answered.status == 400
    assert word in answered.json["errors"][0]["detail"]


def test_a_key_makes_a_call_repeatable(client: Client, target: Target) -> None:
    step = {"inputs": {"serviceConnection": "demo", "method": "POST"}}
    other = {"inputs": {"serviceConnection": "demo", "method": "PUT"}}
    key = {"idempotency-key": "deploy-17"}

    first = client.post(step, headers=key)
    again = client.post({"steps": [step]}, headers={**key, "prefer": "wait=1"})
    conflict = client.post(other, headers=key)
    elsewhere = client.post(other, headers={**key, "x-functions-key": "another caller"})

    assert (first.status, again.status) == (200, 200)
    assert again.json == first.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (conflict.status, conflict.json["code"]) == (409, "idempotencyConflict")
    assert elsewhere.status == 200
    assert len(target.received) == 2


@pytest.mark.parametrize("key", ["", "k" * 256, "tab\tkey", "schl\xfcssel"])
def test_a_key_that_is_none_is_refused(key: str, client: Client, target: Target) -> None:
    step = {"inputs": {"serviceConnection": "demo"}}

    answered = client.post(step, headers={"idempotency-key": key})

    assert answered.status == 400
    assert "Idempotency-Key" in answered.json["errors"][0]["detail"]
    assert target.received == []


def test_a_refused_call_does_not_use_its_key_up(client: Client, target: Target) -> None:
    key = {"idempotency-key": "k"}

    refused = client.post({"inputs": {"serviceConnection": "demo", "metod": "x"}}, headers=key)
    taken = client.post({"inputs": {"serviceConnection": "demo"}}, headers=key)

    assert (refused.status, taken.status) == (400, 200)
    assert len(target.received) == 1


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=5", "wait=5"),
        ('wait="7"', "wait=7"),
        ("handling=lenient, Wait = 3", "wait=3"),
        ("wait=5000", "wait=100"),
        ("wait=99999999999999999999", "wait=100"),
        ("wait=soon", None),
        ("return=minimal", None),
    ],
)
def test_a_preference_that_is_understood_is_applied(
    prefer: str, applied: str | None, client: Client
) -> None:
    step = {"inputs": {"serviceConnection": "demo", "method": "GET"}}

    answered = client.post(step, headers={"prefer": prefer})

    assert answered.status == 200
    assert answered.headers.get("Preference-Applied") == applied
    assert client.get(f"api/invocations/{answered.json['id']}").json == answered.json


def test_strict_is_true_or_false(client: Client) -> None:
    answered = client.step(method="GET")

    refused = client.get(f"api/invocations/{answered.json['id']}", query={"strict": "yes"})

    assert refused.status == 400
