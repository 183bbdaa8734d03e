from __future__ import annotations

import base64
import json
from secrets import token_urlsafe
from typing import TYPE_CHECKING

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.adapters.sealing import TokenSeal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOKEN = token_urlsafe(32)
SEAL = TokenSeal()


@given(st.lists(st.text()))
def test_what_was_sealed_is_read_with_the_same_token(texts: list[str]) -> None:
    assert SEAL.unseal(SEAL.seal(texts, token=TOKEN), token=TOKEN) == tuple(texts)


def test_no_other_token_opens_it() -> None:
    sealed = SEAL.seal(["secret"], token=TOKEN)

    with pytest.raises(InvalidTag):
        SEAL.unseal(sealed, token=token_urlsafe(32))


def test_what_was_changed_does_not_open() -> None:
    raw = bytearray(base64.b64decode(SEAL.seal(["secret"], token=TOKEN)))
    raw[20] ^= 1

    with pytest.raises(InvalidTag):
        SEAL.unseal(base64.b64encode(raw).decode(), token=TOKEN)


@pytest.mark.parametrize("other", ["the same beginning, a", "the same beginning, b"])
def test_two_seals_have_nothing_in_common_but_their_length(other: str) -> None:
    one, two = (
        base64.b64decode(SEAL.seal([text], token=TOKEN))
        for text in ("the same beginning, a", other)
    )

    assert len(one) == len(two)
    # A nonce used twice would seal the same bytes at the same place alike.
    assert [at for at in range(len(one) - 3) if one[at : at + 4] == two[at : at + 4]] == []


def forms(text: bytes) -> Iterator[bytes]:
    """Yield short pieces of a text as they are, in hex, and in Base64 at each of its offsets.

    They are as long as it takes for chance to bring none of them about.
    """
    for run in {text[at : at + 4] for at in range(len(text) - 3)}:
        yield run
        yield run.hex().encode()
    for run in {text[at : at + 6] for at in range(len(text) - 5)}:
        for offset in range(3):
            # What stands before and after the run has a part in the characters at its ends.
            coded = base64.b64encode(bytes(offset) + run)
            yield coded[-(-offset * 8 // 6) : (offset + len(run)) * 8 // 6]


@pytest.mark.parametrize(
    "texts",
    [
        ["a rather long secret"],
        ["a rather long secret"] * 20,
        ["correct", "horse battery staple"],
        ["x" * 2_000],
        ["Gr\u00fc\u00dfe, \u79d8\u5bc6"],
    ],
    ids=["one", "repeated", "several", "long", "outside ASCII"],
)
def test_nothing_of_a_text_is_seen_in_its_seal(texts: list[str]) -> None:
    sealed = SEAL.seal(texts, token=TOKEN)

    stored = sealed.encode("ascii") + b" " + base64.b64decode(sealed, validate=True)
    for text in (*texts, json.dumps(texts)):
        assert [form for form in forms(text.encode()) if form in stored] == []


@pytest.mark.parametrize(
    "unsealed",
    [
        lambda text: text,
        lambda text: text.hex().encode(),
        *(
            lambda text, offset=offset: base64.b64encode(bytes(offset) + text)
            for offset in range(3)
        ),
    ],
    ids=["plain", "hex", "Base64", "Base64 after one", "Base64 after two"],
)
def test_a_text_that_is_not_sealed_is_found(unsealed: Callable[[bytes], bytes]) -> None:
    text = b"a rather long secret"

    assert any(form in unsealed(text) for form in forms(text))


def test_nothing_was_sealed_in_an_empty_text() -> None:
    assert SEAL.unseal("", token=TOKEN) == ()
