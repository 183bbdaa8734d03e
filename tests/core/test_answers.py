"""An answer as criteria and callers see it (contract, "Conventions", sections 2 and 4)."""

from __future__ import annotations

import json

import pytest

from invoke_core.answers import SHOWN_BODY_BYTES, AnswerReading
from invoke_core.documents import JsonNumber, JsonValue, dump_json
from invoke_core.errors import AnswerNotJsonError
from invoke_core.model import ResponseView
from invoke_core.variables import Masker
from tests.core.build import answer

NOBODY = Masker(())
CREDENTIAL = Masker(["swordfish"])


def reading(
    body: bytes | str = b"",
    *headers: tuple[str, str],
    content_type: str = "application/json",
    credential: Masker = NOBODY,
) -> AnswerReading:
    given = (("Content-Type", content_type), *headers) if content_type else headers
    return AnswerReading(answer(body, headers=given), credential=credential)


def shown_body(read: AnswerReading, masker: Masker = NOBODY) -> tuple[JsonValue, bool]:
    view = read.view(masker)
    return view.body, view.body_truncated


def test_json_is_parsed_whatever_its_media_type() -> None:
    for content_type in ("application/json", "text/plain", "application/problem+json", ""):
        read = reading('{"n": 1.10, "n": 2.50}', content_type=content_type)

        assert read.root() == {"n": JsonNumber("2.50")}
        assert read.content() == {"n": JsonNumber("2.50")}
        assert shown_body(read) == ({"n": JsonNumber("2.50")}, False)


@pytest.mark.parametrize("body", ["text", "<a/>", '{"a": NaN}', "[" * 501 + "]" * 501, "{"])
def test_what_is_not_json_is_text(body: str) -> None:
    read = reading(body)

    assert read.content() == body
    assert shown_body(read) == (body, False)
    with pytest.raises(AnswerNotJsonError, match=r"^An expression reads the body"):
        read.root()


@pytest.mark.parametrize("body", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_empty_body_is_not_json_and_is_shown_as_empty_text(body: bytes) -> None:
    read = reading(body)

    assert shown_body(read) == (body.decode("utf-8-sig"), False)
    with pytest.raises(AnswerNotJsonError) as caught:
        read.root()
    assert caught.value.message == ("An expression reads the body of the answer, and it is empty.")
    assert read.excerpt(str) == ""


def test_a_body_that_is_not_json_says_where_and_how_it_begins() -> None:
    read = reading("<html>" + "x" * 200)

    with pytest.raises(AnswerNotJsonError) as caught:
        read.root()

    assert caught.value.message == (
        "An expression reads the body of the answer, and it is not JSON. "
        "This is not JSON: Expecting value at line 1, column 1."
    )
    assert read.excerpt(str) == f" It begins with: <html>{'x' * 74}"


def test_the_beginning_of_a_body_is_masked_before_it_is_cut() -> None:
    read = reading("x" * 75 + "swordfish")

    assert read.excerpt(CREDENTIAL.show) == f" It begins with: {'x' * 75}***"


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("application/json", "utf-8"),
        ("application/json; charset=utf-8", "utf-8"),
        ("application/json;charset=UTF-16", "utf-16"),
        ('text/plain; a=b; Charset="ISO-8859-1"', "latin-1"),
        ("text/plain; charset=windows-1252", "cp1252"),
        ("text/plain; charset=utf-16le", "utf-16-le"),
        ("text/plain; charset=shift_jis; x=y", "utf-8"),
    ],
)
def test_a_body_is_decoded_by_its_character_set(content_type: str, encoding: str) -> None:
    text = '{"a": "é"}' if "jis" not in content_type else '{"a": "b"}'

    assert json.loads(reading(text.encode(encoding), content_type=content_type).text) == (
        json.loads(text)
    )


@pytest.mark.parametrize("charset", ["unicode-escape", "rot13", "idna", "iso-8859-99", "none", ""])
def test_an_unknown_character_set_counts_as_utf_8(charset: str) -> None:
    assert reading('"é"', content_type=f"text/plain; charset={charset}").root() == "é"


def test_bytes_that_do_not_decode_become_replacement_characters() -> None:
    assert reading(b'"a\xffb"').root() == "a\ufffdb"


def test_a_byte_order_mark_is_no_part_of_the_body() -> None:
    assert reading(b'\xef\xbb\xbf{"a": 1}').root() == {"a": JsonNumber("1")}
    assert shown_body(reading(b"\xef\xbb\xbftext")) == ("text", False)


def test_headers_keep_their_names_and_repeats_are_joined() -> None:
    read = reading("", ("X-a", "1"), ("Via", "a"), ("x-A", "2"), ("via", "b"), content_type="")

    assert read.headers == {"X-a": "1, 2", "Via": "a, b"}


def test_the_credential_is_masked_before_anyone_sees_the_answer() -> None:
    read = reading(
        r'{"swordfish": "my \u0073wordfish", "n": [1, "c3dvcmRmaXNo"]}',
        ("X-Echo", "swordfish"),
        credential=CREDENTIAL,
    )

    masked = {"***": "my ***", "n": [JsonNumber("1"), "***"]}
    assert read.root() == masked
    assert read.content() == masked
    assert read.headers["X-Echo"] == "***"
    assert shown_body(read) == (masked, False)


def test_the_credential_is_masked_in_the_names_of_headers() -> None:
    read = reading("", ("X-Was-swordfish", "1"), credential=Masker(["swordfish"]))

    assert read.headers["X-Was-***"] == "1"
    assert "X-Was-swordfish" not in read.headers


def test_the_credential_is_masked_in_text_too() -> None:
    read = reading("the swordfish", credential=CREDENTIAL)

    assert read.content() == "the ***"
    assert shown_body(read) == ("the ***", False)
    assert read.excerpt(str) == " It begins with: the ***"


def test_other_secrets_are_masked_only_in_what_is_shown() -> None:
    read = reading('{"a": "swordfish", "next": "/?code=12"}', ("X-Echo", "swordfish"))

    assert read.root() == {"a": "swordfish", "next": "/?code=12"}
    assert shown_body(read, CREDENTIAL) == ({"a": "***", "next": "/?code=***"}, False)
    assert read.view(CREDENTIAL).headers["X-Echo"] == "***"


def test_a_number_is_never_masked() -> None:
    masker = Masker(["12345678"])
    read = reading('{"n": 12345678, "s": "12345678"}', credential=masker)

    assert read.root() == {"n": JsonNumber("12345678"), "s": "***"}
    assert shown_body(read, masker) == ({"n": JsonNumber("12345678"), "s": "***"}, False)


def test_headers_that_carry_credentials_are_masked_whole() -> None:
    read = reading("", ("Set-Cookie", "a=b"), ("X-Api-Key", "c"), ("Location", "/?sig=d"))

    assert read.view(NOBODY).headers == {
        "Content-Type": "application/json",
        "Set-Cookie": "***",
        "X-Api-Key": "***",
        "Location": "/?sig=***",
    }


def test_a_connection_may_keep_no_body() -> None:
    read = AnswerReading(
        answer('{"a": "b"}', headers=(("A", "b"),)), credential=NOBODY, store_body=False
    )

    assert read.view(NOBODY) == ResponseView(
        status=200, headers={"A": "b"}, body=None, body_truncated=False, elapsed_ms=12
    )
    assert read.root() == {"a": "b"}


def padded(start: str, end: str, size: int) -> str:
    return start + "x" * (size - len(start) - len(end)) + end


def test_256_kib_of_a_body_are_kept_and_not_a_byte_more() -> None:
    whole = padded('{"a": "', '"}', SHOWN_BODY_BYTES)
    longer = padded('{"a": "', '"}', SHOWN_BODY_BYTES + 1)

    assert SHOWN_BODY_BYTES == 262_144
    assert shown_body(reading(whole)) == (json.loads(whole), False)
    assert shown_body(reading(longer)) == (longer[:SHOWN_BODY_BYTES], True)
    assert reading(longer).root() == json.loads(longer)


def test_a_long_text_is_cut_between_characters() -> None:
    text = "x" + "é" * SHOWN_BODY_BYTES

    assert shown_body(reading(text)) == ("x" + "é" * (SHOWN_BODY_BYTES // 2 - 1), True)


def test_a_long_text_is_masked_before_it_is_cut() -> None:
    text = padded("", "swordfish", SHOWN_BODY_BYTES + 4)

    assert shown_body(reading(text, credential=CREDENTIAL)) == (
        "x" * (SHOWN_BODY_BYTES - 5) + "***",
        True,
    )


@pytest.mark.parametrize(
    "secret",
    [r"\u0073wordfish", "swordfish", r"sw\u006frdfish", 'swordfish", "a": "swordfish'],
)
@pytest.mark.parametrize(
    ("credential", "shown"),
    [(NOBODY, CREDENTIAL), (CREDENTIAL, NOBODY)],
    ids=["variable", "credential"],
)
def test_a_long_document_is_masked_after_parsing_and_then_cut(
    secret: str, credential: Masker, shown: Masker
) -> None:
    text = padded(f'{{"n": 1.10, "a": "{secret}", "b": "', '"}', SHOWN_BODY_BYTES * 2)

    body, truncated = shown_body(reading(text, credential=credential), shown)

    assert truncated
    assert isinstance(body, str)
    assert body.startswith('{"n":1.10,"a":"***","b":"xxx')
    assert len(body) == SHOWN_BODY_BYTES


def test_a_secret_that_a_later_duplicate_hides_is_not_shown_raw() -> None:
    text = padded('{"a": "swordfish", "a": "\\u0061", "b": "', '"}', SHOWN_BODY_BYTES * 2)

    body, _ = shown_body(reading(text, credential=CREDENTIAL))

    assert isinstance(body, str)
    assert body.startswith('{"a":"a","b":"xxx')


def test_a_number_in_a_long_document_is_not_masked() -> None:
    masker = Masker(["12345678"])
    text = padded('{"n": 12345678, "b": "', '"}', SHOWN_BODY_BYTES * 2)

    body, _ = shown_body(reading(text, credential=masker), masker)

    assert isinstance(body, str)
    assert body.startswith('{"n":12345678,"b":"xxx')


def test_an_answer_500_levels_deep_is_json() -> None:
    text = "[" * 500 + "]" * 500

    assert dump_json(reading(text).root()) == text
