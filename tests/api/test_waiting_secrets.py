"""Secrets of steps that are kept for later: refused without a key, sealed with one.

Source: HTTP contract, section 4 (background work needs the step at rest).
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus
from uuid import uuid4

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from tests.api.conftest import demo_connections, make_app, make_client, ringing
from tests.api.target import Reply
from tests.azurite import connection_string, port_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.conftest import Client
    from tests.api.target import Target
    from tests.azurite import Azurite

OTHER_KEY = b64encode(bytes(range(32, 64))).decode()
KEY = b64encode(bytes(range(32))).decode()
SECRET = f'sw0rd"fish/ÿ<{uuid4().hex}'
VARIABLES = {"pass": {"value": SECRET, "isSecret": True}, "plain": "seen-in-the-dump"}
STEP = {
    "inputs": {
        "serviceConnection": "demo",
        "method": "POST",
        "headers": {"X-Sent": "$(plain)"},
        "body": '{"password": "$(json:pass)"}',
    },
    "variables": VARIABLES,
}
ASYNC = {"prefer": "respond-async"}
BUSY = Reply(b"busy", 503, {"Retry-After": "300"})


@pytest.fixture
def account(azurite_connection: str, azurite_queues: Azurite) -> str:
    """The connection string of both servers of an emulator."""
    return connection_string(port_of(azurite_connection), queue_port=azurite_queues.port)


def forms(secret: str) -> set[bytes]:
    """Return what a secret looks like in every encoding somebody might think of."""
    raw = secret.encode()
    found = {raw, raw.hex().encode(), secret.encode("utf-16-le"), json.dumps(secret)[1:-1].encode()}
    found |= {
        json.dumps(secret, ensure_ascii=False)[1:-1].encode(),
        quote(secret, safe="").encode(),
        quote(secret).encode(),
        quote_plus(secret).encode(),
    }
    for before in (b"", b"x", b"xx"):
        # Wherever it begins in what is encoded, this much stays the same.
        text = b64encode(before + raw)[4:-4]
        found |= {text, text.replace(b"+", b"-").replace(b"/", b"_")}
    return found | {form.lower() for form in found}


def holds(dump: bytes, text: str) -> bool:
    """Tell whether a text is found in a dump, in any of its forms."""
    return any(form in dump for form in forms(text))


def file_dump(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def account_dump(account: str) -> bytes:
    """Return every row of every table, and the messages to be seen; binary values as they are."""
    found: list[bytes] = []
    with TableServiceClient.from_connection_string(account) as tables:
        for table in tables.list_tables():
            for entity in tables.get_table_client(table.name).list_entities():
                found += [
                    value if isinstance(value, bytes) else str(value).encode()
                    for value in entity.values()
                ]
    with QueueServiceClient.from_connection_string(account, api_version="2022-11-02") as queues:
        for queue in queues.list_queues():
            messages = queues.get_queue_client(queue.name).peek_messages(32)
            found += [b64decode(message.content) for message in messages]
    return b"\n".join(found)


@pytest.mark.parametrize(
    ("more", "headers"), [({}, ASYNC), ({"retryCountOnTaskFailure": 1}, {})], ids=["async", "retry"]
)
def test_without_a_key_nothing_that_waits_may_hold_a_secret(
    target: Target, tmp_path: Path, account: str, more: dict[str, object], headers: dict[str, str]
) -> None:
    client = make_client(tmp_path, demo_connections(target.url), InvokeStorage=account)
    plain = {"serviceConnection": "demo", "headers": {"X-Sent": "1"}}
    literal = {"serviceConnection": "demo", "headers": {"Authorization": "Bearer literal"}}

    variable = client.post(STEP | more, headers=headers)
    header = client.post({"inputs": literal} | more, headers=headers)
    both = client.post({"steps": [STEP | more | {"inputs": literal}]}, headers=headers)
    neither = client.post({"inputs": plain} | more, headers=headers)

    assert [one.status for one in (variable, header, both)] == [400] * 3
    assert [one["pointer"] for one in variable.json["errors"]] == ["/variables/pass"]
    assert [one["pointer"] for one in header.json["errors"]] == ["/inputs/headers"]
    assert [one["pointer"] for one in both.json["errors"]] == [
        "/steps/0/variables/pass",
        "/steps/0/inputs/headers",
    ]
    assert "STATE_KEY" in variable.json["errors"][0]["detail"]
    assert neither.status in {200, 202}
    assert not any(form in one.body for one in (variable, header, both) for form in forms(SECRET))
    # It is not kept without these, and none of them was refused for the call itself.
    assert client.post(STEP).status == 200
    assert [json.loads(one.body) for one in target.received if b"password" in one.body] == [
        {"password": SECRET}
    ]


def test_a_secret_that_waits_in_the_embedded_store_cannot_be_read_there(
    target: Target, tmp_path: Path
) -> None:
    """The key is made beside it, on a machine of one's own."""
    with ringing(tmp_path, demo_connections(target.url)) as client:
        waiting = _waiting(client, target)

        dump = file_dump(tmp_path)

        assert holds(dump, "seen-in-the-dump")
        assert waiting.encode() in dump
        assert not holds(dump, SECRET)
        client.cancel(waiting)
        target.reply = lambda _: Reply()
        answered = client.post(STEP, headers={"prefer": "respond-async, wait=20"})
        assert answered.status == 200
        assert not holds(file_dump(tmp_path), SECRET)
    assert _sent(target) == [SECRET, SECRET]


def test_a_secret_that_waits_in_an_account_cannot_be_read_there(
    target: Target, tmp_path: Path, account: str
) -> None:
    connections = demo_connections(target.url)
    app = make_app(tmp_path, connections, InvokeStorage=account, STATE_KEY=KEY)
    client = make_client(tmp_path, connections, InvokeStorage=account, STATE_KEY=KEY)
    assert app.background is not None
    waiting = _waiting(client, target)
    later = client.post(STEP, headers=ASYNC)
    assert (later.status, later.json["state"]) == (202, "pending")

    dump = account_dump(account)

    assert holds(dump, "seen-in-the-dump")
    assert waiting.encode() in dump
    assert later.json["id"].encode() in dump
    assert not holds(dump, SECRET)
    assert client.cancel(waiting).json["result"] == "canceled"


def test_what_waits_outlives_a_change_of_the_key(target: Target, tmp_path: Path) -> None:
    connections = demo_connections(target.url)
    replies = [Reply(), Reply(b"busy", 503, {"Retry-After": "1"})]
    target.reply = lambda _: replies.pop()
    with ringing(tmp_path, connections, STATE_KEY=KEY) as before:
        waiting = STEP | {"retryCountOnTaskFailure": 1}
        begun = before.post(waiting, headers={"prefer": "wait=0"})
    assert len(target.received) == 1
    keys = {"STATE_KEY": OTHER_KEY, "STATE_KEY_PREVIOUS": KEY}
    with ringing(tmp_path, connections, **keys) as after:
        answered = after.get(f"api/invocations/{begun.json['id']}", headers={"prefer": "wait=20"})

    assert begun.status == 202
    assert (answered.status, answered.json["attempts"]) == (200, 2)
    assert _sent(target) == [SECRET, SECRET]


def _waiting(client: Client, target: Target) -> str:
    """Begin a task that waits for its second try in the background; return its id."""
    target.reply = lambda _: BUSY
    answered = client.post(STEP | {"retryCountOnTaskFailure": 1})
    assert (answered.status, answered.json["attempts"]) == (202, 1), answered.json
    return str(answered.json["id"])


def _sent(target: Target) -> list[str]:
    return [json.loads(one.body)["password"] for one in target.received]
