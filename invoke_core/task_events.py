"""The events an external service sends about its task.

Source: HTTP contract, section 6; agentless protocol, sections 4.1 and 5.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from invoke_core.callback_values import NO_GUID, guid_form, members, read_enum
from invoke_core.errors import InvalidInputError, did_you_mean
from invoke_core.model import Result
from invoke_core.steps import FaultList

if TYPE_CHECKING:
    from invoke_core.callback_values import Member
    from invoke_core.documents import JsonValue
    from invoke_core.model import Correlation

RESULTS: Final = tuple(result.value for result in Result)
"""In the order of the protocol's numbers, from 0."""


class EventName(StrEnum):
    """The events a task knows; their names are compared exactly."""

    TASK_ASSIGNED = "TaskAssigned"
    TASK_STARTED = "TaskStarted"
    TASK_COMPLETED = "TaskCompleted"


@dataclass(frozen=True, slots=True)
class TaskEvent:
    """An event of this plan's task; ``result`` is there with ``TaskCompleted`` and only then."""

    name: EventName
    result: Result | None


def read_event(document: JsonValue, correlation: Correlation) -> TaskEvent:
    """Read an event.

    Args:
        document: What was sent.
        correlation: The identifiers of the plan it was sent to.

    Raises:
        InvalidInputError: It is no event of this plan's task; every fault at once.
    """
    found = members(document, "")
    faults = FaultList()
    name = _name(found, faults)
    _judge_ids(found, correlation, faults)
    result = None
    if name is EventName.TASK_COMPLETED:
        result = _result(found, faults)
    if name is None or faults.faults:
        raise InvalidInputError(faults.faults)
    return TaskEvent(name, result)


def _name(found: dict[str, Member], faults: FaultList) -> EventName | None:
    member = found.get("name")
    value = member.value if member else None
    for name in EventName:
        if value == name.value:
            return name
    near = did_you_mean(value, list(EventName)) if isinstance(value, str) else ""
    where = member.pointer if member else ""
    faults.add(where, f"The member 'name' has to be one of {', '.join(EventName)}.{near}")
    return None


def _judge_ids(found: dict[str, Member], correlation: Correlation, faults: FaultList) -> None:
    """Note a fault unless the event names this plan's task, in either of the two forms."""
    job, task = found.get("jobid"), found.get("taskid")
    job_id, task_id = _guid(job), _guid(task)
    if (job_id, task_id) == (correlation.job_id, correlation.task_instance_id):
        return
    # The form of the Gates hub: the task instance in the place of the job, and no task.
    if job_id == correlation.task_instance_id and (task is None or task_id == NO_GUID):
        return
    right = f"'jobId' is {correlation.job_id} and 'taskId' is {correlation.task_instance_id}"
    where = job if job_id != correlation.job_id else task
    faults.add(
        where.pointer if where else "",
        f"The event is not of this plan's task, whose {right}; an event has to name both.",
    )


def _guid(member: Member | None) -> str | None:
    return guid_form(member.value) if member and isinstance(member.value, str) else None


def _result(found: dict[str, Member], faults: FaultList) -> Result | None:
    member = found.get("result")
    if member is None:
        faults.add("", f"TaskCompleted needs a 'result': one of {', '.join(RESULTS)}.")
        return None
    try:
        return Result(read_enum(member.value, member.pointer, RESULTS))
    except InvalidInputError as error:
        faults.faults += error.faults
        return None
