"""Inputs made to be expensive. The bounds are generous: each takes a fraction of them."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from invoke_core.documents import parse_answer
from invoke_core.errors import ExpressionError, JsonSyntaxError
from invoke_core.expressions import answer_scope, compile_criteria

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

ITEMS = parse_answer("[" + ",".join(f'"item{number}"' for number in range(100_000)) + "]")
NUMBERS = parse_answer("[" + ",".join(f"{number}.5" for number in range(100_000)) + "]")
OBJECTS = parse_answer("[" + ",".join(f'{{"id":{number}}}' for number in range(100_000)) + "]")
DEEP = parse_answer("[" * 500 + "]" * 500)
TEXTS: JsonValue = {
    "plain": "x" * 500_000,
    "braces": "{" * 500_000,
    "sharp": "\u00df" * 400_000,
    "emoji": "\U0001f600" * 200_000,
    "digits": "1," * 200_000,
    "blanks": " " * 500_000 + "x",
    "dots": "1." * 200_000,
}

CASES = [
    ("not(" * 5_249 + "1", ITEMS, "ExceededMaxDepth"),
    ("x" * 21_001, ITEMS, "ExceededMaxLength"),
    ("and(" + ",".join(["eq(1,1)"] * 2_600) + ")", ITEMS, True),
    ("root" + ".a" * 10_400, ITEMS, False),
    ("root" + "[0]" * 6_900, DEEP, False),
    ("root" + "[*]" * 6_900, DEEP, True),
    ("containsValue(root, 'none')", ITEMS, False),
    ("containsValue(root, 'ITEM99999')", ITEMS, True),
    ("containsValue(root, 0.25)", NUMBERS, False),
    ("containsValue(root[*], 99999.5)", NUMBERS, True),
    ("containsValue(root[*].id, 99999)", OBJECTS, True),
    ("eq(count(root[*][*]), 100000)", OBJECTS, True),
    ("eq(count(intersect(root, root)), 100000)", ITEMS, True),
    ("join(',', root[*].id)", OBJECTS, "Memory"),
    ("convertToJson(root)", OBJECTS, "Memory"),
    ("in(1, " + ", ".join(["root.plain"] * 1_000) + ")", TEXTS, "TooMuchWork"),
    ("format(root.braces)", TEXTS, True),
    ("replace(root.plain, 'x', root.plain)", TEXTS, "Memory"),
    ("contains(root.sharp, 'ss')", TEXTS, False),
    ("eq(root.emoji, root.emoji)", TEXTS, True),
    ("eq(1, root.digits)", TEXTS, False),
    ("eq(1, root.blanks)", TEXTS, False),
    ("eq(1.2.3, root.dots)", TEXTS, False),
    ("eq(length(split(root.digits, ',')), 200001)", TEXTS, True),
]


@pytest.mark.parametrize(("text", "root", "expected"), CASES, ids=[case[0][:30] for case in CASES])
def test_a_hostile_input_is_answered_in_time(
    text: str,
    root: JsonValue,
    expected: bool | str,  # noqa: FBT001  # what is to be expected
) -> None:
    def scope() -> None:
        return None

    started = time.perf_counter()
    try:
        criteria = compile_criteria(text)
        assert criteria is not None
        made = answer_scope(
            root=lambda: root, content=scope, status=200, headers={}, variables={}, task_inputs={}
        )
        outcome: object = criteria.test(made)
        evaluation = criteria.explain(made, mask=lambda shown: shown, verbose=True)
        assert evaluation.result is outcome
        assert sum(map(len, evaluation.trace)) < 4_000_000
    except ExpressionError as error:
        outcome = error.kind

    assert outcome == expected
    assert time.perf_counter() - started < 10


def test_a_document_nested_20_000_deep_is_refused_in_time() -> None:
    started = time.perf_counter()

    with pytest.raises(JsonSyntaxError):
        parse_answer("[" * 20_000 + "]" * 20_000)

    assert time.perf_counter() - started < 5


def test_the_path_library_is_not_imported_before_it_is_needed() -> None:
    script = (
        "import sys, invoke_core.expressions as e; e.compile_criteria(\"eq(root.a, '1')\");"
        "print(any(m.split('.')[0] in {'jsonpath', 'simplejson', 'difflib'} for m in sys.modules))"
    )

    found = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert found.stdout == "False\n"
