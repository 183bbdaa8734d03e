"""Bodies that cannot be read: the status of the contract and a sentence, never 500."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Client
    from tests.api.target import Target

JSON = "application/json"
YAML = "application/yaml"
STEP = b'{"inputs": {"serviceConnection": "demo", "method": "GET"}}'


@pytest.mark.parametrize(
    ("content_type", "body", "status", "code", "words"),
    [
        (JSON, b"", 400, "invalidBody", "empty"),
        (YAML, b"# nothing\n", 400, "invalidBody", "empty"),
        (JSON, b'{"inputs": ', 400, "invalidBody", "line 1, column 12"),
        (JSON, b'{"a": 1, "a": 2}', 400, "invalidBody", "'a' stands twice"),
        (JSON, b'{"a": NaN}', 400, "invalidBody", "NaN"),
        (JSON, b"[" * 201 + b"]" * 201, 400, "invalidBody", "200 levels"),
        (JSON, b"\xff\xfe{}", 400, "invalidBody", "not UTF-8"),
        (YAML, b"inputs: !!python/object:os.system {}", 400, "invalidBody", "tags"),
        (YAML, b"inputs: &a {}\nvariables: *a", 400, "invalidBody", "&a"),
        (YAML, b"a: 1\na: 2", 400, "invalidBody", "'a' stands twice"),
        (YAML, b"a: [1", 400, "invalidBody", "not YAML"),
        (YAML, b"a: 1\n---\nb: 2", 400, "invalidBody", "second YAML document"),
        (JSON, b" " * (1024 * 1024 + 1), 413, "bodyTooLarge", "1 MiB"),
        ("text/plain", STEP, 415, "unsupportedMediaType", "Content-Type: application/json"),
        ("", STEP, 415, "unsupportedMediaType", "no Content-Type"),
        ("application/json; charset=utf-16", STEP, 415, "unsupportedMediaType", "UTF-8"),
        (JSON, b"[]", 400, "invalidInput", "one step"),
        (JSON, b"[{}, {}]", 400, "invalidInput", "2"),
        (JSON, b'"text"', 400, "invalidInput", "A step belongs here"),
        (JSON, b"null", 400, "invalidInput", "A step belongs here"),
        (JSON, b'{"steps": {}}', 400, "invalidInput", "A list with one step"),
    ],
)
def test_a_body_that_cannot_be_run_is_refused_with_a_sentence(
    content_type: str,
    body: bytes,
    status: int,
    code: str,
    words: str,
    client: Client,
    target: Target,
) -> None:
    answered = client.post(body, headers={"content-type": content_type})

    assert (answered.status, answered.json["code"]) == (status, code)
    assert answered.headers["Content-Type"] == "application/problem+json"
    details = [answered.json["detail"], *(error["detail"] for error in answered.json["errors"])]
    assert any(words in detail for detail in details)
    assert target.received == []


def test_a_chunked_body_that_did_not_arrive_asks_for_a_length(client: Client) -> None:
    answered = client.post(b"", headers={"transfer-encoding": "chunked"})

    assert (answered.status, answered.json["code"]) == (411, "lengthRequired")
    assert "Content-Length" in answered.json["detail"]


def test_a_body_of_exactly_the_limit_is_read(client: Client) -> None:
    answered = client.post(STEP + b" " * (1024 * 1024 - len(STEP)))

    assert answered.status == 200


def test_a_byte_order_mark_is_skipped(client: Client) -> None:
    assert client.post(b"\xef\xbb\xbf" + STEP).status == 200


@pytest.mark.parametrize("name", ["Host", "transfer-encoding", "Connection", "Proxy-Authorization"])
def test_headers_that_are_not_the_callers_are_refused(
    name: str, client: Client, target: Target
) -> None:
    answered = client.step(headers={name: "x"})

    assert answered.status == 400
    (error,) = answered.json["errors"]
    assert error["pointer"] == f"/inputs/headers/{name}"
    assert target.received == []
