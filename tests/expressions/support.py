"""Short ways to evaluate an expression in a test."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from invoke_core.documents import JsonNumber, JsonValue, parse_answer
from invoke_core.errors import ExpressionError
from invoke_core.expressions import Criteria, Scope, answer_scope, compile_criteria
from invoke_core.expressions.kinds import kind_of
from invoke_core.expressions.output import to_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke_core.expressions.explain import Evaluation


def document(plain: object) -> JsonValue:
    """Return a Python value, in which a number may be a ``JsonNumber``, as a parsed document."""
    return parse_answer(json.dumps(plain, default=lambda number: float(number.text)))


def scope_of(
    root: object = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    task_inputs: Mapping[str, str] | None = None,
) -> Scope:
    parsed = document(root)
    return answer_scope(
        root=lambda: parsed,
        content=lambda: parsed,
        status=status,
        headers=headers or {},
        variables=variables or {},
        task_inputs=task_inputs or {},
    )


def compiled(text: str) -> Criteria:
    criteria = compile_criteria(text)
    assert criteria is not None
    return criteria


def value_of(text: str, root: object = None) -> tuple[str, object]:
    """Return kind and plain value, after seeing that both evaluators agree on them."""
    value = compiled(text).value(scope_of(root))
    evaluation = explained(text, root)
    assert evaluation.kind == kind_of(value).value
    assert evaluation.value == to_document(value)
    return kind_of(value).value, plain(to_document(value))


def fault_of(text: str, root: object = None) -> tuple[str | None, ...]:
    """Return an error's kind, and what it could not convert to what."""
    evaluation = explained(text, root)
    with pytest.raises(ExpressionError) as caught:
        compiled(text).value(scope_of(root))
    assert evaluation.failure is not None
    assert type(evaluation.failure) is type(caught.value)
    assert str(evaluation.failure) == str(caught.value)
    assert evaluation.error is not None
    facts = (evaluation.error["kind"], evaluation.error["from"], evaluation.error["to"])
    return tuple(str(fact) for fact in facts if fact is not None)


def explained(text: str, root: object = None, *, verbose: bool = False) -> Evaluation:
    return compiled(text).examine(scope_of(root), mask=lambda shown: shown, verbose=verbose)


def plain(value: JsonValue) -> object:
    """Return a document with its numbers as text, so that 1 and True differ."""
    if isinstance(value, JsonNumber):
        return value.text
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    return value
