"""The composition root: reads the environment and puts the parts together, on first use.

Importing this module does nothing; ``function_app`` imports it while the host indexes the app,
where a failure would make every function disappear.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final
from uuid import uuid4  # noqa: TID251  # the ids of the process

from invoke_core.errors import SettingsError
from invoke_core.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke_core.settings import Settings
    from invoke_core.web.api import Handlers

APP_ROOT: Final = Path(__file__).resolve().parent.parent
"""The folder of ``host.json``."""

_log = logging.getLogger(__name__)


_making = Lock()


def handlers() -> Handlers:
    """Return the handlers of this process, made from the environment when first asked for.

    The first calls come side by side. They share one set, or the limits of the process would be
    counted several times.
    """
    with _making:
        return _handlers()


@cache
def _handlers() -> Handlers:
    return build_handlers(os.environ, root=APP_ROOT)  # noqa: TID251  # the one place that reads it


def build_handlers(environ: Mapping[str, str], *, root: Path) -> Handlers:
    """Make the handlers from settings.

    Args:
        environ: The application settings.
        root: The folder of ``host.json``.

    Returns:
        Handlers that work, or that name the faulty settings to whoever asks.
    """
    # Imported here, not above: indexing needs none of it.
    from invoke_core.web.api import Handlers  # noqa: PLC0415

    platform_auth = environ.get("WEBSITE_AUTH_ENABLED", "").lower() == "true"
    try:
        settings = read_settings(environ, root=root)
    except SettingsError as error:
        for fault in error.faults:
            _log.error("setting %s: %s", fault.pointer, fault.detail)
        return Handlers(error, base_url="", platform_auth=platform_auth, new_id=_new_id)
    return _working_handlers(settings, platform_auth=platform_auth)


def _working_handlers(settings: Settings, *, platform_auth: bool) -> Handlers:
    from invoke_core.adapters.budget import ByteBudget  # noqa: PLC0415
    from invoke_core.adapters.http import HttpSender  # noqa: PLC0415
    from invoke_core.adapters.sqlite import SqliteStore  # noqa: PLC0415
    from invoke_core.health import StoreHealth  # noqa: PLC0415
    from invoke_core.service import InvokeService, Limits  # noqa: PLC0415
    from invoke_core.web.api import Handlers  # noqa: PLC0415

    for fault in settings.connection_faults:
        _log.error("%s: %s", fault.pointer, fault.detail)
    for warning in settings.warnings:
        _log.warning("%s", warning)
    service = InvokeService(
        sender=HttpSender(budget=ByteBudget(settings.max_buffered_bytes)),
        connections=settings.connections,
        now=_now,
        new_id=_new_id,
        limits=Limits(
            exchange_timeout_s=settings.api_response_timeout_s,
            body_bytes=settings.max_response_bytes,
            concurrent=settings.max_concurrent,
        ),
        public_base_url=settings.public_base_url,
    )
    store_health = None
    if settings.store_path is not None:
        store_health = StoreHealth(SqliteStore(settings.store_path), monotonic_s=monotonic)
    return Handlers(
        service,
        store_health=store_health,
        base_url=settings.public_base_url,
        platform_auth=platform_auth,
        new_id=_new_id,
    )


def _now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  # the clock of the process


def _new_id() -> str:
    return str(uuid4())
