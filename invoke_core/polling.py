"""Start, then poll: what the answers of a long operation mean.

Source: HTTP contract, section 3 ("Poll"); for Azure's own long operations, the asynchronous
operations of Azure Resource Manager and the Azure REST API guidelines (``Azure-AsyncOperation``,
``Operation-Location``, ``Location``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from invoke_core.errors import AnswerNotJsonError, ExpressionSyntaxError
from invoke_core.expressions import NO_MATCH, JsonPath, compile_criteria
from invoke_core.model import Effect, Method, Reason, ReasonCode
from invoke_core.steps import LONGEST_TIMEOUT_MINUTES, read_amount, read_members, scalar_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.answers import AnswerReading
    from invoke_core.expressions import Criteria, Scope
    from invoke_core.steps import FaultList, Given
    from invoke_core.variables import Masker

AUTO: Final = "auto"
"""Look for the status URL in the headers of the answer."""

PASSING: Final = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses of a status request that say nothing about the operation."""

_DEFAULT_INTERVAL_S: Final = 10.0
_DEFAULT_TIMEOUT_MINUTES: Final = 60.0
_LEAST_INTERVAL_S: Final = 0.1
_LONGEST_INTERVAL_S: Final = 24 * 3600.0
_NAMES: Final = ("statusUrl", "intervalSeconds", "timeoutMinutes", "until", "failWhen", "method")
_METHODS: Final = (Method.GET, Method.HEAD, Method.POST)
_ACCEPTED: Final = 202
_LONGEST_QUOTED: Final = 300


class Source(StrEnum):
    """Where a status URL was found, which decides what its answers mean."""

    ASYNC_OPERATION = "azure-asyncoperation"
    OPERATION = "operation-location"
    LOCATION = "location"
    BODY = "body"


_HEADERS: Final = (Source.OPERATION, Source.ASYNC_OPERATION, Source.LOCATION)

_SUCCEEDED: Final = frozenset({"succeeded", "completed", "success"})
_FAILED: Final = frozenset(
    {"aborted", "canceled", "cancelled", "error", "failed", "rejected", "timedout"}
)
_RUNNING: Final = frozenset(
    {
        "accepted",
        "canceling",
        "cancelling",
        "creating",
        "deleting",
        "deploying",
        "inprogress",
        "notstarted",
        "pending",
        "processing",
        "provisioning",
        "queued",
        "running",
        "scheduled",
        "started",
        "starting",
        "stopping",
        "updating",
        "validating",
        "waiting",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PollOptions:
    """How a long operation is waited for.

    Attributes:
        status_url: A path into the first answer's body; None for its headers.
        until: What makes an answer the last one; None for the rules of ``progress``.
        fail_when: What ends the task as failed; None for those rules.
        method: The method of status requests.
        interval_s: Seconds between them, where the answer does not say otherwise.
        timeout_s: Seconds for the whole task.
    """

    status_url: JsonPath | None = None
    until: Criteria | None = field(default=None, repr=False)
    fail_when: Criteria | None = field(default=None, repr=False)
    method: Method = Method.GET
    interval_s: float = _DEFAULT_INTERVAL_S
    timeout_s: float = 60 * _DEFAULT_TIMEOUT_MINUTES


def read_poll(given: Given, faults: FaultList, masker: Masker) -> PollOptions | None:
    """Read the member ``poll`` of a step.

    Args:
        given: An object.
        faults: Receives everything that is wrong.
        masker: Hides the caller's secrets.

    Returns:
        The options; None where something is wrong.
    """
    before = len(faults.faults)
    members = read_members(given, "poll", _NAMES, faults)
    interval_s, minutes = _DEFAULT_INTERVAL_S, _DEFAULT_TIMEOUT_MINUTES
    if "intervalSeconds" in members:
        interval_s = read_amount(
            "intervalSeconds",
            members["intervalSeconds"],
            faults,
            least=_LEAST_INTERVAL_S,
            most=_LONGEST_INTERVAL_S,
            unit="seconds",
        )
    if "timeoutMinutes" in members:
        minutes = read_amount(
            "timeoutMinutes",
            members["timeoutMinutes"],
            faults,
            least=0.01,
            most=LONGEST_TIMEOUT_MINUTES,
            unit="minutes",
        )
    options = PollOptions(
        status_url=_read_status_url(members.get("statusUrl"), faults, masker),
        until=_read_criteria(members.get("until"), faults, masker),
        fail_when=_read_criteria(members.get("failWhen"), faults, masker),
        method=_read_method(members.get("method"), faults, masker),
        interval_s=interval_s,
        timeout_s=60 * minutes,
    )
    return options if len(faults.faults) == before else None


def _read_status_url(given: Given | None, faults: FaultList, masker: Masker) -> JsonPath | None:
    text = "" if given is None else (scalar_text(given.value) or "").strip()
    if given is None or text.lower() == AUTO:
        return None
    try:
        return JsonPath.parse(text)
    except ValueError as error:
        shown = masker.part(str(error), of=text)
        faults.add(given.pointer, f"'statusUrl' is {AUTO}, or a JSONPath into the body. {shown}")
        return None


def _read_criteria(given: Given | None, faults: FaultList, masker: Masker) -> Criteria | None:
    if given is None:
        return None
    text = scalar_text(given.value)
    if text is None:
        faults.add(given.pointer, "An expression belongs here, as text.")
        return None
    try:
        return compile_criteria(text)
    except ExpressionSyntaxError as error:
        holds_secret = masker.hide(text) != text
        faults.add(given.pointer, error.unquoted if holds_secret else error.message)
        return None


def _read_method(given: Given | None, faults: FaultList, masker: Masker) -> Method:
    text = Method.GET if given is None else (scalar_text(given.value) or "").strip()
    found = next((method for method in _METHODS if method.lower() == text.lower()), None)
    if found is None and given is not None:
        faults.add(
            given.pointer,
            f"The method of status requests is one of {', '.join(_METHODS)}; it is "
            f"'{masker.part(text, of=text)}'.",
        )
    return found or Method.GET


@dataclass(frozen=True, slots=True)
class Done:
    """The answer is the last one, and the task's."""


@dataclass(frozen=True, slots=True)
class GoesOn:
    """The operation is under way.

    Attributes:
        reference: The status URL to ask, as the answer has it.
        source: Where it was found.
    """

    reference: str = field(repr=False)
    source: Source


@dataclass(frozen=True, slots=True)
class Failed:
    """The operation has failed, or its answers cannot be read.

    Attributes:
        reason: Why.
        is_end: Whether the operation itself has ended; else it may go on unwatched.
    """

    reason: Reason
    is_end: bool = False


Progress = Done | GoesOn | Failed


def begun(
    reading: AnswerReading,
    options: PollOptions,
    scope: Callable[[], Scope],
    *,
    mask: Callable[[str], str],
) -> Progress:
    """Tell what the first answer means: the one to the request that starts the operation.

    Args:
        reading: The answer; its status is a valid one.
        options: How is waited.
        scope: Makes what expressions can read of it.
        mask: Removes secrets from what is quoted.

    Returns:
        Where to ask next. An operation that is over at once names no status URL.
    """
    if options.status_url is not None:
        return _from_body(reading, options.status_url)
    found = _from_headers(reading)
    if found is not None:
        return found
    if options.until is not None and _test(options.until, scope(), mask) is True:
        return Done()
    if options.until is None and reading.answer.status != _ACCEPTED:
        return Done()
    return _failed(
        "The answer names no status URL: it has none of the headers Operation-Location, "
        "Azure-AsyncOperation and Location. Where it is in the body, give its JSONPath as "
        "poll.statusUrl."
    )


def progress(
    reading: AnswerReading,
    options: PollOptions,
    scope: Callable[[], Scope],
    *,
    asked: str,
    source: Source,
    mask: Callable[[str], str],
) -> Progress:
    """Tell what the answer of a status request means.

    Args:
        reading: The answer; its status is a valid one.
        options: How is waited.
        scope: Makes what expressions can read of it.
        asked: The URL that was asked.
        source: Where that was found.
        mask: Removes secrets from what is quoted.
    """
    still = GoesOn(asked, source)
    if options.status_url is None:
        still = _from_headers(reading, no_less_than=source) or still
    if options.fail_when is not None:
        fails = _test(options.fail_when, scope(), mask)
        if isinstance(fails, Failed):
            if not _has_nothing_to_tell(reading, fails):
                return fails
        elif fails:
            shown = mask(options.fail_when.shown(mask))[:_LONGEST_QUOTED]
            return _failed(f"The operation failed: poll.failWhen is true ({shown}).", is_end=True)
    if options.until is not None:
        return _until(reading, still, _test(options.until, scope(), mask))
    if reading.answer.status == _ACCEPTED:
        return still
    return _by_status(reading, still, source, mask)


def _until(reading: AnswerReading, still: GoesOn, is_over: bool | Failed) -> Progress:  # noqa: FBT001  # an outcome, no switch
    if isinstance(is_over, Failed):
        return still if _has_nothing_to_tell(reading, is_over) else is_over
    return Done() if is_over else still


def _has_nothing_to_tell(reading: AnswerReading, failed: Failed) -> bool:
    """Tell whether an answer has no body to judge yet, as many 202 have."""
    not_json = failed.reason.code is ReasonCode.RESPONSE_NOT_JSON
    return not_json and reading.answer.status == _ACCEPTED


def _by_status(
    reading: AnswerReading, still: GoesOn, source: Source, mask: Callable[[str], str]
) -> Progress:
    """Read the member ``status`` that Azure's operations answer with, 200 or not."""
    status = _status_word(reading)
    word = status.lower().replace(" ", "").replace("_", "")
    if not word or source in {Source.LOCATION, Source.BODY} or word in _SUCCEEDED:
        return Done()
    if word in _FAILED:
        return _failed(
            f"The operation ended with the status '{mask(status)[:_LONGEST_QUOTED]}'."
            f"{_told(reading, mask)}",
            is_end=True,
        )
    # Azure Resource Manager knows three ends, and any other word is on the way to one of them.
    if source is Source.ASYNC_OPERATION or word in _RUNNING:
        return still
    return Done()


def _status_word(reading: AnswerReading) -> str:
    try:
        root = reading.root()
    except AnswerNotJsonError:
        return ""
    status = root.get("status") if isinstance(root, dict) else None
    return status if isinstance(status, str) else ""


def _told(reading: AnswerReading, mask: Callable[[str], str]) -> str:
    """Return what an operation says of its failure: ``error.code`` and ``error.message``."""
    root = reading.root()
    error = root.get("error") if isinstance(root, dict) else None
    if not isinstance(error, dict):
        return ""
    parts = [mask(part) for name in ("code", "message") if isinstance(part := error.get(name), str)]
    return f" It says {': '.join(parts)[:_LONGEST_QUOTED]}" if parts else ""


def _from_body(reading: AnswerReading, path: JsonPath) -> Progress:
    try:
        found = path.first(reading.root())
    except AnswerNotJsonError as error:
        return Failed(Reason(ReasonCode.RESPONSE_NOT_JSON, error.message, Effect.ANSWERED))
    except ValueError as error:
        return _failed(f"The status URL was not found: {error}")
    if found is NO_MATCH or not isinstance(found, str) or not found:
        return _failed(f"The answer has no status URL at {path.text} (poll.statusUrl).")
    return GoesOn(found, Source.BODY)


def _from_headers(
    reading: AnswerReading, *, no_less_than: Source = Source.LOCATION
) -> GoesOn | None:
    """Return the status URL in the headers of an answer, the first of its kinds.

    The answers of an operation's own resource may name, as ``Location``, where its result is; so
    they are followed to the kind of header that led there, or to one before it, and to no other.
    """
    kinds = _HEADERS[: _HEADERS.index(no_less_than) + 1] if no_less_than in _HEADERS else ()
    by_name = {name.lower(): value for name, value in reading.headers.items()}
    return next((GoesOn(by_name[kind], kind) for kind in kinds if by_name.get(kind)), None)


def _test(criteria: Criteria, scope: Scope, mask: Callable[[str], str]) -> bool | Failed:
    try:
        evaluation = criteria.explain(scope, mask=mask)
    except AnswerNotJsonError as error:
        return Failed(Reason(ReasonCode.RESPONSE_NOT_JSON, error.message, Effect.ANSWERED))
    if evaluation.error is not None:
        return Failed(Reason(ReasonCode.CRITERIA_ERROR, evaluation.message, Effect.ANSWERED))
    return bool(evaluation.result)


def _failed(message: str, *, is_end: bool = False) -> Failed:
    return Failed(Reason(ReasonCode.POLL_FAILED, message, Effect.ANSWERED), is_end)
