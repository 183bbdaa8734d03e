"""The records of a timeline as external services send them, read from a PATCH.

Source: HTTP contract, section 6; agentless protocol, sections 4.2 and 4.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from invoke_core.callback_values import (
    NO_GUID,
    members,
    read_enum,
    read_flag,
    read_guid,
    read_text,
    read_time,
    read_whole,
    refuse,
)
from invoke_core.documents import parse_input
from invoke_core.errors import InvalidBodyError, InvalidInputError, PlanLimitError
from invoke_core.steps import FaultList, pointer
from invoke_core.task_events import RESULTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.callback_values import Member
    from invoke_core.documents import JsonValue
    from invoke_core.uploads import UploadMask

    Form = dict[str, JsonValue]
    Reader = Callable[[JsonValue, str], JsonValue]

STATES: Final = ("pending", "inProgress", "completed", "delayed")
"""In the order of the protocol's numbers, from 0."""

MOST_PATCHES: Final = 1_002
"""Records in one PATCH: those a plan may have beside the Job and the Task record, and these."""

ISSUE_TYPES: Final = ("error", "warning", "notice")
"""Likewise, from 1."""

_WITHOUT_TEXT: Final = frozenset(
    {"parentId", "startTime", "finishTime", "state", "result", "log", "details"}
)
"""Members of which only GUIDs, numbers, times and names of enums are kept."""


@dataclass(frozen=True, slots=True)
class RecordPatch:
    """What a PATCH says about one record.

    Attributes:
        id: The record.
        members: The members that are to change, by their camelCase names.
    """

    id: str
    members: Form = field(repr=False)

    def secrets(self) -> list[str]:
        """Return the values of the secret variables in it."""
        return [
            value
            for variable in _objects(self.members.get("variables"))
            if variable.get("isSecret") and isinstance(value := variable.get("value"), str)
        ]

    def masked(self, mask: UploadMask) -> RecordPatch:
        """Return the patch without secrets; GUIDs and enums stay as they are."""
        masked = {
            name: value if name in _WITHOUT_TEXT else mask.document(value)
            for name, value in self.members.items()
        }
        return RecordPatch(self.id, masked)


def read_patches(document: JsonValue) -> tuple[RecordPatch, ...]:
    """Read the body of a PATCH of records.

    Args:
        document: ``{"value": [record, …]}``; unknown members are passed over, as are those that
            are the server's (``changeId``, ``lastModified``, ``attempt``, ``previousAttempts``,
            ``location``) and those that are null.

    Raises:
        InvalidInputError: Something in it cannot be stored; every fault at once.
        PlanLimitError: It holds more records than a plan may have.
    """
    value = members(document, "").get("value")
    if value is None or not isinstance(value.value, list):
        refuse(value.pointer if value else "", "The member 'value' has to be a list of records.")
    if len(value.value) > MOST_PATCHES:
        raise PlanLimitError(f"One call changes at most {MOST_PATCHES} records.")
    faults = FaultList()
    patches = []
    for place, record in enumerate(value.value):
        try:
            patches.append(_read_patch(record, pointer(value.pointer, place)))
        except InvalidInputError as error:
            faults.faults += error.faults
    if faults.faults:
        raise InvalidInputError(faults.faults)
    return tuple(patches)


def _read_patch(value: JsonValue, where: str) -> RecordPatch:
    found = members(value, where)
    faults = FaultList()
    record_id = ""
    changes: Form = {}
    try:
        record_id = _read_id(found.pop("id", None), where)
    except InvalidInputError as error:
        faults.faults += error.faults
    for name, member in found.items():
        if name not in _READERS:
            continue
        camel, read = _READERS[name]
        try:
            content = read(member.value, member.pointer)
        except InvalidInputError as error:
            faults.faults += error.faults
            continue
        if content is not None:
            changes[camel] = content
    if faults.faults:
        raise InvalidInputError(faults.faults)
    return RecordPatch(record_id, changes)


def _read_id(member: Member | None, where: str) -> str:
    guid = NO_GUID if member is None else read_guid(member.value, member.pointer)
    return guid if guid != NO_GUID else refuse(where, "A record needs its 'id', a GUID.")


def _read_state(value: JsonValue, where: str) -> str:
    return read_enum(value, where, STATES)


def _read_result(value: JsonValue, where: str) -> str:
    return read_enum(value, where, RESULTS)


def _read_log(value: JsonValue, where: str) -> JsonValue:
    """Read a reference to a log; the hand-written sample sends it as JSON in a text."""
    if isinstance(value, str):
        try:
            value = parse_input(value)
        except InvalidBodyError:
            refuse(where, "This has to be an object with the 'id' of a log, or that as JSON text.")
        if value is None:
            return None
    log_id = members(value, where).get("id")
    if log_id is None:
        return None
    number = read_whole(log_id.value, log_id.pointer)
    # An unset id is 0.
    return {"id": number, "location": None} if int(number.text) > 0 else None


def _read_details(value: JsonValue, where: str) -> JsonValue:
    found = members(value, where)
    if "id" not in found:
        return None
    details: Form = {"id": read_guid(found["id"].value, found["id"].pointer)}
    change = found.get("changeid")
    details["changeId"] = read_whole(change.value, change.pointer) if change else None
    details["location"] = None
    return details


def _read_issues(value: JsonValue, where: str) -> JsonValue:
    if not isinstance(value, list):
        refuse(where, "This has to be a list of issues.")
    return [_read_issue(issue, pointer(where, place)) for place, issue in enumerate(value)]


def _read_issue(value: JsonValue, where: str) -> JsonValue:
    found = members(value, where)
    kind = found.get("type")
    issue: Form = {
        "type": read_enum(kind.value, kind.pointer, ISSUE_TYPES, first=1) if kind else "error",
        "category": _optional(found.get("category"), read_text),
        "message": _optional(found.get("message"), read_text),
    }
    if _optional(found.get("isinfrastructureissue"), read_flag):
        issue["isInfrastructureIssue"] = True
    issue["data"] = _optional(found.get("data"), _read_texts) or {}
    return issue


def _read_texts(value: JsonValue, where: str) -> JsonValue:
    """Read an object of texts; its names keep their letter case."""
    if not isinstance(value, dict):
        refuse(where, "This has to be an object of texts.")
    return {
        name: None if text is None else read_text(text, pointer(where, name))
        for name, text in value.items()
    }


def _read_task(value: JsonValue, where: str) -> JsonValue:
    found = members(value, where)
    task: Form = {
        "id": _optional(found.get("id"), read_guid),
        "name": _optional(found.get("name"), read_text),
        "version": _optional(found.get("version"), read_text),
    }
    inputs = _optional(found.get("inputs"), _read_texts)
    return {**task, "inputs": inputs} if inputs else task


def _read_variables(value: JsonValue, where: str) -> JsonValue:
    if not isinstance(value, dict):
        refuse(where, "This has to be an object of variables.")
    variables: Form = {}
    for name, given in value.items():
        if not name:
            refuse(pointer(where, name), "A variable needs a name.")
        if given is not None:
            variables[name] = _read_variable(given, pointer(where, name))
    return variables


def _read_variable(value: JsonValue, where: str) -> Form:
    found = members(value, where)
    variable: Form = {}
    for name, read in _VARIABLE_READERS.items():
        member = found.get(name.lower())
        if member is not None:
            variable[name] = read(member.value, member.pointer)
    return variable


def _read_object(value: JsonValue, where: str) -> JsonValue:
    return value if isinstance(value, dict) else refuse(where, "This has to be a JSON object.")


def _optional(member: Member | None, read: Reader) -> JsonValue:
    return None if member is None else read(member.value, member.pointer)


_VARIABLE_READERS: Final[dict[str, Reader]] = {
    "value": read_text,
    "isSecret": read_flag,
    "isReadOnly": read_flag,
}

_RECORD_READERS: Final[dict[str, Reader]] = {
    "parentId": read_guid,
    "type": read_text,
    "name": read_text,
    "startTime": read_time,
    "finishTime": read_time,
    "currentOperation": read_text,
    "percentComplete": read_whole,
    "state": _read_state,
    "result": _read_result,
    "resultCode": read_text,
    "workerName": read_text,
    "queueId": read_whole,
    "order": read_whole,
    "refName": read_text,
    "log": _read_log,
    "details": _read_details,
    "errorCount": read_whole,
    "warningCount": read_whole,
    "issues": _read_issues,
    "task": _read_task,
    "variables": _read_variables,
    "identifier": read_text,
    "agentSpecification": _read_object,
}

_READERS: Final = {name.lower(): (name, read) for name, read in _RECORD_READERS.items()}


def _objects(value: JsonValue) -> list[Form]:
    children = value.values() if isinstance(value, dict) else ()
    return [child for child in children if isinstance(child, dict)]
