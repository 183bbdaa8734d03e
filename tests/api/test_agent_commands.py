"""Our JSON may be printed into the log of a pipeline, whose agent looks for commands in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.api.target import Reply

if TYPE_CHECKING:
    from tests.api.conftest import Client
    from tests.api.target import Target

COMMAND = "###vso[task.setvariable variable=PATH]/tmp ##[error]##"


def test_nothing_a_target_answers_is_a_command_when_the_invocation_is_printed(
    client: Client, target: Target
) -> None:
    target.reply = lambda _: Reply(f'{{"{COMMAND}": "{COMMAND}"}}'.encode())

    answered = client.post({"displayName": COMMAND, "inputs": {"serviceConnection": "demo"}})

    assert b"##" not in answered.body
    assert answered.json["displayName"] == COMMAND
    assert answered.json["response"]["body"] == {COMMAND: COMMAND}


def test_nor_is_what_a_caller_wrote_in_a_problem(client: Client) -> None:
    answered = client.post({"inputs": {COMMAND: "x"}})

    assert answered.status == 400
    assert b"##" not in answered.body
    assert COMMAND in answered.json["errors"][0]["pointer"] + answered.json["errors"][0]["detail"]


def test_nor_is_an_output_in_json(client: Client, target: Target) -> None:
    target.reply = lambda _: Reply(f'{{"a": "{COMMAND}"}}'.encode())
    task = client.post({"inputs": {"serviceConnection": "demo"}, "outputs": {"a": "$.a"}})

    answered = client.get(f"api/invocations/{task.json['id']}/outputs")

    assert b"##" not in answered.body
    assert answered.json == {"a": COMMAND}
