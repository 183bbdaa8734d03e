"""Definitions of service connections, from parsed JSON to values.

Source: HTTP contract, section 7.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from invoke_core.documents import JsonNumber
from invoke_core.errors import Fault, PolicyError, did_you_mean
from invoke_core.headers import is_ours
from invoke_core.model import (
    Allow,
    BasicAuth,
    BearerAuth,
    Connection,
    ConnectionKind,
    EgressProxy,
    HeaderAuth,
    KnownConnection,
    Limits,
    Method,
    NoAuth,
    RedirectRule,
    Secret,
    TlsOptions,
)
from invoke_core.settings.proxies import A_PROXY, environment_proxy, proxy_server
from invoke_core.targets import judge_url
from invoke_core.variables import SHORTEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from invoke_core.documents import JsonValue
    from invoke_core.model import Auth

SETTING: Final = "SERVICE_CONNECTIONS"
UNRESOLVED_REFERENCE: Final = "@Microsoft.KeyVault("
"""What an application setting holds when the platform could not read the secret it refers to."""

_REFERENCE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KEYS: Final = ("type", "url", "auth", "allow", "tls", "proxy", "limits", "storeBody")
_LATER_KEYS: Final = frozenset({"environment", "resourceManagerEndpoint"})
_AUTH_KEYS: Final = {
    "none": (),
    "basic": ("username", "password"),
    "bearer": ("token",),
    "header": ("name", "value"),
}
_LATER_SCHEMES: Final = (
    "managedIdentity",
    "servicePrincipal",
    "azureCli",
    "oauth2ClientCredentials",
)
_SECRET_KEYS: Final = frozenset({"password", "token", "value"})
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class ConnectionReader:
    """Reads definitions, noting what is wrong with each.

    Attributes:
        faults: What is wrong with single connections, which are then unusable.
        common_faults: What is wrong with all of them.
        warnings: What works and had better be changed.
    """

    def __init__(self, *, environ: Mapping[str, str], root: Path, on_azure: bool) -> None:
        """Keep what references and relative paths are resolved against."""
        self.faults: list[Fault] = []
        self.common_faults: list[Fault] = []
        self.warnings: list[str] = []
        self._environ = environ
        self._root = root
        self._on_azure = on_azure

    def read(self, definitions: Mapping[str, JsonValue]) -> list[KnownConnection]:
        """Return every connection by name; a faulty one without its definition."""
        known: dict[str, KnownConnection] = {}
        for name, definition in definitions.items():
            if name.lower() in known or not name.strip():
                self.common_faults.append(
                    Fault(SETTING, f"The name '{name}' is empty or taken; names ignore case.")
                )
                continue
            reader = _DefinitionReader(name, self._environ, self._root, on_azure=self._on_azure)
            connection = reader.connection(definition)
            self.faults.extend(reader.faults)
            self.warnings.extend(reader.warnings)
            usable = None if reader.faults else connection
            known[name.lower()] = KnownConnection(name, usable)
        return list(known.values())


class _DefinitionReader:
    """Reads one definition."""

    def __init__(
        self, name: str, environ: Mapping[str, str], root: Path, *, on_azure: bool
    ) -> None:
        self.faults: list[Fault] = []
        self.warnings: list[str] = []
        self._name = name
        self._environ = environ
        self._root = root
        self._on_azure = on_azure

    def connection(self, definition: JsonValue) -> Connection | None:
        members = self._object(definition, "", _KEYS, later=_LATER_KEYS)
        if members is None:
            return None
        self._kind(members.get("type"))
        return Connection(
            name=self._name,
            kind=ConnectionKind.GENERIC,
            url=self._url(members.get("url")),
            auth=self._auth(members.get("auth")),
            allow=self._allow(members.get("allow")),
            tls=self._tls(members.get("tls")),
            proxy=self._proxy(members.get("proxy")),
            limits=self._limits(members.get("limits")),
            store_body=self._flag(members.get("storeBody"), "storeBody", default=True),
        )

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
        later: frozenset[str] = frozenset(),
    ) -> dict[str, JsonValue] | None:
        """Return a value as an object with known members only; None where it is none."""
        if not isinstance(value, dict):
            self._fault(where, "it takes an object.")
            return None
        for key in value:
            if key in later:
                self._fault(_joined(where, key), "this is not built yet.")
            elif key not in keys:
                self._fault(where, f"there is no '{key}'.{did_you_mean(key, keys)}")
        return value

    def _text(self, value: JsonValue, where: str, *, may_be_empty: bool = False) -> str:
        """Return a text with its ``${NAME}`` references replaced."""
        if not isinstance(value, str):
            self._fault(where, "it is missing." if value is None else "it takes text.")
            return ""
        before = len(self.faults)
        if value.strip().startswith(UNRESOLVED_REFERENCE):
            self._fault(
                where,
                "a Key Vault reference is resolved in an application setting only; "
                "put it there and refer to the setting with ${NAME}.",
            )
        text = _REFERENCE.sub(lambda reference: self._setting(reference[1], where), value)
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
        if text.strip().startswith(UNRESOLVED_REFERENCE):
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

    def _kind(self, value: JsonValue) -> None:
        text = self._choice(value, "type", ConnectionKind)
        if text and text != ConnectionKind.GENERIC:
            self._fault("type", f"'{text}' is not built yet.")

    def _url(self, value: JsonValue) -> str:
        url = self._text(value, "url")
        if not url:
            return ""
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"http", "https"} and parts.hostname and " " not in url
            _ = parts.port
            judge_url(url, base=url, allow=Allow())
        except PolicyError as error:
            self._fault("url", error.message)
        except ValueError:
            self._fault("url", "it cannot be read as a URL.")
        else:
            if not usable:
                self._fault("url", "it takes an http or https URL with a host.")
        return url

    def _auth(self, value: JsonValue) -> Auth:
        if value is None:
            return NoAuth()
        if not isinstance(value, dict):
            self._fault("auth", "it takes an object.")
            return NoAuth()
        scheme = self._choice(value.get("scheme"), "auth.scheme", (*_AUTH_KEYS, *_LATER_SCHEMES))
        if scheme in _LATER_SCHEMES:
            self._fault("auth.scheme", f"'{scheme}' is not built yet.")
        keys = _AUTH_KEYS.get(scheme)
        if keys is None:
            return NoAuth()
        self._object(value, "auth", ("scheme", *keys))
        text = {
            key: self._text(
                value.get(key, "" if key == "username" else None),
                f"auth.{key}",
                may_be_empty=scheme == "basic",
            )
            for key in keys
        }
        for key in _SECRET_KEYS.intersection(keys):
            self._judge_secret(key, value.get(key), text[key])
        return self._auth_of(scheme, text)

    def _judge_secret(self, key: str, written: JsonValue, text: str) -> None:
        if isinstance(written, str) and written and not _REFERENCE.search(written):
            self._warn(
                f"auth.{key} stands in the definition itself; refer to a setting with ${{NAME}}."
            )
        if 0 < len(text) < SHORTEST_SECRET:
            self._warn(f"auth.{key} is too short to be masked ({SHORTEST_SECRET} characters are).")

    def _auth_of(self, scheme: str, text: Mapping[str, str]) -> Auth:
        match scheme:
            case "basic":
                if ":" in text["username"]:
                    self._fault("auth.username", "HTTP Basic allows no ':' in it.")
                return BasicAuth(username=text["username"], password=Secret(text["password"]))
            case "bearer":
                self._judge_header_value("auth.token", text["token"])
                return BearerAuth(token=Secret(text["token"]))
            case "header":
                if text["name"] and not _TOKEN.fullmatch(text["name"]):
                    self._fault("auth.name", "it is no header name; letters, digits and - are.")
                if is_ours(text["name"]):
                    self._fault("auth.name", "this header is the service's to set.")
                self._judge_header_value("auth.value", text["value"])
                return HeaderAuth(name=text["name"], value=Secret(text["value"]))
            case _:
                return NoAuth()

    def _judge_header_value(self, where: str, text: str) -> None:
        if not re.fullmatch("[\x20-\x7e\xa0-\xff]*", text) or text != text.strip():
            self._fault(
                where,
                "it cannot stand in a header: blanks around it, control characters "
                "or characters outside Latin-1.",
            )

    def _allow(self, value: JsonValue) -> Allow:
        if value is None:
            return Allow()
        keys = ("methods", "paths", "callers", "redirects", "loopback")
        members = self._object(value, "allow", keys) or {}
        methods = self._texts(members.get("methods"), "allow.methods")
        paths = self._texts(members.get("paths"), "allow.paths")
        callers = self._texts(members.get("callers"), "allow.callers")
        loopback = self._flag(members.get("loopback"), "allow.loopback", default=False)
        if loopback and self._on_azure:
            self._warn("allow.loopback is ignored on Azure.")
        if any(not path.startswith("/") for path in paths or ()):
            self._fault("allow.paths", "each path begins with '/'.")
        return Allow(
            given=True,
            methods=None if methods is None else self._methods(methods),
            paths=paths,
            callers=None if callers is None else frozenset(map(str.lower, callers)),
            redirects=self._redirects(members.get("redirects")),
            loopback=loopback and not self._on_azure,
        )

    def _methods(self, texts: tuple[str, ...]) -> frozenset[Method]:
        words = [self._choice(text.upper(), "allow.methods", Method) for text in texts]
        return frozenset(Method(word) for word in words if word)

    def _redirects(self, value: JsonValue) -> RedirectRule:
        if value is None:
            return RedirectRule.SAME_ORIGIN
        text = self._choice(value, "allow.redirects", RedirectRule)
        return RedirectRule(text) if text else RedirectRule.NONE

    def _tls(self, value: JsonValue) -> TlsOptions:
        if value is None:
            return TlsOptions()
        members = self._object(value, "tls", ("caBundle", "clientCertificate", "verify")) or {}
        verify = self._flag(members.get("verify"), "tls.verify", default=True)
        if not verify:
            self._warn("tls.verify is false: whoever sits on the way can read and change it all.")
        return TlsOptions(
            ca_bundle=self._path(members.get("caBundle"), "tls.caBundle"),
            client_certificate=self._path(
                members.get("clientCertificate"), "tls.clientCertificate"
            ),
            verify=verify,
        )

    def _proxy(self, value: JsonValue) -> EgressProxy:
        if value is None:
            return EgressProxy()
        text = self._text(value, "proxy")
        if text == "environment":
            proxy, unusable = environment_proxy(self._environ)
            for name in unusable:
                self._fault("proxy", f"the variable {name} does not hold what it takes: {A_PROXY}.")
            return proxy
        server = proxy_server(text)
        if text and server is None:
            self._fault("proxy", f'it takes "environment", or {A_PROXY}.')
        if server is not None and server.password is not None and "${" not in str(value):
            self._warn("proxy has a password in it; refer to a setting with ${NAME}.")
        return EgressProxy(http=server, https=server)

    def _limits(self, value: JsonValue) -> Limits:
        if value is None:
            return Limits()
        members = self._object(value, "limits", ("concurrency", "perMinute")) or {}
        return Limits(
            concurrency=self._count(members.get("concurrency"), "limits.concurrency"),
            per_minute=self._count(members.get("perMinute"), "limits.perMinute"),
        )

    def _count(self, value: JsonValue, where: str) -> int | None:
        if value is None:
            return None
        text = value.text if isinstance(value, JsonNumber) else ""
        if not re.fullmatch("[1-9][0-9]{0,4}", text, re.ASCII):
            self._fault(where, "it takes a whole number from 1 to 99999.")
            return None
        return int(text)

    def _path(self, value: JsonValue, where: str) -> str | None:
        if value is None:
            return None
        text = self._text(value, where)
        path = self._root / text
        if text and not path.is_file():
            self._fault(where, "there is no such file.")
        return str(path)


def _joined(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
