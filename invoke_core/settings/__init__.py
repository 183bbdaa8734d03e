"""Application settings and service connections, from strings to values: all faults at once."""

from invoke_core.settings.application import Settings, read_account, read_settings
from invoke_core.settings.storage import EmbeddedStore, account_setting

__all__ = ["EmbeddedStore", "Settings", "account_setting", "read_account", "read_settings"]
