"""Which URL is reached, and whether the connection grants it (contract, section 7)."""

from __future__ import annotations

import pytest

from invoke_core.connections import Allow, Connection, ConnectionKind
from invoke_core.errors import PolicyError
from invoke_core.model import Method
from invoke_core.targets import full_url, judge_grant, judge_url, resolved, with_origin_of

BASE = "https://api.example.com/v1"

GENERIC = ConnectionKind.GENERIC
ARM = ConnectionKind.AZURE_RESOURCE_MANAGER

OTHER_ORIGIN = (
    "The URL suffix changes the scheme, host or port of the connection's URL; "
    "it is appended as text, so it has to begin with '/' or '?'."
)
OTHER_SEGMENT = (
    "The URL suffix continues the last segment of the connection's path; "
    "it has to begin with '/' or '?'."
)
DOTS = "The URL has a '.' or '..' segment, plain or encoded, in its path."
USER = "The URL has user information in it ('…@host')."
FRAGMENT = "The URL has a fragment ('#…'), which is never sent; write %23 for '#'."
CONTROL = "The URL has a control character in it."
ENCODED_CONTROL = "The URL has an encoded control character in its path."
BACKSLASH = "The URL has a backslash in it; use '/', or %5C in a query."
ENCODED_BACKSLASH = "The URL has an encoded backslash in its path."
UNREADABLE = "The URL suffix makes a URL that cannot be read."
ENCODED_SLASH = "The URL has an encoded slash in its path, and the connection grants single paths."


def judged(suffix: str, *, base: str = BASE, allow: Allow | None = None) -> str | None:
    """Return why a suffix is refused, or None where it is granted."""
    try:
        judge_url(base + suffix, base=base, allow=allow or Allow())
    except PolicyError as error:
        return error.message
    return None


@pytest.mark.parametrize(
    ("kind", "url", "suffix", "full"),
    [
        (GENERIC, "https://h/releases", "", "https://h/releases"),
        (
            GENERIC,
            "https://h/releases",
            "/2/environments/1",
            "https://h/releases/2/environments/1",
        ),
        (
            GENERIC,
            "https://h/releases",
            "?definitionId=1&releaseCount=1",
            "https://h/releases?definitionId=1&releaseCount=1",
        ),
        (GENERIC, "https://h/", "/a", "https://h//a"),
        (GENERIC, "https://h/a?x=1", "&y=2", "https://h/a?x=1&y=2"),
        (ARM, "https://h", "/subscriptions", "https://h/subscriptions"),
        (ARM, "https://h", "subscriptions", "https://h/subscriptions"),
        (ARM, "https://h/", "/subscriptions", "https://h/subscriptions"),
        (ARM, "https://h/", "subscriptions", "https://h/subscriptions"),
        (ARM, "https://h/", "//subscriptions", "https://h/subscriptions"),
        (ARM, "https://h/base", "?api-version=1", "https://h/base?api-version=1"),
        (ARM, "https://h/base", "", "https://h/base"),
        (ConnectionKind.AZURE_DEVOPS, "https://h/org", "/_apis", "https://h/org/_apis"),
    ],
)
def test_a_suffix_is_appended_as_text_and_joined_with_one_slash_for_arm(
    kind: ConnectionKind, url: str, suffix: str, full: str
) -> None:
    assert full_url(Connection(name="c", kind=kind, url=url), suffix) == full


@pytest.mark.parametrize(
    "suffix",
    [
        "",
        "/",
        "?a=1",
        "/deployments/7?api-version=1",
        "//double",
        "/a//b/",
        "/a;v=1/b",
        "/été",
        "/a b",
        "/a%20b",
        "/a%2Fb",
        "/...",
        "/.hidden",
        "/a..b",
        "/%2541",
        "/%25252525252541",
        "/a:b",
        "/a[1]",
        "?q=..%2F..%2F&r=%5C&s=/../",
        "?email=a@example.com",
        "?a=1?b=2",
        "/%C0%AF",
    ],
)
def test_a_suffix_below_the_connections_url_is_granted(suffix: str) -> None:
    assert judged(suffix) is None


@pytest.mark.parametrize(
    ("suffix", "why"),
    [
        ("evil", OTHER_SEGMENT),
        ("1/a", OTHER_SEGMENT),
        (";a=1", OTHER_SEGMENT),
        ("%2Fa", OTHER_SEGMENT),
        ("/a#b", FRAGMENT),
        ("#", FRAGMENT),
        ("?a#b", FRAGMENT),
        ("/..", DOTS),
        ("/../v2", DOTS),
        ("/.", DOTS),
        ("/a/./b", DOTS),
        ("/..;/v2", DOTS),
        ("/..;a=b/v2", DOTS),
        ("/%2e%2e/v2", DOTS),
        ("/%2E./v2", DOTS),
        ("/.%2e", DOTS),
        ("/%252e%252e/v2", DOTS),
        ("/%25252e%25252e/v2", DOTS),
        ("/..%3ba/v2", DOTS),
        ("/..%3f", DOTS),
        ("/..%3fx", DOTS),
        ("/a/..%23", DOTS),
        ("/%2e%2e%253Fx/v2", DOTS),
        ("/.%23a/v2", DOTS),
        ("/..%2fv2", DOTS),
        ("/..%252fv2", DOTS),
        ("/.. /v2", DOTS),
        ("/..%20/v2", DOTS),
        ("/\uff0e\uff0e/v2", DOTS),
        ("/\u2025/v2", DOTS),
        ("/..\uff0fv2", DOTS),
        ("/%ef%bc%8e%ef%bc%8e/v2", DOTS),
        ("/\uff05\uff12\uff45./v2", DOTS),
        ("\\evil", BACKSLASH),
        ("/a\\..\\b", BACKSLASH),
        ("?a=\\", BACKSLASH),
        ("/a%5Cb", ENCODED_BACKSLASH),
        ("/a%255cb", ENCODED_BACKSLASH),
        ("/\uff3c..", ENCODED_BACKSLASH),
        ("/a\r\nX: y", CONTROL),
        ("/a\tb", CONTROL),
        ("?a=\x00", CONTROL),
        ("/a\x85", CONTROL),
        ("/a\u2028", CONTROL),
        ("/a%0d%0aX:%20y", ENCODED_CONTROL),
        ("/a%250Ab", ENCODED_CONTROL),
        ("/a%00", ENCODED_CONTROL),
        ("/a%C2%85", ENCODED_CONTROL),
    ],
)
def test_a_suffix_that_leaves_the_connections_url_is_refused(suffix: str, why: str) -> None:
    assert judged(suffix) == why


@pytest.mark.parametrize(
    ("base", "suffix", "why"),
    [
        ("https://api.example.com", ".evil.com/", OTHER_ORIGIN),
        ("https://api.example.com", "a", OTHER_ORIGIN),
        ("https://api.example.com", ":8443/", OTHER_ORIGIN),
        ("https://api.example.com:80", "80/", OTHER_ORIGIN),
        ("https://api.example.com", ":pw@evil.com/", USER),
        ("https://api.example.com", "@evil.com/", USER),
        ("https://api.example.com", "%40evil.com/", OTHER_ORIGIN),
        ("https://api.example.com", "[", UNREADABLE),
        ("https://api.example.com", "\uff0fevil.com", UNREADABLE),
        ("https://api.example.com", "\u2100", UNREADABLE),
        ("https://api.example.com", "", None),
        ("https://api.example.com", "/a", None),
        ("https://api.example.com", "?a", None),
        ("https://api.example.com/", "a", None),
        ("https://api.example.com/", "/a", None),
        ("https://api.example.com/v1/", "a", None),
        ("https://api.example.com:8443/v1", "/a", None),
        ("https://[2001:db8::1]:8443/v1", "/a", None),
        ("https://api.example.com/v1?sig=abc", "&x=/../", None),
        ("https://api.example.com/v1?sig=abc", "/a", None),
    ],
)
def test_host_and_port_are_those_of_the_connections_url(
    base: str, suffix: str, why: str | None
) -> None:
    assert judged(suffix, base=base) == why


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://api.example.com/v1/a", OTHER_ORIGIN),
        ("https://api.example.com:443/v1/a", OTHER_ORIGIN),
        ("https://api.example.org/v1/a", OTHER_ORIGIN),
        ("https://api.example.com/v2/a", OTHER_SEGMENT),
        ("https://api.example.com/v1/a", None),
    ],
)
def test_a_whole_url_is_judged_against_the_base(url: str, why: str | None) -> None:
    refused = None
    try:
        judge_url(url, base=BASE, allow=Allow())
    except PolicyError as error:
        refused = error.message

    assert refused == why


@pytest.mark.parametrize(
    ("pattern", "suffix", "granted"),
    [
        ("/v1/deployments/*", "/deployments/7", True),
        ("/v1/deployments/*", "/deployments/7?a=/b/c", True),
        ("/v1/deployments/*", "/deployments/", False),
        ("/v1/deployments/a*", "/deployments/a", True),
        ("/v1/deployments/*-*", "/deployments/-", True),
        ("/v1/deployments/*", "/deployments", False),
        ("/v1/deployments/*", "/deployments/7/logs", False),
        ("/v1/deployments/*", "/Deployments/7", False),
        ("/v1/deployments/*", "/deployments/7\u200bx", True),
        ("/v1/deployments/*/logs", "/deployments/7/logs", True),
        ("/v1/deployments/*/logs", "/deployments/7/8/logs", False),
        ("/v1/deployments/*/logs", "/deployments//logs", False),
        ("/v1/**", "/a/b/c", True),
        ("/v1/**", "", False),
        ("/v1**", "", True),
        ("/v1/**/logs", "/a/b/logs", True),
        ("/v1/**/logs", "/a/b/logs/c", False),
        ("/v1/a.b", "/a.b", True),
        ("/v1/a.b", "/aXb", False),
        ("/v1/a+", "/aa", False),
    ],
)
def test_a_path_pattern_grants_within_a_segment_or_across(
    pattern: str, suffix: str, *, granted: bool
) -> None:
    refusal = f"The connection does not grant this path; it grants {pattern}."

    assert judged(suffix, allow=Allow(paths=(pattern,))) == (None if granted else refusal)


@pytest.mark.parametrize("suffix", ["/a%2Fb", "/a%2fb", "/a%252fb", "/a\uff0fb", "/a%EF%BC%8Fb"])
def test_an_encoded_slash_is_refused_where_paths_are_granted(suffix: str) -> None:
    assert judged(suffix) is None
    assert judged(suffix, allow=Allow(paths=("/v1/*",))) == ENCODED_SLASH


def test_one_of_several_path_patterns_is_enough() -> None:
    allow = Allow(paths=("/v1/a", "/v1/b"))

    assert judged("/b", allow=allow) is None
    assert judged("/c", allow=allow) == (
        "The connection does not grant this path; it grants /v1/a, /v1/b."
    )
    assert judged("/c", allow=Allow(paths=())) == (
        "The connection does not grant this path; it grants none."
    )


@pytest.mark.parametrize("suffix", ["", "?a=1", "/"])
def test_a_url_without_a_path_has_the_path_slash(suffix: str) -> None:
    assert judged(suffix, base="https://api.example.com", allow=Allow(paths=("/",))) is None


def granted(allow: Allow, *, method: Method = Method.GET, caller: str = "local") -> str | None:
    """Return why a method or caller is refused, or None where it is granted."""
    try:
        judge_grant(allow, method=method, caller=caller, connection="demo")
    except PolicyError as error:
        return error.message
    return None


@pytest.mark.parametrize("method", [method for method in Method if method is not Method.TRACE])
def test_every_method_but_trace_is_granted_where_nothing_is_said(method: Method) -> None:
    assert granted(Allow(), method=method) is None


def test_trace_is_granted_only_where_it_is_listed() -> None:
    assert granted(Allow(), method=Method.TRACE) == (
        "TRACE is sent only where the connection lists it; 'demo' has no allow.methods."
    )
    assert granted(Allow(methods=frozenset({Method.TRACE})), method=Method.TRACE) is None


def test_a_method_that_is_not_listed_is_refused() -> None:
    allow = Allow(methods=frozenset({Method.POST, Method.GET}))

    assert granted(allow, method=Method.POST) is None
    assert granted(allow, method=Method.DELETE) == (
        "The connection 'demo' does not grant DELETE; it grants GET, POST."
    )
    assert granted(Allow(methods=frozenset())) == (
        "The connection 'demo' does not grant GET; it grants none."
    )


def test_a_caller_that_is_not_listed_is_refused() -> None:
    allow = Allow(callers=frozenset({"key:0123456789abcdef"}))

    assert granted(allow, caller="key:0123456789abcdef") is None
    assert granted(allow, caller="local") == (
        "The connection 'demo' is not open to this caller (local); "
        "its definition lists others under allow.callers."
    )


ASKED = "https://api.example.com/v1/start?x=1"
BLANK = "its location has a blank, a backslash or a control character in it."
NO_HOST = "its location has a scheme or '//', and no host after it."


@pytest.mark.parametrize(
    ("reference", "url"),
    [
        ("/v1/op/1?a=b", "https://api.example.com/v1/op/1?a=b"),
        ("op/1", "https://api.example.com/v1/op/1"),
        ("?a=b", "https://api.example.com/v1/start?a=b"),
        ("", ASKED),
        ("https://api.example.com/v1/op", "https://api.example.com/v1/op"),
        ("http://other:8080/op", "http://other:8080/op"),
        ("//other.example.com/op", "https://other.example.com/op"),
        ("/v1/op?next=../x", "https://api.example.com/v1/op?next=../x"),
        ("/v1/a.b/..c/d..", "https://api.example.com/v1/a.b/..c/d.."),
        ("/v1/op%20x", "https://api.example.com/v1/op%20x"),
        ("/v1/op#part", "https://api.example.com/v1/op#part"),
        ("https://user@api.example.com/v1", "https://user@api.example.com/v1"),
    ],
)
def test_a_reference_of_a_target_is_resolved_and_not_yet_judged(reference: str, url: str) -> None:
    assert resolved(ASKED, reference) == url


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("../op", DOTS),
        ("./op", DOTS),
        ("/v1/../op", DOTS),
        ("/v1/.", DOTS),
        ("/v1/%2e%2e/op", DOTS),
        ("/v1/%252E%252e/op", DOTS),
        ("/v1/.%2E;x/op", DOTS),
        ("https://api.example.com/v1/../op", DOTS),
        ("/v1/%5Cop", ENCODED_BACKSLASH),
        ("/v1/%0Aop", ENCODED_CONTROL),
        ("/v1\\op", BLANK),
        ("\\\\other\\op", BLANK),
        ("/v1/a b", BLANK),
        (" /v1/op", BLANK),
        ("/v1/op ", BLANK),
        (" ", BLANK),
        ("/v1\t/op", BLANK),
        ("/v1\n/op", BLANK),
        ("ht\ntps://other/op", BLANK),
        ("/1, /2", BLANK),
        ("///other/op", NO_HOST),
        ("https:/other/op", NO_HOST),
        ("https:op", NO_HOST),
        ("https:///op", NO_HOST),
        ("javascript:alert(1)", NO_HOST),
        ("//", NO_HOST),
        ("https://[::1/op", "its location cannot be read as a URL."),
    ],
)
def test_a_reference_that_readers_of_urls_differ_over_is_refused(
    reference: str, message: str
) -> None:
    with pytest.raises(PolicyError) as caught:
        resolved(ASKED, reference)

    assert caught.value.message == message


@pytest.mark.parametrize(
    ("url", "base", "spelled"),
    [
        (
            "https://H.example.com:443/op?a=B",
            "https://h.example.com",
            "https://h.example.com/op?a=B",
        ),
        ("https://h.example.com/op", "https://H.example.com:443", "https://H.example.com:443/op"),
        ("http://h:80/op", "http://h/v1", "http://h/op"),
        ("https://h:8443/op", "https://h:8443", "https://h:8443/op"),
        ("https://[::1]:443/op", "https://[::1]", "https://[::1]/op"),
    ],
)
def test_the_origin_of_a_connection_is_known_again_with_its_own_port_and_in_any_case(
    url: str, base: str, spelled: str
) -> None:
    assert with_origin_of(url, base) == spelled


@pytest.mark.parametrize(
    "url",
    [
        "http://h/op",
        "https://h:80/op",
        "https://h:8443/op",
        "https://h.evil/op",
        "https://user@h:443/op",
        "https://h@evil/op",
        "https://h:0/op",
        "//h/op",
    ],
)
def test_another_origin_stays_what_it_is(url: str) -> None:
    assert with_origin_of(url, "https://h") == url


@pytest.mark.parametrize("url", ["https://h:99999/op", "https://h:x/op", "https://[h/op"])
def test_an_origin_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(PolicyError):
        with_origin_of(url, "https://h")
