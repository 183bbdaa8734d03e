"""Traces, explanations and messages. Rules: expressions reference, section 12."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from invoke_core.documents import JsonNumber
from invoke_core.errors import AnswerNotJsonError
from invoke_core.expressions import answer_scope

from .support import compiled, document, explained, plain, scope_of

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

ROOT = {
    "count": 1424,
    "status": "Running",
    "ok": False,
    "items": [{"id": 1}, {"id": 2}],
    "n": None,
    "s": "it's",
    "ver": "1.10",
    "Name": "x",
    "near": JsonNumber("1.00000001"),
    "none": [],
    "nulls": [None],
}


def test_the_trace_is_that_of_the_original() -> None:
    evaluation = explained(
        "and(eq(root.a, 5), lt(true, 1.2.3), root.x[*])", {"a": "5", "x": [1, "it's"]}
    )

    assert evaluation.trace == (
        "Evaluating: and(eq(root['a'], 5), lt(True, v1.2.3), root['x']['*'])",
        "Expanded: and(eq('5', 5), lt(True, v1.2.3), root['x']['*'])",
        "Result: False",
    )


def test_the_verbose_trace_is_that_of_the_original() -> None:
    evaluation = explained("eq(root.a, 5)", {"a": "5"}, verbose=True)

    assert evaluation.trace == (
        "Parsing expression: <eq(root.a, 5)>",
        "eq",
        "(",
        "..root",
        "...",
        "..PropertyName 'a'",
        "..,",
        "..5",
        ")",
        "Evaluating: eq(root['a'], 5)",
        "Evaluating eq:",
        "..Evaluating indexer:",
        "....Evaluating root:",
        "....=> Object",
        "....Evaluating String:",
        "....=> 'a'",
        "..=> '5'",
        "..Evaluating Number:",
        "..=> 5",
        "..=> '5'",
        "=> True",
        "Expanded: eq('5', 5)",
        "Result: True",
    )


VERBOSE = [
    (
        "root[*][0]",
        [
            "Evaluating indexer:",
            "..Evaluating indexer:",
            "....Evaluating root:",
            "....=> Array",
            "....Evaluating String:",
            "....=> '*'",
            "..=> Object",
            "..Evaluating Number:",
            "..=> 0",
            "=> Object",
            "=> True",
        ],
    ),
    (
        "le(1.2.3, 1.2)",
        [
            "Evaluating le:",
            "..Evaluating Version:",
            "..=> v1.2.3",
            "..Evaluating Number:",
            "..=> 1.2",
            "..=> '1.2'",
            "..=> v1.2",
            "=> False",
        ],
    ),
    (
        "in(root.n, 'x', '')",
        [
            "Evaluating in:",
            "..Evaluating indexer:",
            "....Evaluating root:",
            "....=> Array",
            "....Evaluating String:",
            "....=> 'n'",
            "....=> Unable to coerce String to Number.",
            "..=> Null",
            "..Evaluating String:",
            "..=> 'x'",
            "..=> Unable to coerce String to Null.",
            "..Evaluating String:",
            "..=> ''",
            "..=> Null",
            "=> True",
        ],
    ),
    (
        "contains(variables.n, 1)",
        [
            "Evaluating contains:",
            "..Evaluating indexer:",
            "....Evaluating variables:",
            "....=> Object",
            "....Evaluating String:",
            "....=> 'n'",
            "..=> Null",
            "..=> Null",
            "..Evaluating Number:",
            "..=> 1",
            "..=> '1'",
            "=> False",
        ],
    ),
    (
        "lt(root[9], 0)",
        [
            "Evaluating lt:",
            "..Evaluating indexer:",
            "....Evaluating root:",
            "....=> Array",
            "....Evaluating Number:",
            "....=> 9",
            "..=> Null",
            "..Evaluating Number:",
            "..=> 0",
            "..=> 0",
            "=> False",
        ],
    ),
    (
        "eq(root, true)",
        [
            "Evaluating eq:",
            "..Evaluating root:",
            "..=> Array",
            "..Evaluating Boolean:",
            "..=> True",
            "=> False",
        ],
    ),
]


@pytest.mark.parametrize(("text", "lines"), VERBOSE)
def test_verbose_lines_follow_the_evaluation(text: str, lines: list[str]) -> None:
    trace = list(explained(text, [[1]], verbose=True).trace)

    start = next(index for index, line in enumerate(trace) if line.startswith("Evaluating: "))
    rest = [line for line in trace[start + 1 :] if not line.startswith(("Expanded", "Result"))]
    assert rest == lines


def test_verbose_lines_end_where_an_error_stops_the_evaluation() -> None:
    assert explained("lt(1, root)", [], verbose=True).trace == (
        "Parsing expression: <lt(1, root)>",
        "lt",
        "(",
        "..1",
        "..,",
        "..root",
        ")",
        "Evaluating: lt(1, root)",
        "Evaluating lt:",
        "..Evaluating Number:",
        "..=> 1",
        "..Evaluating root:",
        "..=> Array",
        "..=> Unable to coerce Array to Number.",
    )


def test_tokens_are_indented_by_what_is_open() -> None:
    trace = explained("not(eq(root['x'][*], .5))", [], verbose=True).trace

    assert trace[1:19] == (
        "not", "(", "..eq", "..(", "....root", "....[", "......'x'", "....]", "....[", "......*",
        "....]", "....,", "....0.5", "..)", ")", "Evaluating: not(eq(root['x']['*'], 0.5))",
        "Evaluating not:", "..Evaluating eq:",
    )  # fmt: skip


def test_a_long_verbose_trace_is_cut_and_says_so() -> None:
    trace = explained("root" + ".a" * 9000, {}, verbose=True).trace

    assert trace[-3] == "(The trace is cut after 1048576 characters.)"
    assert trace[-2:] == ("Expanded: Null", "Result: False")
    assert sum(map(len, trace)) < 1_200_000


def test_a_verbose_trace_may_be_full_before_anything_is_evaluated() -> None:
    text = "and(" * 48 + "1," * 10_000 + "1" + ",1)" * 48

    trace = explained(text, {}, verbose=True).trace

    assert trace[-3] == "(The trace is cut after 1048576 characters.)"
    assert trace[-2].startswith("Expanded: and(and(")


def test_a_key_too_long_to_be_meant_is_not_proposed() -> None:
    assert "there is" not in explained("root.aaaa", {"aaaa" * 30: 1}).message


def test_an_error_leaves_one_line() -> None:
    evaluation = explained("and(1, lt('x', root))", ROOT)

    assert evaluation.trace == ("Evaluating: and(1, lt('x', root))",)
    assert evaluation.result is None
    assert evaluation.kind is None
    assert evaluation.message == (
        "In `lt('x', root)`: A value of kind Object cannot be converted to String. "
        "`root` was an object of 11 members."
    )
    assert evaluation.error == {
        "phase": "eval", "kind": "TypeCast", "token": None, "position": None, "from": "Object",
        "to": "String", "message": evaluation.message,
    }  # fmt: skip


def test_an_error_of_the_whole_needs_no_place() -> None:
    assert explained("lt('x', root)", {}).message == (
        "A value of kind Object cannot be converted to String. `root` was an object of 0 members."
    )


def test_an_array_in_contains_is_told_where_it_belongs() -> None:
    assert explained("contains(root.items, 'x')", {"items": ["x"]}).message == (
        "A value of kind Array cannot be converted to String. `root.items` was an array of 1 item; "
        "containsValue looks into arrays and objects."
    )


def test_a_message_is_cut_where_it_would_be_long() -> None:
    text = "or(" * 40 + "eq(root.a, 'x'), " + "eq(root.a, 'y')), " * 40 + "0)"

    message = explained(text.replace(", 0)", ""), {"a": "b" * 500}).message

    assert len(message) <= 1503


NESTED = [
    ("and(eq(a,1),2)", ["and", "(", "..eq", "..(", "....root", "....,", "....1", "..)", "..,",
                        "..2", ")"]),
    ("root[variables['x']].b", ["root", "[", "..variables", "..[", "....'x'", "..]", "]", ".",
                                "PropertyName 'b'"]),
    ("not(root[length(split('a', 'b')[0])])",
     ["not", "(", "..root", "..[", "....length", "....(", "......split", "......(",
      "........'a'", "........,", "........'b'", "......)", "......[", "........0", "......]",
      "....)", "..]", ")"]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "lines"), NESTED)
def test_a_parenthesis_stands_where_its_function_does(text: str, lines: list[str]) -> None:
    trace = explained(text.replace("eq(a", "eq(root"), [], verbose=True).trace

    assert list(trace[1 : 1 + len(lines)]) == lines
    assert trace[1 + len(lines)].startswith("Evaluating: ")


def test_values_are_kept_for_the_trace_as_long_as_there_is_room() -> None:
    line = explained("or(eq(root.a, 'x'), eq(root.a, 'y'), eq(root.a, 'z'))", {"a": "b" * 250_000})

    assert line.trace[1].startswith("Expanded: or(eq('bbb")
    assert line.trace[1].endswith("bbb', 'y'), eq(root['a'], 'z'))")
    assert len(line.trace[1]) < 520_000


MESSAGES = [
    ("eq(root['count'], '1425')", "`root['count']` was 1424 (number); expected equal to '1425'."),
    ("eq('1425', root['count'])", "`root['count']` was 1424 (number); expected equal to '1425'."),
    ("lt(2000, root.count)", "`root.count` was 1424 (number); expected greater than 2000."),
    ("gt(1, root.count)", "`root.count` was 1424 (number); expected less than 1."),
    ("le(2000, root.count)", "`root.count` was 1424 (number); expected at least 2000."),
    ("ge(1, root.count)", "`root.count` was 1424 (number); expected at most 1."),
    ("ne(root.status, 'running')", ("`root.status` was 'Running' (text); expected different from "
     "'running'.")),
    ("lt(root.count, 1)", "`root.count` was 1424 (number); expected less than 1."),
    ("le(root.count, 1)", "`root.count` was 1424 (number); expected at most 1."),
    ("gt(root.count, 2000)", "`root.count` was 1424 (number); expected greater than 2000."),
    ("ge(root.count, 2000)", "`root.count` was 1424 (number); expected at least 2000."),
    ("contains(root.status, 'x')", "`root.status` was 'Running' (text); expected to contain 'x'."),
    ("startsWith('ab', root.status)",
     "`'ab'` was 'ab' (text); expected to start with `root.status`, which was 'Running' (text)."),
    ("endsWith(root.s, '''')", "`root.s` was 'it''s' (text); expected to end with ''''."),
    ("containsValue(root.items, 3)",
     "`root.items` was an array of 2 items; expected to hold 3."),
    ("containsValue(root.items[*].id, 3)",
     "`root.items[*].id` was a filtered array of 2 items; expected to hold 3."),
    ("containsValue(root.n, 3)",
     "`root.n` was null, which holds nothing; expected an array or object to hold 3."),
    ("containsValue(root.status, 'x')", ("`root.status` was 'Running' (text), which holds nothing; "
     "expected an array or object to hold 'x'.")),
    ("containsValue(root.itemss, 3)",
     ("`root.itemss` was null, which holds nothing; expected an array or object to hold 3. "
      "`root.itemss`: no such key; there is `items`.")),
    ("containsValue(root.items[*].idd, 3)",
     ("`root.items[*].idd` was a filtered array of 0 items; expected to hold 3. "
      "`root.items[*].idd`: none of the 2 items has a key of this name; there is `id`.")),
    ("containsValue(root.itemss[*].id, 3)",
     ("`root.itemss[*].id` was a filtered array of 0 items; expected to hold 3. "
      "`root.itemss`: no such key; there is `items`.")),
    ("containsValue(root.status[*], 3)",
     ("`root.status[*]` was a filtered array of 0 items; expected to hold 3. "
      "`root.status[*]`: a text has nothing inside.")),
    ("containsValue(root.none[*].id, 3)",
     "`root.none[*].id` was a filtered array of 0 items; expected to hold 3."),
    ("eq(root.near, 1.0)", "`root.near` was 1.00000001 (number); expected equal to 1."),
    ("eq(1, root.near)", "`root.near` was 1.00000001 (number); expected equal to 1."),
    ("lt(root.near, 0.999999999999)",
     "`root.near` was 1.00000001 (number); expected less than 0.999999999999."),
    ("iif(root.ok, 'yes', root.n)",
     "iif took `root.n`, as `root.ok` was false, and `root.n` was null, which counts as false."),
    ("iif(root.status, eq(root.count, 1), true)",
     ("iif took `eq(root.count, 1)`, as `root.status` was true, "
      "and `root.count` was 1424 (number); expected equal to 1.")),
    ("isNullOrEmpty(root.status)",
     "`root.status` was 'Running' (text); expected null or the empty text."),
    ("not(isNullOrEmpty(root.statuss))",
     ("`root.statuss` was null; expected neither null nor the empty text. "
      "`root.statuss`: no such key; there is `status`.")),
    ("isUrl(root.status)",
     "`root.status` was 'Running' (text); expected an absolute http or https URL."),
    ("coalesce(root.n, root.ok)", "coalesce took `root.ok`, and `root.ok` was false."),
    ("coalesce(root.n, root.statuss)", ("`coalesce(root.n, root.statuss)` found nothing: `root.n`, "
     "`root.statuss` were null or empty. `root.statuss`: no such key; there is `status`.")),
    ("eq(root.nulls[0], 1)", "`root.nulls[0]` was null; expected equal to 1."),
    ("eq(root.nulls[1], 1)", ("`root.nulls[1]` was null; expected equal to 1. "
     "`root.nulls[1]`: no such position; there is 1 item.")),
    ("in(root.status, 'Done', 'Failed')",
     "`root.status` was 'Running' (text); expected one of 'Done', 'Failed'."),
    ("notIn(root.status, root.n, 'running')",
     "`root.status` was 'Running' (text); expected none of `root.n`, which was null, 'running'."),
    ("in(1,2,3,4,5,6,7,8,9,10,11,12,13)",
     "`1` was 1 (number); expected one of 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ...."),
    ("eq(root.items, 1)", "`root.items` was an array of 2 items; expected equal to 1."),
    ("eq(root.ok, true)", "`root.ok` was false (boolean); expected equal to True."),
    ("ne(true, root.status)", "`root.status` was 'Running' (text); expected different from True."),
    ("eq(1.2.3, '1.2')", "`1.2.3` was 1.2.3 (version); expected equal to '1.2'."),
    ("root.ok", "`root.ok` was false."),
    ("root.n", "`root.n` was null, which counts as false."),
    ("length('')", "`length('')` was 0 (number), which counts as false."),
    ("not(root.items)", "`root.items` was an array of 2 items, which counts as true."),
    ("not(root.status)", "`root.status` was 'Running' (text), which counts as true."),
    ("not(eq(root.status, 'running'))",
     "`root.status` was 'Running' (text); expected different from 'running'."),
    ("not(lt(root.count, 2000))", "`root.count` was 1424 (number); expected at least 2000."),
    ("not(in(root.status, 'running'))",
     "`root.status` was 'Running' (text); expected none of 'running'."),
    ("not(notIn(root.status, 'x'))", "`root.status` was 'Running' (text); expected one of 'x'."),
    ("and(root.status, eq(root.count, 1), root.n)",
     "`root.count` was 1424 (number); expected equal to 1."),
    ("or(eq(root.count, 1), root.ok)",
     ("None of the 2 alternatives held: (1) `root.count` was 1424 (number); expected equal to 1, "
      "(2) `root.ok` was false.")),
    ("or(root.ok, root.ok, root.ok, root.ok, root.ok)",
     ("None of the 5 alternatives held: (1) `root.ok` was false, (2) `root.ok` was false, "
      "and 3 more.")),
    ("not(and(root.status, 1))", ("All 2 conditions held: "
     "(1) `root.status` was 'Running' (text), which counts as true, "
     "(2) `1` was 1 (number), which counts as true.")),
    ("not(or(root.ok, root.count))", "`root.count` was 1424 (number), which counts as true."),
    ("xor(1, 1)", ("`1` was 1 (number) and `1` was 1 (number), of which both count as true; "
     "expected exactly one.")),
    ("xor(root.ok, root.n)", ("`root.ok` was false (boolean) and `root.n` was null, "
     "of which neither counts as true; expected exactly one.")),
    ("not(xor(root.ok, 1))", ("`root.ok` was false (boolean) and `1` was 1 (number), "
     "of which one counts as true; expected both or neither.")),
    ("eq(root['statuss'], 'x')", ("`root['statuss']` was null; expected equal to 'x'. "
     "`root['statuss']`: no such key; there is `status`.")),
    ("eq(root.NAME.first, 'x')", ("`root.NAME.first` was null; expected equal to 'x'. "
     "`root.NAME`: no such key; there is `Name`.")),
    ("eq(root.zzz, 'x')",
     "`root.zzz` was null; expected equal to 'x'. `root.zzz`: no such key."),
    ("eq(root.items[5].id, 'x')", ("`root.items[5].id` was null; expected equal to 'x'. "
     "`root.items[5]`: no such position; there are 2 items.")),
    ("eq(root.status.x, 'x')", ("`root.status.x` was null; expected equal to 'x'. "
     "`root.status.x`: a text has nothing inside.")),
    ("eq(root.n.x, 'x')", ("`root.n.x` was null; expected equal to 'x'. "
     "`root.n.x`: null has nothing inside.")),
    ("eq(root[root.items], 'x')", ("`root[root.items]` was null; expected equal to 'x'. "
     "`root[root.items]`: an array or object is no key.")),
    ("eq(jsonpath('$.count')[1], 1)", ("`jsonpath('$.count')[1]` was null; expected equal to 1. "
     "`jsonpath('$.count')[1]`: no such position; there is 1 item.")),
    ("eq(1, response.headers.etagg)", ("`response.headers.etagg` was null; expected equal to 1. "
     "`response.headers.etagg`: no such key; there is `ETag`.")),
    ("eq(1, response.statuscod)", ("`response.statuscod` was null; expected equal to 1. "
     "`response.statuscod`: no such key; there is `statuscode`.")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MESSAGES, ids=[case[0] for case in MESSAGES])
def test_the_message_says_why_it_is_not_true(text: str, message: str) -> None:
    scope = scope_of(ROOT, headers={"ETag": "1x"})

    evaluation = compiled(text).explain(scope, mask=lambda shown: shown)

    assert evaluation.result is False
    assert evaluation.message == message


def test_what_is_true_needs_no_message() -> None:
    evaluation = explained("eq(root.count, 1424)", ROOT)

    assert (evaluation.result, evaluation.message, evaluation.error) == (True, "", None)


def test_long_texts_are_cut_in_messages_and_explanations() -> None:
    evaluation = explained("eq(root.s, 'x')", {"s": "y" * 5000})

    assert len(evaluation.message) < 300
    shown = _arguments(evaluation.explanation)[0]["value"]
    assert shown == "y" * 1000 + "..."


def _arguments(node: JsonValue) -> list[dict[str, JsonValue]]:
    return cast("dict[str, list[dict[str, JsonValue]]]", node)["arguments"]


def test_the_explanation_is_a_tree_of_what_was_evaluated() -> None:
    evaluation = explained("and(eq(root.statuss, 5), root.items, gt(length(root.s), 1))", ROOT)

    assert plain(evaluation.explanation) == {
        "text": "and(eq(root.statuss, 5), root.items, gt(length(root.s), 1))",
        "start": 0, "end": 59, "kind": "Boolean", "value": False, "convertedTo": None,
        "skipped": False, "note": None,
        "arguments": [
            {
                "text": "eq(root.statuss, 5)", "start": 4, "end": 23, "kind": "Boolean",
                "value": False, "convertedTo": None, "skipped": False, "note": None,
                "arguments": [
                    {
                        "text": "root.statuss", "start": 7, "end": 19, "kind": "Null",
                        "value": None, "convertedTo": None, "skipped": False,
                        "note": "`root.statuss`: no such key; there is `status`", "arguments": [],
                    },
                    {
                        "text": "5", "start": 21, "end": 22, "kind": "Number", "value": "5",
                        "convertedTo": None, "skipped": False,
                        "note": "cannot be converted to Null",
                        "arguments": [],
                    },
                ],
            },
            {
                "text": "root.items", "start": 25, "end": 35, "kind": None, "value": None,
                "convertedTo": None, "skipped": True, "note": None, "arguments": [],
            },
            {
                "text": "gt(length(root.s), 1)", "start": 37, "end": 58, "kind": None,
                "value": None, "convertedTo": None, "skipped": True, "note": None,
                "arguments": [
                    {
                        "text": "length(root.s)", "start": 40, "end": 54, "kind": None,
                        "value": None, "convertedTo": None, "skipped": True, "note": None,
                        "arguments": [
                            {
                                "text": "root.s", "start": 47, "end": 53, "kind": None,
                                "value": None, "convertedTo": None, "skipped": True, "note": None,
                                "arguments": [],
                            },
                        ],
                    },
                    {
                        "text": "1", "start": 56, "end": 57, "kind": None, "value": None,
                        "convertedTo": None, "skipped": True, "note": None, "arguments": [],
                    },
                ],
            },
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("eq(root.count, '1424')", [1], {"convertedTo": "Number", "value": "1424"}),
        ("eq('1424', root.count)", [1], {"convertedTo": "String", "kind": "Number"}),
        ("and(root.items, root.n)", [0], {"convertedTo": "Boolean", "note": "an array of 2 items"}),
        ("lt(root.n, 1)", [0], {"convertedTo": "Number", "kind": "Null", "note": None}),
        ("le(root.ver, 1.10)", [1], {"convertedTo": "String"}),
        ("eq(1.10.0, root.ver)", [1], {"convertedTo": "Version"}),
        ("eq(1.10.0, root.ver)", [0], {"value": "1.10.0", "kind": "Version"}),
        ("root[root.ver]", [0], {"value": "1.10", "text": "root.ver"}),
        ("root[root.count]", [0], {"convertedTo": "String", "value": "1424"}),
        ("jsonpath('$.items')[0]", [0], {"kind": "Array", "value": None}),
        (
            "coalesce(root.items[length('')], root)",
            [0, 0],
            {"text": "length('')", "skipped": False},
        ),
        ("or(1, root[length('')][*])", [1, 0], {"text": "length('')", "skipped": True}),
        ("eq(root, 1)", [0], {"kind": "Object", "value": None, "note": "an object of 11 members"}),
        ("eq('\U0001f600', root.ok)", [1], {"start": 9, "end": 16, "text": "root.ok"}),
        ("join(',', root.items)", [0], {"skipped": False}),
        ("join(',', root.n)", [0], {"skipped": True}),
    ],
)
def test_a_node_tells(text: str, path: list[int], expected: dict[str, object]) -> None:
    node = explained(text, ROOT).explanation
    for position in path:
        node = _arguments(node)[position]

    assert {name: plain(node[name]) for name in expected} == expected


def test_a_failed_node_has_no_value() -> None:
    tree = explained("and(1, lt('x', root))", ROOT).explanation

    failed = _arguments(tree)[1]
    assert (tree["kind"], failed["kind"], failed["value"]) == (None, None, None)
    assert _arguments(failed)[1]["note"] == "cannot be converted to String"


def mask(text: str) -> str:
    return text.replace("it's a secret", "***").replace("hunter2", "***")


def test_secrets_are_masked_everywhere() -> None:
    text = "and(ne(root.hunter2, 'it''s a secret'), eq(root.a, 'hunter2'), eq(root.b, 'x'))"
    root = {"hunter2": "hunter2", "a": "hunter2", "b": ["it's a secret", {"hunter2": 1}]}

    evaluation = compiled(text).examine(scope_of(root), mask=mask, verbose=True)
    short = compiled(text).explain(scope_of(root), mask=mask)
    value = compiled("root").explain(scope_of(root), mask=mask)

    for shown in (evaluation, short, value):
        everything = repr((shown.trace, shown.explanation, shown.message, shown.value, shown.error))
        assert "hunter2" not in everything
        assert "a secret" not in everything
    assert mask(compiled(text).shown(mask)) == (
        "and(ne(root.***, '***'), eq(root.a, '***'), eq(root.b, 'x'))"
    )
    assert short.trace[:2] == (
        "Evaluating: and(ne(root['***'], '***'), eq(root['a'], '***'), eq(root['b'], 'x'))",
        "Expanded: and(ne('***', '***'), eq('***', '***'), eq(Array, 'x'))",
    )
    assert plain(value.value) == {"***": "***", "a": "***", "b": ["***", {"***": "1"}]}


def test_the_document_itself_is_not_changed_by_masking() -> None:
    root = document({"a": ["hunter2"]})
    scope = answer_scope(
        root=lambda: root, content=lambda: root, status=200, headers={}, variables={},
        task_inputs={},
    )  # fmt: skip

    compiled("root").explain(scope, mask=mask)

    assert root == {"a": ["hunter2"]}


def test_a_message_about_secrets_is_masked_too() -> None:
    evaluation = compiled("eq(root.hunter2x, 'x')").explain(scope_of({"hunter2y": 1}), mask=mask)

    assert evaluation.message == (
        "`root.***x` was null; expected equal to 'x'. `root.***x`: no such key; there is `***y`."
    )


def test_an_answer_that_is_not_json_passes_through_explain_and_is_kept_by_examine() -> None:
    error = AnswerNotJsonError("The body is empty.", source="", kind="NotJson")

    def fail() -> JsonValue:
        raise error

    scope = answer_scope(
        root=fail, content=fail, status=200, headers={}, variables={}, task_inputs={}
    )
    criteria = compiled("and(true, eq(root.a, 1))")

    with pytest.raises(AnswerNotJsonError) as caught:
        criteria.explain(scope, mask=mask)
    with pytest.raises(AnswerNotJsonError) as tested:
        criteria.test(scope)
    evaluation = criteria.examine(scope, mask=mask)

    assert caught.value is error is tested.value is evaluation.failure
    assert evaluation.message == "In `root.a`: The body is empty."
    assert evaluation.trace == ("Evaluating: and(True, eq(root['a'], 1))",)
    assert compiled("or(true, root.a)").test(scope)


def test_the_body_is_asked_for_once() -> None:
    asked = []

    def root() -> JsonValue:
        asked.append(1)
        return {"a": 1}

    scope = answer_scope(
        root=root, content=root, status=200, headers={}, variables={}, task_inputs={}
    )
    compiled("and(root.a, root.a, eq(root, root))").test(scope)

    assert asked == [1]
