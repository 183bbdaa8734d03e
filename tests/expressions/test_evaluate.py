"""``POST /api/criteria/evaluate`` as a function of the document. Rules: contract, section 5."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

import pytest

from invoke_core.documents import parse_input
from invoke_core.errors import InvalidInputError
from invoke_core.web.criteria import evaluate

from .support import plain

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue


def ask(**question: object) -> dict[str, object]:
    answer = evaluate(parse_input(json.dumps(question)))
    return cast("dict[str, object]", plain(cast("JsonValue", answer)))


def test_the_documentations_own_example() -> None:
    answer = ask(criteria="eq(root['count'], '1425')", body={"count": 1424})

    explanation = cast("dict[str, object]", answer.pop("explanation"))
    assert explanation["text"] == "eq(root['count'], '1425')"
    assert answer == {
        "result": False,
        "kind": "Boolean",
        "value": False,
        "trace": [
            "Evaluating: eq(root['count'], '1425')",
            "Expanded: eq(1424, '1425')",
            "Result: False",
        ],
        "message": "`root['count']` was 1424 (number); expected equal to '1425'.",
        "error": None,
    }


def test_numbers_come_back_as_they_are() -> None:
    answer = ask(criteria="root", bodyText='{"a": 1e999, "b": 1.10}')

    assert answer["value"] == {"a": "1e999", "b": "1.10"}
    assert (answer["result"], answer["kind"], answer["message"]) == (True, "Object", "")


@pytest.mark.parametrize("text", ["", "  \t"])
def test_a_blank_criteria_is_met(text: str) -> None:
    assert ask(criteria=text, bodyText="no JSON") == {
        "result": True, "kind": None, "value": None, "trace": [], "explanation": None,
        "message": "", "error": None,
    }  # fmt: skip


def test_a_criteria_that_does_not_parse_is_an_answer() -> None:
    answer = ask(criteria="eq(root.a, rot.b)", body={})

    message = (
        "Unrecognized value: 'rot' at position 12. Expected a value. Did you mean 'root'?\n"
        "  eq(root.a, rot.b)\n"
        "             ^^^"
    )
    assert answer == {
        "result": None, "kind": None, "value": None, "trace": [], "explanation": None,
        "message": message,
        "error": {
            "phase": "parse", "kind": "UnrecognizedValue", "token": "rot", "position": "12",
            "from": None, "to": None, "message": message,
        },
    } | {"error": {**cast("dict[str, object]", answer["error"]), "position": 12}}  # fmt: skip


def test_a_limit_has_neither_token_nor_place() -> None:
    error = cast("dict[str, object]", ask(criteria="not(" * 60)["error"])

    assert (error["kind"], error["token"], error["position"]) == ("ExceededMaxDepth", None, None)


def test_a_criteria_that_cannot_be_evaluated_is_an_answer() -> None:
    answer = ask(criteria="lt(1, root)", body=[])

    assert (answer["result"], answer["kind"], answer["value"]) == (None, None, None)
    assert answer["trace"] == ["Evaluating: lt(1, root)"]
    assert answer["error"] == {
        "phase": "eval", "kind": "TypeCast", "token": None, "position": None, "from": "Array",
        "to": "Number", "message": answer["message"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "The criteria reads the body, and the answer's body is empty."),
        ({"bodyText": " "}, "The criteria reads the body, and the answer's body is empty."),
        (
            {"bodyText": "<html>"},
            ("The criteria reads the body. This is not JSON: Expecting value at line 1, column 1."),
        ),
    ],
)
def test_a_body_that_is_not_json_matters_only_where_it_is_read(
    given: dict[str, object], message: str
) -> None:
    read = ask(criteria="eq(root.a, 1)", **given)
    unread = ask(criteria="or(eq(response.status, 200), root.a)", **given)

    assert cast("dict[str, object]", read["error"])["kind"] == "NotJson"
    assert read["message"] == f"In `root.a`: {message}"
    assert read["trace"] == ["Evaluating: eq(root['a'], 1)"]
    assert unread["result"] is True


def test_everything_of_an_answer_can_be_given() -> None:
    answer = ask(
        criteria="and(eq(response.statuscode, 'NotFound'), eq(response.headers.etag, 7), "
        "eq(variables.A, 'x'), eq(taskInputs.B, 'true'), eq(response.content, 'hi'))",
        bodyText="hi",
        status=404,
        headers={"ETag": 7},
        variables={"a": {"value": "x", "isSecret": False}},
        taskInputs={"b": True},
        verbose=True,
    )

    assert answer["result"] is True
    assert cast("list[str]", answer["trace"])[0].startswith("Parsing expression: <and(")


def test_a_body_may_be_null() -> None:
    assert ask(criteria="eq(root, '')", body=None)["result"] is True


def test_members_may_be_null_where_they_may_be_left_out() -> None:
    assert ask(
        criteria="eq(response.status, 200)", status=None, headers=None, variables=None,
        taskInputs=None, verbose=None, bodyText=None,
    )["result"]  # fmt: skip


def test_values_of_headers_with_secret_names_are_masked() -> None:
    for criteria in (
        "eq(response.headers['set-cookie'], 'x')",
        "response.headers['set-cookie']",
        "lt(response.headers['Set-Cookie'], root)",
        "response.headers",
    ):
        answer = ask(
            criteria=criteria, headers={"Set-Cookie": "sid=topsecretcookie"}, body={}, verbose=True
        )

        assert "topsecretcookie" not in json.dumps(answer)
        assert "***" in json.dumps(answer) or criteria == "response.headers"
    assert (
        ask(
            criteria="response.headers['set-cookie']", headers={"Set-Cookie": "sid=topsecretcookie"}
        )["value"]
        == "***"
    )


@pytest.mark.parametrize(
    ("criteria", "body", "said"),
    [
        ("eq(count(root.item), 1)", {"items": [1]}, "`root.item`: no such key; there is `items`."),
        ("eq(root.count, 'three')", {"count": 3}, "'three', which cannot be converted to Number."),
        ("eq(1.2.3, root.status)", {"status": "x"}, "expected equal to 1.2.3."),
        ("eq(root.items.id, 1)", {"items": [{"id": 1}]}, "by [0], or all by [*]."),
        ("succeeded()", {}, "It is for the condition of a step."),
        ("jsonpath('[''q''''r'']')", {}, "expected comma, found single quote string"),
    ],
)
def test_a_message_speaks_the_words_of_the_author(
    criteria: str, body: dict[str, object], said: str
) -> None:
    answer = ask(criteria=criteria, body=body)

    assert said in cast("str", answer["message"])


def test_a_constant_that_does_not_fit_is_named_once() -> None:
    answer = ask(criteria="lt(root.count, 'three')", body={"count": 3})

    assert cast("str", answer["message"]).count("'three'") == 1


def test_a_body_text_of_null_counts_as_absent() -> None:
    assert ask(criteria="eq(root, 1)", body=1, bodyText=None)["result"] is True


def test_secret_variables_are_masked() -> None:
    answer = ask(
        criteria="and(eq(variables.pw, 'hunter22'), eq(root.a, 'x'))",
        body={"a": "my hunter22", "hunter22": 1},
        variables={"pw": {"value": "hunter22", "isSecret": True}},
        verbose=True,
    )
    broken = ask(
        criteria="eq('hunter22, 1",
        variables={"pw": {"value": "hunter22", "isSecret": True}},
    )

    assert "hunter22" not in json.dumps(answer)
    assert "hunter22" not in json.dumps(broken)
    assert "***" in cast("str", answer["message"])


VARIABLE = 'A variable is a text, or {"value": a text, "isSecret": true or false}.'
STATUS = "'status' is a whole number from 100 to 999."
FAULTS = [
    (["x"], {"": "Send an object with 'criteria' and one of 'body', 'bodyText'."}),
    ({}, {"/criteria": "'criteria' is missing; give the expression as text."}),
    (
        {
            "criteria": 1, "bodyText": 2, "body": 3, "status": 99, "headers": {"a": [], "A": ""},
            "variables": {"x/y": [], "s": {"value": "v", "secret": True}, "t": {"isSecret": 1}},
            "taskInputs": "x", "verbose": "yes", "statsu": 1,
        },
        {
            "/statsu": "There is no 'statsu' here. Did you mean 'status'?",
            "/criteria": "'criteria' is a text.",
            "/bodyText": "Give 'body' or 'bodyText', not both.",
            "/status": STATUS,
            "/headers/A": "'A' stands here twice; case does not count.",
            "/headers/a": "'a' is a text.",
            "/taskInputs": "'taskInputs' is an object of names and texts.",
            "/verbose": "'verbose' is true or false.",
            "/variables/x~1y": VARIABLE,
            "/variables/s": VARIABLE,
            "/variables/t": VARIABLE,
        },
    ),
    (
        {"criteria": "1", "status": 200.5, "variables": {"t": {"value": [], "isSecret": True}}},
        {
            "/status": STATUS,
            "/variables/t": VARIABLE,
        },
    ),
    ({"criteria": "1", "bodyText": 5}, {"/bodyText": "'bodyText' is a text."}),
    ({"criteria": "1", "status": "200"}, {"/status": STATUS}),
    (
        {"criteria": "1", "variables": {"t": {"value": "abc", "isSecret": True}}},
        {"/variables/t": "A secret has at least 4 characters; a shorter one cannot be masked."},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("question", "faults"), FAULTS, ids=range(len(FAULTS)))
def test_every_fault_is_told_at_once(question: object, faults: dict[str, str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        evaluate(parse_input(json.dumps(question)))

    assert {fault.pointer: fault.detail for fault in caught.value.faults} == faults


@pytest.mark.parametrize(
    ("criteria", "secret"),
    [
        (f"foo(root.{'a' * 50},'SuperSecretToken0123456789')", "SuperSecretToken0123456789"),
        ("eq(root.a,'pa''ss-word-1", "pa'ss-word-1"),
        ("eq(root.a, hunter2,more-secret)", "hunter2,more-secret"),
    ],
    ids=["cut", "unclosed", "in pieces"],
)
def test_a_criteria_with_a_secret_that_does_not_parse_is_not_quoted(
    criteria: str, secret: str
) -> None:
    answer = ask(criteria=criteria, variables={"pw": {"value": secret, "isSecret": True}}, body={})

    error = cast("dict[str, JsonValue]", answer["error"])
    assert error["phase"] == "parse"
    assert error["token"] == "***"
    assert isinstance(error["position"], int)
    for piece in ("SuperSecret", "ss-word", "hunter2", "more-secret"):
        assert piece not in json.dumps(answer)
