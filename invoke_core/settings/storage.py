"""Which store the settings name.

Source: HTTP contract, section 9 (``InvokeStorage``). The forms of a storage account are those of
the platform's own connections, so that a trigger can use the same settings.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from invoke_core.model import AccountIdentity, Secret, StorageAccount

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

SETTING: Final = "InvokeStorage"
FALLBACK: Final = "AzureWebJobsStorage"
DEFAULT_PATH: Final = ".data/invoke.db"

_EMBEDDED: Final = "sqlite:///"
_EMULATOR: Final = "UseDevelopmentStorage=true"
_FORMS: Final = (
    "",
    "__accountName",
    "__tableServiceUri",
    "__queueServiceUri",
    "__credential",
    "__clientId",
)
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_CONNECTION_STRING: Final = "It takes the connection string of a storage account, " + _EMULATOR


@dataclass(frozen=True, slots=True)
class EmbeddedStore:
    """A store in a file of this machine.

    Attributes:
        path: The file; absolute where the app's folder is.
    """

    path: Path

    @property
    def key_path(self) -> Path:
        """The file beside it with the key that seals waiting steps where no setting has one."""
        return self.path.with_name(f"{self.path.name}.key")


Store = EmbeddedStore | StorageAccount


def account_setting(environ: Mapping[str, str]) -> str | None:
    """Return the setting that names the storage account: what a trigger's ``connection`` is.

    Args:
        environ: The application settings, checked or not.

    Returns:
        ``InvokeStorage`` where any form of it is set, else ``AzureWebJobsStorage`` where any form
        of that is; None where the store is the embedded one.
    """
    for setting in (SETTING, FALLBACK):
        if any(environ.get(setting + form, "").strip() for form in _FORMS):
            is_embedded = environ.get(setting, "").strip().startswith("sqlite:")
            return None if is_embedded and setting == SETTING else setting
    return None


class StoreReader:
    """Reads the settings of the store."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        text: Callable[[str], str],
        fault: Callable[[str, str], None],
        root: Path,
        on_azure: bool,
    ) -> None:
        """Keep where settings are read, and where faults go.

        Args:
            environ: The application settings.
            text: Returns one of them without blanks around it, or nothing where it cannot be used,
                which it has noted then.
            fault: Notes what is wrong with a setting: its name, and what it takes.
            root: The folder of ``host.json``; a relative path starts there.
            on_azure: Whether the platform runs us; files there last no longer than an instance.
        """
        self._environ = environ
        self._text = text
        self._fault = fault
        self._root = root
        self._on_azure = on_azure

    def store(self) -> Store:
        """Return the store; where a fault was noted, one that nothing may be built on."""
        setting = account_setting(self._environ)
        if setting is None:
            return self._embedded()
        account = AccountReader(self._environ, text=self._text, fault=self._fault).account(setting)
        return account or EmbeddedStore(self._root / DEFAULT_PATH)

    def _embedded(self) -> EmbeddedStore:
        text = self._text(SETTING)
        path = text.removeprefix(_EMBEDDED)
        if self._on_azure:
            self._fault(
                SETTING, "The embedded store is for one machine; on Azure it takes Azure Storage."
            )
        elif text and (not text.startswith(_EMBEDDED) or not path):
            self._fault(
                SETTING, "An embedded store is sqlite:///path, or sqlite:////path from the root."
            )
        return EmbeddedStore(self._root / (path or DEFAULT_PATH))


class AccountReader:
    """Reads the settings of a storage account."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        text: Callable[[str], str],
        fault: Callable[[str, str], None],
    ) -> None:
        """Keep where settings are read, and where faults go; see ``StoreReader``."""
        self._environ = environ
        self._text = text
        self._fault = fault

    def account(self, setting: str) -> StorageAccount | None:
        """Return the account, on which nothing may be built where a fault was noted.

        Args:
            setting: The setting, or what the names of its settings begin with.

        Returns:
            None where the setting is there and cannot be used, which was noted.
        """
        text = self._text(setting)
        if text:
            return StorageAccount(setting, self._connection_string(setting, text))
        if self._environ.get(setting, "").strip():
            return None
        return StorageAccount(setting, self._identity(setting))

    def _connection_string(self, setting: str, text: str) -> Secret:
        fields: dict[str, str] = {}
        is_readable = True
        for part in filter(None, text.split(";")):
            name, equals, value = part.partition("=")
            is_readable = is_readable and bool(equals and value) and name.lower() not in fields
            fields[name.lower()] = value
        if not is_readable:
            forms = f"{_CONNECTION_STRING}, or sqlite:///path."
            self._fault(setting, forms if setting == SETTING else f"{_CONNECTION_STRING}.")
        elif fields.get("usedevelopmentstorage", "").lower() == "true" and len(fields) == 1:
            # The library knows the emulator by this text alone.
            return Secret(_EMULATOR)
        elif "accountname" not in fields and not {"tableendpoint", "queueendpoint"} <= set(fields):
            self._fault(
                setting,
                "Its connection string takes AccountName, or TableEndpoint and QueueEndpoint.",
            )
        elif "sharedaccesssignature" not in fields and not _is_key(fields.get("accountkey", "")):
            self._fault(
                setting,
                "Its connection string takes AccountKey, in Base64, with AccountName; "
                "or SharedAccessSignature.",
            )
        elif "sharedaccesssignature" not in fields and "accountname" not in fields:
            self._fault(setting, "Its connection string takes AccountName beside AccountKey.")
        return Secret(text)

    def _identity(self, setting: str) -> AccountIdentity:
        credential = self._text(f"{setting}__credential")
        if credential and credential.lower() != "managedidentity":
            self._fault(
                f"{setting}__credential",
                "It takes managedidentity; unset, the identity is looked for where the code runs.",
            )
        client_id = self._text(f"{setting}__clientId")
        if client_id and not _GUID.fullmatch(client_id):
            self._fault(
                f"{setting}__clientId", "It takes the client id of a managed identity, a GUID."
            )
        name = self._text(f"{setting}__accountName")
        if name and not re.fullmatch(r"[a-z0-9]{3,24}", name):
            self._fault(
                f"{setting}__accountName",
                "It takes the name of a storage account: 3 to 24 lower-case letters and digits.",
            )
        return AccountIdentity(
            table_uri=self._service_uri(setting, "table", name),
            queue_uri=self._service_uri(setting, "queue", name),
            managed=bool(credential),
            client_id=client_id or None,
        )

    def _service_uri(self, setting: str, service: str, account: str) -> str:
        name = f"{setting}__{service}ServiceUri"
        uri = self._text(name).rstrip("/")
        if uri and not _is_service_uri(uri):
            self._fault(
                name,
                f"It takes the https URL of the {service} service, without query or fragment.",
            )
        if not any(
            self._environ.get(known, "").strip() for known in (name, f"{setting}__accountName")
        ):
            self._fault(
                name, f"It takes the https URL of the {service} service; or set __accountName."
            )
        return uri or f"https://{account}.{service}.core.windows.net"


def _is_key(text: str) -> bool:
    try:
        return bool(b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False


def _is_service_uri(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return False
    # A token is never sent without TLS, not even on this machine: the library refuses to.
    return bool(parts.scheme == "https" and parts.hostname and re.fullmatch(r"[^\s@?#\\]+", uri))
