"""Timeline records over the wire: what is there from the start, and what PATCH makes of it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from tests.pipelines.conftest import Plan

OTHER = "0d3c1f5e-7d43-4c8e-8a2b-6f1f0f9d2c11"


def guid(number: int) -> str:
    return str(UUID(int=number + 1))


def test_a_job_and_a_task_are_there_from_the_start(plan: Plan) -> None:
    records = plan.records()

    ids = plan.correlation
    job: dict[str, Any] = {
        "id": ids.job_id,
        "parentId": None,
        "type": "Job",
        "name": "Job",
        "startTime": "2026-11-24T12:00:00.000Z",
        "finishTime": None,
        "currentOperation": None,
        "percentComplete": None,
        "state": "inProgress",
        "result": None,
        "resultCode": None,
        "changeId": 0,
        "lastModified": "2026-11-24T12:00:00.000Z",
        "workerName": None,
        "log": None,
        "details": None,
        "errorCount": 0,
        "warningCount": 0,
        "location": None,
        "attempt": 1,
        "identifier": None,
    }
    task = {
        **job,
        "id": ids.task_instance_id,
        "parentId": ids.job_id,
        "type": "Task",
        "name": "Deploy",
    }
    assert list(records.values()) == [job, task]
    assert "b." not in plan.raw()


def test_a_patch_changes_what_it_names_and_answers_the_records_as_stored(plan: Plan) -> None:
    task = plan.correlation.task_instance_id
    plan.clock.move(minutes=1)

    answered = plan.patch(
        {"id": task.upper(), "state": 1, "percentComplete": "40", "result": None, "unknown": [1]},
        {"Id": OTHER, "Type": "Phase", "Name": "mine", "Order": 2},
    )

    assert answered.status == 200
    assert answered.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answered.json["count"] == 2
    first, second = answered.json["value"]
    assert (first["id"], first["state"], first["percentComplete"]) == (task, "inProgress", 40)
    assert (first["name"], first["changeId"]) == ("Deploy", 1)
    assert first["lastModified"] == "2026-11-24T12:01:00.000Z"
    assert (second["id"], second["name"], second["order"]) == (OTHER, "mine", 2)
    assert [*plan.records().values()][1:] == [first, second]


def test_null_changes_nothing_and_a_repeated_patch_writes_nothing(plan: Plan) -> None:
    record = {"id": OTHER, "name": "mine", "workerName": "w", "variables": {"a": {"value": "1"}}}
    plan.patch(record)
    before = plan.raw()
    plan.clock.move(minutes=1)

    again = plan.patch(record)
    nulls = plan.patch({"id": OTHER, **dict.fromkeys([*plan.records()[OTHER]][1:])})
    empty = plan.patch()

    assert again.json == nulls.json
    assert empty.json == {"count": 0, "value": []}
    assert plan.raw() == before


def test_a_whole_record_sent_back_is_accepted_as_it_is(plan: Plan) -> None:
    issue = {"type": 2, "message": "Careful.", "data": {"k": "v"}, "isInfrastructureIssue": True}
    full = {
        "id": OTHER,
        "parentId": plan.correlation.job_id,
        "startTime": "2026-11-24T10:00:00.1234567+01:00",
        "finishTime": "0001-01-01T00:00:00",
        "result": 3,
        "queueId": 7,
        "refName": "r",
        "log": {"id": 4},
        "details": {"id": OTHER, "changeId": 1},
        "issues": [issue],
        "task": {"id": OTHER, "name": "n", "version": "1.0.0", "inputs": {"A": "b"}},
        "variables": {"a": {"value": "1"}, "b": {"value": "x", "isSecret": True}},
        "agentSpecification": {"VMImage": "ubuntu", "deep": [{"x": 1.50}]},
    }
    plan.patch(full)
    plan.clock.move(minutes=1)
    before = plan.records()

    answered = plan.patch(*before.values())

    after = plan.records()
    for record in (*before.values(), *after.values()):
        del record["changeId"], record["lastModified"]
    assert answered.status == 200
    assert after == before
    assert after[OTHER]["startTime"] == "2026-11-24T09:00:00.123456Z"
    assert after[OTHER]["result"] == "canceled"
    assert after[OTHER]["issues"] == [
        {
            "type": "warning",
            "category": None,
            "message": "Careful.",
            "isInfrastructureIssue": True,
            "data": {"k": "v"},
        }
    ]


def test_members_of_the_server_are_not_changed(plan: Plan) -> None:
    sent = {
        "id": OTHER,
        "changeId": 900,
        "lastModified": "2000-01-01T00:00:00Z",
        "attempt": 9,
        "previousAttempts": [{"attempt": 1}],
        "location": "https://evil.example.com",
    }

    (record,) = plan.patch(sent).json["value"]

    assert (record["changeId"], record["attempt"], record["location"]) == (1, 1, None)
    assert record["lastModified"] == "2026-11-24T12:00:00.000Z"
    assert "previousAttempts" not in record


def test_variables_are_merged_by_name_and_issues_replaced(plan: Plan) -> None:
    plan.patch(
        {"id": OTHER, "variables": {"One": {"value": "1"}, "two": {"value": "2"}}},
        {"id": OTHER, "issues": [{"type": "error", "message": "a"}]},
    )
    plan.patch(
        {
            "id": OTHER,
            "variables": {"ONE": {"value": "uno"}, "three": {"value": 3}, "two": None},
            "issues": [{"type": "WARNING", "message": "b"}],
        }
    )

    record = plan.records()[OTHER]

    assert record["variables"] == {
        "One": {"value": "uno"},
        "two": {"value": "2"},
        "three": {"value": "3"},
    }
    assert [issue["message"] for issue in record["issues"]] == ["b"]
    assert plan.journal.variables(plan.correlation.plan_id) == {
        "One": "uno",
        "two": "2",
        "three": "3",
    }
    loaded = plan.journal.load(plan.correlation.plan_id)
    assert loaded is not None
    assert loaded.head.variables == 3


def test_a_secret_variable_is_neither_stored_nor_given_back(plan: Plan) -> None:
    def secret(value: str | None) -> dict[str, Any]:
        return {"variables": {"pass": {"value": value, "isSecret": "true"}}}

    plan.patch({"id": OTHER, "variables": {"pass": {"value": "was public"}}})
    sent = plan.patch({"id": OTHER, "name": "It is hunter22!", **secret("hunter22")})
    plan.patch({"id": OTHER, "variables": {"PASS": {"value": "hunter23"}}})

    shown = plan.records()[OTHER]
    assert shown["variables"] == {"pass": {"value": None, "isSecret": True}}
    assert shown["name"] == "It is ***!"
    assert "hunter2" not in sent.body.decode() + plan.raw()
    assert "was public" not in plan.raw()


@pytest.mark.parametrize("capitals", [False, True])
def test_a_log_is_attached_also_as_json_text(capitals: bool, plan: Plan) -> None:  # noqa: FBT001
    log = plan.call("POST", "/logs", {"path": "logs\\x"}).json
    if capitals:
        log = {name.capitalize(): value for name, value in log.items()}
    task = plan.correlation.task_instance_id

    answered = plan.call(
        "PATCH",
        plan.records_path,
        {"value": [{"Id": task, "Log": json.dumps(log)}], "count": 1},
    )

    assert answered.status == 200
    assert plan.task()["log"] == {"id": 1, "location": None}


@pytest.mark.parametrize(
    "log", ["not json", "[1]", "7", {"id": "x"}, {"id": 1.5}, 5, [], {"id": 2**31}, "[" * 5_000]
)
def test_a_log_that_is_none_is_a_fault_of_the_sender(log: object, plan: Plan) -> None:
    assert plan.patch({"id": OTHER, "log": log}).status == 400


@pytest.mark.parametrize("log", ["null", "{}", {}, {"id": 0}, {"id": None}])
def test_an_unset_log_changes_nothing(log: object, plan: Plan) -> None:
    plan.patch({"id": OTHER, "log": {"id": 3}})

    (record,) = plan.patch({"id": OTHER, "log": log}).json["value"]

    assert record["log"]["id"] == 3


def test_after_the_end_the_records_tell_it_whatever_is_sent(plan: Plan) -> None:
    ids = plan.correlation
    plan.patch({"id": ids.task_instance_id, "state": "completed", "result": "failed"})
    assert not plan.record().is_final
    plan.clock.move(minutes=2)
    plan.event(result="succeededWithIssues")

    late = plan.patch(
        {"id": ids.task_instance_id, "state": "inProgress", "finishTime": "2030-01-01T00:00:00Z"},
        {"id": ids.job_id, "state": 0, "result": 2, "name": "renamed"},
        {"id": OTHER, "state": "inProgress", "variables": {"v": {"value": "late"}}},
    )

    records = plan.records()
    assert late.status == 200
    for own in (ids.job_id, ids.task_instance_id):
        assert records[own]["state"] == "completed"
        assert records[own]["result"] == "succeededWithIssues"
        assert records[own]["finishTime"] == "2026-11-24T12:02:00.000Z"
    assert records[ids.job_id]["name"] == "renamed"
    assert records[OTHER]["state"] == "inProgress"
    assert plan.event(result="succeededWithIssues").status == 204
    assert plan.journal.variables(ids.plan_id) == {"v": "late"}


@pytest.mark.parametrize(
    ("record", "where"),
    [
        ({}, "/value/0"),
        ({"id": None}, "/value/0"),
        ({"id": "x"}, "/value/0/id"),
        ({"id": 5}, "/value/0/id"),
        ({"id": "00000000-0000-0000-0000-000000000000"}, "/value/0"),
        ({"id": OTHER, "State": "great"}, "/value/0/State"),
        ({"id": OTHER, "state": 4}, "/value/0/state"),
        ({"id": OTHER, "result": True}, "/value/0/result"),
        ({"id": OTHER, "percentComplete": 1.5}, "/value/0/percentComplete"),
        ({"id": OTHER, "percentComplete": 10**30}, "/value/0/percentComplete"),
        ({"id": OTHER, "name": {"a": 1}}, "/value/0/name"),
        ({"id": OTHER, "parentId": "x"}, "/value/0/parentId"),
        ({"id": OTHER, "startTime": "soon"}, "/value/0/startTime"),
        ({"id": OTHER, "startTime": "0001-01-01T00:00:00+14:00"}, "/value/0/startTime"),
        ({"id": OTHER, "issues": {}}, "/value/0/issues"),
        ({"id": OTHER, "issues": [{"type": 9}]}, "/value/0/issues/0/type"),
        ({"id": OTHER, "issues": [5]}, "/value/0/issues/0"),
        ({"id": OTHER, "issues": [{"data": {"a/b": []}}]}, "/value/0/issues/0/data/a~1b"),
        ({"id": OTHER, "variables": []}, "/value/0/variables"),
        ({"id": OTHER, "variables": {"a": "b"}}, "/value/0/variables/a"),
        ({"id": OTHER, "variables": {"": {}}}, "/value/0/variables/"),
        ({"id": OTHER, "variables": {"a": {"isSecret": 1}}}, "/value/0/variables/a/isSecret"),
        ({"id": OTHER, "task": []}, "/value/0/task"),
        ({"id": OTHER, "details": {"id": 1}}, "/value/0/details/id"),
        ({"id": OTHER, "agentSpecification": "x"}, "/value/0/agentSpecification"),
        ({"id": OTHER, "name": "a", "Name": "b"}, "/value/0/Name"),
        ([], "/value/0"),
        ("x", "/value/0"),
        (None, "/value/0"),
    ],
)
def test_a_record_that_cannot_be_stored_is_refused_by_its_place(
    record: object, where: str, plan: Plan
) -> None:
    before = plan.raw()

    answered = plan.patch(record, {"id": guid(1)})

    assert answered.status == 400
    assert [fault["pointer"] for fault in answered.json["errors"]] == [where]
    assert plan.raw() == before


@pytest.mark.parametrize("body", [{}, {"value": None}, {"value": {}}, {"value": "x"}, [], "x"])
def test_a_patch_is_a_list_of_records(body: object, plan: Plan) -> None:
    assert plan.call("PATCH", plan.records_path, body).status == 400


def test_any_timeline_is_this_one_whatever_is_asked_of_it(plan: Plan) -> None:
    plan.patch({"id": OTHER})

    records = plan.call("GET", f"/timelines/{OTHER.upper()}/records?changeId=5&api-version=7.1")
    timeline = plan.call("GET", f"/timelines/{OTHER.upper()}")
    whole = plan.call("GET", f"/timelines/{OTHER}?includerecords=True")
    made = plan.call("POST", "/timelines", {"Id": OTHER})
    refused = plan.call("POST", "/timelines", {})

    assert records.json["count"] == 3
    assert (
        timeline.json
        == made.json
        == {
            "id": OTHER,
            "changeId": 1,
            "location": None,
            "lastChangedBy": "00000000-0000-0000-0000-000000000000",
            "lastChangedOn": "2026-11-24T12:00:00.000Z",
        }
    )
    assert whole.json == {**timeline.json, "records": records.json["value"]}
    assert refused.status == 400


def test_the_plan_is_of_a_version_that_sends_the_ordinary_ids(plan: Plan) -> None:
    ids = plan.correlation
    running = plan.call("GET").json
    plan.event()

    assert running == {
        "planId": ids.plan_id,
        "scopeIdentifier": ids.project_id,
        "planType": "build",
        "version": 13,
        "planGroup": None,
        "artifactUri": None,
        "artifactLocation": None,
        "definition": None,
        "owner": None,
        "state": "inProgress",
        "timeline": {"id": ids.timeline_id, "changeId": 0, "location": None},
    }
    assert plan.call("GET").json == {**running, "state": "completed"}


def test_a_plan_takes_a_thousand_records_and_no_more(plan: Plan) -> None:
    ids = plan.correlation
    first = plan.patch(*({"id": guid(number), "name": "n"} for number in range(1_000)))
    own = plan.patch({"id": ids.job_id, "name": "j"}, {"id": ids.task_instance_id, "name": "t"})
    change = plan.patch({"id": guid(0), "name": "m"})
    before = plan.raw()
    more = plan.patch({"id": guid(1), "name": "o"}, {"id": guid(1_000)})

    assert [first.status, own.status, change.status] == [200, 200, 200]
    assert first.json["count"] == 1_000
    assert (more.status, more.json["code"]) == (413, "planLimit")
    assert plan.raw() == before
    assert len(plan.records()) == 1_002


def test_a_plan_takes_a_hundred_variables_of_32_kib_and_no_more(plan: Plan) -> None:
    value = {"value": "v" * 32 * 1024}
    all_of_them = plan.patch({"id": OTHER, "variables": {f"v{n}": value for n in range(100)}})
    another = plan.patch({"id": guid(1), "variables": {"one": {"value": ""}}})
    same = plan.patch({"id": OTHER, "variables": {"V1": {"value": "1"}}})
    longer = plan.patch({"id": OTHER, "variables": {"v1": {"value": "ä" * 16 * 1024 + "x"}}})

    assert [each.status for each in (all_of_them, another, same, longer)] == [200, 413, 200, 413]
    assert "100 variables" in another.json["message"]
    assert "32 KiB" in longer.json["message"]


def test_a_record_is_at_most_256_kib(plan: Plan) -> None:
    assert plan.patch({"id": OTHER, "name": "n" * 255 * 1024}).status == 200
    answered = plan.patch({"id": OTHER, "workerName": "w" * 2 * 1024})

    assert answered.status == 413
    assert "256 KiB" in answered.json["message"]
    assert plan.patch({"id": guid(1), "agentSpecification": {"x": ["y" * 2**18]}}).status == 413


def test_a_json_body_is_at_most_8_mib(plan: Plan) -> None:
    answered = plan.call("PATCH", plan.records_path, b" " * (8 * 2**20 + 1))

    assert (answered.status, answered.json["code"]) == (413, "bodyTooLarge")


def test_patches_side_by_side_lose_nothing(plan: Plan) -> None:
    def patch(number: int) -> int:
        return plan.patch(
            {"id": OTHER, "variables": {f"v{number}": {"value": str(number)}}},
            {"id": guid(number), "name": str(number)},
        ).status

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(patch, range(24)))

    records = plan.records()
    assert statuses == [200] * 24
    assert records[OTHER]["variables"] == {f"v{n}": {"value": str(n)} for n in range(24)}
    assert {records[guid(n)]["name"] for n in range(24)} == {str(n) for n in range(24)}
    assert len({records[guid(n)]["changeId"] for n in range(24)}) == 24
