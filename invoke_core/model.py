"""The frozen values the service speaks in. They know no rules beyond their own shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
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
    """Why a task ended as it did: the closed list of the contract, section 4."""

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
    GATE_TIMED_OUT = "gateTimedOut"
    POLL_FAILED = "pollFailed"
    POLL_TIMED_OUT = "pollTimedOut"
    CANCELED = "canceled"
    CONDITION_FALSE = "conditionFalse"
    DISABLED = "disabled"
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
        url: Where it came from, redirects followed.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    elapsed_ms: int
    url: str = field(default="", repr=False)


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
class Evaluation:
    """One evaluation of a gate.

    Attributes:
        at: When it was.
        result: Succeeded or failed.
        reason: Why it failed; None where it did not.
        status: The status of the answer; None where there was none.
    """

    at: datetime
    result: Result
    reason: Reason | None
    status: int | None


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
    evaluations: tuple[Evaluation, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    issues: tuple[Issue, ...] = ()
