"""Which store the settings name.

Source: HTTP contract, section 9 (``InvokeStorage``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SETTING: Final = "InvokeStorage"
DEFAULT_PATH: Final = ".data/invoke.db"

_FALLBACK: Final = "AzureWebJobsStorage"
_EMBEDDED: Final = "sqlite:///"
_IDENTITY_FORMS: Final = ("", "__accountName", "__tableServiceUri")


def embedded_store(environ: Mapping[str, str], *, root: Path, on_azure: bool) -> Path | None:
    """Return the file of the embedded store, or None where Azure Storage is named.

    Args:
        environ: The application settings.
        root: The folder of ``host.json``; a relative path starts there.
        on_azure: Whether the platform runs us; files there last no longer than an instance.

    Raises:
        ValueError: The setting names an embedded store and must not, or names no file.
    """
    text = environ.get(SETTING, "").strip()
    if text.startswith("sqlite:"):
        path = text.removeprefix(_EMBEDDED)
        if on_azure:
            raise ValueError(
                "The embedded store is for one machine; on Azure it takes Azure Storage."
            )
        if not text.startswith(_EMBEDDED) or not path:
            raise ValueError(
                "An embedded store is sqlite:///path, or sqlite:////path from the root."
            )
        return root / path
    if text and "=" not in text:
        raise ValueError(
            "It takes the connection string of a storage account, UseDevelopmentStorage=true, "
            "or sqlite:///path."
        )
    names = [f"{setting}{form}" for setting in (SETTING, _FALLBACK) for form in _IDENTITY_FORMS]
    if on_azure or any(environ.get(name, "").strip() for name in names):
        return None
    return root / DEFAULT_PATH
