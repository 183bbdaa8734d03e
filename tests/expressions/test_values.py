"""Conversions and comparisons one by one. Rules: expressions reference, sections 3, 4 and 6."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

import pytest

from invoke_core.documents import JsonNumber, PlainText
from invoke_core.expressions import texts, values
from invoke_core.expressions.faults import LONGEST_TEXT, EvaluationFault
from invoke_core.expressions.kinds import Caseless, Filtered, Kind, Lazy, Raw, Value, Version
from invoke_core.expressions.work import Work

LARGEST = "79228162514264337593543950335"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("1425", "1425"),
        ("-7", "-7"),
        (LARGEST, LARGEST),
        ("-" + LARGEST, "-" + LARGEST),
        ("9007199254740993", "9007199254740993"),
        ("1.50", "1.5"),
        ("-0.5", "-0.5"),
        ("1e3", "1000"),
        ("1E+3", "1000"),
        ("1E3", "1000"),
        ("978528666739533.4", "978528666739533"),
        ("952344069966316.6", "952344069966317"),
        ("5.04e-29", "0.0000000000000000000000000001"),
        ("-10", "-10"),
        ("1234567890123.5", "1234567890123.5"),
        ("123456789012.45", "123456789012.45"),
        ("0.00000000000005", "0.00000000000005"),
        ("1000000000000000.0", "1000000000000000"),
        ("2000000000000000.5", "2000000000000000"),
        ("100000000000000.5", "100000000000000"),
        ("100000000000001.5", "100000000000002"),
        ("5e-29", "0"),
        ("5.1e-29", "0.0000000000000000000000000001"),
        ("-0.0", "0"),
        ("123456789012345678901234567890e-30", "0.123456789012346"),
        ("15e-1", "1.5"),
        ("0.30000000000000004", "0.3"),
        ("12345678901234567.0", "12345678901234600"),
        ("-12345678901234567.0", "-12345678901234600"),
        ("123456789012345.6", "123456789012346"),
        ("1234567890123456.5", "1234567890123460"),
        ("100000000000000000.0", "100000000000000000"),
        ("999999999999999.4", "999999999999999"),
        ("0.1234567890123455", "0.123456789012346"),
        ("0.1234567890123445", "0.123456789012344"),
        ("9.99999999999999e22", "99999999999999900000000"),
        ("7.9e28", "79000000000000000000000000000"),
        ("7.92281625142643e28", "79228162514264300000000000000"),
        ("1e-28", "0.0000000000000000000000000001"),
        ("4e-29", "0"),
        ("6e-29", "0.0000000000000000000000000001"),
        ("1e-30", "0"),
        ("1e-320", "0"),
        ("0e999", "0"),
        ("0.0", "0"),
        ("0.000000000000000000000000000", "0"),
        ("9999999999999998.0", "10000000000000000"),
        ("3.141592653589793", "3.14159265358979"),
    ],
)
def test_a_json_number_is_read_as_the_engine_does(text: str, number: str) -> None:
    assert values.number_of(text) == Decimal(number)
    assert values.canonical(JsonNumber(text)) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    [
        "79228162514264337593543950336",
        "-79228162514264337593543950336",
        "1" * 31,
        "9" * 5000,
        "8e28",
        "1E30",
        "-8e28",
        "7.9228162514264337e28",
        "1e29",
        "1e300",
        "1e999",
        "-1e999",
        "9" * 400 + ".5",
    ],
)
def test_a_number_outside_the_range_overflows_when_it_is_read(text: str) -> None:
    with pytest.raises(EvaluationFault) as caught:
        values.number_of(text)

    assert caught.value.kind == "Overflow"
    assert (
        str(caught.value)
        == caught.value.message
        == ("A number lies outside the range of a decimal (96 bits and a sign).")
    )


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", "5"),
        ("+5", "5"),
        ("-5", "-5"),
        (" \t\n\r\x0b\x0c5 \t", "5"),
        ("1,000", "1000"),
        ("1,0,0", "100"),
        ("1,,0", "10"),
        ("1,", "1"),
        ("1,.5", "1.5"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        ("007", "7"),
        ("0." + "0" * 27 + "1", "1e-28"),
        ("0." + "0" * 28 + "1", "0"),
        ("0." + "0" * 28 + "5", "0"),
        ("0." + "0" * 28 + "50", "0"),
        ("0." + "0" * 28 + "501", "1e-28"),
        ("0." + "0" * 28 + "6", "1e-28"),
        ("0." + "0" * 27 + "15", "2e-28"),
        ("0." + "0" * 27 + "25", "2e-28"),
        ("0" * 40 + "1", "1"),
        ("0" * 40, "0"),
        (LARGEST, LARGEST),
        (LARGEST + ".4", LARGEST),
        ("7922816251426433759354395033.5", "7922816251426433759354395033.5"),
        ("7922816251426433759354395033.6", "7922816251426433759354395034"),
        ("7922816251426433759354395033.56", "7922816251426433759354395034"),
        ("7922816251426433759354395033.54", "7922816251426433759354395033.5"),
        ("1234567890.1234567890123456789012", "1234567890.1234567890123456789"),
        ("9999999999999999999999999999.9", "10000000000000000000000000000"),
        ("1" + "0" * 28, "1" + "0" * 28),
        ("-" + LARGEST, "-" + LARGEST),
    ],
)
def test_a_text_is_read_as_a_number(text: str, number: str) -> None:
    assert values.parse_number(text) == Decimal(number)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "+",
        "-",
        ".",
        "-.",
        ",1",
        ".,5",
        "1.5,5",
        "1e3",
        "0x1",
        "(5)",
        "$5",
        "5-",
        "- 5",
        "5 5",
        "1.2.3",
        "\uff11",
        "½",
        "\xa05",
        "\u200b5",
        "5\x00",
        "true",
        "NaN",
        "--5",
        "+-5",
        "79228162514264337593543950336",
        LARGEST + ".5",
        LARGEST + ".6",
        "1" * 30,
        "9" * 400,
    ],
)
def test_a_text_is_no_number(text: str) -> None:
    assert values.parse_number(text) is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1.2", (1, 2)),
        ("1.2.3", (1, 2, 3)),
        ("1.2.3.4", (1, 2, 3, 4)),
        (" 1 . +2.\t3", (1, 2, 3)),
        ("01.002", (1, 2)),
        ("-0.1", (0, 1)),
        ("2147483647.0", (2147483647, 0)),
        ("0.00000000000000000001", (0, 1)),
    ],
)
def test_a_text_is_read_as_a_version(text: str, parts: tuple[int, ...]) -> None:
    assert values.parse_version(text) == Version(parts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.",
        ".1",
        "1..2",
        "1.2.3.4.5",
        "v1.2",
        "1.2-beta",
        "-1.2",
        "1.-2",
        "1.2147483648",
        "1.9999999999",
        "1.99999999999",
        "1.a",
        "\uff11.2",
    ],
)
def test_a_text_is_no_version(text: str) -> None:
    assert values.parse_version(text) is None


def test_a_missing_part_is_less_than_zero() -> None:
    assert values.compare(Version((1, 2)), Version((1, 2, 0))) < 0
    assert values.compare(Version((1, 2, 1)), Version((1, 2, 0))) > 0
    assert values.compare(Version((1, 10)), "1.10") == 0
    assert not values.equal(Version((1, 2)), "1.2.0")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1.50", "1.5"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("-0", "0"),
        ("-0.00000001", "0"),
        ("0.12345675", "0.1234568"),
        ("0.12345665", "0.1234567"),
        ("-0.12345675", "-0.1234568"),
        ("0.1234567", "0.1234567"),
        ("0.12345674999", "0.1234567"),
        ("0.99999999", "1"),
        ("0.00000001", "0"),
        ("0.0000000", "0"),
        (LARGEST, LARGEST),
        ("7922816251426433759354395033.55555555", "7922816251426433759354395033.5555556"),
    ],
)
def test_a_number_is_written(number: str, text: str) -> None:
    assert values.number_text(Decimal(number)) == text


NOTHING: list[object] = []
OBJECT: dict[str, object] = {}

CONVERSIONS = [
    # value, Boolean, Number, String, Version, Null
    (True, True, Decimal(1), "True", None, False),
    (False, False, Decimal(0), "False", None, False),
    (Decimal(0), False, Decimal(0), "0", None, False),
    (Decimal("1.2"), True, Decimal("1.2"), "1.2", Version((1, 2)), False),
    (Decimal(-1), True, Decimal(-1), "-1", None, False),
    ("", False, Decimal(0), "", None, True),
    ("0", True, Decimal(0), "0", None, False),
    ("x", True, None, "x", None, False),
    ("1.2.3", True, None, "1.2.3", Version((1, 2, 3)), False),
    (Version((0, 0, 0)), True, None, "0.0.0", Version((0, 0, 0)), False),
    (None, False, Decimal(0), "", None, True),
    ([], True, None, None, None, False),
    ({}, True, None, None, None, False),
    (Filtered([]), True, None, None, None, False),
    (Caseless({}), True, None, None, None, False),
]


@pytest.mark.parametrize("row", CONVERSIONS, ids=range(len(CONVERSIONS)))
def test_every_kind_converts_to_every_kind(row: tuple[Value, ...]) -> None:
    value, boolean, number, text, version, null = row

    assert values.to_boolean(value) is boolean
    assert values.try_number(value) == number
    assert values.try_text(value) == text
    assert values.try_version(value) == version
    assert values.is_null(value) is null
    assert values.converts(value, Kind.BOOLEAN)
    assert values.converts(value, Kind.NUMBER) is (number is not None)
    assert values.converts(value, Kind.STRING) is (text is not None)
    assert values.converts(value, Kind.VERSION) is (version is not None)
    assert values.converts(value, Kind.NULL) is null


VALUES: list[Value] = [
    True, False, Decimal(0), Decimal(1), Decimal("1.2"), "", "0", "1", "A", "a", "\u00c9", "\u00e9",
    "True", "1.2", "1.2.3", Version((1, 2)), Version((1, 2, 3)), None, [], {},
]  # fmt: skip


def expected_equal(left: Value, right: Value) -> bool:
    """Equality, read straight off the table of section 6."""
    match left:
        case bool():
            return left == values.to_boolean(right)
        case Decimal():
            return values.try_number(right) == left
        case str():
            text = values.try_text(right)
            return text is not None and text.upper() == left.upper()
        case Version():
            return values.try_version(right) == left
        case None:
            return right is None or right == ""
        case _:
            return left is right


@pytest.mark.parametrize("left", VALUES, ids=repr)
def test_the_left_kind_decides_whether_two_are_equal(left: Value) -> None:
    for right in VALUES:
        assert values.equal(left, right) is expected_equal(left, right), right
        if isinstance(right, (bool, Decimal, str, Version)):
            assert values.matcher(right)(left) is expected_equal(left, right), right


ORDER = [
    (False, True, -1),
    (True, "", 1),
    (True, "x", 0),
    (Decimal(1), Decimal("1.0"), 0),
    (Decimal(1), "2", -1),
    (None, Decimal(1), -1),
    (None, "", 0),
    (None, None, 0),
    (None, Decimal(-1), 1),
    (Decimal(2), True, 1),
    ("a", "B", -1),
    ("a", "A", 0),
    ("a", "_", -1),
    ("Z", "[", -1),
    ("10", Decimal(9), -1),
    ("", None, 0),
    ("\ud800\udc00", "\ue000", -1),
    ("\U00010000", "\ue000", -1),
    ("\uffff", "\U0010ffff", 1),
    (Version((1, 2)), Decimal("1.2"), 0),
    (Version((2, 0)), "1.9", 1),
]


@pytest.mark.parametrize(("left", "right", "sign"), ORDER)
def test_values_are_ordered(left: Value, right: Value, sign: int) -> None:
    assert values.compare(left, right) == sign


UNORDERED: list[tuple[Value, Value, str, str]] = [
    ([], Decimal(1), "Array", "Number"),
    ({}, [], "Object", "Number"),
    (Filtered([]), Decimal(1), "Object", "Number"),
    (Decimal(1), "x", "String", "Number"),
    (Decimal(1), [], "Array", "Number"),
    ("x", {}, "Object", "String"),
    (None, "x", "String", "Number"),
    (Version((1, 2)), "x", "String", "Version"),
    (Version((1, 2)), Decimal(1), "Number", "Version"),
    (Version((1, 2)), None, "Null", "Version"),
]


@pytest.mark.parametrize(("left", "right", "from_kind", "to_kind"), UNORDERED)
def test_values_that_have_no_order(left: Value, right: Value, from_kind: str, to_kind: str) -> None:
    with pytest.raises(EvaluationFault) as caught:
        values.compare(left, right)

    assert caught.value.kind == "TypeCast"
    assert (caught.value.from_kind, caught.value.to_kind) == (from_kind, to_kind)
    assert caught.value.message == (
        f"A value of kind {from_kind} cannot be converted to {to_kind}."
    )


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("\u00e9", "\u00c9"),
        ("stra\u00dfe", "STRA\u00dfE"),
        ("\u01c6", "\u01c4"),
        ("\u1fb3", "\u1fbc"),
        ("\u03c3", "\u03a3"),
        ("\U0001f600", "\ud83d\ude00"),
        ("\u0149\u00e9", "\u0149\u00c9"),
    ],
)
def test_texts_are_equal_without_case(left: str, right: str) -> None:
    assert texts.same_text(left, right)
    assert texts.same_text(right, left)
    assert texts.same_text(left * 2000, right * 2000)
    assert texts.fold(left) == texts.fold(right)
    assert values.matcher(right)(left)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("\u00df", "ss"),
        ("e\u0301", "\u00e9"),
        ("\u0131", "I"),
        ("\u017f", "S"),
        ("\ufb01", "FI"),
        ("\U00010428", "\U00010400"),
        ("a", "b"),
        ("a", "aa"),
        ("a", "\u00e9"),
        ("\u00e9", "a"),
    ],
)
def test_texts_are_different(left: str, right: str) -> None:
    assert not texts.same_text(left, right)
    assert not texts.same_text(right, left)
    assert not values.matcher(right)(left)


def test_letter_case_changes_character_by_character() -> None:
    assert texts.upper("\u00e9\u00df\u0131\U00010428a") == "\u00c9\u00df\u0131\U00010428A"
    assert texts.upper("\u00e9" * 3) == "\u00c9" * 3
    assert texts.lower("\u00c9\u03a3\u0130\u212a\U00010400A") == (
        "\u00e9\u03c3\u0130\u212a\U00010400a"
    )


def test_lengths_and_units_are_those_of_utf16() -> None:
    assert texts.utf16_length("abc") == 3
    assert texts.utf16_length("\u00e9\U0001f600") == 3
    assert texts.units("a\U0001f600\u00e9") == "a\ud83d\ude00\u00e9"
    assert texts.units("\u00e9") == "\u00e9"


def test_a_text_is_held_up_to_the_limit() -> None:
    assert LONGEST_TEXT == 524_275
    assert values.held("a" * 524_275)
    assert values.canonical("\U0001f600" * 262_137)
    for text in ["a" * 524_276, "\U0001f600" * 262_138]:
        with pytest.raises(EvaluationFault) as caught:
            values.canonical(text)
        assert caught.value.kind == "Memory"
        assert caught.value.message == (
            "A text is longer than 524275 UTF-16 units, the most there may be."
        )


def test_raw_values_are_read() -> None:
    made = values.canonical(PlainText("x"))

    assert type(made) is str
    assert made == "x"
    assert values.canonical(7) == Decimal(7)
    assert values.canonical(Lazy(lambda: JsonNumber("7"))) == Decimal(7)
    assert values.canonical(None) is None
    assert values.canonical(True) is True  # noqa: FBT003  # the value itself
    same: list[Raw] = []
    assert values.canonical(same) is same


def test_a_failed_conversion_to_text_names_both_kinds() -> None:
    with pytest.raises(EvaluationFault) as caught:
        values.to_text([])

    assert (caught.value.from_kind, caught.value.to_kind) == (Kind.ARRAY, Kind.STRING)


@pytest.mark.parametrize(
    ("key", "asked", "found"),
    [
        ("Stra\u00dfe", "STRASSE", False),
        ("SS", "\u00df", False),
        ("stra\u00dfe", "STRA\u00dfE", True),
        ("\u00e9t\u00e9", "\u00c9T\u00c9", True),
        ("\ufb01n", "FIN", False),
        ("Build.Reason", "BUILD.reason", True),
        ("\u1f80", "\u1f88", True),
    ],
)
def test_keys_without_case_are_compared_as_texts_are(key: str, asked: str, *, found: bool) -> None:
    members = Caseless({key: "x"})

    assert members.has(asked) is found
    assert members.get(asked) == ("x" if found else None)


@pytest.mark.parametrize("text", ["+1.2.3", "1.+2.3", " 1. +2 .3 "])
def test_a_text_may_have_a_sign_before_a_part_of_a_version(text: str) -> None:
    assert values.try_version(text) == Version((1, 2, 3))


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("\ud83d\ude00", "\U0001f600", True),
        ("x\ude00", "x\ude01", False),
        ("\U0001f600" * 600, "\ud83d\ude00" * 600, True),
        ("\u00df" * 3, "SS" * 3, False),
        ("a" * 9, "A" * 9, True),
        ("a", "\u00e9", False),
        ("\u00e9" * 5, "e" * 11, False),
    ],
)
def test_texts_are_compared_by_units(left: str, right: str, *, expected: bool) -> None:
    assert texts.same_text(left, right) is expected
    assert texts.same_text(right, left) is expected
    assert (texts.fold(left) == texts.fold(right)) is expected
    assert values.matcher("x")(left) is (left.lower() == "x")


ITEMS = ["1", "1.0", "a", "A", "", "\u00e9", "\u00c9", "1.2.3", "true", " 5", "-5", "\U0001f600",
         JsonNumber("1"), JsonNumber("1.0"), JsonNumber("-5"), JsonNumber("1e0"), JsonNumber("0"),
         JsonNumber("-0"), JsonNumber("12345678901234567890123456789"), JsonNumber("1.50"),
         True, False, None, [], {}]  # fmt: skip
WANTED: list[Value] = [
    "1", "1.0", "a", "", "\u00e9", "True", "1.5", "-5", "0", "12345678901234567890123456789",
    "\U0001f600", Decimal(1), Decimal("1.0"), Decimal("1E+1"), Decimal(-5), Decimal("1.5"),
    Decimal(0), Decimal(12345678901234567890123456789), True, False, None, Version((1, 2, 3)),
]  # fmt: skip


@pytest.mark.parametrize("wanted", WANTED, ids=repr)
def test_finding_an_item_is_comparing_with_each(wanted: Value) -> None:
    matches = values.finder(wanted, Work())

    for item in cast("list[Raw]", ITEMS):
        assert matches(item) is values.equal(wanted, values.canonical(item)), item


@pytest.mark.parametrize("wanted", ["x", Decimal(1), True], ids=repr)
def test_an_item_that_cannot_be_held_is_a_fault_where_it_is_reached(wanted: Value) -> None:
    matches = values.finder(wanted, Work())

    with pytest.raises(EvaluationFault) as text:
        matches("y" * (LONGEST_TEXT + 1))
    with pytest.raises(EvaluationFault) as number:
        matches(JsonNumber("1e99"))

    assert (text.value.kind, number.value.kind) == ("Memory", "Overflow")
