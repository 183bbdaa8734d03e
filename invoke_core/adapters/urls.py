"""URLs exactly as they are sent.

Source: HTTP contract, section 7 ("judged twice, as concatenated and as prepared for sending").
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

import requests

from invoke_core.errors import PolicyError

_PORTS: Final = {"http": 80, "https": 443}


_LONGEST_KEPT: Final = 2_000
"""Characters of a URL that is kept once it is prepared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a URL leads: scheme, host and port, and nothing else of it."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Return host and port for a sentence."""
        return f"{self._host()}:{self.port}"

    @property
    def authority(self) -> str:
        """What stands in a Host header: the port only where the scheme has another."""
        return self._host() if self.port == _PORTS.get(self.scheme) else str(self)

    def _host(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedUrl:
    """A URL after the percent-encoding of the transport.

    Attributes:
        text: All of it.
        origin: Where the connection goes.
        target: What stands in the request line: path and query.
    """

    text: str
    origin: Origin
    target: str


def prepare(url: str) -> PreparedUrl:
    """Prepare a URL as ``requests`` does.

    A URL is judged several times before it is sent, and the connection's own beside it each time,
    so the last few hundred are kept, unless they are long: a caller may write a megabyte.

    Raises:
        PolicyError: It cannot be made into an http or https URL.
    """
    return _kept(url) if len(url) <= _LONGEST_KEPT else _prepared(url)


def _prepared(url: str) -> PreparedUrl:
    try:
        # The part of preparing a request that changes its URL, without headers, cookies and hooks.
        prepared = requests.PreparedRequest()
        prepared.prepare_url(url, None)
        text = prepared.url or ""
        parts = urlsplit(text)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise PolicyError("The URL is not an http or https URL with a host.")
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        origin = Origin(scheme=parts.scheme, host=parts.hostname, port=port)
        return PreparedUrl(text=text, origin=origin, target=prepared.path_url)
    except (requests.RequestException, ValueError):
        # Their messages quote the URL, and it may hold secrets.
        raise PolicyError("The URL cannot be read as an http or https URL.") from None


_kept = lru_cache(maxsize=256)(_prepared)
