"""Tokens of Microsoft Entra ID, through azure-identity, from servers of our own.

Source: HTTP contract, section 7 (``auth.scheme``, ``azureResourceManager``).
"""

from __future__ import annotations

import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.api.conftest import make_client
from tests.api.target import Reply, Target
from tests.credentials.conftest import (
    CLIENT_ID,
    CLIENT_SECRET,
    TENANT,
    Trusted,
    authorizations,
    demo,
    failure,
    refusing,
)
from tests.platform_runtime.environment import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.target import Received
    from tests.credentials.conftest import Issuer

IDENTITY: dict[str, object] = {"scheme": "managedIdentity", "scope": "api://demo/.default"}


def principal(entra: Trusted, **more: str) -> dict[str, object]:
    secret = {} if "certificate" in more else {"clientSecret": "${CLIENT_SECRET}"}
    return {
        "scheme": "servicePrincipal",
        "tenantId": TENANT,
        "clientId": CLIENT_ID,
        "scope": "api://demo/.default",
        "authority": entra.issuer.url,
        **secret,
        **more,
    }


def test_the_identity_of_the_app_is_asked_of_the_platform(
    tmp_path: Path, api: Target, platform: Issuer
) -> None:
    answered = demo(tmp_path, api, IDENTITY).step(method="GET")

    assert answered.status == 200
    assert authorizations(api) == [f"Bearer {platform.issued[0]}"]
    (asked,) = platform.asked
    assert asked.header("X-IDENTITY-HEADER") == "platform-header-value"
    assert platform.forms() == [{"api-version": "2019-08-01", "resource": "api://demo"}]


def test_a_user_assigned_identity_is_asked_for_by_its_client_id(
    tmp_path: Path, api: Target, platform: Issuer
) -> None:
    demo(tmp_path, api, {**IDENTITY, "clientId": CLIENT_ID}).step(method="GET")

    assert platform.forms()[0]["client_id"] == CLIENT_ID


def test_the_platforms_endpoint_needs_no_loopback_of_the_connection(
    tmp_path: Path, api: Target, platform: Issuer
) -> None:
    answered = demo(tmp_path, api, IDENTITY, loopback=False).step(method="GET")

    # The token was had; it is the target itself that may not be reached here.
    assert answered.json["reason"]["code"] == "addressRefused"
    assert len(platform.issued) == 1


def test_a_hundred_runs_side_by_side_ask_the_platform_once(
    tmp_path: Path, api: Target, platform: Issuer
) -> None:
    # How long a hundred at once take is the machine's affair: no run is to be cut for it.
    client = demo(tmp_path, api, IDENTITY, settings={"API_RESPONSE_TIMEOUT_SECONDS": "180"})
    together = Barrier(100)

    def run(_: int) -> object:
        together.wait()
        return client.step(method="GET").json.get("reason", "refused")

    with ThreadPoolExecutor(100) as pool:
        reasons = list(pool.map(run, range(100)))

    assert [reason for reason in reasons if reason is not None] == []
    assert len(platform.asked) == 1


def test_a_platform_that_answers_at_too_great_a_length_is_told_apart(
    tmp_path: Path, api: Target, platform: Issuer
) -> None:
    platform.refuse = lambda _: Reply(b" " * 3_000_000)

    message = failure(tmp_path, api, IDENTITY)

    assert "answered with more than 1048576 bytes, which is too long for a token" in message
    assert "MAX_RESPONSE_BYTES" not in message


def test_a_refused_token_is_really_asked_for_anew(
    tmp_path: Path, api: Target, platform: Issuer
) -> None:
    api.reply = lambda _: Reply(status=200 if len(platform.issued) == 2 else 401)

    assert demo(tmp_path, api, IDENTITY).step(method="GET").status == 200

    assert authorizations(api) == [f"Bearer {token}" for token in platform.issued]


@pytest.mark.parametrize(
    ("auth", "words"),
    [
        (IDENTITY, "turn the app's system-assigned identity on"),
        ({**IDENTITY, "clientId": CLIENT_ID}, "whose client id is auth.clientId"),
    ],
)
def test_an_identity_that_is_not_assigned_is_named(
    tmp_path: Path, api: Target, platform: Issuer, auth: dict[str, object], words: str
) -> None:
    said = b'{"statusCode": 400, "message": "No Managed Identity found for specified ClientId."}'
    platform.refuse = lambda _: Reply(said, 400)

    assert words in failure(tmp_path, api, auth)


def test_a_platform_that_fails_for_a_moment_is_asked_again(
    tmp_path: Path, api: Target, platform: Issuer
) -> None:
    def once(_: Received) -> Reply | None:
        return Reply(b"{}", 503) if len(platform.asked) == 1 else None

    platform.refuse = once

    assert demo(tmp_path, api, IDENTITY).step(method="GET").status == 200


def test_where_there_is_no_platform_the_sentence_says_what_to_use(
    tmp_path: Path, api: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "platform-header-value")

    message = failure(tmp_path, api, IDENTITY)

    assert "refused the connection" in message
    assert "azureCli" in message


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b"{}", b'{"access_token": "x"}'])
def test_a_platform_that_answers_nonsense_gives_no_token(
    tmp_path: Path, api: Target, platform: Issuer, body: bytes
) -> None:
    platform.refuse = lambda _: Reply(body)

    assert "not with a token" in failure(tmp_path, api, IDENTITY)


def test_a_service_principal_shows_its_secret_to_its_authority(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    tls = {"caBundle": entra.bundle}

    answered = demo(tmp_path, api, principal(entra), tls=tls).step(method="GET")

    assert answered.status == 200, answered.json["reason"]
    assert authorizations(api) == [f"Bearer {entra.issuer.issued[0]}"]
    (asked,) = entra.issuer.asked
    assert asked.path.startswith(f"/{TENANT}/oauth2/v2.0/token")
    (form,) = entra.issuer.forms()
    assert (form["grant_type"], form["client_id"], form["scope"], form["client_secret"]) == (
        "client_credentials",
        CLIENT_ID,
        "api://demo/.default",
        CLIENT_SECRET,
    )


def test_a_service_principal_proves_itself_with_a_certificate(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    certificate = trustme.CA().issue_cert("invoke@example.com", key_type=trustme.KeyType.RSA)
    (tmp_path / "own.pem").write_bytes(certificate.private_key_and_cert_chain_pem.bytes())
    auth = principal(entra, certificate="own.pem")

    answered = demo(tmp_path, api, auth, tls={"caBundle": entra.bundle}).step(method="GET")

    assert answered.status == 200, answered.json["reason"]
    form = entra.issuer.forms()[0]
    assert form["client_assertion_type"].endswith("jwt-bearer")
    assert "client_secret" not in form


def test_a_certificate_that_cannot_be_read_is_named(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    (tmp_path / "own.pem").write_text("no PEM")
    auth = principal(entra, certificate="own.pem")

    assert "auth.certificate takes a PEM file" in failure(tmp_path, api, auth)


def test_the_connections_certificates_decide_whether_the_authority_is_trusted(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    message = failure(tmp_path, api, principal(entra))

    assert "whose issuer is not trusted here" in message
    assert entra.issuer.asked == []


def test_an_authority_that_is_not_checked_is_talked_to(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    client = demo(tmp_path, api, principal(entra), tls={"verify": False})

    assert client.step(method="GET").status == 200


def test_an_authority_on_this_machine_is_refused_unless_the_connection_allows_it(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    tls: dict[str, object] = {"caBundle": entra.bundle}

    assert "loopback" in failure(tmp_path, api, principal(entra), tls=tls, loopback=False)
    assert entra.issuer.asked == []


def test_a_refused_token_of_a_service_principal_is_asked_for_anew(
    tmp_path: Path, api: Target, entra: Trusted
) -> None:
    api.reply = lambda _: Reply(status=200 if len(entra.issuer.issued) == 2 else 401)
    client = demo(tmp_path, api, principal(entra), tls={"caBundle": entra.bundle})

    assert client.step(method="GET").status == 200

    assert len(entra.issuer.asked) == 2


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("AADSTS7000222", "the client secret has expired"),
        ("AADSTS7000215", "takes the secret's value, not its id"),
        ("AADSTS700016", "no application with this id"),
        ("AADSTS65001", "was not given consent"),
        ("AADSTS500011", "does not know whom the token is for"),
        ("AADSTS1002012", "/.default at its end"),
        ("AADSTS99999", "list of AADSTS codes"),
    ],
)
def test_what_entra_says_comes_with_what_mends_it(
    tmp_path: Path, api: Target, entra: Trusted, code: str, words: str
) -> None:
    said = f"{code}: about {CLIENT_SECRET}. Trace ID: 1"
    entra.issuer.refuse = refusing(401, "invalid_client", said)

    message = failure(tmp_path, api, principal(entra), tls={"caBundle": entra.bundle})

    assert f"({code})" in message
    assert words in message
    assert "Trace ID" not in message


def test_a_tenant_that_does_not_exist_is_named(tmp_path: Path, api: Target) -> None:
    # Entra ID answers the first question, for the tenant's endpoints, with this.
    authority = trustme.CA()
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    said = b'{"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant not found."}'
    with Target(tls) as server:
        server.reply = lambda _: Reply(said, 400)
        auth = {
            "scheme": "servicePrincipal",
            "tenantId": TENANT,
            "clientId": CLIENT_ID,
            "clientSecret": "${CLIENT_SECRET}",
            "scope": "api://demo/.default",
            "authority": server.url,
        }

        message = failure(tmp_path, api, auth, tls={"caBundle": str(bundle)})

    assert "(AADSTS90002): there is no such tenant" in message


def own_cloud(url: str, entra: Trusted) -> dict[str, object]:
    return {
        "type": "azureResourceManager",
        "resourceManagerEndpoint": url,
        "audience": "https://management.example.com/",
        "authority": entra.issuer.url,
        "auth": {
            "scheme": "servicePrincipal",
            "tenantId": TENANT,
            "clientId": CLIENT_ID,
            "clientSecret": "${CLIENT_SECRET}",
        },
        "allow": {"loopback": True},
        "tls": {"caBundle": entra.bundle},
    }


@pytest.mark.parametrize("end", ["", "/"])
@pytest.mark.parametrize("suffix", ["subscriptions?api-version=1", "/subscriptions?api-version=1"])
def test_resource_manager_is_asked_with_one_slash_and_a_token_for_its_audience(
    tmp_path: Path, api: Target, entra: Trusted, end: str, suffix: str
) -> None:
    client = make_client(
        tmp_path, {"arm": own_cloud(api.url + end, entra)}, CLIENT_SECRET=CLIENT_SECRET
    )

    answered = client.post(
        {
            "inputs": {
                "connectionType": "connectedServiceNameARM",
                "azureServiceConnection": "arm",
                "method": "GET",
                "urlSuffix": suffix,
            }
        }
    )

    assert answered.status == 200, answered.json
    assert [request.path for request in api.received] == ["/subscriptions?api-version=1"]
    assert entra.issuer.forms()[0]["scope"] == "https://management.example.com//.default"


def test_azure_devops_is_asked_with_a_token_for_it(
    tmp_path: Path, api: Target, platform: Issuer
) -> None:
    connection = {
        "type": "azureDevOps",
        "url": f"{api.url}/my-org",
        "auth": {"scheme": "managedIdentity"},
        "allow": {"loopback": True},
    }

    answered = make_client(tmp_path, {"org": connection}).post(
        {
            "inputs": {
                "connectionType": "connectedServiceNameAzureDevOps",
                "azureDevOpsServiceConnection": "org",
                "method": "GET",
                "urlSuffix": "/_apis/projects",
            }
        }
    )

    assert answered.status == 200, answered.json
    assert [request.path for request in api.received] == ["/my-org/_apis/projects"]
    assert platform.forms()[0]["resource"] == "499b84ac-1321-427f-aa17-267ca6975798"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(b'{"error": {"code": "InvalidAuthenticationTokenAudience"}}', 401),
        Reply(
            b"",
            401,
            {"WWW-Authenticate": 'Bearer error="InvalidAuthenticationTokenAudience"'},
        ),
    ],
)
def test_a_target_that_wants_another_audience_gets_a_hint(
    tmp_path: Path, api: Target, platform: Issuer, reply: Reply
) -> None:
    api.reply = lambda _: reply

    reason = demo(tmp_path, api, IDENTITY).step(method="GET").json["reason"]

    assert reason["code"] == "statusCode"
    assert "Check the service connection's auth.scope" in reason["message"]
    assert len(platform.issued) == 2


_SCRIPT = """
import sys
from pathlib import Path
from invoke_core.wiring import build_app
app = build_app({"SERVICE_CONNECTIONS": sys.argv[1]}, root=Path(sys.argv[2]))
print(*sorted(sys.modules), sep="\\n")
"""


def test_azure_identity_is_not_imported_before_a_token_is_needed(tmp_path: Path) -> None:
    connections = (
        '{"a": {"type": "azureDevOps", "url": "https://dev.azure.com/my-org",'
        ' "auth": {"scheme": "managedIdentity"}}}'
    )

    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-W", "error", "-c", _SCRIPT, connections, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={},
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    modules = done.stdout.split()
    assert "invoke_core.adapters.credentials" in modules
    assert [one for one in modules if one.startswith(("azure.identity", "msal"))] == []
