"""Definitions of service connections, from parsed JSON to values.

Source: HTTP contract, section 7.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from invoke_core.connections import (
    Allow,
    Connection,
    ConnectionKind,
    EgressProxy,
    KnownConnection,
    Limits,
    NoAuth,
    RedirectRule,
    TlsOptions,
)
from invoke_core.documents import JsonNumber
from invoke_core.errors import Fault
from invoke_core.model import Method, Secret
from invoke_core.settings.clouds import CLOUDS, DEVOPS_SCOPE, scope_of
from invoke_core.settings.credentials import AuthReading, EntraTarget
from invoke_core.settings.definitions import SETTING
from invoke_core.settings.proxies import A_PROXY, environment_proxy, proxy_server
from invoke_core.settings.url_secrets import url_secrets
from invoke_core.variables import SHORTEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from invoke_core.documents import JsonValue

_KEYS: Final = ("type", "auth", "allow", "tls", "proxy", "limits", "storeBody")
_OWN_CLOUD: Final = ("resourceManagerEndpoint", "audience", "authority")
_TARGET_KEYS: Final = {
    ConnectionKind.GENERIC: ("url",),
    ConnectionKind.AZURE_RESOURCE_MANAGER: ("environment", *_OWN_CLOUD),
    ConnectionKind.AZURE_DEVOPS: ("url",),
}
"""Which members say where a connection leads, by its type."""


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


class _DefinitionReader(AuthReading):
    """Reads one definition."""

    def connection(self, definition: JsonValue) -> Connection | None:
        if not isinstance(definition, dict):
            self._fault("", "it takes an object.")
            return None
        kind = self._kind(definition.get("type"))
        self._object(definition, "", (*_KEYS, *_TARGET_KEYS[kind]))
        url, target = self._target(kind, definition)
        auth = self._auth(definition.get("auth"), target)
        if kind is not ConnectionKind.GENERIC and isinstance(auth, NoAuth):
            self._warn("it has no auth, and its target answers nobody it does not know.")
        return Connection(
            name=self._name,
            kind=kind,
            url=url,
            url_secrets=self._url_secrets(kind, definition),
            auth=auth,
            allow=self._allow(definition.get("allow")),
            tls=self._tls(definition.get("tls")),
            proxy=self._proxy(definition.get("proxy")),
            limits=self._limits(definition.get("limits")),
            store_body=self._flag(definition.get("storeBody"), "storeBody", default=True),
        )

    def _kind(self, value: JsonValue) -> ConnectionKind:
        text = self._choice(value, "type", ConnectionKind)
        return ConnectionKind(text) if text else ConnectionKind.GENERIC

    def _target(
        self, kind: ConnectionKind, members: Mapping[str, JsonValue]
    ) -> tuple[str, EntraTarget]:
        """Return the base URL, and what the type knows of tokens for it."""
        match kind:
            case ConnectionKind.GENERIC:
                return self._url(members.get("url")), EntraTarget()
            case ConnectionKind.AZURE_DEVOPS:
                return self._url(members.get("url")), EntraTarget(DEVOPS_SCOPE)
            case ConnectionKind.AZURE_RESOURCE_MANAGER:
                return self._resource_manager(members)

    def _url_secrets(
        self, kind: ConnectionKind, members: Mapping[str, JsonValue]
    ) -> tuple[Secret, ...]:
        is_azure = kind is ConnectionKind.AZURE_RESOURCE_MANAGER
        where = "resourceManagerEndpoint" if is_azure else "url"
        written = members.get(where)
        if not isinstance(written, str):
            return ()
        secrets = url_secrets(written, self._environ)
        if any(len(secret) < SHORTEST_SECRET for secret in secrets):
            self._warn(
                f"a secret in {where} is too short to be masked ({SHORTEST_SECRET} characters are)."
            )
        return tuple(Secret(secret) for secret in secrets)

    def _resource_manager(self, members: Mapping[str, JsonValue]) -> tuple[str, EntraTarget]:
        if all(members.get(key) is None for key in _OWN_CLOUD):
            environment = members.get("environment")
            # A service connection of Azure Pipelines is for this cloud unless it says another.
            name = "AzureCloud"
            if environment is not None:
                name = self._choice(environment, "environment", CLOUDS) or name
            cloud = CLOUDS[name]
            return cloud.resource_manager, EntraTarget(scope_of(cloud.audience), cloud.authority)
        if members.get("environment") is not None:
            self._fault(
                "environment",
                "it does not go together with resourceManagerEndpoint, audience and authority.",
            )
        audience = self._text(members.get("audience"), "audience")
        # Whoever needs no authority, such as a managed identity, need not give one.
        given = members.get("authority")
        authority = "" if given is None else self._url(given, "authority")
        url = self._url(members.get("resourceManagerEndpoint"), "resourceManagerEndpoint")
        return url, EntraTarget(scope_of(audience), authority)

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
