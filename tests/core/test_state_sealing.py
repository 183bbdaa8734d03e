"""The seal of steps at rest: which key opens what, and that nothing else does."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from invoke_core.adapters.sealing import StateSeal, TokenSeal
from invoke_core.errors import ConfigurationError, SealError
from invoke_core.problems import problem_of
from invoke_core.state_keys import state_key_of

FIRST = state_key_of(b"\x01" * 32)
SECOND = state_key_of(b"\x02" * 32)
THIRD = state_key_of(b"\x03" * 32)
SEAL = StateSeal([FIRST])
PLAN = "0f1c8a52-6a3c-4d0a-8a8e-2f1f6f0c5a11"
OTHER_PLAN = "0f1c8a52-6a3c-4d0a-8a8e-2f1f6f0c5a12"
PLAIN = b'{"password":"correct horse battery staple"}'

USELESS = "The keys in STATE_KEY and STATE_KEY_PREVIOUS are of no use for this step: "
NO_KEY = USELESS + "there is no key."
OTHER_KEY = USELESS + "it was sealed with another key."
CHANGED = USELESS + "what is stored of it was changed, or is of another plan."
DAMAGED = USELESS + "what is stored of it is damaged, or of a later version."


def refusal(seal: StateSeal, sealed: str, *, plan_id: str = PLAN) -> str:
    """Return why a seal does not open a text, which it must not."""
    with pytest.raises(SealError) as caught:
        seal.unseal(sealed, plan_id=plan_id)

    # The error that comes before it would show up in a log.
    assert caught.value.__cause__ is None
    return caught.value.message


@given(st.binary())
@example(b"")
@example(bytes(range(256)) * 8192)
def test_what_was_sealed_is_read_with_the_same_key(plain: bytes) -> None:
    sealed = SEAL.seal(plain, plan_id=PLAN)

    assert StateSeal([FIRST]).unseal(sealed, plan_id=PLAN) == plain


def test_what_was_sealed_before_a_rotation_opens_while_the_key_before_is_given() -> None:
    before = SEAL.seal(PLAIN, plan_id=PLAN)
    rotated = StateSeal([SECOND, FIRST])

    assert rotated.unseal(before, plan_id=PLAN) == PLAIN
    assert rotated.unseal(rotated.seal(b"new", plan_id=PLAN), plan_id=PLAN) == b"new"


def test_every_one_of_several_keys_opens_what_it_sealed() -> None:
    seal = StateSeal([THIRD, SECOND, FIRST])

    for key in (FIRST, SECOND, THIRD):
        assert seal.unseal(StateSeal([key]).seal(PLAIN, plan_id=PLAN), plan_id=PLAN) == PLAIN


def test_only_the_current_key_seals() -> None:
    sealed = StateSeal([SECOND, FIRST]).seal(PLAIN, plan_id=PLAN)

    assert StateSeal([SECOND]).unseal(sealed, plan_id=PLAN) == PLAIN
    assert refusal(SEAL, sealed) == OTHER_KEY


def test_the_same_key_given_twice_is_one_key() -> None:
    seal = StateSeal([FIRST, FIRST])

    assert SEAL.unseal(seal.seal(PLAIN, plan_id=PLAN), plan_id=PLAN) == PLAIN


def test_without_the_key_before_what_it_sealed_does_not_open() -> None:
    sealed = SEAL.seal(PLAIN, plan_id=PLAN)

    assert refusal(StateSeal([SECOND]), sealed) == OTHER_KEY
    assert refusal(StateSeal([THIRD, SECOND]), sealed) == OTHER_KEY
    assert refusal(StateSeal([]), sealed) == OTHER_KEY


def test_without_a_key_nothing_is_sealed() -> None:
    assert SEAL.available
    assert not StateSeal([]).available
    with pytest.raises(SealError) as caught:
        StateSeal([]).seal(PLAIN, plan_id=PLAN)

    assert caught.value.message == NO_KEY


def test_what_was_moved_to_another_plan_does_not_open() -> None:
    sealed = SEAL.seal(PLAIN, plan_id=PLAN)

    assert refusal(SEAL, sealed, plan_id=OTHER_PLAN) == CHANGED
    assert refusal(SEAL, sealed, plan_id="") == CHANGED


def test_no_single_changed_bit_goes_unseen() -> None:
    version, key_id, text = SEAL.seal(b"ab", plan_id=PLAN).split(".")
    raw = base64.b64decode(text)

    for place in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[place // 8] ^= 1 << place % 8
        sealed = f"{version}.{key_id}.{base64.b64encode(changed).decode()}"
        assert refusal(SEAL, sealed) == CHANGED


def test_what_was_cut_or_lengthened_does_not_open() -> None:
    version, key_id, text = SEAL.seal(b"ab", plan_id=PLAN).split(".")
    raw = base64.b64decode(text)

    for changed in (raw + b"\0", *(raw[:length] for length in range(1, len(raw)))):
        sealed = f"{version}.{key_id}.{base64.b64encode(changed).decode()}"
        assert refusal(SEAL, sealed) == CHANGED


def test_the_name_of_another_key_at_hand_does_not_open_it() -> None:
    seal = StateSeal([FIRST, SECOND])
    _, _, text = seal.seal(PLAIN, plan_id=PLAN).split(".")
    other_id = StateSeal([SECOND]).seal(PLAIN, plan_id=PLAN).split(".")[1]

    assert refusal(seal, f"1.{other_id}.{text}") == CHANGED


@pytest.mark.parametrize(
    "sealed",
    [
        "",
        "1",
        "1..",
        "1.0123456789abcdef.",
        "1.0123456789abcdef.A A=",
        "1.0123456789ABCDEF.AAAA",
        "1.0123456789abcdef.AAAA\n",
        "2.0123456789abcdef.AAAA",
    ],
)
def test_what_is_no_seal_of_this_form_is_told_apart(sealed: str) -> None:
    assert refusal(SEAL, sealed) == DAMAGED


def test_what_a_token_sealed_is_no_step_at_rest() -> None:
    assert refusal(SEAL, TokenSeal().seal(["secret"], token="t" * 43)) == DAMAGED


def test_base64_that_breaks_off_is_a_change() -> None:
    sealed = SEAL.seal(PLAIN, plan_id=PLAN).rstrip("=")

    assert refusal(SEAL, sealed[: len(sealed) // 4 * 4 - 3]) == CHANGED


def test_the_same_bytes_are_never_sealed_alike() -> None:
    assert len({SEAL.seal(PLAIN, plan_id=PLAN) for _ in range(100)}) == 100


def test_a_sealed_text_shows_neither_the_bytes_nor_the_key() -> None:
    sealed = SEAL.seal(PLAIN * 100, plan_id=PLAN)
    version, key_id, text = sealed.split(".")
    everything = sealed.encode() + base64.b64decode(text) + bytes.fromhex(key_id)

    assert version == "1"
    assert set(key_id) <= set(string.hexdigits.lower())
    windows = [PLAIN[at : at + 6] for at in range(len(PLAIN) - 5)]
    assert [window for window in windows if window in everything] == []
    assert base64.b64decode(FIRST.reveal())[:4] not in everything
    assert len(sealed) < len(PLAIN * 100) * 4 / 3 + 70


def test_a_seal_prints_none_of_its_keys() -> None:
    shown = repr(StateSeal([FIRST, SECOND])) + str(SEAL)

    for key in (FIRST, SECOND):
        raw = base64.b64decode(key.reveal())
        assert key.reveal() not in shown
        assert raw.hex() not in shown
        assert repr(raw)[2:10] not in shown


def test_a_step_that_does_not_open_is_the_administrators_to_mend() -> None:
    problem = problem_of(SealError("it was sealed with another key"), instance="/api/invocations")

    assert issubclass(SealError, ConfigurationError)
    assert (problem.status, problem.document["code"]) == (503, "misconfigured")
    assert problem.document["detail"] == OTHER_KEY
