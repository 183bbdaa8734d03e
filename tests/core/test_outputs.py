"""What a task puts out of its answer (contract, section 3, "Outputs")."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest

from invoke_core.answers import AnswerReading
from invoke_core.expressions import JsonPath
from invoke_core.outputs import LONGEST_OUTPUT_BYTES, outputs_of
from invoke_core.variables import Masker
from tests.core.build import answer

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

SECRET: Final = "swordfish"
CREDENTIAL: Final = "opensesame"


def put_out(
    body: str | bytes, *, secrets: tuple[str, ...] = (SECRET,), **paths: str
) -> tuple[dict[str, str], list[str]]:
    reading = AnswerReading(answer(body), credential=Masker([CREDENTIAL]))
    parsed = {name: JsonPath.parse(path) for name, path in paths.items()}
    return outputs_of(reading, parsed, masker=Masker(secrets))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ('"text"', "text"),
        ('""', ""),
        ('" a\\nb "', " a\nb "),
        ("true", "true"),
        ("false", "false"),
        ("null", "null"),
        ("0", "0"),
        ("-0", "-0"),
        ("1.10", "1.10"),
        ("1E+2", "1E+2"),
        ("1e999", "1e999"),
        ("12345678901234567890.000000000000000001", "12345678901234567890.000000000000000001"),
        ("[]", "[]"),
        ('[1.0, "a", null]', '[1.0,"a",null]'),
        ('{"b": {"c": 1.50}, "a": "é"}', '{"b":{"c":1.50},"a":"é"}'),
        ('"\\ud800"', "\ud800"),
    ],
)
def test_text_is_put_out_as_it_is_and_anything_else_as_json(value: str, text: str) -> None:
    assert put_out(f'{{"x": {value}}}', out="$.x") == ({"out": text}, [])


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("$.items[*].id", "1"),
        ("$.items[-1].id", "3"),
        ("$..id", "1"),
        ("$.items[?(@.id > 1)].id", "2"),
        ("$.items[0]['a b']", "x"),
        ("$", '{"items":[{"id":1,"a b":"x"},{"id":2},{"id":3}]}'),
    ],
)
def test_the_first_match_is_put_out(path: str, text: str) -> None:
    body = '{"items": [{"id": 1, "a b": "x"}, {"id": 2}, {"id": 3}]}'

    assert put_out(body, out=path) == ({"out": text}, [])


def test_what_is_not_there_is_left_out_with_a_remark_and_the_rest_is_put_out() -> None:
    assert put_out('{"a": 1}', gone="$.b", out="$.a", deeper="$.a.b") == (
        {"out": "1"},
        [
            "The output 'gone' is left out: nothing in the answer is at its path.",
            "The output 'deeper' is left out: nothing in the answer is at its path.",
        ],
    )


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f600"])
def test_an_output_has_32_kib_at_most_of_utf_8(letter: str) -> None:
    fits = letter * (LONGEST_OUTPUT_BYTES // len(letter.encode()))
    body = json.dumps({"fits": fits, "long": fits + letter, "list": [fits]}, ensure_ascii=False)

    assert put_out(body, fits="$.fits", long="$.long", list="$.list") == (
        {"fits": fits},
        [
            "The output 'long' is left out: it has over 32,768 bytes.",
            "The output 'list' is left out: it has over 32,768 bytes.",
        ],
    )


def test_a_path_that_visits_too_much_is_left_out() -> None:
    body = json.dumps([[[[0] * 100] * 100] * 20] * 3)

    outputs, (remark,) = put_out(body, out="$..[?(@..[?(@ == 1)])]", first="$[0][0][0][0]")

    assert outputs == {"first": "0"}
    assert remark.startswith("The output 'out' is left out: ")


@pytest.mark.parametrize("body", ["", "text", "<a/>", '{"a": NaN}', "[" * 501 + "]" * 501])
def test_an_answer_that_is_not_json_has_no_outputs(body: str) -> None:
    outputs, (remark,) = put_out(body, a="$.a", b="$.b")

    assert outputs == {}
    assert remark.startswith("There are no outputs. ")


def test_a_task_without_outputs_does_not_mind_what_the_answer_is() -> None:
    assert put_out("text") == ({}, [])


def test_secrets_are_masked_in_texts_and_names_but_not_in_numbers() -> None:
    document: JsonValue = {
        "text": f"a {SECRET} b",
        "credential": CREDENTIAL,
        "url": "https://h/x?sig=abc&a=b",
        "object": {SECRET: [f"{SECRET}!", 1425], "n": 1425},
        "number": 1425,
    }
    paths = {name: f"$.{name}" for name in ("text", "credential", "url", "object", "number")}

    assert put_out(json.dumps(document), secrets=(SECRET, "1425"), **paths) == (
        {
            "text": "a *** b",
            "credential": "***",
            "url": "https://h/x?sig=***&a=b",
            "object": '{"***":["***!",1425],"n":1425}',
            "number": "1425",
        },
        [
            f"The output '{name}' holds a secret, which reads *** in it."
            for name in ("text", "credential", "url", "object")
        ],
    )


def test_a_secret_is_found_behind_escapes() -> None:
    body = '{"x": "\\u0073wordfish", "y": ["\\u0073wordfish"]}'

    outputs, remarks = put_out(body, x="$.x", y="$.y")

    assert outputs == {"x": "***", "y": '["***"]'}
    assert len(remarks) == 2
