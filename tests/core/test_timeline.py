"""The merging of timeline records (agentless protocol, section 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.documents import dump_json, parse_input
from invoke_core.errors import PlanLimitError
from invoke_core.patches import ISSUE_TYPES, STATES, read_patches
from invoke_core.task_events import RESULTS
from invoke_core.timeline import judge_records, merged, shown_records
from tests.core.records import waiting_record

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

    Form = dict[str, JsonValue]

RECORD = waiting_record()
IDS = RECORD.invocation.correlation
OTHER = "0d3c1f5e-7d43-4c8e-8a2b-6f1f0f9d2c11"

texts = st.text(alphabet="aAb1 .\u00e9\u20ac\x1b\n", max_size=4)
whole = st.integers(-(2**31), 2**31 - 1)
times = st.datetimes().map(lambda time: time.isoformat() + "Z")
objects = st.dictionaries(texts, st.one_of(texts, whole, st.booleans(), st.none()), max_size=3)
variables = st.dictionaries(
    st.text(alphabet="aAbB1.", min_size=1, max_size=2),
    st.fixed_dictionaries(
        {}, optional={"value": texts, "isSecret": st.booleans(), "isReadOnly": st.booleans()}
    ),
    max_size=3,
).filter(lambda given: len({name.lower() for name in given}) == len(given))
issues = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(ISSUE_TYPES)},
        optional={
            "category": texts,
            "message": texts,
            "isInfrastructureIssue": st.booleans(),
            "data": st.dictionaries(texts, texts, max_size=2),
        },
    ),
    max_size=2,
)
records = st.fixed_dictionaries(
    {"id": st.sampled_from([IDS.job_id, IDS.task_instance_id, OTHER])},
    optional={
        "parentId": st.sampled_from([IDS.job_id, IDS.plan_id]),
        "type": texts,
        "name": texts,
        "startTime": times,
        "finishTime": times,
        "currentOperation": texts,
        "percentComplete": whole,
        "state": st.sampled_from([*STATES, *range(len(STATES))]),
        "result": st.sampled_from([*RESULTS, *range(len(RESULTS))]),
        "resultCode": texts,
        "workerName": texts,
        "queueId": whole,
        "order": whole,
        "refName": texts,
        "log": st.one_of(
            st.fixed_dictionaries({"id": st.integers(1, 99)}),
            st.integers(1, 99).map(lambda number: f'{{"Id": {number}}}'),
        ),
        "details": st.fixed_dictionaries({"id": st.sampled_from([IDS.job_id, IDS.plan_id])}),
        "errorCount": whole,
        "warningCount": whole,
        "issues": issues,
        "task": st.fixed_dictionaries({}, optional={"name": texts, "version": texts}),
        "variables": variables,
        "identifier": texts,
        "agentSpecification": objects,
    },
)
"""Records as a client may send them."""


def applied(stored: dict[str, Form], *sent: object) -> dict[str, Form]:
    """Return the stored records after a PATCH of these, as they come over the wire."""
    after = dict(stored)
    for patch in read_patches(parse_input(dump_json({"value": sent}))):
        after[patch.id] = merged(after.get(patch.id), patch)
    return after


def shown(stored: dict[str, Form]) -> JsonValue:
    forms = shown_records(RECORD, stored)
    return parse_input(dump_json({**forms}))


@given(st.lists(records, max_size=3), records)
def test_null_members_change_nothing(before: list[Form], sent: Form) -> None:
    stored = applied({}, *before, sent)

    nulls = {name: None if name != "id" else value for name, value in sent.items()}
    part_nulls = {**sent, "name": None, "variables": None}

    assert applied(stored, nulls) == stored
    assert applied(stored, sent) == applied(stored, sent, nulls)
    assert applied(stored, part_nulls)[str(sent["id"])].get("name") == stored[str(sent["id"])].get(
        "name"
    )


@given(st.lists(records, max_size=3))
def test_whole_records_sent_back_as_shown_change_nothing_that_is_shown(sent: list[Form]) -> None:
    stored = applied({}, *sent)
    before = shown(stored)
    assert isinstance(before, dict)

    after = applied(stored, *before.values())

    assert shown(after) == before
    assert applied(after, *before.values()) == after


@given(st.lists(records, max_size=3), records)
def test_a_patch_twice_is_a_patch_once(before: list[Form], sent: Form) -> None:
    once = applied(applied({}, *before), sent)

    assert applied(once, sent) == once


@given(st.lists(records, max_size=4))
def test_the_value_of_a_secret_variable_is_never_in_a_stored_record(sent: list[Form]) -> None:
    for record in applied({}, *sent).values():
        for variable in (record.get("variables") or {}).values():  # type: ignore[union-attr]  # an object, where there is one
            assert isinstance(variable, dict)
            assert "value" in variable
            assert not (variable.get("isSecret") and variable["value"])


def test_variables_merge_without_case_and_keep_their_first_spelling() -> None:
    def record(name: str, **variable: object) -> dict[str, object]:
        return {"id": OTHER, "variables": {name: variable}}

    stored = applied({}, record("Name", value="1", isReadOnly=True), record("NAME", value="2"))

    assert stored[OTHER]["variables"] == {"Name": {"value": "2", "isReadOnly": True}}


def test_a_secret_variable_stays_secret_until_it_is_said_not_to_be() -> None:
    def record(**variable: object) -> dict[str, object]:
        return {"id": OTHER, "variables": {"a": variable}}

    secret = applied({}, record(value="x", isSecret=True))
    again = applied(secret, record(value="y"))
    public = applied(again, record(value="z", isSecret=False))

    assert secret == again
    assert again[OTHER]["variables"] == {"a": {"value": None, "isSecret": True}}
    assert public[OTHER]["variables"] == {"a": {"value": "z"}}


def test_the_size_of_a_record_leaves_the_values_of_its_variables_out() -> None:
    variables = {str(number): {"value": "v" * 32 * 1024} for number in range(100)}
    stored = applied({}, {"id": OTHER, "variables": variables})

    assert judge_records(RECORD, stored, changed=stored.values()) == 100


def test_a_record_is_at_most_256_kib() -> None:
    stored = applied({}, {"id": OTHER, "name": "n" * 256 * 1024})

    with pytest.raises(PlanLimitError, match="256 KiB"):
        judge_records(RECORD, stored, changed=stored.values())
