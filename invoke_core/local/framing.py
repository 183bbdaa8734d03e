"""Refuses lines that h11 would refuse too, but only after too long a time.

h11's patterns for a header and for the size of a chunk need a time that grows with the square of
the blanks in a line, where a character follows that no line may hold: a request of 32 KiB could
keep a processor busy for many seconds.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from invoke_core.local.heads import refusal

_END_OF_LINES: Final = re.compile(rb"\n\r?\n")
# h11 takes a line that ends without a carriage return; one that stands elsewhere ends no line.
_NEVER_IN_A_LINE: Final = re.compile(rb"[\x00\v\f]|\r(?!\n|\Z)")
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,20})(?=[ \t;]|\Z)")


def check_head(received: bytes) -> None:
    """Check the head of a request, before h11 reads it.

    Args:
        received: Begins with the head; it need not be whole, and what follows it is not looked at.

    Raises:
        h11.RemoteProtocolError: A line holds what no line may hold.
    """
    end = _END_OF_LINES.search(received)
    if _NEVER_IN_A_LINE.search(received, 0, end.start() if end else len(received)):
        raise refusal(HTTPStatus.BAD_REQUEST)


def check_chunk(received: bytes) -> None:
    """Check what stands between two chunks of a body, or behind the last, before h11 reads it.

    Args:
        received: Begins with the end of the chunk before, or what is left of it; a size follows,
            or trailers. It need not be whole, and the chunk itself is not looked at.

    Raises:
        h11.RemoteProtocolError: A line holds what no line may hold.
    """
    rest = received.removeprefix(b"\r").removeprefix(b"\n")
    line = rest.partition(b"\r\n")[0]
    size = _SIZE.match(line)
    if size is None:
        # Trailers, or h11 refuses the line at its first character that does not fit.
        check_head(rest)
    elif b"\n" in line or _NEVER_IN_A_LINE.search(line):
        raise refusal(HTTPStatus.BAD_REQUEST)
    elif int(size[1], 16) == 0:
        check_head(rest)
