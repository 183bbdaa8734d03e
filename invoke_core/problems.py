"""Errors become problem documents here, and nowhere else.

Source: RFC 9457; HTTP contract, section 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from invoke_core import errors
from invoke_core.variables import Masker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from invoke_core.documents import JsonValue

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem: a row of ``docs/problems.md``.

    Attributes:
        status: The HTTP status.
        code: Its name, for programs.
        title: Its name, for people.
    """

    status: int
    code: str
    title: str

    @property
    def uri(self) -> str:
        """The ``type`` member: names the problem, leads nowhere."""
        return f"urn:invoke-rest-api:problem:{self.code}"


INTERNAL: Final = ProblemType(500, "internalError", "Something broke in the service")

PROBLEM_TYPES: Final[dict[type[errors.InvokeError], ProblemType]] = {
    errors.UnsupportedMediaTypeError: ProblemType(
        415, "unsupportedMediaType", "The body's media type is not read here"
    ),
    errors.LengthRequiredError: ProblemType(411, "lengthRequired", "The body did not arrive"),
    errors.BodyTooLargeError: ProblemType(413, "bodyTooLarge", "The body is too long"),
    errors.InvalidBodyError: ProblemType(400, "invalidBody", "The body cannot be read"),
    errors.InvalidInputError: ProblemType(400, "invalidInput", "The request has faults"),
    errors.ExpressionError: ProblemType(400, "invalidExpression", "The criteria has a fault"),
    errors.PolicyError: ProblemType(
        403, "connectionPolicy", "The service connection does not grant this"
    ),
    errors.TokenRejectedError: ProblemType(401, "tokenRejected", "The AuthToken opens no plan"),
    errors.ResourceNotFoundError: ProblemType(
        404, "resourceNotFound", "There is nothing at this address"
    ),
    errors.PlanLimitError: ProblemType(413, "planLimit", "The plan holds as much as it may"),
    errors.OutputFormatError: ProblemType(400, "outputFormat", "The form cannot hold the outputs"),
    errors.InvocationNotFoundError: ProblemType(404, "notFound", "There is no such invocation"),
    errors.InvocationEndedError: ProblemType(409, "alreadyEnded", "The invocation has ended"),
    errors.IdempotencyConflictError: ProblemType(
        409, "idempotencyConflict", "The Idempotency-Key stands for another task"
    ),
    errors.ConnectionUnavailableError: ProblemType(
        503, "connectionUnavailable", "The service connection is faulty"
    ),
    errors.ConfigurationError: ProblemType(
        503, "misconfigured", "The service is not set up correctly"
    ),
    errors.StoreUnavailableError: ProblemType(503, "storeUnavailable", "The store cannot be used"),
    errors.OutcomeUnknownError: ProblemType(
        504, "outcomeUnknown", "The store did not answer, and the task may run"
    ),
    errors.EntityConflictError: ProblemType(
        503, "contended", "The state was changed by others again and again"
    ),
    errors.BusyError: ProblemType(429, "tooManyRequests", "The service is busy"),
    errors.DependencyError: ProblemType(
        502, "dependencyFailed", "Something the service needs did not answer"
    ),
    errors.InvokeError: INTERNAL,
}
"""Which error is which problem; an error's nearest ancestor in this table decides."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem ready to be sent.

    Attributes:
        status: The HTTP status.
        headers: Headers beside the media type.
        document: The body.
    """

    status: int
    headers: dict[str, str]
    document: dict[str, JsonValue]


def problem_type(error_class: type[Exception]) -> ProblemType:
    """Return which problem an error is, by its nearest ancestor."""
    return next(
        (PROBLEM_TYPES[base] for base in error_class.__mro__ if base in PROBLEM_TYPES), INTERNAL
    )


def problem_of(error: errors.InvokeError, *, instance: str, secrets: Iterable[str] = ()) -> Problem:
    """Return the problem document of an error.

    Args:
        error: Any error raised on purpose.
        instance: Path of the request.
        secrets: What the caller may have written where no secret belongs.

    Returns:
        The problem, without secrets.
    """
    kind = problem_type(type(error))
    faults: tuple[errors.Fault, ...] = ()
    masker = Masker(secrets)
    headers = {}
    if isinstance(error, errors.InvalidInputError):
        faults, masker = error.faults, masker.also(error.secrets)
    if isinstance(error, (errors.SettingsError, errors.OutputFormatError)):
        faults = error.faults
    if isinstance(error, errors.TokenRejectedError):
        # The C# client sends its token only after this challenge, and only to "Basic".
        headers["WWW-Authenticate"] = 'Basic realm="invoke-rest-api"'
    if isinstance(
        error, (errors.BusyError, errors.StoreUnavailableError, errors.EntityConflictError)
    ):
        headers["Retry-After"] = str(error.retry_after_s)
    shown: list[JsonValue] = [
        {"pointer": _shown_pointer(fault.pointer, masker), "detail": masker.show(fault.detail)}
        for fault in faults
    ]
    return Problem(
        kind.status,
        headers,
        _document(kind, masker.show(error.message), masker.show(instance), shown),
    )


def in_devops_shape(problem: Problem) -> Problem:
    """Return a problem as clients of Azure DevOps read it, with the members it has beside.

    They show their users ``message`` alone, so that tells every fault.

    Source:
        Agentless protocol, section 4.4.
    """
    document = problem.document
    kind = f"{str(document['code'])[:1].upper()}{str(document['code'])[1:]}Exception"
    faults = document["errors"] if isinstance(document["errors"], list) else []
    details = [
        f"{fault['pointer']}: {fault['detail']}" for fault in faults if isinstance(fault, dict)
    ]
    told: dict[str, JsonValue] = {
        "$id": "1",
        "innerException": None,
        "message": " ".join([str(document["detail"]), *(details if len(details) > 1 else [])]),
        "typeName": f"InvokeRestApi.{kind}, InvokeRestApi",
        "typeKey": kind,
        "errorCode": 0,
        "eventId": 3000,
    }
    return Problem(problem.status, problem.headers, {**told, **document})


def _shown_pointer(pointer: str, masker: Masker) -> str:
    """Mask the names in an RFC 6901 pointer as they are, not as the pointer escapes them."""
    names = (name.replace("~1", "/").replace("~0", "~") for name in pointer.split("/"))
    return "/".join(masker.show(name).replace("~", "~0").replace("/", "~1") for name in names)


def internal_problem(incident: str, *, instance: str, secrets: Iterable[str] = ()) -> Problem:
    """Return the document for what nobody foresaw: an incident id, and nothing else."""
    detail = f"The effect of the request is unknown. The service's log has incident {incident}."
    return Problem(
        INTERNAL.status, {}, _document(INTERNAL, detail, Masker(secrets).show(instance), [])
    )


def _document(
    kind: ProblemType, detail: str, instance: str, faults: list[JsonValue]
) -> dict[str, JsonValue]:
    return {
        "type": kind.uri,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": instance,
        "code": kind.code,
        "errors": faults,
    }
