"""Events: every row of the table in section 6 of the contract."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from invoke_core.events import Canceled, Exchanged
from invoke_core.model import Effect, Reason, ReasonCode, Result
from tests.pipelines.conftest import basic, make_plan

if TYPE_CHECKING:
    from invoke_core.ports import EntityStore
    from tests.pipelines.conftest import Plan

ZEROS = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize("name", ["TaskAssigned", "TaskStarted"])
def test_an_event_of_a_running_task_is_taken_and_told_in_its_log(name: str, plan: Plan) -> None:
    answered = plan.event(name)

    assert (answered.status, answered.body) == (204, b"")
    assert plan.log_text().endswith(f"2026-11-24T12:00:00.000Z {name}")
    assert not plan.record().is_final


@pytest.mark.parametrize("result", list(Result))
@pytest.mark.parametrize("spell", [str, str.upper, lambda name: list(Result).index(Result(name))])
def test_the_first_completion_ends_the_task(
    result: Result, spell: object, store: EntityStore
) -> None:
    assert callable(spell)
    plan = make_plan(store)

    answered = plan.event(result=spell(result.value))

    assert (answered.status, answered.body) == (204, b"")
    assert plan.record().invocation.result is result


def test_a_result_may_be_its_number_as_text(plan: Plan) -> None:
    assert plan.event(result="2").status == 204

    assert plan.record().invocation.result is Result.FAILED


def test_the_first_completion_costs_four_transactions_and_a_start_two(plan: Plan) -> None:
    before = plan.store.transactions
    plan.event("TaskStarted")
    started = plan.store.transactions
    plan.event()

    assert started - before == 2
    assert plan.store.transactions - started == 4


def test_the_same_completion_again_changes_nothing(plan: Plan) -> None:
    plan.event()
    before = plan.raw()
    plan.clock.move(minutes=5)

    assert [plan.event().status for _ in range(2)] == [204, 204]
    assert plan.raw() == before


def test_another_result_after_an_event_is_refused(plan: Plan) -> None:
    plan.event(result="failed")

    answered = plan.event(result="succeeded")

    assert answered.status == 409
    assert answered.json["message"] == (
        "The task ended by an earlier TaskCompleted event, with the result 'failed'."
    )
    assert answered.json["code"] == "alreadyEnded"
    assert plan.record().invocation.result is Result.FAILED


@pytest.mark.parametrize("result", ["succeeded", "failed", "canceled"])
def test_a_completion_after_another_end_is_refused_even_with_its_result(
    result: str, plan: Plan
) -> None:
    plan.transitions.apply(plan.correlation.plan_id, Canceled())

    answered = plan.event(result=result)

    assert answered.status == 409
    assert "by a cancel request, with the result 'canceled'" in answered.json["message"]


def test_a_completion_after_a_failed_request_is_refused(store: EntityStore) -> None:
    plan = make_plan(store)
    loaded = plan.journal.load(plan.correlation.plan_id)
    assert loaded is not None
    reason = Reason(ReasonCode.CONNECTION_FAILED, "Nobody listens.", Effect.NONE)
    record = plan.record()
    # As while the request is under way, when the external service may already call.
    running = replace(record, report_by=record.invocation.deadline)
    plan.journal.save(loaded, running, [])
    plan.transitions.apply(plan.correlation.plan_id, Exchanged(result=Result.FAILED, reason=reason))

    answered = plan.event(result="failed")

    assert answered.status == 409
    assert "by the answer to its request" in answered.json["message"]


def test_past_the_deadline_nothing_is_in_progress_and_no_event_wins(plan: Plan) -> None:
    plan.clock.move(hours=1)

    task = plan.task()
    answered = plan.event()

    assert (task["state"], task["result"]) == ("completed", "failed")
    assert task["finishTime"] == "2026-11-24T13:00:00.000Z"
    assert answered.status == 409
    assert "by its deadline" in answered.json["message"]


@pytest.mark.parametrize("name", ["TaskAssigned", "TaskStarted"])
def test_a_start_after_the_end_changes_nothing(name: str, plan: Plan) -> None:
    plan.event()
    before = plan.raw()

    assert plan.event(name).status == 204
    assert plan.raw() == before


def test_the_gates_form_names_the_task_instance_as_the_job(plan: Plan) -> None:
    task = plan.correlation.task_instance_id

    started = plan.event("TaskStarted", jobId=task, taskId=None)
    completed = plan.event(jobId=task.upper(), taskId=ZEROS, result="canceled")

    assert (started.status, completed.status) == (204, 204)
    assert plan.record().invocation.result is Result.CANCELED


def test_ids_and_member_names_are_taken_in_any_case(plan: Plan) -> None:
    ids = plan.correlation
    body = {
        "Result": "Succeeded",
        "TASKID": ids.task_instance_id.upper(),
        "jobid": ids.job_id.upper(),
        "Name": "TaskCompleted",
        "whatever": [1],
    }

    assert plan.call("POST", "/events", body).status == 204


@pytest.mark.parametrize(
    "members",
    [
        {"jobId": str(uuid4())},
        {"taskId": str(uuid4())},
        {"taskId": None},
        {"taskId": ZEROS},
        {"jobId": None},
        {"jobId": 5},
        {"jobId": {"a": []}},
    ],
)
def test_an_event_of_another_task_is_refused_and_the_right_ids_named(
    members: dict[str, Any], plan: Plan
) -> None:
    answered = plan.event(**members)

    assert answered.status == 400
    assert plan.correlation.job_id in answered.json["message"]
    assert plan.correlation.task_instance_id in answered.json["message"]
    assert not plan.record().is_final


@pytest.mark.parametrize(
    "members",
    [
        {"name": "JobCompleted"},
        {"name": "JobAssigned"},
        {"name": "taskcompleted"},
        {"name": None},
        {"name": 3},
        {"result": None},
        {"result": "great"},
        {"result": 6},
        {"result": "7"},
        {"result": -1},
        {"result": True},
        {"result": 1.5},
        {"result": 10**400},
        {"result": ["succeeded"]},
    ],
)
def test_an_unknown_name_or_result_is_refused(members: dict[str, Any], plan: Plan) -> None:
    answered = plan.event(**members)

    assert answered.status == 400
    assert answered.json["code"] == "invalidInput"
    assert not plan.record().is_final


def test_every_fault_of_an_event_is_told_at_once(plan: Plan) -> None:
    answered = plan.event(jobId="x", result="great")

    assert [fault["pointer"] for fault in answered.json["errors"]] == ["/jobId", "/result"]
    assert all(fault["detail"] in answered.json["message"] for fault in answered.json["errors"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalidBody"),
        (b"{", "invalidBody"),
        (b"\xff\xfe", "invalidBody"),
        (b'{"name": NaN}', "invalidBody"),
        (b'{"name": "a", "name": "a"}', "invalidBody"),
        (b"[" * 201 + b"]" * 201, "invalidBody"),
        (b"[" * 100_000, "invalidBody"),
        (b"[]", "invalidInput"),
        (b"null", "invalidInput"),
        (b'"TaskCompleted"', "invalidInput"),
        (b"5", "invalidInput"),
        (b'{"name": "TaskStarted", "Name": "TaskStarted"}', "invalidInput"),
    ],
)
def test_what_is_no_event_is_refused(body: bytes, code: str, plan: Plan) -> None:
    answered = plan.call("POST", "/events", body)

    assert (answered.status, answered.json["code"]) == (400, code)


def test_a_byte_order_mark_and_any_content_type_are_accepted(plan: Plan) -> None:
    ids = plan.correlation
    text = (
        f'{{"name": "TaskCompleted", "jobId": "{ids.job_id}", '
        f'"taskId": "{ids.task_instance_id}", "result": "succeeded"}}'
    )

    answered = plan.call(
        "POST", "/events", b"\xef\xbb\xbf" + text.encode(), headers={"content-type": "text/plain"}
    )

    assert answered.status == 204


def test_an_event_that_was_sent_in_chunks_and_dropped_is_told_why(plan: Plan) -> None:
    answered = plan.call("POST", "/events", headers={"transfer-encoding": "Chunked"})

    assert (answered.status, answered.json["code"]) == (411, "lengthRequired")
    assert "Content-Length" in answered.json["message"]


def test_of_completions_side_by_side_one_wins(plan: Plan) -> None:
    results = ["succeeded", "failed", "canceled", "skipped"] * 3
    with ThreadPoolExecutor(len(results)) as threads:
        answered = list(threads.map(lambda result: plan.event(result=result), results))

    won = plan.record().invocation.result
    assert won is not None
    for result, answer in zip(results, answered, strict=True):
        assert answer.status == (204 if result == won.value else 409)
    assert plan.log_text().count("Finished:") == 1


def test_events_side_by_side_are_all_told_in_the_log(plan: Plan) -> None:
    with ThreadPoolExecutor(8) as threads:
        answered = list(threads.map(lambda _: plan.event("TaskStarted"), range(24)))

    assert {answer.status for answer in answered} == {204}
    assert plan.log_text().count("TaskStarted") == 24


def test_a_token_of_another_plan_completes_nothing(store: EntityStore) -> None:
    one, other = make_plan(store), make_plan(store)

    answered = one.call("POST", "/events", {}, headers={"authorization": basic(other.token)})

    assert answered.status == 401
