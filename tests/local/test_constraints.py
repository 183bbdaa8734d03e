from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.local.constraints import parse_constraint
from invoke_core.local.errors import LocalServerError


@pytest.mark.parametrize(
    ("constraint", "accepted", "refused"),
    [
        ("int", ["0", "-5", "+7", " 1 ", "2147483647"], ["", "1.0", "2147483648", "x", "\u0661"]),
        ("INT", ["1"], ["x"]),
        ("long", ["9223372036854775807"], ["9223372036854775808", "9" * 30]),
        ("min(5)", ["5", "99"], ["4", "x"]),
        ("max(5)", ["5", "-99"], ["6", ""]),
        ("range(-1, 3)", ["-1", "3"], ["-2", "4"]),
        ("bool", ["true", "False", " TRUE "], ["1", "yes", ""]),
        (
            "guid",
            [
                "0a2b3c4d-0000-1111-2222-333344445555",
                "{0A2B3C4D-0000-1111-2222-333344445555}",
                "(0a2b3c4d-0000-1111-2222-333344445555)",
                "0a2b3c4d000011112222333344445555",
            ],
            ["", "0a2b3c4d", "{0a2b3c4d000011112222333344445555}", "g" * 32],
        ),
        ("decimal", ["1", "-1.5", "1,000.25", ".5"], ["1e3", "", "x"]),
        ("double", ["1e3", "-1.5E-7", "NaN", "-Infinity"], ["e3", "", "1.5.2"]),
        ("float", ["1.5"], ["x"]),
        ("alpha", ["abC", ""], ["a1", "é", "a b"]),
        ("length(3)", ["abc"], ["ab", "abcd"]),
        ("length(2,3)", ["ab", "abc"], ["a", "abcd"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["", "ab"], ["abc"]),
        ("required", ["x"], [""]),
        ("regex(^(A|b),c$)", ["a,c", "B,C"], ["c", "xa,c"]),
        ("regex()", ["", "x"], []),
    ],
)
def test_a_constraint_accepts_what_the_host_accepts(
    constraint: str, accepted: list[str], refused: list[str]
) -> None:
    accepts = parse_constraint(constraint)

    assert [one for one in accepted if not accepts(one)] == []
    assert [one for one in refused if accepts(one)] == []


@pytest.mark.parametrize(
    "constraint", ["datetime", "even", "int(3)", "range(1)", "length", "regex", "int(", "min()"]
)
def test_an_unknown_constraint_or_wrong_arguments_are_refused(constraint: str) -> None:
    with pytest.raises(LocalServerError, match="The route constraint '"):
        parse_constraint(constraint)


def test_the_refusal_names_what_is_known() -> None:
    with pytest.raises(LocalServerError) as caught:
        parse_constraint("even")

    assert caught.value.message == (
        "The route constraint 'even' is not one the local server knows; it knows alpha, bool, "
        "decimal, double, float, guid, int, length, long, max, maxlength, min, minlength, range, "
        "regex, required."
    )


def test_a_pattern_that_does_not_compile_is_refused() -> None:
    with pytest.raises(LocalServerError, match=r"^The route constraint 'regex\(\(\)' does not"):
        parse_constraint("regex(()")


@given(st.integers(min_value=-(10**19), max_value=10**19))
def test_whole_numbers_are_accepted_within_their_range(number: int) -> None:
    assert parse_constraint("int")(str(number)) == (-(2**31) <= number < 2**31)
    assert parse_constraint("long")(str(number)) == (-(2**63) <= number < 2**63)
