"""Operations that a task starts and waits for.

Source: HTTP contract, section 3 ("Poll").
"""

from __future__ import annotations

import json
import time
from itertools import pairwise
from threading import Event
from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import PASSWORD, demo_connections, make_client, ringing
from tests.api.target import Received, Reply, Target
from tests.api.test_retries import messages, until_ended
from tests.api.test_waiting_secrets import file_dump, forms
from tests.azurite import connection_string, port_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.api.conftest import Answered, Client
    from tests.azurite import Azurite

OFTEN_S = 0.2
STATUS = "/operations/7"
RUNNING = Reply(b'{"status": "Running", "percent": 10}')
SUCCEEDED = Reply(b'{"status": "Succeeded", "id": 7}')
NOT_YET = Reply(b"", 202)
BROKEN = Reply(b"broken", 503)


def accepted(reference: str = STATUS, *, header: str = "Operation-Location") -> Reply:
    return Reply(b"{}", 202, {header: reference})


class Operation:
    """Answers to the request that starts it, and one after the other to those for its status."""

    def __init__(self, target: Target, started: Reply, *statuses: Reply | None) -> None:
        self._started = started
        self._statuses = statuses
        self.starts: list[Received] = []
        self.asked: list[Received] = []
        self.at: list[float] = []
        target.reply = self._reply

    def _reply(self, received: Received) -> Reply | None:
        self.at.append(time.monotonic())
        if received.path == "/start":
            self.starts.append(received)
            return self._started
        self.asked.append(received)
        return self._statuses[min(len(self.asked), len(self._statuses)) - 1]


@pytest.fixture
def background(target: Target, tmp_path: Path) -> Iterator[Client]:
    """Calls a service that also does what is due beside calls."""
    with ringing(tmp_path, demo_connections(target.url)) as client:
        yield client


def polled(
    client: Client,
    *,
    poll: Mapping[str, object] | None = None,
    headers: dict[str, str] | None = None,
    method: str = "POST",
    criteria: str = "",
    **step: object,
) -> Answered:
    """Start an operation and wait for it."""
    inputs = {
        "serviceConnection": "demo",
        "method": method,
        "urlSuffix": "/start",
        "successCriteria": criteria,
    }
    options = {"intervalSeconds": OFTEN_S, **(poll or {})}
    return client.post({"inputs": inputs, "poll": options, **step}, headers=headers)


def log_of(client: Client, answered: Answered) -> str:
    return client.get(f"api/invocations/{answered.json['id']}/log").body.decode()


def code_and_message(answered: Answered) -> tuple[str, str]:
    assert answered.status == 424, answered.json
    return answered.json["reason"]["code"], answered.json["reason"]["message"]


def test_an_operation_is_started_once_and_asked_until_it_is_done(
    client: Client, target: Target
) -> None:
    operation = Operation(target, accepted(), *[RUNNING] * 3, SUCCEEDED)

    answered = polled(client, poll={"intervalSeconds": 0.4}, outputs={"id": "$.id"})

    assert (answered.status, answered.json["result"]) == (200, "succeeded")
    assert [(one.method, one.path) for one in target.received] == [("POST", "/start")] + [
        ("GET", STATUS)
    ] * 4
    assert all(later - earlier >= 0.4 for earlier, later in pairwise(operation.at))
    assert operation.at[-1] - operation.at[0] < 10
    assert answered.json["response"]["body"] == {"status": "Succeeded", "id": 7}
    assert answered.json["outputs"] == {"id": "7"}
    assert (answered.json["attempts"], answered.json["issues"]) == (1, [])
    log = log_of(client, answered)
    assert log.count("The operation goes on; asking for its status at ") == 4
    assert log.count(f"Asking for the status: {target.url}{STATUS}") == 4
    assert log.count("Finished: succeeded") == 1


def test_a_status_is_asked_for_as_its_target_tells(client: Client, target: Target) -> None:
    first = Reply(b"", 202, {"Operation-Location": STATUS, "Retry-After": "1"})
    second = Reply(b'{"status": "Running"}', 200, {"Retry-After": "2"})
    operation = Operation(target, first, second, RUNNING, SUCCEEDED)

    answered = polled(client)

    assert answered.status == 200
    one, two, three = (later - earlier for earlier, later in pairwise(operation.at))
    assert 1 <= one < 2
    assert 2 <= two < 3
    assert OFTEN_S <= three < 1


@pytest.mark.parametrize("header", ["Operation-Location", "Azure-AsyncOperation", "location"])
def test_each_header_that_names_a_status_url_is_followed(
    client: Client, target: Target, header: str
) -> None:
    Operation(target, accepted(header=header), NOT_YET, Reply(b'{"status": "Succeeded"}'))

    answered = polled(client)

    assert answered.status == 200
    assert [one.path for one in target.received] == ["/start", STATUS, STATUS]


def test_the_header_that_says_most_is_followed(client: Client, target: Target) -> None:
    headers = {
        "Location": "/result",
        "Azure-AsyncOperation": "/async",
        "Operation-Location": STATUS,
    }
    Operation(target, Reply(b"", 202, headers), SUCCEEDED)

    assert polled(client).status == 200
    assert [one.path for one in target.received] == ["/start", STATUS]


def test_a_status_url_may_move(client: Client, target: Target) -> None:
    moved = Reply(b"", 202, {"Location": "/operations/8"})
    Operation(target, accepted(header="Location"), moved, NOT_YET, Reply())

    assert polled(client).status == 200
    assert [one.path for one in target.received] == [
        "/start",
        STATUS,
        "/operations/8",
        "/operations/8",
    ]


def test_a_status_url_may_stand_in_the_body(client: Client, target: Target) -> None:
    started = Reply(json.dumps({"_links": {"self": STATUS}}).encode(), 200)
    Operation(target, started, RUNNING, Reply(b'{"state": "done"}'))

    answered = polled(
        client, poll={"statusUrl": "$._links.self", "until": "eq(root['state'], 'done')"}
    )

    assert answered.status == 200
    assert [one.path for one in target.received] == ["/start", STATUS, STATUS]


@pytest.mark.parametrize("body", [b"{}", b'{"url": 7}', b'{"url": ""}', b"not json"])
def test_a_body_without_a_status_url_fails_the_task(
    client: Client, target: Target, body: bytes
) -> None:
    Operation(target, Reply(body, 202), SUCCEEDED)

    code, _ = code_and_message(polled(client, poll={"statusUrl": "$.url"}))

    assert code == ("responseNotJson" if body == b"not json" else "pollFailed")
    assert len(target.received) == 1


def test_an_answer_that_promises_an_operation_and_names_none_fails_the_task(
    client: Client, target: Target
) -> None:
    Operation(target, NOT_YET, SUCCEEDED)

    code, message = code_and_message(polled(client))

    assert code == "pollFailed"
    assert "poll.statusUrl" in message
    assert len(target.received) == 1


def test_an_operation_that_is_over_at_once_is_not_asked_for(client: Client, target: Target) -> None:
    Operation(target, Reply(b'{"count": 3}'), SUCCEEDED)

    answered = polled(client, criteria="eq(root['count'], 3)", outputs={"count": "$.count"})

    assert (answered.status, answered.json["outputs"]) == (200, {"count": "3"})
    assert len(target.received) == 1


def test_an_operation_that_cannot_be_started_is_not_asked_for(
    client: Client, target: Target
) -> None:
    Operation(target, Reply(b"no", 400, {"Operation-Location": STATUS}), SUCCEEDED)

    code, _ = code_and_message(polled(client))

    assert code == "statusCode"
    assert len(target.received) == 1


def test_until_decides_which_answer_is_the_last(client: Client, target: Target) -> None:
    Operation(target, accepted(), NOT_YET, RUNNING, Reply(b'{"percent": 100}'))

    answered = polled(client, poll={"until": "eq(root['percent'], 100)"})

    assert answered.status == 200
    assert answered.json["response"]["body"] == {"percent": 100}
    assert len(target.received) == 4


def test_fail_when_ends_the_waiting(client: Client, target: Target) -> None:
    Operation(target, accepted(), RUNNING, Reply(b'{"state": "broken"}'), SUCCEEDED)

    answered = polled(
        client,
        poll={"until": "eq(root['state'], 'done')", "failWhen": "eq(root['state'], 'broken')"},
    )

    code, message = code_and_message(answered)
    assert code == "pollFailed"
    assert "poll.failWhen is true (eq(root['state'], 'broken'))" in message
    assert answered.json["response"]["body"] == {"state": "broken"}
    assert len(target.received) == 3


def test_an_expression_that_cannot_be_evaluated_ends_the_waiting(
    client: Client, target: Target
) -> None:
    Operation(target, accepted(), Reply(b'{"n": "x"}'), SUCCEEDED)

    code, _ = code_and_message(polled(client, poll={"until": "gt(2, root['n'])"}))

    assert code == "criteriaError"
    assert len(target.received) == 2


@pytest.mark.parametrize(("wanted", "status"), [(7, 200), (8, 424)])
def test_the_criteria_is_judged_on_the_last_answer(
    client: Client, target: Target, wanted: int, status: int
) -> None:
    Operation(target, accepted(), RUNNING, SUCCEEDED)

    answered = polled(client, criteria=f"eq(root['id'], {wanted})")

    assert answered.status == status
    assert answered.json["criteria"]["result"] is (status == 200)
    assert len(target.received) == 3


@pytest.mark.parametrize("status", ["Failed", "Canceled", "cancelled"])
def test_an_operation_that_says_it_failed_has_failed(
    client: Client, target: Target, status: str
) -> None:
    told = {"status": status, "error": {"code": "QuotaExceeded", "message": "No cores left."}}
    Operation(target, accepted(), RUNNING, Reply(json.dumps(told).encode()), SUCCEEDED)

    code, message = code_and_message(polled(client))

    assert code == "pollFailed"
    assert f"'{status}'" in message
    assert "QuotaExceeded: No cores left." in message
    assert len(target.received) == 3


def test_an_operation_that_is_not_over_in_time_fails_the_task(
    client: Client, target: Target
) -> None:
    Operation(target, accepted(), RUNNING)
    started = time.monotonic()

    answered = polled(client, poll={"timeoutMinutes": 0.03, "intervalSeconds": 0.5})

    code, message = code_and_message(answered)
    assert code == "pollTimedOut"
    assert "within 0.03 minutes (poll.timeoutMinutes)" in message
    assert 1.8 <= time.monotonic() - started < 5
    assert answered.json["finishedAt"] == answered.json["deadline"]
    asked = len(target.received)
    assert 3 <= asked <= 5
    time.sleep(0.7)
    assert len(target.received) == asked


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_status_request_may_fail_for_reasons_that_pass(
    client: Client, target: Target, status: int
) -> None:
    busy = Reply(b"busy", status)
    Operation(target, accepted(), busy, None, busy, busy, RUNNING, busy, SUCCEEDED)

    answered = polled(client)

    assert (answered.status, answered.json["result"]) == (200, "succeeded")
    assert len(target.received) == 8


def test_a_busy_status_url_is_left_alone_as_long_as_it_asks(client: Client, target: Target) -> None:
    busy = Reply(b"busy", 503, {"Retry-After": "1"})
    operation = Operation(target, accepted(), busy, SUCCEEDED)

    assert polled(client).status == 200
    assert operation.at[2] - operation.at[1] >= 1


def test_a_status_url_that_fails_again_and_again_is_given_up(
    client: Client, target: Target
) -> None:
    Operation(target, accepted(), BROKEN)

    code, message = code_and_message(polled(client))

    assert code == "pollFailed"
    assert "5 status requests in a row have failed" in message
    assert len(target.received) == 6


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_status_url_that_refuses_is_not_asked_again(
    client: Client, target: Target, status: int
) -> None:
    Operation(target, accepted(), Reply(b"no", status), SUCCEEDED)

    code, message = code_and_message(polled(client))

    assert code == "pollFailed"
    assert str(status) in message
    assert len(target.received) == 2


def test_a_status_may_be_valid_that_is_not_2xx(client: Client, target: Target) -> None:
    Operation(target, accepted(), Reply(b'{"status": "Succeeded"}', 404))
    inputs = {
        "serviceConnection": "demo",
        "urlSuffix": "/start",
        "validStatusCodes": "200-299, 404",
    }

    answered = client.post({"inputs": inputs, "poll": {"intervalSeconds": OFTEN_S}})

    assert answered.status == 200
    assert len(target.received) == 2


def test_a_status_request_has_the_headers_of_the_task_without_those_of_its_body(
    client: Client, target: Target
) -> None:
    operation = Operation(target, accepted(), SUCCEEDED)
    inputs = {
        "serviceConnection": "demo",
        "urlSuffix": "/start",
        "headers": {"X-Tenant": "north", "Content-Type": "application/json"},
        "body": '{"a": 1}',
    }

    answered = client.post({"inputs": inputs, "poll": {"intervalSeconds": OFTEN_S}})

    assert answered.status == 200
    (start,), (asked,) = operation.starts, operation.asked
    assert start.body == b'{"a": 1}'
    assert (asked.body, asked.header("Content-Type"), asked.header("X-Tenant")) == (
        b"",
        None,
        "north",
    )
    assert asked.header("Authorization") == start.header("Authorization") != None  # noqa: E711  # a chain


@pytest.mark.parametrize("method", ["head", "POST"])
def test_a_status_may_be_asked_for_with_another_method(
    client: Client, target: Target, method: str
) -> None:
    Operation(target, accepted(), NOT_YET, Reply())

    assert polled(client, poll={"method": method}).status == 200
    assert [one.method for one in target.received] == ["POST", method.upper(), method.upper()]


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("/operations/7?a=b", "/operations/7?a=b"),
        ("operations/7", "/operations/7"),
        ("?operation=7", "/start?operation=7"),
    ],
)
def test_a_status_url_may_be_relative_to_what_was_asked(
    client: Client, target: Target, reference: str, path: str
) -> None:
    operation = Operation(target, accepted(reference), SUCCEEDED)
    if path.startswith("/start"):
        target.reply = lambda received: (
            accepted(reference) if received.path == "/start" else Reply()
        )

    assert polled(client).status == 200
    assert target.received[1].path == path
    assert len(operation.asked) <= 1


@pytest.mark.parametrize(
    "make",
    [
        lambda url: f"{url}/operations/7",
        lambda url: url.replace("http:", ""),
        lambda url: f"http://user@{url.removeprefix('http://')}/operations/7",
        lambda url: url.replace("127.0.0.1", "localhost"),
        lambda url: url.replace("http:", "https:"),
    ],
    ids=["url", "without scheme", "with user", "other name", "other scheme"],
)
def test_a_status_url_on_another_origin_is_never_asked(
    client: Client, target: Target, make: Callable[[str], str]
) -> None:
    with Target() as other:
        Operation(target, accepted(make(other.url)), SUCCEEDED)

        answered = polled(client)

        assert other.received == []
    code, message = code_and_message(answered)
    assert code == "pollFailed"
    assert "The status URL in the answer was not asked: " in message
    assert answered.json["reason"]["effect"] == "answered"
    assert len(target.received) == 1


def test_a_status_url_that_redirects_to_another_origin_is_not_followed(
    client: Client, target: Target
) -> None:
    with Target() as other:
        Operation(target, accepted(), Reply(b"", 302, {"Location": other.url}), SUCCEEDED)

        answered = polled(client)

        assert other.received == []
    assert answered.status == 424
    assert answered.json["reason"]["code"] == "redirectRefused"
    assert len(target.received) == 2


@pytest.mark.parametrize(
    ("reference", "allow"),
    [
        ("/private/7", {"paths": ["/start", "/operations/*"]}),
        ("/operations/7/log", {"paths": ["/start", "/operations/*"]}),
        ("/operations/../private", {}),
        ("/operations/%2e%2e/private", {}),
        ("/operations/..;/private", {}),
        ("../private", {}),
        ("/operations/7#top", {}),
        ("/operations\\7", {}),
        ("/operations/7 8", {}),
    ],
)
def test_a_status_url_the_connection_does_not_grant_is_never_asked(
    target: Target, tmp_path: Path, reference: str, allow: dict[str, object]
) -> None:
    client = make_client(tmp_path, demo_connections(target.url, allow={"loopback": True, **allow}))
    Operation(target, accepted(reference), SUCCEEDED)

    code, message = code_and_message(polled(client))

    assert code == "pollFailed"
    assert "The status URL in the answer was not asked: " in message
    assert len(target.received) == 1


def test_an_operation_whose_status_nobody_may_ask_for_is_not_started(
    target: Target, tmp_path: Path
) -> None:
    allow = {"loopback": True, "methods": ["POST"]}
    client = make_client(tmp_path, demo_connections(target.url, allow=allow))

    refused = polled(client)

    assert (refused.status, refused.json["code"]) == (403, "connectionPolicy")
    assert "does not grant GET" in refused.json["detail"]
    assert target.received == []


def test_a_status_url_outside_the_path_of_the_connection_is_never_asked(
    target: Target, tmp_path: Path
) -> None:
    client = make_client(tmp_path, demo_connections(f"{target.url}/v1"))
    target.reply = lambda _: accepted()

    code, _ = code_and_message(polled(client))

    assert code == "pollFailed"
    assert [one.path for one in target.received] == ["/v1/start"]


def test_a_status_url_that_leads_elsewhere_later_is_not_followed_either(
    client: Client, target: Target
) -> None:
    with Target() as other:
        moved = Reply(b"", 202, {"Operation-Location": f"{other.url}/operations/7"})
        Operation(target, accepted(), RUNNING, moved, SUCCEEDED)

        answered = polled(client)

        assert other.received == []
    assert code_and_message(answered)[0] == "pollFailed"
    assert len(target.received) == 3


SIGNATURE = "s1gnature/of+a=status%2Furl"


@pytest.mark.parametrize("place", ["header", "body"])
def test_a_secret_in_a_status_url_is_sent_and_never_shown_or_stored_plain(
    target: Target, tmp_path: Path, place: str
) -> None:
    url = f"{target.url}{STATUS}?api=1&sig={SIGNATURE}"
    poll = {"intervalSeconds": OFTEN_S}
    if place == "header":
        started = accepted(url)
    else:
        started = Reply(json.dumps({"next": url}).encode(), 202)
        poll["statusUrl"] = "$.next"  # type: ignore[assignment]
    waiting = Event()
    store = tmp_path / "store"
    store.mkdir()
    with ringing(store, demo_connections(target.url)) as client:
        operation = Operation(target, started, NOT_YET, BROKEN, SUCCEEDED)
        reply = target.reply

        def hold_the_last(received: Received) -> Reply | None:
            if len(operation.asked) == 2:
                waiting.wait(10)
            return reply(received)

        target.reply = hold_the_last

        answered = polled(client, poll=poll, headers={"prefer": "wait=0"})

        give_up_at = time.monotonic() + 10
        while len(target.received) < 4:
            assert time.monotonic() < give_up_at
            time.sleep(0.02)
        under_way = client.get(f"api/invocations/{answered.json['id']}")
        dump = file_dump(store / ".data")
        waiting.set()
        ended = until_ended(client, answered.json["id"])
        log = log_of(client, ended)

    assert ended.status == 200
    assert [one.path for one in operation.asked] == [f"{STATUS}?api=1&sig={SIGNATURE}"] * 3
    shown = answered.body + under_way.body + ended.body + log.encode() + dump
    assert not [form for form in forms(SIGNATURE) if form in shown]
    assert log.count(f"Asking for the status: {target.url}{STATUS}?api=1&sig=***") == 3


@pytest.mark.parametrize(("query", "status"), [("", 200), ("?sig=s1gnature", 424)])
def test_a_secret_in_a_status_url_is_not_kept_without_a_key(
    target: Target,
    tmp_path: Path,
    azurite_connection: str,
    azurite_queues: Azurite,
    query: str,
    status: int,
) -> None:
    """The embedded store makes a key of its own; with a storage account, it is a setting."""
    account = connection_string(port_of(azurite_connection), queue_port=azurite_queues.port)
    client = make_client(tmp_path, demo_connections(target.url), InvokeStorage=account)
    Operation(target, accepted(f"{STATUS}{query}"), SUCCEEDED)

    answered = polled(client)

    assert answered.status == status
    if status == 424:
        code, message = code_and_message(answered)
        assert code == "pollFailed"
        assert "STATE_KEY" in message
        assert len(target.received) == 1


def test_nor_is_a_status_url_below_a_key_in_the_connections_own(
    target: Target, tmp_path: Path, azurite_connection: str, azurite_queues: Azurite
) -> None:
    account = connection_string(port_of(azurite_connection), queue_port=azurite_queues.port)
    connections = demo_connections(f"{target.url}/${{HOOK_KEY}}")
    client = make_client(tmp_path, connections, InvokeStorage=account, HOOK_KEY="k3y-of-the-hook")
    target.reply = lambda _: accepted("operations/7")

    code, message = code_and_message(polled(client))

    assert (code, "STATE_KEY" in message) == ("pollFailed", True)
    assert len(target.received) == 1


def test_the_credential_of_the_connection_is_sent_with_each_status_request(
    client: Client, target: Target
) -> None:
    operation = Operation(target, accepted(), RUNNING, SUCCEEDED)

    answered = polled(client)

    given = {one.header("Authorization") for one in (*operation.starts, *operation.asked)}
    assert len(given) == 1
    assert None not in given
    assert PASSWORD.encode() not in answered.body


def test_an_operation_may_be_waited_for_beside_the_call(background: Client, target: Target) -> None:
    operation = Operation(target, accepted(), *[RUNNING] * 2, SUCCEEDED)
    started = time.monotonic()

    answered = polled(
        background, poll={"intervalSeconds": 0.5}, headers={"prefer": "respond-async"}
    )

    assert time.monotonic() - started < 1
    assert (answered.status, answered.json["state"]) == (202, "pending")
    ended = until_ended(background, answered.json["id"])
    assert (ended.status, ended.json["attempts"]) == (200, 1)
    assert len(target.received) == 4
    assert all(later - earlier >= 0.5 for earlier, later in pairwise(operation.at))


def test_a_wait_that_is_over_leaves_the_operation_to_the_background(
    background: Client, target: Target
) -> None:
    Operation(target, accepted(), *[RUNNING] * 3, SUCCEEDED)

    answered = polled(background, poll={"intervalSeconds": 0.5}, headers={"prefer": "wait=1"})

    assert (answered.status, answered.json["state"]) == (202, "inProgress")
    assert answered.json["response"]["body"] in ({}, {"status": "Running", "percent": 10})
    ended = until_ended(background, answered.json["id"])
    assert ended.status == 200
    assert len(target.received) == 5


def test_an_operation_goes_on_in_another_process(target: Target, tmp_path: Path) -> None:
    Operation(target, accepted(), RUNNING, SUCCEEDED)
    connections = demo_connections(target.url)
    poll = {"intervalSeconds": 2}
    with ringing(tmp_path, connections) as client:
        answered = polled(client, poll=poll, headers={"prefer": "wait=0"})
    with ringing(tmp_path, connections) as client:
        ended = until_ended(client, answered.json["id"])

    assert (answered.status, ended.status) == (202, 200)
    assert [one.path for one in target.received] == ["/start", STATUS, STATUS]


def test_the_waiting_can_be_canceled(background: Client, target: Target) -> None:
    Operation(target, accepted(), RUNNING)
    answered = polled(background, headers={"prefer": "wait=1"})

    canceled = background.cancel(answered.json["id"])
    time.sleep(0.5)
    asked = len(target.received)

    assert (canceled.status, canceled.json["result"]) == (200, "canceled")
    time.sleep(0.6)
    assert len(target.received) == asked


def test_a_start_that_failed_is_tried_again_and_a_status_is_no_try(
    client: Client, target: Target
) -> None:
    operation = Operation(target, accepted(), RUNNING, SUCCEEDED)
    after = target.reply
    target.reply = lambda received: BROKEN if len(target.received) == 1 else after(received)

    answered = polled(client, retryCountOnTaskFailure=1)

    assert (answered.status, answered.json["attempts"]) == (200, 2)
    assert [one.path for one in target.received] == ["/start", "/start", STATUS, STATUS]
    assert len(operation.starts) == 1


def test_a_start_that_may_have_had_its_effect_is_not_repeated(
    client: Client, target: Target
) -> None:
    target.reply = lambda _: None

    code, _ = code_and_message(polled(client, retryCountOnTaskFailure=3))

    assert code == "connectionFailed"
    assert len(target.received) == 1


def test_an_operation_that_failed_is_begun_anew_where_retries_are_asked_for(
    client: Client, target: Target
) -> None:
    operation = Operation(target, accepted(), Reply(b'{"status": "Failed"}'), SUCCEEDED)

    answered = polled(client, retryCountOnTaskFailure=1)

    assert (answered.status, answered.json["attempts"]) == (200, 2)
    assert [one.path for one in target.received] == ["/start", STATUS, "/start", STATUS]
    assert len(operation.starts) == 2
    assert "Try 1 of 2 failed: pollFailed" in messages(answered.json)


def test_a_failure_the_caller_puts_up_with_is_no_failure(client: Client, target: Target) -> None:
    Operation(target, accepted(), Reply(b'{"status": "Failed"}'))

    answered = polled(client, continueOnError=True)

    assert (answered.status, answered.json["result"]) == (200, "succeededWithIssues")
    assert answered.json["reason"]["code"] == "pollFailed"


def test_a_replay_of_an_operation_under_way_starts_nothing(
    background: Client, target: Target
) -> None:
    Operation(target, accepted(), *[RUNNING] * 4, SUCCEEDED)
    key = {"idempotency-key": "start-1", "prefer": "wait=0"}

    first = polled(background, headers=key)
    replay = polled(background, headers=key)
    ended = until_ended(background, first.json["id"])
    last = polled(background, headers=key)

    assert (first.status, replay.status, last.status) == (202, 202, 200)
    assert replay.headers["Idempotency-Replayed"] == last.headers["Idempotency-Replayed"] == "true"
    assert first.json["id"] == replay.json["id"] == ended.json["id"] == last.json["id"]
    assert [one.path for one in target.received].count("/start") == 1


@pytest.mark.parametrize(
    ("poll", "pointer"),
    [
        ({"statusUrl": "$["}, "/poll/statusUrl"),
        ({"until": "eq(1"}, "/poll/until"),
        ({"failWhen": {}}, "/poll/failWhen"),
        ({"method": "DELETE"}, "/poll/method"),
        ({"intervalSeconds": 0}, "/poll/intervalSeconds"),
        ({"timeoutMinutes": "soon"}, "/poll/timeoutMinutes"),
        ({"every": 1}, "/poll/every"),
    ],
)
def test_a_poll_nobody_can_mean_is_refused(
    client: Client, target: Target, poll: dict[str, object], pointer: str
) -> None:
    answered = polled(client, poll=poll)

    assert answered.status == 400
    assert [one["pointer"] for one in answered.json["errors"]] == [pointer]
    assert target.received == []


@pytest.mark.parametrize(
    ("first", "status"),
    [
        pytest.param(accepted("http://127.0.0.1:9/elsewhere"), SUCCEEDED, id="elsewhere"),
        pytest.param(NOT_YET, SUCCEEDED, id="no status URL"),
        pytest.param(accepted(), Reply(b"", 404), id="not found"),
        pytest.param(accepted(), Reply(b"{", 200), id="not JSON"),
    ],
)
def test_an_operation_that_may_go_on_is_not_started_again(
    client: Client, target: Target, first: Reply, status: Reply
) -> None:
    operation = Operation(target, first, status)

    answered = polled(client, poll={"until": "root['x']"}, retryCountOnTaskFailure=2)

    assert answered.status == 424
    assert len(operation.starts) == 1


def test_an_operation_that_ended_as_failed_is_started_again_where_that_is_asked(
    client: Client, target: Target
) -> None:
    operation = Operation(target, accepted(), Reply(b'{"status": "Failed"}'))

    answered = polled(client, retryCountOnTaskFailure=1)

    assert answered.json["reason"]["code"] == "pollFailed"
    assert answered.json["attempts"] == len(operation.starts) == 2


def test_a_relative_status_url_is_one_of_whoever_answered(client: Client, target: Target) -> None:
    moved = Reply(b"", 307, {"Location": "/deep/start"})
    replies = {"/start": moved, "/deep/start": accepted("op1"), "/deep/op1": SUCCEEDED}
    target.reply = lambda received: replies[received.path]

    assert polled(client).status == 200
    assert [one.path for one in target.received] == ["/start", "/deep/start", "/deep/op1"]
