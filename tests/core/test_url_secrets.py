"""Which parts of a connection's URL are credentials (contract, section 7)."""

from __future__ import annotations

import pytest

from invoke_core.settings.url_secrets import url_secrets

ENVIRON = {
    "API_KEY": "abc-123",
    "hookToken": "tok/en",
    "CLIENT_SECRET_2": "second",
    "KEY1": "first",
    "DB_PASSWORD": "pass%2Fword",
    "SAS": "sas-1",
    "PLACE": "deployments",
    "TENANT_ID": "4c39-9a57",
    "REGION_CODE": "west",
    "COMPASS": "north",
    "EMPTY_KEY": "",
    "HOOK_URL": "https://h.example/a/b?sig=s1g%2F",
    "HOOK_SECRET": "https://h.example:8443/services/T0/x",
    "HOST_KEY": "h.example",
}


@pytest.mark.parametrize(
    ("written", "secrets"),
    [
        ("https://h.example/v1/${API_KEY}", ("abc-123",)),
        ("https://h.example/${hookToken}/x/${CLIENT_SECRET_2}", ("tok/en", "second")),
        ("https://h.example/v1?x=1&k=${KEY1}", ("first",)),
        ("https://h.example/${DB_PASSWORD}", ("pass%2Fword", "pass/word")),
        ("https://h.example/${SAS}/${SAS}", ("sas-1",)),
    ],
)
def test_what_a_setting_named_as_a_secret_brings_in_is_one(
    written: str, secrets: tuple[str, ...]
) -> None:
    assert url_secrets(written, ENVIRON) == secrets


@pytest.mark.parametrize(
    "written",
    [
        "https://h.example/v1",
        "https://h.example/${PLACE}/${TENANT_ID}/${REGION_CODE}/${COMPASS}",
        "https://h.example/${EMPTY_KEY}?x=${PLACE}",
        "https://h.example/v1?code&sig=",
        "https://${HOST_KEY}/v1",
        "https://${HOST_KEY}",
        "${NOT_SET_KEY}",
        "",
    ],
)
def test_a_host_and_what_no_name_calls_a_secret_are_none(written: str) -> None:
    assert url_secrets(written, ENVIRON) == ()


@pytest.mark.parametrize(
    ("written", "secrets"),
    [
        ("https://h.example/a?code=Zm9v%3D&b=${PLACE}", ("Zm9v%3D", "Zm9v=")),
        ("https://h.example/a?x=1&apiKey=${PLACE}", ("deployments",)),
        ("https://h.example/a?x=1&api%4Bey=a+b", ("a+b", "a b")),
        ("${HOOK_URL}", ("s1g%2F", "s1g/")),
    ],
)
def test_the_value_of_a_query_parameter_named_as_a_secret_is_one(
    written: str, secrets: tuple[str, ...]
) -> None:
    assert url_secrets(written, ENVIRON) == secrets


def test_of_a_whole_url_that_is_secret_the_path_is_the_credential() -> None:
    assert url_secrets("${HOOK_SECRET}", ENVIRON) == ("services/T0/x",)
