"""Cases produced by running the original engine, and a few by reading its documentation.

The three that are marked as disputed (``in`` and ``notIn`` with one argument, and whether
``intersect`` heeds case) are listed here and not gated on.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest

from invoke_core.documents import JsonNumber, JsonValue
from invoke_core.errors import ExpressionSyntaxError, ExpressionValueError
from invoke_core.expressions import Scope, compile_criteria
from invoke_core.expressions.kinds import Caseless, kind_of
from invoke_core.expressions.output import to_document

DISPUTED: Final = {"s-arity-033", "s-arity-034", "s-docs-functions-036"}

CASES: Final[list[dict[str, Any]]] = [
    json.loads(line, parse_int=JsonNumber, parse_float=JsonNumber)
    for line in Path(__file__).with_name("conformance.jsonl").read_text("utf-8").splitlines()
]


def test_all_cases_are_there() -> None:
    assert len(CASES) == 1246
    assert {case["id"] for case in CASES if case.get("disputed")} == DISPUTED


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["id"] not in DISPUTED], ids=lambda case: case["id"]
)
def test_the_outcome_is_that_of_the_original(case: dict[str, Any]) -> None:
    expect = {name: _number(value) for name, value in case["expect"].items()}
    if expect.get("error") == "parse":
        with pytest.raises(ExpressionSyntaxError) as caught:
            compile_criteria(case["expr"])
        assert caught.value.kind == expect["kind"]
        assert caught.value.token == expect.get("token")
        place = case["expect"].get("position")
        assert caught.value.position == (None if place is None else int(place.text))
        return
    criteria = compile_criteria(case["expr"])
    if expect.get("empty"):
        assert criteria is None
        return
    assert criteria is not None
    evaluation = criteria.explain(_scope(case), mask=lambda text: text)
    if expect.get("error") == "eval":
        with pytest.raises(ExpressionValueError) as failed:
            criteria.test(_scope(case))
        assert failed.value.kind == expect["kind"]
        assert failed.value.from_kind == expect.get("from")
        assert failed.value.to_kind == expect.get("to")
        assert evaluation.error is not None
        assert evaluation.error["phase"] == "eval"
        assert evaluation.error["kind"] == expect["kind"]
    else:
        value = criteria.value(_scope(case))
        assert kind_of(value).value == expect["kind"] == evaluation.kind
        assert _number(to_document(value)) == expect["value"] == _number(evaluation.value)
        assert criteria.test(_scope(case)) is case["result"]
    assert evaluation.result is case["result"]
    if "trace" in case:
        assert list(evaluation.trace) == case["trace"]


def _scope(case: dict[str, Any]) -> Scope:
    def response() -> Caseless:
        given = case["response"]
        return Caseless({**given, "headers": Caseless(given["headers"])})

    return Scope(
        {
            "root": lambda: case["root"],
            "response": response,
            "variables": lambda: Caseless(case.get("variables", {})),
            "taskInputs": lambda: Caseless(case.get("taskInputs", {})),
        }
    )


def _number(value: JsonValue) -> object:
    """Return a document with numbers to be compared as numbers, which no boolean equals."""
    if isinstance(value, JsonNumber):
        return ("number", Decimal(value.text))
    if isinstance(value, list):
        return [_number(item) for item in value]
    if isinstance(value, dict):
        return {name: _number(member) for name, member in value.items()}
    return value
