"""The application settings.

Source: HTTP contract, section 9; section 8 for what is strict where.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from invoke_core.connections import ConnectionBook
from invoke_core.documents import parse_input
from invoke_core.errors import Fault, JsonSyntaxError, SettingsError
from invoke_core.settings.connections import ConnectionReader
from invoke_core.settings.definitions import is_unresolved
from invoke_core.settings.storage import AccountReader, StoreReader
from invoke_core.state_keys import HOW_TO_MAKE, read_state_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke_core.documents import JsonValue
    from invoke_core.model import Secret, StorageAccount
    from invoke_core.settings.storage import Store

DEFAULT_THREADS: Final = 320
"""Requests handled at once; the worker's own default on two cores is 6."""

CONNECTIONS_FILE: Final = "connections.json"

STATE_KEY: Final = "STATE_KEY"
STATE_KEY_PREVIOUS: Final = "STATE_KEY_PREVIOUS"

_LOOPBACK_HOSTS: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the administrator set, checked.

    Attributes:
        connections: The service connections; faulty ones are known by name only.
        connections_source: Where they came from, for a person.
        connection_faults: What is wrong with single connections; the others work.
        warnings: Remarks on what works and had better be changed.
        public_base_url: Where this service is reached, without a slash at its end.
        api_response_timeout_s: Seconds for one exchange with a target.
        max_response_bytes: Longest body of an answer, content encodings undone.
        max_concurrent: Invocations that may run at once in this process.
        max_buffered_bytes: Bytes of answers this process may hold at once.
        threads: Requests handled at once.
        retention: How long ended invocations are kept.
        store: Where state is kept: a file of this machine, or a storage account.
        state_keys: What seals waiting steps, as ``state_keys`` writes keys: the current key, then
            the one before; empty where no setting has one.
    """

    connections: ConnectionBook
    connections_source: str
    connection_faults: tuple[Fault, ...]
    warnings: tuple[str, ...]
    public_base_url: str
    api_response_timeout_s: int
    max_response_bytes: int
    max_concurrent: int
    max_buffered_bytes: int
    threads: int
    retention: timedelta
    store: Store
    state_keys: tuple[Secret, ...] = field(repr=False)


def read_settings(environ: Mapping[str, str], *, root: Path, strict: bool = False) -> Settings:
    """Read all settings.

    Args:
        environ: The application settings by name, as the environment holds them.
        root: The folder of ``host.json``; relative paths start there.
        strict: Whether faults of single connections are raised too.

    Returns:
        The settings; where not strict, with the faults of single connections in them.

    Raises:
        SettingsError: Settings on which everything depends are faulty; all of them are named.
    """
    reader = _Reader(environ, root)
    settings = reader.settings()
    faults = [*reader.faults, *(settings.connection_faults if strict else ())]
    if faults:
        raise SettingsError(faults)
    return settings


def read_account(environ: Mapping[str, str], setting: str) -> StorageAccount:
    """Read the settings of one storage account: what a trigger's ``connection`` stands for.

    Args:
        environ: The application settings by name, as the environment holds them.
        setting: The setting, or what the names of its settings begin with.

    Raises:
        SettingsError: They are missing or faulty; all of them are named.
    """
    reader = _Reader(environ, Path())
    account = reader.account(setting)
    if account is None or reader.faults:
        raise SettingsError(reader.faults)
    return account


class _Reader:
    def __init__(self, environ: Mapping[str, str], root: Path) -> None:
        self.faults: list[Fault] = []
        self._environ = environ
        self._root = root
        self._on_azure = _is_on_azure(environ)

    def settings(self) -> Settings:
        definitions, source = self._definitions()
        connections = ConnectionReader(
            environ=self._environ, root=self._root, on_azure=self._on_azure
        )
        known = connections.read(definitions)
        self.faults.extend(connections.common_faults)
        return Settings(
            connections=ConnectionBook(known),
            connections_source=source,
            connection_faults=tuple(connections.faults),
            warnings=tuple(connections.warnings),
            public_base_url=self._public_base_url(),
            api_response_timeout_s=self._number("API_RESPONSE_TIMEOUT_SECONDS", 20, 1, 180),
            max_response_bytes=self._number("MAX_RESPONSE_BYTES", 10_485_760, 1, 2**30),
            max_concurrent=self._number("MAX_CONCURRENT_INVOCATIONS", 256, 1, 10_000),
            max_buffered_bytes=self._number("MAX_BUFFERED_BYTES", 268_435_456, 1, 2**40),
            threads=self._number("PYTHON_THREADPOOL_THREAD_COUNT", DEFAULT_THREADS, 1, 10_000),
            retention=timedelta(days=self._number("RETENTION_DAYS", 30, 1, 3650)),
            store=self._store(),
            state_keys=self._state_keys(),
        )

    def account(self, setting: str) -> StorageAccount | None:
        return AccountReader(self._environ, text=self._text, fault=self._fault).account(setting)

    def _fault(self, name: str, detail: str) -> None:
        self.faults.append(Fault(name, detail))

    def _text(self, name: str) -> str:
        text = self._environ.get(name, "").strip()
        if is_unresolved(text):
            self._fault(
                name,
                "It is a Key Vault reference that was not resolved; "
                "the app's identity needs to read that secret.",
            )
            return ""
        return text

    def _number(self, name: str, default: int, least: int, most: int) -> int:
        text = self._text(name)
        if not text:
            return default
        if not re.fullmatch(r"\d{1,13}", text, re.ASCII) or not least <= int(text) <= most:
            self._fault(name, f"It takes a whole number from {least} to {most}.")
            return default
        return int(text)

    def _store(self) -> Store:
        return StoreReader(
            self._environ,
            text=self._text,
            fault=self._fault,
            root=self._root,
            on_azure=self._on_azure,
        ).store()

    def _state_keys(self) -> tuple[Secret, ...]:
        current, before = self._state_key(STATE_KEY), self._state_key(STATE_KEY_PREVIOUS)
        if before and not self._environ.get(STATE_KEY, "").strip():
            self._fault(
                STATE_KEY_PREVIOUS,
                "It only opens what was sealed before, so it takes a STATE_KEY beside it.",
            )
        return tuple(key for key in (current, before) if key)

    def _state_key(self, name: str) -> Secret | None:
        text = self._text(name)
        key = read_state_key(text)
        if text and key is None:
            self._fault(name, f"It takes {HOW_TO_MAKE}.")
        return key

    def _public_base_url(self) -> str:
        url = self._text("PUBLIC_BASE_URL").rstrip("/")
        host = self._environ.get("WEBSITE_HOSTNAME", "")
        if not url and host:
            # Core Tools set the name of this machine, and serve it without TLS.
            scheme = "http" if host.partition(":")[0] in _LOOPBACK_HOSTS else "https"
            url = f"{scheme}://{host}"
        if not url:
            return "http://127.0.0.1:7071"
        if not _is_base_url(url):
            self._fault(
                "PUBLIC_BASE_URL",
                "It takes an https URL without query or fragment (http only for this machine), "
                "such as https://invoke.example.com.",
            )
        return url

    def _definitions(self) -> tuple[dict[str, JsonValue], str]:
        """Return the definitions of the connections, and where they came from."""
        setting = self._text("SERVICE_CONNECTIONS")
        text, source = setting, "the setting SERVICE_CONNECTIONS"
        if not setting.startswith("{"):
            path = self._root / (setting or CONNECTIONS_FILE)
            source = str(path)
            if not setting and not path.is_file():
                return {}, "nowhere (no connections.json, SERVICE_CONNECTIONS is not set)"
            try:
                text = path.read_text(encoding="utf-8")
            except (OSError, ValueError):
                self._fault(
                    "SERVICE_CONNECTIONS",
                    "It takes a JSON object, or the path of a UTF-8 file with one; "
                    "there is no file to be read at the path it names.",
                )
                return {}, source
        try:
            document = parse_input(text)
        except JsonSyntaxError as error:
            self._fault("SERVICE_CONNECTIONS", error.message)
            return {}, source
        if not isinstance(document, dict):
            self._fault("SERVICE_CONNECTIONS", "It takes a JSON object: names with connections.")
            return {}, source
        return document, source


def _is_on_azure(environ: Mapping[str, str]) -> bool:
    """Tell whether the platform runs us; Core Tools set a host name too, that of this machine."""
    if environ.get("WEBSITE_INSTANCE_ID") or environ.get("WEBSITE_SITE_NAME"):
        return True
    host = environ.get("WEBSITE_HOSTNAME", "").partition(":")[0]
    return bool(host) and host not in _LOOPBACK_HOSTS


def _is_base_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        return False
    secure = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK_HOSTS)
    return bool(secure and host and re.fullmatch(r"[^\s@?#\\]+", url))
