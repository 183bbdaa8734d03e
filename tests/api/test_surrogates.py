"""A lone surrogate is JSON, and no text that UTF-8 can carry; wherever it is, a call ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.target import Reply

if TYPE_CHECKING:
    from tests.api.conftest import Client
    from tests.api.target import Target

LONE = "\\ud800"
SHOWN = "\ufffd"


@pytest.mark.parametrize("key", ["", "a-key"])
@pytest.mark.parametrize(
    ("criteria", "result"), [("ne(root['a'], 'x')", "succeeded"), ("eq(root['a'], 'x')", "failed")]
)
def test_an_answer_with_one_keeps_its_outcome(
    criteria: str, result: str, key: str, client: Client, target: Target
) -> None:
    target.reply = lambda _: Reply(f'{{"a": "{LONE}", "{LONE}": 1}}'.encode())
    step = {"inputs": {"serviceConnection": "demo", "successCriteria": criteria}}
    headers = {"Idempotency-Key": key} if key else {}

    answered = client.post(step, headers=headers)

    assert answered.json["result"] == result
    assert answered.json["response"]["body"] == {"a": SHOWN, SHOWN: 1}
    stored = client.get(f"api/invocations/{answered.json['id']}")
    assert stored.json["result"] == result
    assert SHOWN in client.get(f"api/invocations/{answered.json['id']}/log").body.decode()
    assert len(target.received) == 1


def test_a_caller_may_write_one(client: Client, target: Target) -> None:
    answered = client.post(
        f'{{"displayName": "{LONE}", "variables": {{"v": "{LONE}"}}, "inputs": {{'
        f'"serviceConnection": "demo", "body": "{LONE}", "successCriteria": '
        f"\"eq(variables['v'], '{LONE}')\"}}}}"
    )

    assert answered.json["result"] == "succeeded"
    assert answered.json["displayName"] == SHOWN
    assert target.received[0].body == SHOWN.encode()


def test_one_in_an_output_is_replaced(client: Client, target: Target) -> None:
    target.reply = lambda _: Reply(f'{{"a": "{LONE}"}}'.encode())

    answered = client.post(
        {"inputs": {"serviceConnection": "demo"}, "outputs": {"a": "$.a"}},
    )

    assert answered.json["outputs"] == {"a": SHOWN}


def test_a_status_url_with_one_is_refused(client: Client, target: Target) -> None:
    target.reply = lambda _: Reply(f'{{"next": "/x{LONE}"}}'.encode(), 202)

    answered = client.post(
        {"inputs": {"serviceConnection": "demo"}, "poll": {"statusUrl": "$.next"}},
    )

    assert answered.json["reason"]["code"] == "pollFailed"
    assert len(target.received) == 1
