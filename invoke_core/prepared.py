"""A request that may be sent, and what may be shown of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from invoke_core.headers import (
    credential_header,
    secret_texts,
)
from invoke_core.model import (
    MASK,
    OutgoingRequest,
    RequestView,
)
from invoke_core.variables import Masker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke_core.connections import Connection
    from invoke_core.events import Exchanged, StatusUrl
    from invoke_core.inputs import Task
    from invoke_core.model import Correlation

# A trace id of zeros alone is none (W3C Trace Context).
_TRACE_PARENT: Final = re.compile(
    r"[0-9a-f]{2}-(?P<trace_id>(?!0{32})[0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}"
)
_TRACE_STATE: Final = re.compile(r"[\x20-\x7e]{1,512}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request that may be sent.

    Attributes:
        task: The task it belongs to.
        caller: Who asked for it.
        connection: The connection it uses.
        request: What will stand on the wire.
        view: What may be shown of it.
        masker: Hides the secrets of the task, in what its author wrote.
        credential: Hides the connection's own credentials, in what comes from the target. The
            author's own text is not searched for them: it would tell whoever may use the
            connection whether he guessed one.
        warnings: Remarks for the author, masked.
        asked: The status URL that is asked; None for the request of the task itself.
    """

    task: Task
    caller: str
    connection: Connection
    request: OutgoingRequest = field(repr=False)
    view: RequestView
    masker: Masker
    credential: Masker
    warnings: tuple[str, ...]
    asked: StatusUrl | None = None

    def shown(self, text: str) -> str:
        """Return a sentence that may quote the target as it may be shown."""
        return self.masker.show(self.credential.hide(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of a request.

    Attributes:
        outcome: For the state machine.
        body_bytes: Length of the answer's body.
    """

    outcome: Exchanged
    body_bytes: int = 0


@lru_cache(maxsize=256)
def credential_masker(connection: Connection) -> Masker:
    """Return what masks the credentials of a connection; making it costs more than using it."""
    return Masker(secret_texts(connection))


def shown_headers(
    headers: tuple[tuple[str, str], ...], connection: Connection, masker: Masker
) -> dict[str, str]:
    """Return the headers of a request as they may be shown, the credential's by its name."""
    credential = credential_header(connection.auth)
    hidden = credential[0] if credential else None
    return {
        masker.show(name): MASK if name == hidden else masker.show_header(name, value)
        for name, value in headers
    }


def with_trace(
    headers: tuple[tuple[str, str], ...], trace: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Carry a well-formed trace context on, unless the caller set one for the target."""
    parent = trace.get("traceparent", "")
    names = {name.lower() for name, _ in headers}
    if "traceparent" in names or not _TRACE_PARENT.fullmatch(parent):
        return headers
    state = trace.get("tracestate", "")
    carried = [("traceparent", parent)]
    if "tracestate" not in names and _TRACE_STATE.fullmatch(state):
        carried.append(("tracestate", state))
    return (*headers, *carried)


def trace_id_of(headers: Mapping[str, str]) -> str | None:
    """Return the trace that headers place a request in: 32 hex digits, whoever wrote the headers.

    Args:
        headers: Names in any letter case, with values.

    Returns:
        The trace id; None where there is no well-formed ``traceparent``.
    """
    parents = (value for name, value in headers.items() if name.lower() == "traceparent")
    found = _TRACE_PARENT.fullmatch(next(parents, ""))
    return found["trace_id"] if found else None


def tls_warnings(connection: Connection) -> list[str]:
    """Warn where a connection believes whoever answers."""
    if connection.tls.verify:
        return []
    return [f"The connection '{connection.name}' does not check its target's certificate."]


def correlation_warnings(
    request: OutgoingRequest, correlation: Correlation, token: str
) -> list[str]:
    """Warn where the external service is not told what it needs for calling back.

    Version 0 of the task sent the values in the body (agentless protocol, section 7), so the body
    counts as well.
    """
    needed = {
        "system.CollectionUri": correlation.plan_url,
        "system.TeamProjectId": correlation.project_id,
        "system.PlanId": correlation.plan_id,
        "system.JobId": correlation.job_id,
        "system.TaskInstanceId": correlation.task_instance_id,
        "system.AccessToken": token,
    }
    told = "\n".join([request.url, *(value for _, value in request.headers)])
    if request.body is not None:
        told += request.body.decode("utf-8", "replace")
    missing = [f"$({name})" for name, value in needed.items() if value not in told]
    if not missing:
        return []
    text = (
        "The external service cannot complete the task: neither its headers nor the body hold "
        f"{', '.join(missing)}. Leave the input 'headers' out for the usual ones."
    )
    return [text]
