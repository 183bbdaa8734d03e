"""An issuer of tokens, a platform with identities, and an API that knows who it talks to."""

from __future__ import annotations

import json
import ssl
import time
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import pytest
import trustme

from tests.api.conftest import Client, make_client
from tests.api.target import Reply, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.api.target import Received

CLIENT_SECRET = "cl1ent/s3cret~value"
TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT_ID = "99999999-8888-7777-6666-000000000000"

JSON = {"Content-Type": "application/json"}


@dataclass
class Issuer:
    """Issues tokens over HTTP or TLS: as an OAuth issuer, as Entra ID, and as App Service does."""

    server: Target
    life_s: int = 3600
    issued: list[str] = field(default_factory=list)
    asked: list[Received] = field(default_factory=list)
    refuse: Callable[[Received], Reply | None] = lambda _: None
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.server.reply = self._reply

    @property
    def url(self) -> str:
        return self.server.url

    def forms(self) -> list[dict[str, str]]:
        """Return what was asked, of each request for a token."""
        return [
            dict(parse_qsl(request.body.decode() or urlsplit(request.path).query))
            for request in self.asked
        ]

    def _reply(self, request: Received) -> Reply:
        if request.path.endswith("/.well-known/openid-configuration"):
            base = f"{self.url}/{TENANT}"
            document = {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
            }
            return Reply(json.dumps(document).encode())
        with self._lock:
            self.asked.append(request)
            refusal = self.refuse(request)
            if refusal is not None:
                return refusal
            # As long as tokens are in practice, and no two share their characters.
            self.issued.append(f"t{len(self.issued)}." + f"{len(self.issued):04}Ab-_" * 180)
            token: dict[str, object] = {
                "access_token": self.issued[-1],
                "token_type": "Bearer",
                "expires_in": self.life_s,
                # What App Service says in its place, as text.
                "expires_on": str(int(time.time()) + self.life_s),
            }
            return Reply(json.dumps(token).encode())


def refusing(status: int, error: str, description: str = "") -> Callable[[Received], Reply | None]:
    """Refuse every request as OAuth issuers do."""
    document = {"error": error, "error_description": description}
    return lambda _: Reply(json.dumps(document).encode(), status)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Target() as server:
        yield Issuer(server)


@dataclass(frozen=True)
class Trusted:
    """An issuer with TLS, and the file with the certificate that vouches for it."""

    issuer: Issuer
    bundle: str


@pytest.fixture
def entra(tmp_path: Path) -> Iterator[Trusted]:
    """Stands in for Microsoft Entra ID, which is asked over TLS only."""
    authority = trustme.CA()
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(bundle))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with Target(tls) as server:
        yield Trusted(Issuer(server), str(bundle))


@pytest.fixture
def platform(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """The identity endpoint that App Service and Functions have."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{issuer.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "platform-header-value")
    return issuer


@pytest.fixture
def api() -> Iterator[Target]:
    with Target() as running:
        yield running


def authorizations(api: Target) -> list[str | None]:
    return [request.header("Authorization") for request in api.received]


def demo(
    root: Path,
    api: Target,
    auth: Mapping[str, object],
    *,
    loopback: bool = True,
    settings: dict[str, str] | None = None,
    **members: object,
) -> Client:
    """Return a client of a service whose connection 'demo' leads to the API."""
    connection: dict[str, object] = {
        "type": "generic",
        "url": api.url,
        "auth": auth,
        "allow": {
            "methods": ["GET", "POST", "TRACE"],
            **({"loopback": True} if loopback else {}),
        },
        **members,
    }
    environ = {"CLIENT_SECRET": CLIENT_SECRET, **(settings or {})}
    return make_client(root, {"demo": connection, "other": connection}, **environ)


def client_credentials(url: str, **more: str) -> dict[str, object]:
    return {
        "scheme": "oauth2ClientCredentials",
        "tokenUrl": url,
        "clientId": "invoke",
        "clientSecret": "${CLIENT_SECRET}",
        **more,
    }


def failure(
    root: Path,
    api: Target,
    auth: Mapping[str, object],
    *,
    tls: dict[str, object] | None = None,
    loopback: bool = True,
    settings: dict[str, str] | None = None,
) -> str:
    """Run a step that gets no token; return the sentence that says why."""
    client = demo(root, api, auth, tls=tls or {}, loopback=loopback, settings=settings)
    answered = client.step(method="GET")
    reason = answered.json["reason"]
    assert (answered.status, reason["code"], reason["effect"]) == (424, "credentialFailed", "none")
    assert api.received == []
    assert CLIENT_SECRET.encode() not in answered.body
    return str(reason["message"])
