"""Functions found by request, and called as the Functions host and worker call them.

Source of what is not said here: the public sources of the Functions host
(``GrpcMessageConversionExtensions``) and of azure-functions.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from hmac import compare_digest
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import azure.functions as func
from azure.functions.meta import Datum

from invoke_core.local.errors import LocalServerError
from invoke_core.local.routing import RESERVED, Route, RouteTable, decode_path, parse_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from invoke_core.local.indexing import Indexed

_log = logging.getLogger(__name__)

_registry: Callable[[], Any] = func.get_binding_registry
_FRAMING = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A request without its body.

    Attributes:
        method: As sent.
        base: Scheme and authority, as in ``http://localhost:7071``.
        path: As sent: ASCII, beginning with a slash, percent-escapes and doubled slashes kept.
        query: As sent, without the question mark.
        headers: Names as sent, in order, repeats apart.
    """

    method: str
    base: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a function answers, ready to be written.

    Attributes:
        status: 200 to 599.
        headers: Without those that frame the body.
        body: The whole body.
    """

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Call:
    """One function, found for one request."""

    name: str
    run: Callable[[bytes], Answer]


class FunctionHost:
    """Finds the function for a request."""

    def __init__(
        self, functions: Iterable[Indexed], *, route_prefix: str, function_key: str | None
    ) -> None:
        """Build the table of routes, once.

        Args:
            functions: Those with an HTTP trigger.
            route_prefix: Stands before every route; may be empty.
            function_key: What callers of functions that are not anonymous have to show; None or
                empty opens them.

        Raises:
            LocalServerError: The Functions host would refuse a route.
        """
        found = {one.name: _HttpFunction(one) for one in functions}
        self._functions: Mapping[str, _HttpFunction] = found
        self._routes = RouteTable(
            Route(name, parse_template(_join(route_prefix, one.route)), one.methods)
            for name, one in found.items()
        )
        self._key = function_key or None

    def find(self, head: Head) -> Call | HTTPStatus:
        """Return the function to call, or the status the host itself answers with.

        The host's own answers have no body: 404 for an unknown route or a wrong method, 401 for a
        key that is missing or wrong.
        """
        path = decode_path(head.path)
        if path is None:
            return HTTPStatus.BAD_REQUEST
        found = self._routes.find(head.method, path)
        if found is None:
            return HTTPStatus.NOT_FOUND
        name, route_values = found
        function = self._functions[name]
        query = parse_qsl(head.query, keep_blank_values=True)
        if self._key and not function.anonymous and not _shows(self._key, head.headers, query):
            return HTTPStatus.UNAUTHORIZED
        return Call(name, lambda body: function.call(head, query, route_values, body))


class _HttpFunction:
    """A function with an HTTP trigger."""

    def __init__(self, function: Indexed) -> None:
        trigger = function.trigger
        self.route: str = (trigger.route or "").strip() or function.name
        if self.route.strip("/").lower().startswith(RESERVED):
            raise LocalServerError(
                f"The route '{self.route}' of the function '{function.name}' is refused: no route "
                f"may begin with {' or '.join(RESERVED)}."
            )
        self.methods = frozenset(str(one.value) for one in trigger.methods or ())
        self.anonymous = trigger.auth_level is func.AuthLevel.ANONYMOUS
        self._function = function

    def call(
        self,
        head: Head,
        query: Sequence[tuple[str, str]],
        route_values: Mapping[str, str],
        body: bytes,
    ) -> Answer:
        """Call the function; an exception in it is a 500, and told to the log alone."""
        try:
            request = _decode(head, query, route_values, body)
            return _encode(self._function.call(request))
        except Exception:  # noqa: BLE001  # whatever it is, the caller sees a bare 500
            _log.exception("The function '%s' failed.", self._function.name)
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR)


def _join(prefix: str, route: str) -> str:
    return f"{prefix}/{route.removeprefix('/')}" if prefix else route


def _shows(key: str, headers: Sequence[tuple[str, str]], query: Sequence[tuple[str, str]]) -> bool:
    """Tell whether a request shows the key: by header, or by query where there is no header."""
    shown = [value for name, value in headers if name.lower() == "x-functions-key"]
    shown += [value for name, value in query if name.lower() == "code"]
    return bool(shown) and compare_digest(shown[0].encode(), key.encode())


def _joined(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Join the values of names that are equal without case; the first spelling stays."""
    spelling: dict[str, str] = {}
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(spelling.setdefault(name.lower(), name), []).append(value)
    return {name: ",".join(found) for name, found in values.items()}


def _decode(
    head: Head,
    query: Sequence[tuple[str, str]],
    route_values: Mapping[str, str],
    body: bytes,
) -> object:
    """Make the request object the worker would make of what the host would send it."""
    params = {name: value for name, value in _joined(query).items() if value}
    url = f"{head.base}{head.path}" + (f"?{head.query}" if head.query else "")
    parts: dict[str, Datum | dict[str, Datum]] = {
        "method": Datum(head.method, "string"),
        "url": Datum(url, "string"),
        "headers": _data({name.lower(): value for name, value in _joined(head.headers).items()}),
        "query": _data(params),
        "params": _data(route_values),
        "body": Datum(body, "bytes"),
    }
    converter = _registry().get("httpTrigger")
    request: object = converter.decode(Datum(parts, "http"), trigger_metadata=None)
    return request


def _data(texts: Mapping[str, str]) -> dict[str, Datum]:
    return {name: Datum(text, "string") for name, text in texts.items()}


def _encode(returned: object) -> Answer:
    """Make the answer the host would make of what a function returned.

    Raises:
        ValueError: The web server under the host would refuse it.
        Exception: The library's converter refuses it.
    """
    converter = _registry().get("http")
    encoded = converter.encode(returned, expected_type=None)
    if encoded.type == "string":
        plain = [("Content-Type", "text/plain; charset=utf-8")]
        return Answer(HTTPStatus.OK, plain, encoded.value.encode())
    value = encoded.value
    status = int(value["status_code"].value)
    if not 200 <= status <= 599:
        raise ValueError(f"the status {status} cannot be answered with")
    headers = [
        (name, datum.value)
        for name, datum in value["headers"].items()
        if name.lower() not in _FRAMING
    ]
    headers += [
        ("Set-Cookie", morsel.OutputString())
        for cookie in value["cookies"] or ()
        for morsel in cookie.values()
    ]
    for name, text in headers:
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
            raise ValueError(f"the answer's header {name!r} holds what no header may hold")
    return Answer(status, headers, value["body"].value)
