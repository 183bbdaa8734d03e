"""Every exception this package raises on purpose.

::

    InvokeError                        a message for people, fields for programs
    ├─ RequestError                    the caller can mend it
    │  ├─ UnsupportedMediaTypeError
    │  ├─ LengthRequiredError
    │  ├─ BodyTooLargeError
    │  ├─ InvalidBodyError             the body is not a document at all
    │  │  └─ JsonSyntaxError           where in the text it stops being JSON
    │  ├─ InvalidInputError            the document is one, its content is not: every fault at once
    │  ├─ PolicyError                  the connection does not grant this
    │  ├─ TokenRejectedError           an AuthToken opens no plan here
    │  ├─ ResourceNotFoundError        a plan has nothing at this address
    │  ├─ PlanLimitError               a plan holds as much as it may
    │  └─ ExpressionError              a criteria (source, kind)
    │     ├─ ExpressionSyntaxError     it does not parse
    │     └─ ExpressionValueError      it parses, and cannot be evaluated on this answer
    │        └─ AnswerNotJsonError     it reads the body, and the body is not JSON
    ├─ InvocationStateError            the invocation is not what was expected
    │  ├─ InvocationNotFoundError      there is none of this id
    │  ├─ InvocationEndedError         it has ended otherwise
    │  └─ IdempotencyConflictError     the key stands for another task
    ├─ ConfigurationError              the administrator can mend it
    │  ├─ SettingsError                names of the faulty settings
    │  ├─ ConnectionUnavailableError   one connection is faulty
    │  └─ SealError                    no key at hand opens what was sealed
    └─ DependencyError                 trying again may help
       ├─ StoreUnavailableError        the store cannot be used
       ├─ EntityConflictError          a conditional write found another state than it named
       ├─ BusyError                    the limit of this process is reached
       └─ SendError                    the exchange with the target did not come to an end

Nothing here knows an HTTP status: ``problems`` maps classes to answers, and nothing else does.
``SendError`` and ``ExpressionValueError`` stop at the service, where they become a failed verdict.
No message may hold a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


class Fault(NamedTuple):
    """One thing wrong with a document or a setting.

    Attributes:
        pointer: Where: an RFC 6901 pointer into the document as it was sent, names as typed;
            for a setting, the setting's name. Empty for the document as a whole.
        detail: What is wrong and what would be right, as one sentence.
    """

    pointer: str
    detail: str


class InvokeError(Exception):
    """Base of every exception raised on purpose.

    Attributes:
        message: One sentence for a person. Never holds a secret.
    """

    def __init__(self, message: str) -> None:
        """Keep the sentence."""
        super().__init__(message)
        self.message = message


class RequestError(InvokeError):
    """The request was refused, and nothing was sent to the target."""


class UnsupportedMediaTypeError(RequestError):
    """The body's media type is not one this service reads."""


class LengthRequiredError(RequestError):
    """The body was sent in chunks and did not arrive."""


class BodyTooLargeError(RequestError):
    """The body is longer than the service accepts."""


class InvalidBodyError(RequestError):
    """The body cannot be read as a document."""


class JsonSyntaxError(InvalidBodyError):
    """A text is not JSON, or not JSON as we accept it.

    Attributes:
        line: 1-based line of the first offending character; None where no one place is at fault.
        column: 1-based column, in code points; None likewise.
    """

    def __init__(self, message: str, *, line: int | None = None, column: int | None = None) -> None:
        """Keep the sentence and the place."""
        super().__init__(message)
        self.line = line
        self.column = column


MOST_FAULTS: Final = 100
"""So many are told at once; a document with more is no honest mistake."""


class InvalidInputError(RequestError):
    """The document can be read, but does not describe a task.

    Attributes:
        faults: Every fault found, or the first ``MOST_FAULTS`` and how many more; never empty.
        secrets: Secret values the caller sent, which no fault that is shown may quote.
    """

    def __init__(self, faults: Iterable[Fault], *, secrets: Iterable[str] = ()) -> None:
        """Keep all faults; the message counts them or tells the only one."""
        found = tuple(faults)
        more = len(found) - MOST_FAULTS
        rest = (Fault("", f"There are {more} more faults."),) if more > 0 else ()
        self.faults = (*found[:MOST_FAULTS], *rest)
        self.secrets = tuple(secrets)
        one = len(found) == 1
        super().__init__(found[0].detail if one else f"The request has {len(found)} faults.")


class PolicyError(RequestError):
    """The service connection does not grant what was asked.

    Attributes:
        connection: The connection's name as the administrator wrote it; None until somebody who
            knows it adds it.
    """

    connection: str | None = None


class TokenRejectedError(RequestError):
    """An AuthToken is missing or malformed, or opens no plan of this id."""

    def __init__(self) -> None:
        """Say no more than that: whether there is such a plan is nobody's business."""
        super().__init__("This needs the AuthToken of the plan, as Basic or Bearer authorization.")


class ResourceNotFoundError(RequestError):
    """The Azure-Pipelines-compatible half has nothing at an address."""

    def __init__(self) -> None:
        """Say it; the address is known to who asked."""
        super().__init__("There is nothing at this address, or not with this method.")


class PlanLimitError(RequestError):
    """A plan holds as much of something as it may; the sentence names the limit."""


class ExpressionError(RequestError):
    """Base of what can be wrong with a criteria.

    Attributes:
        source: The whole expression.
        kind: The engine's name of the error (expressions reference, sections 2 and 7).
    """

    def __init__(self, message: str, *, source: str, kind: str) -> None:
        """Keep the sentence, the expression and the kind."""
        super().__init__(message)
        self.source = source
        self.kind = kind


class ExpressionSyntaxError(ExpressionError):
    """A criteria does not parse.

    Attributes:
        token: The offending token as typed; None where the error has none (limits).
        position: 1-based position of the token in UTF-16 code units; None where there is none.
    """

    def __init__(
        self, message: str, *, source: str, kind: str, token: str | None, position: int | None
    ) -> None:
        """Keep what the original engine reports, and the sentence."""
        super().__init__(message, source=source, kind=kind)
        self.token = token
        self.position = position

    @property
    def unquoted(self) -> str:
        """The sentence for an expression that holds a secret: nothing of it is quoted.

        A token may be a piece of a secret, which can no longer be recognised as one.
        """
        place = "" if self.position is None else f" at position {self.position}"
        return (
            f"The expression does not parse ({self.kind}{place}). It holds the value of a secret "
            "variable, so nothing of it is shown; variables['name'] reads a variable without "
            "putting its value into the expression."
        )


class ExpressionValueError(ExpressionError):
    """A criteria cannot be evaluated on this answer.

    Attributes:
        from_kind: The kind a conversion started from (kind ``TypeCast``), else None.
        to_kind: The kind it should have led to, else None.
    """

    def __init__(
        self,
        message: str,
        *,
        source: str,
        kind: str,
        from_kind: str | None = None,
        to_kind: str | None = None,
    ) -> None:
        """Keep what the original engine reports, and the sentence."""
        super().__init__(message, source=source, kind=kind)
        self.from_kind = from_kind
        self.to_kind = to_kind


class AnswerNotJsonError(ExpressionValueError):
    """A criteria reads ``root``, and the target's answer is not JSON."""


class OutputFormatError(RequestError):
    """Outputs cannot be written in the form that is asked for.

    Attributes:
        faults: What stands in the way, each with the pointer of the output.
    """

    def __init__(self, form: str, faults: Iterable[Fault]) -> None:
        """Keep the faults."""
        self.faults = tuple(faults)
        super().__init__(
            f"The form '{form}' cannot hold these outputs exactly: {len(self.faults)} of them. Use "
            "the form 'json', or leave them out."
        )


class InvocationStateError(InvokeError):
    """An invocation is not in the state the call expects."""


class InvocationNotFoundError(InvocationStateError):
    """There is no invocation of this id."""

    def __init__(self) -> None:
        """Say it; the id stands in the address."""
        super().__init__("There is no invocation of this id; ended ones are kept for some days.")


class InvocationEndedError(InvocationStateError):
    """The invocation has ended, and otherwise than the call wants."""


class IdempotencyConflictError(InvocationStateError):
    """An Idempotency-Key was used before, for another task."""

    def __init__(self) -> None:
        """Say what to do."""
        super().__init__(
            "This Idempotency-Key was used for another task; send a new key with a new task, "
            "and the same key only with the very same step and variables."
        )


class ConfigurationError(InvokeError):
    """The service is set up wrongly; no caller can mend it."""


class SettingsError(ConfigurationError):
    """Settings are missing or faulty.

    Attributes:
        faults: Every fault; ``pointer`` is the name of the setting. Never holds a value.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        """Keep all faults; the message names the settings."""
        self.faults = tuple(faults)
        names = ", ".join(dict.fromkeys(fault.pointer for fault in self.faults))
        super().__init__(f"The service is not set up correctly; faulty: {names}.")


class ConnectionUnavailableError(ConfigurationError):
    """A service connection exists, but its definition is faulty.

    Attributes:
        name: The connection's name as the administrator wrote it.
    """

    def __init__(self, name: str) -> None:
        """Keep the name; what is wrong is the administrator's to read in the log."""
        super().__init__(
            f"The service connection '{name}' is faulty and cannot be used; "
            "the service's log names the fault."
        )
        self.name = name


class SealError(ConfigurationError):
    """A waiting step cannot be sealed, or was sealed with a key that is not at hand.

    Trying again changes nothing; the administrator giving the key before does.
    """

    def __init__(self, cause: str) -> None:
        """Name the settings and the cause; never a key, nor anything of the step."""
        super().__init__(
            f"The keys in STATE_KEY and STATE_KEY_PREVIOUS are of no use for this step: {cause}."
        )


class DependencyError(InvokeError):
    """Something this service needs did not do its part; trying again may help."""


class StoreUnavailableError(DependencyError):
    """The store cannot be used.

    Attributes:
        setting: The setting that names it.
        cause: The kind of failure.
        retry_after_s: Whole seconds after which a new try makes sense.
    """

    retry_after_s = 5

    def __init__(self, setting: str, cause: str) -> None:
        """Keep the setting's name, and the kind of failure; never where the store is."""
        super().__init__(f"The store that the setting {setting} names cannot be used ({cause}).")
        self.setting = setting
        self.cause = cause


class OutcomeUnknownError(DependencyError):
    """A task that may outlive its call was perhaps stored, and then runs."""

    def __init__(self, cause: StoreUnavailableError) -> None:
        """Say what to do about it."""
        super().__init__(
            f"{cause.message} The task may have been stored all the same, and then runs; repeat "
            "the call only with the same Idempotency-Key."
        )


class EntityConflictError(DependencyError):
    """A conditional write found another state than the one it named; nothing was changed.

    Whoever wrote reads again and decides anew. It reaches a caller only where that went on for
    too long.

    Attributes:
        retry_after_s: Whole seconds after which a new try makes sense.
    """

    retry_after_s = 1

    def __init__(self) -> None:
        """Say it; which row it was is nobody's business."""
        super().__init__("The state was changed by others again and again; try again shortly.")


class BusyError(DependencyError):
    """A limit of this process is reached; nothing was started.

    Attributes:
        retry_after_s: Whole seconds after which a new try makes sense.
        connection: The connection whose limit it is; None where it is that of the process.
    """

    def __init__(self, message: str, *, retry_after_s: int, connection: str | None = None) -> None:
        """Keep the sentence, the delay and the name."""
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.connection = connection


class SendError(DependencyError):
    """An exchange with a target did not come to an end.

    Attributes:
        code: A member of ``model.ReasonCode``, as text.
        effect: A member of ``model.Effect``, as text: what is known of the request's effect.
    """

    def __init__(self, message: str, *, code: str, effect: str) -> None:
        """Keep the sentence, the reason code and what is known of the effect."""
        super().__init__(message)
        self.code = code
        self.effect = effect


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """Return a sentence that names the known word nearest to a mistyped one.

    Args:
        typed: What was written.
        known: The words that would have been right.

    Returns:
        A sentence with a blank before it, or nothing where no word is near.
    """
    # Imported here: only a fault pays for it.
    import difflib  # noqa: PLC0415

    by_lower = {word.lower(): word for word in known}
    near = difflib.get_close_matches(typed.lower()[:100], by_lower, n=1, cutoff=0.6)
    return f" Did you mean '{by_lower[near[0]]}'?" if near else ""
