"""Egress proxies: which requests go through one, and the tunnel to an https target.

Source: HTTP contract, section 7 (``proxy``); RFC 9110, sections 9.3.6 (CONNECT) and 11.7.
"""

from __future__ import annotations

import base64
import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

import h11

from invoke_core.adapters.exchange import ProxyError

if TYPE_CHECKING:
    import socket
    from ipaddress import IPv4Network, IPv6Network

    from invoke_core.adapters.urls import Origin
    from invoke_core.connections import EgressProxy, ProxyServer

_MOST_HEAD_BYTES: Final = 8 * 1024
_MOST_INTERIM: Final = 10
_WITH_PORT: Final = re.compile(r"(?P<host>\[[^\]]*\]|[^:]*):(?P<port>\d+)")


def proxy_for(origin: Origin, proxy: EgressProxy) -> ProxyServer | None:
    """Return the proxy a request to an origin leaves through; None where it leaves directly."""
    server = proxy.https if origin.scheme == "https" else proxy.http
    if server is None or any(_covers(entry, origin) for entry in proxy.bypass):
        return None
    return server


def proxy_place(proxy: ProxyServer | None) -> str:
    """Return a proxy's host and port for a sentence; nothing without one."""
    if proxy is None:
        return ""
    host = f"[{proxy.host}]" if ":" in proxy.host else proxy.host
    return f"{host}:{proxy.port}"


def authorization(proxy: ProxyServer) -> list[tuple[str, str]]:
    """Return the header by which a proxy knows us; none where it asks for no credential."""
    if proxy.password is None:
        return []
    pair = f"{proxy.username}:{proxy.password.reveal()}".encode()
    return [("Proxy-Authorization", f"Basic {base64.b64encode(pair).decode('ascii')}")]


def refusal(status: int, proxy: ProxyServer) -> str:
    """Return what a proxy's status means where it passes nothing on: the rest of a sentence."""
    if status == 407 and proxy.password is None:
        return "asks for a credential (status 407); write it as http://user:password@host:port"
    if status == 407:
        return "refused the credential it was shown (status 407)"
    if status in {403, 405}:
        return f"does not allow it (status {status}); its rules have to"
    return f"opened no tunnel (status {status}); it may not reach the target itself"


def open_tunnel(sock: socket.socket, origin: Origin, proxy: ProxyServer) -> None:
    """Have a proxy connect a socket through to an origin.

    Args:
        sock: Connected to the proxy, and watched: the deadline shuts it down.
        origin: Where the tunnel is to lead.
        proxy: Gives the credential, which the target never sees.

    Raises:
        ProxyError: The proxy opens none.
        OSError: As the socket raises it.
    """
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MOST_HEAD_BYTES)
    target = str(origin)
    request = h11.Request(
        method="CONNECT", target=target, headers=[("Host", target), *authorization(proxy)]
    )
    sock.sendall((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    for _ in range(_MOST_INTERIM):
        event = _next_event(sock, http)
        if isinstance(event, h11.Response):
            if not 200 <= event.status_code < 300:
                raise ProxyError(refusal(event.status_code, proxy))
            if http.trailing_data[0]:
                raise ProxyError("sends bytes of its own into the tunnel")
            return
    raise ProxyError("sends interim (1xx) answers that nobody asked for")


def _next_event(sock: socket.socket, http: h11.Connection) -> object:
    try:
        while (event := http.next_event()) is h11.NEED_DATA:
            received = sock.recv(_MOST_HEAD_BYTES)
            if not received:
                raise ProxyError("closed the connection instead of opening a tunnel")
            http.receive_data(received)
    except h11.RemoteProtocolError:
        raise ProxyError("does not answer as an HTTP proxy does") from None
    return event


def _covers(entry: str, origin: Origin) -> bool:
    """Tell whether an entry of ``NO_PROXY`` names an origin.

    An entry is ``*``, an address, a network (``10.0.0.0/8``), or a name, which stands for all
    names below it too; each with a port or for any. A dot before a name changes nothing.
    """
    found = _WITH_PORT.fullmatch(entry)
    host = found["host"] if found else entry
    if found and int(found["port"]) != origin.port:
        return False
    network = _network(host.strip("[]"))
    if network is not None:
        address = _network(origin.host)
        return address is not None and address.network_address in network
    name = host.removeprefix("*").removeprefix(".").rstrip(".")
    here = origin.host.rstrip(".")
    return host == "*" or (bool(name) and (here == name or here.endswith(f".{name}")))


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False) if "/" in text else ip_network(ip_address(text))
    except ValueError:
        return None
