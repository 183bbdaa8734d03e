"""The shapes of what is read back, as strictly as the strictest client reads them.

That is .NET's: a member of another type, or a time or GUID it cannot parse, is an exception there.

Source: agentless protocol, sections 3 and 4.2.
"""

from __future__ import annotations

import re
from typing import Any

_GUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,7})?Z")
_VERSION = re.compile(r"[0-9]\.[0-9]")

_RECORD = {
    "id": "guid",
    "parentId": "guid?",
    "type": "text",
    "name": "text?",
    "startTime": "time?",
    "finishTime": "time?",
    "currentOperation": "text?",
    "percentComplete": "whole?",
    "state": "text?",
    "result": "text?",
    "resultCode": "text?",
    "changeId": "whole",
    "lastModified": "time",
    "workerName": "text?",
    "log": "object?",
    "details": "object?",
    "errorCount": "whole",
    "warningCount": "whole",
    "location": "text?",
    "attempt": "whole",
    "identifier": "text?",
}
_RECORD_WHERE_SET = {
    "queueId": "whole",
    "order": "whole",
    "refName": "text",
    "issues": "list",
    "task": "object",
    "variables": "object",
    "agentSpecification": "object",
}
_LOG = {
    "id": "whole",
    "location": "text?",
    "path": "text",
    "lineCount": "whole",
    "createdOn": "time",
    "lastChangedOn": "time",
}
_PLAN = {
    "planId": "guid",
    "scopeIdentifier": "guid",
    "planType": "text",
    "version": "whole",
    "planGroup": "text?",
    "artifactUri": "text?",
    "artifactLocation": "text?",
    "definition": "object?",
    "owner": "object?",
    "state": "text",
    "timeline": "object",
}
_TIMELINE = {
    "id": "guid",
    "changeId": "whole",
    "location": "text?",
    "lastChangedBy": "guid",
    "lastChangedOn": "time",
}
_LOCATION = {
    "id": "guid",
    "area": "text",
    "resourceName": "text",
    "routeTemplate": "text",
    "resourceVersion": "whole",
    "minVersion": "version",
    "maxVersion": "version",
    "releasedVersion": "version",
}
_STATES = {"pending", "inProgress", "completed", "delayed", None}
_RESULTS = {
    "succeeded",
    "succeededWithIssues",
    "failed",
    "canceled",
    "skipped",
    "abandoned",
    None,
}


def check_record(record: dict[str, Any]) -> None:
    """See that a timeline record can be read, and given ``variables`` where it has none."""
    _check(record, _RECORD, where_set=_RECORD_WHERE_SET)
    # The hand-written sample adds the member, and fails where it is there and empty.
    assert all(record.get(name, "set") for name in _RECORD_WHERE_SET)
    assert record["state"] in _STATES
    assert record["result"] in _RESULTS
    assert record["attempt"] >= 1
    if record["log"] is not None:
        _check(record["log"], {"id": "whole", "location": "text?"})


def check_log(log: dict[str, Any]) -> None:
    """See that a log can be read, and written to by its number."""
    _check(log, _LOG)
    assert log["id"] > 0


def check_plan(plan: dict[str, Any]) -> None:
    """See that a plan can be read."""
    _check(plan, _PLAN)
    assert plan["state"] in {"inProgress", "completed"}
    _check(plan["timeline"], {"id": "guid", "changeId": "whole", "location": "text?"})


def check_timeline(timeline: dict[str, Any]) -> None:
    """See that a timeline can be read, with its records where they are there."""
    _check(timeline, _TIMELINE, where_set={"records": "list"})
    for record in timeline.get("records", []):
        check_record(record)


def check_location(location: dict[str, Any]) -> None:
    """See that a resource location can be read: its versions are texts with a dot."""
    _check(location, _LOCATION)


def check_guid(text: object) -> None:
    """See that this is a GUID in lower case, and not the empty one."""
    assert _is("guid", text)
    assert text != "00000000-0000-0000-0000-000000000000"


def _check(
    value: dict[str, Any], kinds: dict[str, str], *, where_set: dict[str, str] | None = None
) -> None:
    more = where_set or {}
    assert kinds.keys() <= value.keys() <= kinds.keys() | more.keys(), value
    for name, content in value.items():
        kind = {**kinds, **more}[name]
        assert _is(kind.rstrip("?"), content) or (kind.endswith("?") and content is None), (
            name,
            content,
        )


def _is(kind: str, value: object) -> bool:
    match kind:
        case "whole":
            return isinstance(value, int) and not isinstance(value, bool)
        case "object":
            return isinstance(value, dict)
        case "list":
            return isinstance(value, list)
        case "text":
            return isinstance(value, str)
        case _:
            form = {"guid": _GUID, "time": _TIME, "version": _VERSION}[kind]
            return isinstance(value, str) and form.fullmatch(value) is not None
