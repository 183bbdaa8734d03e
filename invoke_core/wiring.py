"""The composition root: reads the environment and puts the parts together, on first use.

Importing this module does nothing; ``function_app`` imports it while the host indexes the app,
where a failure would make every function disappear.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import uniform
from secrets import token_urlsafe  # noqa: TID251  # the tokens of the process
from threading import Lock, Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final
from uuid import uuid4  # noqa: TID251  # the ids of the process

from invoke_core.errors import SettingsError
from invoke_core.settings import EmbeddedStore, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from invoke_core.listing import Listing
    from invoke_core.ports import EntityStore
    from invoke_core.settings import Settings
    from invoke_core.web.api import Handlers
    from invoke_core.web.pipelines import PipelineHandlers

APP_ROOT: Final = Path(__file__).resolve().parent.parent
"""The folder of ``host.json``."""

_FORGETTING: Final = timedelta(minutes=4)
"""How long one step of forgetting may take; the host stops a function after five minutes."""

_log = logging.getLogger(__name__)

_making = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What the functions of this process share.

    Attributes:
        handlers: Answers our own routes.
        pipelines: Answers the Azure-Pipelines-compatible half.
        listing: Forgets old invocations; None where settings are faulty.
    """

    handlers: Handlers
    pipelines: PipelineHandlers
    listing: Listing | None


def handlers() -> Handlers:
    """Return what answers our own routes, made from the environment when first asked for."""
    return _app().handlers


def pipeline_handlers() -> PipelineHandlers:
    """Return what answers the Azure-Pipelines-compatible half."""
    return _app().pipelines


def forget_old() -> None:
    """Remove invocations that ended longer ago than they are kept; a daily, bounded step."""
    app = _app()
    if app.listing is not None:
        until = _now() + _FORGETTING
        forgotten = app.listing.forget(until=until)
        _log.info("forgot %d invocations", forgotten)


def _app() -> App:
    """Return the app of this process.

    The first calls come side by side. They share one app, or the limits of the process would be
    counted several times.
    """
    with _making:
        return _made_app()


@cache
def _made_app() -> App:
    return build_app(os.environ, root=APP_ROOT)  # noqa: TID251  # the one place that reads it


def build_app(environ: Mapping[str, str], *, root: Path) -> App:
    """Put the parts together.

    Args:
        environ: The application settings.
        root: The folder of ``host.json``.

    Returns:
        An app that works, or that names the faulty settings to whoever asks.
    """
    # Imported here, not above: indexing needs none of it.
    from invoke_core.web.api import Handlers  # noqa: PLC0415
    from invoke_core.web.pipelines import PipelineHandlers  # noqa: PLC0415

    platform_auth = environ.get("WEBSITE_AUTH_ENABLED", "").lower() == "true"
    try:
        settings = read_settings(environ, root=root)
    except SettingsError as error:
        for fault in error.faults:
            _log.error("setting %s: %s", fault.pointer, fault.detail)
        return App(
            handlers=Handlers(
                error, base_url="", platform_auth=platform_auth, now=_now, new_id=_new_id
            ),
            pipelines=PipelineHandlers(error, base_url="", new_id=_new_id),
            listing=None,
        )
    for fault in settings.connection_faults:
        _log.error("%s: %s", fault.pointer, fault.detail)
    for warning in settings.warnings:
        _log.warning("%s", warning)
    return _working_app(settings, platform_auth=platform_auth)


def _working_app(settings: Settings, *, platform_auth: bool) -> App:
    from invoke_core.adapters.budget import ByteBudget  # noqa: PLC0415
    from invoke_core.adapters.credentials import TokenCredentials  # noqa: PLC0415
    from invoke_core.adapters.http import HttpSender  # noqa: PLC0415
    from invoke_core.adapters.sealing import TokenSeal  # noqa: PLC0415
    from invoke_core.claims import Claims  # noqa: PLC0415
    from invoke_core.drafts import Drafts  # noqa: PLC0415
    from invoke_core.health import StoreHealth  # noqa: PLC0415
    from invoke_core.journal import Journal  # noqa: PLC0415
    from invoke_core.limits import ConnectionLimits  # noqa: PLC0415
    from invoke_core.listing import Listing  # noqa: PLC0415
    from invoke_core.plans import PlanService  # noqa: PLC0415
    from invoke_core.sending import Sending  # noqa: PLC0415
    from invoke_core.service import InvokeService, Places  # noqa: PLC0415
    from invoke_core.transitions import Transitions  # noqa: PLC0415
    from invoke_core.wakeups import Wakeups  # noqa: PLC0415
    from invoke_core.web.api import Handlers  # noqa: PLC0415
    from invoke_core.web.pipelines import PipelineHandlers  # noqa: PLC0415
    from invoke_core.withdrawals import Withdrawals  # noqa: PLC0415

    store = open_store(settings)
    journal = Journal(store, new_id=_new_id)
    wakeups = Wakeups()
    transitions = Transitions(journal=journal, wakeups=wakeups, now=_now, pause=_pause)
    sender = HttpSender(budget=ByteBudget(settings.max_buffered_bytes))
    credentials = TokenCredentials(sender=sender)
    sending = Sending(
        sender=sender,
        credentials=credentials,
        connections=settings.connections,
        exchange_timeout_s=settings.api_response_timeout_s,
        body_limit_bytes=settings.max_response_bytes,
        monotonic_s=monotonic,
    )
    seal = TokenSeal()
    drafts = Drafts(
        sending=sending,
        connections=settings.connections,
        seal=seal,
        new_id=_new_id,
        new_token=_new_token,
        public_base_url=settings.public_base_url,
    )
    listing = Listing(journal=journal, transitions=transitions, keep=settings.retention, now=_now)
    service = InvokeService(
        sending=sending,
        drafts=drafts,
        claims=Claims(
            journal=journal, transitions=transitions, drafts=drafts, now=_now, pause=_pause
        ),
        journal=journal,
        transitions=transitions,
        listing=listing,
        wakeups=wakeups,
        withdrawals=Withdrawals(journal, sleep, _run_later),
        places=Places(settings.max_concurrent),
        limits=ConnectionLimits(monotonic),
        now=_now,
    )
    plans = PlanService(
        journal=journal,
        transitions=transitions,
        connections=settings.connections,
        credentials=credentials,
        seal=seal,
        now=_now,
        pause=_pause,
    )
    return App(
        handlers=Handlers(
            service,
            store_health=StoreHealth(store.check, monotonic_s=monotonic),
            base_url=settings.public_base_url,
            platform_auth=platform_auth,
            now=_now,
            new_id=_new_id,
        ),
        pipelines=PipelineHandlers(plans, base_url=settings.public_base_url, new_id=_new_id),
        listing=listing,
    )


def open_store(settings: Settings) -> EntityStore:
    """Make the store that the settings name; nothing is opened before its first use."""
    if isinstance(settings.store, EmbeddedStore):
        from invoke_core.adapters.sqlite import SqliteStore  # noqa: PLC0415

        return SqliteStore(settings.store.path)
    from invoke_core.adapters.tables import TablesStore  # noqa: PLC0415

    return TablesStore(settings.store, threads=settings.threads, new_id=_new_id)


def _now() -> datetime:
    now = datetime.now(UTC)  # noqa: TID251  # the clock of the process
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def _new_id() -> str:
    return str(uuid4())


def _new_token() -> str:
    return token_urlsafe(32)


def _run_later(work: Callable[[], None]) -> None:
    Thread(target=work, daemon=True).start()


def _pause(attempt: int) -> None:
    """Wait: tries that fell together once would otherwise fall together again."""
    sleep(uniform(0, min(0.25, 0.005 * 2**attempt)))  # noqa: S311  # spreads tries, hides nothing
