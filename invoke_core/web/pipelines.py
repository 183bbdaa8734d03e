"""The Azure-Pipelines-compatible half: from ``HttpRequest`` to ``HttpResponse``.

Two functions of the app lead here, over one dispatch: ``events``, and the catch-all that also
sees a path with doubled slashes. Paths are matched as the clients write them: any letter case,
doubled slashes, with or without a project before ``_apis``.

Source: HTTP contract, section 6; agentless protocol, sections 2 to 4.
"""

from __future__ import annotations

import base64
import binascii
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import azure.functions as func

from invoke_core.callback_values import guid_form, refuse
from invoke_core.documents import dump_json, parse_input
from invoke_core.errors import (
    InvalidBodyError,
    InvokeError,
    ResourceNotFoundError,
    SettingsError,
)
from invoke_core.problems import in_devops_shape
from invoke_core.web.bodies import body_text, is_dropped
from invoke_core.web.discovery import connection_data, locations
from invoke_core.web.failures import told_incident, told_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from invoke_core.documents import JsonValue
    from invoke_core.plans import OpenPlan, PlanService
    from invoke_core.ports import NewId
    from invoke_core.problems import Problem

DOCUMENT_LIMIT_BYTES: Final = 8 * 1024 * 1024
"""Longest JSON body: room for a feed, or for all variables of a plan in one PATCH."""

_ROOT: Final = ["azdo", "default"]
_APIS: Final = "_apis"


class PipelineHandlers:
    """Answers what external services and their client libraries ask."""

    def __init__(self, plans: PlanService | SettingsError, *, base_url: str, new_id: NewId) -> None:
        """Keep the plans, or why there are none.

        Args:
            plans: The use cases; where settings everything depends on are faulty, the error that
                tells which, and every request is answered with it.
            base_url: Where this service is reached, without a slash at its end.
            new_id: Names incidents.
        """
        self._plans = plans
        self._base_url = base_url
        self._new_id = new_id

    def events(self, req: func.HttpRequest) -> func.HttpResponse:
        """Take an event."""
        return self._answer(req)

    def pipelines(self, req: func.HttpRequest) -> func.HttpResponse:
        """Answer everything else below ``azdo/``, and an event whose path has doubled slashes."""
        return self._answer(req)

    def _answer(self, req: func.HttpRequest) -> func.HttpResponse:
        """Answer a request; whatever goes wrong becomes an error as Azure DevOps shapes it."""
        path = _path(req.url)
        # A client may write its token anywhere; an error never repeats it.
        secrets = (_presented_token(req.headers),)
        try:
            return self._dispatch(req, path)
        except InvokeError as error:
            return _problem(
                told_problem(error, headers=req.headers, instance=path, secrets=secrets)
            )
        except Exception:  # noqa: BLE001  # the caller gets an incident id, the log the rest
            return _problem(
                told_incident(
                    new_id=self._new_id, headers=req.headers, instance=path, secrets=secrets
                )
            )

    def _dispatch(self, req: func.HttpRequest, path: str) -> func.HttpResponse:
        if isinstance(self._plans, SettingsError):
            raise self._plans
        segments = _below_apis(path)
        lowered = [segment.lower() for segment in segments]
        match lowered:
            case ["distributedtask", "hubs", _, "plans", _, *rest]:
                plan = self._plans.open(segments[4], _presented_token(req.headers))
                return _PlanRequest(self._plans, plan, req).answer(rest)
            case [] | [_] if req.method == "OPTIONS":
                return _collection(locations(*lowered))
            case ["connectiondata"] if req.method == "GET":
                return _json(connection_data(self._base_url))
            # None at all means a server of its own: clients then stay at its address.
            case ["resourceareas"] if req.method == "GET":
                return _collection([])
            case _:
                raise ResourceNotFoundError


class _PlanRequest:
    """A request of somebody who holds the plan's token."""

    def __init__(self, plans: PlanService, plan: OpenPlan, req: func.HttpRequest) -> None:
        self._plans = plans
        self._plan = plan
        self._req = req

    def answer(self, rest: Sequence[str]) -> func.HttpResponse:
        """Answer it; ``rest`` is the path below the plan, in lower case."""
        # Timelines and records have GUIDs, whichever; these are their places in a path.
        if rest[:1] == ["timelines"] and not all(guid_form(part) for part in rest[1:4:2]):
            raise ResourceNotFoundError
        match self._req.method:
            case "GET":
                return self._read(rest)
            case "POST":
                return self._post(rest)
            case "PATCH":
                return self._patch(rest)
            case _:
                raise ResourceNotFoundError

    def _read(self, rest: Sequence[str]) -> func.HttpResponse:
        plans, plan = self._plans, self._plan
        match rest:
            case []:
                return _json(plans.plan(plan))
            case ["timelines", timeline_id]:
                wanted = self._parameter("includeRecords").lower() == "true"
                return _json(plans.timeline(plan, timeline_id, with_records=wanted))
            case ["timelines", _, "records"]:
                return _collection(plans.records(plan))
            case ["logs"]:
                return _collection(plans.logs(plan))
            case ["logs", log_id]:
                first = self._line_number("startLine") or 1
                last = self._line_number("endLine")
                return _collection(plans.log_lines(plan, log_id, first=first, last=last))
            case _:
                raise ResourceNotFoundError

    def _post(self, rest: Sequence[str]) -> func.HttpResponse:
        plans, plan = self._plans, self._plan
        match rest:
            case ["events"]:
                plans.event(plan, self._document())
                return _no_content()
            case ["timelines", _, "records", _, "feed"]:
                plans.feed(plan, self._document())
                return _no_content()
            case ["timelines"]:
                return _json(plans.create_timeline(plan, self._document()))
            case ["logs"]:
                return _json(plans.create_log(plan, self._document()))
            case ["logs", log_id]:
                body = self._req.get_body()
                dropped = is_dropped(self._req.headers, body)
                return _json(plans.append_log(plan, log_id, body, dropped=dropped))
            case _:
                raise ResourceNotFoundError

    def _patch(self, rest: Sequence[str]) -> func.HttpResponse:
        match rest:
            case ["timelines", _, "records"]:
                return _collection(self._plans.patch_records(self._plan, self._document()))
            case _:
                raise ResourceNotFoundError

    def _document(self) -> JsonValue:
        """Return the JSON body, whatever the request says it is."""
        text = body_text(self._req.headers, self._req.get_body(), limit_bytes=DOCUMENT_LIMIT_BYTES)
        if not text.strip():
            raise InvalidBodyError("The body is empty; send JSON.")
        return parse_input(text)

    def _parameter(self, name: str) -> str:
        """Return a query parameter by its name without case; empty where it is not there."""
        by_name: dict[str, str] = {key.lower(): value for key, value in self._req.params.items()}
        return by_name.get(name.lower(), "")

    def _line_number(self, name: str) -> int | None:
        text = self._parameter(name)
        if not text:
            return None
        if not re.fullmatch("[0-9]{1,9}", text):
            refuse("", f"The query parameter '{name}' has to be the number of a line.")
        return int(text)


def _path(url: str) -> str:
    """Return the path of a URL as it was sent, percent-escapes kept."""
    without_scheme = url.partition("://")[2] or url
    return f"/{without_scheme.partition('/')[2]}".partition("?")[0].partition("#")[0]


def _below_apis(path: str) -> list[str]:
    """Return the segments of a path below ``_apis``, decoded each for itself.

    Empty segments count for nothing: clients join a base that ends in a slash with a path that
    begins with one.
    """
    segments = [unquote(segment) for segment in path.split("/") if segment]
    lowered = [segment.lower() for segment in segments[:4]]
    if lowered[:2] == _ROOT and _APIS in lowered[2:]:
        return segments[lowered.index(_APIS, 2) + 1 :]
    raise ResourceNotFoundError


def _presented_token(headers: Mapping[str, str]) -> str:
    """Return the AuthToken of a request; empty where it has none, or none that can be read.

    Basic with any user name, in any character set, its padding left out or not; or Bearer.
    """
    scheme, _, credential = headers.get("authorization", "").strip().partition(" ")
    credential = credential.strip()
    match scheme.lower():
        case "bearer":
            return credential
        case "basic":
            padding = "=" * (-len(credential.rstrip("=")) % 4)
            try:
                decoded = base64.b64decode(credential.rstrip("=") + padding, validate=True)
            except (binascii.Error, ValueError):
                return ""
            # A token has no colon, so whatever stands before the last one is the user's name.
            return decoded.rpartition(b":")[2].decode("ascii", "replace")
        case _:
            return ""


def _json(body: JsonValue) -> func.HttpResponse:
    return func.HttpResponse(
        dump_json(body).encode(),
        status_code=200,
        headers={"Content-Type": "application/json; charset=utf-8", "Cache-Control": "no-store"},
    )


def _collection(values: Sequence[JsonValue]) -> func.HttpResponse:
    return _json({"count": len(values), "value": [*values]})


def _no_content() -> func.HttpResponse:
    return func.HttpResponse(status_code=204, headers={"Cache-Control": "no-store"})


def _problem(problem: Problem) -> func.HttpResponse:
    headers = {"Cache-Control": "no-store", **problem.headers}
    if problem.status == HTTPStatus.UNAUTHORIZED:
        # With a message in it, the Python client raises its general error instead of its
        # authentication error.
        return func.HttpResponse(status_code=problem.status, headers=headers)
    return func.HttpResponse(
        dump_json(in_devops_shape(problem).document).encode(),
        status_code=problem.status,
        headers={"Content-Type": "application/json", **headers},
    )
