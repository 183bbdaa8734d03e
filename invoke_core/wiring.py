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
from random import random, uniform
from secrets import token_urlsafe  # noqa: TID251  # the tokens of the process
from threading import Lock, Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Final
from uuid import uuid4  # noqa: TID251  # the ids of the process

from invoke_core.errors import ConfigurationError, SettingsError
from invoke_core.settings import EmbeddedStore, account_setting, read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from invoke_core.alarm_clock import AlarmClock
    from invoke_core.alarms import Alarm, QueueAlarms
    from invoke_core.listing import Listing
    from invoke_core.model import Secret
    from invoke_core.ports import EntityStore
    from invoke_core.runs import Runs
    from invoke_core.settings import Settings
    from invoke_core.web.api import Handlers
    from invoke_core.web.pipelines import PipelineHandlers

APP_ROOT: Final = Path(__file__).resolve().parent.parent
"""The folder of ``host.json``."""

_STEP: Final = timedelta(minutes=4)
"""How long one step of a timer may take; the host stops a function after five minutes."""

_log = logging.getLogger(__name__)

_making = Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """What the functions of this process share.

    Attributes:
        handlers: Answers our own routes.
        pipelines: Answers the Azure-Pipelines-compatible half.
        background: What is done beside calls; None where settings are faulty.
    """

    handlers: Handlers
    pipelines: PipelineHandlers
    background: Background | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """What is done beside calls.

    Attributes:
        listing: Forgets old invocations.
        runs: Does what is due.
        alarms: Call for it.
    """

    listing: Listing
    runs: Runs
    alarms: AlarmClock | QueueAlarms


def handlers() -> Handlers:
    """Return what answers our own routes, made from the environment when first asked for."""
    return _app().handlers


def pipeline_handlers() -> PipelineHandlers:
    """Return what answers the Azure-Pipelines-compatible half."""
    return _app().pipelines


def forget_old() -> None:
    """Remove invocations that ended longer ago than they are kept; a daily, bounded step."""
    background = _app().background
    if background is not None:
        forgotten = background.listing.forget(until=_now() + _STEP)
        _log.info("forgot %d invocations", forgotten)


def alarm_connection() -> str | None:
    """Return the connection of the queue's trigger, or None where alarms need no queue.

    The host asks while it indexes the app, before settings are checked.
    """
    return account_setting(os.environ)  # noqa: TID251  # at the process's edge


def watch_alarms() -> None:
    """See that what is due within the next minute is done in time; once a minute.

    With the embedded store, that is a thread of this process, which goes on by itself.
    """
    from invoke_core.alarm_clock import AlarmClock  # noqa: PLC0415

    background = _app().background
    if background is None:
        return
    if isinstance(background.alarms, AlarmClock):
        background.alarms.start(background.runs)
    else:
        background.alarms.send_due(until=_now() + _STEP)


def stop_alarms(*, timeout_s: float) -> int:
    """Begin nothing more beside calls, and let what runs finish.

    Args:
        timeout_s: Seconds it gets.

    Returns:
        How many were still at it, and are taken over by another process.
    """
    from invoke_core.alarm_clock import AlarmClock  # noqa: PLC0415

    background = _app().background
    if background is None or not isinstance(background.alarms, AlarmClock):
        return 0
    return background.alarms.stop(timeout_s=timeout_s)


def ring_alarm(text: str) -> None:
    """Do what the message of an alarm says is due; raises where that failed.

    Args:
        text: The message; one that is no alarm is passed over.
    """
    _with_alarm(text, lambda runs, alarm: runs.ring(alarm))


def give_up_alarm(text: str) -> None:
    """Learn that an alarm failed as often as it may.

    Args:
        text: The message; one that is no alarm is passed over.
    """
    _with_alarm(text, lambda runs, alarm: runs.give_up(alarm))


def _with_alarm(text: str, act: Callable[[Runs, Alarm], None]) -> None:
    alarm, background = _read_alarm(text), _working_background()
    if alarm is not None:
        act(background.runs, alarm)


def _read_alarm(text: str) -> Alarm | None:
    from invoke_core.alarms import Alarm  # noqa: PLC0415
    from invoke_core.telemetry import foreign_message_line, tell  # noqa: PLC0415

    alarm = Alarm.read(text)
    if alarm is None:
        tell(foreign_message_line())
    return alarm


def _working_background() -> Background:
    """Return what is done beside calls; the message stays where it cannot be."""
    background = _app().background
    if background is None:
        raise ConfigurationError("The settings are faulty; health names which.")
    return background


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
            background=None,
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
    from invoke_core.adapters.sealing import LateSeal, StateSeal, TokenSeal  # noqa: PLC0415
    from invoke_core.alarm_clock import AlarmClock  # noqa: PLC0415
    from invoke_core.claims import Claims  # noqa: PLC0415
    from invoke_core.drafts import Drafts  # noqa: PLC0415
    from invoke_core.health import StoreHealth  # noqa: PLC0415
    from invoke_core.journal import Journal  # noqa: PLC0415
    from invoke_core.limits import ConnectionLimits, Places  # noqa: PLC0415
    from invoke_core.listing import Listing  # noqa: PLC0415
    from invoke_core.plans import PlanService  # noqa: PLC0415
    from invoke_core.runs import Runs  # noqa: PLC0415
    from invoke_core.sending import Sending  # noqa: PLC0415
    from invoke_core.service import InvokeService  # noqa: PLC0415
    from invoke_core.transitions import Transitions  # noqa: PLC0415
    from invoke_core.turns import Turns  # noqa: PLC0415
    from invoke_core.wakeups import Wakeups  # noqa: PLC0415
    from invoke_core.web.api import Handlers  # noqa: PLC0415
    from invoke_core.web.pipelines import PipelineHandlers  # noqa: PLC0415
    from invoke_core.withdrawals import Withdrawals  # noqa: PLC0415

    turns = Turns()
    store = open_store(settings)
    journal = Journal(store, new_id=_new_id)
    wakeups = Wakeups()
    alarms = make_alarms(settings, store)
    transitions = Transitions(
        journal=journal, alarms=alarms, wakeups=wakeups, now=_now, pause=_pause
    )
    sender = HttpSender(budget=ByteBudget(settings.max_buffered_bytes))
    credentials = TokenCredentials(sender=sender)
    sending = Sending(
        sender=sender,
        credentials=credentials,
        connections=settings.connections,
        exchange_timeout_s=settings.api_response_timeout_s,
        body_limit_bytes=settings.max_response_bytes,
        monotonic_s=monotonic,
        turns=turns,
    )
    seal = TokenSeal()
    drafts = Drafts(
        sending=sending,
        connections=settings.connections,
        seal=seal,
        state_seal=LateSeal(lambda: StateSeal(state_keys(settings))),
        new_id=_new_id,
        new_token=_new_token,
        public_base_url=settings.public_base_url,
    )
    listing = Listing(journal=journal, transitions=transitions, keep=settings.retention, now=_now)
    places = Places(settings.max_concurrent)
    limits = ConnectionLimits(monotonic)
    runs = Runs(
        sending=sending,
        drafts=drafts,
        connections=settings.connections,
        journal=journal,
        transitions=transitions,
        alarms=alarms,
        limits=limits,
        new_id=_new_id,
        jitter=random,
        now=_now,
    )
    if isinstance(alarms, AlarmClock):
        alarms.ring_for(runs)
    service = InvokeService(
        sending=sending,
        drafts=drafts,
        claims=Claims(
            journal=journal, transitions=transitions, drafts=drafts, now=_now, pause=_pause
        ),
        runs=runs,
        journal=journal,
        transitions=transitions,
        alarms=alarms,
        listing=listing,
        wakeups=wakeups,
        withdrawals=Withdrawals(journal, transitions, sleep, _run_later),
        places=places,
        limits=limits,
        turns=turns,
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
            store_health=StoreHealth(look_at(store, alarms), monotonic_s=monotonic),
            base_url=settings.public_base_url,
            platform_auth=platform_auth,
            now=_now,
            new_id=_new_id,
        ),
        pipelines=PipelineHandlers(plans, base_url=settings.public_base_url, new_id=_new_id),
        background=Background(listing=listing, runs=runs, alarms=alarms),
    )


def open_store(settings: Settings) -> EntityStore:
    """Make the store that the settings name; nothing is opened before its first use."""
    if isinstance(settings.store, EmbeddedStore):
        from invoke_core.adapters.sqlite import SqliteStore  # noqa: PLC0415

        return SqliteStore(settings.store.path)
    from invoke_core.adapters.tables import TablesStore  # noqa: PLC0415

    return TablesStore(settings.store, threads=settings.threads, new_id=_new_id)


def make_alarms(settings: Settings, store: EntityStore) -> AlarmClock | QueueAlarms:
    """Make the alarms that go with a store.

    Args:
        settings: They name the store.
        store: Where alarms are kept.
    """
    from invoke_core.alarms import DueIndex, QueueAlarms  # noqa: PLC0415

    index = DueIndex(store)
    if isinstance(settings.store, EmbeddedStore):
        from invoke_core.alarm_clock import AlarmClock  # noqa: PLC0415

        return AlarmClock(index, _now)
    from invoke_core.adapters.queues import AlarmQueue  # noqa: PLC0415

    return QueueAlarms(index, AlarmQueue(settings.store, threads=settings.threads), _now)


def look_at(store: EntityStore, alarms: AlarmClock | QueueAlarms) -> Callable[[], None]:
    """Return what looks at all that is stored in: without its queue, nothing due would be done.

    Args:
        store: The store.
        alarms: Its alarms.
    """
    from invoke_core.alarms import QueueAlarms  # noqa: PLC0415

    if not isinstance(alarms, QueueAlarms):
        return store.check

    def look() -> None:
        store.check()
        alarms.check()

    return look


def state_keys(settings: Settings) -> Sequence[Secret]:
    """Return the keys of steps at rest; none where there is no setting for them.

    The embedded store has one beside it, made here when it is first needed.

    Raises:
        SettingsError: The file with that key cannot be used.
    """
    if settings.state_keys or not isinstance(settings.store, EmbeddedStore):
        return settings.state_keys
    from invoke_core.adapters.key_file import kept_key  # noqa: PLC0415

    return [kept_key(settings.store.key_path)]


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
