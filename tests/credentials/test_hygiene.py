"""A fetched token and the secret it is bought with stand nowhere, whatever a target answers.

Source: HTTP contract, section 2 ("the connection's own credential ... is masked"), section 4.
"""

from __future__ import annotations

import base64
import json
import logging
from time import sleep
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from invoke_core.wiring import build_app
from tests.api.conftest import Client
from tests.api.target import Reply, Target
from tests.credentials.conftest import (
    CLIENT_SECRET,
    client_credentials,
    demo,
)
from tests.credentials.test_entra import IDENTITY, principal
from tests.pipelines.conftest import basic, call

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.target import Received
    from tests.credentials.conftest import Issuer, Trusted


def echo(request: Received) -> Reply:
    """Answer with the request, in every form in which its credential could come back."""
    value = request.header("Authorization") or ""
    token = value.removeprefix("Bearer ")
    document = {
        "plain": value,
        "token": token,
        "url": quote(token, safe=""),
        "base64": base64.b64encode(value.encode()).decode(),
        "base64url": base64.urlsafe_b64encode(token.encode()).decode(),
        token: "name",
    }
    return Reply(
        json.dumps(document).encode(),
        headers={"Content-Type": "application/json", "X-Echo": value, "X-Token": token},
    )


@pytest.mark.parametrize("method", ["GET", "POST", "TRACE"])
@pytest.mark.parametrize("scheme", ["oauth2ClientCredentials", "managedIdentity"])
def test_a_target_that_echoes_the_token_shows_it_to_nobody(
    tmp_path: Path,
    api: Target,
    platform: Issuer,
    caplog: pytest.LogCaptureFixture,
    scheme: str,
    method: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    api.reply = echo
    credential = scheme == "oauth2ClientCredentials"
    auth = client_credentials(platform.url) if credential else IDENTITY
    client = demo(tmp_path, api, auth)

    answered = client.step(method=method)

    (token,) = platform.issued
    log = client.get(f"api/invocations/{answered.json['id']}/log")
    stored = b"".join(path.read_bytes() for path in (tmp_path / ".data").iterdir())
    for form in (
        token,
        quote(token, safe=""),
        base64.b64encode(token.encode()).decode()[:-4],
        base64.b64encode(f"Bearer {token}".encode()).decode()[12:-4],
        token[:60],
    ):
        for shown in (answered.body, log.body, stored):
            assert form.encode() not in shown
        assert form not in caplog.text
    body = answered.json["response"]["body"]
    assert (body["plain"], body["token"], body["***"]) == ("Bearer ***", "***", "name")


@pytest.mark.parametrize(
    "criteria",
    [
        "startsWith(root['token'], 't0.')",
        "contains(root['plain'], '0000Ab')",
        "startsWith(response['headers']['x-token'], 't')",
        "contains(response['content'], '0000Ab')",
        "gt(length(root['token']), 3)",
    ],
)
def test_a_criteria_cannot_test_the_token(
    tmp_path: Path, api: Target, issuer: Issuer, criteria: str
) -> None:
    api.reply = echo

    answered = demo(tmp_path, api, client_credentials(issuer.url)).step(
        method="TRACE", successCriteria=criteria
    )

    assert answered.json["criteria"]["result"] is not True


def test_the_token_that_was_refused_is_masked_in_the_answer_to_the_next(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    def remembers(_: Received) -> Reply:
        if len(issuer.issued) == 1:
            return Reply(status=401)
        return Reply(json.dumps(issuer.issued).encode())

    api.reply = remembers

    answered = demo(tmp_path, api, client_credentials(issuer.url)).step(method="GET")

    assert answered.json["response"]["body"] == ["***", "***"]


def test_the_client_secret_is_masked_should_the_target_know_it(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    api.reply = lambda _: Reply(json.dumps(CLIENT_SECRET).encode())

    answered = demo(tmp_path, api, client_credentials(issuer.url)).step(method="GET")

    assert answered.json["response"]["body"] == "***"


def test_an_own_authorization_header_gives_way_with_a_warning(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    answered = demo(tmp_path, api, client_credentials(issuer.url)).step(
        method="GET", headers={"authorization": "Basic abc"}
    )

    assert [h for h in api.received[0].headers if h[0].lower() == "authorization"] == [
        ("Authorization", f"Bearer {issuer.issued[0]}")
    ]
    assert "the connection's credential was sent" in answered.json["issues"][0]["message"]


def test_the_libraries_log_no_secret_whatever_level_is_asked_for(
    tmp_path: Path,
    api: Target,
    entra: Trusted,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    client = demo(tmp_path, api, principal(entra), tls={"caBundle": entra.bundle})

    assert client.step(method="GET").status == 200
    entra.issuer.refuse = lambda _: Reply(json.dumps({"error": CLIENT_SECRET}).encode(), 401)
    assert client.step(method="GET", serviceConnection="other").status == 424

    assert caplog.records
    assert entra.issuer.issued[0] not in caplog.text
    assert CLIENT_SECRET not in caplog.text
    assert quote(CLIENT_SECRET, safe="") not in caplog.text


@pytest.mark.parametrize("renewed", [False, True])
def test_an_external_service_that_logs_the_token_leaves_none_in_the_store(
    tmp_path: Path, api: Target, issuer: Issuer, *, renewed: bool
) -> None:
    api.reply = lambda _: Reply(status=401 if renewed and len(issuer.issued) == 1 else 202)
    connection = {
        "type": "generic",
        "url": api.url,
        "auth": client_credentials(issuer.url),
        "allow": {"loopback": True},
    }
    environ = {
        "SERVICE_CONNECTIONS": json.dumps({"demo": connection}),
        "PUBLIC_BASE_URL": "http://localhost:7071",
        "CLIENT_SECRET": CLIENT_SECRET,
    }
    app = build_app(environ, root=tmp_path)
    begun = Client(app.handlers).step(waitForCompletion="true")
    assert begun.status == 202
    ids, received = begun.json["correlation"], api.received[-1]
    token = received.header("AuthToken") or ""
    path = (
        f"/azdo/default/{ids['projectId']}/_apis/distributedtask/hubs/build/plans/{ids['planId']}"
        f"/timelines/{ids['timelineId']}/records/{ids['jobId']}/feed"
    )

    logged = call(
        app.pipelines,
        "POST",
        path,
        {"value": [f"I was given {text}" for text in [*issuer.issued, CLIENT_SECRET]]},
        headers={"authorization": basic(token)},
    )

    assert logged.status == 204
    log = Client(app.handlers).get(f"api/invocations/{ids['planId']}/log").body.decode()
    assert log.count("I was given ***") == len(issuer.issued) + 1
    for secret in (*issuer.issued, CLIENT_SECRET):
        assert secret not in log


def test_an_earlier_token_that_is_still_good_is_masked_as_well(
    tmp_path: Path, api: Target, issuer: Issuer
) -> None:
    issuer.life_s = 4
    api.reply = lambda _: Reply(json.dumps({"log": issuer.issued}).encode())
    client = demo(tmp_path, api, client_credentials(issuer.url))
    client.step(method="GET")
    sleep(2.2)

    answered = client.step(method="GET", successCriteria="contains(root.log[0], 't0.')")

    assert len(issuer.issued) == 2
    assert answered.json["response"]["body"] == {"log": ["***", "***"]}
    assert answered.json["criteria"]["result"] is False
