"""Application settings and service connections, from strings to values: all faults at once."""

from invoke_core.settings.application import Settings, read_settings

__all__ = ["Settings", "read_settings"]
