"""The timeline of a plan: its records as they are merged and shown.

A Job record and a Task record are there from the start without being stored: they are what the
invocation is. What an external service sends lies over them, until the invocation has ended; then
both tell its end, whatever was or will be sent.

A record is a document here, members in camelCase; its GUIDs are lower-case.

Source: HTTP contract, section 6; agentless protocol, sections 4.2 and 4.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.callback_values import NO_GUID
from invoke_core.documents import JsonNumber, dump_json
from invoke_core.encoding import optional_time_form, time_form
from invoke_core.errors import PlanLimitError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from invoke_core.documents import JsonValue
    from invoke_core.patches import RecordPatch
    from invoke_core.records import Record

    Form = dict[str, JsonValue]

MOST_RECORDS: Final = 1_000
"""Records an external service may create beside the Job and the Task record."""

LONGEST_RECORD_BYTES: Final = 256 * 1024
"""Of one record as JSON, without the values of its variables, which have a limit of their own."""

MOST_VARIABLES: Final = 100
LONGEST_VARIABLE_BYTES: Final = 32 * 1024
_TOO_MANY_VARIABLES: Final = f"A plan has at most {MOST_VARIABLES} variables."

_PLAN_VERSION: Final = 13
"""Above 12, at which a client of the Gates hub sends the ordinary pair of ids."""

_MEMBERS: Final = (
    "id",
    "parentId",
    "type",
    "name",
    "startTime",
    "finishTime",
    "currentOperation",
    "percentComplete",
    "state",
    "result",
    "resultCode",
    "changeId",
    "lastModified",
    "workerName",
    "queueId",
    "order",
    "refName",
    "log",
    "details",
    "errorCount",
    "warningCount",
    "issues",
    "task",
    "variables",
    "location",
    "attempt",
    "identifier",
    "agentSpecification",
)
"""In the order in which they are shown."""

_OPTIONAL: Final = frozenset(
    {"queueId", "order", "refName", "issues", "task", "variables", "agentSpecification"}
)
"""Members that are left out when empty; the others are null then.

The protocol's hand-written sample adds ``variables`` to the record it read, and fails where the
member is there already (agentless protocol, section 4.2).
"""


def merged(stored: Form | None, patch: RecordPatch) -> Form:
    """Return what a patch makes of a stored record.

    Args:
        stored: The record; None where there is none yet.
        patch: What is to change. ``variables`` are merged by name, anything else is replaced.

    Returns:
        The record; the value of a secret variable is not in it. Equal to ``stored`` where nothing
        changes.
    """
    record = {"id": patch.id, **(stored or {}), **patch.members}
    if "variables" in patch.members:
        before = (stored or {}).get("variables")
        record["variables"] = _merged_variables(
            before if isinstance(before, dict) else {}, patch.members["variables"]
        )
    return record


def judge_variables(patches: Sequence[RecordPatch]) -> None:
    """See that a PATCH holds no more and no longer variables than a plan may have.

    Asked before anything is done with them: masking with secrets costs with each of them.

    Raises:
        PlanLimitError: It holds more.
    """
    values = [value for patch in patches for value in _variables_in(patch.members).values()]
    if len(values) > MOST_VARIABLES:
        raise PlanLimitError(_TOO_MANY_VARIABLES)
    if any(len(value.encode("utf-8", "replace")) > LONGEST_VARIABLE_BYTES for value in values):
        raise PlanLimitError(f"A variable has at most {LONGEST_VARIABLE_BYTES} bytes (32 KiB).")


def judge_records(record: Record, records: Mapping[str, Form], *, changed: Iterable[Form]) -> int:
    """Return how many variables a plan has, if it may have these records.

    Args:
        record: The invocation.
        records: All stored records by id, as they are to be.
        changed: Those of them that are new or changed.

    Raises:
        PlanLimitError: They are too many, too long, or have too many variables.
    """
    ids = record.invocation.correlation
    if len(records.keys() - {ids.job_id, ids.task_instance_id}) > MOST_RECORDS:
        raise PlanLimitError(f"A plan has at most {MOST_RECORDS} records.")
    if any(_size_bytes(form) > LONGEST_RECORD_BYTES for form in changed):
        raise PlanLimitError(
            f"A record has at most {LONGEST_RECORD_BYTES} bytes (256 KiB) of JSON."
        )
    variables = sum(len(_variables_in(form)) for form in records.values())
    if variables > MOST_VARIABLES:
        raise PlanLimitError(_TOO_MANY_VARIABLES)
    return variables


def shown_records(record: Record, stored: Mapping[str, Form]) -> dict[str, Form]:
    """Return the records of a plan as they are shown, by id.

    Args:
        record: The invocation.
        stored: Its stored records by id.

    Returns:
        The Job record, the Task record, then the others in the order of ``stored``.
    """
    own = _own_records(record)
    end = _end(record)
    return {
        key: _shown({**own.get(key, {}), **stored.get(key, {}), **(end if key in own else {})})
        for key in {**own, **stored}
    }


def plan_form(record: Record, *, changes: int) -> Form:
    """Return a plan as it is shown.

    Args:
        record: The invocation.
        changes: Changes of its timeline so far.
    """
    ids = record.invocation.correlation
    return {
        "planId": ids.plan_id,
        "scopeIdentifier": ids.project_id,
        "planType": ids.hub_name,
        "version": _PLAN_VERSION,
        "planGroup": None,
        "artifactUri": None,
        "artifactLocation": None,
        "definition": None,
        "owner": None,
        "state": "completed" if record.is_final else "inProgress",
        "timeline": {"id": ids.timeline_id, "changeId": changes, "location": None},
    }


def timeline_form(
    record: Record, *, timeline_id: str, changes: int, records: list[Form] | None
) -> Form:
    """Return a timeline as it is shown.

    Args:
        record: The invocation.
        timeline_id: The id it was asked for by.
        changes: Its changes so far.
        records: Its records, where they are wanted.
    """
    invocation = record.invocation
    form: Form = {
        "id": timeline_id,
        "changeId": changes,
        "location": None,
        "lastChangedBy": NO_GUID,
        "lastChangedOn": time_form(invocation.finished_at or invocation.created_at),
    }
    if records is not None:
        form["records"] = [*records]
    return form


def stamped(record: Form, *, change_id: int, now: datetime) -> Form:
    """Return a record that was changed just now."""
    return {**record, "changeId": JsonNumber(str(change_id)), "lastModified": time_form(now)}


def _own_records(record: Record) -> dict[str, Form]:
    invocation = record.invocation
    ids = invocation.correlation
    started: Form = {
        "state": invocation.state.value,
        "startTime": optional_time_form(invocation.started_at),
        "lastModified": time_form(invocation.created_at),
    }
    job: Form = {"id": ids.job_id, "type": "Job", "name": "Job", **started}
    task: Form = {
        "id": ids.task_instance_id,
        "parentId": ids.job_id,
        "type": "Task",
        "name": invocation.display_name,
        **started,
    }
    return {ids.job_id: job, ids.task_instance_id: task}


def _end(record: Record) -> Form:
    """Return what an ended invocation says of its records, whatever was sent."""
    invocation = record.invocation
    if not record.is_final or invocation.result is None:
        return {}
    return {
        "state": invocation.state.value,
        "result": invocation.result.value,
        "finishTime": optional_time_form(invocation.finished_at),
    }


def _shown(record: Form) -> Form:
    whole = {"changeId": 0, "errorCount": 0, "warningCount": 0, "attempt": 1, **record}
    return {name: whole.get(name) for name in _MEMBERS if name not in _OPTIONAL or whole.get(name)}


def _merged_variables(before: Form, given: JsonValue) -> Form:
    """Merge variables by name without case; the name that was there first stays."""
    variables = dict(before)
    names = {name.lower(): name for name in variables}
    for typed, change in given.items() if isinstance(given, dict) else ():
        name = names.setdefault(typed.lower(), typed)
        old = variables.get(name)
        variable: Form = {
            "value": None,
            **(old if isinstance(old, dict) else {}),
            **(change if isinstance(change, dict) else {}),
        }
        if variable.get("isSecret"):
            variable["value"] = None
        variables[name] = {key: part for key, part in variable.items() if part is not False}
    return variables


def _variables_in(record: Form) -> dict[str, str]:
    """Return the variables of a record; those that are secret have no value."""
    variables = record.get("variables")
    return {
        name: value if isinstance(value := variable.get("value"), str) else ""
        for name, variable in (variables.items() if isinstance(variables, dict) else ())
        if isinstance(variable, dict)
    }


def _size_bytes(record: Form) -> int:
    counted = {**record, "variables": list(_variables_in(record))}
    return len(dump_json(counted).encode())
