"""Macros and masking (contract, section 2 "Macros" and section 4 "Secrets read ``***``")."""

from __future__ import annotations

import base64
import json
import re
from time import process_time
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.documents import JsonNumber, JsonValue, dump_json
from invoke_core.model import MASK
from invoke_core.variables import Masker, expand, is_secret_header

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = {"name": "Ada", "text": 'say "hi"\n/', "nested": "$(name)", "a.b c-d_e": "odd", "": "no"}

SECRET = "p/ä s+s\"w\\d'%&"

secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=20)


def expanded(text: str) -> tuple[str, list[str]]:
    """Return a text expanded with VALUES, and the names it did not know."""
    unknown: list[str] = []
    return expand(text, VALUES, unknown=unknown.append), unknown


@pytest.mark.parametrize("macro", ["$(name)", "$(NAME)", "$(Name)"])
def test_a_macro_is_replaced_in_any_letter_case(macro: str) -> None:
    assert expanded(f"Hello {macro}, {macro}!") == ("Hello Ada, Ada!", [])


def test_a_name_may_hold_dots_blanks_and_dashes() -> None:
    assert expanded("$(A.B C-D_E)") == ("odd", [])


def test_what_a_macro_brings_in_is_not_expanded_again() -> None:
    assert expanded("$(nested)") == ("$(name)", [])


def test_a_macro_put_together_by_a_macro_is_not_expanded() -> None:
    assert expanded("$($(name))") == ("$(Ada)", [])


def test_an_unknown_macro_stays_as_it_is_and_is_told() -> None:
    assert expanded("$(name) $(Nobody) $(json:Other)") == (
        "Ada $(Nobody) $(json:Other)",
        ["Nobody", "Other"],
    )


@pytest.mark.parametrize("text", ["$()", "$( ", "$(a\nb)", "$name", "$(", "$[name]", "${{name}}"])
def test_what_is_no_macro_is_left_alone(text: str) -> None:
    assert expanded(text) == (text, [])


@pytest.mark.parametrize("macro", ["$(json:text)", "$(JSON:Text)"])
def test_the_json_form_can_stand_inside_a_json_string(macro: str) -> None:
    text, unknown = expanded(f'{{"a": "{macro}"}}')

    assert text == '{"a": "say \\"hi\\"\\n/"}'
    assert json.loads(text) == {"a": VALUES["text"]}
    assert unknown == []


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_value_survives_the_json_form(value: str) -> None:
    unknown: list[str] = []

    text = expand('["$(json:v)"]', {"v": value}, unknown=unknown.append)

    assert json.loads(text) == [value]
    assert unknown == []


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "PROXY-AUTHORIZATION",
        "AuthToken",
        "cookie",
        "Set-Cookie",
        "x-functions-key",
        "Ocp-Apim-Subscription-Key",
        "X-Auth-Token",
        "client-secret",
    ],
)
def test_a_header_that_carries_credentials_is_never_shown(name: str) -> None:
    assert is_secret_header(name)
    assert Masker(()).show_header(name, "anything") == "***"


@pytest.mark.parametrize("name", ["Content-Type", "X-Keys", "Key", "Token-Kind", "Authorize"])
def test_other_headers_are_shown(name: str) -> None:
    assert not is_secret_header(name)
    assert Masker(()).show_header(name, "anything") == "anything"


def test_secrets_in_the_value_of_another_header_are_masked() -> None:
    masker = Masker(["swordfish"])

    shown = masker.show_header("Location", "https://swordfish.example/?code=12&a=b")

    assert shown == "https://***.example/?code=***&a=b"


def test_a_secret_is_masked_wherever_it_stands() -> None:
    assert Masker(["swordfish"]).hide("swordfish, Swordfish: swordfishes") == (
        "***, Swordfish: ***es"
    )


def lower_hex(text: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), text)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        lower_hex(quote(SECRET, safe="")),
        quote(SECRET),
        lower_hex(quote(SECRET)),
        quote_plus(SECRET),
        lower_hex(quote_plus(SECRET)),
        quote(SECRET, safe="'()*!+"),
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        json.dumps(SECRET)[1:-1].replace("/", "\\/"),
        json.dumps(SECRET, ensure_ascii=False)[1:-1].replace("/", "\\/"),
        "p/\\u00E4 s\\u002Bs\\u0022w\\\\d\\u0027%\\u0026",
    ],
)
def test_an_encoded_secret_is_masked(form: str) -> None:
    assert Masker([SECRET]).hide(f"a={form}&b") == "a=***&b"


@given(secret=secrets)
def test_a_secret_is_masked_in_url_and_json_form_whatever_it_is(secret: str) -> None:
    masker = Masker([secret])

    assert masker.hide(secret) == "***"
    assert masker.hide(quote(secret, safe="")) == "***"
    assert masker.hide(quote_plus(secret)) == "***"
    assert masker.hide(json.dumps(secret)[1:-1]) == "***"
    assert masker.hide(dump_json(secret)[1:-1]) == "***"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("secret", ["s3cr", "s3cre", "s3cret", "?>ü?>ü~~"])
@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "abcd"])
@pytest.mark.parametrize("after", ["", "z", "zy", "zyx"])
def test_a_secret_inside_base64_is_masked(
    encode: Callable[[bytes], bytes], secret: str, before: str, after: str
) -> None:
    masker = Masker([secret])

    text = encode(f"{before}{secret}{after}".encode()).decode()

    # Beside the neighbours' own characters, at most one on each side shares bits with the secret.
    shown = masker.hide(text)
    left, mask, right = shown.partition("***")
    assert mask
    assert len(left) <= -(-len(before) * 8 // 6)
    assert len(right.rstrip("=")) <= -(-len(after) * 8 // 6) + bool(after)
    assert masker.hide(text.rstrip("=")).partition("***")[0] == left


@pytest.mark.parametrize("user", [b"svc:", b"us:", b"u:"])
def test_the_end_of_a_secret_in_base64_goes_with_its_padding(user: bytes) -> None:
    text = base64.b64encode(user + b"swordfish1").decode()

    assert Masker(["swordfish1"]).hide(text).endswith("***")
    assert Masker(["swordfish1"]).hide(text.rstrip("=")).endswith("***")


def test_base64_inside_a_url_is_masked() -> None:
    secret = "???>>>~~~"
    encoded = quote(base64.b64encode(secret.encode()).decode(), safe="")

    assert "%2" in encoded
    assert Masker([secret]).hide(f"?a={encoded}") == "?a=***"


def test_a_secret_in_latin_1_base64_is_masked() -> None:
    text = base64.b64encode("svc:pässwörd".encode("latin-1")).decode()

    assert "***" in Masker(["pässwörd"]).hide(text)


def test_the_longest_secret_is_masked_first() -> None:
    for order in (["swordfish", "swordfish-2"], ["swordfish-2", "swordfish"]):
        assert Masker(order).hide("swordfish-2 swordfish-1") == "*** ***-1"


def test_secrets_under_four_characters_are_not_looked_for() -> None:
    assert Masker(["", "abc"]).hide("abc") == "abc"
    assert Masker(["abcd"]).hide("abcd") == "***"


def test_many_backslashes_do_not_make_masking_slow() -> None:
    masker = Masker(["\\" * 60 + "x", "%25" * 30, "a+ +" * 20])

    assert masker.hide("\\" * 5000 + "%25" * 29 + "+ " * 2000).endswith("+ ")


def test_a_masker_does_not_print_its_secrets() -> None:
    assert repr(Masker(["swordfish", "abc"])) == "Masker(1 secrets)"


def test_a_document_is_masked_in_texts_and_member_names_but_never_in_numbers() -> None:
    document: JsonValue = {
        "12345678": "12345678",
        "n": [JsonNumber("12345678"), True, None, ["x12345678y", {"deep": "12345678"}]],
    }
    raw = dump_json(document)

    masked = Masker(["12345678"]).hide_in(document, raw=raw)

    assert masked == {
        "***": "***",
        "n": [JsonNumber("12345678"), True, None, ["x***y", {"deep": "***"}]],
    }
    assert document == json.loads(raw, parse_int=JsonNumber)


def test_members_keep_their_order_when_masked() -> None:
    document: JsonValue = {"b": "swordfish", "a": {"z": "1", "swordfish": "2", "y": "3"}}

    masked = Masker(["swordfish"]).hide_in(document, raw="swordfish")

    assert dump_json(masked) == '{"b":"***","a":{"z":"1","***":"2","y":"3"}}'


def test_a_secret_behind_json_escapes_is_masked_after_parsing() -> None:
    raw = r'{"a": "\u0073wordfish"}'

    assert Masker(["swordfish"]).hide_in(json.loads(raw), raw=raw) == {"a": "***"}


def test_a_document_without_secrets_stays_the_very_same() -> None:
    document: JsonValue = {"a": ["b\\c"]}

    assert Masker(()).hide_in(document, raw="") is document
    assert Masker(["swordfish"]).hide_in(document, raw='{"a": ["b"]}') is document
    assert Masker(["swordfish"]).hide_in(document, raw=r'{"a": ["b\\c"]}') is document


@pytest.mark.parametrize(
    ("shown", "url"),
    [
        ("https://h/p", "https://h/p"),
        ("https://h/p?a=1&b", "https://h/p?a=1&b"),
        ("https://h/p?sig=***&a=1", "https://h/p?sig=ab%2Bc&a=1"),
        ("https://h/p?code=***&codes=1", "https://h/p?code=12&codes=1"),
        ("https://h/p?access_token=***", "https://h/p?access_token=abc"),
        ("https://h/p?ApiKey=***", "https://h/p?ApiKey=abc"),
        ("https://h/p?client_secret=***", "https://h/p?client_secret=a=b=c"),
        ("https://h/p?Password=***&key=***", "https://h/p?Password=x&key=y"),
        ("https://h/p?c%6Fde=***", "https://h/p?c%6Fde=12"),
        ("https://h/p?to%6ben=***", "https://h/p?to%6ben=12"),
        ("https://h/***?a=***", "https://h/swordfish?a=swordfish"),
        ("https://h/p?a=***", "https://h/p?a=sw%6frdfish%21"),
    ],
)
def test_secrets_in_a_url_are_masked(url: str, shown: str) -> None:
    assert Masker(["swordfish", "sw%6frdfish%21"]).show_url(url) == shown


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ("see https://h/p?sig=*** and go", "see https://h/p?sig=abc and go"),
        ('<a href="/p?a=1&amp;code=***">', '<a href="/p?a=1&amp;code=abc">'),
        ("AccountName=a;AccountKey=***", "AccountName=a;AccountKey=abc=="),
        ("no=1&barcode=2", "no=1&barcode=2"),
        ("code=1", "code=1"),
    ],
)
def test_secret_parameters_are_masked_in_a_text_too(text: str, shown: str) -> None:
    assert Masker(()).show(text) == shown


def test_a_document_is_shown_without_secrets_and_secret_parameters() -> None:
    document: JsonValue = {"next": "https://h/?page=2&sig=abc", "n": JsonNumber("1"), "s": "sword"}

    shown = Masker(["sword"]).show_in(document, raw=dump_json(document))

    assert shown == {
        "next": "https://h/?page=2&sig=***",
        "n": JsonNumber("1"),
        "s": "***",
    }


def test_a_document_with_nothing_to_mask_is_shown_as_the_very_same() -> None:
    document: JsonValue = {"a": "https://h/?page=2"}

    assert Masker(()).show_in(document, raw=dump_json(document)) is document
    assert Masker(()).show_in(document, raw="\\") is document


def test_a_raw_text_is_left_only_where_nothing_is_masked_or_escaped() -> None:
    masker = Masker(["swordfish"])

    assert masker.leaves('{"a": "b"}')
    assert not masker.leaves('{"a": "swordfish"}')
    assert not masker.leaves('{"a": "/?code=12"}')
    assert not masker.leaves(r'{"a": "\u0073wordfish"}')


def test_a_deep_document_is_masked_without_recursion() -> None:
    document: JsonValue = "swordfish"
    for _ in range(5000):
        document = [document]

    masked = Masker(["swordfish"]).show_in(document, raw="swordfish")

    while isinstance(masked, list):
        masked = masked[0]
    assert masked == "***"


LONG_SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "percent": lambda text: quote(text, safe=""),
    "percent in lower case": lambda text: re.sub(
        "%[0-9A-F]{2}", lambda code: code[0].lower(), quote(text, safe="")
    ),
    "form": quote_plus,
    "json in ascii": lambda text: json.dumps(text)[1:-1],
    "json": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 of a part": lambda text: base64.b64encode(f"u:{text}".encode()).decode(),
    "base64 for urls": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
}


@pytest.mark.parametrize("spell", LONG_SPELLINGS.values(), ids=LONG_SPELLINGS)
def test_a_long_secret_is_masked_in_its_usual_spellings(spell: Callable[[str], str]) -> None:
    secret = "-----begin key-----\n" + "ä/+ x" * 500

    masked = Masker([secret]).hide(f"<{spell(secret)}>")

    assert len(masked) < 20
    assert MASK in masked


def test_a_megabyte_of_a_secret_takes_no_time() -> None:
    secret = "k/ü\n" * 250_000

    masker = Masker([secret])

    assert masker.hide(f"<{secret}>") == "<***>"


def test_a_masker_for_further_secrets_masks_both() -> None:
    first = Masker(["swordfish"])

    assert first.also([]) is first
    assert first.also(["barracuda"]).hide("swordfish barracuda") == "*** ***"
    assert first.hide("barracuda") == "barracuda"


@pytest.mark.parametrize(
    "text",
    [
        "/" * 60_000 + "0123456789",
        "%2F" * 60_000,
        "\\/" * 60_000,
        "%" * 100_000,
        "%2f/" * 40_000,
    ],
)
def test_no_text_and_no_secret_makes_masking_slow(text: str) -> None:
    masker = Masker("/" * 1000 + str(number) for number in range(100))
    began = process_time()

    masker.hide(text)

    assert process_time() - began < 2


def test_a_text_encoded_to_the_last_letter_is_recognised() -> None:
    encoded = "".join(f"%{byte:02x}" for byte in b"swordfish")

    assert Masker(["swordfish"]).hide(f"<{encoded}>") == "<***>"


@pytest.mark.parametrize(
    "text",
    [
        "\0".join("swordfish"),
        "sw\x1b[31mordfish",
        "sword\x9b0mfish",
        "sword\x1b]0;" + "x" * 100_000 + "\x07fish",
        "sword" + "\x1b[0m" * 50_000 + "fish",
        "s%77ord\x00fish",
    ],
    ids=["NULs", "ANSI", "C1", "a long title", "many", "escaped"],
)
def test_a_secret_kept_apart_by_what_is_not_shown_is_masked(text: str) -> None:
    assert Masker(["swordfish"]).hide(f"<{text}>\x1b[0m") == "<***>"
    assert Masker(["swordfish"]).show(f"<{text}>\x1b[0m") == "<***>"


def test_control_characters_stay_where_they_keep_no_secret_apart() -> None:
    text = "\x1b[31mred\0\x1b[0m\r\n"

    assert Masker(["swordfish"]).hide(text) == text
    assert Masker(["swordfish"]).hide(f"{text}swordfish") == f"{text}***"


@pytest.mark.parametrize(
    "secret", ["h\xe9y-swordfish", "\xfcn\xefc\xf6d\xe9", "\xc3\xa9-abc", "pa\u0144x-\xe9"]
)
def test_a_secret_read_in_the_wrong_character_set_is_masked(secret: str) -> None:
    as_utf_8 = secret.encode("latin-1", "replace").decode("utf-8", "replace")
    as_latin_1 = secret.encode().decode("latin-1")
    masker = Masker([secret])

    assert masker.hide(f"<{as_utf_8}>") == "<***>"
    assert masker.hide(f"<{as_latin_1}>") == "<***>"
    assert masker.hide(f"<{quote(as_latin_1)}>") == "<***>"


def test_a_secret_of_which_nothing_is_left_masks_no_broken_text() -> None:
    text = "\ufffd\ufffd\ufffd\ufffd???? \ufffda\ufffd"

    masker = Masker(["\xfc\xfc\xfc\xfc", "\u65e5\u672c\u8a9e\u5b57", "\xfca\xfc-"])

    assert masker.hide(text) == text
