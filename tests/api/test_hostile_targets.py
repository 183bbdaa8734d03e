"""Targets and proxies that try to get at what is not theirs, seen through the whole service.

Source: HTTP contract, section 7 ("Redirects", ``proxy``); section 4 ("Secrets read ``***``").
"""

from __future__ import annotations

import base64
import json
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import PASSWORD, demo_connections, make_client
from tests.api.target import Received, Reply, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.api.conftest import Client

PROXY_PASSWORD = "sw0rdfish/#1"


@pytest.fixture
def other() -> Iterator[Target]:
    """A server that nothing may reach."""
    with Target() as running:
        yield running


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_to_another_server_hands_over_nothing(
    method: str, status: int, client: Client, target: Target, other: Target
) -> None:
    target.reply = lambda _: Reply(status=status, headers={"Location": f"{other.url}/take"})

    answered = client.step(method=method, waitForCompletion="true")

    assert (answered.status, answered.json["reason"]["code"]) == (424, "redirectRefused")
    assert [request.method for request in target.received] == [method]
    assert target.received[0].header("AuthToken")
    assert target.received[0].header("Authorization")
    assert other.received == []


@pytest.mark.parametrize(
    "location",
    ["/v1/secret", "/v2/open", "/v1/open/../secret", "/v1/open/%2e%2e/secret", "/v1/open%2fx"],
)
def test_a_redirect_to_a_path_that_is_not_granted_is_not_followed(
    location: str, tmp_path: Path, target: Target
) -> None:
    allow = {"paths": ["/v1/open/*"], "loopback": True}
    client = make_client(tmp_path, demo_connections(f"{target.url}/v1", allow=allow))
    target.reply = lambda _: Reply(status=307, headers={"Location": location})

    answered = client.step(method="GET", urlSuffix="/open/a")

    assert (answered.status, answered.json["reason"]["code"]) == (424, "redirectRefused")
    assert [request.path for request in target.received] == ["/v1/open/a"]


@pytest.mark.parametrize("method", ["TRACE", "GET", "POST"])
def test_a_request_echoed_as_it_was_tells_a_criteria_nothing_of_the_credential(
    method: str, client: Client, target: Target
) -> None:
    def echo(request: Received) -> Reply:
        lines = [f"{request.method} {request.path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers]
        return Reply("\r\n".join(lines).encode(), headers={"Content-Type": "message/http"})

    target.reply = echo
    sent = base64.b64encode(f"svc:{PASSWORD}".encode()).decode()

    guesses = [
        client.step(method=method, successCriteria=f"contains(response.content, '{guess}')")
        for guess in (sent, sent[:8], PASSWORD, "Basic ***")
    ]

    results = [answered.json["criteria"]["result"] for answered in guesses]
    assert results == [False, False, False, True]
    # Whoever wrote it sees what he wrote, and nothing else that holds it.
    assert all(sent.encode() not in answered.body for answered in guesses[1:])
    assert sent not in json.dumps(guesses[0].json["response"])


def test_a_proxy_that_echoes_its_credential_shows_it_to_nobody(
    tmp_path: Path, target: Target
) -> None:
    # The proxy answers itself, as one that refuses a target does.
    proxy = target.url.replace("http://", "http://svc:${PROXY_PASSWORD}@")
    client = make_client(
        tmp_path,
        demo_connections("http://inside.example", proxy=proxy),
        PROXY_PASSWORD=PROXY_PASSWORD,
    )
    seen = base64.b64encode(f"svc:{PROXY_PASSWORD}".encode()).decode()
    target.reply = lambda request: Reply(
        json.dumps({"seen": request.header("Proxy-Authorization"), "p": PROXY_PASSWORD}).encode()
    )

    answered = client.step(method="GET", successCriteria="eq(root.seen, 'Basic ***')")

    (received,) = target.received
    assert received.path == "http://inside.example/"
    assert received.header("Proxy-Authorization") == f"Basic {seen}"
    assert answered.json["criteria"]["result"] is True
    assert answered.json["response"]["body"] == {"seen": "Basic ***", "p": "***"}
    assert seen.encode() not in answered.body


@pytest.mark.parametrize(
    ("status", "header", "value"),
    [
        (200, "Content-Encoding", "{}"),
        (302, "Location", "http://{}/"),
        (302, "Location", "http://{}.example.com/a"),
    ],
)
def test_what_is_read_without_letter_case_is_not_quoted(
    status: int, header: str, value: str, tmp_path: Path, target: Target
) -> None:
    credential = "Tok-SeCrEt0123456789"
    auth = {"scheme": "header", "name": "X-Cred", "value": credential}
    client = make_client(tmp_path, demo_connections(target.url, auth=auth))
    target.reply = lambda _: Reply(status=status, headers={header: value.format(credential)})

    answered = client.step(method="GET")

    assert answered.status == 424
    assert credential.lower() not in answered.body.decode().lower()


def test_an_echo_in_the_wrong_character_set_tells_a_criteria_nothing(
    tmp_path: Path, target: Target
) -> None:
    credential = "h\xe9y-SuperSecretKey"
    auth = {"scheme": "header", "name": "X-Cred", "value": credential}
    client = make_client(tmp_path, demo_connections(target.url, auth=auth))
    # Latin-1 in the body is read as UTF-8, and UTF-8 in a header as Latin-1.
    target.reply = lambda request: Reply(
        f"cred: {request.header('X-Cred')}".encode("latin-1"),
        headers={"X-Echo": credential.encode().decode("latin-1")},
    )
    criteria = (
        "or(contains(response['content'], 'SecretKey'),"
        " contains(response['headers']['x-echo'], 'SecretKey'))"
    )

    answered = client.step(method="GET", successCriteria=criteria)

    assert answered.json["criteria"]["result"] is False
    response = answered.json["response"]
    assert (response["body"], response["headers"]["X-Echo"]) == ("cred: ***", "***")


@pytest.mark.parametrize(
    "reply",
    [
        lambda sent: Reply(f"{sent[:16]}\x1b[0m{sent[16:]}".encode(), headers={}),
        lambda sent: Reply(sent.encode("utf-16-le"), headers={}),
        lambda sent: Reply(json.dumps({"a": f"{sent[:16]}\0{sent[16:]}"}).encode()),
        lambda sent: Reply(headers={"Content-Type": f"{sent[:16]}\x9b0m{sent[16:]}"}),
    ],
    ids=["ansi", "utf-16", "json", "content type"],
)
def test_no_log_joins_what_keeps_a_credential_apart(
    reply: Callable[[str], Reply], client: Client, target: Target
) -> None:
    sent = base64.b64encode(f"svc:{PASSWORD}".encode()).decode()
    target.reply = lambda _: reply(sent)
    criteria = "or(eq(response['content'], 'q'), eq(root['a'], 'q'))"

    answered = client.step(method="GET", successCriteria=criteria)

    log = client.get(f"api/invocations/{answered.json['id']}/log").body.decode()
    assert answered.status == 424
    assert sent not in log
    assert sent[16:] not in log + answered.body.decode()


def test_large_answers_are_judged_one_after_another(client: Client, target: Target) -> None:
    target.reply = lambda _: Reply(body=b"[" + b"{}," * 200_000 + b"1]")
    criteria = "and(eq(root[200000], 1), eq(root[0], 1))"
    client.step(method="GET", successCriteria=criteria)

    def peak_bytes(calls: int) -> int:
        tracemalloc.start()
        with ThreadPoolExecutor(calls) as pool:
            list(
                pool.map(
                    lambda _: client.step(method="GET", successCriteria=criteria), range(calls)
                )
            )
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert peak_bytes(6) < 1.6 * peak_bytes(1)
