from __future__ import annotations

from dataclasses import replace

import pytest

from fuzz.urls import SEEDS, TOKENS, Wire, judge_wire, matches, requests_of, run, wire_of
from invoke_core.connections import Allow, Connection, ConnectionKind
from invoke_core.model import Method, OutgoingRequest
from tests.fuzzing.mutations import mutations

CONNECTION = Connection(
    name="c",
    kind=ConnectionKind.GENERIC,
    url="https://api.example.com/v1",
    allow=Allow(methods=frozenset({Method.GET}), paths=("/v1/**",)),
)
WIRE = Wire(
    scheme="https",
    host="api.example.com",
    port=443,
    head=b"GET /v1/x?y=z HTTP/1.1\r\nHost: api.example.com\r\n\r\n",
)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_seed_is_a_finding(seed: bytes) -> None:
    run(seed)


def test_nothing_near_the_seeds_is_a_finding() -> None:
    for data in mutations(SEEDS, TOKENS, count=400):
        run(data)


def test_most_seeds_lead_to_requests() -> None:
    sent = [[*requests_of(seed)] for seed in SEEDS]
    assert sum(map(bool, sent)) > len(SEEDS) // 2
    assert any(len(requests) == 2 for requests in sent)


def test_what_is_granted_is_no_finding() -> None:
    judge_wire(CONNECTION, WIRE)


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        (b"GET", b"POST", "a method"),
        (b"/v1/x", b"/v2/x", "outside"),
        (b"/v1/x", b"/v12", "last segment"),
        (b"/v1/x", b"/v1/../x", "dot segment"),
        (b"/v1/x", b"/v1/%2e%2E/x", "dot segment"),
        (b"/v1/x", b"/v1/%25252e%2e;a/x", "dot segment"),
        (b"/v1/x", b"/v1/%e2%80%a4./x", "dot segment"),
        (b"/v1/x", b"/v1/%5cx", "backslash"),
        (b"/v1/x", b"/v1/%250ax", "control"),
        (b"/v1/x", b"/v1", "not granted"),
        (b"?y=z", b"#y", "fragment"),
        (b"/v1/x", b"http://api.example.com/v1/x", "origin form"),
        (b"y=z", b"y=\xc3\xbc", "unprintable"),
        (b"Host: api", b"Host: evil", "another Host"),
        (b"\r\n\r\n", b"\r\nHost: evil.example\r\n\r\n", "another Host"),
        (b"\r\n\r\n", b"\r\n", "one end"),
    ],
)
def test_a_head_that_leaves_the_grant_is_a_finding(old: bytes, new: bytes, finding: str) -> None:
    with pytest.raises(AssertionError, match=finding):
        judge_wire(CONNECTION, replace(WIRE, head=WIRE.head.replace(old, new)))


@pytest.mark.parametrize(
    ("wire", "finding"),
    [
        (replace(WIRE, scheme="http"), "another scheme"),
        (replace(WIRE, host="evil.example"), "another host"),
        (replace(WIRE, port=8443), "another port"),
    ],
)
def test_another_origin_is_a_finding(wire: Wire, finding: str) -> None:
    with pytest.raises(AssertionError, match=finding):
        judge_wire(CONNECTION, wire)


def test_a_request_nobody_judged_is_a_finding() -> None:
    url = "https://api.example.com/v1/a/%2e./%2e./admin"
    request = OutgoingRequest(method=Method.GET, url=url, headers=(), body=None)
    with pytest.raises(AssertionError, match=r"outside|dot segment"):
        judge_wire(CONNECTION, wire_of(request))


@pytest.mark.parametrize(
    ("path", "pattern", "is_granted"),
    [
        ("/a/b", "/a/*", True),
        ("/a/", "/a/*", False),
        ("/a/b/c", "/a/*", False),
        ("/a/b/c", "/a/**", True),
        ("/a", "/a/**", False),
        ("/a/x-b", "/a/*-b", True),
        ("/a/-b", "/a/*-b", True),
        ("/a/b/c/d", "/**/d", True),
        ("/a.b", "/a?b", False),
    ],
)
def test_the_oracle_reads_patterns_as_they_are_meant(
    path: str, pattern: str, *, is_granted: bool
) -> None:
    assert matches(path, pattern) is is_granted
