"""Calls to instances; whatever is answered goes into the ledger."""

from __future__ import annotations

import json
import time
from contextlib import closing
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

from tests.chaos.ledger import Told

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 15.0
"""So long a client waits; it learns nothing from a call that takes longer."""

_NOT_STORED = "it is not stored"


@dataclass(frozen=True)
class Answer:
    """One answer; without a status where none came."""

    asked_at: float
    at: float
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0]

    @property
    def retry_after(self) -> str:
        return self.headers.get("retry-after", "")

    @property
    def document(self) -> Any:  # noqa: ANN401  # any JSON
        return json.loads(self.body) if self.body else {}

    @property
    def problem_code(self) -> str:
        return str(self.document.get("code", "")) if self.media_type.endswith("json") else ""


def call(
    port: int,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Call an instance once; an answer that does not come whole is none."""
    asked_at = time.monotonic()
    sent = {"Content-Type": "application/json", **(headers or {})}
    with closing(HTTPConnection("127.0.0.1", port, timeout=timeout_s)) as connection:
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, HTTPException):
            return Answer(asked_at, time.monotonic())
        names = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(asked_at, time.monotonic(), answer.status, names, content)


def told(answer: Answer, *, how: str, server: int, **known: str) -> Told:
    """Return what a caller was told about an invocation.

    Args:
        answer: The answer.
        how: As in ``Told``.
        server: Likewise.
        known: Further members: item, trace, plan.
    """
    common: dict[str, Any] = {
        "asked_at": answer.asked_at,
        "at": answer.at,
        "how": how,
        "server": server,
        "status": answer.status,
        "media_type": answer.media_type,
        "retry_after": answer.retry_after,
        **known,
    }
    if answer.media_type != "application/json":
        return Told(**common, code=answer.problem_code)
    form = answer.document
    if "state" not in form:
        return Told(**common)
    return Told(
        **{
            **common,
            "plan": form["id"],
            "state": form["state"],
            "result": form["result"] or "",
            "code": (form["reason"] or {}).get("code", ""),
            "response": (form["response"] or {}).get("status"),
            "is_stored": not any(_NOT_STORED in one["message"] for one in form["issues"]),
        }
    )
