"""Gates: tasks that are evaluated again until they pass.

Source: HTTP contract, section 3 ("Gate"); agentless protocol, section 8.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.conftest import demo_connections, ringing
from tests.api.target import Received, Reply, Target
from tests.api.test_retries import Script, messages, until_ended

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.conftest import Answered, Client

INTERVAL: timedelta = timedelta(seconds=0.6)
"""The least there may be, so that tests are quick."""

OFTEN = {"samplingInterval": 0.01}
READY = Reply(b'{"ready": true}')
NOT_READY = Reply(b'{"ready": false}')
BROKEN = Reply(b"broken", 503)
KEY = {"idempotency-key": "gate-1"}


@pytest.fixture
def background(target: Target, tmp_path: Path) -> Iterator[Client]:
    """Calls a service that also does what is due beside calls."""
    with ringing(tmp_path, demo_connections(target.url)) as client:
        yield client


def gated(
    client: Client,
    *,
    gate: object = None,
    headers: dict[str, str] | None = None,
    query: dict[str, str] | None = None,
    method: str = "GET",
    **step: object,
) -> Answered:
    """Run a gate that passes where the target says that it is ready."""
    inputs = {
        "serviceConnection": "demo",
        "method": method,
        "successCriteria": "eq(root['ready'], true)",
    }
    document = {"inputs": inputs, "gate": OFTEN if gate is None else gate, **step}
    return client.post(document, headers=headers, query=query)


def evaluations(answered: Answered) -> list[tuple[str, str | None, int | None]]:
    """Return result, code and status of each evaluation."""
    return [
        (one["result"], one["reason"] and one["reason"]["code"], one["status"])
        for one in answered.json["evaluations"]
    ]


def after_creation(invocation: Any) -> list[timedelta]:  # noqa: ANN401  # any JSON
    """Return how long after it was created each evaluation of a gate was over."""
    created_at = datetime.fromisoformat(invocation["createdAt"])
    return [datetime.fromisoformat(one["at"]) - created_at for one in invocation["evaluations"]]


def wait_until_asked(target: Target, times: int) -> None:
    give_up_at = time.monotonic() + 15
    while len(target.received) < times:
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


def log_of(client: Client, answered: Answered) -> str:
    return client.get(f"api/invocations/{answered.json['id']}/log").body.decode()


PASSED = ("succeeded", None, 200)
NOT_MET = ("failed", "criteriaNotMet", 200)


def test_a_gate_fails_twice_and_passes_the_third_time(background: Client, target: Target) -> None:
    Script(target, BROKEN, NOT_READY, READY)

    answered = gated(background)

    assert (answered.status, answered.json["state"]) == (202, "pending")
    assert answered.headers["Location"].endswith(f"/api/invocations/{answered.json['id']}")
    assert 1 <= int(answered.headers["Retry-After"]) <= 30
    assert (answered.json["attempts"], answered.json["evaluations"]) == (0, [])
    ended = until_ended(background, answered.json["id"])
    assert (ended.status, ended.json["result"], ended.json["reason"]) == (200, "succeeded", None)
    assert evaluations(ended) == [("failed", "statusCode", 503), NOT_MET, PASSED]
    assert all(
        set(one) == {"at", "result", "reason", "status"} for one in ended.json["evaluations"]
    )
    assert len(target.received) == ended.json["attempts"] == 3
    assert ended.json["response"]["body"] == {"ready": True}
    assert ended.json["criteria"]["result"] is True
    assert all(number * INTERVAL <= at for number, at in enumerate(after_creation(ended.json)))
    log = log_of(background, ended)
    assert log.count("Next evaluation at ") == 2
    assert "Evaluation failed: statusCode: " in log
    assert "Evaluation failed: criteriaNotMet: " in log
    assert log.count("Finished: succeeded") == 1


def test_each_evaluation_is_a_fresh_request_of_the_same_content(
    background: Client, target: Target
) -> None:
    Script(target, NOT_READY, READY)

    answered = gated(background, method="POST", headers={"prefer": "wait=20"})

    assert answered.status == 200, answered.json
    first, second = target.received
    assert (first.method, first.headers, first.body) == (
        second.method,
        second.headers,
        second.body,
    )
    assert first.header("PlanId") == answered.json["id"]


def test_a_gate_is_left_alone_until_its_target_has_settled(
    background: Client, target: Target
) -> None:
    Script(target, READY)

    answered = gated(
        background, gate={**OFTEN, "stabilizationTime": 0.03}, headers={"prefer": "wait=20"}
    )

    assert answered.status == 200
    (at,) = after_creation(answered.json)
    assert timedelta(seconds=1.8) <= at < timedelta(seconds=8)
    assert len(target.received) == 1


def test_a_success_has_to_last(background: Client, target: Target) -> None:
    Script(target, READY)

    answered = gated(
        background, gate={**OFTEN, "minimumSuccessDuration": 0.02}, headers={"prefer": "wait=20"}
    )

    assert answered.status == 200
    # Evaluations a busy machine was too late for are left out.
    assert 2 <= len(answered.json["evaluations"]) <= 3
    assert set(evaluations(answered)) == {PASSED}
    assert after_creation(answered.json)[-1] >= 2 * INTERVAL


def test_a_failure_between_successes_begins_their_time_anew(
    background: Client, target: Target
) -> None:
    Script(target, READY, NOT_READY, READY)

    answered = gated(
        background, gate={**OFTEN, "minimumSuccessDuration": 0.01}, headers={"prefer": "wait=20"}
    )

    assert answered.status == 200
    assert evaluations(answered) == [PASSED, NOT_MET, PASSED, PASSED]


def test_a_target_that_flaps_never_passes(background: Client, target: Target) -> None:
    Script(target, *(READY, NOT_READY) * 20)

    answered = gated(
        background,
        gate={**OFTEN, "minimumSuccessDuration": 0.01, "timeout": 0.05},
        headers={"prefer": "wait=20"},
    )

    assert (answered.status, answered.json["reason"]["code"]) == (424, "gateTimedOut")
    seen = evaluations(answered)
    assert seen == [(PASSED, NOT_MET)[number % 2] for number in range(len(seen))]


def test_a_gate_that_does_not_pass_in_time_fails(background: Client, target: Target) -> None:
    Script(target, NOT_READY)

    answered = gated(background, gate={**OFTEN, "timeout": 0.03}, headers={"prefer": "wait=20"})

    assert (answered.status, answered.json["result"]) == (424, "failed")
    reason = answered.json["reason"]
    assert (reason["code"], reason["effect"]) == ("gateTimedOut", "answered")
    assert "within 0.03 minutes (gate.timeout)" in reason["message"]
    assert "Its last evaluation failed: criteriaNotMet: " in reason["message"]
    assert answered.json["finishedAt"] == answered.json["deadline"]
    assert set(evaluations(answered)) == {NOT_MET}
    # The one due at the very end of the time would come too late.
    assert 2 <= len(answered.json["evaluations"]) <= 3
    assert log_of(background, answered).count("Finished: failed") == 1
    asked = len(target.received)
    time.sleep(1)
    assert len(target.received) == asked == len(answered.json["evaluations"])


def test_a_gate_says_where_its_success_only_came_too_late(
    background: Client, target: Target
) -> None:
    Script(target, NOT_READY, READY)

    answered = gated(
        background,
        gate={**OFTEN, "minimumSuccessDuration": 0.04, "timeout": 0.045},
        headers={"prefer": "wait=20"},
    )

    assert (answered.status, answered.json["reason"]["code"]) == (424, "gateTimedOut")
    assert "succeeded, but not for long enough" in answered.json["reason"]["message"]


def test_a_sampling_under_way_at_the_end_of_the_time_is_cut_off(
    background: Client, target: Target
) -> None:
    hanging = Event()

    def reply(_: Received) -> Reply:
        hanging.wait(15)
        return READY

    target.reply = reply

    answered = gated(background, gate={**OFTEN, "timeout": 0.02}, headers={"prefer": "wait=20"})

    hanging.set()
    assert (answered.status, answered.json["reason"]["code"]) == (424, "gateTimedOut")
    assert len(target.received) == 1


def test_samplings_never_overlap_and_those_missed_are_not_made_up_for(
    background: Client, target: Target
) -> None:
    under_way = 0
    most_under_way = 0
    began: list[float] = []

    def reply(_: Received) -> Reply:
        nonlocal under_way, most_under_way
        began.append(time.time())
        under_way += 1
        most_under_way = max(most_under_way, under_way)
        time.sleep(0.9)
        under_way -= 1
        return READY if len(began) == 3 else NOT_READY

    target.reply = reply

    answered = gated(background, headers={"prefer": "wait=20"})

    assert answered.status == 200
    assert (most_under_way, len(began)) == (1, 3)
    created_at = datetime.fromisoformat(answered.json["createdAt"]).timestamp()
    assert all(began[number] - created_at >= 1.2 * number for number in range(3))


def test_a_gate_can_be_canceled_during_a_sampling(background: Client, target: Target) -> None:
    hanging = Event()

    def reply(_: Received) -> Reply:
        hanging.wait(15)
        return READY

    target.reply = reply
    answered = gated(background)
    wait_until_asked(target, 1)

    canceled = background.cancel(answered.json["id"])
    hanging.set()

    assert (canceled.status, canceled.json["result"]) == (200, "canceled")
    time.sleep(1.5)
    ended = background.get(f"api/invocations/{answered.json['id']}")
    assert (ended.status, ended.json["result"]) == (424, "canceled")
    assert ended.json["reason"]["code"] == "canceled"
    assert len(target.received) == 1


def test_a_gate_can_be_canceled_between_samplings(background: Client, target: Target) -> None:
    Script(target, NOT_READY)
    answered = gated(background)
    give_up_at = time.monotonic() + 10
    while not background.get(f"api/invocations/{answered.json['id']}").json["evaluations"]:
        assert time.monotonic() < give_up_at
        time.sleep(0.01)

    canceled = background.cancel(answered.json["id"])
    asked = len(target.received)

    assert (canceled.status, canceled.json["result"]) == (200, "canceled")
    assert canceled.json["reason"]["effect"] == "answered"
    time.sleep(1)
    assert len(target.received) == asked
    again = background.cancel(answered.json["id"])
    assert (again.status, again.json) == (200, canceled.json)


def test_a_client_that_repeats_a_strict_call_waits_for_the_gate_and_runs_it_once(
    background: Client, target: Target
) -> None:
    """This is ``curl --retry``, which takes 408 for a reason to ask again."""
    Script(target, NOT_READY, NOT_READY, READY)
    answers: list[Answered] = []
    give_up_at = time.monotonic() + 20
    while not answers or answers[-1].status == 408:
        assert time.monotonic() < give_up_at
        answers.append(gated(background, headers=KEY, query={"strict": "true"}))
        time.sleep(0.2)

    *waiting, last = answers
    assert (last.status, last.json["result"]) == (200, "succeeded")
    assert len(waiting) > 1
    assert {one.json["id"] for one in answers} == {last.json["id"]}
    assert all("Location" in one.headers and "Retry-After" in one.headers for one in waiting)
    assert ["Idempotency-Replayed" in one.headers for one in answers] == [False] + [True] * (
        len(answers) - 1
    )
    assert len(target.received) == 3


def test_a_strict_call_for_a_gate_needs_a_key(background: Client, target: Target) -> None:
    answered = gated(background, query={"strict": "true"})

    assert answered.status == 400
    assert "Idempotency-Key" in answered.json["errors"][0]["detail"]
    assert target.received == []


def test_the_key_of_a_gate_stands_for_its_options_as_well(
    background: Client, target: Target
) -> None:
    Script(target, READY)
    gated(background, headers=KEY)

    other = gated(background, headers=KEY, gate={**OFTEN, "timeout": 1})

    assert (other.status, other.json["code"]) == (409, "idempotencyConflict")


def test_a_reply_may_be_held_until_the_gate_has_passed(background: Client, target: Target) -> None:
    Script(target, NOT_READY, READY)

    answered = gated(background, headers={"prefer": "wait=20"})

    assert (answered.status, answered.json["result"]) == (200, "succeeded")
    assert answered.headers["Preference-Applied"] == "wait=20"


def test_a_reply_is_held_no_longer_than_asked(background: Client, target: Target) -> None:
    Script(target, NOT_READY)
    started = time.monotonic()

    answered = gated(background, headers={"prefer": "respond-async, wait=1"})

    assert 1 <= time.monotonic() - started < 4
    assert (answered.status, answered.json["state"]) == (202, "inProgress")
    assert answered.headers["Preference-Applied"] == "respond-async, wait=1"
    assert background.cancel(answered.json["id"]).status == 200


def test_a_gate_runs_beside_its_call_whether_asked_to_or_not(
    background: Client, target: Target
) -> None:
    Script(target, NOT_READY, READY)
    started = time.monotonic()

    answered = gated(background, headers={"prefer": "respond-async"})

    assert time.monotonic() - started < 1
    assert (answered.status, answered.json["state"]) == (202, "pending")
    ended = until_ended(background, answered.json["id"])
    assert evaluations(ended) == [NOT_MET, PASSED]


def test_a_gate_that_may_fail_does_not_stop_what_comes_after_it(
    background: Client, target: Target
) -> None:
    Script(target, NOT_READY)

    answered = gated(
        background,
        gate={**OFTEN, "timeout": 0.02},
        headers={"prefer": "wait=20"},
        continueOnError=True,
    )

    assert (answered.status, answered.json["result"]) == (200, "succeededWithIssues")
    assert answered.json["reason"]["code"] == "gateTimedOut"
    assert answered.json["issues"][0]["type"] == "error"


def test_a_gate_whose_condition_is_not_met_is_not_evaluated(
    background: Client, target: Target
) -> None:
    answered = gated(background, condition="eq(variables['a'], 'b')")

    assert (answered.status, answered.json["result"]) == (200, "skipped")
    assert answered.json["reason"]["code"] == "conditionFalse"
    assert (answered.json["evaluations"], target.received) == ([], [])


def test_a_gate_outlives_the_time_of_a_task(background: Client, target: Target) -> None:
    """``timeoutInMinutes`` is for tasks that are none (contract, section 2, "Time limits")."""
    Script(target, NOT_READY, NOT_READY, READY)

    answered = gated(background, headers={"prefer": "wait=20"}, timeoutInMinutes=0.01)

    assert (answered.status, len(answered.json["evaluations"])) == (200, 3)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_sampling_whose_answer_is_lost_has_failed_and_is_not_sent_again(
    background: Client, target: Target, method: str
) -> None:
    Script(target, None, READY)

    answered = gated(background, method=method, headers={"prefer": "wait=20"})

    assert answered.status == 200
    assert evaluations(answered) == [("failed", "connectionFailed", None), PASSED]
    assert answered.json["evaluations"][0]["reason"]["effect"] == "unknown"
    assert after_creation(answered.json)[1] >= INTERVAL
    assert len(target.received) == 2


def test_a_gate_goes_on_in_another_process_where_it_was(tmp_path: Path) -> None:
    with Target() as target:
        Script(target, NOT_READY, READY, NOT_READY, READY)
        connections = demo_connections(target.url)
        gate = {"samplingInterval": 0.03, "minimumSuccessDuration": 0.03}
        with ringing(tmp_path, connections) as client:
            answered = gated(client, gate=gate)
            wait_until_asked(target, 2)
        with ringing(tmp_path, connections) as client:
            ended = until_ended(client, answered.json["id"])

    assert ended.status == 200
    assert evaluations(ended) == [NOT_MET, PASSED, NOT_MET, PASSED, PASSED]


def test_a_gate_whose_connection_is_gone_says_so_and_waits_for_it(tmp_path: Path) -> None:
    with Target() as target:
        Script(target, NOT_READY, READY)
        there = demo_connections(target.url)
        with ringing(tmp_path, there) as client:
            answered = gated(client, gate={"samplingInterval": 0.03})
            wait_until_asked(target, 1)
        with ringing(tmp_path, {"other": there["demo"]}) as client:
            give_up_at = time.monotonic() + 15
            while True:
                seen = client.get(f"api/invocations/{answered.json['id']}").json["evaluations"]
                if len(seen) == 2:
                    break
                assert time.monotonic() < give_up_at
                time.sleep(0.02)
        assert seen[1]["status"] is None
        assert seen[1]["reason"]["effect"] == "none"
        assert "demo" in seen[1]["reason"]["message"]
        with ringing(tmp_path, there) as client:
            ended = until_ended(client, answered.json["id"])

    assert (ended.status, ended.json["evaluations"][-1]["result"]) == (200, "succeeded")
    assert len(target.received) == 2


def test_a_sampling_waits_where_the_connection_is_used_as_much_as_it_may_be(
    target: Target, tmp_path: Path
) -> None:
    """It is late then, and has not failed."""
    hanging = Event()
    asked: list[str] = []

    def reply(received: Received) -> Reply:
        asked.append(received.path)
        if received.path == "/slow":
            hanging.wait(15)
        return READY

    target.reply = reply
    limited = demo_connections(target.url, limits={"concurrency": 1})
    with ringing(tmp_path, limited) as client, ThreadPoolExecutor(1) as pool:
        slow = pool.submit(client.step, method="GET", urlSuffix="/slow")
        wait_until_asked(target, 1)
        answered = gated(client, headers={"prefer": "wait=1"})
        seen = list(asked)
        hanging.set()
        ended = until_ended(client, answered.json["id"])

    assert slow.result().status == 200
    assert (answered.status, seen) == (202, ["/slow"])
    assert (ended.status, evaluations(ended)) == (200, [PASSED])
    assert asked == ["/slow", "/"]


def test_evaluations_count_for_the_minute_of_their_connection(
    target: Target, tmp_path: Path
) -> None:
    target.reply = lambda _: NOT_READY
    limited = demo_connections(target.url, limits={"perMinute": 2})
    with ringing(tmp_path, limited) as client:
        answered = gated(client, headers={"prefer": "wait=3"})

        assert answered.status == 202
        assert len(target.received) == len(evaluations(answered)) == 2


def test_a_secret_never_stands_in_an_evaluation(background: Client, target: Target) -> None:
    Script(target, Reply(b"no, sw0rdfish", 503), Reply(b'{"ready": "sw0rdfish"}'), READY)

    answered = gated(
        background,
        headers={"prefer": "wait=20"},
        variables={"pass": {"value": "sw0rdfish", "isSecret": True}},
    )

    assert answered.status == 200
    assert len(answered.json["evaluations"]) == 3
    assert b"sw0rdfish" not in answered.body
    assert "sw0rdfish" not in log_of(background, answered)
    assert messages(answered.json) == ""


@pytest.mark.parametrize("seconds", [5, 7, 3601])
def test_minutes_may_be_what_a_client_made_of_its_seconds(client: Client, seconds: int) -> None:
    minutes = seconds / 60
    assert len(str(minutes)) > 11

    gate = gated(client, gate={"samplingInterval": minutes, "timeout": str(minutes * 2)})
    task = client.post(
        {"inputs": {"serviceConnection": "demo", "method": "GET"}, "timeoutInMinutes": minutes}
    )

    assert (gate.status, task.status) == (202, 200)
    created_at, deadline = (
        datetime.fromisoformat(gate.json[name]) for name in ("createdAt", "deadline")
    )
    assert deadline - created_at == timedelta(seconds=2 * seconds)


@pytest.mark.parametrize(
    ("step", "pointer", "says"),
    [
        ({"poll": {}}, "/gate", "'gate' and 'poll' do not go together"),
        ({"retryCountOnTaskFailure": 1}, "/retryCountOnTaskFailure", "does not go with 'gate'"),
        ({"gate": {"samplingInterval": 0}}, "/gate/samplingInterval", "minutes"),
        ({"gate": {"timeout": 1, "stabilizationTime": 1}}, "/gate", "can never pass"),
        ({"gate": {"sampleInterval": 1}}, "/gate/sampleInterval", "samplingInterval"),
        ({"gate": 5}, "/gate", "object"),
    ],
)
def test_a_gate_nobody_can_mean_is_refused(
    client: Client, target: Target, step: dict[str, object], pointer: str, says: str
) -> None:
    answered = gated(client, **step)  # type: ignore[arg-type]

    assert answered.status == 400
    assert [(one["pointer"], says in one["detail"]) for one in answered.json["errors"]] == [
        (pointer, True)
    ]
    assert target.received == []


def test_a_gate_cannot_wait_for_a_callback(client: Client, target: Target) -> None:
    step = {
        "inputs": {"serviceConnection": "demo", "waitForCompletion": True},
        "gate": {},
    }

    answered = client.post(step)

    assert answered.status == 400
    assert [one["pointer"] for one in answered.json["errors"]] == ["/gate"]
    assert target.received == []
