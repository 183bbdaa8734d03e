"""Which status URLs are asked, and what a request for one carries (contract, section 3, "Poll")."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Final

import pytest

from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.credentials import TokenCredentials
from invoke_core.adapters.http import HttpSender
from invoke_core.connections import (
    Allow,
    BasicAuth,
    Connection,
    ConnectionBook,
    ConnectionKind,
    KnownConnection,
)
from invoke_core.errors import PolicyError, SendError
from invoke_core.events import Exchanged, StatusUrl
from invoke_core.inputs import read_task
from invoke_core.judging import failed
from invoke_core.model import Effect, Method, ReasonCode, Result, Secret
from invoke_core.sending import Sending
from invoke_core.turns import Turns
from tests.core.build import CORRELATION, answer

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue
    from invoke_core.prepared import Prepared

URL: Final = "https://api.example.com/v1"
PASSWORD: Final = "opensesame"
CONNECTION: Final = Connection(
    name="demo",
    kind=ConnectionKind.GENERIC,
    url=URL,
    auth=BasicAuth(username="svc", password=Secret(PASSWORD)),
)


def sending(connection: Connection) -> Sending:
    sender = HttpSender(budget=ByteBudget(1 << 20))
    return Sending(
        sender=sender,
        credentials=TokenCredentials(sender=sender),
        connections=ConnectionBook([KnownConnection(connection.name, connection)]),
        exchange_timeout_s=20,
        body_limit_bytes=1 << 20,
        monotonic_s=monotonic,
        turns=Turns(),
    )


def prepared(
    connection: Connection = CONNECTION,
    *,
    poll: JsonValue = None,
    inputs: dict[str, JsonValue] | None = None,
) -> tuple[Sending, Prepared]:
    document: JsonValue = {
        "poll": {} if poll is None else poll,
        "inputs": {"serviceConnection": "demo", "urlSuffix": "/start", **(inputs or {})},
    }
    book = ConnectionBook([KnownConnection(connection.name, connection)])
    task = read_task(document, connections=book, correlation=CORRELATION, token="")
    service = sending(connection)
    request = service.prepare(task, caller="local", trace={}, correlation=CORRELATION, token="")
    return service, request


def after(location: str, connection: Connection = CONNECTION, **options: JsonValue) -> Exchanged:
    """Return what comes of an answer that names a status URL."""
    service, request = prepared(connection, poll=options)
    return service._judged(answer(status=202, headers=(("Location", location),)), request)


@pytest.mark.parametrize(
    ("location", "asked"),
    [
        ("/v1/op/1", f"{URL}/op/1"),
        ("op/1", f"{URL}/op/1"),
        (f"{URL}/op/1?api-version=2", f"{URL}/op/1?api-version=2"),
        ("https://API.example.com:443/v1/op/1", f"{URL}/op/1"),
        ("//api.example.com/v1/op/1", f"{URL}/op/1"),
    ],
)
def test_a_status_url_within_the_connection_is_asked(location: str, asked: str) -> None:
    outcome = after(location)

    assert outcome.status_url == StatusUrl(url=asked, shown_url=asked, source="location")
    assert (outcome.result, outcome.reason) == (None, None)


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example.com/v1/op",
        "https://api.example.com.evil/v1/op",
        "http://api.example.com/v1/op",
        "https://api.example.com:8443/v1/op",
        "https://user@api.example.com/v1/op",
        "//evil.example.com/v1/op",
        "/v2/op",
        "/v1x/op",
        "/v1/../v2/op",
        "/v1/%2e%2e/v2",
        "/v1/op#part",
        "/v1\\op",
        "/v1/a b",
        "https://api.example.com:x/v1",
    ],
)
def test_a_status_url_that_the_connection_does_not_grant_ends_the_task(location: str) -> None:
    outcome = after(location)

    assert (outcome.result, outcome.status_url) == (Result.FAILED, None)
    assert outcome.reason is not None
    assert (outcome.reason.code, outcome.reason.effect) == (
        ReasonCode.POLL_FAILED,
        Effect.ANSWERED,
    )
    assert outcome.reason.message.startswith("The status URL in the answer was not asked: ")


def test_methods_and_paths_of_the_connection_count_for_status_requests_too() -> None:
    narrow = replace(
        CONNECTION,
        allow=Allow(
            given=True,
            methods=frozenset({Method.POST, Method.GET}),
            paths=("/v1/start", "/v1/op/*"),
        ),
    )

    assert after("/v1/op/1", narrow).status_url is not None
    assert after("/v1/other", narrow).result is Result.FAILED
    with pytest.raises(PolicyError, match="does not grant HEAD"):
        after("/v1/op/1", narrow, method="HEAD")


def test_what_is_secret_in_a_status_url_is_not_shown() -> None:
    outcome = after("/v1/op?sig=abc&a=b")

    assert outcome.status_url is not None
    assert outcome.status_url.url == f"{URL}/op?sig=abc&a=b"
    assert outcome.status_url.shown_url == f"{URL}/op?sig=***&a=b"
    assert "abc" not in repr(outcome.status_url)


def test_a_status_request_has_the_headers_of_the_task_but_for_those_of_a_body() -> None:
    service, request = prepared(
        poll={"method": "HEAD"},
        inputs={
            "headers": {"X-Tenant": "1", "Content-Type": "text/plain", "content-language": "en"},
            "body": "x",
        },
    )

    status = service.prepare_status(
        request, StatusUrl(url=f"{URL}/op", shown_url=f"{URL}/op", source="location")
    )

    assert (status.request.method, status.request.url) == (Method.HEAD, f"{URL}/op")
    assert status.request.body is None
    assert [name for name, _ in status.request.headers] == ["X-Tenant", "Authorization"]
    assert status.view == request.view


def test_a_status_url_that_is_kept_is_judged_again_before_it_is_asked() -> None:
    service, request = prepared()

    with pytest.raises(PolicyError):
        service.prepare_status(request, StatusUrl(url="https://evil/", shown_url="", source="body"))


@pytest.mark.parametrize(
    ("code", "passes"),
    [
        (ReasonCode.CONNECTION_FAILED, True),
        (ReasonCode.TIMED_OUT, True),
        (ReasonCode.NAME_NOT_RESOLVED, True),
        (ReasonCode.TLS_FAILED, False),
        (ReasonCode.CREDENTIAL_FAILED, False),
        (ReasonCode.ADDRESS_REFUSED, False),
        (ReasonCode.REDIRECT_REFUSED, False),
        (ReasonCode.RESPONSE_TOO_LARGE, False),
    ],
)
def test_a_status_request_that_was_not_sent_does_not_say_that_nothing_was(
    code: ReasonCode, *, passes: bool
) -> None:
    service, request = prepared()
    asked = StatusUrl(url=f"{URL}/op", shown_url=f"{URL}/op", source="location")
    error = SendError("It failed.", code=code.value, effect=Effect.NONE.value)

    first = failed(error, request).outcome
    later = failed(error, service.prepare_status(request, asked)).outcome

    assert first.reason is not None
    assert (first.reason.effect, first.status_url, first.may_pass) == (Effect.NONE, None, False)
    assert later.reason is not None
    assert later.reason.effect is Effect.UNKNOWN
    assert (later.status_url, later.may_pass) == (asked if passes else None, passes)


@pytest.mark.parametrize(
    ("status", "passes"),
    [(408, True), (429, True), (500, True), (503, True), (400, False), (404, False), (501, False)],
)
def test_a_status_that_is_not_valid_may_pass_or_ends_the_task(status: int, *, passes: bool) -> None:
    service, request = prepared()
    asked = StatusUrl(url=f"{URL}/op", shown_url=f"{URL}/op", source="location")

    outcome = service._judged(answer(status=status), service.prepare_status(request, asked))

    assert outcome.reason is not None
    assert outcome.reason.code is ReasonCode.POLL_FAILED
    assert outcome.reason.message.startswith("Asked for its status: ")
    assert (outcome.status_url is not None) is passes
