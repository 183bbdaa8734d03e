"""Whoever may use a connection cannot tell a right guess of its credential from a wrong one.

Source: HTTP contract, section 4 ("Secrets read ``***`` everywhere"); section 7 (``${NAME}``).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.conftest import make_client
from tests.api.target import Received, Reply, Target

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.conftest import Answered, Client

RIGHT = "sw0rdfish-2187"
WRONG = "sw0rdfish-0000"
KEY = "k7/Qz%2F9-path"
"""A key as it may stand in a path: what is encoded in it reads another way once decoded."""

SCHEMES: dict[str, dict[str, str]] = {
    "basic": {"scheme": "basic", "username": "svc", "password": "${CREDENTIAL}"},
    "bearer": {"scheme": "bearer", "token": "${CREDENTIAL}"},
    "header": {"scheme": "header", "name": "X-Own", "value": "${CREDENTIAL}"},
}
CREDENTIAL_HEADER = {"basic": "Authorization", "bearer": "Authorization", "header": "X-Own"}


def service(root: Path, url: str, *, auth: object = None, **allow: object) -> Client:
    granted = {"loopback": True, **allow}
    connection: dict[str, object] = {"type": "generic", "url": url, "allow": granted}
    if auth is not None:
        connection["auth"] = auth
    return make_client(
        root,
        {"demo": connection},
        CREDENTIAL=RIGHT,
        HOOK_KEY=KEY,
        HOOK_TOKEN=RIGHT,
        PLACE="deployments",
    )


def told(answered: Answered, client: Client) -> str:
    """Return all that a caller is told of a run, without what differs from run to run."""
    log = client.get(f"api/invocations/{answered.json['id']}/log")
    text = f"{answered.status} {answered.body.decode()} {log.body.decode()}"
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME", text)
    return re.sub(r'"elapsedMs": ?\d+', "", text)


STEPS: dict[str, dict[str, Any]] = {
    "a suffix": {"inputs": {"urlSuffix": "/a/GUESS?q=GUESS"}},
    "a header": {"inputs": {"headers": {"X-Guess": "Bearer GUESS", "X-GUESS": "GUESS"}}},
    "a criteria": {"inputs": {"successCriteria": "eq(root.a, 'GUESS')"}},
    "a criteria that fails": {"inputs": {"successCriteria": "eq(root['GUESS'], root.a.b['c'])"}},
    "a criteria on what is no JSON": {
        "inputs": {"urlSuffix": "/text", "successCriteria": "eq(root['GUESS'], 'GUESS')"}
    },
    "an input that criteria read": {
        "inputs": {"urlSuffix": "?GUESS", "successCriteria": "eq(taskInputs.urlSuffix, 'x')"}
    },
    "a variable that criteria read": {
        "inputs": {"successCriteria": "eq(variables.v, 'x')"},
        "variables": {"v": "GUESS"},
    },
    "a name": {"displayName": "it is GUESS"},
    "a macro nobody knows": {"inputs": {"body": "$(GUESS)"}},
}


@pytest.mark.parametrize("scheme", list(SCHEMES))
@pytest.mark.parametrize("where", list(STEPS))
def test_a_right_guess_is_shown_as_a_wrong_one_is(
    where: str, scheme: str, tmp_path: Path, target: Target
) -> None:
    client = service(tmp_path, target.url, auth=SCHEMES[scheme])
    target.reply = lambda received: Reply(
        b"text" if "/text" in received.path else b'{"a": {"b": null}}'
    )

    def run(guess: str) -> Answered:
        step = json.loads(json.dumps(STEPS[where]).replace("GUESS", guess))
        inputs = {"serviceConnection": "demo", "method": "POST", **step.pop("inputs", {})}
        return client.post({"inputs": inputs, **step})

    right, wrong = run(RIGHT), run(WRONG)

    assert RIGHT in told(right, client)
    assert told(right, client).replace(RIGHT, WRONG) == told(wrong, client)
    assert right.json["request"]["headers"][CREDENTIAL_HEADER[scheme]] == "***"


@pytest.mark.parametrize(
    "inputs",
    [
        {"urlSuffix": "/../GUESS"},
        {"method": "GUESS"},
        {"validStatusCodes": "GUESS"},
        {"headers": {"GUESS:": "x"}},
        {"successCriteria": "eq('GUESS', "},
        {"serviceConnection": "GUESS"},
    ],
)
def test_a_refused_call_tells_nothing_of_a_guess(
    inputs: dict[str, object], tmp_path: Path, target: Target
) -> None:
    client = service(tmp_path, target.url, auth=SCHEMES["basic"])

    def run(guess: str) -> Answered:
        return client.step(**json.loads(json.dumps(inputs).replace("GUESS", guess)))

    right, wrong = run(RIGHT), run(WRONG)

    assert right.status in {400, 403}
    assert right.body.decode().replace(RIGHT, WRONG) == wrong.body.decode()
    assert target.received == []


def test_what_the_target_says_of_the_credential_is_masked_beside_the_same_text_of_the_caller(
    tmp_path: Path, target: Target
) -> None:
    client = service(tmp_path, target.url, auth=SCHEMES["bearer"])
    target.reply = lambda received: Reply(
        json.dumps({"seen": received.header("Authorization"), "path": received.path}).encode(),
        headers={"X-Seen": received.header("Authorization") or ""},
    )

    answered = client.step(
        method="GET", urlSuffix=f"/{RIGHT}", successCriteria=f"eq(root.seen, 'Bearer {RIGHT}')"
    )

    assert answered.json["request"]["url"] == f"{target.url}/{RIGHT}"
    assert answered.json["response"]["body"] == {"seen": "Bearer ***", "path": "/***"}
    assert answered.json["response"]["headers"]["X-Seen"] == "Bearer ***"
    assert answered.json["criteria"]["result"] is False
    assert "'Bearer ***'" in answered.json["reason"]["message"]


def test_a_secret_variable_is_masked_in_the_callers_own_text(
    tmp_path: Path, target: Target
) -> None:
    client = service(tmp_path, target.url, auth=SCHEMES["basic"])

    answered = client.step(
        urlSuffix="/$(v)",
        headers={"X-A": "b $(v)"},
        successCriteria="eq(root, '$(v)')",
        variables={"v": {"value": WRONG, "isSecret": True}},
    )

    assert answered.json["request"]["url"] == f"{target.url}/***"
    assert answered.json["request"]["headers"]["X-A"] == "b ***"
    assert answered.json["criteria"]["expression"] == "eq(root, '***')"
    assert WRONG not in told(answered, client)


def echo(received: Received) -> Reply:
    document = {"path": received.path, "place": "deployments"}
    return Reply(json.dumps(document).encode(), headers={"X-Path": received.path})


def test_a_key_in_the_path_of_a_url_is_seen_by_the_target_only(
    tmp_path: Path, target: Target
) -> None:
    client = service(tmp_path, f"{target.url}/hooks/${{HOOK_KEY}}/${{PLACE}}")
    target.reply = echo

    answered = client.step(
        method="GET", urlSuffix="/a?b=c", successCriteria="eq(root.place, 'deployments')"
    )

    (received,) = target.received
    assert received.path == f"/hooks/{KEY}/deployments/a?b=c"
    assert answered.json["request"]["url"] == f"{target.url}/hooks/***/deployments/a?b=c"
    assert answered.json["response"]["body"]["path"] == "/hooks/***/deployments/a?b=c"
    assert answered.json["response"]["headers"]["X-Path"] == "/hooks/***/deployments/a?b=c"
    assert answered.json["criteria"]["result"] is True
    stored = b"".join(path.read_bytes() for path in (tmp_path / ".data").iterdir())
    for text in ("k7/Qz", "Qz/9", "Qz%2F9"):
        assert text not in told(answered, client)
        assert text.encode() not in stored


def test_a_guess_of_the_key_in_a_url_is_shown_as_written(tmp_path: Path, target: Target) -> None:
    client = service(tmp_path, f"{target.url}/hooks/${{HOOK_KEY}}")

    answered = client.step(method="GET", urlSuffix=f"/a?b={KEY}")

    assert answered.json["request"]["url"] == f"{target.url}/hooks/***/a?b={KEY}"


def test_a_key_that_escapes_of_the_caller_would_change_is_not_shown(
    tmp_path: Path, target: Target
) -> None:
    client = service(tmp_path, f"{target.url}/hooks?k=${{HOOK_KEY}}")

    # One percent sign that begins no escape, and the transport encodes all of them.
    answered = client.step(method="GET", urlSuffix="&x=%zz")

    assert [received.path for received in target.received] == [
        f"/hooks?k={KEY.replace('%', '%25')}&x=%25zz"
    ]
    assert answered.json["request"]["url"] == f"{target.url}/***"
    assert "Qz" not in told(answered, client)


def test_the_paths_a_refusal_names_hold_no_key(tmp_path: Path, target: Target) -> None:
    client = service(
        tmp_path,
        f"{target.url}/hooks/${{HOOK_TOKEN}}",
        paths=["/hooks/${HOOK_TOKEN}/open/*"],
    )
    target.reply = lambda _: Reply(status=307, headers={"Location": f"/hooks/{RIGHT}/closed"})

    refused = client.step(method="GET", urlSuffix="/closed")
    redirected = client.step(method="GET", urlSuffix="/open/a")

    assert refused.status == 403
    assert "it grants /hooks/***/open/*" in refused.json["detail"]
    assert redirected.json["reason"]["code"] == "redirectRefused"
    assert "it grants /hooks/***/open/*" in redirected.json["reason"]["message"]
    assert RIGHT.encode() not in refused.body + redirected.body
