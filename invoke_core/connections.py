"""What a service connection is: where requests go, with which credential, what is granted.

Nothing is read or checked here; ``settings`` makes these of the administrator's definitions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from invoke_core.model import Method, Secret


class ConnectionKind(StrEnum):
    """The type of a service connection, as ``connectionType`` selects it."""

    GENERIC = "generic"
    AZURE_RESOURCE_MANAGER = "azureResourceManager"
    AZURE_DEVOPS = "azureDevOps"


@dataclass(frozen=True, slots=True, kw_only=True)
class NoAuth:
    """Send no credential."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicAuth:
    """HTTP Basic; both parts may be empty."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerAuth:
    """A fixed bearer token."""

    token: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderAuth:
    """Any header with a secret value, such as an API key."""

    name: str
    value: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagedIdentityAuth:
    """A token of the identity that the platform gives the app.

    Attributes:
        scope: What the token is for.
        client_id: Which user-assigned identity; None for the app's own.
    """

    scope: str
    client_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePrincipalAuth:
    """A token of an application registered in Microsoft Entra ID.

    Attributes:
        scope: What the token is for.
        authority: URL of the service that issues it, without the tenant.
        tenant_id: The tenant, by id or domain.
        client_id: The application.
        client_secret: Its secret; None where it shows a certificate.
        certificate: Path of a PEM file with its certificate and key; None where it has a secret.
    """

    scope: str
    authority: str
    tenant_id: str
    client_id: str
    client_secret: Secret | None = None
    certificate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureCliAuth:
    """A token of whoever is signed in to the Azure CLI, for work on one's own machine."""

    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentialsAuth:
    """A token by the OAuth 2.0 client credentials grant (RFC 6749, section 4.4).

    Attributes:
        token_url: Where tokens are asked for.
        client_id: Who asks.
        client_secret: Proves it.
        scope: What the token is to allow; empty to leave it to the issuer.
        audience: Whom it is for, where the issuer wants to be told; empty otherwise.
    """

    token_url: str
    client_id: str
    client_secret: Secret
    scope: str = ""
    audience: str = ""


FetchedAuth = ManagedIdentityAuth | ServicePrincipalAuth | AzureCliAuth | ClientCredentialsAuth
"""Credentials whose bearer token is fetched when it is needed."""

Auth = NoAuth | BasicAuth | BearerAuth | HeaderAuth | FetchedAuth


class RedirectRule(StrEnum):
    """Whether redirects are followed."""

    SAME_ORIGIN = "sameOrigin"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Allow:
    """What a connection grants to those who use it (contract, section 7).

    Attributes:
        given: Whether the definition has an ``allow`` at all; some header rules depend on it.
        methods: Methods granted; None grants all but TRACE.
        paths: Path patterns granted (``*`` within a segment, ``**`` across); None grants all.
        callers: Callers granted; None grants all.
        redirects: Whether redirects are followed.
        loopback: Whether addresses of this machine and its like may be connected to.
    """

    given: bool = False
    methods: frozenset[Method] | None = None
    paths: tuple[str, ...] | None = None
    callers: frozenset[str] | None = None
    redirects: RedirectRule = RedirectRule.SAME_ORIGIN
    loopback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """How a connection's target proves itself, and how we do.

    Attributes:
        ca_bundle: Path of a PEM file with the issuers to trust instead of the usual ones.
        client_certificate: Path of a PEM file with our certificate and its key.
        verify: Whether the target's certificate is checked.
    """

    ca_bundle: str | None = None
    client_certificate: str | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyServer:
    """An HTTP proxy that requests leave through.

    Attributes:
        host: Its name or address.
        port: Its port.
        username: Who we are to it.
        password: Goes with the name; None where the proxy asks for no credential.
    """

    host: str
    port: int
    username: str = ""
    password: Secret | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressProxy:
    """Which requests of a connection leave through a proxy (contract, section 7).

    Attributes:
        http: The proxy for http targets; None where they are reached directly.
        https: The proxy for https targets; likewise.
        bypass: What is reached directly all the same, in the notations of ``NO_PROXY``.
    """

    http: ProxyServer | None = None
    https: ProxyServer | None = None
    bypass: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of a connection may be used, in each process (contract, section 7).

    Attributes:
        concurrency: Invocations whose requests may run at once; None for any number.
        per_minute: Invocations that may begin within any 60 seconds; None for any number.
    """

    concurrency: int | None = None
    per_minute: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A service connection: where requests go, with which credential, and what is granted.

    Attributes:
        name: As the administrator wrote it.
        kind: Which ``connectionType`` selects it.
        url: Base URL; a task's ``urlSuffix`` is appended to it as text.
        url_secrets: The credentials that stand in it.
        auth: The credential.
        allow: What is granted.
        tls: Certificates.
        proxy: What requests leave through.
        limits: How much of it may be used.
        store_body: Whether a target's body may be kept and shown.
    """

    name: str
    kind: ConnectionKind
    url: str
    url_secrets: tuple[Secret, ...] = ()
    auth: Auth = field(default_factory=NoAuth)
    allow: Allow = field(default_factory=Allow)
    tls: TlsOptions = field(default_factory=TlsOptions)
    proxy: EgressProxy = field(default_factory=EgressProxy)
    limits: Limits = field(default_factory=Limits)
    store_body: bool = True


@dataclass(frozen=True, slots=True)
class KnownConnection:
    """A name the administrator gave, with its connection; None where the definition is faulty."""

    name: str
    connection: Connection | None


class ConnectionBook:
    """The service connections there are, by name without case."""

    def __init__(self, known: Iterable[KnownConnection] = ()) -> None:
        """Keep them; names are known to differ."""
        self._by_name = {entry.name.lower(): entry for entry in known}

    def find(self, name: str) -> KnownConnection | None:
        """Return what is known under a name, or None."""
        return self._by_name.get(name.lower())

    def names(self) -> tuple[str, ...]:
        """Return all names as written, those of faulty connections included."""
        return tuple(entry.name for entry in self._by_name.values())
