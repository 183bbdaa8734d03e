"""Tasks that are tried again, that end beside their call, or that do not run at all.

Source: HTTP contract, section 2 ("Time limits", "Request headers") and section 3 ("Retries").
"""

from __future__ import annotations

import json
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from tests.api.conftest import demo_connections, make_client, ringing
from tests.api.target import Received, Reply, Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.conftest import Answered, Client

BUSY = Reply(b"busy", 503, {"Retry-After": "2"})
BUSY_FOR_HALF_A_MINUTE = Reply(b"busy", 503, {"Retry-After": "30"})
BROKEN = Reply(b"broken", 500)


class Script:
    """Answers one after the other, the last again and again, and the times at which they went."""

    def __init__(self, target: Target, *replies: Reply | None) -> None:
        self._replies = replies
        self.at: list[float] = []
        target.reply = self._reply

    def _reply(self, _: Received) -> Reply | None:
        self.at.append(time.monotonic())
        return self._replies[min(len(self.at), len(self._replies)) - 1]


@pytest.fixture
def background(target: Target, tmp_path: Path) -> Iterator[Client]:
    """Calls a service that also does what is due beside calls."""
    with ringing(tmp_path, demo_connections(target.url)) as client:
        yield client


def run(
    client: Client, *, headers: dict[str, str] | None = None, retries: int = 0, **more: object
) -> Answered:
    """Run a step; names of inputs beside ``method`` and ``headers`` belong to the step."""
    inputs = {"serviceConnection": "demo", "method": more.pop("method", "GET")}
    inputs |= {"body": more.pop("body", "")}
    step = {"inputs": inputs, "retryCountOnTaskFailure": retries, **more}
    return client.post(step, headers=headers)


def until_ended(client: Client, invocation_id: str) -> Answered:
    answered = client.get(f"api/invocations/{invocation_id}", headers={"prefer": "wait=20"})
    assert answered.status != 202, answered.json
    return answered


def running_one(client: Client) -> str:
    """Return the id of the one invocation that runs, once it has had its first answer."""
    give_up_at = time.monotonic() + 10
    while time.monotonic() < give_up_at:
        value = client.get("api/invocations", query={"state": "inProgress"}).json["value"]
        if value:
            found = client.get(f"api/invocations/{value[0]['id']}").json
            if found["response"] is not None:
                return str(found["id"])
        time.sleep(0.02)
    raise AssertionError("nothing runs")


def messages(invocation: Any) -> str:  # noqa: ANN401  # any JSON
    return " ".join(issue["message"] for issue in invocation["issues"])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_busy_target_is_left_alone_as_long_as_it_asks(
    client: Client, target: Target, method: str
) -> None:
    script = Script(target, BUSY, Reply())

    answered = run(client, retries=3, method=method)

    assert (answered.status, answered.json["result"]) == (200, "succeeded")
    assert answered.json["attempts"] == 2
    assert answered.json["reason"] is None
    assert answered.json["response"]["status"] == 200
    assert [issue["type"] for issue in answered.json["issues"]] == ["warning"]
    assert "Try 1 of 4 failed: statusCode" in messages(answered.json)
    first, second = script.at
    assert 2 <= second - first < 10
    log = client.get(f"api/invocations/{answered.json['id']}/log").body.decode()
    assert (log.count("Response Code: 503"), log.count("Response Code: 200")) == (1, 1)
    assert log.count("Finished: succeeded") == 1


def test_a_task_fails_with_its_last_answer_once_its_retries_are_used(
    client: Client, target: Target
) -> None:
    script = Script(target, Reply(b"first", 500), Reply(b"second", 502), Reply())

    answered = run(client, retries=1)

    assert answered.status == 424
    assert (answered.json["attempts"], len(script.at)) == (2, 2)
    assert answered.json["reason"]["code"] == "statusCode"
    assert (answered.json["response"]["status"], answered.json["response"]["body"]) == (
        502,
        "second",
    )
    assert 1 <= script.at[1] - script.at[0] < 10


def test_without_retries_nothing_is_tried_again(client: Client, target: Target) -> None:
    script = Script(target, BROKEN, Reply())

    assert (run(client).status, len(script.at)) == (424, 1)


@pytest.mark.parametrize("status", [401, 403])
def test_who_is_not_let_in_does_not_knock_again(
    client: Client, target: Target, status: int
) -> None:
    script = Script(target, Reply(b"no", status, {"Retry-After": "0"}), Reply())

    answered = run(client, retries=3)

    assert (answered.status, answered.json["attempts"], len(script.at)) == (424, 1, 1)
    assert answered.json["response"]["status"] == status


def test_a_criteria_that_is_not_met_is_asked_again(client: Client, target: Target) -> None:
    Script(target, Reply(b'{"count": 1}'), Reply(b'{"count": 2}'))

    answered = client.post(
        {
            "inputs": {
                "serviceConnection": "demo",
                "method": "GET",
                "successCriteria": "eq(root['count'], 2)",
            },
            "retryCountOnTaskFailure": "2",
        }
    )

    assert (answered.status, answered.json["attempts"]) == (200, 2)
    assert answered.json["criteria"]["result"] is True


def test_a_post_that_was_answered_is_repeated(client: Client, target: Target) -> None:
    script = Script(target, BROKEN, Reply())

    answered = run(client, retries=1, method="POST", body='{"a": 1}')

    assert (answered.status, answered.json["attempts"], len(script.at)) == (200, 2, 2)
    assert [received.body for received in target.received] == [b'{"a": 1}'] * 2


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_may_have_had_its_effect_is_not_repeated(
    client: Client, target: Target, method: str
) -> None:
    script = Script(target, None, Reply())

    answered = run(client, retries=3, method=method, body="{}")

    assert (answered.status, answered.json["attempts"], len(script.at)) == (424, 1, 1)
    reason = answered.json["reason"]
    assert (reason["code"], reason["effect"]) == ("connectionFailed", "unknown")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_what_can_be_done_twice_is_repeated_where_its_answer_was_lost(
    client: Client, target: Target, method: str
) -> None:
    script = Script(target, None, Reply())

    answered = run(client, retries=3, method=method)

    assert (answered.status, answered.json["attempts"], len(script.at)) == (200, 2, 2)


def test_a_post_that_never_left_is_repeated(tmp_path: Path) -> None:
    """Nobody listens, so nothing was sent."""
    client = make_client(tmp_path, demo_connections("http://127.0.0.1:9"))

    answered = run(client, retries=1, method="POST")

    assert (answered.status, answered.json["attempts"]) == (424, 2)
    reason = answered.json["reason"]
    assert (reason["code"], reason["effect"]) == ("connectionFailed", "none")


def test_a_redirect_that_is_refused_is_not_tried_again(client: Client, target: Target) -> None:
    script = Script(target, Reply(b"", 302, {"Location": "http://127.0.0.1:9/"}), Reply())

    answered = run(client, retries=3)

    assert answered.json["reason"]["code"] == "redirectRefused"
    assert (answered.json["attempts"], len(script.at)) == (1, 1)


def test_an_answer_that_is_too_large_is_not_asked_for_again(target: Target, tmp_path: Path) -> None:
    client = make_client(tmp_path, demo_connections(target.url), MAX_RESPONSE_BYTES="1000")
    script = Script(target, Reply(b"x" * 1001), Reply())

    answered = run(client, retries=3)

    assert answered.json["reason"]["code"] == "responseTooLarge"
    assert (answered.json["attempts"], len(script.at)) == (1, 1)


def test_a_target_that_cannot_be_trusted_is_not_tried_again(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with Target(context) as target:
        client = make_client(tmp_path, demo_connections(target.url))

        answered = run(client, retries=3)

    assert answered.json["reason"]["code"] == "tlsFailed"
    assert (answered.json["attempts"], target.received) == (1, [])


def test_an_address_that_is_refused_is_not_tried_again(target: Target, tmp_path: Path) -> None:
    connections = demo_connections(target.url, allow={"loopback": False})

    answered = run(make_client(tmp_path, connections), retries=3)

    assert answered.json["reason"]["code"] == "addressRefused"
    assert (answered.json["attempts"], target.received) == (1, [])


def test_all_tries_together_stay_within_the_time_of_the_task(
    client: Client, target: Target
) -> None:
    script = Script(target, BROKEN)
    answered = run(client, retries=10, timeoutInMinutes=0.05)

    assert answered.status == 424
    assert answered.json["finishedAt"] < answered.json["deadline"]
    # The third one would come after 1 and 2 seconds, and up to a quarter more of each.
    assert answered.json["attempts"] == len(script.at) == 2
    assert answered.json["reason"]["code"] == "statusCode"
    assert "timeoutInMinutes" in messages(answered.json)


def test_a_request_under_way_is_cut_off_at_the_end_of_the_task(
    client: Client, target: Target
) -> None:
    hanging = Event()
    answers = [BROKEN]

    def reply(_: Received) -> Reply | None:
        if answers:
            return answers.pop()
        hanging.wait(30)
        return None

    target.reply = reply
    started = time.monotonic()

    answered = run(client, retries=10, timeoutInMinutes=0.05)

    elapsed_s = time.monotonic() - started
    hanging.set()
    assert 2.5 < elapsed_s < 15
    assert (answered.status, answered.json["attempts"]) == (424, 2)
    assert answered.json["reason"]["code"] == "timedOut"


def test_a_retry_that_does_not_fit_the_call_is_told_at_once(
    background: Client, target: Target
) -> None:
    script = Script(target, Reply(b"busy", 503, {"Retry-After": "201"}), Reply())
    started = time.monotonic()

    answered = run(background, retries=1)

    assert time.monotonic() - started < 20
    assert (answered.status, answered.json["state"]) == (202, "inProgress")
    assert answered.headers["Location"].endswith(answered.json["id"])
    assert (answered.json["attempts"], len(script.at)) == (1, 1)
    assert background.cancel(answered.json["id"]).json["result"] == "canceled"


def test_what_outlasts_its_wait_is_finished_beside_the_call(
    background: Client, target: Target
) -> None:
    script = Script(target, BUSY, Reply())
    started = time.monotonic()

    answered = run(background, retries=1, headers={"prefer": "wait=1"})

    # It was due after two.
    assert time.monotonic() - started >= 1
    assert answered.status == 202
    assert answered.headers["Preference-Applied"] == "wait=1"
    ended = until_ended(background, answered.json["id"])
    assert (ended.status, ended.json["attempts"]) == (200, 2)
    assert len(script.at) == 2
    assert 2 <= script.at[1] - script.at[0] < 10


def test_a_request_under_way_is_waited_for_longer_than_was_asked(
    client: Client, target: Target
) -> None:
    def reply(_: Received) -> Reply:
        time.sleep(1.5)
        return Reply()

    target.reply = reply

    answered = run(client, method="POST", headers={"prefer": "wait=1"})

    assert (answered.status, answered.json["attempts"]) == (200, 1)


def test_a_gate_in_a_shell_sees_a_task_that_waits_as_a_timeout(
    client: Client, target: Target
) -> None:
    script = Script(target, BUSY_FOR_HALF_A_MINUTE)
    step = {
        "inputs": {"serviceConnection": "demo", "method": "GET"},
        "retryCountOnTaskFailure": 1,
    }

    answered = client.post(
        step, headers={"prefer": "wait=0", "idempotency-key": "gate"}, query={"strict": "true"}
    )

    assert (answered.status, answered.json["state"], len(script.at)) == (408, "inProgress", 1)
    assert int(answered.headers["Retry-After"]) >= 1


def test_a_connection_is_used_no_more_at_once_in_the_background_than_it_may_be(
    target: Target, tmp_path: Path
) -> None:
    at_work: list[int] = []

    def reply(_: Received) -> Reply:
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.3)
        at_work.pop()
        return Reply()

    most: list[int] = []
    target.reply = reply
    connections = demo_connections(target.url, limits={"concurrency": 1})
    with ringing(tmp_path, connections) as client:
        begun = [run(client, headers={"prefer": "respond-async"}) for _ in range(3)]
        ended = [until_ended(client, answered.json["id"]) for answered in begun]

    assert [answered.status for answered in begun] == [202] * 3
    assert [(one.status, one.json["attempts"]) for one in ended] == [(200, 1)] * 3
    assert most == [1, 1, 1]


def test_a_cancel_during_a_request_in_the_background_stands(
    background: Client, target: Target
) -> None:
    going_on, canceled = Event(), Event()

    def reply(_: Received) -> Reply:
        going_on.set()
        canceled.wait(10)
        return BROKEN

    target.reply = reply
    begun = run(background, retries=3, headers={"prefer": "respond-async"})
    assert going_on.wait(10)

    answered = background.cancel(begun.json["id"])
    canceled.set()

    assert (answered.status, answered.json["result"]) == (200, "canceled")
    assert answered.json["reason"]["effect"] == "unknown"
    give_up_at = time.monotonic() + 10
    while (found := background.get(f"api/invocations/{begun.json['id']}").json)["response"] is None:
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    assert (found["result"], found["response"]["status"]) == ("canceled", 500)
    assert found["finishedAt"] == answered.json["finishedAt"]
    assert (found["attempts"], len(target.received)) == (1, 1)


def test_a_task_can_be_canceled_while_it_waits(client: Client, target: Target) -> None:
    script = Script(target, BUSY_FOR_HALF_A_MINUTE, Reply())
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(run, client, retries=1)
        canceled = client.cancel(running_one(client))
        canceled_at = time.monotonic()

        answered = call.result(40)

    # Half a minute would have been the pause.
    assert time.monotonic() - canceled_at < 15
    assert (canceled.status, answered.status) == (200, 424)
    assert answered.json["result"] == canceled.json["result"] == "canceled"
    assert answered.json["reason"]["effect"] == "answered"
    assert len(script.at) == 1


def test_a_failure_the_caller_puts_up_with_is_no_failure(client: Client, target: Target) -> None:
    script = Script(target, BROKEN)

    answered = run(client, retries=1, continueOnError=True)

    assert (answered.status, answered.json["result"]) == (200, "succeededWithIssues")
    assert (answered.json["attempts"], len(script.at)) == (2, 2)
    assert answered.json["reason"]["code"] == "statusCode"
    assert answered.json["issues"][0]["type"] == "error"


def test_a_condition_that_is_not_met_skips_the_task(client: Client, target: Target) -> None:
    answered = run(
        client,
        retries=3,
        condition="and(succeeded(), eq(variables['stage'], 'prod'))",
        variables={"stage": "test"},
    )

    assert (answered.status, answered.json["result"]) == (200, "skipped")
    assert answered.json["reason"]["code"] == "conditionFalse"
    assert answered.json["reason"]["effect"] == "none"
    assert (answered.json["attempts"], target.received) == (0, [])
    log = client.get(f"api/invocations/{answered.json['id']}/log").body.decode()
    assert "Evaluating: and(succeeded(), eq(variables['stage'], 'prod'))" in log
    assert "Expanded: and(succeeded(), eq('test', 'prod'))" in log
    assert "Result: False" in log
    assert "Finished: skipped" in log


def test_a_step_that_is_not_enabled_is_skipped(client: Client, target: Target) -> None:
    answered = run(client, enabled=False, headers={"prefer": "respond-async"})

    assert (answered.status, answered.json["result"]) == (200, "skipped")
    assert answered.json["reason"]["code"] == "disabled"
    assert target.received == []
    read = client.get(f"api/invocations/{answered.json['id']}")
    assert (read.status, read.json["result"]) == (200, "skipped")


def test_a_replay_of_a_task_that_waits_sends_nothing(client: Client, target: Target) -> None:
    script = Script(target, BUSY, Reply())
    key = {"idempotency-key": "deploy-1"}
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(run, client, retries=1, headers=key)
        waiting = running_one(client)

        replay = run(client, retries=1, headers=key)

        assert len(script.at) == 1
        answered = call.result(40)
    last = run(client, retries=1, headers=key)

    assert (replay.status, replay.json["id"]) == (202, waiting)
    assert replay.headers["Idempotency-Replayed"] == "true"
    assert (answered.status, answered.json["id"]) == (200, waiting)
    assert (last.status, last.json["id"], len(script.at)) == (200, waiting, 2)


def test_a_task_in_the_background_is_told_of_at_once(background: Client, target: Target) -> None:
    hanging = Event()

    def reply(_: Received) -> Reply:
        hanging.wait(30)
        return Reply()

    target.reply = reply
    started = time.monotonic()

    answered = run(background, method="POST", headers={"prefer": "respond-async"})

    assert time.monotonic() - started < 15
    assert (answered.status, answered.json["state"]) == (202, "pending")
    assert answered.headers["Preference-Applied"] == "respond-async"
    assert 1 <= int(answered.headers["Retry-After"]) <= 30
    hanging.set()
    ended = until_ended(background, answered.json["id"])
    assert (ended.status, ended.json["result"], ended.json["attempts"]) == (200, "succeeded", 1)
    assert len(target.received) == 1
    assert target.received[0].header("PlanId") == answered.json["id"]


def test_a_task_in_the_background_may_be_waited_for(background: Client, target: Target) -> None:
    answered = run(background, headers={"prefer": "respond-async, wait=20"})

    assert (answered.status, answered.json["result"]) == (200, "succeeded")
    assert answered.headers["Preference-Applied"] == "respond-async, wait=20"
    assert len(target.received) == 1


def test_a_task_in_the_background_is_tried_again(background: Client, target: Target) -> None:
    script = Script(target, BUSY, Reply())

    answered = run(background, retries=2, headers={"prefer": "respond-async, wait=20"})

    assert (answered.status, answered.json["attempts"]) == (200, 2)
    assert 2 <= script.at[1] - script.at[0] < 10


def test_a_callback_can_be_begun_in_the_background(background: Client, target: Target) -> None:
    target.reply = lambda _: Reply(b"{}", 202)
    step = {"inputs": {"serviceConnection": "demo", "waitForCompletion": True}}

    answered = background.post(step, headers={"prefer": "respond-async"})

    assert answered.status == 202
    give_up_at = time.monotonic() + 10
    while not target.received:
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    assert json.loads(answered.body)["id"] == target.received[0].header("PlanId")
