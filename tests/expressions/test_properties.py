"""What holds for every expression and document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from invoke_core.documents import JsonNumber, parse_answer
from invoke_core.errors import ExpressionError, ExpressionSyntaxError, ExpressionValueError
from invoke_core.expressions import answer_scope, compile_criteria
from invoke_core.expressions.functions import CRITERIA
from invoke_core.expressions.kinds import Version, kind_of
from invoke_core.expressions.nodes import Access, Call, Literal, print_node
from invoke_core.expressions.output import to_document

from .support import compiled

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue
    from invoke_core.expressions import Scope
    from invoke_core.expressions.nodes import Node

NUMBERS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True
)
TEXTS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "a", "A", "1", "1.5", "1.2.3", "true", "\u00e9", "\ud83d", "*", "x y"]),
    NUMBERS,
)
KEYS = st.sampled_from(["a", "b", "A", "0", "1", "", "*"])
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | TEXTS | NUMBERS.map(JsonNumber),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


PATHS = st.sampled_from(
    ["$", "$.a", "$..*", "a[0]", "$..a", "$[?(@.a==1)]", "$..[?(@>0)].b", "[", "$[*]"]
)
LITERALS = st.one_of(
    TEXTS.map(quoted),
    st.sampled_from(["true", "FALSE", "1.2.3", "-0.5", ".5", "7", "2147483648", "'{0}'", "'{'"]),
    st.integers(-9, 9).map(str),
)


def accesses(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    steps = st.one_of(
        st.sampled_from([".a", ".b", "[*]", ".*", "[0]", "['A']", "[1.5]"]),
        inner.map("[{}]".format),
    )
    bases = st.sampled_from(
        ["root", "variables", "response", "response.headers", "response.content"]
    )
    return st.tuples(bases, st.lists(steps, max_size=3)).map(
        lambda pair: pair[0] + "".join(pair[1])
    )


@st.composite
def calls(draw: st.DrawFn, inner: st.SearchStrategy[str]) -> str:
    function = draw(st.sampled_from(sorted(CRITERIA.functions.values(), key=lambda f: f.name)))
    if function.name == "jsonpath":
        return f"jsonpath({quoted(draw(PATHS))})"
    most = min(function.most, function.least + 2)
    arguments = draw(st.lists(inner, min_size=function.least, max_size=most))
    return f"{function.name}({', '.join(arguments)})"


EXPRESSIONS = st.recursive(
    LITERALS | accesses(LITERALS), lambda inner: calls(inner) | accesses(inner), max_leaves=8
)


def scope_over(root: JsonValue) -> Scope:
    return answer_scope(
        root=lambda: root,
        content=lambda: root,
        status=200,
        headers={"a": "1"},
        variables={"a": "x", "B": ""},
        task_inputs={},
    )


@settings(deadline=None, max_examples=300)
@given(EXPRESSIONS, DOCUMENTS)
def test_both_evaluators_agree_and_raise_only_what_is_declared(text: str, root: JsonValue) -> None:
    criteria = compiled(text)

    verbose = criteria.examine(scope_over(root), mask=lambda shown: shown, verbose=True)
    evaluation = criteria.explain(scope_over(root), mask=lambda shown: shown)
    scope = scope_over(root)
    try:
        value = criteria.value(scope)
    except ExpressionValueError as error:
        assert evaluation.failure is not None
        assert verbose.failure is not None
        facts = (error.kind, error.message, error.from_kind, error.to_kind, error.source)
        for failure in (evaluation.failure, verbose.failure):
            assert facts == (
                failure.kind, failure.message, failure.from_kind, failure.to_kind, text,
            )  # fmt: skip
    else:
        assert evaluation.kind == verbose.kind == kind_of(value).value
        assert evaluation.value == verbose.value == to_document(value)
        assert evaluation.result is verbose.result is criteria.test(scope)
        assert [line for line in verbose.trace if line in evaluation.trace][-1] == evaluation.trace[
            -1
        ]
        assert bool(evaluation.message) is not evaluation.result


def literals(node: Node) -> list[object]:
    """Return every constant of an expression, and None for a wildcard."""
    if isinstance(node, Literal):
        return [node.value]
    if isinstance(node, Call):
        return [each for argument in node.arguments for each in literals(argument)]
    if isinstance(node, Access):
        keys = [[None] if step.key is None else literals(step.key) for step in node.steps]
        return literals(node.base) + [each for key in keys for each in key]
    return []


@settings(deadline=None, max_examples=300)
@given(EXPRESSIONS)
def test_printing_and_parsing_again_changes_nothing(text: str) -> None:
    """Versions and wildcards excepted: traces print those in a way that is no source."""
    once = compiled(text)
    assume(not any(each is None or isinstance(each, Version) for each in literals(once.node)))

    again = compiled(print_node(once.node))

    assert literals(again.node) == literals(once.node)
    assert print_node(again.node) == print_node(once.node)


FRAGMENTS = st.sampled_from(
    ["eq", "and", "root", "(", ")", "[", "]", ",", ".", "*", "'", "''", "1", "-", ".5", "1.2.3",
     " ",
     "a",
     "\u00e9", "\U0001f600", "\u3000", "not(", "true", "x-", "$", '"', "\n"]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(FRAGMENTS, max_size=14).map("".join) | st.text(max_size=30), DOCUMENTS)
def test_any_text_over_any_document_raises_only_what_is_declared(
    text: str, root: JsonValue
) -> None:
    caught: ExpressionError | None = None
    try:
        criteria = compile_criteria(text)
        if criteria is not None:
            criteria.test(scope_over(root))
    except ExpressionError as error:
        caught = error

    assert caught is None or caught.source == text
    if isinstance(caught, ExpressionSyntaxError):
        assert caught.token is not None
        assert caught.position is not None
        units = text.encode("utf-16-le", "surrogatepass")[(caught.position - 1) * 2 :]
        assert units.startswith(caught.token.encode("utf-16-le", "surrogatepass"))


PATH_FRAGMENTS = st.sampled_from(
    ["$", ".", "..", "*", "[", "]", "a", "0", "-1", ":", ",", "?", "(", ")", "@", "==", "!=", "<",
     ">=",
     "&&", "||", "!", "'a'", '"b"', "1.5", "true", "null", " ", "1e5", "=~", "/a/", "length(", "in",
     "\u00e9",
     "\\", "^", "|", "~", "#", "_"]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.lists(PATH_FRAGMENTS, max_size=12).map("".join) | st.text(max_size=20), DOCUMENTS)
def test_any_path_over_any_document_raises_only_what_is_declared(
    path: str, root: JsonValue
) -> None:
    criteria = compiled(f"count(jsonpath({quoted(path)}))")

    try:
        criteria.test(scope_over(root))
    except ExpressionValueError as error:
        assert error.kind == "InvalidPath"  # noqa: PT017  # a path may as well be valid


class Touched(Exception):  # noqa: N818  # a signal of this test
    """Something was evaluated that should not have been."""


def touch() -> JsonValue:
    raise Touched


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("and({values}, false, root)", "true"),
        ("or({values}, true, root)", "false"),
        ("in('x', {values}, 'x', root)", "'y'"),
        ("notIn('x', {values}, 'x', root)", "'y'"),
        ("coalesce({values}, 'x', root)", "''"),
        ("format('{{1}}', root, {values}, root)", "'y'"),
        ("join(root, split({values}, ''))", "'y'"),
    ],
)
@given(count=st.integers(1, 4))
def test_lazy_functions_never_evaluate_what_they_skip(text: str, allowed: str, count: int) -> None:
    values = allowed if "split" in text else ", ".join([allowed] * count)
    criteria = compiled(text.format(values=values))
    scope = answer_scope(
        root=touch, content=touch, status=200, headers={}, variables={}, task_inputs={}
    )

    criteria.test(scope)
    criteria.explain(scope, mask=lambda shown: shown)


def test_the_signal_works() -> None:
    scope = answer_scope(
        root=touch, content=touch, status=200, headers={}, variables={}, task_inputs={}
    )
    with pytest.raises(Touched):
        compiled("and(true, root)").test(scope)


def test_documents_keep_their_numbers() -> None:
    assert parse_answer("1e999") == JsonNumber("1e999")
