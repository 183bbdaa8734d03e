"""What is judged is what is sent.

Source: HTTP contract, section 7 ("judged twice, as concatenated and as prepared for sending").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.adapters import urls
from invoke_core.adapters.urls import prepare
from invoke_core.errors import PolicyError
from tests.http.targets import answer, answering

if TYPE_CHECKING:
    from tests.http.conftest import Client, Start


@pytest.mark.parametrize(
    ("suffix", "prepared"),
    [
        ("", "/"),
        ("/", "/"),
        ("?a=b", "/?a=b"),
        ("/a b/ü?x=ä&y=a b", "/a%20b/%C3%BC?x=%C3%A4&y=a%20b"),
        ("/%7Euser/%2e%2E/%41", "/~user/../A"),
        ("/a%2fb%2Fc", "/a%2Fb%2Fc"),
        ("/a/../b/./c", "/b/c"),
        ("/100%", "/100%25"),
        ("/a\\b", "/a%5Cb"),
        ("//double//slashes/", "//double//slashes/"),
        ("/a;b=c?d;e", "/a;b=c?d;e"),
        ("/a%00b", "/a%00b"),
        ("/a\tb\nc", "/a%09b%0Ac"),
        ('/{plan}|^`<>"', "/%7Bplan%7D%7C%5E%60%3C%3E%22"),
        ("/a?b?c/d:e@f[1]=$'()*+,!~", "/a?b?c/d:e@f%5B1%5D=$'()*+,!~"),
        ("/a%zz?%", "/a%25zz?%25"),
    ],
)
def test_url_is_sent_as_it_was_prepared(
    suffix: str, prepared: str, start: Start, client: Client
) -> None:
    target = start(answering(answer()))

    judged = client.sender.prepared_url(target.origin + suffix)
    client.send(target.origin + suffix)

    assert judged == target.origin + prepared
    assert target.requests[0].startswith(f"GET {prepared} HTTP/1.1\r\n".encode())


def test_fragment_is_seen_by_the_judge_and_never_sent(start: Start, client: Client) -> None:
    target = start(answering(answer()))

    judged = client.sender.prepared_url(f"{target.origin}/a?b#c")
    client.send(f"{target.origin}/a?b#c")

    assert judged == f"{target.origin}/a?b#c"
    assert target.requests[0].startswith(b"GET /a?b HTTP/1.1\r\n")


@given(st.text(alphabet=st.one_of(st.sampled_from("/?#%.:;@&=+\\2eEfF5cC[]"), st.characters())))
def test_preparing_twice_changes_nothing(suffix: str) -> None:
    try:
        once = prepare(f"https://api.example.com/v1/{suffix}")
    except PolicyError:
        return

    assert prepare(once.text) == once
    assert once.origin.host == "api.example.com"
    assert once.target.isascii()
    assert " " not in once.target


@given(st.text())
def test_only_policy_errors_escape_and_quote_nothing(text: str) -> None:
    for url in (text, f"http:{text}", f"http://{text}", f"http://host:{text}"):
        assert outcome(url) in {
            "http",
            "https",
            "The URL cannot be read as an http or https URL.",
            "The URL is not an http or https URL with a host.",
        }


def outcome(url: str) -> str:
    try:
        return prepare(url).origin.scheme
    except PolicyError as error:
        return error.message


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/only/a/path",
        "ftp://host/",
        "httpx://host/",
        "http:///path",
        "http://",
        "http://host:99999/",
        "http://host:port/",
        "http://[::1/",
        "http://*.example.com/",
        "mailto:me@example.com",
    ],
)
def test_what_is_no_http_url_is_refused(url: str, client: Client) -> None:
    with pytest.raises(PolicyError):
        client.sender.prepared_url(url)
    with pytest.raises(PolicyError):
        client.send(url)


def test_a_long_url_of_a_caller_is_not_kept() -> None:
    """Looks inside on purpose: from outside, a URL that is kept reads like any other."""
    urls._kept.cache_clear()

    prepare(f"https://h/?a={'x' * 200_000}")
    assert urls._kept.cache_info().currsize == 0

    prepare("https://h/")
    assert urls._kept.cache_info().currsize == 1
