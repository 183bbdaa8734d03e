from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Protocol

import pytest
import trustme

from invoke_core.adapters.budget import ByteBudget
from invoke_core.adapters.http import HttpSender
from invoke_core.connections import Allow, Connection, ConnectionKind, EgressProxy, TlsOptions
from invoke_core.errors import SendError
from invoke_core.model import Answer, Method, OutgoingRequest
from tests.http.targets import Script, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from pathlib import Path


class Start(Protocol):
    def __call__(
        self,
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        name: str | None = None,
    ) -> Target: ...


@pytest.fixture
def start() -> Iterator[Start]:
    """Start targets that end with the test."""
    started: list[Target] = []

    def start_target(
        *scripts: Script,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        name: str | None = None,
    ) -> Target:
        started.append(Target(*scripts, tls=tls, host=host, name=name))
        return started[-1]

    yield start_target
    for target in started:
        target.close()


@dataclass(frozen=True)
class Authority:
    """An issuer of certificates."""

    ca: trustme.CA
    bundle: str
    tls: ssl.SSLContext


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An issuer, its certificate in a file, and a server's context with a good certificate."""
    ca = trustme.CA()
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(bundle))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(tls)
    return Authority(ca, str(bundle), tls)


def accept_any(_: str) -> None:
    """Grant every URL."""


@dataclass(frozen=True)
class Failure:
    """How a send ended that did not succeed."""

    code: str
    effect: str
    message: str
    elapsed_s: float


@dataclass
class Client:
    """A sender, and what its calls are made with."""

    sender: HttpSender = field(default_factory=lambda: HttpSender(budget=ByteBudget(1 << 28)))
    allow: Allow = field(default_factory=lambda: Allow(loopback=True))
    tls: TlsOptions = field(default_factory=TlsOptions)
    proxy: EgressProxy = field(default_factory=EgressProxy)
    judge: Callable[[str], None] = accept_any
    answers: Container[int] = range(200, 300)
    timeout_s: float = 10.0
    limit_bytes: int = 1_000_000

    def send(
        self,
        url: str,
        *,
        method: Method = Method.GET,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
    ) -> Answer:
        """Send a request, let go of the answer's bytes, and return it."""
        connection = Connection(
            name="target",
            kind=ConnectionKind.GENERIC,
            url=url,
            allow=self.allow,
            tls=self.tls,
            proxy=self.proxy,
        )
        request = OutgoingRequest(method=method, url=url, headers=headers, body=body)
        with self.sender.send(
            request,
            connection=connection,
            judge=self.judge,
            answers=self.answers,
            timeout_s=self.timeout_s,
            limit_bytes=self.limit_bytes,
        ) as found:
            return found

    def fail(
        self,
        url: str,
        *,
        method: Method = Method.GET,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes | None = None,
    ) -> Failure:
        """Send a request that has to fail."""
        started_at = monotonic()
        try:
            self.send(url, method=method, headers=headers, body=body)
        except SendError as error:
            # Not pytest.raises: what it keeps of the error would keep the answer's bytes.
            return Failure(error.code, error.effect, error.message, monotonic() - started_at)
        pytest.fail("The request was answered.")


@pytest.fixture
def client() -> Client:
    """A client with a sender of its own."""
    return Client()


@pytest.fixture
def secure(authority: Authority) -> Client:
    """A client that trusts the authority of the tests."""
    return Client(tls=TlsOptions(ca_bundle=authority.bundle))


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], str]:
    """Write a file and return its path."""

    def write_file(name: str, content: bytes) -> str:
        path = tmp_path / name
        path.write_bytes(content)
        return str(path)

    return write_file
