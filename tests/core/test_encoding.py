"""What is stored of an invocation comes back as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from invoke_core.documents import JsonNumber, dump_json, parse_answer
from invoke_core.encoding import SCHEMA, decode, decode_record, encode, encode_record, whole_number
from invoke_core.model import (
    CompletionEvent,
    Correlation,
    CriteriaView,
    Effect,
    Evaluation,
    Invocation,
    Issue,
    IssueType,
    Reason,
    ReasonCode,
    RequestView,
    ResponseView,
    Result,
    State,
)
from invoke_core.records import Ending, Gate, Polling, Record, Work
from tests.state.parts import BAD_STATUS, new_record

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
"""Without lone surrogates, which UTF-8 cannot carry."""

MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
)
NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["1e999", "1E+5", "1.10", "-0", "0.0", "1e-7", "9" * 5000]),
).map(JsonNumber)
JSON: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | TEXTS | NUMBERS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=15,
)
HEADERS = st.dictionaries(TEXTS, TEXTS, max_size=3)

INVOCATIONS = st.builds(
    Invocation,
    id=TEXTS,
    display_name=TEXTS,
    connection=TEXTS,
    caller=TEXTS,
    state=st.sampled_from(State),
    result=st.none() | st.sampled_from(Result),
    reason=st.none()
    | st.builds(Reason, st.sampled_from(ReasonCode), TEXTS, st.sampled_from(Effect)),
    completion_event=st.sampled_from(CompletionEvent),
    request=st.none() | st.builds(RequestView, method=TEXTS, url=TEXTS, headers=HEADERS),
    response=st.none()
    | st.builds(
        ResponseView,
        status=st.integers(100, 999),
        headers=HEADERS,
        body=JSON,
        body_truncated=st.booleans(),
        elapsed_ms=st.integers(0),
    ),
    criteria=st.none()
    | st.builds(
        CriteriaView,
        expression=TEXTS,
        result=st.none() | st.booleans(),
        trace=st.lists(TEXTS, max_size=3).map(tuple),
        explanation=st.none() | st.dictionaries(TEXTS, JSON, max_size=3),
    ),
    attempts=st.integers(0),
    created_at=MOMENTS,
    started_at=st.none() | MOMENTS,
    finished_at=st.none() | MOMENTS,
    deadline=MOMENTS,
    correlation=st.builds(
        Correlation,
        plan_url=TEXTS,
        project_id=TEXTS,
        hub_name=TEXTS,
        plan_id=TEXTS,
        job_id=TEXTS,
        timeline_id=TEXTS,
        task_instance_id=TEXTS,
    ),
    issues=st.lists(st.builds(Issue, st.sampled_from(IssueType), TEXTS), max_size=3).map(tuple),
)
RECORDS = st.builds(
    Record,
    invocation=INVOCATIONS,
    ended_by=st.none() | st.sampled_from(Ending),
    reported=st.none() | st.sampled_from(Result),
    continue_on_error=st.booleans(),
    report_by=st.none() | MOMENTS,
    work=st.none()
    | st.builds(
        Work,
        retries=st.integers(0, 10),
        due_at=st.none() | MOMENTS,
        is_held=st.booleans(),
        holder=TEXTS,
        turn=st.integers(0, 1000),
        interruptions=st.integers(0, 10),
    ),
    token_hash=TEXTS,
    sealed=TEXTS,
    claim=TEXTS,
    content=TEXTS,
)


def with_body(body: JsonValue) -> Record:
    record = new_record(plan_id="plan-1")
    response = replace(BAD_STATUS.response, body=body) if BAD_STATUS.response else None
    return replace(record, invocation=replace(record.invocation, response=response))


def body_of(record: Record) -> JsonValue:
    assert record.invocation.response is not None
    return record.invocation.response.body


@given(RECORDS)
@settings(deadline=None)
def test_any_record_comes_back_whole(record: Record) -> None:
    assert decode_record(encode_record(record)) == record


@pytest.mark.parametrize(
    "text",
    ["9" * 5000, "-" + "1" * 5000, "1e999", "-1E+999", "1E+5", "1.10", "-0", "-0.0", "1.0e0"],
    ids=lambda text: text[:8],
)
def test_numbers_come_back_character_for_character(text: str) -> None:
    record = with_body(parse_answer(f'{{"n":[{text}]}}'))

    assert dump_json(body_of(decode_record(encode_record(record)))) == f'{{"n":[{text}]}}'


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_the_deepest_body_there_can_be_comes_back(opening: str, closing: str) -> None:
    text = opening * 500 + "1" + closing * 500

    record = with_body(parse_answer(text))

    assert dump_json(body_of(decode_record(encode_record(record)))) == text


def test_a_lone_surrogate_is_stored_as_a_replacement_character() -> None:
    record = with_body(parse_answer('{"\\ud800": "a\\udc00b", "pair": "\\ud83d\\ude00"}'))

    stored = body_of(decode_record(encode_record(record)))

    assert stored == {"\ufffd": "a\ufffdb", "pair": "\U0001f600"}


def test_a_big_body_comes_back() -> None:
    body: JsonValue = {"items": [{"name": "ä" * 100, "n": JsonNumber("1.50")}] * 10_000}

    assert body_of(decode_record(encode_record(with_body(body)))) == body


def test_an_explanation_comes_back_as_the_same_document() -> None:
    explanation: dict[str, JsonValue] = {"text": "eq(1, 2)", "start": 0, "end": 8, "arguments": []}
    criteria = CriteriaView(
        expression="eq(1, 2)", result=False, trace=("Result: False",), explanation=explanation
    )
    record = new_record(plan_id="plan-1")
    record = replace(record, invocation=replace(record.invocation, criteria=criteria))

    stored = decode_record(encode_record(record)).invocation.criteria

    assert stored is not None
    assert dump_json(stored.explanation) == dump_json(explanation)


@pytest.mark.parametrize(
    "value",
    [*State, *Result, *CompletionEvent, *Effect, *ReasonCode, *IssueType, *Ending],
    ids=repr,
)
def test_every_name_of_the_contract_is_stored_as_it_is_written_there(value: str) -> None:
    record = new_record(plan_id="plan-1")
    invocation = record.invocation
    match value:
        case State():
            record = replace(record, invocation=replace(invocation, state=value))
        case Result():
            record = replace(record, invocation=replace(invocation, result=value))
        case CompletionEvent():
            record = replace(record, invocation=replace(invocation, completion_event=value))
        case Effect():
            reason = Reason(ReasonCode.CANCELED, "", value)
            record = replace(record, invocation=replace(invocation, reason=reason))
        case ReasonCode():
            reason = Reason(value, "", Effect.NONE)
            record = replace(record, invocation=replace(invocation, reason=reason))
        case IssueType():
            issues = (Issue(value, ""),)
            record = replace(record, invocation=replace(invocation, issues=issues))
        case Ending():
            record = replace(record, ended_by=value)

    stored = encode_record(record)

    assert f'"{value}"'.encode() in stored
    assert decode_record(stored) == record


def test_instants_are_stored_with_milliseconds_in_utc() -> None:
    moment = datetime(2026, 5, 17, 12, 0, 0, 7000, tzinfo=UTC)
    record = new_record(plan_id="plan-1", created_at=moment)

    form = json.loads(encode_record(record))["invocation"]

    assert form["createdAt"] == "2026-05-17T12:00:00.007Z"
    assert decode_record(encode_record(record)).invocation.created_at == moment
    assert decode_record(encode_record(record)).invocation.created_at.utcoffset() == timedelta(0)


def test_every_row_says_which_schema_it_has() -> None:
    assert json.loads(encode({"text": "ä"})) == {"schema": SCHEMA, "text": "ä"}
    assert json.loads(encode_record(new_record()))["schema"] == SCHEMA
    assert whole_number(decode(encode({}))["schema"]) == SCHEMA


NEW_MEMBERS = ("reported", "continueOnError", "work")


def before_background_work(record: Record) -> bytes:
    """Return the row that the version before background work wrote."""
    form = decode(encode_record(record))
    return encode({name: form[name] for name in form if name not in NEW_MEMBERS})


@given(RECORDS.filter(lambda record: record.ended_by is None or record.invocation.result))
@settings(deadline=None)
def test_a_row_of_the_version_before_is_read_as_a_task_within_its_call(record: Record) -> None:
    read = decode_record(before_background_work(record))

    assert (read.work, read.continue_on_error) == (None, False)
    assert replace(read, reported=None) == replace(
        record, reported=None, work=None, continue_on_error=False
    )


@pytest.mark.parametrize(
    ("ended_by", "result", "reported"),
    [
        (Ending.EVENT, Result.SKIPPED, Result.SKIPPED),
        (Ending.CANCEL, Result.CANCELED, None),
        (Ending.DEADLINE, Result.FAILED, None),
        (None, None, None),
    ],
)
def test_what_was_reported_to_the_version_before_is_its_result(
    ended_by: Ending | None, result: Result | None, reported: Result | None
) -> None:
    record = new_record(plan_id="plan-1")
    invocation = replace(record.invocation, result=result)

    row = before_background_work(replace(record, invocation=invocation, ended_by=ended_by))

    assert decode_record(row).reported is reported


def test_work_is_stored_under_the_names_it_has_always_had() -> None:
    due_at = datetime(2026, 5, 17, 12, 0, 1, 500_000, tzinfo=UTC)
    work = Work(retries=3, due_at=due_at, is_held=True, holder="run-2", interruptions=1)
    record = replace(
        new_record(), work=work, reported=Result.FAILED, continue_on_error=True, ended_by=None
    )

    form = json.loads(encode_record(record))

    assert {name: form[name] for name in NEW_MEMBERS} == {
        "reported": "failed",
        "continueOnError": True,
        "work": {
            "retries": 3,
            "dueAt": "2026-05-17T12:00:01.500Z",
            "isHeld": True,
            "holder": "run-2",
            "turn": 0,
            "interruptions": 1,
            "gate": None,
            "poll": None,
        },
    }


def test_a_gate_and_a_poll_are_stored_under_the_names_they_have_always_had_and_come_back() -> None:
    due_at = datetime(2026, 5, 17, 12, 0, 1, 500_000, tzinfo=UTC)
    gate = Gate(
        interval=timedelta(milliseconds=600),
        success=timedelta(minutes=2),
        due_at=due_at,
        succeeded_since=due_at - timedelta(seconds=1),
    )
    poll = Polling(
        interval=timedelta(seconds=10), url="sealed", shown_url="/op", source="location", failures=2
    )
    for work in (Work(gate=gate), Work(gate=replace(gate, succeeded_since=None)), Work(poll=poll)):
        record = replace(new_record(), work=work)
        assert decode_record(encode_record(record)) == record

    form = json.loads(encode_record(replace(new_record(), work=Work(gate=gate, poll=poll))))
    assert form["work"]["gate"] == {
        "intervalMs": 600,
        "successMs": 120_000,
        "dueAt": "2026-05-17T12:00:01.500Z",
        "succeededSince": "2026-05-17T12:00:00.500Z",
    }
    assert form["work"]["poll"] == {
        "intervalMs": 10_000,
        "url": "sealed",
        "shownUrl": "/op",
        "source": "location",
        "failures": 2,
    }


def test_work_of_a_version_that_knew_no_gates_comes_back() -> None:
    record = replace(new_record(), work=Work(retries=1))
    form = json.loads(encode_record(record))
    del form["work"]["gate"]
    del form["work"]["poll"]

    assert decode_record(json.dumps(form).encode()) == record


def test_evaluations_and_outputs_are_shown_as_the_contract_has_them_and_come_back() -> None:
    record = new_record()
    at = datetime(2026, 5, 17, 12, 0, 1, 500_000, tzinfo=UTC)
    failed = Reason(ReasonCode.STATUS_CODE, "The target answered 500.", Effect.ANSWERED)
    evaluations = (
        Evaluation(at=at, result=Result.FAILED, reason=failed, status=500),
        Evaluation(at=at, result=Result.FAILED, reason=failed, status=None),
        Evaluation(at=at, result=Result.SUCCEEDED, reason=None, status=200),
    )
    outputs = {"id": "1", "text": "a\nb\u2028", "": "\ud7ff"}
    record = replace(
        record,
        invocation=replace(record.invocation, evaluations=evaluations, outputs=outputs),
    )

    assert decode_record(encode_record(record)) == record
    form = json.loads(encode_record(record))["invocation"]
    assert form["outputs"] == outputs
    assert form["evaluations"][0] == {
        "at": "2026-05-17T12:00:01.500Z",
        "result": "failed",
        "reason": {
            "code": "statusCode",
            "message": "The target answered 500.",
            "effect": "answered",
        },
        "status": 500,
    }
    assert form["evaluations"][2]["reason"] is None
