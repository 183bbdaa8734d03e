"""What does not parse, and what its author is told. Rules: expressions reference, section 2."""

from __future__ import annotations

import pytest

from invoke_core.errors import ExpressionSyntaxError
from invoke_core.expressions import compile_criteria
from invoke_core.expressions.criteria import CACHE_SIZE, LONGEST_CACHED

from .support import compiled, value_of

ERRORS = [
    ("true foo", "UnrecognizedValue", "foo", 6),
    ("true eq", "UnexpectedSymbol", "eq", 6),
    ("eq 1", "ExpectedStartParameter", "eq", 1),
    ("eq[1]", "ExpectedStartParameter", "eq", 1),
    ("eq foo", "ExpectedStartParameter", "eq", 1),
    ("eq.x", "ExpectedStartParameter", "eq", 1),
    ("root.1", "UnexpectedSymbol", "1", 6),
    ("root.1.2", "UnexpectedSymbol", "1.2", 6),
    ("root.'a'", "UnexpectedSymbol", "'a'", 6),
    ("root.\u00e9", "UnexpectedSymbol", "\u00e9", 6),
    ("root.*a", "UnrecognizedValue", "a", 7),
    ("root[**]", "UnexpectedSymbol", "*", 7),
    ("root[.5", "UnclosedIndexer", "[", 5),
    ("1 .5", "UnexpectedSymbol", ".", 3),
    ("root .5", "UnexpectedSymbol", "5", 7),
    ("abc'def'", "UnrecognizedValue", "abc'def'", 1),
    ("1'a'", "UnrecognizedValue", "1'a'", 1),
    ("eq('\U0001f600', foo)", "UnrecognizedValue", "foo", 10),
    ("eq('a', 'b", "UnrecognizedValue", "'b", 9),
    ("eq(1, root[", "UnclosedIndexer", "[", 11),
    ("eq(1, not(", "UnclosedFunction", "not", 7),
    ("eq(1, root.", "ExpectedPropertyName", ".", 11),
    ("root[1)", "UnexpectedSymbol", ")", 7),
    ("not(1]", "UnexpectedSymbol", "]", 6),
    ("-", "UnrecognizedValue", "-", 1),
    (".", "UnrecognizedValue", ".", 1),
    ("1.2.3.4.5", "UnrecognizedValue", "1.2.3.4.5", 1),
    ("1.+2.3", "UnrecognizedValue", "1.+2.3", 1),
    ("eq(1.2.+3, 1)", "UnrecognizedValue", "1.2.+3", 4),
    ("1.2147483648.3", "UnrecognizedValue", "1.2147483648.3", 1),
    ("\u00a0foo", "UnrecognizedValue", "foo", 2),
    ("\ufefftrue", "UnrecognizedValue", "\ufefftrue", 1),
]


@pytest.mark.parametrize(("text", "kind", "token", "position"), ERRORS)
def test_the_first_error_is_reported_where_it_stands(
    text: str, kind: str, token: str, position: int
) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_criteria(text)

    assert (caught.value.kind, caught.value.token, caught.value.position) == (kind, token, position)
    assert caught.value.source == text


MESSAGES = [
    (
        "and(eq(root.a, 1), rot.b)",
        (
            "Unrecognized value: 'rot' at position 20. Expected a value. Did you mean 'root'?\n"
            "  and(eq(root.a, 1), rot.b)\n"
            "                     ^^^"
        ),
    ),
    (
        "eq(1,\n  equals(2))",
        "Unrecognized value: 'equals' at position 9. Expected a value.\n    equals(2))\n    ^^^^^^",
    ),
    (
        "startswith('a'",
        (
            "Unclosed function: 'startswith' at position 1. "
            "Expected a ')' at the end of this call.\n"
            "  startswith('a'\n"
            "  ^^^^^^^^^^"
        ),
    ),
    (
        "eq(1)",
        (
            "Unexpected symbol: ')' at position 5. "
            "Expected another argument; it takes at least 2.\n"
            "  eq(1)\n"
            "      ^"
        ),
    ),
    (
        "eq(1, 2, 3)",
        (
            "Unexpected symbol: ',' at position 8. Expected ')': it takes no more than 2.\n"
            "  eq(1, 2, 3)\n"
            "         ^"
        ),
    ),
    (
        "and(1, 2 3)",
        "Unexpected symbol: '3' at position 10. Expected ',' or ')'.\n  and(1, 2 3)\n           ^",
    ),
    (
        'eq(root.a, "x")',
        (
            "Unrecognized value: '\"x\"' at position 12. Expected a value. "
            "Texts stand in single quotes.\n"
            '  eq(root.a, "x")\n'
            "             ^^^"
        ),
    ),
    (
        "eq(root.a, 'x)",
        (
            "Unrecognized value: ''x)' at position 12. Expected a value. "
            "The text is not closed; a quote inside a text is doubled.\n"
            "  eq(root.a, 'x)\n"
            "             ^^^"
        ),
    ),
    (
        "eq(root.a, null)",
        (
            "Unrecognized value: 'null' at position 12. Expected a value. "
            "There is no null; compare with ''.\n"
            "  eq(root.a, null)\n"
            "             ^^^^"
        ),
    ),
    (
        "root.a == 1",
        (
            "Unrecognized value: '==' at position 8. Expected the end of the expression. "
            "There are no operators; use eq, ne, lt, le, gt, ge, and, or, not.\n"
            "  root.a == 1\n"
            "         ^^"
        ),
    ),
    ("$", "Unrecognized value: '$' at position 1. Expected a value.\n  $\n  ^"),
    ("not(" * 50, "Exceeded max expression depth 50."),
    (" " * 21_001, "Exceeded max expression length 21000."),
]


@pytest.mark.parametrize(("text", "message"), MESSAGES, ids=range(len(MESSAGES)))
def test_the_message_says_what_was_expected_and_points_there(text: str, message: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_criteria(text)

    assert caught.value.message == message


def test_a_long_line_is_cut_around_the_fault() -> None:
    text = "and(" + "true, " * 100 + "x" * 300 + ", true" * 100 + ")"

    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_criteria(text)

    first, line, carets = caught.value.message.split("\n")
    assert first.endswith("x...' at position 605. Expected a value.")
    assert len(line) == 82
    assert line[carets.index("^")] == "x"
    assert carets.count("^") == 40


@pytest.mark.parametrize("text", ["", " ", "\t\r\n\u00a0\u2003\u3000", " " * 21_000])
def test_a_blank_text_is_no_criteria(text: str) -> None:
    assert compile_criteria(text) is None


def test_limits_are_those_of_the_original() -> None:
    compiled("not(" * 49 + "true" + ")" * 49)
    compiled("root" + "[root" * 49 + "]" * 49)
    compiled("root" + ".a" * 10_000)
    compiled("'" + "a" * 20_998 + "'")
    compiled("'" + "\U0001f600" * 10_499 + "'")
    for text in ["root" + "[root" * 50 + "]" * 50, "'" + "\U0001f600" * 10_500 + "'"]:
        with pytest.raises(ExpressionSyntaxError) as caught:
            compile_criteria(text)
        assert caught.value.token is None
        assert caught.value.position is None


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("\u2028 1 \x85", "Number", "1"),
        ("-.5", "Number", "-0.5"),
        ("007", "Number", "7"),
        ("5.", "Number", "5"),
        ("1.2.3", "Version", "1.2.3"),
        ("'it''s'", "String", "it's"),
        ("'a\nb\\n'", "String", "a\nb\\n"),
        ("TRUE", "Boolean", True),
        ("root . true", "Number", "1"),
        ("root[ 'eq' ] [ 0 ]", "Number", "2"),
        ("ROOT.eq[.5]", "Number", "2"),
    ],
)
def test_a_form_means(text: str, kind: str, value: object) -> None:
    assert value_of(text, {"true": 1, "eq": [2, 3]}) == (kind, value)


def test_a_text_is_compiled_once() -> None:
    assert compile_criteria("eq(1, 1)") is compile_criteria("eq(1, 1)")
    assert CACHE_SIZE == 512


@pytest.mark.parametrize(
    ("text", "token", "position"),
    [
        ("'a''", "'a''", 1),
        ("'''", "'''", 1),
        ("eq('a'', 1)", "'a'', 1)", 4),
        ("eq('it''s', 'b'')", "'b'')", 13),
        ("contains('a''b", "'a''b", 10),
    ],
)
def test_a_doubled_quote_does_not_close_a_text_that_has_no_end(
    text: str, token: str, position: int
) -> None:
    with pytest.raises(ExpressionSyntaxError) as caught:
        compile_criteria(text)

    error = caught.value
    assert (error.kind, error.token, error.position) == ("UnrecognizedValue", token, position)


def test_a_long_text_is_compiled_each_time_so_that_no_cache_of_them_grows() -> None:
    kept = "eq(1, 1)".ljust(LONGEST_CACHED)
    long = "eq(1, 1)".ljust(LONGEST_CACHED + 1)

    assert compile_criteria(kept) is compile_criteria(kept)
    assert compile_criteria(long) is not compile_criteria(long)
