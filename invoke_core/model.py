"""The frozen values the service speaks in. They know no rules beyond their own shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from invoke_core.documents import JsonValue

MASK: Final = "***"
"""What stands in the place of a secret."""


class Secret:
    """A text that must not be seen: it prints as ``***`` wherever it is formatted."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Hide the text."""
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, for sending and for masking only."""
        return self._text

    def __eq__(self, other: object) -> bool:
        """Compare the texts."""
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        """Hash the text."""
        return hash(self._text)

    def __repr__(self) -> str:
        """Print the mask."""
        return MASK

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class AccountIdentity:
    """A storage account that is entered with an identity of Microsoft Entra ID.

    Attributes:
        table_uri: Where its tables are.
        queue_uri: Where its queues are.
        managed: Whether the app's managed identity is used, and nothing else is tried.
        client_id: Which user-assigned identity; None for the app's own.
    """

    table_uri: str
    queue_uri: str
    managed: bool
    client_id: str | None


@dataclass(frozen=True, slots=True)
class StorageAccount:
    """A storage account that the settings name.

    Attributes:
        setting: The setting, or what the names of its settings begin with; a trigger's
            ``connection`` is this too.
        access: How it is reached: a connection string, or an identity.
    """

    setting: str
    access: Secret | AccountIdentity


class Method(StrEnum):
    """The methods a task may use (task documentation, input ``method``)."""

    OPTIONS = "OPTIONS"
    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    TRACE = "TRACE"
    PATCH = "PATCH"


class State(StrEnum):
    """How far an invocation is (contract, section 4)."""

    PENDING = "pending"
    IN_PROGRESS = "inProgress"
    COMPLETED = "completed"


class Result(StrEnum):
    """How an invocation ended (contract, section 4)."""

    SUCCEEDED = "succeeded"
    SUCCEEDED_WITH_ISSUES = "succeededWithIssues"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"
    ABANDONED = "abandoned"


class CompletionEvent(StrEnum):
    """What ends the task (task documentation, input ``waitForCompletion``)."""

    API_RESPONSE = "ApiResponse"
    CALLBACK = "Callback"


class Effect(StrEnum):
    """What is known of the effect a request had on its target."""

    NONE = "none"
    """The target never received the request."""
    UNKNOWN = "unknown"
    """It may have received and acted on it."""
    ANSWERED = "answered"
    """It answered."""


class ReasonCode(StrEnum):
    """Why a task ended as it did (contract, section 4); members are added as features arrive."""

    STATUS_CODE = "statusCode"
    CRITERIA_NOT_MET = "criteriaNotMet"
    CRITERIA_ERROR = "criteriaError"
    RESPONSE_NOT_JSON = "responseNotJson"
    RESPONSE_TOO_LARGE = "responseTooLarge"
    RESPONSE_INVALID = "responseInvalid"
    TIMED_OUT = "timedOut"
    CONNECTION_FAILED = "connectionFailed"
    TLS_FAILED = "tlsFailed"
    NAME_NOT_RESOLVED = "nameNotResolved"
    ADDRESS_REFUSED = "addressRefused"
    TOO_MANY_REDIRECTS = "tooManyRedirects"
    REDIRECT_REFUSED = "redirectRefused"
    CREDENTIAL_FAILED = "credentialFailed"
    CALLBACK_FAILED = "callbackFailed"
    CALLBACK_TIMED_OUT = "callbackTimedOut"
    CANCELED = "canceled"
    INTERRUPTED = "interrupted"


class IssueType(StrEnum):
    """The weight of an issue, in the words of a timeline record."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Issue:
    """A remark on an invocation, for the pipeline's author."""

    type: IssueType
    message: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an invocation did not succeed.

    Attributes:
        code: One of a closed list.
        message: One or two sentences a person can act on.
        effect: What is known of the request's effect.
    """

    code: ReasonCode
    message: str
    effect: Effect


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


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRequest:
    """One request as it is to stand on the wire.

    Attributes:
        method: The method.
        url: The full URL as concatenated; the sender percent-encodes what has to be.
        headers: Names in their letter case and values, in order, credential included.
        body: The bytes of the body, or None for no body.
    """

    method: Method
    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a target answered, read to its end.

    Attributes:
        status: The HTTP status of the last hop.
        headers: Names as received, values; repeats in order.
        body: The body, content encodings undone.
        elapsed_ms: Whole milliseconds from the start of the exchange to its end.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    elapsed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A pipeline variable; its name is matched without case."""

    name: str
    value: str = field(repr=False)
    is_secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """The identifiers that tie an invocation to its plan (agentless protocol, section 1)."""

    plan_url: str
    project_id: str
    hub_name: str
    plan_id: str
    job_id: str
    timeline_id: str
    task_instance_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestView:
    """The request that was sent, secrets masked."""

    method: str
    url: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseView:
    """The answer as a caller may see it, secrets masked and long bodies cut."""

    status: int
    headers: dict[str, str]
    body: JsonValue
    body_truncated: bool
    elapsed_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CriteriaView:
    """How a criteria was evaluated, secrets masked.

    Attributes:
        expression: The criteria after macro expansion.
        result: Its outcome; None where it could not be evaluated.
        trace: The lines the original engine logs.
        explanation: The tree of sub-expressions; None where the result is true.
    """

    expression: str
    result: bool | None
    trace: tuple[str, ...]
    explanation: dict[str, JsonValue] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """One run of one task (contract, section 4); all text in it is masked."""

    id: str
    display_name: str
    connection: str
    caller: str
    state: State
    result: Result | None
    reason: Reason | None
    completion_event: CompletionEvent
    request: RequestView | None
    response: ResponseView | None
    criteria: CriteriaView | None
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime
    correlation: Correlation
    issues: tuple[Issue, ...] = ()
