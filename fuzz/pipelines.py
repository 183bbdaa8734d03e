"""The Azure-Pipelines half: no request fails, touches another's plan or is told a secret.

An input is a list of requests with lines of ``---`` between them, each a method and a path, header
lines, an empty line and a body. ``WAIT 60`` lets a minute pass. Names in braces stand for what
nobody can know beforehand: ``{at}`` and ``{of}`` for the paths of a plan and of one beside it,
``{token}`` and ``{theirs}`` for their tokens, ``{basic}`` and ``{basic2}`` for these as Basic
authorization has them, ``{plan}``, ``{job}``, ``{task}`` and ``{timeline}`` for ids of the first.

Every input begins with the same two plans, in a store in memory, behind the real handlers.
"""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final

from fuzz.draw import Target
from fuzz.memory_store import MemoryStore
from invoke_core.drafts import hash_token
from tests.pipelines.conftest import PASSWORD, START, URL_KEY, VARIABLE, Plan, call, make_plan

if TYPE_CHECKING:
    from invoke_core.model import Result
    from invoke_core.ports import Entity
    from tests.pipelines.conftest import Answered

    Rows = dict[tuple[str, str], Entity]

_BASIC: Final = b"\nAuthorization: Basic {basic}\n\n"
_RECORDS: Final = b"PATCH {at}/timelines/{timeline}/records" + _BASIC
_COMPLETED: Final = b'{"name":"TaskCompleted","jobId":"{job}","taskId":"{task}","result":"%b"}'
_GUID: Final = b"0a1b2c3d-0000-4000-8000-00000000000"

SEEDS: Final[tuple[bytes, ...]] = (
    b"POST {at}/events" + _BASIC + _COMPLETED % b"succeeded",
    b"POST {at}/events\nAuthorization: Bearer {token}\n\n" + _COMPLETED % b"failed",
    b"POST {at}/events" + _BASIC + b'{"name":"TaskStarted","jobId":"{task}"}',
    b"POST {at}/events" + _BASIC + _COMPLETED % b"failed" + b"\n---\n"
    b"POST {at}/events" + _BASIC + _COMPLETED % b"succeeded" + b"\n---\nGET {at}" + _BASIC,
    _RECORDS + b'{"value":[{"id":"{task}","state":"inProgress","percentComplete":"5","issues":'
    b'[{"type":"warning","message":"a {token} b","data":{"code":"1"}}],"log":{"id":1}}],"count":1}',
    _RECORDS + b'{"value":[{"id":"' + _GUID + b'1","parentId":"{task}","type":"Task","name":"x",'
    b'"startTime":"2026-11-24T12:00:00.1234567Z","state":2,"result":0,"order":1,"details":{"id":"'
    + _GUID
    + b'2","changeId":3},"task":{"id":"'
    + _GUID
    + b'3","name":"t","inputs":{"a":"b"}},"variables":{"v":{"value":"w","isSecret":true}}}]}'
    b"\n---\nGET {at}/timelines/{timeline}?includeRecords=true"
    + _BASIC
    + b"\n---\nGET {at}/timelines/{timeline}/records"
    + _BASIC,
    b"POST {at}/timelines/{timeline}/records/{job}/feed"
    + _BASIC
    + b'{"value":["one","two\\r\\n"]}',
    b"POST {at}/logs" + _BASIC + b'{"path":"logs\\\\1"}\n---\nPOST {at}/logs/1' + _BASIC + b"line\n"
    b"---\nGET {at}/logs/1?startLine=1&endLine=2" + _BASIC + b"\n---\nGET {at}/logs" + _BASIC,
    b"POST {at}/logs" + _BASIC + b"{}\n---\nPOST {at}/logs/1\nContent-Encoding: gzip\n"
    b"Transfer-Encoding: chunked\nContent-Type: text/plain; charset=utf-16"
    + _BASIC
    + b"\xff\xfe\0",
    b"POST {at}/timelines" + _BASIC + b'{"id":"' + _GUID + b'4"}',
    b"OPTIONS /azdo/default/_apis\n\n\n---\nOPTIONS /azdo/default/x/_apis/distributedtask\n\n",
    b"GET /azdo/default//_apis/connectionData?connectOptions=1\n\n",
    b"GET /azdo/default/_apis/resourceAreas\n\n",
    b"POST {of}/events" + _BASIC + _COMPLETED % b"failed",
    b"GET {of}/timelines/{timeline}/records\nAuthorization: Basic {basic2}\n\n\n---\nGET {of}\n\n",
    b"PATCH //azdo//default/{plan}/_APIS/distributedTask/hubs/%47ates/plans/{plan}/timelines/{plan}"
    b"//records" + _BASIC + b"{}",
    b"POST {at}/events" + _BASIC + b'{"name":"TaskAssigned","name":"{theirs}","jobId":null}',
    b"WAIT 3600\n---\nPOST {at}/events" + _BASIC + _COMPLETED % b"succeeded",
    b"WAIT 3590\n---\nPOST {at}/logs" + _BASIC + b"{}\n---\nWAIT 90000\n---\nGET {at}" + _BASIC,
)
TOKENS: Final[tuple[bytes, ...]] = (
    *(b"\n---\n", b"\n\n", b"{at}", b"{of}", b"{token}", b"{theirs}", b"{basic}", b"{basic2}"),
    *(b"{plan}", b"{job}", b"{task}", b"{timeline}", b"{password}", b"{variable}", b"{key}"),
    *(b"GET ", b"POST ", b"PATCH ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"WAIT 3600"),
    *(b"/events", b"/logs", b"/logs/1", b"/timelines", b"/records", b"/feed", b"//", b"/%2e%2e/"),
    *(b"/azdo/default", b"/_apis", b"/_APIS/", b"/connectionData", b"%2f", b"%00", b"%ff", b"?"),
    *(b"?includeRecords=true", b"startLine=", b"endLine=99999999999", b"&", b"/00000001", b"-1"),
    *(b"Authorization: ", b"Basic ", b"Bearer ", b"bearer\t", b"=", b"====", b"Og==", b":"),
    *(b"Content-Encoding: gzip", b"Content-Length: 0", b"Transfer-Encoding: chunked"),
    *(b"Content-Type: application/json; charset=", b"utf-16", b"utf-7", b"idna", b"rot13"),
    *(b"Expect: 100-continue", b"traceparent: 00-1-1-01", b"\xef\xbb\xbf", b"\xff\xfe", b"\0"),
    *(b'"value":', b'"id":', b'"name":', b'"result":', b'"state":', b'"issues":', b'"log":'),
    *(b'"variables":', b'"isSecret":true', b'"isReadOnly":"True"', b'"details":', b'"changeId":'),
    *(b'"parentId":', b'"task":', b'"inputs":', b'"startTime":', b'"data":', b'"location":'),
    *(b'"agentSpecification":', b'"previousAttempts":', b'"attempt":', b'"path":', b'"count":'),
    *(b'"succeeded"', b'"canceled"', b'"TaskCompleted"', b'"JobCompleted"', b'"Task"', b'"2"'),
    *(b"null", b"true", b"[]", b"{}", b"[[", b'""', b"1e999", b"-0", b"2147483648", b"1.5"),
    *(b'"\\ud800"', b'"\\u0000"', b'"##vso[task.complete]"', b'"\\u001b[0m"', b"9" * 5000),
    *(b'"9999-12-31T23:59:59-23:59"', b'"0001-01-01T00:00:00+23:59"', b'"2026-11-24"', b"[" * 99),
)

_MASKED: Final = frozenset(
    form
    for secret in (PASSWORD, *VARIABLE.splitlines(), URL_KEY)
    for form in (secret, json.dumps(secret)[1:-1])
)
"""What no plan may store or show, plain and as it stands in JSON."""
_LONGEST_WAIT_S: Final = 10**7
_MOST_REQUESTS: Final = 8


@dataclass(frozen=True, slots=True)
class Request:
    """A request as the Functions host would hand it over."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    earlier: str = ""
    """What requests before it said."""

    @property
    def credential(self) -> str:
        """The Authorization header, and what it says once Base64 is undone."""
        text = next((v for k, v in self.headers.items() if k.lower() == "authorization"), "")
        word = text.strip().partition(" ")[2].strip().rstrip("=")
        with suppress(ValueError):
            text += base64.b64decode(word + "=" * (-len(word) % 4)).decode("ascii", "replace")
        return text

    @property
    def text(self) -> str:
        """All that it says, and what was said before."""
        return self.earlier + self.path + self.body.decode("utf-8", "replace") + str(self.headers)

    def presents(self, token: str) -> bool:
        """Tell whether it shows a token in a form nobody can mistake."""
        forms = {f"Bearer {token}", f"Basic {_basic(token)}"}
        return any(k.lower() == "authorization" and v in forms for k, v in self.headers.items())


@dataclass(frozen=True, slots=True)
class World:
    """Two plans in one store, with the rows they began with."""

    store: MemoryStore
    own: Plan
    other: Plan
    rows: Rows
    names: dict[bytes, bytes]

    def begin(self) -> None:
        """Put everything back to where it was."""
        self.store.rows.clear()
        self.store.rows.update(self.rows)
        self.own.clock.time = self.other.clock.time = START

    def wait(self, seconds: int) -> None:
        """Let time pass, and deadlines with it."""
        for plan in (self.own, self.other):
            plan.clock.move(seconds=seconds)
            plan.call("GET")

    def ends(self) -> tuple[Result | None, ...]:
        """Return the results of the plans."""
        return tuple(plan.record().invocation.result for plan in (self.own, self.other))


@cache
def world() -> World:
    """Return the world; there is one for all inputs."""
    store = MemoryStore()
    own, other = make_plan(store), make_plan(store)
    ids = own.correlation
    names = {
        "at": own.path,
        "of": other.path,
        "token": own.token,
        "theirs": other.token,
        "basic": _basic(own.token),
        "basic2": _basic(other.token),
        "plan": ids.plan_id,
        "job": ids.job_id,
        "task": ids.task_instance_id,
        "timeline": ids.timeline_id,
        "password": PASSWORD,
        "variable": json.dumps(VARIABLE)[1:-1],
        "key": URL_KEY,
    }
    filled = {f"{{{name}}}".encode(): text.encode() for name, text in names.items()}
    return World(store, own, other, dict(store.rows), filled)


def run(data: bytes) -> None:
    """Send the requests of an input, and judge each answer."""
    place = world()
    place.begin()
    ends: tuple[Result | None, ...] = (None, None)
    said = ""
    for part in data.split(b"\n---\n", _MOST_REQUESTS)[:_MOST_REQUESTS]:
        seconds = part.removeprefix(b"WAIT ").strip()
        if part.startswith(b"WAIT ") and seconds.isdigit():
            place.wait(min(int(seconds[:9]), _LONGEST_WAIT_S))
            continue
        request = replace(_read(part, place.names), earlier=said)
        said = request.text
        before = dict(place.store.rows)
        answered = call(
            place.own.handlers, request.method, request.path, request.body, headers=request.headers
        )
        judge(place, request, answered, before)
        if place.store.rows != before:
            ends = judge_ends(ends, place.ends())


def judge_ends(
    before: tuple[Result | None, ...], now: tuple[Result | None, ...]
) -> tuple[Result | None, ...]:
    """Return the results of the plans now; an end that was there may not have changed."""
    assert all(end in {None, later} for end, later in zip(before, now, strict=True)), "two ends"
    return now


def judge(place: World, request: Request, answered: Answered, before: Rows) -> None:
    """Find an answer or a change of the store that must not be.

    Raises:
        AssertionError: There is one; the message says what.
    """
    assert 200 <= answered.status < 500, "a failure of the service"
    if answered.body:
        json.loads(answered.body)
    rows = place.store.rows
    changed = {key for key in {*rows, *before} if rows.get(key) != before.get(key)}
    reads = request.method not in {"POST", "PATCH"}
    assert not changed or (answered.status < 400 and not reads), "a refused call changed a row"
    told = answered.body.decode() + str(dict(answered.headers))
    for plan in (place.own, place.other):
        _judge_plan(plan, request, told, {key: rows.get(key) for key in changed})
    if answered.status < 400:
        assert not any(form in told for form in _MASKED), "a secret in an answer"


def _judge_plan(
    plan: Plan, request: Request, told: str, changed: dict[tuple[str, str], Entity | None]
) -> None:
    credential = request.credential
    is_opened = plan.token in credential
    theirs = [row for key, row in changed.items() if key[0] == plan.correlation.plan_id]
    assert is_opened or not theirs, "a plan changed without its token"
    # What a caller writes of another plan's token into its own plan is its own text.
    for secret in (plan.token, _basic(plan.token), hash_token(plan.token)):
        is_text = secret in request.text and not (secret == plan.token and request.presents(secret))
        assert is_text or secret not in told, "a token in an answer"
    for stored in (row.value.decode() for row in theirs if row):
        assert plan.token not in stored, "a token in the store"
        assert not any(form in stored for form in _MASKED), "a secret in the store"


def _read(part: bytes, names: dict[bytes, bytes]) -> Request:
    for name, text in names.items():
        if name in part:
            part = part.replace(name, text)
    head, _, body = part.partition(b"\n\n")
    first, *lines = head.decode("utf-8", "replace").split("\n")
    method, _, path = first.partition(" ")
    headers = {}
    for line in lines:
        key, _, value = line.partition(":")
        headers[key.strip()] = value.strip()
    return Request(method.upper(), f"/{path.removeprefix('/')}", headers, body)


def _basic(token: str) -> str:
    return base64.b64encode(f":{token}".encode()).decode()


TARGET: Final = Target(run, SEEDS, TOKENS)
