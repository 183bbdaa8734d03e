"""Egress proxies as administrators write them, and as the environment names them.

Source: HTTP contract, section 7 (``proxy``). How the variables are read is nowhere written down;
curl, Python's urllib and Go agree on what is done here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from invoke_core.connections import EgressProxy, ProxyServer
from invoke_core.model import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

A_PROXY: Final = (
    "the URL of a proxy that is reached over http (http://host:port, with user:password@ before "
    "the host where it asks for them)"
)
"""What a proxy is written as, for sentences."""

_SERVER: Final = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?"
    # To the last "@": a password may have one, and slashes as well.
    r"(?:(?P<user>[^:]*)(?::(?P<password>.*))?@)?"
    r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9._-]+))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_DEFAULT_PORT: Final = 80


def proxy_server(text: str) -> ProxyServer | None:
    """Read the URL of a proxy.

    Args:
        text: As written; http where it names no scheme. User name and password may be
            percent-encoded.

    Returns:
        The proxy; None where the text is none that can be used.
    """
    found = _SERVER.fullmatch(text.strip())
    if found is None or (found["scheme"] or "http").lower() != "http":
        return None
    port = int(found["port"] or _DEFAULT_PORT)
    user, password = found["user"], found["password"]
    has_credential = user is not None
    if not 0 < port < 65536 or not f"{user}{password}".isprintable():
        return None
    return ProxyServer(
        host=(found["literal"] or found["host"]).lower(),
        port=port,
        username=unquote(user or ""),
        password=Secret(unquote(password or "")) if has_credential else None,
    )


def environment_proxy(environ: Mapping[str, str]) -> tuple[EgressProxy, tuple[str, ...]]:
    """Read the proxy variables of an environment.

    Args:
        environ: Its variables. ``HTTP_PROXY`` is for http targets, ``HTTPS_PROXY`` for https,
            ``ALL_PROXY`` for those that have none; ``NO_PROXY`` lists, with commas, what is
            reached directly. The lower-case name goes before the upper-case one.

    Returns:
        The proxies, and the names of the variables that do not hold one.
    """
    servers: list[ProxyServer | None] = []
    unusable: list[str] = []
    for scheme in ("http", "https"):
        names = [f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
        name = next((name for name in names if environ.get(name, "").strip()), None)
        server = proxy_server(environ[name]) if name else None
        if name and server is None and name not in unusable:
            unusable.append(name)
        servers.append(server)
    listed = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    bypass = tuple(entry.strip().lower() for entry in listed.split(",") if entry.strip())
    return EgressProxy(http=servers[0], https=servers[1], bypass=bypass), tuple(unusable)
