"""Tokens by the client credentials grant: fetched once, kept, renewed, and failing plainly.

Source: HTTP contract, section 7 (``auth.scheme``), section 4 (``credentialFailed``).
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tests.api.target import Reply, Target
from tests.credentials.conftest import (
    CLIENT_SECRET,
    authorizations,
    client_credentials,
    demo,
    refusing,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.target import Received
    from tests.credentials.conftest import Issuer


def test_the_token_is_asked_for_with_a_form_and_sent_to_the_target(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    auth = client_credentials(f"{issuer.url}/token", scope="read write", audience="https://api")

    answered = demo(tmp_path, api, auth).step(method="GET")

    assert answered.status == 200
    assert authorizations(api) == [f"Bearer {issuer.issued[0]}"]
    (asked,) = issuer.asked
    assert (asked.method, asked.path) == ("POST", "/token")
    assert asked.header("Content-Type") == "application/x-www-form-urlencoded"
    assert issuer.forms() == [
        {
            "grant_type": "client_credentials",
            "client_id": "invoke",
            "client_secret": CLIENT_SECRET,
            "scope": "read write",
            "audience": "https://api",
        }
    ]
    assert answered.json["request"]["headers"]["Authorization"] == "***"


def test_scope_and_audience_are_left_out_where_they_are_not_given(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    demo(tmp_path, api, client_credentials(issuer.url)).step(method="GET")

    assert set(issuer.forms()[0]) == {"grant_type", "client_id", "client_secret"}


def test_a_hundred_runs_side_by_side_fetch_one_token(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    # How long a hundred at once take is the machine's affair: no run is to be cut for it.
    client = demo(
        tmp_path,
        api,
        client_credentials(issuer.url),
        settings={"API_RESPONSE_TIMEOUT_SECONDS": "180"},
    )
    together = Barrier(100)

    def run(_: int) -> object:
        together.wait()
        return client.step(method="GET").json.get("reason", "refused")

    with ThreadPoolExecutor(100) as pool:
        reasons = list(pool.map(run, range(100)))

    assert [reason for reason in reasons if reason is not None] == []
    assert len(issuer.issued) == 1
    assert set(authorizations(api)) == {f"Bearer {issuer.issued[0]}"}


def test_a_failure_is_shared_by_those_that_waited_for_it(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    def slow_refusal(request: Received) -> Reply | None:
        time.sleep(0.3)
        return refusing(401, "invalid_client")(request)

    issuer.refuse = slow_refusal
    client = demo(tmp_path, api, client_credentials(issuer.url))
    together = Barrier(20)

    def run(_: int) -> str:
        together.wait()
        return str(client.step(method="GET").json["reason"]["code"])

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(run, range(20))) == {"credentialFailed"}

    assert len(issuer.asked) < 5


def test_two_connections_share_no_token(tmp_path: Path, api: Target, issuer: Issuer) -> None:
    client = demo(tmp_path, api, client_credentials(issuer.url))

    client.step(method="GET")
    client.step(method="GET", serviceConnection="other")

    assert len(set(authorizations(api))) == len(issuer.issued) == 2


def test_a_refused_token_is_fetched_anew_and_the_request_sent_once_more(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    def only_the_second(request: Received) -> Reply:
        return Reply(status=200 if request.header("Authorization") == second() else 401)

    def second() -> str:
        return f"Bearer {issuer.issued[1]}" if len(issuer.issued) > 1 else ""

    api.reply = only_the_second
    client = demo(tmp_path, api, client_credentials(issuer.url))

    answered = client.step(method="POST", body="once")

    assert answered.status == 200
    assert authorizations(api) == [f"Bearer {token}" for token in issuer.issued]
    assert [request.body for request in api.received] == [b"once", b"once"]
    assert client.step(method="GET").status == 200
    assert len(issuer.issued) == 2


def test_a_target_that_refuses_every_token_is_asked_twice_and_then_believed(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    api.reply = lambda _: Reply(status=401)
    client = demo(tmp_path, api, client_credentials(issuer.url))

    first, second = client.step(method="GET"), client.step(method="GET")

    assert [one.json["reason"]["code"] for one in (first, second)] == ["statusCode"] * 2
    # The second run knows that a new token changes nothing.
    assert (len(issuer.issued), len(api.received)) == (2, 3)


def test_a_refusal_stands_where_no_other_token_can_be_had(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    def then_nothing(request: Received) -> Reply:
        issuer.refuse = refusing(401, "invalid_client")
        return Reply(status=401, body=request.method.encode())

    api.reply = then_nothing

    answered = demo(tmp_path, api, client_credentials(issuer.url)).step(method="GET")

    assert answered.json["reason"]["code"] == "statusCode"
    assert answered.json["reason"]["effect"] == "answered"
    assert answered.json["response"]["status"] == 401
    assert "No token could be had" in answered.json["issues"][-1]["message"]
    assert len(api.received) == 1


def test_a_401_that_the_task_takes_for_an_answer_is_one(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    api.reply = lambda _: Reply(status=401)

    answered = demo(tmp_path, api, client_credentials(issuer.url)).step(
        method="GET", validStatusCodes="401"
    )

    assert answered.status == 200
    assert (len(issuer.issued), len(api.received)) == (1, 1)


def test_a_fixed_credential_is_never_tried_twice(tmp_path: Path, api: Target) -> None:
    api.reply = lambda _: Reply(status=401)
    auth: dict[str, object] = {"scheme": "bearer", "token": "${CLIENT_SECRET}"}

    answered = demo(tmp_path, api, auth).step(method="GET")

    assert answered.json["reason"]["code"] == "statusCode"
    assert len(api.received) == 1


@pytest.mark.parametrize("life_s", [0, -5])
def test_a_token_that_has_ended_already_is_none(
    tmp_path: Path, api: Target, issuer: Issuer, life_s: int
) -> None:
    issuer.life_s = life_s

    reason = demo(tmp_path, api, client_credentials(issuer.url)).step(method="GET").json["reason"]

    assert (reason["code"], reason["effect"]) == ("credentialFailed", "none")
    assert "has ended already" in reason["message"]
    assert api.received == []


@pytest.mark.parametrize("lives", ["600", 600.5, None, "soon", [], 1e400])
def test_what_issuers_write_for_a_life_is_read_leniently(
    tmp_path: Path, api: Target, issuer: Issuer, lives: object
) -> None:
    document = {"access_token": "swordfish-token", "expires_in": lives}
    issuer.refuse = lambda _: Reply(json.dumps(document).replace("Infinity", "1e400").encode())
    client = demo(tmp_path, api, client_credentials(issuer.url))

    assert [client.step(method="GET").status for _ in range(2)] == [200, 200]

    assert authorizations(api) == ["Bearer swordfish-token"] * 2
    assert len(issuer.asked) == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply(b"<html>"), "answered 200, and not with a token"),
        (Reply(b""), "answered 200, and not with a token"),
        (Reply(b"[]"), "answered 200, and not with a token"),
        (Reply(b'{"token": "x"}'), "answered 200, and not with a token"),
        (Reply(b'{"access_token": 1}'), "answered 200, and not with a token"),
        (Reply(b'{"access_token": ""}'), "cannot stand in a header"),
        (Reply(b'{"access_token": "a\\r\\nX: y"}'), "cannot stand in a header"),
        (Reply(b'{"access_token": "a", "token_type": "mac"}'), "of another type than Bearer"),
        (Reply(b'{"access_token": "abcd"}', 500), "answered 500, and not with a token"),
        (
            Reply(b"{" + b" " * 3_000_000 + b"}"),
            "answered with more than 1048576 bytes, which is too long for a token; check that it",
        ),
        (
            Reply(b'{"error": "invalid_client"}', 401),
            "refused (invalid_client): check auth.clientId and auth.clientSecret",
        ),
        (Reply(b'{"error": "invalid_scope"}', 400), "refused (invalid_scope): check auth.scope"),
        (
            Reply(b'{"error": "cl1ent/s3cret~value"}', 400),
            "answered 400, and not with a token",
        ),
        (
            Reply(b'{"error": {"code": 7}}', 400),
            "answered 400, and not with a token",
        ),
        (
            Reply(status=307, headers={"Location": "/other"}),
            "redirects requests for tokens, and they are never redirected",
        ),
    ],
)
def test_an_issuer_that_gives_no_token_is_told_apart_and_nothing_is_sent(
    tmp_path: Path, api: Target, issuer: Issuer, reply: Reply, words: str
) -> None:
    issuer.refuse = lambda _: reply

    answered = demo(tmp_path, api, client_credentials(issuer.url)).step(method="GET")

    assert answered.status == 424
    reason = answered.json["reason"]
    assert (reason["code"], reason["effect"]) == ("credentialFailed", "none")
    assert words in reason["message"]
    assert reason["message"].startswith("No token could be had for the service connection 'demo': ")
    # What bounds an answer of the target has no say over tokens.
    assert "MAX_RESPONSE_BYTES" not in reason["message"]
    assert CLIENT_SECRET.encode() not in answered.body
    assert api.received == []
    assert len(issuer.asked) == 1


def test_an_issuer_that_says_nothing_costs_no_more_than_the_request_may_take(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    def hangs(_: Received) -> Reply | None:
        time.sleep(2.5)
        return None

    issuer.refuse = hangs
    client = demo(
        tmp_path,
        api,
        client_credentials(issuer.url),
        settings={"API_RESPONSE_TIMEOUT_SECONDS": "1"},
    )
    started_at = monotonic()

    reason = client.step(method="GET").json["reason"]

    assert monotonic() - started_at < 1.9
    assert (reason["code"], reason["effect"]) == ("credentialFailed", "none")
    assert "took longer than the 1 s that were left" in reason["message"]
    assert api.received == []


def test_the_time_for_the_token_is_taken_off_the_time_of_the_request(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    def slow(_: Received) -> Reply | None:
        time.sleep(1.2)
        return None

    def slower(_: Received) -> Reply:
        time.sleep(1.5)
        return Reply()

    issuer.refuse, api.reply = slow, slower
    client = demo(
        tmp_path,
        api,
        client_credentials(issuer.url),
        settings={"API_RESPONSE_TIMEOUT_SECONDS": "2"},
    )
    started_at = monotonic()

    reason = client.step(method="GET").json["reason"]

    assert monotonic() - started_at < 2.6
    assert (reason["code"], reason["effect"]) == ("timedOut", "unknown")


def test_an_issuer_on_this_machine_is_refused_unless_the_connection_allows_it(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    client = demo(tmp_path, api, client_credentials(issuer.url), loopback=False)

    reason = client.step(method="GET").json["reason"]

    assert (reason["code"], reason["effect"]) == ("credentialFailed", "none")
    assert "loopback" in reason["message"]
    assert issuer.asked == []


def test_no_proxy_of_the_environment_is_used_for_tokens(
    tmp_path: Path, api: Target, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert demo(tmp_path, api, client_credentials(issuer.url)).step(method="GET").status == 200
