"""The JSONPath dialect. Rules: expressions reference, section 8."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from invoke_core.documents import parse_answer
from invoke_core.errors import ExpressionValueError
from invoke_core.expressions import answer_scope
from invoke_core.expressions.faults import EvaluationFault
from invoke_core.expressions.jsonpath import find
from invoke_core.expressions.output import to_document
from invoke_core.expressions.work import MOST_NODES, Work

from .support import compiled, fault_of, plain, value_of

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue
    from invoke_core.expressions.kinds import Raw, Value


def _find(path: str, document: JsonValue, *, most_nodes: int = MOST_NODES) -> list[Raw]:
    work = Work()
    work.nodes = most_nodes
    return find(path, cast("Value", document), work)


ROOT = {
    "count": 2,
    "value": [
        {"id": 1, "name": "one", "tags": ["x", "y"], "cap": {"os": "linux"}, "on": True},
        {"id": 2, "name": "Two", "tags": [], "cap": {"os": "win"}, "n": None},
        {"id": "3", "price": 0.3, "cap": {"inner": {"os": "mac"}}},
    ],
    "my-name": {"@odata.count": 7, "$x": 8, "a b": 9},
    "0": "zero",
    "os": "top",
    "true": "word",
}

PATHS: list[tuple[str, object]] = [
    ("$.value[*].id", ["1", "2", "3"]),
    ("value[*].id", ["1", "2", "3"]),
    (".value[0].id", ["1"]),
    ("['value'][0]['id']", ["1"]),
    ('$["value"][0]["id"]', ["1"]),
    ("  $.count  ", ["2"]),
    ("$.value[-1].id", ["3"]),
    ("$.value[0,2].id", ["1", "3"]),
    ("$.value[1:].id", ["2", "3"]),
    ("$.value[::2].id", ["1", "3"]),
    ("$.value[::-1].id", ["3", "2", "1"]),
    ("$.value[0]['name','id']", ["one", "1"]),
    ("$.value[9].id", []),
    ("$.missing", []),
    ("$.count.x", []),
    ("$.my-name['@odata.count']", ["7"]),
    ("$.my-name.$x", ["8"]),
    ("$.my-name['a b']", ["9"]),
    ("$.0", ["zero"]),
    ("$.true", ["word"]),
    ("$..os", ["linux", "win", "mac", "top"]),
    ("$.value..os", ["linux", "win", "mac"]),
    ("$.value[0]..*", None),
    ("$..['os']", ["linux", "win", "mac", "top"]),
    ("$..tags[0]", ["x"]),
    ("$..[0].id", ["1"]),
    ("$..[?(@.os=='win')]", [{"os": "win"}]),
    ("$..[?(@.name)].id", ["1", "2"]),
    ("$.value[?(@.id==1)].name", ["one"]),
    ("$.value[?(@.id == '3')].price", ["0.3"]),
    ("$.value[?(@.id == 3)]", []),
    ("$.value[?(@.price == 0.3)].id", ["3"]),
    ("$.value[?(@.price == 0.30)].id", ["3"]),
    ("$.value[?(@.price==3e-1)].id", ["3"]),
    ("$.value[?(@.price<1)].id", ["3"]),
    ("$.value[?(@.price >= 0.3)].id", ["3"]),
    ("$.value[?(@.price <= 0.3)].id", ["3"]),
    ("$.value[?(@.price > 0.3)].id", []),
    ("$.value[?(@.id!=1)].id", ["2", "3"]),
    ("$.value[?(@.missing!=1)].id", []),
    ("$.value[?(@.missing==1)].id", []),
    ("$.value[?(@.name=='two')].id", []),
    ("$.value[?(@.name>'a')].id", ["1"]),
    ("$.value[?(@.on==true)].id", ["1"]),
    ("$.value[?(@.on!=false)].id", ["1"]),
    ("$.value[?(@.on>false)].id", []),
    ("$.value[?(@.on==1)].id", []),
    ("$.value[?(@.n==null)].id", ["2"]),
    ("$.value[?(@.n<=null)].id", []),
    ("$.value[?(@.n)].id", ["2"]),
    ("$.value[?(@.tags)].id", ["1", "2"]),
    ("$.value[?(@.tags==1)].id", []),
    ("$.value[?(@.tags[*]=='y')].id", ["1"]),
    ("$.value[?(@.cap.os=='linux' || @.cap.os=='win')].id", ["1", "2"]),
    ("$.value[?(@.id>=1&&@.id<2)].id", ["1"]),
    ("$.value[?(!@.name)].id", ["3"]),
    ("$.value[?(@.id==$.count)].id", ["2"]),
    ("$.value[0].tags[?(@=='y')]", ["y"]),
    ("$.value[0].tags[?(@)]", ["x", "y"]),
    ("$.value[0][?(@==1)]", ["1"]),
    ("$.value[?(@.cap[?(@=='win')])].id", ["2"]),
    ("$.count[?(@==1)]", []),
    ("$.value[?@.id==1].name", ["one"]),
]


@pytest.mark.parametrize(("path", "expected"), PATHS, ids=[path for path, _ in PATHS])
def test_a_path_selects(path: str, expected: object) -> None:
    kind, value = value_of("jsonpath('" + path.replace("'", "''") + "')", ROOT)

    assert kind == "Array"
    if expected is not None:
        assert value == expected


def test_the_root_itself_is_a_match() -> None:
    for path in ["$", "", "$."]:
        assert [plain(to_document(each)) for each in _find(path, ["x"])] == [["x"]]


def test_a_descent_to_everything_begins_with_the_value_itself_in_document_order() -> None:
    document = parse_answer('{"a": [1, {"b": 2}], "c": 3}')

    found = [plain(to_document(each)) for each in _find("$..*", document)]

    assert found == [
        {"a": ["1", {"b": "2"}], "c": "3"}, ["1", {"b": "2"}], "1", {"b": "2"}, "2", "3",
    ]  # fmt: skip


REFUSED = [
    "$[", "$.value[", "$.value[]", "$.value[0,]", "$..", "$.a b", "$x", "$.value[01]", "$['a",
    "$.value[?(@.name =~ /one/)]", "$.value[?(match(@.name, 'o.*'))]",
    "$.value[?(search(@.name, 'o'))]", "$.value[?(length(@.name) > 1)]",
    "$.value[?(count(@.*) > 1)]", "$.value[?(value(@.a) == 1)]", "$.value[?(@.id in [1])]",
    "$.value[?(@.tags contains 'x')]", "$.value[?(@.id == [1])]", "$.value[$.count]",
    "$.value[name]", "$.value | $.count", "$.value & $.count", "$.value[~]",
    "$.value[?(# == 1)]", "$.value[?(@.id = 1)]", "$.value[?(1)]", "$.value[?()]",
    "$.value[?(@.id == .5)]", "$.value[?(@.id == :1.0)]", "$.value[" + "9" * 5000 + "]",
    "$[1e400]", "$.value[?(" + "(" * 3000 + "@.a" + ")" * 3000 + ")]",
    "$.value[?(" + "!" * 3000 + "@.a)]", "$.value[?(@.a" + "||@.a" * 3000 + ")]",
]  # fmt: skip


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path[:40])
def test_a_path_outside_the_dialect_is_an_evaluation_error(path: str) -> None:
    assert fault_of("jsonpath('" + path.replace("'", "''") + "')", ROOT) == ("InvalidPath",)


@pytest.mark.parametrize(
    ("number", "path", "expected"),
    [
        ("0.3", "$[?(@==0.3)]", 1),
        ("0.30000000000000004", "$[?(@==0.3)]", 0),
        ("12345678901234567890123", "$[?(@==12345678901234567890123)]", 1),
        ("12345678901234567890124", "$[?(@==12345678901234567890123)]", 0),
        ("1e999", "$[?(@>1)]", 1),
        ("1e9999999999999999999999", "$[?(@>1)]", 0),
        ("1.0", "$[?(@==1)]", 1),
        ("9" * 5000, "$[?(@>1)]", 1),
    ],
)
def test_numbers_are_compared_exactly(number: str, path: str, expected: int) -> None:
    assert len(_find(path, parse_answer(f"[{number}]"))) == expected


def test_texts_are_ordered_by_their_units() -> None:
    document = parse_answer('["\\ud83d\\ude00"]')

    assert _find("$[?(@<'\ue000')]", document)
    assert not _find("$[?(@>'\ue000')]", document)


LISTS = "[" * 400 + "]" * 400
OBJECTS = '{"a":' * 400 + "1" + "}" * 400
WIDE = "[" + "[1]," * 2000 + "1]"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("$..*..*..*", LISTS),
        ("$" + "[0,*]" * 40, LISTS),
        ("$" + "[0,0]" * 40, LISTS),
        ("$..[::1]..[::1]..[::1]..*", LISTS),
        ("$..a..a..a", OBJECTS),
        ("$" + "[0,0,0,0,0,0,0,0]" * 6 + "..[?(1==2)]", LISTS),
        ("$" + "['a','a']" * 30, OBJECTS),
        ("$..[?(@..a==1)]..[?(@..a==1)]", OBJECTS),
        ("$[?(@ == $[*])]", WIDE),
        ("$[?($..*)]", WIDE),
    ],
)
def test_a_path_visits_a_bounded_number_of_nodes(path: str, text: str) -> None:
    document = parse_answer(text)

    with pytest.raises(EvaluationFault) as caught:
        _find(path, document, most_nodes=20_000)

    assert caught.value.kind == "TooManyNodes"
    assert caught.value.message == ("The paths of the expression visit more than 1,000,000 nodes.")


def test_the_budget_is_what_the_contract_says() -> None:
    assert MOST_NODES == 1_000_000
    document = parse_answer("[" + "null," * 8 + "null]")

    assert len(_find("$.*", document, most_nodes=10)) == 9
    with pytest.raises(EvaluationFault):
        _find("$.*", document, most_nodes=9)


def test_depth_is_no_matter() -> None:
    document = parse_answer("[" * 500 + "]" * 500)

    assert len(_find("$..*", document)) == 500
    assert len(_find("$" + "[0]" * 400, document)) == 1
    assert _find("$" + ".a" * 5000, document) == []
    assert len(_find("$..[0]", document)) == 499


def test_the_thunk_of_the_body_is_asked_when_the_path_is_evaluated() -> None:
    def fail() -> None:
        raise ExpressionValueError("not JSON", source="", kind="NotJson")

    scope = answer_scope(
        root=fail, content=fail, status=200, headers={}, variables={}, task_inputs={}
    )

    assert not compiled("and(false, count(jsonpath('$.x')))").test(scope)
    with pytest.raises(ExpressionValueError, match="not JSON"):
        compiled("count(jsonpath('$.x'))").test(scope)


@pytest.mark.parametrize("path", ["$[?(@<>1)]", "a[?(@.n <> 9)]"])
def test_an_operator_of_the_library_alone_is_no_path(path: str) -> None:
    with pytest.raises(EvaluationFault) as caught:
        _find(path, [])

    assert caught.value.kind == "InvalidPath"
