"""Application settings and service connections, from strings to values: all faults at once."""

from invoke_core.settings.application import Settings, read_settings
from invoke_core.settings.storage import EmbeddedStore

__all__ = ["EmbeddedStore", "Settings", "read_settings"]
