"""Request bodies, from bytes to a document (contract, "Conventions" and section 2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.documents import JsonNumber, JsonValue, PlainText
from invoke_core.errors import (
    BodyTooLargeError,
    InvalidBodyError,
    InvokeError,
    JsonSyntaxError,
    LengthRequiredError,
    UnsupportedMediaTypeError,
)
from invoke_core.steps import typed
from invoke_core.web.bodies import BODY_LIMIT_BYTES, read_document
from invoke_core.web.yaml_documents import read_yaml

JSON = {"content-type": "application/json"}
YAML = {"content-type": "application/yaml"}


def refusal(
    headers: dict[str, str], body: bytes, error: type[InvokeError] = InvalidBodyError
) -> str:
    """Return the sentence with which a body is refused."""
    with pytest.raises(error) as caught:
        read_document(headers, body)

    return caught.value.message


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json ; charset=us-ascii; profile=x",
    ],
)
def test_json_is_read_under_its_media_type(content_type: str) -> None:
    document = read_document({"content-type": content_type}, '{"a": ["é", 1.10]}'.encode())

    assert document == {"a": ["é", JsonNumber("1.10")]}


@pytest.mark.parametrize(
    "content_type",
    ["application/yaml", "text/yaml", "application/x-yaml", "TEXT/YAML; charset=UTF-8"],
)
def test_yaml_is_read_under_its_media_types(content_type: str) -> None:
    assert read_document({"content-type": content_type}, b"a:\n- b\n") == {"a": ["b"]}


def test_json_with_numbers_as_text_is_also_yaml() -> None:
    assert read_document(YAML, b'{"a": [1, "2", null]}') == {"a": ["1", "2", "null"]}


def test_a_missing_media_type_is_refused_naming_the_header_to_send() -> None:
    assert refusal({}, b"{}", UnsupportedMediaTypeError) == (
        "There is no Content-Type; "
        "send the header 'Content-Type: application/json or application/yaml'."
    )


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json", "*/*"],
)
def test_another_media_type_is_refused_naming_the_header_to_send(content_type: str) -> None:
    headers = {"content-type": f"{content_type}; charset=utf-8"}

    assert refusal(headers, b"{}", UnsupportedMediaTypeError) == (
        f"'{content_type}' is not read here; "
        "send the header 'Content-Type: application/json or application/yaml'."
    )


def test_yaml_is_refused_where_only_json_is_read() -> None:
    with pytest.raises(UnsupportedMediaTypeError) as caught:
        read_document(YAML, b"a: b", yaml_too=False)

    assert caught.value.message == (
        "'application/yaml' is not read here; send the header 'Content-Type: application/json'."
    )
    assert read_document(JSON, b'"a"', yaml_too=False) == "a"


@pytest.mark.parametrize("media_type", ["application/json", "application/yaml"])
def test_another_character_set_is_refused(media_type: str) -> None:
    headers = {"content-type": f"{media_type}; charset=utf-16"}

    assert refusal(headers, b"{}", UnsupportedMediaTypeError) == (
        "The body is said to be in 'utf-16'; send it in UTF-8."
    )


@pytest.mark.parametrize("headers", [JSON, YAML])
@pytest.mark.parametrize("body", [b"", b" \r\n\t", b"\xef\xbb\xbf"])
def test_an_empty_body_is_refused(headers: dict[str, str], body: bytes) -> None:
    assert refusal(headers, body) == "The body is empty; send the step as JSON or YAML."


@pytest.mark.parametrize("body", [b"# nothing but a comment\n", b"---\n...\n# end"])
def test_yaml_without_a_value_is_empty_or_null(body: bytes) -> None:
    try:
        document = read_document(YAML, body)
    except InvalidBodyError as error:
        document = error.message

    assert document in ("", "The body is empty; send the step as JSON or YAML.")


@pytest.mark.parametrize("coding", ["chunked", "Chunked", "gzip, chunked"])
def test_an_empty_chunked_body_needs_a_length(coding: str) -> None:
    message = refusal(JSON | {"transfer-encoding": coding}, b"", LengthRequiredError)

    assert message == (
        "The body was sent in chunks and did not arrive: Azure Functions drops chunked bodies. "
        "Send it with a Content-Length."
    )


def test_a_chunked_body_that_arrived_is_read() -> None:
    assert read_document(JSON | {"transfer-encoding": "chunked"}, b"[]") == []


def test_a_body_of_one_mebibyte_is_read_and_not_a_byte_more() -> None:
    body = b'"' + b"a" * (1024 * 1024 - 2) + b'"'

    assert len(body) == BODY_LIMIT_BYTES
    assert read_document(JSON, body) == "a" * (len(body) - 2)
    assert refusal(JSON, body + b" ", BodyTooLargeError) == (
        "The body is longer than 1048576 bytes (1 MiB)."
    )


@pytest.mark.parametrize("headers", [JSON, YAML])
def test_a_byte_order_mark_is_accepted(headers: dict[str, str]) -> None:
    assert read_document(headers, b'\xef\xbb\xbf{"a": "b"}') == {"a": "b"}


@pytest.mark.parametrize("headers", [JSON, YAML])
@pytest.mark.parametrize("body", [b'{"a": "\xff"}', '{"a": "é"}'.encode("latin-1")])
def test_what_is_not_utf_8_is_refused(headers: dict[str, str], body: bytes) -> None:
    assert refusal(headers, body) == "The body is not UTF-8: byte 7 does not fit."


def test_utf_16_is_refused() -> None:
    assert refusal(JSON, '{"a": "b"}'.encode("utf-16")).startswith("The body is not UTF-8: byte 0")


def test_broken_json_is_refused_with_its_place() -> None:
    assert refusal(JSON, b'{"a": 1,}', JsonSyntaxError).startswith("This is not JSON: ")
    assert refusal(JSON, b'{"a": [1}').endswith(" at line 1, column 9.")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"a": 1, "a": 2}', "The member 'a' stands twice in one object; give it once."),
        (b'{"a": NaN}', "NaN is not JSON; numbers are finite."),
        (b"[" * 201 + b"]" * 201, "Nested deeper than 200 levels."),
    ],
)
def test_json_has_the_limits_of_our_own_input(body: bytes, message: str) -> None:
    assert refusal(JSON, body) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!str b", "YAML tags are not read here (line 1, column 4)."),
        ("!local\na: b", "YAML tags are not read here (line 1, column 1)."),
        ("a: !!python/object:os.system b", "YAML tags are not read here (line 1, column 4)."),
        ('a: ! "b"', "YAML tags are not read here (line 1, column 4)."),
        ("a: !!map {}", "YAML tags are not read here (line 1, column 4)."),
        ("a: &x b", "YAML anchors are not read here (&x, line 1, column 4)."),
        ("a: &x [b]", "YAML anchors are not read here (&x, line 1, column 4)."),
        ("a:\n  b: *x", "YAML aliases are not read here (*x, line 2, column 6)."),
        ("<<: *x", "YAML aliases are not read here (*x, line 1, column 5)."),
        ("*x : a", "YAML aliases are not read here (*x, line 1, column 1)."),
        ("a: b\nc: d\na: e", "The key 'a' stands twice in one object (line 3, column 1)."),
        ("{a: 1, 'a': 2}", "The key 'a' stands twice in one object (line 1, column 8)."),
        ("a: b\n---\nc: d", "There is a second YAML document (line 3, column 1); send one."),
        ("a: b\n---\n", "There is a second YAML document (line 3, column 1); send one."),
        ("? [a]\n: b", "A YAML key is text (line 1, column 3)."),
        ("? {a: b}\n: c", "A YAML key is text (line 1, column 3)."),
        ("[" * 201 + "]" * 201, "Nested deeper than 200 levels."),
        ("[" * 20_000, "Nested deeper than 200 levels."),
        ("- " * 20_000, "Nested deeper than 200 levels."),
        ("a: [b", "This is not YAML: did not find expected ',' or ']' at line 2, column 1."),
        ("a: \x07", "This is not YAML: unacceptable character #x0007: control characters"),
        ("a: b: c", "This is not YAML: mapping values are not allowed in this context at line 1"),
        ("a:\n\t- b", "This is not YAML: found character that cannot start any token at line 2"),
        ('"', "This is not YAML: found unexpected end of stream at line 1, column 2."),
    ],
)
def test_yaml_that_is_dangerous_ambiguous_or_broken_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidBodyError) as caught:
        read_yaml(text)

    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    "text",
    ["010", "0x1F", "1_000", "on", "yes", "No", "1:30", "1.10", "1e3", "2026-01-27", ".inf", "="],
)
def test_a_scalar_of_yaml_stays_the_text_it_was(text: str) -> None:
    document = read_yaml(f"a: {text}\n'{text}':\n- {text}")

    assert document == {"a": text, text: [text]}
    # Not even where JSON types apply does any of these but a JSON number become one.
    assert typed({"a": PlainText("on")}) == {"a": "on"}


def test_quoted_and_block_scalars_are_told_from_plain_ones() -> None:
    document = read_yaml("a: 1\nb: '1'\nc: \"1\"\nd: |\n  1\ne: >-\n  1\n")

    assert document == {"a": "1", "b": "1", "c": "1", "d": "1\n", "e": "1"}
    assert isinstance(document, dict)
    assert [name for name, value in document.items() if isinstance(value, PlainText)] == ["a"]


def test_an_absent_value_of_yaml_is_empty_plain_text() -> None:
    assert read_yaml("a:\nb: ~\nc: null") == {"a": "", "b": "~", "c": "null"}


def test_nested_lists_and_objects_of_yaml_are_read() -> None:
    text = "a:\n  b: {c: [d, {e: f}], g: h}\n  i:\n  - j: k\n    l: []\n  - {}\nm: n"

    assert read_yaml(text) == {
        "a": {"b": {"c": ["d", {"e": "f"}], "g": "h"}, "i": [{"j": "k", "l": []}, {}]},
        "m": "n",
    }


def test_keys_of_yaml_are_text_whatever_they_look_like() -> None:
    assert read_yaml("1: a\ntrue: b\nnull: c\n2026-01-27: d") == {
        "1": "a",
        "true": "b",
        "null": "c",
        "2026-01-27": "d",
    }


def test_an_empty_key_of_yaml_is_a_key() -> None:
    assert read_yaml("'': a\nb: c") == {"": "a", "b": "c"}


def test_a_merge_key_merges_nothing() -> None:
    assert read_yaml("a: 1\n<<: {b: 2}") == {"a": "1", "<<": {"b": "2"}}


def test_yaml_is_read_down_to_200_levels() -> None:
    document = read_yaml("[" * 200 + "]" * 200)

    for _ in range(199):
        assert isinstance(document, list)
        [document] = document
    assert document == []


def test_markers_around_the_one_document_are_accepted() -> None:
    assert read_yaml("%YAML 1.2\n---\n# step\na: b\n...\n") == {"a": "b"}


@given(st.text(alphabet="ab:-?[]{},&*!|>'\"%@`#\n \t\\0~<", max_size=60))
def test_only_an_invalid_body_error_leaves_the_yaml_reader(text: str) -> None:
    try:
        document: JsonValue = read_yaml(text)
    except InvalidBodyError as error:
        document = error.message

    assert document is not None


@given(st.text(max_size=60))
def test_any_text_is_a_document_or_refused(text: str) -> None:
    body = text.encode("utf-8", "replace")

    for headers in (JSON, YAML):
        try:
            read_document(headers, body)
        except InvalidBodyError as error:
            assert error.message  # noqa: PT017  # either outcome is right
