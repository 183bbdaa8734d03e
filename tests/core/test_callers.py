"""Who calls (contract, section 5)."""

from __future__ import annotations

import hashlib

import pytest

from invoke_core.web.callers import caller_of, caller_of_key

ID = "11111111-2222-3333-4444-5555AAAABBBB"


def test_a_key_is_told_by_the_first_half_of_a_hash() -> None:
    assert caller_of_key("secret") == f"key:{hashlib.sha256(b'secret').hexdigest()[:16]}"
    assert caller_of_key("secret") == "key:2bb80d537b1da3e3"


@pytest.mark.parametrize(
    ("headers", "query", "caller"),
    [
        ({}, {}, "local"),
        ({"x-functions-key": ""}, {"code": ""}, "local"),
        ({"x-functions-key": "a"}, {}, caller_of_key("a")),
        ({}, {"code": "b"}, caller_of_key("b")),
        ({"x-functions-key": "a"}, {"code": "b"}, caller_of_key("a")),
        ({"x-functions-key": "ключ"}, {}, caller_of_key("ключ")),
    ],
)
def test_the_caller_is_the_key_from_header_before_query(
    headers: dict[str, str], query: dict[str, str], caller: str
) -> None:
    assert caller_of(headers, query, platform_auth=False) == caller


def test_the_principal_is_believed_only_where_the_platform_sets_it() -> None:
    headers = {"x-ms-client-principal-id": ID, "x-functions-key": "a"}

    assert caller_of(headers, {}, platform_auth=True) == f"entra:{ID.lower()}"
    assert caller_of(headers, {}, platform_auth=False) == caller_of_key("a")


@pytest.mark.parametrize("principal", ["", "not an id", "a" * 65, "abc\n"])
def test_a_principal_that_is_no_object_id_is_none(principal: str) -> None:
    headers = {"x-ms-client-principal-id": principal}

    assert caller_of(headers, {}, platform_auth=True) == "local"
