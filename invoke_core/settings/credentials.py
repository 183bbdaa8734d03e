"""Reads ``auth``: with which credential a connection enters its target.

Source: HTTP contract, section 7 (``auth.scheme``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from invoke_core.connections import (
    AzureCliAuth,
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    HeaderAuth,
    ManagedIdentityAuth,
    NoAuth,
    ServicePrincipalAuth,
)
from invoke_core.headers import is_ours
from invoke_core.model import Secret
from invoke_core.settings.clouds import PUBLIC_AUTHORITY
from invoke_core.settings.definitions import DefinitionReading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke_core.connections import Auth
    from invoke_core.documents import JsonValue

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "none": (),
    "basic": ("username", "password"),
    "bearer": ("token",),
    "header": ("name", "value"),
    "managedIdentity": ("clientId", "scope", "authority"),
    "servicePrincipal": (
        "tenantId",
        "clientId",
        "clientSecret",
        "certificate",
        "scope",
        "authority",
    ),
    "azureCli": ("scope", "authority"),
    "oauth2ClientCredentials": ("tokenUrl", "clientId", "clientSecret", "scope", "audience"),
}
_ENTRA: Final = frozenset({"managedIdentity", "servicePrincipal", "azureCli"})
_OPTIONAL: Final = frozenset({"username", "certificate", "scope", "authority", "audience"})
_SECRET_KEYS: Final = ("password", "token", "value", "clientSecret")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_TENANT: Final = re.compile(r"[0-9A-Za-z.-]+")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class EntraTarget:
    """What a connection's type knows of tokens of Entra ID.

    Attributes:
        scope: What they are for; empty where the definition has to say it.
        authority: Who issues them.
    """

    scope: str = ""
    authority: str = PUBLIC_AUTHORITY


class AuthReading(DefinitionReading):
    """Reads ``auth``."""

    def _auth(self, value: JsonValue, target: EntraTarget) -> Auth:
        if value is None:
            return NoAuth()
        if not isinstance(value, dict):
            self._fault("auth", "it takes an object.")
            return NoAuth()
        scheme = self._choice(value.get("scheme"), "auth.scheme", _KEYS)
        if not scheme:
            return NoAuth()
        keys = _KEYS[scheme]
        self._object(value, "auth", ("scheme", *keys))
        text = {key: self._auth_text(scheme, key, value.get(key)) for key in keys}
        if scheme == "servicePrincipal" and len({"clientSecret", "certificate"} & set(value)) != 1:
            self._fault("auth", "it takes either clientSecret or certificate.")
        for key in _SECRET_KEYS:
            if key in keys:
                self._judge_secret(f"auth.{key}", value.get(key), text[key])
        return (
            self._entra(scheme, text, target) if scheme in _ENTRA else self._auth_of(scheme, text)
        )

    def _auth_text(self, scheme: str, key: str, value: JsonValue) -> str:
        optional = key in _OPTIONAL or (scheme, key) in {
            ("managedIdentity", "clientId"),
            ("servicePrincipal", "clientSecret"),
        }
        if value is None and optional:
            return ""
        return self._text(value, f"auth.{key}", may_be_empty=scheme == "basic")

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
            case "oauth2ClientCredentials":
                return self._client_credentials(text)
            case _:
                return NoAuth()

    def _client_credentials(self, text: Mapping[str, str]) -> Auth:
        url = text["tokenUrl"]
        if url and self._judge_url(url, "auth.tokenUrl"):
            parts = urlsplit(url)
            if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
                self._warn("auth.tokenUrl is not https: the client secret travels in the open.")
        return ClientCredentialsAuth(
            token_url=url,
            client_id=text["clientId"],
            client_secret=Secret(text["clientSecret"]),
            scope=text["scope"],
            audience=text["audience"],
        )

    def _entra(self, scheme: str, text: Mapping[str, str], target: EntraTarget) -> Auth:
        scope = text["scope"] or target.scope
        if not scope:
            self._fault(
                "auth.scope",
                "it is missing; it names what the token is for, such as api://my-api/.default.",
            )
        if text["authority"]:
            self._judge_url(text["authority"], "auth.authority")
        match scheme:
            case "managedIdentity":
                return ManagedIdentityAuth(scope=scope, client_id=text["clientId"] or None)
            case "azureCli":
                if self._on_azure:
                    self._fault(
                        "auth.scheme",
                        "azureCli is for work on your own machine; on Azure use managedIdentity.",
                    )
                return AzureCliAuth(scope=scope)
            case _:
                return self._service_principal(text, scope, target)

    def _service_principal(
        self, text: Mapping[str, str], scope: str, target: EntraTarget
    ) -> ServicePrincipalAuth:
        if text["tenantId"] and not _TENANT.fullmatch(text["tenantId"]):
            self._fault("auth.tenantId", "it takes the id or a domain of a tenant.")
        authority = text["authority"] or target.authority
        where = "auth.authority" if text["authority"] else "authority"
        if not authority:
            self._fault(where, "it is missing; it names who issues tokens.")
        elif not re.fullmatch(r"https://[^?]+", authority):
            self._fault(where, "it takes an https URL without a query.")
        return ServicePrincipalAuth(
            scope=scope,
            authority=authority.rstrip("/"),
            tenant_id=text["tenantId"],
            client_id=text["clientId"],
            client_secret=Secret(text["clientSecret"]) if text["clientSecret"] else None,
            certificate=self._file(text["certificate"], "auth.certificate"),
        )

    def _judge_header_value(self, where: str, text: str) -> None:
        if not re.fullmatch("[\x20-\x7e\xa0-\xff]*", text) or text != text.strip():
            self._fault(
                where,
                "it cannot stand in a header: blanks around it, control characters "
                "or characters outside Latin-1.",
            )
