"""The compatible half through its real handlers: no 5xx, no foreign plan, no token told."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final

from fuzz.draw import Draw, Target
from fuzz.memory_store import MemoryStore
from tests.pipelines.conftest import PASSWORD, Answered, basic, call, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    Call = Callable[..., Answered]

GUID: Final = "11111111-2222-3333-4444-555555555555"
TOKENS: Final = (
    "{plan}", "{job}", "{task}", "{timeline}", "{token}", PASSWORD, GUID, "value", "id", "name",
    "TaskCompleted", "TaskStarted", "jobId", "taskId", "result", "succeeded", "failed", "canceled",
    "state", "completed", "inProgress", "log", "issues", "type", "message", "variables",
    "isSecret", "isReadOnly", "details", "changeId", "parentId", "startTime", "path", "task",
    "2026-11-24T12:00:00Z", "percentComplete", "100", "##vso[", "\x1b[", "\r\n", "\ufeff", "",
)  # fmt: skip
PATHS: Final = (
    "", "/events", "/logs", "/logs/1", "/logs/0", "/timelines", "/timelines/{timeline}",
    "/timelines/{timeline}/records", "/timelines/{timeline}/records/{job}/feed", "/..", "/%2e%2e",
    "//events", "/timelines/x/records", "/logs/1?startLine=2&endLine=x", "/%00",
)  # fmt: skip
METHODS: Final = ("POST", "GET", "PATCH", "OPTIONS", "PUT", "DELETE")
BODIES: Final = (
    '{"name":"TaskCompleted","jobId":"{job}","taskId":"{task}","result":"succeeded"}',
    '{"name":"TaskCompleted","jobId":"{job}","taskId":"{task}","result":"failed"}',
    '{"value":[{"id":"{task}","state":"completed","result":"failed","log":{"id":1}}]}',
    '{"value":[{"id":"' + GUID + '","variables":{"a":{"value":"{token}","isSecret":true}}}]}',
    '{"value":["{token}","a"],"count":2}', '{"path":"logs\\\\1"}', "{token}\n", "",
)  # fmt: skip


def check(data: bytes, *, send: Call = call) -> None:
    """Send requests about one plan, and watch another one beside it."""
    draw = Draw(data)
    store = MemoryStore()
    own, other = make_plan(store), make_plan(store)
    foreign = other.raw()
    ids = own.correlation
    known = {
        "{plan}": ids.plan_id, "{job}": ids.job_id, "{task}": ids.task_instance_id,
        "{timeline}": ids.timeline_id, "{token}": own.token,
    }  # fmt: skip

    def filled(text: str) -> str:
        for name, value in known.items():
            text = text.replace(name, value)
        return text

    end = None
    for _ in range(1 + draw.byte() % 5):
        method, below = draw.pick(METHODS), filled(draw.pick(PATHS))
        below += filled(draw.word(TOKENS)) if draw.byte() % 6 == 0 else ""
        shape = draw.byte() % 4
        content = (
            draw.rest() if shape == 0 else json.dumps(draw.document(TOKENS)) if shape == 1
            else draw.pick(BODIES)
        )  # fmt: skip
        body = filled(content).encode("utf-8", "surrogateescape")
        access = draw.byte() % 8
        token = (other.token, "", "x" * 43)[access] if access < 3 else own.token
        # Whoever holds one plan's token tries it on the other.
        plan = other if access == 7 else own
        before = own.raw()
        headers = {"authorization": basic(token) if draw.byte() % 2 else f"Bearer {token}"}
        if draw.byte() % 8 == 1:
            headers["transfer-encoding"] = "chunked"
        answered = send(own.handlers, method, plan.path + below, body, headers=headers)
        assert answered.status < 500, (answered.status, answered.body)
        told = answered.body.decode("utf-8", "replace") + str(dict(answered.headers))
        encoded = base64.b64encode(own.token.encode()).decode().rstrip("=")
        for secret in (own.token, other.token, encoded):
            assert secret not in told, told
            assert secret not in own.raw()
        assert PASSWORD not in told
        assert PASSWORD not in own.raw()
        assert other.raw() == foreign
        if access < 3 or access == 7 or answered.status >= 400:
            assert own.raw() == before
        result = own.record().invocation.result
        assert end is None or result is end
        end = result


TARGET: Final = Target(
    check,
    tuple(
        bytes([1, method, path, 1, 2, body, 5, 1, 3])
        for method in range(3)
        for path in range(9)
        for body in range(8)
    ),
    TOKENS,
)
