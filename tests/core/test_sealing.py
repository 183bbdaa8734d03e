from __future__ import annotations

import base64
from secrets import token_urlsafe

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.adapters.sealing import TokenSeal

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


def test_the_same_texts_are_never_sealed_alike() -> None:
    assert SEAL.seal(["secret"], token=TOKEN) != SEAL.seal(["secret"], token=TOKEN)


def test_nothing_of_a_text_is_seen_in_its_seal() -> None:
    sealed = SEAL.seal(["a rather long secret"], token=TOKEN)

    assert sealed.isascii()
    assert b"secret" not in base64.b64decode(sealed)


def test_nothing_was_sealed_in_an_empty_text() -> None:
    assert SEAL.unseal("", token=TOKEN) == ()
