"""One evaluation costs only so much, whatever it is made of."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

import pytest

from invoke_core.documents import parse_answer
from invoke_core.errors import ExpressionValueError
from invoke_core.expressions import answer_scope
from invoke_core.expressions.faults import EvaluationFault
from invoke_core.expressions.work import FREE_TEXT, MOST_NODES, MOST_STEPS, Work

from .support import compiled

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue
    from invoke_core.expressions import Scope

ITEMS: Final = parse_answer(json.dumps([f"item{number}" for number in range(100_000)]))
OBJECTS: Final = parse_answer(json.dumps([{"id": number} for number in range(100_000)]))
NUMBERS: Final = parse_answer("[" + "1.5," * 99_999 + "2]")
TEXTS: Final = parse_answer(
    json.dumps(
        {
            "sharp": "\u00df" * 400_000,
            "emoji": "\U0001f600" * 200_000,
            "plain": "x" * 500_000,
            "digits": "1," * 250_000,
            "braces": "{{" * 250_000,
            "blanks": " " * 500_000,
            "path": "$" + ".a" * 10_000,
            "query": "?key" * 125_000,
            "half": "\u00e9" * 999,
            "many": ["\u00e9" * 999] * 1_000,
            "keys": {f"{number:03}{'a' * 30}": number for number in range(1_000)},
            "number": {"long": 0},
        },
        ensure_ascii=False,
    )
)
FRACTION: Final = "0." + "1" * 997
ASTRAL: Final = "\U00010400"
MIDDLING: Final = parse_answer(
    json.dumps(
        {
            "versions": ["1.2.3" + " " * 990] * 2_000,
            "plain": ["a" * 999] * 2_000,
            "other": "b" * 999,
            "astral": [ASTRAL * 999] * 1_000,
            "short": [ASTRAL * 2] * 20_000,
            "apostrophe": "\u0149" * 999,
            "two": "\u0149" * 2,
            "decimals": ["5." + "7" * 40] * 20_000,
        }
    )
)
"""Items of a length that would be free, were there only one of each."""
FRACTIONS: Final = parse_answer('{"l":[' + ",".join([FRACTION] * 10_000) + "]}")
DOUBLES: Final = parse_answer('{"l":[' + ",".join(["1.234567890123456e5"] * 20_000) + "]}")
ZEROS: Final = parse_answer('{"l":[' + ",".join(["1e-300"] * 20_000) + "]}")
WHOLES: Final = parse_answer('{"l":[' + ",".join(['{"n":' + "1" * 999 + "}"] * 10_000) + "]}")
LONG_NUMBER: Final = parse_answer('{"n": 0.' + "1" * 2_000_000 + "}")


def scope_over(root: JsonValue) -> Scope:
    return answer_scope(
        root=lambda: root, content=lambda: root, status=200, headers={}, variables={},
        task_inputs={},
    )  # fmt: skip


def repeated(term: str, *, head: str = "or", last: str = "0") -> str:
    """Return a criteria of the greatest length that evaluates a term again and again."""
    count = (20_990 - len(last)) // (len(term) + 1)
    return f"{head}({','.join([term] * count)},{last})"


COSTLY: Final = [
    ("count(jsonpath('$..*'))", ITEMS, "and", "TooManyNodes"),
    ("jsonpath('$[?(@.id==1)]')", OBJECTS, "and", "TooManyNodes"),
    ("count(jsonpath('$[?(@.id<0||@.id==1)]'))", OBJECTS, "and", "TooManyNodes"),
    ("root[*]", ITEMS, "and", "TooMuchWork"),
    ("root[*].id", OBJECTS, "and", "TooMuchWork"),
    ("root[*][*]", OBJECTS, "and", "TooMuchWork"),
    ("containsValue(root,'none')", ITEMS, "or", "TooMuchWork"),
    ("containsValue(root,5)", ITEMS, "or", "TooMuchWork"),
    ("containsValue(root,5)", NUMBERS, "or", "TooMuchWork"),
    ("containsValue(root,1.2.3)", ITEMS, "or", "TooMuchWork"),
    ("containsValue(root,false)", OBJECTS, "or", "TooMuchWork"),
    ("containsValue(root.many,root.half)", TEXTS, "and", True),
    ("containsValue(root.many,upper(root.half))", TEXTS, "and", True),
    ("containsValue(root.many,format('{0}x',root.half))", TEXTS, "or", "TooMuchWork"),
    ("intersect(root,root)", ITEMS, "and", "TooMuchWork"),
    ("not(join('',intersect(root,root)))", NUMBERS, "or", "TooMuchWork"),
    ("contains(root.sharp,'SS')", TEXTS, "or", "TooMuchWork"),
    ("eq(root.sharp,root.emoji)", TEXTS, "or", "TooMuchWork"),
    ("lt(root.sharp,root.emoji)", TEXTS, "and", "TooMuchWork"),
    ("eq(root.plain,root.digits)", TEXTS, "or", "TooMuchWork"),
    ("eq(1,root.digits)", TEXTS, "or", "TooMuchWork"),
    ("eq(1,root.blanks)", TEXTS, "or", "TooMuchWork"),
    ("startsWith(root.plain,'y')", TEXTS, "or", "TooMuchWork"),
    ("endsWith(root.sharp,'y')", TEXTS, "or", "TooMuchWork"),
    ("upper(root.emoji)", TEXTS, "and", "TooMuchWork"),
    ("lower(root.sharp)", TEXTS, "and", "TooMuchWork"),
    ("trim(root.blanks)", TEXTS, "or", "TooMuchWork"),
    ("split(root.digits,',')", TEXTS, "and", "TooMuchWork"),
    ("replace(root.digits,'1','2')", TEXTS, "and", "TooMuchWork"),
    ("format(root.braces)", TEXTS, "and", "TooMuchWork"),
    ("isUrl(root.plain)", TEXTS, "or", "TooMuchWork"),
    ("isNullOrEmpty(root.query)", TEXTS, "or", "TooMuchWork"),
    ("convertToJson(root.sharp)", TEXTS, "and", "TooMuchWork"),
    ("jsonpath(root.path)", TEXTS, "and", "TooMuchWork"),
    ("root.n", LONG_NUMBER, "and", "TooMuchWork"),
    ("root.keys." + "a" * 33, TEXTS, "or", False),
    ("not(root.l[*][0])", FRACTIONS, "or", "TooMuchWork"),
    ("not(root.l[*].x)", FRACTIONS, "or", "TooMuchWork"),
    ("not(count(intersect(root.l,root.l)))", FRACTIONS, "or", "TooMuchWork"),
    ("not(count(intersect(root.l,root.l)))", DOUBLES, "or", "TooMuchWork"),
    ("containsValue(root.l,'1')", DOUBLES, "or", "TooMuchWork"),
    ("containsValue(root.l,1)", DOUBLES, "or", "TooMuchWork"),
    ("not(join('',root.l))", ZEROS, "or", "TooMuchWork"),
    ("containsValue(root.versions,1.2.4)", MIDDLING, "or", "TooMuchWork"),
    ("containsValue(root.decimals,1)", MIDDLING, "or", "TooMuchWork"),
    ("containsValue(root.plain,root.other)", MIDDLING, "or", "TooMuchWork"),
    ("containsValue(root.astral,root.apostrophe)", MIDDLING, "or", "TooMuchWork"),
    ("containsValue(root.short,root.two)", MIDDLING, "or", "TooMuchWork"),
    ("not(jsonpath('$.l[?(@.n==1)]'))", WHOLES, "or", "TooManyNodes"),
    ("not(jsonpath('$.short[?(@<''x'')]'))", MIDDLING, "or", "TooManyNodes"),
]


@pytest.mark.parametrize(
    ("term", "root", "head", "expected"),
    COSTLY,
    ids=[f"{number} {case[0][:30]}" for number, case in enumerate(COSTLY)],
)
@pytest.mark.parametrize("verbose", [None, False, True], ids=["result", "trace", "verbose"])
def test_what_is_repeated_is_paid_for_again(
    term: str,
    root: JsonValue,
    head: str,
    expected: bool | str,  # noqa: FBT001  # what is to be expected
    verbose: bool | None,  # noqa: FBT001  # likewise
) -> None:
    criteria = compiled(repeated(term, head=head, last="1" if head == "and" else "0"))
    outcome: object
    started = time.process_time()

    if verbose is None:
        try:
            outcome = criteria.test(scope_over(root))
        except ExpressionValueError as error:
            outcome = error.kind
    else:
        evaluation = criteria.explain(
            scope_over(root), mask=lambda text: text.replace("?key=", "***"), verbose=verbose
        )
        assert evaluation.explanation
        outcome = evaluation.error["kind"] if evaluation.error else evaluation.result

    assert outcome == expected
    # Each takes about half a second of a processor, verbose ones twice as much.
    assert time.process_time() - started < 4


BIG: Final = parse_answer(
    json.dumps(
        {
            "log": "\u00fc ok\n" * 100_000,
            "items": [
                {"id": number, "name": f"build-{number}", "state": "done", "note": "x" * 30}
                for number in range(90_000)
            ],
        },
        ensure_ascii=False,
    )
)
"""About 8 MB."""


def test_an_honest_criteria_over_ten_megabytes_is_answered() -> None:
    criteria = compiled(
        "and(containsValue(root.items[*].name, 'BUILD-89999'), "
        "eq(count(jsonpath('$.items[?(@.state==''done'')]')), 90000), "
        "eq(count(jsonpath('$..id')), 90000), contains(root.log, 'OK'), "
        "not(contains(root.log, 'failed')), not(contains(root.log, 'error')), "
        "not(containsValue(root.items[*].state, 'failed')), "
        "containsValue(root.items[*].id, 89999), startsWith(root.log, '\u00dc'))"
    )

    assert criteria.test(scope_over(BIG))
    assert criteria.explain(scope_over(BIG), mask=lambda text: text).result is True


def test_each_evaluation_begins_anew_over_the_same_scope() -> None:
    criteria = compiled("eq(count(jsonpath('$..*')), 100001)")
    items = compiled("not(" + "or(" + "containsValue(root, 'none')," * 27 + "0))")
    scope = scope_over(ITEMS)

    for _ in range(2):
        assert criteria.test(scope)
        assert items.test(scope)
        assert items.value(scope) is True
        assert criteria.explain(scope, mask=lambda text: text).result is True


def test_many_paths_share_one_budget() -> None:
    ten = compiled("and(" + ",".join(["jsonpath('$.*')"] * 9) + ")")
    more = compiled("and(" + ",".join(["jsonpath('$.*')"] * 10) + ")")

    assert ten.test(scope_over(ITEMS))
    with pytest.raises(ExpressionValueError) as caught:
        more.test(scope_over(ITEMS))

    assert caught.value.kind == "TooManyNodes"


def test_one_path_may_visit_as_many_nodes_as_the_contract_says() -> None:
    exact: JsonValue = [None] * (MOST_NODES - 1)
    more: JsonValue = [None] * MOST_NODES

    assert compiled("count(jsonpath('$..*'))").test(scope_over(exact))
    with pytest.raises(ExpressionValueError, match="visit more than 1,000,000 nodes"):
        compiled("count(jsonpath('$..*'))").test(scope_over(more))


def test_a_long_text_among_constants_is_compared_only_where_it_could_be_equal() -> None:
    text = "in(root.sharp, " + ",".join(["'ab'"] * 4_000) + ")"

    assert not compiled(text).test(scope_over(TEXTS))
    assert compiled(text).explain(scope_over(TEXTS), mask=lambda shown: shown).result is False


def test_the_budget_ends_exactly() -> None:
    work = Work()

    work.spend(MOST_STEPS)
    work.pay_for("x" * (FREE_TEXT - 1))
    with pytest.raises(EvaluationFault) as steps:
        work.spend(1)
    work.visit(MOST_NODES)
    with pytest.raises(EvaluationFault) as nodes:
        work.visit(1)

    assert (steps.value.kind, nodes.value.kind) == ("TooMuchWork", "TooManyNodes")
    assert steps.value.message == (
        "The evaluation takes too long: it walks over too many items, or too much text."
    )


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("x" * 49, 0),
        ("x" * 50, 3),
        ("x" * 1600, 100),
        ("\u00e9" * 49, 0),
        ("\u00e9" * 50, 25),
        ("\u00e9" * 1600, 800),
        ("\U0001f600" * 1600, 2400),
    ],
)
def test_a_text_costs_by_its_length(text: str, steps: int) -> None:
    work = Work()

    work.pay_for(text)

    assert work.steps == MOST_STEPS - steps


@pytest.mark.parametrize(
    ("text", "root", "steps"),
    [
        ("containsValue(root, '1')", "[2,2]", 2),
        ("containsValue(root, '1')", "[2.5,2.5]", 2 * (1 + 12)),
        ("containsValue(root, '1')", "[2.5e1,2.5e1]", 2 * (1 + 45)),
        ("containsValue(root, '1')", "[null,{}]", 2 * (1 + 4)),
        ("containsValue(root, 1)", '["2","x"]', 2 + 12),
        ("containsValue(root, 1)", f'["2.{"0" * 27}"]', 1 + 70),
        ("containsValue(root, 1)", f'["2.{"0" * 78}"]', 1 + 70 + 5),
        ("containsValue(root, 1.2.3)", '["x"]', 1 + 16),
        ("containsValue(root, true)", "[0,0.0]", 2 * (1 + 4 + 12)),
        ("containsValue(root, 'abc')", '["xyz","\u00e9\u00e9\u00e9"]', 2),
        ("containsValue(root, '\u00e9')", '["xyz","\u00e8"]', 2 + 20 + 2),
        (f"containsValue(root, '{'a' * 80}')", f'["{"b" * 80}"]', 1 + 5),
        ("count(intersect(root, root))", "[1,2.5e1]", 4 * 8 + 2 * (12 + 45)),
        ("join('', root)", "[1,2.5e1,null]", 2 * 8 + 12 + 45),
        ("root[*].x", f"[{FRACTION},{FRACTION}]", 2 + 2 * 2),
        ("root[*][*]", f"[{FRACTION},[1]]", 2 + 2 * 2 + 1),
    ],
)
def test_an_item_costs_by_what_is_done_with_it(text: str, root: str, steps: int) -> None:
    scope = scope_over(parse_answer(root))

    compiled(text).value(scope)

    assert MOST_STEPS - scope.work.steps == steps


def test_a_scalar_among_what_a_wildcard_found_is_not_read() -> None:
    root = parse_answer('{"l":[1e999,{"x":1}]}')

    assert compiled("eq(count(root.l[*].x), 1)").test(scope_over(root))


def test_texts_beyond_what_can_be_masked_in_time_are_shown_by_their_kind() -> None:
    root = {"a": ["y" * 450_000 + str(number) for number in range(6)]}
    text = "or(" + ",".join(f"not(root.a[{number}])" for number in range(6)) + ")"

    evaluation = compiled(text).explain(
        scope_over(parse_answer(json.dumps(root))), mask=lambda shown: shown, verbose=True
    )

    values = [line for line in evaluation.trace if line.endswith("=> String")]
    assert evaluation.result is False
    assert len(values) <= 2
    explained = json.dumps(evaluation.explanation, default=str)
    assert explained.count("yyy...") == 4


@pytest.mark.parametrize("depth", [10, 300])
def test_json_is_refused_by_its_indented_length(depth: int) -> None:
    root = parse_answer("[" * depth + "1," * 25_000 + "1" + "]" * depth)

    with pytest.raises(ExpressionValueError) as caught:
        compiled("convertToJson(root)").test(scope_over(root))

    assert caught.value.kind == "Memory"
