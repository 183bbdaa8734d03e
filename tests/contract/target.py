"""What the target behind the service answers, by the path that is asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tests.api.target import Reply

if TYPE_CHECKING:
    from tests.api.target import Received

_REPLIES: Final[dict[str, Reply | None]] = {
    "ok": Reply(),
    "slow": Reply(),
    "fails": Reply(b'{"error": "no"}', 500),
    "accepted": Reply(b'{"status": "running"}', 202),
    "broken": Reply(b'{"count": '),
    "text": Reply(b"##vso[task.complete]", headers={"Content-Type": "text/plain"}),
    "lost": None,
}

PATHS: Final = tuple(f"/{name}" for name in _REPLIES)


def answer(request: Received) -> Reply | None:
    """Answer well, badly, late, with half an answer or not at all."""
    name = request.path.partition("?")[0].rpartition("/")[2]
    if name == "slow":
        time.sleep(0.05)
    return _REPLIES.get(name, Reply())
