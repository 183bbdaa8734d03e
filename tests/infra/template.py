"""Reads from the Bicep files what the tests compare with the code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from invoke_core.errors import SettingsError
from invoke_core.settings import Settings, read_settings

ROOT: Final = Path(__file__).resolve().parents[2]
INFRA: Final = ROOT / "infra"

PLATFORM: Final = "WEBSITE_"
"""What the platform itself sets."""

HOST_SETTINGS: Final = frozenset(
    {
        "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        "AZURE_CLIENT_ID",
        "AzureWebJobsStorage__blobServiceUri",
        "AzureWebJobsStorage__clientId",
        "AzureWebJobsStorage__credential",
        "AzureWebJobsStorage__queueServiceUri",
        "AzureWebJobsStorage__tableServiceUri",
    }
)
"""What the Functions host, its worker and the libraries read, and the service need not."""

LEFT_OUT: Final = frozenset(
    {
        "InvokeStorage",
        "AzureWebJobsStorage",
        # The names of the services are given whole, so that they hold in every cloud.
        "InvokeStorage__accountName",
        "AzureWebJobsStorage__accountName",
    }
)
"""What the service reads and a deployment never sets: connection strings hold keys."""

FORBIDDEN: Final = re.compile(
    r"FUNCTIONS_(EXTENSION_VERSION|WORKER_RUNTIME(_VERSION)?|WORKER_PROCESS_COUNT"
    r"|MAX_HTTP_CONCURRENCY)|SCM_DO_BUILD_DURING_DEPLOYMENT|ENABLE_ORYX_BUILD"
    r"|WEBSITE_(RUN_FROM_PACKAGE|CONTENT\w*|DNS_SERVER|VNET_ROUTE_ALL"
    r"|MAX_DYNAMIC_APPLICATION_SCALE_OUT|TIME_ZONE)|TZ|AzureWebJobsStorage"
)
"""What Flex Consumption refuses or ignores, and what would take the place of the identity."""

_RESOLVED: Final = {
    "identityClientId": "11111111-2222-3333-4444-555555555555",
    "publicBaseUrl": "https://invoke.example.com",
    "applicationInsights.properties.ConnectionString": "anything",
    "storageAccount.properties.primaryEndpoints.blob": "https://st.blob.core.windows.net/",
    "storageAccount.properties.primaryEndpoints.queue": "https://st.queue.core.windows.net/",
    "storageAccount.properties.primaryEndpoints.table": "https://st.table.core.windows.net/",
}
"""What Bicep expressions come to in a deployment."""

_REFERENCE: Final = "@Microsoft.KeyVault("
_SECRET: Final = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


def settings_of(infra: Path = INFRA) -> dict[str, str]:
    """Return the application settings by name, as Bicep expressions."""
    text = (infra / "app" / "function.bicep").read_text(encoding="utf-8")
    code = re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    return dict(re.findall(r"\b([A-Z]\w*): ('[^']*'|[\w.]+)", code))


def environment_of(infra: Path = INFRA) -> dict[str, str]:
    """Return the application settings as the app sees them, references resolved."""
    resolved = {
        **_RESOLVED,
        "serviceConnections": (infra / "connections.json").read_text(encoding="utf-8"),
    }
    return {name: _value(expression, resolved) for name, expression in settings_of(infra).items()}


def read_on_azure(environ: dict[str, str]) -> Settings:
    """Read settings as on Azure, in a folder without connections."""
    return read_settings(
        {"WEBSITE_HOSTNAME": "func.azurewebsites.net", **environ},
        root=INFRA / "app",
        strict=True,
    )


def faults_of_settings(infra: Path = INFRA) -> list[str]:
    """Compare the settings of the templates with those that the service reads.

    Returns:
        A line for each setting that is on one side only, that Flex Consumption forbids, or whose
        default differs.
    """
    carried = settings_of(infra)
    asked = {
        name for name in _asked(infra) if not name.startswith(PLATFORM) and name not in LEFT_OUT
    }
    # Where the account of the host is the fallback, its forms are asked for as well.
    asked -= HOST_SETTINGS
    return [
        *(f"{name}: not in the templates" for name in sorted(asked - set(carried))),
        *(f"{name}: nobody reads it" for name in sorted(set(carried) - asked - HOST_SETTINGS)),
        *(f"{name}: the host needs it" for name in sorted(HOST_SETTINGS - set(carried))),
        *(f"{name}: forbidden" for name in sorted(carried) if FORBIDDEN.fullmatch(name)),
        *(f"{name}: another default" for name in sorted(_other_defaults(carried))),
    ]


def parameters_of(path: Path) -> dict[str, str]:
    """Return the parameters of a file by name: their decorators, types and defaults."""
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"((?:^@[^\n]*\n)*)^param (\w+) ([^\n]*)$", text, re.MULTILINE)
    return {name: decorators + rest for decorators, name, rest in found}


def number_of(path: Path, name: str) -> int:
    """Return the default of a parameter that is a number."""
    return int(parameters_of(path)[name].rpartition("= ")[2])


class _Noting(dict[str, str]):
    """An environment that notes what it is asked for."""

    def __init__(self, values: dict[str, str], asked: set[str]) -> None:
        super().__init__(values)
        self._asked = asked

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]  # one form is enough here
        self._asked.add(key)
        return super().get(key, default)


def _asked(infra: Path) -> set[str]:
    asked: set[str] = set()
    for environ in ({}, environment_of(infra)):
        try:
            read_settings(_Noting(environ, asked), root=infra / "app")
        except SettingsError:
            continue
    return asked


def _other_defaults(carried: dict[str, str]) -> list[str]:
    literals = {
        name: expression.strip("'")
        for name, expression in carried.items()
        if expression.startswith("'") and _REFERENCE not in expression and "__" not in name
    }
    without = _values(read_on_azure(_wired()))
    others = []
    for name, text in literals.items():
        if name in HOST_SETTINGS:
            continue
        try:
            same = _values(read_on_azure({**_wired(), name: text})) == without
        except SettingsError:
            same = False
        if not same:
            others.append(name)
    return others


def _wired() -> dict[str, str]:
    """The least that the service needs on Azure."""
    return {
        "InvokeStorage__tableServiceUri": "https://st.table.core.windows.net",
        "InvokeStorage__queueServiceUri": "https://st.queue.core.windows.net",
    }


def _values(settings: Settings) -> dict[str, object]:
    names = set(Settings.__dataclass_fields__) - {"connections"}
    return {name: getattr(settings, name) for name in names}


def _value(expression: str, resolved: dict[str, str]) -> str:
    if expression.startswith("'"):
        return _SECRET if _REFERENCE in expression else expression.strip("'")
    return resolved[expression]


def connections_of(infra: Path = INFRA) -> object:
    """Return the connections that a deployment begins with."""
    return json.loads((infra / "connections.json").read_text(encoding="utf-8"))
