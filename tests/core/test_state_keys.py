"""The keys of waiting steps in the settings (contract, section 9)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.errors import Fault, SettingsError
from invoke_core.settings import EmbeddedStore, read_settings
from invoke_core.state_keys import read_state_key, state_key_bytes, state_key_of

if TYPE_CHECKING:
    from pathlib import Path

CURRENT = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k="
BEFORE = "+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/+/8="
TAKES = "It takes 32 random bytes in Base64, as 'openssl rand -base64 32' makes them."
ALONE = "It only opens what was sealed before, so it takes a STATE_KEY beside it."
UNRESOLVED = (
    "It is a Key Vault reference that was not resolved; "
    "the app's identity needs to read that secret."
)
KEY_VAULT = "@Microsoft.KeyVault(SecretUri=https://vault.example/secrets/swordfish)"

BOTH = pytest.mark.parametrize("name", ["STATE_KEY", "STATE_KEY_PREVIOUS"])


def keys_of(environ: dict[str, str], root: Path) -> list[str]:
    return [key.reveal() for key in read_settings(environ, root=root).state_keys]


def faults_of(environ: dict[str, str], root: Path) -> list[Fault]:
    with pytest.raises(SettingsError) as caught:
        read_settings(environ, root=root)

    return list(caught.value.faults)


@given(st.binary(min_size=32, max_size=32))
def test_every_way_to_write_a_key_is_the_same_key(raw: bytes) -> None:
    standard = base64.b64encode(raw).decode()
    url_safe = base64.urlsafe_b64encode(raw).decode()

    for text in (standard, url_safe, standard[:-1], url_safe[:-1], f" {standard}\r\n"):
        key = read_state_key(text)

        assert key == state_key_of(raw)
        assert key is not None
        assert state_key_bytes(key) == raw
        assert key.reveal() == standard


def test_without_the_setting_there_is_no_key_and_none_is_made(tmp_path: Path) -> None:
    settings = read_settings({}, root=tmp_path)

    assert settings.state_keys == ()
    assert list(tmp_path.iterdir()) == []


def test_the_current_key_comes_before_the_one_before(tmp_path: Path) -> None:
    environ = {"STATE_KEY_PREVIOUS": BEFORE, "STATE_KEY": f" {CURRENT} "}

    assert keys_of(environ, tmp_path) == [CURRENT, BEFORE]
    assert keys_of({"STATE_KEY": CURRENT}, tmp_path) == [CURRENT]
    assert keys_of({"STATE_KEY": CURRENT, "STATE_KEY_PREVIOUS": " "}, tmp_path) == [CURRENT]


@BOTH
@pytest.mark.parametrize(
    "value",
    [
        "swordfish",
        "swordfish" * 5,
        CURRENT[:-2],
        CURRENT[:-3] + "=",
        CURRENT + "=",
        CURRENT + "A",
        "A" * 44,
        base64.b64encode(b"swordfish-swordfish-swordfish-s").decode(),
        base64.b64encode(b"swordfish-swordfish-swordfish-swo").decode(),
        (b"\xab" * 32).hex(),
        CURRENT[:20] + " " + CURRENT[20:],
        CURRENT[:20] + "\n" + CURRENT[20:],
        CURRENT.replace("q", "é", 1),
        "{}",
    ],
)
def test_what_is_no_key_is_a_fault_that_says_how_to_make_one(
    tmp_path: Path, name: str, value: str
) -> None:
    environ = {"STATE_KEY": CURRENT, name: value}

    faults = faults_of(environ, tmp_path)

    assert faults == [Fault(name, TAKES)]
    assert value not in str(faults)


def test_both_faulty_keys_are_told_at_once(tmp_path: Path) -> None:
    environ = {"STATE_KEY": "swordfish", "STATE_KEY_PREVIOUS": "marlin"}

    assert faults_of(environ, tmp_path) == [
        Fault("STATE_KEY", TAKES),
        Fault("STATE_KEY_PREVIOUS", TAKES),
    ]


@pytest.mark.parametrize("current", [{}, {"STATE_KEY": ""}, {"STATE_KEY": " "}])
def test_a_key_before_needs_a_current_one(tmp_path: Path, current: dict[str, str]) -> None:
    environ = {"STATE_KEY_PREVIOUS": BEFORE, **current}

    assert faults_of(environ, tmp_path) == [Fault("STATE_KEY_PREVIOUS", ALONE)]


@BOTH
def test_a_key_vault_reference_that_was_not_resolved_is_the_only_fault(
    tmp_path: Path, name: str
) -> None:
    environ = {"STATE_KEY": CURRENT, "STATE_KEY_PREVIOUS": BEFORE, name: KEY_VAULT}

    assert faults_of(environ, tmp_path) == [Fault(name, UNRESOLVED)]


def test_settings_print_no_key(tmp_path: Path) -> None:
    environ = {"STATE_KEY": CURRENT, "STATE_KEY_PREVIOUS": BEFORE}

    shown = repr(read_settings(environ, root=tmp_path))

    assert CURRENT not in shown
    assert BEFORE not in shown
    assert "state_keys" not in shown


def test_the_key_of_an_embedded_store_lies_beside_it(tmp_path: Path) -> None:
    store = read_settings({}, root=tmp_path).store

    assert isinstance(store, EmbeddedStore)
    assert store.key_path == tmp_path / ".data" / "invoke.db.key"
