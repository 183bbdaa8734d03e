"""Our own routes: from ``HttpRequest`` to ``HttpResponse``, every error a problem document.

Source: HTTP contract, sections 1, 2 and 5.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import azure.functions as func

from invoke_core import __version__
from invoke_core.documents import dump_json
from invoke_core.errors import Fault, InvokeError, SettingsError
from invoke_core.problems import MEDIA_TYPE, internal_problem, problem_of
from invoke_core.service import Call
from invoke_core.web.bodies import read_document
from invoke_core.web.callers import caller_of
from invoke_core.web.criteria import evaluate
from invoke_core.web.invocations import invocation_document, status_of
from invoke_core.web.openapi import openapi_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.documents import JsonValue
    from invoke_core.health import StoreHealth
    from invoke_core.ports import NewId
    from invoke_core.problems import Problem
    from invoke_core.service import InvokeService

_LATER_HEADERS: Final = ("Idempotency-Key", "Prefer")

_log = logging.getLogger(__name__)


class Handlers:
    """Answers the requests of each route."""

    def __init__(
        self,
        service: InvokeService | SettingsError,
        *,
        store_health: StoreHealth | None = None,
        base_url: str,
        platform_auth: bool,
        new_id: NewId,
    ) -> None:
        """Keep the service, or why there is none.

        Args:
            service: Runs tasks; where settings everything depends on are faulty, the error that
                tells which, and every route answers with it.
            store_health: Looks at the store; None where there is none to look at.
            base_url: Where this service is reached, without a slash at its end.
            platform_auth: Whether the platform's authentication is on.
            new_id: Names incidents.
        """
        self._service = service
        self._store_health = store_health
        self._base_url = base_url
        self._platform_auth = platform_auth
        self._new_id = new_id

    def create(self, req: func.HttpRequest) -> func.HttpResponse:
        """Run one REST invocation and answer with its outcome."""
        return self._guarded(req, self._create)

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
        invocation = service.run(
            Call(
                document=document,
                caller=caller_of(req.headers, req.params, platform_auth=self._platform_auth),
                faults=tuple(_later_features(req)),
                trace={
                    name: value
                    for name in ("traceparent", "tracestate")
                    if (value := req.headers.get(name))
                },
            )
        )
        body = invocation_document(invocation, base_url=self._base_url)
        return _json(body, status=status_of(invocation))

    def _evaluate(self, req: func.HttpRequest) -> func.HttpResponse:
        self._working_service()
        return _json(evaluate(read_document(req.headers, req.get_body(), yaml_too=False)))

    def _health(self, _: func.HttpRequest) -> func.HttpResponse:
        self._working_service()
        # There is nothing to look at where the state goes to Azure Storage: nothing goes there yet.
        if self._store_health is not None:
            self._store_health.check()
        store = None if self._store_health is None else "ok"
        return _json({"status": "ok", "version": __version__, "store": store})

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
            return _problem(problem_of(error, instance=instance))
        except Exception:  # noqa: BLE001  # the caller gets an incident id, the log the rest
            incident = self._new_id()
            _log.exception("incident %s", incident)
            return _problem(internal_problem(incident, instance=instance))


def _later_features(req: func.HttpRequest) -> list[Fault]:
    return [
        Fault("", f"The header '{name}' is not built yet; send the request without it.")
        for name in _LATER_HEADERS
        if name.lower() in req.headers
    ]


def _json(body: JsonValue, *, status: int = 200) -> func.HttpResponse:
    return func.HttpResponse(
        dump_json(body).encode(),
        status_code=status,
        headers={"Content-Type": "application/json", "Cache-Control": "no-store"},
    )


def _problem(problem: Problem) -> func.HttpResponse:
    return func.HttpResponse(
        dump_json(problem.document).encode(),
        status_code=problem.status,
        headers={"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store", **problem.headers},
    )
