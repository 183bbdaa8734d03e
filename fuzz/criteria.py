"""Criteria: evaluations and explanations agree, errors are declared, places fit, secrets masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from fuzz.draw import Draw, Target
from invoke_core.documents import dump_json
from invoke_core.errors import ExpressionError, ExpressionSyntaxError, ExpressionValueError
from invoke_core.expressions import Criteria, answer_scope, compile_criteria
from invoke_core.expressions.functions import CRITERIA
from invoke_core.variables import Masker

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.documents import JsonValue
    from invoke_core.expressions import Scope

    Test = Callable[[Criteria, Scope], bool]

SECRET: Final = "hunter2-s3cret"
NAMES: Final = tuple(sorted(function.name for function in CRITERIA.functions.values()))
TOKENS: Final = (
    *NAMES, "(", ")", ",", "[", "]", ".", "*", "root", "root.a", "root[*]", "variables", "response",
    "response.headers", "response.content", "'a'", "''", "'", "1", "-1", ".5", "1.2.3", "true",
    "jsonpath('$..a')", "jsonpath('$.a[?(@.b>1)]')", "'{0}'", "a", SECRET, " ", "\u00e9", "\ud83d",
)  # fmt: skip
LEAVES: Final = tuple(t for t in TOKENS if t[:1] in "r'1-.tv" and len(t) > 1)


def expression(draw: Draw, depth: int = 4) -> str:
    """Return an expression that mostly parses."""
    if not depth or draw.byte() % 3 == 0:
        return draw.pick(LEAVES)
    function = CRITERIA.functions[draw.pick(tuple(sorted(CRITERIA.functions)))]
    count = function.least + draw.byte() % (min(function.most, function.least + 2) + 1)
    return f"{function.name}({', '.join(expression(draw, depth - 1) for _ in range(count))})"


def outcome(test: Test, criteria: Criteria, root: JsonValue) -> object:
    """Return a result, or what an error says."""
    try:
        return test(criteria, scope_over(root))
    except ExpressionValueError as error:
        return (error.kind, error.message, error.from_kind, error.to_kind)


def scope_over(root: JsonValue) -> Scope:
    """Return what a criteria reads, with a secret in it."""
    return answer_scope(
        root=lambda: root,
        content=lambda: root,
        status=200,
        headers={"a": SECRET},
        variables={"a": SECRET},
        task_inputs={},
    )


def cut_out(units: bytes, entry: dict[str, Any]) -> None:
    """Compare each text of an explanation with what stands at its place, in UTF-16 units."""
    if entry["start"] is not None:
        place = units[2 * entry["start"] : 2 * entry["end"]]
        assert place.decode("utf-16-le", "surrogatepass") == entry["text"], entry
    for argument in entry["arguments"] or ():
        cut_out(units, argument)


def check(data: bytes, *, test: Test = Criteria.test) -> None:
    """Compile a criteria and evaluate it in every way."""
    draw = Draw(data)
    mode = draw.byte() % 3
    root = draw.document(TOKENS)
    if mode == 0:
        text = draw.rest()
    elif mode == 1:
        text = "".join(draw.pick(TOKENS) for _ in range(draw.byte() % 24))
    else:
        text = expression(draw)
    try:
        criteria = compile_criteria(text)
    except ExpressionSyntaxError as error:
        assert error.source == text
        return
    if criteria is None:
        assert not text.strip()
        return
    first = outcome(test, criteria, root)
    assert outcome(test, criteria, root) == first
    mask = Masker((SECRET,)).show
    for verbose in (False, True):
        evaluation = criteria.examine(scope_over(root), mask=mask, verbose=verbose)
        failure = evaluation.failure
        if failure is None:
            assert evaluation.result is first
        else:
            assert isinstance(failure, ExpressionError)
            told = (failure.kind, failure.message, failure.from_kind, failure.to_kind)
            assert told == first
        shown = "\n".join(evaluation.trace) + evaluation.message + dump_json(evaluation.explanation)
        assert len(shown) < 4_000_000
        assert SECRET not in shown, shown
        if SECRET not in text:
            cut_out(text.encode("utf-16-le", "surrogatepass"), evaluation.explanation)


SEEDS: Final = (
    "eq(root['count'], '1425')", "and(eq(root.a, 'b'), not(contains(root.c, 'd')))",
    "eq(jsonpath('$.a[?(@.b==1)].c')[0], variables['a'])", "in(response.statuscode, 200, 404)",
)  # fmt: skip
TARGET: Final = Target(
    check,
    (*(b"\0\3\0" + text.encode() for text in SEEDS), b"\2\0\3" + bytes(range(40))),
    TOKENS,
)
