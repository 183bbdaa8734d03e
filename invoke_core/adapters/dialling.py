"""Connections to targets: looked up, judged, connected, wrapped in TLS.

The address that was judged is the address that is connected to: the name is looked up once, and
sockets are given numeric addresses only. Through a proxy it is the proxy that looks the name up
and connects, so there only literal addresses, and what the name leads to from here, are judged.

Source: HTTP contract, section 7 ("The address actually connected to", ``proxy``).
"""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from invoke_core.adapters import addresses
from invoke_core.adapters.exchange import Stage
from invoke_core.adapters.proxies import open_tunnel
from invoke_core.model import ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from ssl import SSLContext

    from invoke_core.adapters.exchange import Exchange
    from invoke_core.adapters.resolver import Resolver, SocketAddress
    from invoke_core.adapters.urls import Origin
    from invoke_core.connections import ProxyServer

_MOST_ADDRESSES: Final = 8
"""Addresses of one name that are tried."""

_FOREIGN_LOOK_UP_S: Final = 2.0
"""How long a name is looked up that a proxy will look up too: many are known to the proxy only."""

_SPARE_S: Final = 1.0
"""How much longer than the deadline sockets wait by themselves, should the watchdog be gone."""


@contextmanager
def connected(
    origin: Origin,
    *,
    exchange: Exchange,
    resolver: Resolver,
    allow_loopback: bool,
    tls_context: SSLContext | None,
    proxy: ProxyServer | None = None,
) -> Iterator[socket.socket]:
    """Give a connection that is shut down at the exchange's deadline, and closed after use.

    Args:
        origin: What to connect to.
        exchange: Whose deadline counts; told how far it has come.
        resolver: Looks the name up.
        allow_loopback: Whether addresses that are refused otherwise may be connected to.
        tls_context: For https.
        proxy: What the connection goes through. For https it is a tunnel to the target; for http
            it is the proxy that is talked to.

    Raises:
        SendError: An address of the name is refused. No connection was made, to no address.
        ProxyError: The proxy opens no tunnel.
        TimeoutError, OSError, ValueError: As the libraries raise them.
    """
    if proxy is None:
        found = _addresses(origin.host, origin.port, exchange, resolver)
        if not allow_loopback:
            _judge(origin, found, exchange)
    else:
        if not allow_loopback:
            _judge(origin, _known_here(origin, exchange, resolver), exchange)
        # The proxy's own address is the administrator's choice: no caller or target has a say.
        found = _addresses(proxy.host, proxy.port, exchange, resolver)
    exchange.stage = Stage.CONNECTING
    sock = _connect(found[:_MOST_ADDRESSES], exchange)
    try:
        exchange.deadline.watch(sock)
        if proxy is not None and tls_context is not None:
            exchange.stage = Stage.TUNNELLING
            open_tunnel(sock, origin, proxy)
        if tls_context is not None:
            exchange.stage = Stage.SHAKING_HANDS
            # The wrapped socket takes the connection over from the plain one. It shakes hands
            # only once it is watched.
            sock = tls = tls_context.wrap_socket(
                sock,
                server_hostname=origin.host.rstrip("."),
                do_handshake_on_connect=False,
            )
            exchange.deadline.watch(tls)
            tls.do_handshake()
        yield sock
    finally:
        exchange.deadline.unwatch()
        sock.close()


def _addresses(
    host: str, port: int, exchange: Exchange, resolver: Resolver
) -> Sequence[SocketAddress]:
    found = resolver.addresses(host, port, timeout_s=exchange.deadline.left())
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "no address")
    return found


def _known_here(origin: Origin, exchange: Exchange, resolver: Resolver) -> Sequence[SocketAddress]:
    """Return what a name leads to from here; nothing where it is the proxy's to know."""
    timeout_s = min(_FOREIGN_LOOK_UP_S, exchange.deadline.left())
    with suppress(OSError, ValueError, OverflowError):
        return resolver.addresses(origin.host, origin.port, timeout_s=timeout_s)
    return ()


def _judge(origin: Origin, found: Sequence[SocketAddress], exchange: Exchange) -> None:
    # One bad address among good ones is a name that was pointed here on purpose, or soon would
    # be connected to: the whole name is refused.
    for address, *_ in found:
        why = addresses.refusal(address)
        if why is not None:
            led = "is" if address == origin.host else f"leads to {address},"
            raise exchange.error(
                ReasonCode.ADDRESS_REFUSED,
                f"{origin.host} {led} {why}, which this service does not connect to. For"
                " development, allow.loopback in the service connection lifts this.",
            )


def _connect(found: Sequence[SocketAddress], exchange: Exchange) -> socket.socket:
    failure: OSError = OSError()
    for index, address in enumerate(found):
        # A share of the time for each, so that one silent address leaves time for the others.
        share_s = exchange.deadline.left() / (len(found) - index)
        sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        try:
            sock.settimeout(share_s)
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(exchange.deadline.left() + _SPARE_S)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure
