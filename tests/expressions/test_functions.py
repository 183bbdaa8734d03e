"""Every function by example: value, or error. Rules: expressions reference, sections 7 to 9."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from invoke_core.errors import ExpressionSyntaxError, ExpressionValueError
from invoke_core.expressions import answer_scope, compile_condition, compile_criteria, values
from invoke_core.expressions.faults import EvaluationFault
from invoke_core.expressions.functions import CONDITION, CRITERIA
from invoke_core.expressions.scope import JobStatus, condition_scope
from invoke_core.expressions.work import Work

from .support import compiled, fault_of, scope_of, value_of

if TYPE_CHECKING:
    from decimal import Decimal

    from invoke_core.expressions.kinds import Raw, Value

ROOT = {
    "s": "Hello World",
    "list": ["a", "B", 3, None, True],
    "nested": [[1], {"x": 2}],
    "obj": {"k": "v", "n": 1},
    "empty": [],
    "zeros": [0],
    "ones": [1],
    "n": None,
    "num": 5,
    "items": [{"id": 1}, {"id": 2}, {"name": "x"}],
    "big": "x" * 300_000,
    "huge": {"a": "x" * 300_000, "b": ["y" * 300_000]},
}

VALUES = [
    ("and(1, 'x', true)", "Boolean", True),
    ("and(1, '', true)", "Boolean", False),
    ("or(0, '', root.n)", "Boolean", False),
    ("or(0, 'x')", "Boolean", True),
    ("or(root.n, root.list)", "Boolean", True),
    ("not('')", "Boolean", True),
    ("xor(1, '')", "Boolean", True),
    ("xor(1, 'x')", "Boolean", False),
    ("eq(root.s, 'HELLO WORLD')", "Boolean", True),
    ("eq(root.s, root.s)", "Boolean", True),
    ("eq(root.obj, root.obj)", "Boolean", True),
    ("eq(root.obj, root.list)", "Boolean", False),
    ("ne(root.num, '5.0')", "Boolean", False),
    ("ne(root.num, 'five')", "Boolean", True),
    ("lt(1, 2)", "Boolean", True),
    ("lt(2, 2)", "Boolean", False),
    ("le(2, 2)", "Boolean", True),
    ("le(3, 2)", "Boolean", False),
    ("gt(3, 2)", "Boolean", True),
    ("gt(2, 2)", "Boolean", False),
    ("ge(2, 2)", "Boolean", True),
    ("ge(1, 2)", "Boolean", False),
    ("in(root.num, 'x', '5')", "Boolean", True),
    ("in(root.num, root.s, 4)", "Boolean", False),
    ("in(root.num, root.s, root.num)", "Boolean", True),
    ("notIn(root.num, 'x', '5')", "Boolean", False),
    ("notIn(root.num, 'x')", "Boolean", True),
    ("contains(root.s, 'O W')", "Boolean", True),
    ("contains(root.s, 'xyz')", "Boolean", False),
    ("contains(root.num, 5)", "Boolean", True),
    ("startsWith(root.s, 'hello')", "Boolean", True),
    ("startsWith(root.s, 'world')", "Boolean", False),
    ("endsWith(root.s, 'WORLD')", "Boolean", True),
    ("endsWith(root.s, 'hello')", "Boolean", False),
    ("containsValue(root.list, 'b')", "Boolean", True),
    ("containsValue(root.list, 'c')", "Boolean", False),
    ("containsValue(root.obj, 'V')", "Boolean", True),
    ("containsValue(root.items[*].id, 2)", "Boolean", True),
    ("containsValue(root.zeros, 0.00000001)", "Boolean", False),
    ("containsValue(root.zeros, 0)", "Boolean", True),
    ("containsValue(root.ones, 1.00000001)", "Boolean", False),
    ("containsValue(root.s, 'Hello World')", "Boolean", False),
    ("containsValue(variables, 'x')", "Boolean", False),
    ("coalesce(root.n, '', 0, 'x')", "Number", "0"),
    ("coalesce(root.n, '')", "String", ""),
    ("coalesce('', root.n)", "Null", None),
    ("coalesce(root.n, root.empty)", "Array", []),
    ("join(',', root.list)", "String", "a,B,3,,True"),
    ("join(',', root.nested)", "String", ","),
    ("join(',', root.items[*].id)", "String", "1,2"),
    ("join(',', root.items)", "String", ",,"),
    ("join(root.obj, root.empty)", "String", ""),
    ("join(root.obj, root.nested[0])", "String", "1"),
    ("join(',', root.obj)", "String", ""),
    ("join(',', 1.50)", "String", "1.5"),
    ("format('{0}-{1}-{0}', 'a', 2)", "String", "a-2-a"),
    ("format('{{{0}}}', 'a')", "String", "{a}"),
    ("format('{0:}', 'a')", "String", "a"),
    ("format('{00}', 'a')", "String", "a"),
    ("length('abc')", "Number", "3"),
    ("length('\U0001f600')", "Number", "2"),
    ("length(root.list)", "Number", "5"),
    ("length(root.obj)", "Number", "2"),
    ("length(response)", "Number", "4"),
    ("count(root.list)", "Number", "5"),
    ("count(root.items[*].id)", "Number", "2"),
    ("count(jsonpath('items[*].id'))", "Number", "2"),
    ("isNullOrEmpty(root.n)", "Boolean", True),
    ("isNullOrEmpty('')", "Boolean", True),
    ("isNullOrEmpty(root.missing)", "Boolean", True),
    ("isNullOrEmpty(0)", "Boolean", False),
    ("isNullOrEmpty(root.empty)", "Boolean", False),
    ("intersect(split('a,b,a,c', ','), split('c,a', ','))", "Array", ["a", "c"]),
    ("intersect(root.list, split('A,b', ','))", "Array", []),
    ("intersect(root.items[*].id, root.nested[0])", "Array", ["1"]),
    ("intersect(root.items, root.items)", "Array", [{"id": "1"}, {"id": "2"}, {"name": "x"}]),
    ("intersect(root.nested, jsonpath('$.nested[1]'))", "Array", [{"x": "2"}]),
    ("intersect(root.list, root.items)", "Array", []),
    ("isUrl('https://example.com')", "Boolean", True),
    ("isUrl('HTTP://example.com:80/a?b#c')", "Boolean", True),
    ("isUrl('ftp://example.com')", "Boolean", False),
    ("isUrl('https://')", "Boolean", False),
    ("isUrl('https://exa mple.com')", "Boolean", False),
    ("isUrl('https://example.com/a b')", "Boolean", False),
    ("isUrl('see https://example.com')", "Boolean", False),
    ("isUrl(root.n)", "Boolean", False),
    ("lower('ABC ÀÉ')", "String", "abc àé"),
    ("upper('abc àéß')", "String", "ABC ÀÉß"),
    ("lower(true)", "String", "true"),
    ("trim('  a b\u00a0\u3000')", "String", "a b"),
    ("trim('\u200ba')", "String", "\u200ba"),
    ("replace('aXbX', 'X', '--')", "String", "a--b--"),
    ("replace('aXb', 'x', '-')", "String", "aXb"),
    ("replace('abc', '', '-')", "String", "abc"),
    ("replace('abc', 'b', '')", "String", "ac"),
    ("split('a,,b,', ',')", "Array", ["a", "", "b", ""]),
    ("split('a<>b<c', '<>')", "Array", ["a", "b<c"]),
    ("split('a b', '')", "Array", ["a b"]),
    ("split(root.n, ',')", "Array", [""]),
    ("iif(root.num, 'yes', 'no')", "String", "yes"),
    ("iif(root.n, 'yes', root.list)[1]", "String", "B"),
    ("iif(true, 1, lt('x', root.obj))", "Number", "1"),
    ("iif(false, lt('x', root.obj), 2)", "Number", "2"),
    ("convertToJson(root.obj)", "String", '{\n  "k": "v",\n  "n": 1\n}'),
    ("convertToJson(root.n)", "String", "null"),
    ("convertToJson(1.2.3)", "String", '"1.2.3"'),
    ("convertToJson(1.50)", "String", "1.5"),
    ("convertToJson(root.items[*].id)", "String", "[\n  1,\n  2\n]"),
    ("convertToJson(response.headers)", "String", "{}"),
]


@pytest.mark.parametrize(("text", "kind", "expected"), VALUES, ids=[case[0] for case in VALUES])
def test_a_function_returns(text: str, kind: str, expected: object) -> None:
    assert value_of(text, ROOT) == (kind, expected)


FAULTS: list[tuple[str, tuple[str, ...]]] = [
    ("contains(root.list, lt('x', root.obj))", ("TypeCast", "Array", "String")),
    ("contains('x', root.obj)", ("TypeCast", "Object", "String")),
    ("startsWith(root.obj, 'x')", ("TypeCast", "Object", "String")),
    ("endsWith('x', root.list)", ("TypeCast", "Array", "String")),
    ("lt(root.obj, lt('x', root.list))", ("TypeCast", "Array", "String")),
    ("lt(root.obj, 1)", ("TypeCast", "Object", "Number")),
    ("lt(1, root.obj)", ("TypeCast", "Object", "Number")),
    ("lt('x', root.items[*])", ("TypeCast", "Object", "String")),
    ("ge(1.2.3, 'x')", ("TypeCast", "String", "Version")),
    ("join(root.obj, root.list)", ("TypeCast", "Object", "String")),
    ("format('{1}', 'x')", ("Format",)),
    ("format('{256}', 'x')", ("Format",)),
    ("format('{0:x}', 'x')", ("Format",)),
    ("format('{0:x}', root.obj)", ("TypeCast", "Object", "String")),
    ("format('{0:a}}', 'x')", ("Format",)),
    ("format('}', 'x')", ("Format",)),
    ("format('{0', lt('x', root.obj))", ("Format",)),
    ("format('{0}{0}', root.big)", ("Memory",)),
    ("join('', split(replace(root.big, 'x', 'x,'), ','))", ("Memory",)),
    ("join(root.big, root.list)", ("Memory",)),
    ("replace(root.big, 'x', 'xx')", ("Memory",)),
    ("convertToJson(root.huge)", ("Memory",)),
    ("count(root.s)", ("UnsupportedKind",)),
    ("count(root.n)", ("UnsupportedKind",)),
    ("count(root.obj)", ("UnsupportedKind",)),
    ("length(root.n)", ("UnsupportedKind",)),
    ("length(5)", ("UnsupportedKind",)),
    ("length(root.items[*])", ("UnsupportedKind",)),
    ("intersect('a', root.list)", ("UnsupportedKind",)),
    ("intersect(root.list, 'a')", ("UnsupportedKind",)),
    ("lower(root.obj)", ("TypeCast", "Object", "String")),
    ("upper(root.obj)", ("TypeCast", "Object", "String")),
    ("trim(root.list)", ("TypeCast", "Array", "String")),
    ("replace('a', 'b', root.obj)", ("TypeCast", "Object", "String")),
    ("split('a', root.obj)", ("TypeCast", "Object", "String")),
    ("isUrl(root.obj)", ("TypeCast", "Object", "String")),
    ("jsonpath(root.obj)", ("TypeCast", "Object", "String")),
]


@pytest.mark.parametrize(("text", "expected"), FAULTS, ids=[case[0] for case in FAULTS])
def test_a_function_fails(text: str, expected: tuple[str, ...]) -> None:
    assert fault_of(text, ROOT) == expected


ARITIES = {
    "and": (2, None), "or": (2, None), "not": (1, 1), "xor": (2, 2), "eq": (2, 2), "ne": (2, 2),
    "lt": (2, 2), "le": (2, 2), "gt": (2, 2), "ge": (2, 2), "in": (2, None), "notIn": (2, None),
    "contains": (2, 2), "startsWith": (2, 2), "endsWith": (2, 2), "containsValue": (2, 2),
    "coalesce": (2, None), "join": (2, 2), "format": (1, 255), "length": (1, 1), "count": (1, 1),
    "jsonpath": (1, 1), "isNullOrEmpty": (1, 1), "intersect": (2, 2), "isUrl": (1, 1),
    "lower": (1, 1), "upper": (1, 1), "trim": (1, 1), "replace": (3, 3), "split": (2, 2),
    "iif": (3, 3), "convertToJson": (1, 1),
}  # fmt: skip


def test_the_table_has_exactly_these_functions() -> None:
    assert {function.name for function in CRITERIA.functions.values()} == set(ARITIES)


@pytest.mark.parametrize("name", ARITIES)
def test_a_function_takes_as_many_arguments_as_documented(name: str) -> None:
    least, most = ARITIES[name]

    compiled(f"{name}({', '.join(['1'] * least)})")
    compiled(f"{name}({', '.join(['1'] * (most or 300))})")

    with pytest.raises(ExpressionSyntaxError, match="at least"):
        compile_criteria(f"{name}({', '.join(['1'] * (least - 1))})")
    if most is not None:
        with pytest.raises(ExpressionSyntaxError, match=f"no more than {most}"):
            compile_criteria(f"{name}({', '.join(['1'] * (most + 1))})")


@pytest.mark.parametrize("name", ["join", "format", "jsonpath"])
def test_three_functions_are_shown_by_their_value(name: str) -> None:
    assert CRITERIA.functions[name].realized
    assert sum(function.realized for function in CRITERIA.functions.values()) == 3


LAZY = [
    "and(false, {})",
    "or(true, {})",
    "in(1, 1, {})",
    "notIn(1, 1, {})",
    "coalesce('x', {})",
    "format('none', {})",
    "format('{0}', 'x', {})",
    "join({}, root.empty)",
    "join({}, root.one)",
    "containsValue(1, {})",
    "iif(true, 1, {})",
    "iif(false, {}, 1)",
    "root.missing[{}]",
]


@pytest.mark.parametrize("text", LAZY)
def test_what_is_not_needed_is_never_evaluated(text: str) -> None:
    root = {"empty": [], "one": [1]}

    value_of(text.replace("{}", "lt('x', root)"), root)


@pytest.mark.parametrize(
    ("text", "succeeded", "failed", "canceled"),
    [
        ("always()", True, True, True),
        ("succeeded()", True, False, False),
        ("failed()", False, True, False),
        ("canceled()", False, False, True),
        ("succeededOrFailed()", True, True, False),
        ("and(succeeded(), eq(variables.x, 'Y'))", True, False, False),
    ],
)
def test_a_condition_knows_how_the_job_stands(
    text: str, *, succeeded: bool, failed: bool, canceled: bool
) -> None:
    condition = compile_condition(text)
    assert condition is not None

    def holds(status: JobStatus) -> bool:
        return condition.test(condition_scope(status=status, variables={"X": "y"}))

    assert (holds("succeeded"), holds("failed"), holds("canceled")) == (succeeded, failed, canceled)


def test_a_condition_and_a_criteria_know_different_names() -> None:
    assert set(CONDITION.functions) - set(CRITERIA.functions) == {
        "always", "succeeded", "failed", "canceled", "succeededorfailed",
    }  # fmt: skip
    assert set(CONDITION.names) == {"variables"}
    with pytest.raises(ExpressionSyntaxError):
        compile_condition("root.x")
    with pytest.raises(ExpressionSyntaxError):
        compile_criteria("succeeded()")
    with pytest.raises(ExpressionSyntaxError):
        compile_condition("always(1)")


def test_the_response_can_be_read() -> None:
    scope = answer_scope(
        root=dict,
        content=lambda: "no JSON",
        status=404,
        headers={"Content-Type": "text/plain", "Status": "header"},
        variables={"Build.Reason": "Manual"},
        task_inputs={"connectionType": "ARM"},
    )

    for text in [
        "eq(response.statuscode, 'NotFound')",
        "eq(RESPONSE['StatusCode'], 'notfound')",
        "eq(response.status, 404)",
        "lt(response.status, 500)",
        "eq(response.content, 'no json')",
        "eq(response.headers['content-TYPE'], 'text/plain')",
        "eq(variables['build.reason'], 'manual')",
        "eq(taskInputs.connectiontype, 'arm')",
        "containsValue(response, 'no json')",
        "containsValue(response.*, 'no json')",
        "eq(response, response)",
        "eq(join(',', variables.*), 'Manual')",
        "containsValue(response.*['content-type'], 'text/plain')",
        "not(response.missing)",
    ]:
        assert compiled(text).test(scope), text


@pytest.mark.parametrize(("status", "name"), [(299, "299"), (302, "Found"), (200, "OK")])
def test_a_status_goes_by_its_name(status: int, name: str) -> None:
    criteria = compiled("response.statuscode")

    assert criteria.value(scope_of(status=status)) == name


class Strict:
    """Operations over lists of one value, which insist on being passed on."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.work = Work()

    def value(self, held: list[Value]) -> Value:
        return held[0]

    def boolean(self, held: list[Value]) -> bool:
        return values.to_boolean(held[0])

    def text(self, held: list[Value]) -> str:
        return values.to_text(held[0])

    def try_text(self, held: list[Value]) -> str | None:
        return values.try_text(held[0])

    def try_number(self, held: list[Value]) -> Decimal | None:
        return values.try_number(held[0])

    def equal(self, left: list[Value], right: list[Value]) -> bool:
        return values.equal(left[0], right[0])

    def compare(self, left: list[Value], right: list[Value]) -> int:
        return values.compare(left[0], right[0])

    def read(self, name: str) -> Raw:
        return {"root": None, "status": "succeeded"}[name]


@pytest.mark.parametrize("name", [name for name in ARITIES if name != "jsonpath"])
def test_every_argument_is_evaluated_under_the_operations_at_hand(name: str) -> None:
    operations = Strict()

    def argument(given: object) -> list[Value]:
        assert given is operations
        operations.asked.append(given)
        return [["1"] if name in {"containsValue", "count", "intersect", "join"} else "1"]

    function = CRITERIA.functions[name.lower()]
    with contextlib.suppress(EvaluationFault):
        function.body(operations, [argument] * function.least)

    assert operations.asked


MESSAGES = [
    ("count(5)", "count takes an array; this is of kind Number."),
    ("length(root)", "length takes a text, an array or an object; this is of kind Null."),
    ("intersect(5, 'a')", "intersect takes two arrays; this is of kind Number."),
    ("intersect(split('', ''), 'a')", "intersect takes two arrays; this is of kind String."),
    ("format('{1}', 1)", "format refers to argument {1}, but has 1 to insert, counted from {0}."),
    ("format('{0:x}', 1)",
     "format takes a specifier such as '{0:yyyy}' for dates only; write '{0}'."),
    ("format('{')", ("The first argument of format has a brace that is neither doubled nor part of "
     "'{0}', '{1}', ...")),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), MESSAGES)
def test_a_fault_says_what_was_wanted(text: str, message: str) -> None:
    with pytest.raises(ExpressionValueError) as caught:
        compiled(text).test(scope_of())

    assert str(caught.value) == caught.value.message == message


HALF = "x" * 262_137

EXACT = [
    "join('', root.pair)",
    "join(root.one, root.thirds)",
    "format('{0}{0}x', root.half)",
    "format('x{0}{0}', root.half)",
    "replace(root.half1, 'y', root.half)",
]


@pytest.mark.parametrize("text", EXACT)
def test_a_text_of_exactly_the_greatest_length_can_be_built(text: str) -> None:
    root = {
        "half": HALF,
        "half1": HALF + "yx",
        "one": "x",
        "pair": [HALF, HALF + "x"],
        "thirds": ["x" * 262_136, "x" * 262_136, "x"],
    }

    kind, built = value_of(text, root)

    assert kind == "String"
    assert len(str(built)) == 524_275
    longer = {
        **root,
        "half1": HALF + "yxx",
        "pair": [HALF, HALF + "xx"],
        "thirds": ["x" * 262_136, "x" * 262_136, "xx"],
    }
    with_more = text.replace("x'", "xx'").replace("'x{0}", "'xx{0}")
    assert fault_of(with_more, longer) == ("Memory",)


def test_replacing_may_shorten() -> None:
    assert value_of("length(replace(root.s, 'ab', 'a'))", {"s": "ab" * 200_000}) == (
        "Number", "200000",
    )  # fmt: skip


def test_things_of_different_kinds_are_never_the_same() -> None:
    root = {"a": [1, "x"], "b": [True, "1"]}

    assert value_of("count(intersect(root.a, root.b))", root) == ("Number", "0")


def test_a_long_document_is_refused_before_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patched because nothing else tells a text that was refused from one that was never made."""

    def fail(*_: object, **__: object) -> str:
        raise AssertionError

    monkeypatch.setattr("invoke_core.expressions.later_functions.dump_json", fail)

    assert fault_of("convertToJson(root)", {"a": "x" * 600_000}) == ("Memory",)
