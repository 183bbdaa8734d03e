"""The description is true: valid OpenAPI, every route, and the schemas fit real answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

import function_app
from invoke_core.problems import PROBLEM_TYPES
from tests.api.conftest import demo_connections, make_client, ringing
from tests.api.target import Reply

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.conftest import Client
    from tests.api.target import Target


@pytest.fixture
def document(client: Client) -> dict[str, Any]:
    answered = client.get("api/openapi.json")
    assert answered.status == 200
    described: dict[str, Any] = answered.json
    return described


def errors_of(document: dict[str, Any], schema: dict[str, Any], value: object) -> list[str]:
    validator = Draft202012Validator({**schema, "components": document["components"]})
    return [error.message for error in validator.iter_errors(value)]


def schema_of(response: dict[str, Any]) -> dict[str, Any]:
    (content,) = response["content"].values()
    schema: dict[str, Any] = content["schema"]
    return schema


def test_it_is_valid_openapi(document: dict[str, Any]) -> None:
    validate(document)


def test_it_describes_the_routes_of_the_app_and_no_others(document: dict[str, Any]) -> None:
    # The library lists the functions of an app only once, so both facts are asked for here.
    bound = set()
    for function in function_app.app.get_functions():
        trigger: Any = function.get_trigger()
        if not function.is_http_function():
            continue
        anonymous = trigger.auth_level.value == "anonymous"
        bound |= {
            (f"/{trigger.route}", method.value.lower(), function.get_function_name(), anonymous)
            for method in trigger.methods
        }

    operations = {
        (path, method, operation["operationId"], "functionKey" not in str(security))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if method != "parameters"
        for security in [operation.get("security", document["security"])]
    }
    behind_the_catch_all = {one for one in operations if one[2].startswith("pipelines_")}
    caught = {one for one in bound if one[2] == "pipelines"}

    assert operations - behind_the_catch_all == bound - caught
    assert {one[0].startswith("/azdo/") for one in behind_the_catch_all} == {True}
    assert {one[1] for one in behind_the_catch_all} <= {one[1] for one in caught}


@pytest.mark.parametrize(
    ("inputs", "status"),
    [
        ({"method": "GET", "successCriteria": "eq(root.count, '1425')"}, 200),
        ({"method": "GET", "successCriteria": "eq(root.cuont, '1425')"}, 424),
        ({"method": "GET", "successCriteria": "contains(root, '1425')"}, 424),
        ({"urlSuffix": "/../"}, 403),
        ({"metod": "GET"}, 400),
    ],
)
def test_answers_to_a_step_fit_their_schemas(
    inputs: dict[str, str], status: int, client: Client, document: dict[str, Any]
) -> None:
    answered = client.step(**inputs)

    operation = document["paths"]["/api/invocations"]["post"]
    assert answered.status == status
    assert errors_of(document, schema_of(operation["responses"][str(status)]), answered.json) == []


def test_what_is_read_of_an_invocation_fits_its_schema(
    client: Client, document: dict[str, Any]
) -> None:
    waiting = client.step(waitForCompletion="true")
    own = f"/api/invocations/{waiting.json['id']}"

    def fits(path: str, method: str, status: int, value: object) -> bool:
        response = document["paths"][path][method]["responses"][str(status)]
        return errors_of(document, schema_of(response), value) == []

    assert fits("/api/invocations", "post", 202, waiting.json)
    assert fits("/api/invocations/{id}", "get", 202, client.get(own[1:]).json)
    strict = client.get(own[1:], query={"strict": "true"})
    assert fits("/api/invocations/{id}", "get", 408, strict.json)
    assert fits("/api/invocations", "get", 200, client.get("api/invocations").json)
    assert fits("/api/invocations/{id}/cancel", "post", 200, client.cancel(own[17:]).json)
    assert fits("/api/invocations/{id}", "get", 424, client.get(own[1:]).json)
    ended = client.step(method="GET").json["id"]
    assert fits("/api/invocations/{id}/cancel", "post", 409, client.cancel(ended).json)
    assert fits("/api/invocations/{id}", "get", 404, client.get("api/invocations/x").json)


def test_a_task_in_the_background_fits_what_is_described(
    client: Client, document: dict[str, Any]
) -> None:
    step = {"inputs": {"serviceConnection": "demo"}, "retryCountOnTaskFailure": 3}

    answered = client.post(step, headers={"prefer": "respond-async"})

    post = document["paths"]["/api/invocations"]["post"]
    described = post["responses"][str(answered.status)]
    assert answered.json["state"] == "pending"
    assert errors_of(document, schema_of(described), answered.json) == []
    always = {name for name, header in described["headers"].items() if header["required"]}
    assert always == {"Location", "Retry-After"}
    assert always <= set(answered.headers)
    assert (
        answered.headers["Preference-Applied"]
        in described["headers"]["Preference-Applied"]["description"]
    )
    (prefer,) = [one for one in post["parameters"] if one["name"] == "Prefer"]
    assert "respond-async" in prefer["description"]


def test_links_lead_to_what_is_asked_about_an_invocation(document: dict[str, Any]) -> None:
    operations = {
        operation["operationId"]: operation
        for each in document["paths"].values()
        for operation in each.values()
        if isinstance(operation, dict)
    }
    responses = operations["invocations_create"]["responses"]

    for status in ("200", "202", "408", "424"):
        links = responses[status]["links"]
        assert {"get", "log", "cancel", "outputs"} == set(links)
        for link in links.values():
            (parameter,) = link["parameters"]
            names = {
                f"path.{each['name']}" for each in operations[link["operationId"]]["parameters"]
            }
            assert parameter in names


def test_a_replay_is_told_by_a_header_that_is_described(
    client: Client, document: dict[str, Any]
) -> None:
    step = {"inputs": {"serviceConnection": "demo", "method": "GET"}}

    first, again = (client.post(step, headers={"idempotency-key": "one"}) for _ in range(2))

    response = document["paths"]["/api/invocations"]["post"]["responses"]["200"]
    described = response["headers"]["Idempotency-Replayed"]["schema"]
    assert "Idempotency-Replayed" not in first.headers
    assert errors_of(document, described, again.headers["Idempotency-Replayed"]) == []


def step_errors(document: dict[str, Any], step: object) -> list[str]:
    return errors_of(document, {"$ref": "#/components/schemas/Step"}, step)


@pytest.mark.parametrize(
    ("members", "result"),
    [
        ({"gate": {"samplingInterval": 0.01, "timeout": "0.03"}}, "failed"),
        ({"gate": {"samplingInterval": 0.01}, "outputs": {"count": "$.count"}}, "succeeded"),
        ({"poll": {"statusUrl": None, "method": "head"}, "outputs": None}, "succeeded"),
    ],
)
def test_a_gate_a_poll_and_outputs_fit_what_is_described(
    members: dict[str, Any], result: str, target: Target, tmp_path: Path, document: dict[str, Any]
) -> None:
    target.reply = lambda _: Reply(status=503 if result == "failed" else 200)
    step = {"inputs": {"serviceConnection": "demo", "method": "GET"}, **members}
    with ringing(tmp_path, demo_connections(target.url)) as client:
        answered = client.post(step, headers={"prefer": "wait=20"})

    responses = document["paths"]["/api/invocations"]["post"]["responses"]
    assert step_errors(document, step) == []
    assert answered.json["result"] == result
    assert bool(answered.json["evaluations"]) == ("gate" in members)
    described = schema_of(responses[str(answered.status)])
    assert errors_of(document, described, answered.json) == []


@pytest.mark.parametrize("member", ["gate", "poll"])
def test_the_bounds_and_defaults_of_amounts_are_those_of_the_service(
    member: str, client: Client, document: dict[str, Any]
) -> None:
    schema = document["components"]["schemas"][member.capitalize()]["properties"]
    amounts = {name: each for name, each in schema.items() if "minimum" in each}

    def faults(**given: float) -> list[str]:
        step = {"inputs": {"serviceConnection": "none"}, member: given}
        errors = client.post(step).json["errors"]
        refused = [each["pointer"] for each in errors if each["pointer"].startswith(f"/{member}")]
        assert bool(step_errors(document, step)) == bool(refused)
        return refused

    assert faults(**{name: each["default"] for name, each in amounts.items()}) == []
    for name, each in amounts.items():
        assert faults(**{name: each["minimum"]}) == []
        assert faults(**{name: each["maximum"] + 1}) == [f"/{member}/{name}"]
        assert faults(**{name: each["minimum"] - 0.001}) == [f"/{member}/{name}"]


def test_outputs_fit_what_is_described_in_every_form(
    client: Client, document: dict[str, Any]
) -> None:
    step = {
        "inputs": {"serviceConnection": "demo", "method": "GET"},
        "outputs": {"count": "$.count", "path": "$.count"},
    }
    own = client.post(step).json["links"]["outputs"].partition("7071/")[2]
    route = document["paths"]["/api/invocations/{id}/outputs"]["get"]
    (form,) = [each["schema"] for each in route["parameters"] if each["name"] == "format"]

    def fits(asked: str) -> int:
        answered = client.get(own, query={"format": asked})
        described = route["responses"][str(answered.status)]["content"]
        media_type = answered.headers["Content-Type"].partition(";")[0]
        is_text = media_type == "text/plain"
        value = answered.body.decode() if is_text else answered.json
        assert errors_of(document, described[media_type]["schema"], value) == []
        return answered.status

    assert client.get(own).json == {"count": "1425", "path": "1425"}
    # A variable 'path' is one that shells and jobs would run their programs by.
    assert [each for each in form["enum"] if fits(each) == 400] == ["dotenv", "gitlab"]
    assert fits("xml") == 400


def test_every_problem_a_task_may_meet_is_described(document: dict[str, Any]) -> None:
    described = set(document["paths"]["/api/invocations"]["post"]["responses"])
    elsewhere = {"404"}

    assert {str(kind.status) for kind in PROBLEM_TYPES.values()} - elsewhere <= described


def test_an_exchange_that_failed_fits_the_schema(tmp_path: Path, document: dict[str, Any]) -> None:
    nobody_listens = make_client(tmp_path, demo_connections("http://127.0.0.1:9"))

    answered = nobody_listens.step(method="GET")

    operation = document["paths"]["/api/invocations"]["post"]
    assert answered.json["reason"]["code"] == "connectionFailed"
    assert errors_of(document, schema_of(operation["responses"]["424"]), answered.json) == []


@pytest.mark.parametrize(
    "question",
    [
        {"criteria": "eq(root['count'], '1425')", "body": {"count": 1424}},
        {"criteria": "eq(root['count'], '1425')", "body": {"count": 1425}},
        {"criteria": "eq(root['count'", "body": {}},
        {"criteria": "gt(root, 1)", "body": {}},
        {"criteria": " ", "body": {}},
    ],
)
def test_answers_to_a_criteria_fit_their_schema(
    question: dict[str, object], client: Client, document: dict[str, Any]
) -> None:
    answered = client.post(question, route="api/criteria/evaluate")

    operation = document["paths"]["/api/criteria/evaluate"]["post"]
    assert answered.status == 200
    assert errors_of(document, schema_of(operation["responses"]["200"]), answered.json) == []


def test_its_examples_fit_its_schemas_and_work(client: Client, document: dict[str, Any]) -> None:
    post = document["paths"]["/api/invocations"]["post"]["requestBody"]["content"]

    for media_type, content in post.items():
        example = content["example"]
        if media_type == "application/json":
            assert errors_of(document, content["schema"], example) == []
            example["inputs"]["serviceConnection"] = "demo"
        else:
            example = example.replace("generic_demo", "demo")
        assert client.post(example, headers={"content-type": media_type}).status == 200


def test_every_problem_code_is_listed(document: dict[str, Any]) -> None:
    listed = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]

    assert set(listed) == {kind.code for kind in PROBLEM_TYPES.values()}
