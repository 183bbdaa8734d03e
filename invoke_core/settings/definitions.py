"""Reads the members of a definition, noting every fault and going on.

Source: HTTP contract, section 7 (``${NAME}``, warnings).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from invoke_core.connections import Allow
from invoke_core.errors import Fault, PolicyError, did_you_mean
from invoke_core.targets import judge_url
from invoke_core.variables import SHORTEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from invoke_core.documents import JsonValue

SETTING: Final = "SERVICE_CONNECTIONS"

REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_UNRESOLVED: Final = "@microsoft.keyvault("


def is_unresolved(text: str) -> bool:
    """Tell whether a text is a Key Vault reference and no secret, in any letter case.

    An application setting reads so where the platform could not read what it refers to.
    """
    return text.strip().lower().startswith(_UNRESOLVED)


class DefinitionReading:
    """The members of one definition, by kind of value.

    Attributes:
        faults: What is wrong.
        warnings: What works and had better be changed.
    """

    def __init__(
        self, name: str, environ: Mapping[str, str], root: Path, *, on_azure: bool
    ) -> None:
        """Keep what references and relative paths are resolved against."""
        self.faults: list[Fault] = []
        self.warnings: list[str] = []
        self._name = name
        self._environ = environ
        self._root = root
        self._on_azure = on_azure

    def _fault(self, where: str, detail: str) -> None:
        place = f"connection '{self._name}'" + (f", {where}" if where else "")
        self.faults.append(Fault(SETTING, f"{place}: {detail}"))

    def _warn(self, detail: str) -> None:
        self.warnings.append(f"connection '{self._name}': {detail}")

    def _object(
        self,
        value: JsonValue,
        where: str,
        keys: tuple[str, ...],
    ) -> dict[str, JsonValue] | None:
        """Return a value as an object with known members only; None where it is none."""
        if not isinstance(value, dict):
            self._fault(where, "it takes an object.")
            return None
        for key in value:
            if key not in keys:
                self._fault(where, f"there is no '{key}'.{did_you_mean(key, keys)}")
        return value

    def _text(self, value: JsonValue, where: str, *, may_be_empty: bool = False) -> str:
        """Return a text with its ``${NAME}`` references replaced."""
        if not isinstance(value, str):
            self._fault(where, "it is missing." if value is None else "it takes text.")
            return ""
        before = len(self.faults)
        if is_unresolved(value):
            self._fault(
                where,
                "a Key Vault reference is resolved in an application setting only; "
                "put it there and refer to the setting with ${NAME}.",
            )
        text = REFERENCE.sub(lambda reference: self._setting(reference[1], where), value)
        if not text.strip() and not may_be_empty and len(self.faults) == before:
            self._fault(where, "it is empty.")
        return text

    def _choice(self, value: JsonValue, where: str, choices: Iterable[str]) -> str:
        """Return a text that is one of several words; empty where it is not."""
        text = self._text(value, where, may_be_empty=True) if isinstance(value, str) else ""
        known = tuple(choices)
        if text in known:
            return text
        self._fault(where, f"it takes one of {', '.join(known)}.{did_you_mean(text, known)}")
        return ""

    def _setting(self, name: str, where: str) -> str:
        text = self._environ.get(name)
        if text is None:
            self._fault(where, f"the setting {name} is not set.")
            return ""
        if is_unresolved(text):
            self._fault(
                where,
                f"the setting {name} is a Key Vault reference that was not resolved; "
                "the app's identity needs to read that secret.",
            )
        return text

    def _flag(self, value: JsonValue, where: str, *, default: bool) -> bool:
        if value is None:
            return default
        if not isinstance(value, bool):
            self._fault(where, "it takes true or false.")
            return default
        return value

    def _texts(self, value: JsonValue, where: str) -> tuple[str, ...] | None:
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._fault(where, "it takes a list of texts.")
            return None
        return tuple(self._text(item, where) for item in value)

    def _judge_secret(self, where: str, written: JsonValue, text: str) -> None:
        if isinstance(written, str) and written and not REFERENCE.search(written):
            self._warn(
                f"{where} stands in the definition itself; refer to a setting with ${{NAME}}."
            )
        if 0 < len(text) < SHORTEST_SECRET:
            self._warn(f"{where} is too short to be masked ({SHORTEST_SECRET} characters are).")

    def _url(self, value: JsonValue, where: str = "url") -> str:
        url = self._text(value, where)
        if url:
            self._judge_url(url, where)
        return url

    def _judge_url(self, url: str, where: str) -> bool:
        """Tell whether a text is a URL, noting what is wrong with it."""
        before = len(self.faults)
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"http", "https"} and parts.hostname and " " not in url
            port = parts.port
            judge_url(url, base=url, allow=Allow())
        except PolicyError as error:
            self._fault(where, error.message)
        except ValueError:
            self._fault(where, "it cannot be read as a URL.")
        else:
            if not usable:
                self._fault(where, "it takes an http or https URL with a host.")
            elif port == 0:
                # The transport leaves it out, and would reach the scheme's own port instead.
                self._fault(where, "it names port 0, which is no port to connect to.")
        return len(self.faults) == before

    def _path(self, value: JsonValue, where: str) -> str | None:
        return None if value is None else self._file(self._text(value, where), where)

    def _file(self, text: str, where: str) -> str | None:
        """Return the whole path of a file that has to be there; None for no text."""
        if not text:
            return None
        path = self._root / text
        if not path.is_file():
            self._fault(where, "there is no such file.")
        return str(path)
