"""One HTTP request as a client sends it, and what every client relies on in its answer."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Body = bytes | Iterable[bytes] | None

_TIMEOUT_S = 20
_PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance", "code", "errors"}
_DEVOPS_MEMBERS = {
    "$id",
    "innerException",
    "message",
    "typeName",
    "typeKey",
    "errorCode",
    "eventId",
}


@dataclass(frozen=True)
class Answer:
    """What came back; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> Any:  # noqa: ANN401  # any JSON
        """Return the body of a call that succeeded and has one."""
        assert self.status == 200, (self.status, self.body)
        # .NET reads no other media type, and refuses a body that has one.
        assert self.headers["content-type"] == "application/json; charset=utf-8"
        assert self.headers["cache-control"] == "no-store"
        return json.loads(self.body)

    def collection(self) -> list[Any]:
        """Return the values of a collection."""
        wrapper = self.document()
        assert list(wrapper) == ["count", "value"]
        assert wrapper["count"] == len(wrapper["value"])
        values: list[Any] = wrapper["value"]
        return values

    def is_taken(self) -> None:
        """See that a call without an answer of its own succeeded."""
        assert (self.status, self.body) == (204, b"")
        assert self.headers["cache-control"] == "no-store"
        assert not {"content-length", "transfer-encoding"} & {*self.headers}

    def is_challenge(self) -> None:
        """See that the client is asked for its token, as all clients understand it."""
        assert (self.status, self.body) == (401, b"")
        assert self.headers["www-authenticate"].startswith('Basic realm="')
        assert self.headers["content-length"] == "0"
        assert "location" not in self.headers

    def message(self, status: int) -> str:
        """Return what the client libraries show of a refusal."""
        assert self.status == status, (self.status, self.body)
        assert self.headers["content-type"] == "application/json"
        error = json.loads(self.body)
        assert {*error} == _DEVOPS_MEMBERS | _PROBLEM_MEMBERS
        assert error["status"] == status
        assert error["innerException"] is None
        assert error["typeName"].startswith(f"InvokeRestApi.{error['typeKey']}, ")
        message: str = error["message"]
        return message


def basic(token: str, *, user: str = "") -> dict[str, str]:
    """Return the header that carries a token as a password."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{token}".encode()).decode()}


def ask(
    method: str, url: str, body: Body = None, *, headers: Mapping[str, str] | None = None
) -> Answer:
    """Send a request of its own connection: these headers, Host and the length, no others.

    Args:
        method: In capitals.
        url: On this machine; its path is sent as it stands.
        body: Bytes get a Content-Length; pieces are sent in chunks.
        headers: More headers.
    """
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=_TIMEOUT_S)
    try:
        return ask_on(connection, method, url.partition(parts.netloc)[2], body, headers=headers)
    finally:
        connection.close()


def ask_on(
    connection: HTTPConnection,
    method: str,
    target: str,
    body: Body = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Send a request on a connection that is kept; see ``ask``."""
    in_chunks = body is not None and not isinstance(body, bytes)
    given = {**({"Transfer-Encoding": "chunked"} if in_chunks else {}), **(headers or {})}
    connection.request(method, target, body, given, encode_chunked=in_chunks)
    return answer_of(connection)


def answer_of(connection: HTTPConnection) -> Answer:
    """Read the answer to the request that was sent last."""
    with connection.getresponse() as response:
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())
