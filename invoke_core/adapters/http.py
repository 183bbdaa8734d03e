"""The ``Sender``: URLs prepared by ``requests``, requests written by ``h11``, within one deadline.

Each hop has a connection of its own, closed after it. Kept-alive connections would save a
handshake now and then, and cost certainty: a target may close one at the moment a request is
written to it, and then nobody knows whether a POST took effect. Of ``requests``, and of ``urllib3``
below it, only the preparing of URLs is used, and so none of what sessions and pools add: no
proxies, netrc or cookies that nobody asked for, no retries, no redirects of their own, no URL in a
debug log.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Final

import h11

from invoke_core import __version__
from invoke_core.adapters.deadline import Watchdog
from invoke_core.adapters.decoding import DecodingError, decoded
from invoke_core.adapters.dialling import connected
from invoke_core.adapters.exchange import (
    BrokenAnswerError,
    Exchange,
    NoAnswerError,
    ProxyError,
    Stage,
)
from invoke_core.adapters.proxies import authorization, proxy_for, proxy_place, refusal
from invoke_core.adapters.redirects import MOST_REDIRECTS, followed, is_followable
from invoke_core.adapters.resolver import LookUp, Resolver, system_look_up
from invoke_core.adapters.tls import TlsContexts, TlsFilesError
from invoke_core.adapters.transfer import Head, Transfer
from invoke_core.adapters.urls import PreparedUrl, prepare
from invoke_core.model import Answer, Method, ReasonCode

if TYPE_CHECKING:
    import socket
    from collections.abc import Container, Iterator
    from contextlib import AbstractContextManager

    from invoke_core.adapters.budget import ByteBudget, Lease
    from invoke_core.connections import Connection, ProxyServer
    from invoke_core.errors import SendError
    from invoke_core.model import OutgoingRequest
    from invoke_core.ports import JudgeUrl

_OWN_HEADERS: Final = (
    ("User-Agent", f"invoke-rest-api/{__version__}"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate"),
    ("Connection", "close"),
)
"""Sent beside the caller's, where he has none of the name (contract, section 2)."""

_NEVER_WITH_LENGTH: Final = frozenset({Method.GET, Method.HEAD, Method.TRACE})
"""Methods that announce no empty body; ``requests`` has one announced for all others."""

_PART_BYTES: Final = 32 * 1024

_LIBRARY_ERRORS: Final = (
    BrokenAnswerError,
    NoAnswerError,
    ProxyError,
    DecodingError,
    TlsFilesError,
    h11.LocalProtocolError,  # a header that cannot be written
    OSError,  # TimeoutError, those of sockets, look-ups and TLS among them
    ValueError,  # one outside Latin-1
    OverflowError,  # a port out of range
    RuntimeError,  # no more threads
)


class HttpSender:
    """Sends requests over HTTP/1.1. One for the process; any number of threads may use it."""

    def __init__(self, *, budget: ByteBudget, look_up: LookUp = system_look_up) -> None:
        """Share a budget among all exchanges.

        Args:
            budget: Counts the bytes of answers.
            look_up: Looks names up; may take its time, it is given up at the deadline.
        """
        self._budget = budget
        self._resolver = Resolver(look_up)
        self._watchdog = Watchdog()
        self._tls_contexts = TlsContexts()

    def prepared_url(self, url: str) -> str:
        """Return the URL exactly as it would be sent; see the port."""
        return prepare(url).text

    def spent(self) -> bool:
        """Tell whether the process holds as many bytes of answers as it may."""
        return self._budget.spent()

    @contextmanager
    def send(
        self,
        request: OutgoingRequest,
        *,
        connection: Connection,
        judge: JudgeUrl,
        answers: Container[int],
        timeout_s: float,
        limit_bytes: int,
    ) -> Iterator[Answer]:
        """Send a request and read the answer to its last byte; see the port."""
        terms = _Terms(connection=connection, judge=judge, answers=answers, limit_bytes=limit_bytes)
        with self._budget.lease() as lease:
            yield self._answer(request, terms=terms, timeout_s=timeout_s, lease=lease)

    def _answer(
        self, request: OutgoingRequest, *, terms: _Terms, timeout_s: float, lease: Lease
    ) -> Answer:
        started_at = monotonic()
        with self._watchdog.deadline(timeout_s) as deadline:
            exchange = Exchange(
                timeout_s=timeout_s,
                deadline=deadline,
                lease=lease,
                has_client_certificate=terms.connection.tls.client_certificate is not None,
            )
            try:
                head, body, url = self._followed(request, terms=terms, exchange=exchange)
            except _LIBRARY_ERRORS as error:
                # Errors of the system hold no secrets; those of the libraries quote headers.
                cause = error if isinstance(error, OSError) else None
                raise exchange.failure(error) from cause
            if deadline.is_cut:
                raise exchange.failure(TimeoutError())
        lease.finish()
        return Answer(
            status=head.status,
            headers=head.headers,
            body=body,
            elapsed_ms=round((monotonic() - started_at) * 1000),
            url=url,
        )

    def _followed(
        self, request: OutgoingRequest, *, terms: _Terms, exchange: Exchange
    ) -> tuple[Head, bytes, str]:
        allow = terms.connection.allow
        for _ in range(MOST_REDIRECTS + 1):
            url = prepare(request.url)
            proxy = proxy_for(url.origin, terms.connection.proxy)
            exchange.begin_hop(str(url.origin), proxy=proxy_place(proxy))
            # To an https target the proxy opens a tunnel, and sees nothing of what goes through.
            forwarder = proxy if url.origin.scheme == "http" else None
            with self._connected(url, proxy=proxy, terms=terms, exchange=exchange) as sock:
                transfer = Transfer(sock, exchange)
                transfer.send(_head(request, url, forwarder), request.body or b"")
                head = transfer.head()
                if forwarder is not None and head.status == 407:
                    raise ProxyError(refusal(head.status, forwarder))
                if not is_followable(head, answers=terms.answers):
                    exchange.stage = Stage.READING_BODY
                    if request.method is Method.HEAD:
                        return head, b"", url.text
                    body = _body(transfer, head, terms.limit_bytes, exchange)
                    return head, body, url.text
            request = followed(
                request, url=url, head=head, allow=allow, judge=terms.judge, exchange=exchange
            )
        raise exchange.error(
            ReasonCode.TOO_MANY_REDIRECTS,
            f"{exchange.place} redirected the request more than {MOST_REDIRECTS} times.",
        )

    def _connected(
        self, url: PreparedUrl, *, proxy: ProxyServer | None, terms: _Terms, exchange: Exchange
    ) -> AbstractContextManager[socket.socket]:
        is_tls = url.origin.scheme == "https"
        return connected(
            url.origin,
            exchange=exchange,
            resolver=self._resolver,
            allow_loopback=terms.connection.allow.loopback,
            tls_context=self._tls_contexts.get(terms.connection.tls) if is_tls else None,
            proxy=proxy,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """What one call of ``send`` asks for beside the request."""

    connection: Connection
    judge: JudgeUrl
    answers: Container[int]
    limit_bytes: int


def _head(request: OutgoingRequest, url: PreparedUrl, forwarder: ProxyServer | None) -> h11.Request:
    headers = _headers(request)
    if not any(name.lower() == "host" for name, _ in headers):
        headers.insert(0, ("Host", url.origin.authority))
    target = url.target
    if forwarder is not None:
        # Proxies are told the whole URL (RFC 9112, section 3.2.2).
        target = f"{url.origin.scheme}://{url.origin.authority}{target}"
        headers += authorization(forwarder)
    return h11.Request(
        method=request.method,
        target=target,
        headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
    )


def _headers(request: OutgoingRequest) -> list[tuple[str, str]]:
    # Blanks around a value are no part of it (RFC 9110, section 5.5).
    headers = [(name, value.strip(" \t")) for name, value in request.headers]
    taken = {name.lower() for name, _ in headers}
    headers += [(name, value) for name, value in _OWN_HEADERS if name.lower() not in taken]
    if "content-length" not in taken:
        if request.body:
            headers.append(("Content-Length", str(len(request.body))))
        elif request.method not in _NEVER_WITH_LENGTH:
            headers.append(("Content-Length", "0"))
    return headers


def _body(transfer: Transfer, head: Head, limit_bytes: int, exchange: Exchange) -> bytes:
    is_packed = any(head.values("content-encoding"))
    if not is_packed and (head.length or 0) > limit_bytes and head.status not in {204, 304}:
        raise _too_large(limit_bytes, exchange)
    # Packed, a body of the limit may be a little longer than unpacked.
    most_bytes = limit_bytes + limit_bytes // 100 + 1024

    def bounded(pieces: Iterator[bytes]) -> Iterator[bytes]:
        # The watchdog ends reading, not the rest: what has arrived can be read after the socket was
        # shut down, and little can unpack to much that unpacks to nothing.
        passed_bytes = 0
        for piece in pieces:
            exchange.deadline.left()
            passed_bytes += len(piece)
            if passed_bytes > most_bytes:
                raise _too_large(limit_bytes, exchange)
            yield piece

    # Kept in parts of a middling size. One growing buffer is copied as it grows, and leaves holes
    # behind; a part for each piece would cost more than the piece, where a target sends bytes one
    # by one.
    parts: list[bytes] = []
    part = bytearray()
    length = 0
    received = bounded(transfer.body(head))
    for piece in decoded(received, head.values("content-encoding"), bounded=bounded):
        length += len(piece)
        if length > limit_bytes:
            raise _too_large(limit_bytes, exchange)
        exchange.lease.add(len(piece))
        part += piece
        if len(part) >= _PART_BYTES:
            parts.append(bytes(part))
            part.clear()
    # What follows the end of an encoding is dropped, but has to be there as announced.
    for _ in received:
        pass
    return b"".join([*parts, part])


def _too_large(limit_bytes: int, exchange: Exchange) -> SendError:
    # Made where it is raised: an error that a variable of its own frame names keeps that frame,
    # and the bytes of the answer with it, until the garbage collector comes by.
    return exchange.error(
        ReasonCode.RESPONSE_TOO_LARGE,
        f"The answer of {exchange.place} is longer than {limit_bytes} bytes, decompressed"
        " (MAX_RESPONSE_BYTES); ask for less, a page or single fields, or raise the setting.",
    )
