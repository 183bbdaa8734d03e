"""Control characters and ANSI sequences in texts of strangers."""

from __future__ import annotations

import re
from typing import Final

LINE_ENDS: Final = re.compile("\r\n|[\r\n\u0085\u2028\u2029]")

# A sequence that never ends takes the rest of its line with it, as a terminal would.
_UNSEEN: Final = re.compile(
    "((?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?"
    "|(?:\x1b[\\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x9c|\x1b\\\\)?"
    "|\x1b[ -/]*[0-~]?"
    "|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x8f\x91-\x97\x99\x9a\x9c]+)"
)
_WINDOW: Final = 64 * 1024


def without_controls(text: str) -> str:
    """Return a text without control and ANSI sequences; tabs stay, and line ends as LF."""
    if text.isprintable():
        return text
    for line_end in ("\r\n", "\r", "\u0085", "\u2028", "\u2029"):
        text = text.replace(line_end, "\n")
    if not _UNSEEN.search(text):
        return text
    # In windows, since the pieces of all of a long text take many times its memory.
    parts = []
    start, size = 0, _WINDOW
    while start < len(text):
        stop = start + size
        pieces = _UNSEEN.split(text[start:stop])
        is_cut = stop < len(text) and len(pieces) > 1 and not pieces[-1]
        cut = pieces[-2] if is_cut else ""
        if len(cut) == size:
            size *= 2
            continue
        parts.append("".join(pieces[::2]))
        start, size = stop - len(cut), _WINDOW
    return "".join(parts)
