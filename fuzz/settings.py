"""Settings: only the settings error, which names the setting, and never a secret's value."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fuzz.draw import Draw, Target
from invoke_core.errors import SettingsError
from invoke_core.settings import Settings, read_settings
from invoke_core.settings.local_file import LOCAL_SETTINGS_FILE, read_local_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[..., Settings]

SECRET: Final = "hunter2-s3cret"
SETTINGS: Final = (
    "API_RESPONSE_TIMEOUT_SECONDS", "MAX_RESPONSE_BYTES", "MAX_CONCURRENT_INVOCATIONS",
    "MAX_BUFFERED_BYTES", "PYTHON_THREADPOOL_THREAD_COUNT", "RETENTION_DAYS", "PUBLIC_BASE_URL",
    "STATE_KEY", "STATE_KEY_PREVIOUS", "InvokeStorage", "AzureWebJobsStorage",
    "InvokeStorage__accountName", "InvokeStorage__tableServiceUri", "InvokeStorage__clientId",
    "InvokeStorage__credential", "WEBSITE_HOSTNAME", "WEBSITE_SITE_NAME", "HTTPS_PROXY", "KEY",
)  # fmt: skip
MEMBERS: Final = (
    "type", "url", "auth", "allow", "tls", "proxy", "limits", "storeBody", "scheme", "username",
    "methods", "paths", "callers", "redirects", "loopback", "concurrency", "perMinute", "scope",
    "clientId", "tenantId", "tokenUrl", "name", "environment", "authority", "verify",
)  # fmt: skip
HIDDEN: Final = ("password", "token", "value", "clientSecret")
TOKENS: Final = (
    "generic", "azureDevOps", "azureResourceManager", "https://h.example/", "basic", "bearer",
    "header", "oauth2ClientCredentials", "servicePrincipal", "managedIdentity", "${KEY}", "GET",
    "environment", "http://u:p@proxy:1", "0", "1", "30", "\u0663", "9" * 40, "sqlite:///x", "[",
    "UseDevelopmentStorage=true", "AccountName=a;AccountKey=", "@Microsoft.KeyVault(", "https://",
    ":", "@", "\0", "\ud83d", "", *MEMBERS, *HIDDEN,
)  # fmt: skip


def definition(draw: Draw, depth: int = 2) -> dict[str, object]:
    """Return a definition, or a member of one, with secrets where they belong."""
    members: dict[str, object] = {}
    for _ in range(draw.byte() % 6):
        kind = draw.byte() % 6
        if kind == 0:
            members[draw.pick(HIDDEN)] = SECRET
        elif kind == 1 and depth:
            members[draw.pick(MEMBERS)] = definition(draw, depth - 1)
        else:
            members[draw.pick(MEMBERS)] = (
                draw.document(TOKENS, 1) if kind == 2 else draw.word(TOKENS)
            )
    return members


def check(data: bytes, *, read: Read = read_settings) -> None:
    """Read settings made of the input."""
    draw = Draw(data)
    is_text = draw.byte() % 3 == 0
    environ = {}
    for _ in range(draw.byte() % 6):
        name = draw.pick(SETTINGS)
        environ[name] = draw.word(TOKENS) + (SECRET if draw.byte() % 3 == 0 else "")
    connections = draw.rest() if is_text else json.dumps({"demo": definition(draw)})
    environ["SERVICE_CONNECTIONS"] = "{" + connections[1:]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        told: list[str] = []
        try:
            settings = read(environ, root=root)
        except SettingsError as error:
            assert error.faults
            names = {fault.pointer for fault in error.faults}
            assert all(name.partition("__")[0] in {*SETTINGS, *environ} for name in names), names
            told += [error.message, repr(error), *(fault.detail for fault in error.faults)]
        else:
            told += [fault.detail for fault in settings.connection_faults]
            told += settings.warnings
        assert is_text or not any(SECRET in text for text in told), told
        text = draw.rest() if not is_text else connections
        (root / LOCAL_SETTINGS_FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
        try:
            values = read_local_settings(root)
        except SettingsError as error:
            assert {fault.pointer for fault in error.faults} == {LOCAL_SETTINGS_FILE}
        else:
            assert all(isinstance(value, str) for value in values.values())


_EXAMPLE: Final = Path(__file__).parent.parent / "examples" / "connections.json"
TARGET: Final = Target(
    check,
    (b"\0\0" + _EXAMPLE.read_bytes(), b"\1\2\0\0\1\6\0\1" + bytes(range(40)), b'\0\0{"Values":{}}'),
    TOKENS,
)
