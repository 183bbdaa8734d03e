"""The one representation of JSON, edge by edge (contract, "Conventions")."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.documents import (
    JsonNumber,
    JsonValue,
    PlainText,
    dump_json,
    parse_answer,
    parse_input,
    without_lone_surrogates,
)
from invoke_core.errors import JsonSyntaxError

Parse = Callable[[str], JsonValue]

NUMBERS = (
    "0",
    "-0",
    "-0.0",
    "1.10",
    "1E+5",
    "1e5",
    "1e999",
    "-1e-999",
    "0.30000000000000004",
    "12345678901234567890123456789.0",
    "7" * 5000,
)

# Everything JSON can say: numbers by their text, text without lone surrogates.
json_numbers = st.from_regex(
    r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?", fullmatch=True
).map(JsonNumber)
texts = st.text(st.characters(exclude_categories=["Cs"]))
documents = st.recursive(
    st.none() | st.booleans() | json_numbers | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=30,
)


def nested(levels: int) -> str:
    """Return JSON of lists and objects in turn, nested so many levels deep."""
    text = "1"
    for level in range(levels):
        text = f"[{text}]" if level % 2 else f'{{"a":{text}}}'
    return text


@pytest.mark.parametrize("parse", [parse_input, parse_answer])
@pytest.mark.parametrize("text", NUMBERS)
def test_a_number_comes_back_character_for_character(parse: Parse, text: str) -> None:
    document = parse(f'{{"n": [{text}]}}')

    assert document == {"n": [JsonNumber(text)]}
    assert dump_json(document) == f'{{"n":[{text}]}}'


def test_numbers_are_equal_when_their_texts_are() -> None:
    assert JsonNumber("1.0") == JsonNumber("1.0")
    assert hash(JsonNumber("1.0")) == hash(JsonNumber("1.0"))
    assert JsonNumber("1.0") != JsonNumber("1")
    assert JsonNumber("1") != "1"
    assert repr(JsonNumber("1.10")) == "JsonNumber('1.10')"


@given(documents)
def test_writing_and_reading_gives_the_document_back(document: JsonValue) -> None:
    assert parse_input(dump_json(document)) == document
    assert parse_answer(dump_json(document, indent=2)) == document


@given(documents)
def test_compact_text_survives_reading_and_writing_char_for_char(document: JsonValue) -> None:
    text = dump_json(document)

    assert dump_json(parse_answer(text)) == text


@given(documents)
def test_what_is_written_is_json_for_everybody(document: JsonValue) -> None:
    json.loads(dump_json(document), parse_int=str)


@given(st.text())
def test_only_a_json_syntax_error_leaves_the_parser(text: str) -> None:
    for parse in (parse_input, parse_answer):
        with suppress(JsonSyntaxError):
            parse(text)


def test_the_compact_form_has_no_blanks_and_leaves_other_scripts_raw() -> None:
    document: JsonValue = {"z": ["é", "日本", "😀", "\u2028", "\x7f"], "a": {"b": None, "c": True}}

    text = dump_json(document)

    assert text == '{"z":["é","日本","😀","\u2028","\x7f"],"a":{"b":null,"c":true}}'


def test_the_indented_form_is_for_people() -> None:
    assert dump_json({"a": [JsonNumber("1.0")]}, indent=2) == '{\n  "a": [\n    1.0\n  ]\n}'


def test_control_characters_quotes_and_backslashes_are_escaped() -> None:
    assert dump_json('"\\\n\x00/') == '"\\"\\\\\\n\\u0000/"'


def test_plain_text_of_yaml_is_written_as_text() -> None:
    assert dump_json([PlainText("010")]) == '["010"]'


def test_integers_of_our_own_and_tuples_are_written() -> None:
    assert dump_json({"status": 200, "pair": (1, 2)}) == '{"status":200,"pair":[1,2]}'


def test_what_is_no_document_is_not_written() -> None:
    with pytest.raises(TypeError, match="set has no place in a JSON document"):
        dump_json({"a": {1}})


@pytest.mark.parametrize("text", [r'"\ud800"', r'"\udfff"', r'"\udc00"'])
def test_a_lone_surrogate_is_read_and_written_as_the_replacement_character(text: str) -> None:
    assert dump_json(parse_input(text)) == '"\ufffd"'


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse_answer(r'"\ud83d\ude00"') == "😀"


def test_only_lone_surrogates_are_replaced() -> None:
    assert without_lone_surrogates("abc") == "abc"
    assert without_lone_surrogates("é😀") == "é😀"
    assert without_lone_surrogates("a\ud800b\udc00") == "a\ufffdb\ufffd"


@pytest.mark.parametrize("parse", [parse_input, parse_answer])
def test_a_byte_order_mark_is_skipped(parse: Parse) -> None:
    assert parse('\ufeff{"a": "b"}') == {"a": "b"}


@pytest.mark.parametrize(
    ("parse", "limit"), [(parse_input, 200), (parse_answer, 500)], ids=["input", "answer"]
)
def test_nesting_is_read_up_to_its_limit_and_no_further(parse: Parse, limit: int) -> None:
    deepest = nested(limit)

    assert dump_json(parse(deepest)) == deepest
    with pytest.raises(JsonSyntaxError) as caught:
        parse(nested(limit + 1))

    assert caught.value.message == f"Nested deeper than {limit} levels."


@pytest.mark.parametrize("text", ["[" * 20_000, "[" * 20_000 + "]" * 20_000, '{"a":' * 20_000])
def test_nesting_of_20000_levels_is_refused_and_breaks_nothing(text: str) -> None:
    for parse in (parse_input, parse_answer):
        with pytest.raises(JsonSyntaxError):
            parse(text)


def test_many_brackets_side_by_side_are_not_deep() -> None:
    text = "[" + ",".join(["[]", "{}"] * 300) + "]"

    assert dump_json(parse_input(text)) == text


def test_brackets_inside_text_are_not_deep() -> None:
    assert parse_input(f'"{"[" * 300}"') == "[" * 300


def test_a_member_given_twice_is_refused_in_our_input() -> None:
    with pytest.raises(JsonSyntaxError) as caught:
        parse_input('[{"a": 1, "b": {"c": 1, "d": 2, "c": 3}}]')

    assert caught.value.message == "The member 'c' stands twice in one object; give it once."


def test_the_last_of_duplicate_members_wins_in_an_answer() -> None:
    assert parse_answer('{"a": 1, "b": 2, "a": 3}') == {"a": JsonNumber("3"), "b": JsonNumber("2")}


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_are_not_finite_are_not_json(word: str) -> None:
    for parse in (parse_input, parse_answer):
        with pytest.raises(JsonSyntaxError) as caught:
            parse(f'{{"a": {word}}}')

        assert caught.value.message == f"{word} is not JSON; numbers are finite."


@pytest.mark.parametrize(
    "text", ["", " ", "{", "[1,]", "{'a': 1}", "01", "+1", "1.", ".5", "0x1", "nul", '"\n"', "1 2"]
)
def test_what_is_not_json_is_refused(text: str) -> None:
    for parse in (parse_input, parse_answer):
        with pytest.raises(JsonSyntaxError, match=r"^This is not JSON: "):
            parse(text)


def test_a_syntax_error_tells_line_and_column() -> None:
    with pytest.raises(JsonSyntaxError) as caught:
        parse_input('{\n  "a": tru\n}')

    assert (caught.value.line, caught.value.column) == (2, 8)
    assert caught.value.message == "This is not JSON: Expecting value at line 2, column 8."
