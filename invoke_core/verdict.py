"""An answer and a criteria become a verdict.

Source: HTTP contract, section 2 ("ApiResponse"): the task succeeds when the status is valid and,
where a criteria is given, the criteria is true. Without a criteria the body does not matter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from invoke_core.errors import AnswerNotJsonError
from invoke_core.expressions import answer_scope
from invoke_core.model import CriteriaView, Effect, Reason, ReasonCode, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from invoke_core.answers import AnswerReading
    from invoke_core.expressions import Criteria, Scope

_RANGE: Final = re.compile(r"\s*([1-9]\d\d)\s*(?:-\s*([1-9]\d\d)\s*)?", re.ASCII)


_WRONG_AUDIENCE: Final = "InvalidAuthenticationTokenAudience"
"""What Azure Resource Manager says to a token for another API (agentless protocol, section 7)."""


@dataclass(frozen=True, slots=True)
class StatusCodes:
    """The status codes that count as success.

    Attributes:
        text: As they were written, such as ``200-299,404``.
        ranges: First and last code of each range.
    """

    text: str
    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def parse(cls, text: str) -> StatusCodes:
        """Read codes and ranges separated by commas.

        Raises:
            ValueError: A part is neither a code (100 to 999) nor a rising range; the message is
                that part.
        """
        ranges = []
        for part in text.split(","):
            found = _RANGE.fullmatch(part)
            if found is None or (found[2] and found[2] < found[1]):
                raise ValueError(part.strip())
            ranges.append((int(found[1]), int(found[2] or found[1])))
        return cls(text, tuple(ranges))

    def __contains__(self, status: object) -> bool:
        """Tell whether a status counts as success."""
        return isinstance(status, int) and any(
            first <= status <= last for first, last in self.ranges
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a task ended, and why.

    Attributes:
        result: Succeeded or failed.
        reason: Why it failed; None where it succeeded.
        criteria: How the criteria was evaluated; None where none was.
    """

    result: Result
    reason: Reason | None = None
    criteria: CriteriaView | None = None


def judge(
    reading: AnswerReading,
    *,
    valid: StatusCodes,
    criteria: Criteria | None,
    variables: Mapping[str, str],
    task_inputs: Mapping[str, str],
    mask: Callable[[str], str],
) -> Verdict:
    """Judge an answer.

    Args:
        reading: The answer.
        valid: Status codes that count as success.
        criteria: What the answer has to satisfy, or None.
        variables: Values for ``variables[…]``.
        task_inputs: Values for ``taskInputs[…]``.
        mask: Removes secrets from what is shown of the evaluation.

    Returns:
        The verdict; an evaluation that fails is a verdict too.
    """
    status = reading.answer.status
    if status not in valid:
        return _failed(
            ReasonCode.STATUS_CODE,
            f"The target answered {status}, and validStatusCodes is {mask(valid.text)}."
            f"{_hint(reading)}",
        )
    if criteria is None:
        return Verdict(result=Result.SUCCEEDED)
    scope = scope_of(reading, variables=variables, task_inputs=task_inputs)
    return _judge_criteria(criteria, scope, reading, mask)


def scope_of(
    reading: AnswerReading, *, variables: Mapping[str, str], task_inputs: Mapping[str, str]
) -> Scope:
    """Return what an expression can read of an answer; see ``judge``."""
    return answer_scope(
        root=reading.root,
        content=reading.content,
        status=reading.answer.status,
        headers=reading.headers,
        variables=variables,
        task_inputs=task_inputs,
    )


def _judge_criteria(
    criteria: Criteria, scope: Scope, reading: AnswerReading, mask: Callable[[str], str]
) -> Verdict:
    try:
        evaluation = criteria.explain(scope, mask=mask)
    except AnswerNotJsonError as error:
        view = CriteriaView(
            expression=criteria.shown(mask), result=None, trace=(), explanation=None
        )
        message = f"{error.message}{reading.excerpt(mask)}"
        return _failed(ReasonCode.RESPONSE_NOT_JSON, message, view)
    view = CriteriaView(
        expression=criteria.shown(mask),
        result=evaluation.result,
        trace=evaluation.trace,
        explanation=None if evaluation.result else evaluation.explanation,
    )
    if evaluation.error is not None:
        return _failed(ReasonCode.CRITERIA_ERROR, evaluation.message, view)
    if not evaluation.result:
        return _failed(ReasonCode.CRITERIA_NOT_MET, evaluation.message, view)
    return Verdict(result=Result.SUCCEEDED, criteria=view)


def _hint(reading: AnswerReading) -> str:
    """Return a sentence on what is wrong with a credential, where the target says it."""
    challenge = next(
        (value for name, value in reading.headers.items() if name.lower() == "www-authenticate"), ""
    )
    refused = reading.answer.status == 401
    if not refused or not (_WRONG_AUDIENCE in challenge or _WRONG_AUDIENCE in reading.text):
        return ""
    return (
        f" It says {_WRONG_AUDIENCE}: the token is for another audience. Check the service"
        " connection's auth.scope, and its environment or audience."
    )


def _failed(code: ReasonCode, message: str, criteria: CriteriaView | None = None) -> Verdict:
    reason = Reason(code, message, Effect.ANSWERED)
    return Verdict(result=Result.FAILED, reason=reason, criteria=criteria)
