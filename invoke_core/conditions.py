"""Whether a step is to run at all: its condition, the pipeline's state, and ``enabled``.

Source: HTTP contract, section 2 ("A step"); agentless protocol, section 8; expressions reference,
section 8, for the functions that only a condition has.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from invoke_core.errors import ExpressionSyntaxError, ExpressionValueError, did_you_mean
from invoke_core.expressions import compile_condition, condition_scope
from invoke_core.model import ReasonCode

if TYPE_CHECKING:
    from invoke_core.expressions import Criteria, JobStatus
    from invoke_core.steps import FaultList, Step
    from invoke_core.variables import Masker

DEFAULT_CONDITION: Final = "succeeded()"
"""What stands for a condition that is not given."""

STATUS_VARIABLE: Final = "Agent.JobStatus"
"""The variable in which a caller tells the state of the pipeline."""

STATUS_WORDS: Final[dict[str, JobStatus]] = {
    "Succeeded": "succeeded",
    "SucceededWithIssues": "succeeded",
    "Failed": "failed",
    "Canceled": "canceled",
    "success": "succeeded",
    "unstable": "succeeded",
    "failure": "failed",
    "cancelled": "canceled",
    "aborted": "canceled",
}
"""The state of a pipeline, in the words of Azure Pipelines and then in those of others.

GitHub says ``success``, ``failure``, ``cancelled``; GitLab ``success``, ``failed``, ``canceled``;
Jenkins ``SUCCESS``, ``UNSTABLE``, ``FAILURE``, ``ABORTED``. The case of letters does not matter.
Inferred: an unstable build counts as one that succeeded with issues.
"""

_DEFAULT_STATUS: Final = "Succeeded"
_STATUS_BY_WORD: Final = {word.lower(): status for word, status in STATUS_WORDS.items()}
_STATUS_CALL: Final = re.compile(
    r"\b(?:always|succeeded|failed|canceled|succeededOrFailed)\s*\(\s*\)", re.IGNORECASE
)
_LONGEST_QUOTED: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """Why a step does not run.

    Attributes:
        code: ``CONDITION_FALSE`` or ``DISABLED``.
        message: One or two sentences a person can act on, without the caller's secrets.
        trace: How the condition was evaluated, line by line, likewise; empty for ``DISABLED``.
    """

    code: ReasonCode
    message: str
    trace: tuple[str, ...] = ()


def condition_text(step: Step) -> str:
    """Return a step's condition as it was given, or the one that stands for none."""
    return str(step.condition.value) if step.condition else DEFAULT_CONDITION


def read_condition(step: Step, faults: FaultList, masker: Masker) -> Skip | None:
    """Decide whether a step is to run.

    Macros are not expanded in a condition, and what it reads stands in the document; so an
    evaluation that fails is a fault of the document like a condition that does not parse.
    A step that is disabled needs a condition that parses too, but it is not evaluated.

    Args:
        step: The step.
        faults: Receives what is wrong with the condition or with ``Agent.JobStatus``.
        masker: Hides the caller's secrets.

    Returns:
        Why it is skipped; None where it runs, or where there are faults.
    """
    condition = _compiled(step, faults, masker)
    status = _status(step, faults, masker)
    if not step.enabled:
        return Skip(code=ReasonCode.DISABLED, message="The step is disabled: 'enabled' is false.")
    if condition is None or status is None:
        return None
    return _evaluated(condition, status, step, faults, masker)


def _compiled(step: Step, faults: FaultList, masker: Masker) -> Criteria | None:
    text = condition_text(step)
    try:
        return compile_condition(text)
    except ExpressionSyntaxError as error:
        holds_secret = masker.hide(text) != text
        faults.add(_place(step), error.unquoted if holds_secret else error.message)
        return None


def _place(step: Step) -> str:
    return step.condition.pointer if step.condition else step.pointer


def _status(step: Step, faults: FaultList, masker: Masker) -> JobStatus | None:
    """Return the state of the pipeline; None, and a fault, where the variable names none."""
    name = STATUS_VARIABLE.lower()
    variable = step.variables.get(name)
    text = _DEFAULT_STATUS if variable is None else variable.value
    status = _STATUS_BY_WORD.get(text.strip().lower())
    if status is None:
        shown = masker.part(text.strip(), of=text)
        near = did_you_mean(shown, STATUS_WORDS)
        faults.add(
            step.variable_pointers[name],
            f"The variable '{STATUS_VARIABLE}' is the state of the pipeline, one of "
            f"{', '.join(STATUS_WORDS)}; it is '{shown}'.{near}",
        )
    return status


def _evaluated(
    condition: Criteria, status: JobStatus, step: Step, faults: FaultList, masker: Masker
) -> Skip | None:
    # As in Azure Pipelines, the variable can be read where nobody has set it.
    variables = {STATUS_VARIABLE.lower(): _DEFAULT_STATUS}
    variables |= {name: variable.value for name, variable in step.variables.items()}
    scope = condition_scope(status=status, variables=variables)
    # Nearly every condition is met, and then nobody asks why.
    with suppress(ExpressionValueError):
        if condition.test(scope):
            return None
    evaluation = condition.explain(scope, mask=masker.show)
    if evaluation.error is not None:
        faults.add(_place(step), f"The condition cannot be evaluated: {evaluation.message}")
        return None
    shown = " ".join(condition.shown(masker.show).split())
    if len(shown) > _LONGEST_QUOTED:
        shown = f"{shown[:_LONGEST_QUOTED]}..."
    why = evaluation.message
    if _STATUS_CALL.fullmatch(condition.source.strip()):
        why = _state_told(step, masker)
    elif _STATUS_CALL.search(why):
        why = f"{why} {_state_told(step, masker)}"
    return Skip(
        code=ReasonCode.CONDITION_FALSE,
        message=f"The condition {shown} is not met: {why}",
        trace=evaluation.trace,
    )


def _state_told(step: Step, masker: Masker) -> str:
    variable = step.variables.get(STATUS_VARIABLE.lower())
    if variable is None:
        return f"{STATUS_VARIABLE} is not given, which counts as {_DEFAULT_STATUS}."
    return f"{STATUS_VARIABLE} is {masker.part(variable.value.strip(), of=variable.value)}."
