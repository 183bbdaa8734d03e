"""What keeps the local server from starting."""

from __future__ import annotations

from invoke_core.errors import ConfigurationError


class LocalServerError(ConfigurationError):
    """The local server cannot run this app, or not at this address.

    The message is one sentence for whoever started it.
    """
