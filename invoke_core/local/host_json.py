"""What the local server takes from ``host.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from invoke_core.local.errors import LocalServerError
from invoke_core.local.schedules import parse_period

if TYPE_CHECKING:
    from pathlib import Path

SHORTEST_POLLING: Final = timedelta(milliseconds=100)

_LONGEST: Final = timedelta(days=7)
_MOST_IN_A_BATCH: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """How queues are listened to (``QueuesOptions`` of the Functions host).

    Attributes:
        batch_size: Messages received at once, 1 to 32.
        new_batch_threshold: The next are received once no more than these are at work.
        max_dequeue_count: How often a message is tried before it counts as poison.
        visibility_timeout: From a failure to the next try; whole seconds.
        max_polling_interval: Longest time between looks at an empty queue.
    """

    batch_size: int
    new_batch_threshold: int
    max_dequeue_count: int
    visibility_timeout: timedelta
    max_polling_interval: timedelta


def read_route_prefix(host_json: Path) -> str:
    """Return ``extensions.http.routePrefix`` of a ``host.json``; ``api`` where it has none.

    Raises:
        LocalServerError: The file cannot be read, or is not one.
    """
    prefix = _extension(host_json, "http").get("routePrefix", "api")
    if not isinstance(prefix, str):
        raise LocalServerError(f"In {host_json.name}, the routePrefix has to be text.")
    return prefix.strip("/")


def read_queue_settings(host_json: Path) -> QueueSettings:
    """Return ``extensions.queues`` of a ``host.json``, with the host's defaults.

    Raises:
        LocalServerError: The file cannot be read, or is not one; or the Functions host would
            refuse a value; or messages are not in Base64, which is all that is read here.
    """
    section = _extension(host_json, "queues")

    def number(name: str, default: int, least: int, most: int | None = None) -> int:
        value = section.get(name, default)
        if type(value) is not int or value < least or (most is not None and value > most):
            up_to = "up" if most is None else f"to {most}"
            raise _refusal(host_json, name, f"a whole number from {least} {up_to}")
        return value

    def period(name: str, default: str, least: timedelta, most: timedelta) -> timedelta:
        value = section.get(name, default)
        try:
            found = parse_period(value) if isinstance(value, str) else None
        except ValueError:
            found = None
        if found is None or not least <= found <= most:
            raise _refusal(host_json, name, f"a period as in 00:00:30, from {least} to {most}")
        return found

    encoding = section.get("messageEncoding", "base64")
    if not isinstance(encoding, str) or encoding.lower() != "base64":
        raise _refusal(host_json, "messageEncoding", "base64")
    batch_size = number("batchSize", 16, 1, _MOST_IN_A_BATCH)
    return QueueSettings(
        batch_size=batch_size,
        new_batch_threshold=number("newBatchThreshold", batch_size // 2, 0),
        max_dequeue_count=number("maxDequeueCount", 5, 1),
        visibility_timeout=period("visibilityTimeout", "00:00:00", timedelta(), _LONGEST),
        max_polling_interval=period("maxPollingInterval", "00:01:00", SHORTEST_POLLING, _LONGEST),
    )


def _extension(host_json: Path, name: str) -> dict[str, Any]:
    try:
        section = json.loads(host_json.read_text("utf-8-sig")).get("extensions", {}).get(name, {})
    except (OSError, ValueError, AttributeError) as error:
        raise LocalServerError(f"{host_json.name} cannot be read: {error}.") from error
    if not isinstance(section, dict):
        raise LocalServerError(f"In {host_json.name}, the extension {name} has to be an object.")
    return section


def _refusal(host_json: Path, name: str, takes: str) -> LocalServerError:
    return LocalServerError(f"In {host_json.name}, the {name} of the queues takes {takes}.")
