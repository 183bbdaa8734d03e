"""Counts storage transactions as the requests that reach the services."""

from __future__ import annotations

import logging
import re

# What urllib3 notes of each answer it gets; targets are reached without it.
_EXCHANGE = re.compile(r'^http://127\.0\.0\.1:\d+ "[A-Z]+ \S+ HTTP/1\.1" \d{3} ')


class Counted(logging.Handler):
    """Counts requests to the services of a storage account."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.requests: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if _EXCHANGE.match(text):
            self.requests.append(text)
