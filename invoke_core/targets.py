"""Which URL a task reaches, and whether its connection grants it.

A URL is judged as text, twice: as it was concatenated, and as the transport prepared it. What is
suspicious is refused, never normalised: a URL that two parsers read differently is how requests
end up where nobody meant them to.

Source: HTTP contract, section 7 ("The URL is judged twice", ``allow``).
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from invoke_core.connections import ConnectionKind
from invoke_core.errors import PolicyError
from invoke_core.model import Method

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invoke_core.connections import Allow, Connection

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SUSPICIOUS: Final = re.compile("[\x00-\x20\x7f\\\\\ud800-\udfff]")
_PORTS: Final = {"http": 80, "https": 443}
_WILDCARD: Final = re.compile(
    r"(?P<all>\\\*\\\*)|(?P<segment>(?<![^/])\\\*(?![^/]))|(?P<part>\\\*)"
)
_SEGMENT_END: Final = re.compile("[;?#]")
_DECODE_ROUNDS: Final = 3
"""How often an encoded path is decoded while looking for dots and slashes: targets behind proxies
decode more than once."""


def full_url(connection: Connection, suffix: str) -> str:
    """Return the URL a suffix leads to.

    Args:
        connection: Its URL is the base.
        suffix: Appended as text; for Azure Resource Manager a path is joined with exactly one
            slash, since its suffixes are in use with and without one.

    Returns:
        The concatenation, not yet judged.
    """
    is_path = suffix and not suffix.startswith("?")
    if connection.kind is ConnectionKind.AZURE_RESOURCE_MANAGER and is_path:
        return f"{connection.url.rstrip('/')}/{suffix.lstrip('/')}"
    return connection.url + suffix


def judge_grant(allow: Allow, *, method: Method, caller: str, connection: str) -> None:
    """Refuse a method or a caller that a connection does not grant.

    Raises:
        PolicyError: It is not granted; the message says what is.
    """
    if allow.callers is not None and caller not in allow.callers:
        raise PolicyError(
            f"The connection '{connection}' is not open to this caller ({caller}); "
            "its definition lists others under allow.callers."
        )
    if allow.methods is None:
        if method is Method.TRACE:
            raise PolicyError(
                f"TRACE is sent only where the connection lists it; "
                f"'{connection}' has no allow.methods."
            )
    elif method not in allow.methods:
        granted = ", ".join(sorted(allow.methods)) or "none"
        raise PolicyError(
            f"The connection '{connection}' does not grant {method}; it grants {granted}."
        )


def judge_url(url: str, *, base: str, allow: Allow) -> None:
    """Refuse a URL that leaves what a connection grants.

    Args:
        url: The full URL.
        base: The connection's URL in the same form (as written, or as prepared).
        allow: What the connection grants.

    Raises:
        PolicyError: Another scheme, host or port, user information, a fragment, a path outside
            the base path or the granted paths, dot segments, backslashes, control characters.
    """
    if _CONTROL.search(url):
        raise PolicyError("The URL has a control character in it.")
    if "\\" in url:
        raise PolicyError("The URL has a backslash in it; use '/', or %5C in a query.")
    there, here = _split(url), _split(base)
    if "@" in there.netloc:
        raise PolicyError("The URL has user information in it ('…@host').")
    if (there.scheme, there.netloc) != (here.scheme, here.netloc):
        raise PolicyError(
            "The URL suffix changes the scheme, host or port of the connection's URL; "
            "it is appended as text, so it has to begin with '/' or '?'."
        )
    if "#" in url:
        raise PolicyError("The URL has a fragment ('#…'), which is never sent; write %23 for '#'.")
    judge_segments(there.path)
    _judge_prefix(there.path, here.path)
    if allow.paths is not None:
        _judge_paths(there.path or "/", allow.paths)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise PolicyError("The URL suffix makes a URL that cannot be read.") from None


def resolved(base: str, reference: str) -> str:
    """Return the URL that a target refers to.

    Args:
        base: The URL it was asked under.
        reference: What it answered: a URL, or a reference relative to that.

    Returns:
        The URL, not yet judged.

    Raises:
        PolicyError: It has dot segments or anything else that readers of URLs differ over. The
            message begins with a small letter, for the end of a sentence.
    """
    if _SUSPICIOUS.search(reference):
        raise PolicyError("its location has a blank, a backslash or a control character in it.")
    try:
        parts = urlsplit(reference)
        joined = urljoin(base, reference)
    except ValueError:
        raise PolicyError("its location cannot be read as a URL.") from None
    # Joining resolves dot segments, so they have to be looked for before it.
    judge_segments(parts.path)
    if not parts.netloc and (parts.scheme or reference.startswith("//")):
        # Readers of URLs differ over these: to some they are paths, to others they name a host.
        raise PolicyError("its location has a scheme or '//', and no host after it.")
    return joined


def with_origin_of(url: str, base: str) -> str:
    """Return a URL with its origin spelled as that of another one, where it is the same.

    Letter case and the scheme's own port make no difference (RFC 3986, sections 6.2.2.1 and
    6.2.3); some services of Azure write the port out.

    Args:
        url: A URL that a target answered.
        base: The URL of the connection.

    Raises:
        PolicyError: It cannot be read.
    """
    there, here = _split(url), _split(base)
    if "@" in there.netloc or _origin(there) != _origin(here):
        return url
    return there._replace(scheme=here.scheme, netloc=here.netloc).geturl()


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    try:
        port = parts.port
    except ValueError:
        raise PolicyError("The URL has no number for its port.") from None
    return parts.scheme, parts.hostname or "", _PORTS.get(parts.scheme) if port is None else port


def judge_segments(path: str) -> None:
    """Refuse a path that leads elsewhere once it is decoded or normalised.

    Args:
        path: The path of a URL or of a relative reference, before anything resolved it.

    Raises:
        PolicyError: It has a dot segment (also one with ``;``, or with ``?`` or ``#``, which end
            it once they are decoded), a backslash or a control character, plain or encoded.
    """
    for reading in _readings(path):
        if _CONTROL.search(reading):
            raise PolicyError("The URL has an encoded control character in its path.")
        if "\\" in reading:
            raise PolicyError("The URL has an encoded backslash in its path.")
        segments = (_SEGMENT_END.split(segment, 1)[0] for segment in reading.split("/"))
        if any(segment.strip() in {".", ".."} for segment in segments):
            raise PolicyError("The URL has a '.' or '..' segment, plain or encoded, in its path.")


def _judge_prefix(path: str, prefix: str) -> None:
    rest = path.removeprefix(prefix)
    inside = path.startswith(prefix) and (not rest or rest.startswith("/") or prefix[-1:] == "/")
    if not inside and prefix:
        raise PolicyError(
            "The URL suffix continues the last segment of the connection's path; "
            "it has to begin with '/' or '?'."
        )


def _readings(path: str) -> Iterator[str]:
    """Yield a path in every way a target may read it: decoded, look-alikes made plain."""
    reading = path
    for _ in range(_DECODE_ROUNDS + 1):
        plain = unicodedata.normalize("NFKC", reading)
        yield plain
        reading = unquote(plain)
        if reading == plain:
            return


def _judge_paths(path: str, patterns: tuple[str, ...]) -> None:
    if any(reading.count("/") != path.count("/") for reading in _readings(path)):
        raise PolicyError(
            "The URL has an encoded slash in its path, and the connection grants single paths."
        )
    if not any(_path_pattern(pattern).fullmatch(path) for pattern in patterns):
        raise PolicyError(
            f"The connection does not grant this path; it grants {', '.join(patterns) or 'none'}."
        )


def _path_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a path pattern.

    ``*`` stands for a segment or a part of one, and never for an empty segment: to many targets
    that is none at all. ``**`` stands for anything.
    """
    wild = {"all": ".*", "segment": "[^/]+", "part": "[^/]*"}
    written = _WILDCARD.sub(lambda found: wild[str(found.lastgroup)], re.escape(pattern))
    return re.compile(written, re.DOTALL)
