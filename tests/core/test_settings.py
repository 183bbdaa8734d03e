"""The application settings and service connections (contract, sections 7 to 9)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from invoke_core.connections import (
    Allow,
    BasicAuth,
    BearerAuth,
    Connection,
    ConnectionKind,
    EgressProxy,
    HeaderAuth,
    Limits,
    NoAuth,
    ProxyServer,
    RedirectRule,
    TlsOptions,
)
from invoke_core.errors import Fault, SettingsError
from invoke_core.model import Method, Secret
from invoke_core.settings import Settings, read_settings
from invoke_core.settings.local_file import read_local_settings

if TYPE_CHECKING:
    from pathlib import Path

    from invoke_core.connections import Auth

IDENTITY = {"scheme": "managedIdentity"}
URL = "https://api.example.com/v1"
ACCOUNT = {"AzureWebJobsStorage__accountName": "mine"}
AZURE = {
    "WEBSITE_SITE_NAME": "my-app",
    "WEBSITE_HOSTNAME": "my-app.azurewebsites.net",
    **ACCOUNT,
}

WHOLE_NUMBER = {
    "API_RESPONSE_TIMEOUT_SECONDS": "It takes a whole number from 1 to 180.",
    "MAX_RESPONSE_BYTES": "It takes a whole number from 1 to 1073741824.",
    "MAX_CONCURRENT_INVOCATIONS": "It takes a whole number from 1 to 10000.",
    "MAX_BUFFERED_BYTES": "It takes a whole number from 1 to 1099511627776.",
    "RETENTION_DAYS": "It takes a whole number from 1 to 3650.",
}
BASE_URL = (
    "It takes an https URL without query or fragment (http only for this machine), "
    "such as https://invoke.example.com."
)
UNRESOLVED = (
    "It is a Key Vault reference that was not resolved; "
    "the app's identity needs to read that secret."
)
KEY_VAULT = "@Microsoft.KeyVault(SecretUri=https://vault.example/secrets/swordfish)"
KEY_VAULT_FORMS = [KEY_VAULT, KEY_VAULT.lower(), KEY_VAULT.upper(), f" {KEY_VAULT.swapcase()}"]


def faults_of(environ: dict[str, str], root: Path) -> list[Fault]:
    with pytest.raises(SettingsError) as caught:
        read_settings(environ, root=root)

    return list(caught.value.faults)


def read(root: Path, *, environ: dict[str, str] | None = None, **members: object) -> Settings:
    """Read settings with one connection, 'demo': a sound one but for the members given."""
    definition = {"type": "generic", "url": URL} | members
    given = {name: value for name, value in definition.items() if value is not ...}
    setting = json.dumps({"demo": given})
    return read_settings({"SERVICE_CONNECTIONS": setting, **(environ or {})}, root=root)


def connection(
    root: Path, *, environ: dict[str, str] | None = None, **members: object
) -> Connection:
    """Return the connection 'demo', which must be sound."""
    settings = read(root, environ=environ, **members)
    assert settings.connection_faults == ()
    known = settings.connections.find("demo")
    assert known is not None
    assert known.connection is not None
    return known.connection


def complaints(
    root: Path, *, environ: dict[str, str] | None = None, **members: object
) -> list[str]:
    """Return what is wrong with the connection 'demo', which must be unusable by its name."""
    settings = read(root, environ=environ, **members)
    known = settings.connections.find("demo")
    assert known is not None
    assert known.connection is None
    assert {fault.pointer for fault in settings.connection_faults} == {"SERVICE_CONNECTIONS"}
    return [
        fault.detail.removeprefix("connection 'demo'").lstrip(",: ")
        for fault in settings.connection_faults
    ]


def test_without_any_setting_the_defaults_hold(tmp_path: Path) -> None:
    settings = read_settings({}, root=tmp_path)

    assert settings.connections.names() == ()
    assert settings.connections_source == (
        "nowhere (no connections.json, SERVICE_CONNECTIONS is not set)"
    )
    assert settings.connection_faults == ()
    assert settings.warnings == ()
    assert settings.public_base_url == "http://127.0.0.1:7071"
    assert settings.api_response_timeout_s == 20
    assert settings.max_response_bytes == 10_485_760
    assert settings.max_concurrent == 256
    assert settings.max_buffered_bytes == 268_435_456
    assert settings.retention == timedelta(days=30)


def test_every_setting_is_read(tmp_path: Path) -> None:
    environ = {
        "SERVICE_CONNECTIONS": "{}",
        "PUBLIC_BASE_URL": " https://invoke.example.com/base/ ",
        "API_RESPONSE_TIMEOUT_SECONDS": " 180 ",
        "MAX_RESPONSE_BYTES": "1",
        "MAX_CONCURRENT_INVOCATIONS": "10",
        "MAX_BUFFERED_BYTES": "1000",
        "RETENTION_DAYS": "3650",
    }

    settings = read_settings(environ, root=tmp_path)

    assert settings.connections_source == "the setting SERVICE_CONNECTIONS"
    assert settings.public_base_url == "https://invoke.example.com/base"
    assert settings.api_response_timeout_s == 180
    assert settings.max_response_bytes == 1
    assert settings.max_concurrent == 10
    assert settings.max_buffered_bytes == 1000
    assert settings.retention == timedelta(days=3650)


def test_an_empty_setting_counts_as_absent(tmp_path: Path) -> None:
    names = (
        *WHOLE_NUMBER,
        "PUBLIC_BASE_URL",
        "SERVICE_CONNECTIONS",
        "STATE_KEY",
        "STATE_KEY_PREVIOUS",
    )

    settings = read_settings(dict.fromkeys(names, " "), root=tmp_path)

    unset = read_settings({}, root=tmp_path)
    assert replace(settings, connections=unset.connections) == unset


@pytest.mark.parametrize("name", list(WHOLE_NUMBER))
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1e3", "ten", "9" * 13, "9" * 40, "٣"])
def test_a_number_outside_its_range_is_a_fault_that_says_what_it_takes(
    tmp_path: Path, name: str, value: str
) -> None:
    assert faults_of({name: value}, tmp_path) == [Fault(name, WHOLE_NUMBER[name])]


@pytest.mark.parametrize(
    "value",
    [
        "invoke.example.com",
        "http://invoke.example.com",
        "ftp://invoke.example.com",
        "https://",
        "https://user@invoke.example.com",
        "https://invoke.example.com?a=b",
        "https://invoke.example.com?",
        "https://invoke.example.com#a",
        "https://invoke.example.com#",
        "https://invoke example.com",
        "https://invoke.example.com:99999",
        "https://[",
        "https://invoke.example.com\\a",
    ],
)
def test_a_public_url_that_is_none_is_a_fault(tmp_path: Path, value: str) -> None:
    assert faults_of({"PUBLIC_BASE_URL": value}, tmp_path) == [Fault("PUBLIC_BASE_URL", BASE_URL)]


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"PUBLIC_BASE_URL": "http://localhost:7072/"}, "http://localhost:7072"),
        ({"PUBLIC_BASE_URL": "http://[::1]:7072"}, "http://[::1]:7072"),
        ({"PUBLIC_BASE_URL": "https://a.example", **AZURE}, "https://a.example"),
        (AZURE, "https://my-app.azurewebsites.net"),
        ({"WEBSITE_HOSTNAME": "localhost:7071"}, "http://localhost:7071"),
    ],
)
def test_the_public_url_is_the_setting_else_the_host_name_of_the_platform(
    tmp_path: Path, environ: dict[str, str], url: str
) -> None:
    assert read_settings(environ, root=tmp_path).public_base_url == url


def test_all_faults_are_told_at_once_and_never_a_value(tmp_path: Path) -> None:
    environ = {
        "SERVICE_CONNECTIONS": '{"a": swordfish}',
        "PUBLIC_BASE_URL": "swordfish",
        "API_RESPONSE_TIMEOUT_SECONDS": "swordfish",
        "MAX_RESPONSE_BYTES": "swordfish",
        "MAX_CONCURRENT_INVOCATIONS": KEY_VAULT,
        "MAX_BUFFERED_BYTES": "-swordfish",
    }

    with pytest.raises(SettingsError) as caught:
        read_settings(environ, root=tmp_path)

    error = caught.value
    assert {fault.pointer for fault in error.faults} == set(environ)
    assert all(fault.detail.endswith(".") for fault in error.faults)
    assert "swordfish" not in str([error.message, *error.faults])
    assert error.message == (
        "The service is not set up correctly; faulty: SERVICE_CONNECTIONS, PUBLIC_BASE_URL, "
        "API_RESPONSE_TIMEOUT_SECONDS, MAX_RESPONSE_BYTES, MAX_CONCURRENT_INVOCATIONS, "
        "MAX_BUFFERED_BYTES."
    )


@pytest.mark.parametrize("reference", KEY_VAULT_FORMS)
@pytest.mark.parametrize(
    "name", [*WHOLE_NUMBER, "PUBLIC_BASE_URL", "SERVICE_CONNECTIONS", "InvokeStorage"]
)
def test_a_key_vault_reference_that_was_not_resolved_is_a_fault(
    tmp_path: Path, name: str, reference: str
) -> None:
    assert faults_of({name: reference}, tmp_path) == [Fault(name, UNRESOLVED)]


def test_connections_are_read_from_the_file_beside_host_json(tmp_path: Path) -> None:
    file = tmp_path / "connections.json"
    file.write_text("\ufeff" + json.dumps({"Demo": {"type": "generic", "url": URL}}), "utf-8")

    settings = read_settings({}, root=tmp_path)

    assert settings.connections.names() == ("Demo",)
    assert settings.connections_source == str(file)


def test_connections_are_read_from_the_file_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "connections.json").write_text("not read")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.json").write_text("{}")

    for path in ("sub/mine.json", str(tmp_path / "sub" / "mine.json")):
        settings = read_settings({"SERVICE_CONNECTIONS": path}, root=tmp_path)

        assert settings.connections_source == str(tmp_path / "sub" / "mine.json")


@pytest.mark.parametrize("path", ["missing.json", ".", "a" * 5000, "[]", "latin-1.json", "a\0b"])
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, path: str) -> None:
    (tmp_path / "latin-1.json").write_bytes('{"é": 1}'.encode("latin-1"))

    assert faults_of({"SERVICE_CONNECTIONS": path}, tmp_path) == [
        Fault(
            "SERVICE_CONNECTIONS",
            "It takes a JSON object, or the path of a UTF-8 file with one; "
            "there is no file to be read at the path it names.",
        )
    ]


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("[]", "It takes a JSON object: names with connections."),
        ('"a"', "It takes a JSON object: names with connections."),
        ("{", "This is not JSON: Expecting property name enclosed in double quotes at line 1"),
        ('{"a": 1, "a": 2}', "The member 'a' stands twice in one object; give it once."),
        ('{"a": NaN}', "NaN is not JSON; numbers are finite."),
    ],
)
def test_a_file_that_is_no_json_object_is_a_fault(tmp_path: Path, text: str, detail: str) -> None:
    (tmp_path / "connections.json").write_text(text)

    [fault] = faults_of({}, tmp_path)

    assert fault.pointer == "SERVICE_CONNECTIONS"
    assert fault.detail.startswith(detail)


@pytest.mark.parametrize(("first", "second"), [("demo", "DEMO"), (" ", "x")])
def test_names_without_case_are_unique_and_not_empty(
    tmp_path: Path, first: str, second: str
) -> None:
    sound = {"type": "generic", "url": URL}
    setting = json.dumps({first: sound, second: sound})
    name = first if not first.strip() else second

    assert faults_of({"SERVICE_CONNECTIONS": setting}, tmp_path) == [
        Fault("SERVICE_CONNECTIONS", f"The name '{name}' is empty or taken; names ignore case.")
    ]


def test_a_connection_is_found_without_case(tmp_path: Path) -> None:
    settings = read(tmp_path)

    found = settings.connections.find("DEMO")

    assert found is not None
    assert found.name == "demo"
    assert settings.connections.find("other") is None


def test_a_connection_of_few_words_has_the_defaults(tmp_path: Path) -> None:
    assert connection(tmp_path) == Connection(
        name="demo",
        kind=ConnectionKind.GENERIC,
        url=URL,
        auth=NoAuth(),
        allow=Allow(given=False),
        tls=TlsOptions(),
        store_body=True,
    )


def test_a_connection_of_many_words_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").touch()
    (tmp_path / "own.pem").touch()

    read_one = connection(
        tmp_path,
        url="http://${HOST}:8080/${PATH_}?a=1",
        auth={"scheme": "${SCHEME}", "username": "${USER_}", "password": "${A}${B}"},
        allow={
            "methods": ["get", "TRACE"],
            "paths": ["/v1/*", "/${PATH_}/**"],
            "callers": ["key:0123456789ABCDEF", "local"],
            "redirects": "none",
            "loopback": True,
        },
        tls={"caBundle": "ca.pem", "clientCertificate": "${OWN}.pem", "verify": True},
        storeBody=False,
        environ={
            "HOST": "h.example",
            "PATH_": "p",
            "SCHEME": "basic",
            "USER_": "svc",
            "A": "sword",
            "B": "fish",
            "OWN": "own",
        },
    )

    assert read_one == Connection(
        name="demo",
        kind=ConnectionKind.GENERIC,
        url="http://h.example:8080/p?a=1",
        auth=BasicAuth(username="svc", password=Secret("swordfish")),
        allow=Allow(
            given=True,
            methods=frozenset({Method.GET, Method.TRACE}),
            paths=("/v1/*", "/p/**"),
            callers=frozenset({"key:0123456789abcdef", "local"}),
            redirects=RedirectRule.NONE,
            loopback=True,
        ),
        tls=TlsOptions(
            ca_bundle=str(tmp_path / "ca.pem"),
            client_certificate=str(tmp_path / "own.pem"),
            verify=True,
        ),
        store_body=False,
    )


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ({"scheme": "none"}, NoAuth()),
        (
            {"scheme": "basic", "username": "a", "password": "${P}"},
            BasicAuth(username="a", password=Secret("swordfish")),
        ),
        (
            {"scheme": "basic", "password": "${P}"},
            BasicAuth(username="", password=Secret("swordfish")),
        ),
        (
            {"scheme": "basic", "username": "token", "password": ""},
            BasicAuth(username="token", password=Secret("")),
        ),
        ({"scheme": "bearer", "token": "${P}"}, BearerAuth(token=Secret("swordfish"))),
        (
            {"scheme": "header", "name": "X-Api-Key", "value": "Key ${P}"},
            HeaderAuth(name="X-Api-Key", value=Secret("Key swordfish")),
        ),
    ],
)
def test_each_scheme_is_read(tmp_path: Path, auth: object, expected: Auth) -> None:
    settings = read(tmp_path, auth=auth, environ={"P": "swordfish"})

    assert connection(tmp_path, auth=auth, environ={"P": "swordfish"}).auth == expected
    assert settings.warnings == ()


SCHEMES = (
    "none, basic, bearer, header, "
    "managedIdentity, servicePrincipal, azureCli, oauth2ClientCredentials"
)
METHODS = "OPTIONS, GET, HEAD, POST, PUT, DELETE, TRACE, PATCH"
DOTS = "The URL has a '.' or '..' segment, plain or encoded, in its path."
HEADER_VALUE = (
    "it cannot stand in a header: blanks around it, control characters "
    "or characters outside Latin-1."
)
TYPES = "type: it takes one of generic, azureResourceManager, azureDevOps."


@pytest.mark.parametrize(
    ("members", "faults"),
    [
        ({"type": ...}, [TYPES]),
        ({"type": 1}, [TYPES]),
        ({"type": "Generik"}, [f"{TYPES} Did you mean 'generic'?"]),
        ({"url": ...}, ["url: it is missing."]),
        ({"url": ""}, ["url: it is empty."]),
        ({"url": "${EMPTY}"}, ["url: it is empty."]),
        ({"url": 1}, ["url: it takes text."]),
        ({"url": "api.example.com"}, ["url: it takes an http or https URL with a host."]),
        ({"url": "ftp://h"}, ["url: it takes an http or https URL with a host."]),
        ({"url": "https:///a"}, ["url: it takes an http or https URL with a host."]),
        ({"url": "https://h /a"}, ["url: it takes an http or https URL with a host."]),
        ({"url": "https://h:99999"}, ["url: it cannot be read as a URL."]),
        ({"url": "https://h:0/a"}, ["url: it names port 0, which is no port to connect to."]),
        ({"url": "https://u:p@h"}, ["url: The URL has user information in it ('…@host')."]),
        ({"url": "https://h/a/../b"}, [f"url: {DOTS}"]),
        ({"url": "https://h\n"}, ["url: The URL has a control character in it."]),
        (
            {"url": "https://h#a"},
            ["url: The URL has a fragment ('#…'), which is never sent; write %23 for '#'."],
        ),
        ({"uri": URL}, ["there is no 'uri'. Did you mean 'url'?"]),
        ({"environment": "x"}, ["there is no 'environment'."]),
        ({"proxy": 1}, ["proxy: it takes text."]),
        ({"limits": 1}, ["limits: it takes an object."]),
        (
            {"limits": {"perminute": 1}},
            ["limits: there is no 'perminute'. Did you mean 'perMinute'?"],
        ),
        ({"storeBody": "no"}, ["storeBody: it takes true or false."]),
        ({"auth": "basic"}, ["auth: it takes an object."]),
        ({"auth": {}}, [f"auth.scheme: it takes one of {SCHEMES}."]),
        ({"auth": {"scheme": []}}, [f"auth.scheme: it takes one of {SCHEMES}."]),
        (
            {"auth": {"scheme": "bassic"}},
            [f"auth.scheme: it takes one of {SCHEMES}. Did you mean 'basic'?"],
        ),
        ({"auth": {"scheme": "none", "token": "${P}"}}, ["auth: there is no 'token'."]),
        (
            {"auth": {"scheme": "basic", "pasword": "${P}"}},
            [
                "auth: there is no 'pasword'. Did you mean 'password'?",
                "auth.password: it is missing.",
            ],
        ),
        (
            {"auth": {"scheme": "basic", "username": "a:b", "password": "${P}"}},
            ["auth.username: HTTP Basic allows no ':' in it."],
        ),
        (
            {"auth": {"scheme": "basic", "username": 1, "password": []}},
            ["auth.username: it takes text.", "auth.password: it takes text."],
        ),
        ({"auth": {"scheme": "bearer"}}, ["auth.token: it is missing."]),
        ({"auth": {"scheme": "bearer", "token": ""}}, ["auth.token: it is empty."]),
        ({"auth": {"scheme": "bearer", "token": " ${P}"}}, [f"auth.token: {HEADER_VALUE}"]),
        ({"auth": {"scheme": "bearer", "token": "${P}\r\n"}}, [f"auth.token: {HEADER_VALUE}"]),
        ({"auth": {"scheme": "bearer", "token": "€${P}"}}, [f"auth.token: {HEADER_VALUE}"]),
        ({"auth": {"scheme": "header", "value": "${P}"}}, ["auth.name: it is missing."]),
        (
            {"auth": {"scheme": "header", "name": "a b", "value": "${P}"}},
            ["auth.name: it is no header name; letters, digits and - are."],
        ),
        (
            {"auth": {"scheme": "header", "name": "host", "value": "${P}"}},
            ["auth.name: this header is the service's to set."],
        ),
        ({"auth": {"scheme": "header", "name": "X", "value": ""}}, ["auth.value: it is empty."]),
        ({"allow": []}, ["allow: it takes an object."]),
        ({"allow": {"method": ["GET"]}}, ["allow: there is no 'method'. Did you mean 'methods'?"]),
        ({"allow": {"methods": "GET"}}, ["allow.methods: it takes a list of texts."]),
        ({"allow": {"methods": ["GET", 1]}}, ["allow.methods: it takes a list of texts."]),
        (
            {"allow": {"methods": ["GETT", "LINK"]}},
            [
                f"allow.methods: it takes one of {METHODS}. Did you mean 'GET'?",
                f"allow.methods: it takes one of {METHODS}.",
            ],
        ),
        ({"allow": {"paths": ["v1/*"]}}, ["allow.paths: each path begins with '/'."]),
        ({"allow": {"callers": [None]}}, ["allow.callers: it takes a list of texts."]),
        ({"allow": {"redirects": "all"}}, ["allow.redirects: it takes one of sameOrigin, none."]),
        ({"allow": {"redirects": True}}, ["allow.redirects: it takes one of sameOrigin, none."]),
        ({"allow": {"loopback": "true"}}, ["allow.loopback: it takes true or false."]),
        ({"tls": True}, ["tls: it takes an object."]),
        ({"tls": {"verifi": False}}, ["tls: there is no 'verifi'. Did you mean 'verify'?"]),
        ({"tls": {"verify": 0}}, ["tls.verify: it takes true or false."]),
        ({"tls": {"caBundle": "none.pem"}}, ["tls.caBundle: there is no such file."]),
        ({"tls": {"clientCertificate": ""}}, ["tls.clientCertificate: it is empty."]),
    ],
)
def test_each_fault_of_a_connection_makes_it_unusable_and_is_told(
    tmp_path: Path, members: dict[str, object], faults: list[str]
) -> None:
    assert complaints(tmp_path, environ={"P": "swordfish", "EMPTY": ""}, **members) == faults


def test_a_definition_that_is_no_object_is_a_fault(tmp_path: Path) -> None:
    settings = read_settings({"SERVICE_CONNECTIONS": '{"demo": "url"}'}, root=tmp_path)

    assert settings.connection_faults == (
        Fault("SERVICE_CONNECTIONS", "connection 'demo': it takes an object."),
    )


def test_all_faults_of_all_connections_are_told_and_the_sound_ones_work(tmp_path: Path) -> None:
    setting = json.dumps(
        {
            "one": {"type": "generic", "url": "swordfish", "auth": {"scheme": "swordfish"}},
            "two": {"type": "generic", "url": URL},
            "three": {"type": "generic", "url": URL, "allow": {"methods": ["swordfish"]}},
        }
    )

    settings = read_settings({"SERVICE_CONNECTIONS": setting}, root=tmp_path)

    usable = {
        name: known.connection is not None
        for name in settings.connections.names()
        if (known := settings.connections.find(name))
    }
    assert usable == {"one": False, "two": True, "three": False}
    assert len(settings.connection_faults) == 3
    assert "swordfish" not in str(settings.connection_faults)


def test_a_reference_to_a_setting_that_is_not_set_is_a_fault(tmp_path: Path) -> None:
    auth = {"scheme": "basic", "username": "${NOBODY}", "password": "${NOTHING}"}

    assert complaints(tmp_path, auth=auth) == [
        "auth.username: the setting NOBODY is not set.",
        "auth.password: the setting NOTHING is not set.",
    ]


@pytest.mark.parametrize("reference", KEY_VAULT_FORMS)
def test_a_key_vault_reference_within_a_definition_is_a_fault(
    tmp_path: Path, reference: str
) -> None:
    assert complaints(tmp_path, auth={"scheme": "bearer", "token": reference})[0] == (
        "auth.token: a Key Vault reference is resolved in an application setting only; "
        "put it there and refer to the setting with ${NAME}."
    )


@pytest.mark.parametrize("reference", KEY_VAULT_FORMS)
def test_a_reference_to_a_secret_that_was_not_resolved_is_a_fault(
    tmp_path: Path, reference: str
) -> None:
    auth = {"scheme": "bearer", "token": "${P}"}

    assert complaints(tmp_path, auth=auth, environ={"P": reference})[0] == (
        "auth.token: the setting P is a Key Vault reference that was not resolved; "
        "the app's identity needs to read that secret."
    )


def test_what_looks_like_a_reference_and_is_none_stays_as_it_is(tmp_path: Path) -> None:
    auth = {"scheme": "bearer", "token": "$P${}${1}$(P)${P"}

    assert connection(tmp_path, auth=auth, environ={"P": "x"}).auth == BearerAuth(
        token=Secret("$P${}${1}$(P)${P")
    )


def test_a_value_brought_in_is_not_looked_into_again(tmp_path: Path) -> None:
    auth = {"scheme": "bearer", "token": "${P}"}

    assert connection(tmp_path, auth=auth, environ={"P": "${Q}", "Q": "x"}).auth == BearerAuth(
        token=Secret("${Q}")
    )


@pytest.mark.parametrize(
    ("auth", "key"),
    [
        ({"scheme": "basic", "username": "a", "password": "swordfish"}, "password"),
        ({"scheme": "bearer", "token": "swordfish"}, "token"),
        ({"scheme": "header", "name": "X", "value": "swordfish"}, "value"),
    ],
)
def test_a_literal_secret_is_warned_about_without_showing_it(
    tmp_path: Path, auth: object, key: str
) -> None:
    assert read(tmp_path, auth=auth).warnings == (
        (
            f"connection 'demo': auth.{key} stands in the definition itself; "
            "refer to a setting with ${NAME}."
        ),
    )


def test_a_secret_too_short_to_be_masked_is_warned_about(tmp_path: Path) -> None:
    auth = {"scheme": "bearer", "token": "${P}"}

    assert read(tmp_path, auth=auth, environ={"P": "abc"}).warnings == (
        "connection 'demo': auth.token is too short to be masked (4 characters are).",
    )
    assert read(tmp_path, auth=auth, environ={"P": "abcd"}).warnings == ()


@pytest.mark.parametrize(
    "members",
    [
        {"url": "https://h.example/${HOOK_KEY}"},
        {"type": "azureDevOps", "url": "https://h.example/${HOOK_KEY}", "auth": IDENTITY},
        {
            "type": "azureResourceManager",
            "url": ...,
            "resourceManagerEndpoint": "https://h.example/${HOOK_KEY}",
            "audience": "https://h.example",
            "auth": IDENTITY,
        },
    ],
)
def test_a_key_in_the_url_of_any_kind_of_connection_is_a_secret(
    tmp_path: Path, members: dict[str, object]
) -> None:
    long, short = {"HOOK_KEY": "abcd"}, {"HOOK_KEY": "abc"}
    (warning,) = read(tmp_path, environ=short, **members).warnings

    assert connection(tmp_path, environ=long, **members).url_secrets == (Secret("abcd"),)
    assert read(tmp_path, environ=long, **members).warnings == ()
    assert warning.endswith("is too short to be masked (4 characters are).")
    assert "abc" not in warning


def test_a_certificate_that_is_not_checked_is_warned_about(tmp_path: Path) -> None:
    assert read(tmp_path, tls={"verify": False}).warnings == (
        (
            "connection 'demo': "
            "tls.verify is false: whoever sits on the way can read and change it all."
        ),
    )


@pytest.mark.parametrize(
    "environ",
    [
        AZURE,
        {"WEBSITE_INSTANCE_ID": "abc", **ACCOUNT},
        {"WEBSITE_SITE_NAME": "my-app", **ACCOUNT},
        {"WEBSITE_HOSTNAME": "my-app.azurewebsites.net", **ACCOUNT},
    ],
)
def test_on_azure_loopback_is_ignored_and_told(tmp_path: Path, environ: dict[str, str]) -> None:
    settings = read(tmp_path, allow={"loopback": True}, environ=environ)

    assert not connection(tmp_path, allow={"loopback": True}, environ=environ).allow.loopback
    assert settings.warnings == ("connection 'demo': allow.loopback is ignored on Azure.",)


@pytest.mark.parametrize("environ", [{}, {"WEBSITE_HOSTNAME": "localhost:7071"}])
def test_elsewhere_loopback_may_be_granted(tmp_path: Path, environ: dict[str, str]) -> None:
    settings = read(tmp_path, allow={"loopback": True}, environ=environ)

    assert connection(tmp_path, allow={"loopback": True}, environ=environ).allow.loopback
    assert settings.warnings == ()


def test_an_empty_allow_grants_all_and_still_counts_as_given(tmp_path: Path) -> None:
    assert connection(tmp_path, allow={}).allow == Allow(given=True)


def test_no_secret_of_a_connection_is_ever_printed(tmp_path: Path) -> None:
    settings = read(
        tmp_path, auth={"scheme": "bearer", "token": "${P}"}, environ={"P": "swordfish"}
    )

    assert "swordfish" not in repr(settings)
    assert "swordfish" not in repr(settings.connections.find("demo"))


LOCAL_FILE = "local.settings.json"


def test_local_settings_are_the_values_of_the_file(tmp_path: Path) -> None:
    (tmp_path / LOCAL_FILE).write_text(
        '\ufeff{"IsEncrypted": false, "Values": {"A": "1", "B": ""}, "Host": {}}', "utf-8"
    )

    assert read_local_settings(tmp_path) == {"A": "1", "B": ""}


def test_without_the_file_or_its_values_there_are_no_local_settings(tmp_path: Path) -> None:
    assert read_local_settings(tmp_path) == {}

    (tmp_path / LOCAL_FILE).write_text("{}")

    assert read_local_settings(tmp_path) == {}


@pytest.mark.parametrize(
    ("content", "details"),
    [
        (b"\xff", ["It takes a JSON object in UTF-8."]),
        (b'{"Values": 1', ["This is not JSON: Expecting ',' delimiter at line 1, column 13."]),
        (b"[]", ["It takes an object with the settings, names and texts, under 'Values'."]),
        (
            b'{"Values": null}',
            ["It takes an object with the settings, names and texts, under 'Values'."],
        ),
        (
            b'{"IsEncrypted": true, "Values": {}}',
            ["It is encrypted; run 'func settings decrypt'."],
        ),
        (
            b'{"Values": {"A": 1, "B": "x", "C": true}}',
            ["The value of 'A' is text.", "The value of 'C' is text."],
        ),
    ],
)
def test_local_settings_that_cannot_be_read_are_a_fault(
    tmp_path: Path, content: bytes, details: list[str]
) -> None:
    (tmp_path / LOCAL_FILE).write_bytes(content)

    with pytest.raises(SettingsError) as caught:
        read_local_settings(tmp_path)

    assert caught.value.faults == tuple(Fault(LOCAL_FILE, detail) for detail in details)


PROXY = (
    "the URL of a proxy that is reached over http (http://host:port, with user:password@ before "
    "the host where it asks for them)"
)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("http://proxy.example:3128", ProxyServer(host="proxy.example", port=3128)),
        ("proxy.example:3128/", ProxyServer(host="proxy.example", port=3128)),
        ("HTTP://Proxy.Example", ProxyServer(host="proxy.example", port=80)),
        ("http://[::1]:3128", ProxyServer(host="::1", port=3128)),
        (
            "http://svc:sw%40rd/f@sh@10.0.0.1:8080",
            ProxyServer(host="10.0.0.1", port=8080, username="svc", password=Secret("sw@rd/f@sh")),
        ),
    ],
)
def test_a_proxy_is_for_both_schemes(text: str, server: ProxyServer, tmp_path: Path) -> None:
    found = connection(tmp_path, environ={"EGRESS": text}, proxy="${EGRESS}")

    assert found.proxy == EgressProxy(http=server, https=server)


@pytest.mark.parametrize(
    "text",
    [
        "https://proxy.example:3128",
        "socks5://proxy.example",
        "http://",
        "http://proxy.example:0",
        "http://proxy.example:65536",
        "http://proxy.example/path",
        "http://pr oxy.example",
        "http://svc:swordfish@",
        "http://svc:sword\nfish@proxy.example",
    ],
)
def test_what_is_no_proxy_is_a_fault_that_shows_nothing(text: str, tmp_path: Path) -> None:
    assert complaints(tmp_path, proxy=text) == [f'proxy: it takes "environment", or {PROXY}.']


def test_a_password_in_a_proxy_s_url_is_warned_about(tmp_path: Path) -> None:
    settings = read(tmp_path, proxy="http://svc:swordfish@proxy.example:3128")

    assert settings.warnings == (
        "connection 'demo': proxy has a password in it; refer to a setting with ${NAME}.",
    )


def test_the_environment_s_proxies_are_used_where_a_connection_asks_for_them(
    tmp_path: Path,
) -> None:
    environ = {
        "HTTP_PROXY": "http://upper.example:1",
        "http_proxy": "lower.example:2",
        "HTTPS_PROXY": "http://secure.example:3",
        "NO_PROXY": " .Inside.example, 10.0.0.0/8,,",
    }

    asked = connection(tmp_path, environ=environ, proxy="environment")
    not_asked = connection(tmp_path, environ=environ)

    assert asked.proxy == EgressProxy(
        http=ProxyServer(host="lower.example", port=2),
        https=ProxyServer(host="secure.example", port=3),
        bypass=(".inside.example", "10.0.0.0/8"),
    )
    assert not_asked.proxy == EgressProxy()
    assert connection(tmp_path, environ={}, proxy="environment").proxy == EgressProxy()


def test_all_proxy_stands_in_for_both(tmp_path: Path) -> None:
    server = ProxyServer(host="all.example", port=3128)

    found = connection(tmp_path, environ={"ALL_PROXY": "all.example:3128"}, proxy="environment")

    assert found.proxy == EgressProxy(http=server, https=server)


def test_a_proxy_variable_that_holds_none_is_named(tmp_path: Path) -> None:
    environ = {"HTTPS_PROXY": "socks5://user:swordfish@proxy.example"}

    assert complaints(tmp_path, environ=environ, proxy="environment") == [
        f"proxy: the variable HTTPS_PROXY does not hold what it takes: {PROXY}."
    ]


def test_limits_are_read(tmp_path: Path) -> None:
    found = connection(tmp_path, limits={"concurrency": 4, "perMinute": 99999})

    assert found.limits == Limits(concurrency=4, per_minute=99999)
    assert connection(tmp_path, limits={}).limits == Limits()


@pytest.mark.parametrize("value", [0, -1, 1.5, 100000, "4", True, [1]])
def test_a_limit_that_is_no_count_is_a_fault(value: object, tmp_path: Path) -> None:
    assert complaints(tmp_path, limits={"perMinute": value}) == [
        "limits.perMinute: it takes a whole number from 1 to 99999."
    ]
