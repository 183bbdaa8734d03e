"""Who is let in, by which path, and what clients are told before their first call."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from invoke_core.errors import Fault, SettingsError, StoreUnavailableError
from invoke_core.model import CompletionEvent
from invoke_core.web.pipelines import PipelineHandlers
from tests.pipelines.conftest import BASE_URL, basic, call, make_plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke_core.ports import EntityStore
    from tests.pipelines.conftest import Answered, Plan

ROOT = "/azdo/default/"
STRANGE = "0d3c1f5e-7d43-4c8e-8a2b-6f1f0f9d2c11"


def assert_challenged(answered: Answered) -> None:
    assert answered.status == 401
    assert answered.headers["WWW-Authenticate"].startswith('Basic realm="')
    assert answered.body == b""


def encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize("user", ["", "PAT", "Jürgen", "any one"])
def test_basic_is_taken_with_any_user_name(user: str, plan: Plan) -> None:
    answered = plan.call("GET", headers={"authorization": basic(plan.token, user=user)})

    assert answered.status == 200


def test_every_spelling_of_an_authorization_is_taken(plan: Plan) -> None:
    token = plan.token
    latin = encoded("Jürgen:".encode("latin-1") + token.encode())
    padded = encoded(f"ab:{token}".encode())
    assert padded.endswith("=")
    spelled = [
        f"Bearer {token}",
        f"bearer {token}",
        f"BEARER   {token} ",
        f"basic {padded}",
        f"Basic {padded.rstrip('=')}",
        f"Basic {latin}",
    ]

    statuses = [plan.call("GET", headers={"authorization": each}).status for each in spelled]

    assert statuses == [200] * len(spelled)


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Bearer",
        "Basic ",
        "Basic !!!",
        "Basic \xe9\xe9",
        "Bearer \xe9",
        "Basic " + encoded(b"\xff\xfe:\xff"),
        "Basic " + encoded(b"no colon"),
        "Digest {token}",
        "{token}",
        "Bearer {token},Bearer {token}",
        "Bearer {token}=",
        "Bearer {shorter}",
        "Bearer " + "A" * 43,
        "Bearer " + "A" * 100_000,
        "Basic {as_user}",
    ],
)
def test_whatever_is_no_token_of_the_plan_is_challenged(authorization: str, plan: Plan) -> None:
    given = authorization.format(
        token=plan.token, shorter=plan.token[:-1], as_user=encoded(f"{plan.token}:".encode())
    )

    for method, path in [("GET", ""), ("POST", "/events"), ("HEAD", ""), ("GET", "/nowhere")]:
        assert_challenged(plan.call(method, path, headers={"authorization": given}))


def test_without_the_header_the_answer_is_a_challenge(plan: Plan) -> None:
    assert_challenged(call(plan.handlers, "POST", f"{plan.path}/events", {}))


def test_a_token_of_the_wrong_form_costs_no_read(plan: Plan) -> None:
    before = plan.store.transactions

    assert_challenged(plan.call("GET", headers={"authorization": "Bearer short"}))
    assert plan.store.transactions == before


@pytest.mark.parametrize(
    "plan_id",
    [
        STRANGE,
        "00000000-0000-0000-0000-000000000000",
        "x",
        "..",
        "%2F",
        "a.plan",
        "list-79738875",
        "%00",
        "x" * 5_000,
    ],
)
def test_an_unknown_plan_looks_like_a_wrong_token(plan_id: str, plan: Plan) -> None:
    path = plan.path.rpartition("/")[0] + f"/{plan_id}"

    for method, tail in [("GET", ""), ("POST", "/events"), ("PATCH", plan.records_path)]:
        answered = call(
            plan.handlers, method, path + tail, {}, headers={"authorization": basic(plan.token)}
        )
        assert_challenged(answered)


def test_only_a_callback_has_a_plan_to_open(store: EntityStore) -> None:
    plan = make_plan(store, completion_event=CompletionEvent.API_RESPONSE)

    assert_challenged(plan.call("GET"))


def test_a_plan_is_open_for_a_day_after_its_end(plan: Plan) -> None:
    plan.event()
    plan.clock.move(hours=23, minutes=59)
    late = plan.event()
    plan.clock.move(minutes=1)

    assert late.status == 204
    assert_challenged(plan.event())


def test_a_deadline_nobody_saw_ends_the_plan_and_closes_it_a_day_later(plan: Plan) -> None:
    plan.clock.move(hours=25)

    assert_challenged(plan.event())


def test_a_plan_is_found_however_its_path_is_written(plan: Plan) -> None:
    path = plan.path
    written = [
        path.upper(),
        path.replace("/azdo/default/", "/azdo/default//"),
        path.replace("/", "//"),
        path + "/",
        path.replace("/_apis", "%2Fodd%20name/_apis").replace("build", "rm"),
        path.replace("hubs/build", "hubs/Gates"),
        path.replace("_apis/distributed", "%5Fapis/distributed"),
        "/azdo/default" + path[path.index("/_apis") :],
        path + "?api-version=2.0-preview.1",
    ]

    for each in written:
        answered = call(plan.handlers, "GET", each, headers={"authorization": basic(plan.token)})
        assert answered.status == 200, each
        assert answered.json["planId"] == plan.correlation.plan_id


def test_an_event_with_a_doubled_slash_is_an_event(plan: Plan) -> None:
    path = plan.path.replace("/azdo/default/", "/azdo/default//")
    body = {
        "name": "TaskCompleted",
        "jobId": plan.correlation.job_id,
        "taskId": plan.correlation.task_instance_id,
        "result": "succeeded",
    }

    answered = call(
        plan.handlers,
        "POST",
        f"{path}/events",
        body,
        headers={"authorization": basic(plan.token), "expect": "100-continue", "x-odd": "1"},
    )

    assert answered.status == 204


@pytest.mark.parametrize(
    ("method", "tail"),
    [
        ("HEAD", ""),
        ("PUT", ""),
        ("DELETE", ""),
        ("OPTIONS", ""),
        ("GET", "/events"),
        ("PUT", "/logs"),
        ("PATCH", "/logs/1"),
        ("POST", "/nowhere"),
        ("GET", "/logs/1/more"),
        ("GET", "/timelines/x"),
        ("GET", "/timelines/x/records"),
        ("PATCH", "/timelines/%2e%2e/records"),
        ("POST", f"/timelines/{STRANGE}/records/x/feed"),
        ("POST", f"/timelines/{STRANGE}/records/%2F/feed"),
        ("GET", "/logs/1"),
        ("GET", "/logs/0"),
        ("GET", "/logs/-1"),
        ("GET", "/logs/x"),
        ("POST", "/logs/\u0661"),
        ("POST", "/logs/99999999999999999999"),
    ],
)
def test_what_a_plan_does_not_have_is_not_found(method: str, tail: str, plan: Plan) -> None:
    answered = plan.call(method, tail, b"x")

    assert answered.status == 404
    assert answered.headers["Content-Type"] == "application/json"
    assert answered.json["typeKey"] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/azdo"),
        ("GET", "/azdo/"),
        ("GET", "/azdo/default"),
        ("GET", "/azdo/other/_apis/connectionData"),
        ("GET", ROOT + "a/b/_apis/connectionData"),
        ("GET", ROOT + "../_apis/../_apis/connectionData"),
        ("GET", ROOT + "_apis"),
        ("POST", ROOT + "_apis/connectionData"),
        ("GET", ROOT + "_apis/nothing"),
        ("OPTIONS", ROOT + "_apis/distributedtask/hubs"),
        ("GET", ROOT + "_apis/ResourceAreas/a85b8835-c1a1-4aac-ae97-1c3d0ba72dbd"),
        ("GET", ROOT + "p/_apis/distributedtask/hubs/build/plans"),
        ("GET", ROOT + "p/_apis/distributedtask%2Fhubs/build/plans/x"),
    ],
)
def test_an_unknown_address_is_an_error_in_both_shapes(method: str, path: str, plan: Plan) -> None:
    answered = call(plan.handlers, method, path)

    assert answered.status == 404
    assert answered.headers["Content-Type"] == "application/json"
    assert answered.json == {
        "$id": "1",
        "innerException": None,
        "message": "There is nothing at this address, or not with this method.",
        "typeName": "InvokeRestApi.ResourceNotFoundException, InvokeRestApi",
        "typeKey": "ResourceNotFoundException",
        "errorCode": 0,
        "eventId": 3000,
        "type": "urn:invoke-rest-api:problem:resourceNotFound",
        "title": "There is nothing at this address",
        "status": 404,
        "detail": "There is nothing at this address, or not with this method.",
        "instance": path,
        "code": "resourceNotFound",
        "errors": [],
    }


LOCATIONS = {
    "557624af-b29e-4c20-8ab0-0399d2204f3f": "/plans/{planId}/{resource}",
    "5cecd946-d704-471e-a45f-3b4064fcfaba": "/{resource}/{planId}",
    "83597576-cc2c-453c-bea6-2882ae6a1653": "/plans/{planId}/{resource}/{timelineId}",
    "8893bc5b-35b2-4be7-83cb-99e683551db4": (
        "/plans/{planId}/timelines/{timelineId}/{resource}/{recordId}"
    ),
    "858983e4-19bd-4c5e-864c-507b59b58b12": (
        "/plans/{planId}/timelines/{timelineId}/records/{recordId}/{resource}"
    ),
    "46f5667d-263a-4684-91b1-dff7fdcf64e2": "/plans/{planId}/{resource}/{logId}",
}


@pytest.mark.parametrize(
    "path", ["_apis", "_apis/", "/_apis", "p/_apis", "_APIS?allHostTypes=true"]
)
def test_all_locations_are_told_to_anybody(path: str, plan: Plan) -> None:
    answered = call(plan.handlers, "OPTIONS", ROOT + path)

    by_id = {each["id"]: each for each in answered.json["value"]}
    prefix = "{scopeIdentifier}/_apis/{area}/hubs/{hubName}"
    assert (answered.status, answered.json["count"]) == (200, 8)
    assert answered.headers["Content-Type"] == "application/json; charset=utf-8"
    for location, template in LOCATIONS.items():
        assert by_id[location]["routeTemplate"] == prefix + template
    for each in by_id.values():
        assert each["id"] == each["id"].lower()
        assert isinstance(each["resourceVersion"], int)
        assert (each["maxVersion"], each["releasedVersion"]) == ("7.2", "7.1")
        assert "." in each["minVersion"]


@pytest.mark.parametrize(
    ("area", "count"), [("distributedtask", 6), ("DistributedTask/", 6), ("location", 2), ("x", 0)]
)
def test_locations_are_told_by_area(area: str, count: int, plan: Plan) -> None:
    answered = call(plan.handlers, "OPTIONS", f"{ROOT}_apis/{area}")

    assert (answered.status, answered.json["count"]) == (200, count)
    assert len(answered.json["value"]) == count


def test_the_connection_data_are_the_same_for_ever(plan: Plan) -> None:
    query = "?connectOptions=1&lastChangeId=-1&lastChangeId64=-1"
    answers: list[Any] = [
        call(plan.handlers, "GET", ROOT + path).json
        for path in (
            "_apis/connectionData",
            "_apis/ConnectionData" + query,
            "/p/_apis/connectiondata",
        )
    ]

    data = answers[0]
    location = data["locationServiceData"]
    (mapping,) = location["accessMappings"]
    assert answers == [data] * 3
    assert data["instanceId"] != "00000000-0000-0000-0000-000000000000"
    assert mapping["accessPoint"] == f"{BASE_URL}/azdo/default/"
    assert mapping["moniker"] == location["defaultAccessMappingMoniker"]
    assert location["serviceOwner"] == "00000000-0000-0000-0000-000000000000"


def test_there_are_no_resource_areas(plan: Plan) -> None:
    answered = call(plan.handlers, "GET", ROOT + "_apis/resourceAreas")

    assert (answered.status, answered.json) == (200, {"count": 0, "value": []})


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("OPTIONS", ROOT + "_apis"),
        ("GET", ROOT + "_apis/connectionData"),
        ("POST", ROOT + f"p/_apis/distributedtask/hubs/build/plans/{STRANGE}/events"),
    ],
)
def test_faulty_settings_are_named_in_the_same_shape(method: str, path: str) -> None:
    fault = SettingsError([Fault("STATE_KEY", "It takes 32 bytes in Base64.")])
    handlers = PipelineHandlers(fault, base_url="", new_id=lambda: "")

    answered = call(handlers, method, path)

    assert (answered.status, answered.json["code"]) == (503, "misconfigured")
    assert answered.json["message"].endswith("faulty: STATE_KEY.")
    assert answered.json["errors"][0]["pointer"] == "STATE_KEY"


@pytest.mark.parametrize(
    ("error", "status", "headers"),
    [
        (StoreUnavailableError("InvokeStorage", "timeout"), 503, {"Retry-After": "5"}),
        (ZeroDivisionError("secret detail"), 500, {}),
    ],
)
def test_what_breaks_is_told_in_the_same_shape(
    error: Exception, status: int, headers: Mapping[str, str], plan: Plan
) -> None:
    class Broken:
        def open(self, *_: str) -> None:
            raise error

    handlers = PipelineHandlers(Broken(), base_url=BASE_URL, new_id=lambda: "i-1")  # type: ignore[arg-type]  # a part that breaks

    answered = call(handlers, "GET", plan.path, headers={"authorization": basic(plan.token)})

    assert answered.status == status
    assert answered.headers["Content-Type"] == "application/json"
    assert headers.items() <= dict(answered.headers).items()
    assert "secret detail" not in answered.body.decode()
    assert {"$id", "message", "typeKey", "code"} <= answered.json.keys()
