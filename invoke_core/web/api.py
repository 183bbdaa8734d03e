"""Our own routes: from ``HttpRequest`` to ``HttpResponse``, every error a problem document.

Source: HTTP contract, sections 1, 2 and 5.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import azure.functions as func

from invoke_core import __version__
from invoke_core.documents import dump_json
from invoke_core.drafts import Call
from invoke_core.errors import Fault, InvalidInputError, InvokeError, SettingsError
from invoke_core.log import defused
from invoke_core.output_formats import OutputFormat, written
from invoke_core.problems import MEDIA_TYPE
from invoke_core.web.bodies import read_document
from invoke_core.web.callers import caller_of
from invoke_core.web.criteria import evaluate
from invoke_core.web.failures import told_incident, told_problem
from invoke_core.web.invocations import all_outputs, invocation_document, retry_after_s, status_of
from invoke_core.web.openapi import openapi_document
from invoke_core.web.requests import (
    continuation_token,
    cursor_of,
    idempotency_key_of,
    invocation_id_of,
    is_strict,
    list_query_of,
    output_format_of,
    preferences_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from invoke_core.documents import JsonValue
    from invoke_core.health import StoreHealth
    from invoke_core.ports import Clock, NewId
    from invoke_core.problems import Problem
    from invoke_core.service import InvokeService, View

LOG_REPLY_BYTES: Final = 8 * 1024 * 1024
"""About as much of a log is sent at once; the cursor leads on."""

_DOUBLE_MARK: Final = re.compile("#(?=#)")


class Handlers:
    """Answers the requests of each route."""

    def __init__(
        self,
        service: InvokeService | SettingsError,
        *,
        store_health: StoreHealth | None = None,
        base_url: str,
        platform_auth: bool,
        now: Clock,
        new_id: NewId,
    ) -> None:
        """Keep the service, or why there is none.

        Args:
            service: Runs tasks; where settings everything depends on are faulty, the error that
                tells which, and every route answers with it.
            store_health: Looks at the store; None where settings are faulty.
            base_url: Where this service is reached, without a slash at its end.
            platform_auth: Whether the platform's authentication is on.
            now: The clock.
            new_id: Names incidents.
        """
        self._service = service
        self._store_health = store_health
        self._base_url = base_url
        self._platform_auth = platform_auth
        self._now = now
        self._new_id = new_id

    def create(self, req: func.HttpRequest) -> func.HttpResponse:
        """Run one REST invocation and answer with its outcome."""
        return self._guarded(req, self._create)

    def get(self, req: func.HttpRequest) -> func.HttpResponse:
        """Tell how an invocation stands."""
        return self._guarded(req, self._get)

    def list(self, req: func.HttpRequest) -> func.HttpResponse:
        """List invocations, newest first."""
        return self._guarded(req, self._list)

    def log(self, req: func.HttpRequest) -> func.HttpResponse:
        """Return the lines a pipeline log would show."""
        return self._guarded(req, self._log_lines)

    def cancel(self, req: func.HttpRequest) -> func.HttpResponse:
        """End an invocation as canceled."""
        return self._guarded(req, self._cancel)

    def outputs(self, req: func.HttpRequest) -> func.HttpResponse:
        """Return what an invocation puts out, in the form a pipeline takes in."""
        return self._guarded(req, self._outputs)

    def evaluate(self, req: func.HttpRequest) -> func.HttpResponse:
        """Evaluate a criteria against a pasted answer; nothing is sent."""
        return self._guarded(req, self._evaluate)

    def health(self, req: func.HttpRequest) -> func.HttpResponse:
        """Tell whether the service can do its work."""
        return self._guarded(req, self._health)

    def openapi(self, req: func.HttpRequest) -> func.HttpResponse:
        """Describe the routes."""
        return self._guarded(req, self._openapi)

    def _create(self, req: func.HttpRequest) -> func.HttpResponse:
        service = self._working_service()
        document = read_document(req.headers, req.get_body())
        faults: list[Fault] = []
        preferences = preferences_of(req.headers)
        strict = is_strict(req.params, faults)
        key = idempotency_key_of(req.headers, faults)
        if strict and "idempotency-key" not in req.headers:
            faults.append(
                Fault(
                    "",
                    "'strict=true' makes clients repeat the call; send an 'Idempotency-Key', or "
                    "each repeat would run the task again.",
                )
            )
        view = service.run(
            Call(
                document=document,
                caller=caller_of(req.headers, req.params, platform_auth=self._platform_auth),
                faults=tuple(faults),
                trace={
                    name: value
                    for name in ("traceparent", "tracestate")
                    if (value := req.headers.get(name))
                },
                idempotency_key=key,
                wait_s=preferences.wait_s,
                is_async=preferences.is_async,
            )
        )
        applied = preferences.applied
        headers = {"Preference-Applied": applied} if applied else {}
        return self._shown(view, strict=strict, headers=headers)

    def _get(self, req: func.HttpRequest) -> func.HttpResponse:
        service = self._working_service()
        invocation_id = invocation_id_of(req.route_params)
        faults: list[Fault] = []
        strict = is_strict(req.params, faults)
        if faults:
            raise InvalidInputError(faults)
        preferences = preferences_of(req.headers)
        view, granted = service.read(invocation_id, wait_s=preferences.wait_s)
        headers = {"Preference-Applied": preferences.applied_to_reading} if granted else {}
        return self._shown(view, strict=strict, headers=headers)

    def _list(self, req: func.HttpRequest) -> func.HttpResponse:
        service = self._working_service()
        query = list_query_of(req.params)
        page = service.list(state=query.state, after=query.after, most=query.most)
        return _json({"value": [*page.items], "continuationToken": continuation_token(page.after)})

    def _log_lines(self, req: func.HttpRequest) -> func.HttpResponse:
        service = self._working_service()
        cursor = cursor_of(req.params)
        lines: list[str] = []
        size = 0
        for entry in service.log(invocation_id_of(req.route_params), after=cursor):
            cursor = entry.number
            lines += defused(entry.text)
            size += len(entry.text)
            if size >= LOG_REPLY_BYTES:
                break
        return func.HttpResponse(
            "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"),
            headers={
                "Content-Type": "text/plain; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
                "X-Log-Cursor": str(cursor),
            },
        )

    def _cancel(self, req: func.HttpRequest) -> func.HttpResponse:
        view = self._working_service().cancel(invocation_id_of(req.route_params))
        return _json(self._document(view))

    def _outputs(self, req: func.HttpRequest) -> func.HttpResponse:
        service = self._working_service()
        form = output_format_of(req.params)
        view, _ = service.read(invocation_id_of(req.route_params))
        text = written(
            all_outputs(view.invocation, view.variables), form, new_delimiter=self._new_id
        )
        is_json = form is OutputFormat.JSON
        text = _for_a_pipeline_log(text) if is_json else text
        media_type = "application/json" if is_json else "text/plain"
        return func.HttpResponse(
            text.encode("utf-8", "replace"),
            headers={
                "Content-Type": f"{media_type}; charset=utf-8",
                "Cache-Control": "no-store",
                "X-Content-Type-Options": "nosniff",
            },
        )

    def _document(self, view: View) -> dict[str, JsonValue]:
        return invocation_document(
            view.invocation, variables=view.variables, base_url=self._base_url
        )

    def _shown(self, view: View, *, strict: bool, headers: dict[str, str]) -> func.HttpResponse:
        """Answer with an invocation, under the rule that the status is the outcome."""
        document = self._document(view)
        status = status_of(view.invocation)
        if status == HTTPStatus.ACCEPTED:
            headers["Location"] = f"{self._base_url}/api/invocations/{view.invocation.id}"
            headers["Retry-After"] = str(retry_after_s(view.invocation, self._now()))
            status = HTTPStatus.REQUEST_TIMEOUT if strict else status
        if view.is_replay:
            headers["Idempotency-Replayed"] = "true"
        return _json(document, status=status, headers=headers)

    def _evaluate(self, req: func.HttpRequest) -> func.HttpResponse:
        self._working_service()
        return _json(evaluate(read_document(req.headers, req.get_body(), yaml_too=False)))

    def _health(self, _: func.HttpRequest) -> func.HttpResponse:
        self._working_service()
        if self._store_health is not None:
            self._store_health.check()
        return _json({"status": "ok", "version": __version__, "store": "ok"})

    def _openapi(self, _: func.HttpRequest) -> func.HttpResponse:
        self._working_service()
        return _json(openapi_document(self._base_url))

    def _working_service(self) -> InvokeService:
        if isinstance(self._service, SettingsError):
            raise self._service
        return self._service

    def _guarded(
        self, req: func.HttpRequest, handle: Callable[[func.HttpRequest], func.HttpResponse]
    ) -> func.HttpResponse:
        """Handle a request; whatever goes wrong becomes a problem document."""
        instance = urlsplit(req.url).path
        try:
            return handle(req)
        except InvokeError as error:
            return _problem(told_problem(error, headers=req.headers, instance=instance))
        except Exception:  # noqa: BLE001  # the caller gets an incident id, the log the rest
            return _problem(
                told_incident(new_id=self._new_id, headers=req.headers, instance=instance)
            )


def _json(
    body: JsonValue, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    return func.HttpResponse(
        _for_a_pipeline_log(dump_json(body)).encode(),
        status_code=status,
        headers={
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
            **(headers or {}),
        },
    )


def _for_a_pipeline_log(text: str) -> str:
    """Return JSON that says the same, and holds no command for the agent whose log it is put in.

    Agents look for ``##vso[`` and ``##[`` anywhere in a line, and what a target or a caller wrote
    stands in our answers. In JSON a ``#`` is part of a text, so it may be escaped.
    """
    return _DOUBLE_MARK.sub(r"\\u0023", text)


def _problem(problem: Problem) -> func.HttpResponse:
    return func.HttpResponse(
        _for_a_pipeline_log(dump_json(problem.document)).encode(),
        status_code=problem.status,
        headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", **problem.headers},
    )
