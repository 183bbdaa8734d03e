"""``local.settings.json``: the application settings of a developer's machine.

Source: Azure Functions, "Code and test Azure Functions locally" (local settings file): members of
``Values`` become environment variables unless the environment has them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.documents import parse_input
from invoke_core.errors import Fault, JsonSyntaxError, SettingsError

if TYPE_CHECKING:
    from pathlib import Path

LOCAL_SETTINGS_FILE: Final = "local.settings.json"


def read_local_settings(root: Path) -> dict[str, str]:
    """Return the settings in ``local.settings.json``; none where there is no such file.

    Args:
        root: The folder of ``host.json``.

    Raises:
        SettingsError: The file is not what Core Tools would read.
    """
    path = root / LOCAL_SETTINGS_FILE
    if not path.is_file():
        return {}
    try:
        document = parse_input(path.read_text(encoding="utf-8"))
    except JsonSyntaxError as error:
        raise SettingsError([Fault(LOCAL_SETTINGS_FILE, error.message)]) from None
    except (OSError, ValueError):
        raise SettingsError(
            [Fault(LOCAL_SETTINGS_FILE, "It takes a JSON object in UTF-8.")]
        ) from None
    values = document.get("Values", {}) if isinstance(document, dict) else None
    if not isinstance(values, dict):
        detail = "It takes an object with the settings, names and texts, under 'Values'."
        raise SettingsError([Fault(LOCAL_SETTINGS_FILE, detail)])
    if isinstance(document, dict) and document.get("IsEncrypted") is True:
        detail = "It is encrypted; run 'func settings decrypt'."
        raise SettingsError([Fault(LOCAL_SETTINGS_FILE, detail)])
    faults = [
        Fault(LOCAL_SETTINGS_FILE, f"The value of '{name}' is text.")
        for name, value in values.items()
        if not isinstance(value, str)
    ]
    if faults:
        raise SettingsError(faults)
    return {name: value for name, value in values.items() if isinstance(value, str)}
