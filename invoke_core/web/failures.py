"""What went wrong with a request becomes a problem for its caller, and a line for operators."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke_core.problems import INTERNAL, internal_problem, problem_of, problem_type
from invoke_core.telemetry import incident_line, problem_lines, tell

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from invoke_core.errors import InvokeError
    from invoke_core.ports import NewId
    from invoke_core.problems import Problem


def told_problem(
    error: InvokeError,
    *,
    headers: Mapping[str, str],
    instance: str,
    secrets: Iterable[str] = (),
) -> Problem:
    """Return the problem of an error raised on purpose.

    Args:
        error: The error.
        headers: Those of the request.
        instance: Path of the request.
        secrets: What the caller may have written where no secret belongs.
    """
    kind = problem_type(type(error))
    tell(*problem_lines(error, status=kind.status, code=kind.code, headers=headers))
    return problem_of(error, instance=instance, secrets=secrets)


def told_incident(
    *, new_id: NewId, headers: Mapping[str, str], instance: str, secrets: Iterable[str] = ()
) -> Problem:
    """Return the problem of the exception that is being handled, which nobody foresaw.

    The caller gets the incident's id, the log the rest; arguments are those of ``told_problem``.
    """
    incident = new_id()
    line = incident_line(incident, status=INTERNAL.status, code=INTERNAL.code, headers=headers)
    tell(line, exc_info=True)
    return internal_problem(incident, instance=instance, secrets=secrets)
