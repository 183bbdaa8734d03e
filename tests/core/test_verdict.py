"""An answer and a criteria become a verdict (contract, section 2 "ApiResponse")."""

from __future__ import annotations

import pytest

from invoke_core.answers import AnswerReading
from invoke_core.expressions import compile_criteria
from invoke_core.model import CriteriaView, Effect, Reason, ReasonCode, Result
from invoke_core.variables import Masker
from invoke_core.verdict import StatusCodes, Verdict, judge
from tests.core.build import answer

NOT_JSON = "An expression reads the body of the answer, and it is not JSON. This is not JSON: "


def verdict(
    criteria: str = "",
    body: str = "",
    *,
    status: int = 200,
    valid: str = "200-299",
    headers: tuple[tuple[str, str], ...] = (),
    secret: str = "",
) -> Verdict:
    masker = Masker([secret])
    return judge(
        AnswerReading(answer(body, status=status, headers=headers), credential=Masker(())),
        valid=StatusCodes.parse(valid),
        criteria=compile_criteria(criteria),
        variables={"Region": "west", "key": "swordfish"},
        task_inputs={"urlSuffix": "/a"},
        mask=masker.show,
    )


def view_of(judged: Verdict) -> CriteriaView:
    assert judged.criteria is not None
    return judged.criteria


def reason_of(judged: Verdict) -> Reason:
    assert judged.result is Result.FAILED
    assert judged.reason is not None
    return judged.reason


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("body", ["", "not json", "{}"])
def test_without_a_criteria_a_valid_status_succeeds_whatever_the_body(
    status: int, body: str
) -> None:
    assert verdict(body=body, status=status) == Verdict(result=Result.SUCCEEDED)


@pytest.mark.parametrize("status", [101, 199, 300, 302, 400, 401, 404, 500, 503, 999])
def test_another_status_fails_without_looking_at_the_criteria(status: int) -> None:
    assert verdict("true", "{}", status=status) == Verdict(
        result=Result.FAILED,
        reason=Reason(
            ReasonCode.STATUS_CODE,
            f"The target answered {status}, and validStatusCodes is 200-299.",
            Effect.ANSWERED,
        ),
    )


def test_valid_status_codes_replace_the_default() -> None:
    assert verdict(status=404, valid="404").result is Result.SUCCEEDED
    assert reason_of(verdict(status=200, valid="404,500-599")).message == (
        "The target answered 200, and validStatusCodes is 404,500-599."
    )


def test_a_criteria_that_is_true_succeeds_and_shows_its_trace() -> None:
    judged = verdict("eq(root['count'], '1425')", '{"count": 1425}')

    assert judged == Verdict(
        result=Result.SUCCEEDED,
        criteria=CriteriaView(
            expression="eq(root['count'], '1425')",
            result=True,
            trace=(
                "Evaluating: eq(root['count'], '1425')",
                "Expanded: eq(1425, '1425')",
                "Result: True",
            ),
            explanation=None,
        ),
    )


def test_a_criteria_that_is_false_fails_and_is_explained() -> None:
    judged = verdict("eq(root['count'], '1426')", '{"count": 1425}')

    assert reason_of(judged).code is ReasonCode.CRITERIA_NOT_MET
    assert reason_of(judged).effect is Effect.ANSWERED
    view = view_of(judged)
    assert view.result is False
    assert view.trace[-1] == "Result: False"
    assert view.explanation is not None
    assert view.explanation["text"] == "eq(root['count'], '1426')"


def test_a_criteria_that_cannot_be_evaluated_fails_as_an_error() -> None:
    judged = verdict("gt(root, 1)", "{}")

    assert reason_of(judged).code is ReasonCode.CRITERIA_ERROR
    assert reason_of(judged).message
    assert view_of(judged).result is None
    assert view_of(judged).expression == "gt(root, 1)"


def test_a_number_out_of_range_fails_only_where_the_criteria_reads_it() -> None:
    body = '{"a": 1e999, "b": "c"}'

    assert verdict("eq(root['b'], 'c')", body).result is Result.SUCCEEDED
    assert reason_of(verdict("eq(root['a'], 1)", body)).code is ReasonCode.CRITERIA_ERROR


@pytest.mark.parametrize("criteria", ["eq(root['a'], 1)", "jsonpath('$.a')", "and(true, root)"])
@pytest.mark.parametrize("body", ["<html>", '{"a": NaN}'])
def test_a_criteria_that_touches_a_body_that_is_not_json_fails_by_that_name(
    criteria: str, body: str
) -> None:
    judged = verdict(criteria, body)

    reason = reason_of(judged)
    assert reason.code is ReasonCode.RESPONSE_NOT_JSON
    assert reason.message.endswith(f" It begins with: {body}")
    assert reason.effect is Effect.ANSWERED
    assert judged.criteria == CriteriaView(
        expression=criteria, result=None, trace=(), explanation=None
    )


def test_an_empty_body_is_not_json() -> None:
    reason = reason_of(verdict("root", ""))

    assert reason == Reason(
        ReasonCode.RESPONSE_NOT_JSON,
        "An expression reads the body of the answer, and it is empty.",
        Effect.ANSWERED,
    )


@pytest.mark.parametrize(
    "criteria",
    [
        "true",
        "or(true, root['a'])",
        "and(eq(response['status'], 200), or(true, root))",
        "eq(response['statuscode'], 'OK')",
        "eq(response['content'], '<html>')",
        "eq(response['headers']['x-A'], '1, 2')",
        "eq(variables['REGION'], 'west')",
        "eq(taskInputs['urlsuffix'], '/a')",
    ],
)
def test_a_criteria_that_does_not_touch_the_body_does_not_need_json(criteria: str) -> None:
    judged = verdict(criteria, "<html>", headers=(("X-a", "1"), ("X-A", "2")))

    assert judged.result is Result.SUCCEEDED


def test_a_skipped_branch_does_not_touch_the_body() -> None:
    judged = verdict("and(false, eq(root['a'], 1))", "<html>")

    assert reason_of(judged).code is ReasonCode.CRITERIA_NOT_MET


def test_secrets_are_masked_in_all_that_is_shown_of_a_criteria() -> None:
    body = '{"a": "x swordfish"}'

    met = verdict("ne(variables['key'], root['a'])", body, secret="swordfish")
    missed = verdict("eq('swordfish', root['a'])", body, secret="swordfish")
    failed = verdict("gt(root, 'swordfish')", body, secret="swordfish")
    no_json = verdict("eq(root, 'swordfish')", "a swordfish", secret="swordfish")

    assert met.result is Result.SUCCEEDED
    assert reason_of(no_json).message.endswith(" It begins with: a ***")
    for judged in (met, missed, failed, no_json):
        assert "swordfish" not in repr(judged)
    assert view_of(missed).expression == "eq('***', root['a'])"


def test_a_status_that_is_no_number_is_in_no_range() -> None:
    assert "200" not in StatusCodes.parse("200")
    assert StatusCodes.parse(" 200 - 204 ,404").ranges == ((200, 204), (404, 404))
