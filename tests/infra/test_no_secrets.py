"""Nothing that is deployed from holds a secret, or hands one out."""

from __future__ import annotations

import re

import pytest

from tests.infra.template import INFRA, ROOT

_TELLING = re.compile(
    r"AccountKey=|SharedAccess(Key|Signature)|InstrumentationKey=|DefaultEndpointsProtocol="
    r"|[?&](sig|code)=|-----BEGIN|\blist(Keys|Secrets|AccountSas|ServiceSas)\w*\(",
    re.IGNORECASE,
)
_LONG_WORD = re.compile(r"[\w+/-]{32,}")
_SCHEMA = re.compile(r'"\$schema": "[^"]*"')


def secrets_in(text: str) -> list[str]:
    """Return what looks like a key, a token or a connection string."""
    random = [
        word
        for word in _LONG_WORD.findall(_SCHEMA.sub("", text))
        if all(re.search(kind, word) for kind in ("[a-z]", "[A-Z]", "[0-9]"))
    ]
    return [match[0] for match in _TELLING.finditer(text)] + random


def test_what_is_deployed_from_holds_no_secret() -> None:
    files = [ROOT / "azure.yaml", *(path for path in INFRA.rglob("*") if path.is_file())]

    assert len(files) > 20
    assert {
        path.name: found for path in files if (found := secrets_in(path.read_text("utf-8")))
    } == {}


@pytest.mark.parametrize(
    "secret",
    [
        "DefaultEndpointsProtocol=https;AccountName=st;AccountKey=a2V5",
        "Endpoint=sb://x/;SharedAccessKey=k",
        "InstrumentationKey=11111111-2222-3333-4444-555555555555",
        "https://st.blob.core.windows.net/c?sv=2024&sig=abc",
        "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=",
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJhdWQiOiJ4In0.c2ln",
        "-----BEGIN PRIVATE KEY-----",
        "value: storageAccount.listKeys().keys[0].value",
    ],
)
def test_a_secret_would_be_found(secret: str) -> None:
    assert secrets_in(f"  value: '{secret}'\n") != []


def test_outputs_hand_out_no_secret() -> None:
    outputs = [
        line
        for path in INFRA.rglob("*.bicep")
        for line in path.read_text("utf-8").splitlines()
        if line.startswith("output ")
    ]

    assert len(outputs) > 15
    assert [
        line for line in outputs if re.search("[cC]onnectionString|list|secret|[kK]ey$", line)
    ] == []
