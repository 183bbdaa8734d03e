from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import PASSWORD, demo_connections, make_client
from tests.api.target import Received, Reply, Target

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tests.api.conftest import Client

DOCUMENTED_STEP = """\
steps:
- task: InvokeRESTAPI@1
  displayName: 'Invoke REST API: GET'
  inputs:
    serviceConnection: 'demo'
    method: GET
    successCriteria: 'eq(root[''count''], ''1425'')'
"""
YAML = {"content-type": "application/yaml"}
CORRELATION = {
    "PlanUrl": "planUrl",
    "ProjectId": "projectId",
    "HubName": "hubName",
    "PlanId": "planId",
    "JobId": "jobId",
    "TimelineId": "timelineId",
    "TaskInstanceId": "taskInstanceId",
}


def test_the_documented_step_succeeds_with_the_answer_and_three_trace_lines(client: Client) -> None:
    answered = client.post(DOCUMENTED_STEP, headers=YAML)

    assert answered.status == 200
    assert answered.headers["Content-Type"] == "application/json"
    assert answered.json["result"] == "succeeded"
    assert answered.json["reason"] is None
    assert answered.json["displayName"] == "Invoke REST API: GET"
    assert answered.json["response"]["body"] == {"count": 1425}
    assert answered.json["criteria"] == {
        "expression": "eq(root['count'], '1425')",
        "result": True,
        "trace": [
            "Evaluating: eq(root['count'], '1425')",
            "Expanded: eq(1425, '1425')",
            "Result: True",
        ],
        "explanation": None,
    }


def test_a_criteria_that_is_not_met_fails_the_task_and_says_why(client: Client) -> None:
    answered = client.post(DOCUMENTED_STEP.replace("1425", "1426"), headers=YAML)

    assert answered.status == 424
    assert answered.json["result"] == "failed"
    assert answered.json["reason"]["code"] == "criteriaNotMet"
    assert answered.json["reason"]["effect"] == "answered"
    assert "1425" in answered.json["reason"]["message"]
    assert "'1426'" in answered.json["reason"]["message"]
    assert answered.json["criteria"]["result"] is False
    assert answered.json["criteria"]["explanation"]["text"] == "eq(root['count'], '1426')"
    assert answered.json["issues"][0]["type"] == "error"


def test_an_invocation_has_every_member_of_the_contract(client: Client, target: Target) -> None:
    answered = client.post(DOCUMENTED_STEP, headers=YAML).json

    assert list(answered) == [
        "id",
        "displayName",
        "connection",
        "caller",
        "state",
        "result",
        "reason",
        "completionEvent",
        "request",
        "response",
        "criteria",
        "attempts",
        "evaluations",
        "outputs",
        "variables",
        "createdAt",
        "startedAt",
        "finishedAt",
        "deadline",
        "correlation",
        "links",
        "issues",
    ]
    assert answered["connection"] == "demo"
    assert answered["caller"] == "local"
    assert answered["state"] == "completed"
    assert answered["completionEvent"] == "ApiResponse"
    assert answered["request"]["method"] == "GET"
    assert answered["request"]["url"] == f"{target.url}/"
    assert answered["request"]["headers"]["Authorization"] == "***"
    assert answered["response"]["status"] == 200
    assert answered["response"]["bodyTruncated"] is False
    assert answered["correlation"]["planId"] == answered["id"]
    assert answered["correlation"]["planUrl"] == "http://localhost:7071/azdo/default/"
    assert answered["links"] == {
        "self": f"http://localhost:7071/api/invocations/{answered['id']}",
        "log": f"http://localhost:7071/api/invocations/{answered['id']}/log",
        "cancel": f"http://localhost:7071/api/invocations/{answered['id']}/cancel",
        "outputs": f"http://localhost:7071/api/invocations/{answered['id']}/outputs",
        "events": None,
    }
    assert answered["createdAt"] <= answered["startedAt"] <= answered["finishedAt"]
    assert all(
        answered[name].endswith("Z")
        for name in ("createdAt", "startedAt", "finishedAt", "deadline")
    )


@pytest.mark.parametrize(
    "method", ["OPTIONS", "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "PATCH"]
)
def test_every_method_reaches_the_target_as_the_contract_says(
    method: str, client: Client, target: Target
) -> None:
    answered = client.step(
        method=method.lower(),
        headers='{"X-Request-Name": "$(name)", "content-TYPE": "text/plain"}',
        body='{"name": "$(name)", "quoted": "$(json:QUOTED)"}',
        urlSuffix="/items/$(name)?q=1",
        variables={"Name": "café", "quoted": 'a "b"\n'},
    )

    assert answered.status == 200
    (received,) = target.received
    assert received.method == method
    assert received.path == "/items/caf%C3%A9?q=1"
    bodiless = method in {"GET", "HEAD", "TRACE"}
    sent = b"" if bodiless else '{"name": "café", "quoted": "a \\"b\\"\\n"}'.encode()
    assert received.body == sent
    password = base64.b64encode(f"svc:{PASSWORD}".encode()).decode()
    names = {name for name, _ in received.headers}
    own = {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    assert names - own - {"Content-Length"} == {"X-Request-Name", "content-TYPE", "Authorization"}
    assert own <= names
    assert received.header("X-Request-Name") == "café"
    assert received.header("content-TYPE") == "text/plain"
    assert received.header("Authorization") == f"Basic {password}"
    assert received.header("Content-Length") == (None if bodiless else str(len(sent)))


def test_the_default_headers_carry_the_correlation_in_its_letter_case(
    client: Client, target: Target
) -> None:
    answered = client.step(method="POST").json

    (received,) = target.received
    assert received.header("Content-Type") == "application/json"
    for header, member in CORRELATION.items():
        assert received.header(header) == answered["correlation"][member]
    assert received.header("AuthToken") is None


def test_five_faults_are_named_at_once_and_nothing_is_sent(client: Client, target: Target) -> None:
    step = {
        "task": "InvokeRESTAPI@1",
        "inputs": {
            "serviceConnection": "dmeo",
            "metod": "GET",
            "headers": '{"Host": "elsewhere"}',
            "successCriteria": "eq(root['count']",
            "validStatusCodes": "2xx",
        },
    }

    answered = client.post({"steps": [step]})

    assert answered.status == 400
    assert answered.headers["Content-Type"] == "application/problem+json"
    problem = answered.json
    assert (problem["code"], problem["status"]) == ("invalidInput", 400)
    assert problem["instance"] == "/api/invocations"
    assert {error["pointer"] for error in problem["errors"]} == {
        f"/steps/0/inputs/{name}"
        for name in ("serviceConnection", "metod", "headers", "successCriteria", "validStatusCodes")
    }
    details = {error["pointer"].rpartition("/")[2]: error["detail"] for error in problem["errors"]}
    assert "Did you mean 'demo'?" in details["serviceConnection"]
    assert "Did you mean 'method'?" in details["metod"]
    assert target.received == []


@pytest.mark.parametrize(
    ("step", "pointer"),
    [
        ({"gate": {"timout": 5}}, "/gate/timout"),
        ({"poll": {"statusUrl": "header"}}, "/poll/statusUrl"),
        ({"outputs": {"id": "id"}}, "/outputs/id"),
    ],
)
def test_a_faulty_gate_poll_or_output_is_refused_and_nothing_is_sent(
    step: dict[str, object], pointer: str, client: Client, target: Target
) -> None:
    answered = client.post({"inputs": {"serviceConnection": "demo"}, **step})

    assert answered.status == 400
    (error,) = answered.json["errors"]
    assert error["pointer"] == pointer
    assert target.received == []


def test_a_status_outside_the_valid_ones_fails_the_task(client: Client, target: Target) -> None:
    target.reply = lambda _: Reply(b'{"message": "gone"}', 404)

    answered = client.step(method="GET", successCriteria="eq(root.message, 'gone')")

    assert answered.status == 424
    assert answered.json["reason"]["code"] == "statusCode"
    assert "404" in answered.json["reason"]["message"]
    assert answered.json["response"]["status"] == 404
    assert answered.json["response"]["body"] == {"message": "gone"}
    assert answered.json["criteria"] is None


def test_other_status_codes_can_be_made_a_success(client: Client, target: Target) -> None:
    target.reply = lambda _: Reply(b"[]", 404)

    answered = client.step(method="GET", validStatusCodes="200-299, 404")

    assert (answered.status, answered.json["result"]) == (200, "succeeded")


def test_a_criteria_over_a_body_that_is_not_json_fails_with_its_own_reason(
    client: Client, target: Target
) -> None:
    target.reply = lambda _: Reply(b"<html>sorry</html>")

    answered = client.step(method="GET", successCriteria="eq(root['count'], 1)")

    assert answered.status == 424
    assert answered.json["reason"]["code"] == "responseNotJson"
    assert "<html>sorry" in answered.json["reason"]["message"]
    assert answered.json["response"]["body"] == "<html>sorry</html>"


def test_a_criteria_that_never_touches_the_body_does_not_need_json(
    client: Client, target: Target
) -> None:
    target.reply = lambda _: Reply(b"<html>", headers={"X-State": "Ready"})

    answered = client.step(
        method="GET",
        successCriteria=(
            "and(eq(response['statuscode'], 'OK'), eq(response['status'], 200), "
            "eq(response['headers']['x-state'], 'ready'), "
            "or(eq(response['content'], '<HTML>'), eq(root['a'], 1)))"
        ),
    )

    assert answered.json["reason"] is None
    assert answered.status == 200


def test_a_criteria_that_cannot_be_evaluated_is_its_own_reason(
    client: Client, target: Target
) -> None:
    target.reply = lambda _: Reply(b'{"n": 1e999}')

    answered = client.step(method="GET", successCriteria="gt(root['n'], 1)")

    assert answered.status == 424
    assert answered.json["reason"]["code"] == "criteriaError"
    assert answered.json["criteria"]["result"] is None
    assert b'"n":1e999' in answered.body


def test_numbers_come_back_character_for_character(client: Client, target: Target) -> None:
    body = b'{"a":1.10,"b":-0,"c":1E+5,"d":' + b"9" * 5000 + b"}"
    target.reply = lambda _: Reply(body)

    answered = client.step(method="GET")

    assert b'"body":' + body in answered.body


def test_an_answer_nested_as_deep_as_allowed_comes_back(client: Client, target: Target) -> None:
    deep = b"[" * 500 + b"]" * 500
    target.reply = lambda _: Reply(deep)

    answered = client.step(method="GET", successCriteria="eq(root[0][0][1], '')")

    assert answered.status == 200
    assert b'"body":' + deep in answered.body


def test_an_answer_nested_deeper_is_not_json(client: Client, target: Target) -> None:
    target.reply = lambda _: Reply(b"[" * 20_000 + b"]" * 20_000)

    answered = client.step(method="GET", successCriteria="eq(root[0], '')")

    assert answered.json["reason"]["code"] == "responseNotJson"


def test_secrets_are_masked_in_every_part_of_the_answer(client: Client, target: Target) -> None:
    secret = 'top "s3cret" välue'

    def echo(request: Received) -> Reply:
        forms = [secret, base64.b64encode(secret.encode()).decode(), PASSWORD]
        body = {
            "sent": request.body.decode(),
            "authorization": request.header("Authorization"),
            "number": 1425,
            **{form: form for form in forms},
        }
        return Reply(json.dumps(body).encode(), headers={"X-Echo": "s3cret/p", "X-Api-Key": "k"})

    target.reply = echo

    answered = client.step(
        body='{"token": "$(json:token)"}',
        urlSuffix="/hook?sig=abc123&n=$(token)",
        successCriteria="eq(root['sent'], '$(token)')",
        variables={"token": {"value": secret, "isSecret": True}},
    )

    assert answered.status == 424
    text = answered.body.decode()
    for leaked in (secret, "välue", PASSWORD, "abc123"):
        assert leaked not in text
        assert json.dumps(leaked)[1:-1] not in text
        assert base64.b64encode(leaked.encode()).decode().rstrip("=") not in text
    assert answered.json["response"]["headers"]["X-Api-Key"] == "***"
    assert answered.json["request"]["url"] == f"{target.url}/hook?sig=***&n=***"
    assert answered.json["response"]["body"]["number"] == 1425


def test_a_target_that_echoes_the_credential_cannot_be_made_to_test_it(
    client: Client, target: Target
) -> None:
    target.reply = lambda request: Reply(
        json.dumps({"seen": request.header("Authorization")}).encode()
    )

    answered = client.step(method="GET", successCriteria="eq(root.seen, 'Basic ***')")

    assert answered.json["criteria"]["result"] is True


def test_a_header_that_the_credential_replaces_is_a_warning(client: Client, target: Target) -> None:
    answered = client.step(method="GET", headers='{"authorization": "Bearer mine"}')

    (received,) = target.received
    assert [name for name, _ in received.headers if name.lower() == "authorization"] == [
        "Authorization"
    ]
    assert [issue["type"] for issue in answered.json["issues"]] == ["warning"]
    assert "Authorization" in answered.json["issues"][0]["message"]


def test_a_macro_that_stands_for_nothing_is_left_and_warned_about(
    client: Client, target: Target
) -> None:
    answered = client.step(body="$(Build.Name) $(system.planid)")

    assert target.received[0].body == f"$(Build.Name) {answered.json['id']}".encode()
    assert "$(Build.Name)" in answered.json["issues"][0]["message"]


def test_trace_context_is_carried_on(client: Client, target: Target) -> None:
    parent = f"00-{'a' * 32}-{'b' * 16}-01"

    client.post(
        {"inputs": {"serviceConnection": "demo", "method": "GET"}},
        headers={"traceparent": parent, "tracestate": "vendor=1"},
    )

    assert target.received[0].header("traceparent") == parent
    assert target.received[0].header("tracestate") == "vendor=1"


@pytest.mark.parametrize("suffix", ["x", "@evil.example/", ":81/", "/../x", "/%2e%2e/x", "/a#b"])
def test_a_suffix_that_leaves_the_connection_is_refused(
    suffix: str, tmp_path: Path, target: Target
) -> None:
    client = make_client(tmp_path, demo_connections(f"{target.url}/v1"))

    answered = client.step(method="GET", urlSuffix=suffix)

    assert answered.status == 403
    assert answered.json["code"] == "connectionPolicy"
    assert target.received == []


def test_a_method_that_is_not_granted_is_refused(tmp_path: Path, target: Target) -> None:
    allow = {"methods": ["GET"], "loopback": True}
    client = make_client(tmp_path, demo_connections(target.url, allow=allow))

    answered = client.step(method="DELETE")

    assert answered.status == 403
    assert "GET" in answered.json["detail"]
    assert target.received == []


def test_an_address_of_this_machine_is_refused_unless_granted(
    tmp_path: Path, target: Target
) -> None:
    client = make_client(tmp_path, demo_connections(target.url, allow={}))

    answered = client.step(method="GET")

    assert answered.status == 424
    assert answered.json["reason"]["code"] == "addressRefused"
    assert answered.json["reason"]["effect"] == "none"
    assert target.received == []


def test_a_body_may_be_kept_out_of_the_invocation(tmp_path: Path, target: Target) -> None:
    client = make_client(tmp_path, demo_connections(target.url, storeBody=False))

    answered = client.step(method="GET", successCriteria="eq(root.count, 1425)")

    assert answered.status == 200
    assert answered.json["response"]["body"] is None


def test_the_time_of_the_task_bounds_the_exchange(client: Client, target: Target) -> None:
    def late(_: Received) -> Reply:
        import time  # noqa: PLC0415

        time.sleep(1.5)
        return Reply()

    target.reply = late

    answered = client.post({"inputs": {"serviceConnection": "demo"}, "timeoutInMinutes": 0.01})

    assert answered.status == 424
    assert answered.json["reason"]["code"] == "timedOut"


def test_the_caller_is_told_by_its_key(client: Client) -> None:
    step = {"inputs": {"serviceConnection": "demo", "method": "GET"}}

    by_header = client.post(step, headers={"x-functions-key": "k"}, query={"code": "other"})
    by_query = client.post(step, query={"code": "k"})
    forged = client.post(step, headers={"x-ms-client-principal-id": "0" * 8})

    assert by_header.json["caller"] == by_query.json["caller"] == "key:8254c329a92850f6"
    assert forged.json["caller"] == "local"


def test_more_than_the_process_may_run_is_told_to_come_again(
    tmp_path: Path, target: Target
) -> None:
    import threading  # noqa: PLC0415

    client = make_client(tmp_path, demo_connections(target.url), MAX_CONCURRENT_INVOCATIONS="1")
    arrived, leave = threading.Event(), threading.Event()

    def hold(_: Received) -> Reply:
        arrived.set()
        leave.wait(10)
        return Reply()

    target.reply = hold
    first = threading.Thread(target=lambda: client.step(method="GET"))
    first.start()
    arrived.wait(10)

    second = client.step(method="GET")
    leave.set()
    first.join()

    assert second.status == 429
    assert int(second.headers["Retry-After"]) >= 1
    assert second.json["code"] == "tooManyRequests"
    assert client.step(method="GET").status == 200


def test_an_unknown_error_becomes_an_incident_and_says_nothing_else(client: Client) -> None:
    service = client.handlers._service
    assert not isinstance(service, Exception)

    def broken() -> datetime:
        message = "hunter2"
        raise RuntimeError(message)

    client.handlers._service = replace(service, now=broken)

    answered = client.step(method="GET")

    assert answered.status == 500
    assert answered.json["code"] == "internalError"
    assert "hunter2" not in answered.body.decode()


def test_a_secret_with_a_quote_is_masked_in_the_criteria_as_it_was_written(
    client: Client,
) -> None:
    answered = client.step(
        method="GET",
        successCriteria="eq(root.count, 'don''t tell')",
        variables={"phrase": {"value": "don't tell", "isSecret": True}},
    )

    assert answered.status == 424
    assert "tell" not in answered.body.decode()


@pytest.mark.parametrize(
    ("secret", "inputs"),
    [
        ("hunter2,more-secret", {"successCriteria": "eq(root['a'],$(s))"}),
        ("pa'ss'word-x", {"successCriteria": "eq(root['a'],'$(s)')"}),
        ("hunter2,more-secret", {"validStatusCodes": "$(s)"}),
        (" hunter2 ", {"method": "$(s)"}),
        (" hunter2 ", {"serviceConnection": "$(s)"}),
    ],
)
def test_no_piece_of_a_secret_stands_in_a_fault(
    secret: str, inputs: dict[str, str], client: Client, target: Target
) -> None:
    answered = client.step(**inputs, variables={"s": {"value": secret, "isSecret": True}})

    assert answered.status == 400
    text = answered.body.decode()
    for piece in ("hunter2", "more-secret", "'ss'", "word-x"):
        assert piece not in text
    assert target.received == []


def test_a_pointer_shows_no_secret_and_stays_a_pointer(client: Client) -> None:
    answered = client.step(
        **{"a/b~cdef": "x", "~/other": "x"},
        variables={"s": {"value": "a/b~cdef", "isSecret": True}},
    )

    assert [error["pointer"] for error in answered.json["errors"]] == [
        "/inputs/***",
        "/inputs/~0~1other",
    ]


def test_a_body_that_is_not_kept_is_not_quoted_either(tmp_path: Path, target: Target) -> None:
    target.reply = lambda _: Reply(b"hello <b>private</b>")
    client = make_client(tmp_path, demo_connections(target.url, storeBody=False))

    answered = client.step(method="GET", successCriteria="eq(root.x, 1)")

    assert answered.json["reason"]["code"] == "responseNotJson"
    assert "private" not in answered.body.decode()


def test_a_secret_among_the_valid_status_codes_is_masked(client: Client, target: Target) -> None:
    target.reply = lambda _: Reply(status=500)

    answered = client.step(
        method="GET",
        validStatusCodes="$(codes)",
        variables={"codes": {"value": "201,299", "isSecret": True}},
    )

    assert answered.json["reason"]["code"] == "statusCode"
    assert "201,299" not in answered.body.decode()
