"""Definitions of connections whose token is fetched, and of the Azure types.

Source: HTTP contract, section 7; agentless protocol, section 7 (the table of clouds).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from invoke_core.connections import (
    AzureCliAuth,
    ClientCredentialsAuth,
    ConnectionKind,
    ManagedIdentityAuth,
    NoAuth,
    ServicePrincipalAuth,
)
from invoke_core.model import Secret
from tests.core.test_settings import AZURE, complaints, connection, read

if TYPE_CHECKING:
    from pathlib import Path

    from invoke_core.connections import Auth

PUBLIC = "https://login.microsoftonline.com"
DEVOPS = "499b84ac-1321-427f-aa17-267ca6975798/.default"
ENVIRON = {"S": "swordfish", "EMPTY": ""}
IDENTITY = {"scheme": "managedIdentity"}
PRINCIPAL = {
    "scheme": "servicePrincipal",
    "tenantId": "contoso.example",
    "clientId": "c",
    "clientSecret": "${S}",
}
CLIENT = {
    "scheme": "oauth2ClientCredentials",
    "tokenUrl": "https://id.example.com/token",
    "clientId": "c",
    "clientSecret": "${S}",
}
ARM: dict[str, object] = {"type": "azureResourceManager", "url": ...}
DEVOPS_TYPE: dict[str, object] = {"type": "azureDevOps", "url": "https://dev.azure.com/my-org"}


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        ({**IDENTITY, "scope": "api://a/.default"}, ManagedIdentityAuth(scope="api://a/.default")),
        (
            {**IDENTITY, "scope": "a", "clientId": "c", "authority": PUBLIC},
            ManagedIdentityAuth(scope="a", client_id="c"),
        ),
        ({"scheme": "azureCli", "scope": "a"}, AzureCliAuth(scope="a")),
        (
            {**PRINCIPAL, "scope": "a"},
            ServicePrincipalAuth(
                scope="a",
                authority=PUBLIC,
                tenant_id="contoso.example",
                client_id="c",
                client_secret=Secret("swordfish"),
            ),
        ),
        (
            {**PRINCIPAL, "scope": "a", "authority": "https://adfs.example.com:444/"},
            ServicePrincipalAuth(
                scope="a",
                authority="https://adfs.example.com:444",
                tenant_id="contoso.example",
                client_id="c",
                client_secret=Secret("swordfish"),
            ),
        ),
        (
            CLIENT,
            ClientCredentialsAuth(
                token_url="https://id.example.com/token",
                client_id="c",
                client_secret=Secret("swordfish"),
            ),
        ),
        (
            {**CLIENT, "scope": "a b", "audience": "https://api"},
            ClientCredentialsAuth(
                token_url="https://id.example.com/token",
                client_id="c",
                client_secret=Secret("swordfish"),
                scope="a b",
                audience="https://api",
            ),
        ),
    ],
)
def test_each_fetched_credential_is_read(
    tmp_path: Path, auth: dict[str, object], expected: Auth
) -> None:
    assert connection(tmp_path, auth=auth, environ=ENVIRON).auth == expected
    assert read(tmp_path, auth=auth, environ=ENVIRON).warnings == ()


def test_a_certificate_stands_in_place_of_a_secret(tmp_path: Path) -> None:
    (tmp_path / "own.pem").touch()
    auth = {**PRINCIPAL, "scope": "a", "certificate": "own.pem"}
    del auth["clientSecret"]

    found = connection(tmp_path, auth=auth).auth

    assert isinstance(found, ServicePrincipalAuth)
    assert (found.certificate, found.client_secret) == (str(tmp_path / "own.pem"), None)


CLOUDS = [
    (
        {},
        "https://management.azure.com/",
        "https://management.core.windows.net//.default",
        PUBLIC,
    ),
    (
        {"environment": "AzureCloud"},
        "https://management.azure.com/",
        "https://management.core.windows.net//.default",
        PUBLIC,
    ),
    (
        {"environment": "AzureUSGovernment"},
        "https://management.usgovcloudapi.net/",
        "https://management.core.usgovcloudapi.net//.default",
        "https://login.microsoftonline.us",
    ),
    (
        {"environment": "AzureChinaCloud"},
        "https://management.chinacloudapi.cn/",
        "https://management.core.chinacloudapi.cn//.default",
        "https://login.chinacloudapi.cn",
    ),
    (
        {
            "resourceManagerEndpoint": "https://management.local.example",
            "audience": "https://management.example/guid",
            "authority": "https://login.local.example/",
        },
        "https://management.local.example",
        "https://management.example/guid/.default",
        "https://login.local.example",
    ),
]


@pytest.mark.parametrize(("members", "url", "scope", "authority"), CLOUDS)
def test_each_cloud_has_its_url_its_audience_and_its_authority(
    tmp_path: Path, members: dict[str, object], url: str, scope: str, authority: str
) -> None:
    found = connection(tmp_path, **ARM, **members, auth=PRINCIPAL, environ=ENVIRON)

    assert (found.kind, found.url) == (ConnectionKind.AZURE_RESOURCE_MANAGER, url)
    assert isinstance(found.auth, ServicePrincipalAuth)
    assert (found.auth.scope, found.auth.authority) == (scope, authority)


def test_azure_devops_knows_its_scope(tmp_path: Path) -> None:
    found = connection(tmp_path, environ=None, **DEVOPS_TYPE, auth=IDENTITY)

    assert (found.kind, found.url) == (
        ConnectionKind.AZURE_DEVOPS,
        "https://dev.azure.com/my-org",
    )
    assert found.auth == ManagedIdentityAuth(scope=DEVOPS)


@pytest.mark.parametrize("members", [ARM, DEVOPS_TYPE])
def test_what_a_type_knows_can_be_overridden(tmp_path: Path, members: dict[str, object]) -> None:
    auth = {**PRINCIPAL, "scope": "other/.default", "authority": "https://login.example.com"}

    found = connection(tmp_path, **members, auth=auth, environ=ENVIRON).auth

    assert isinstance(found, ServicePrincipalAuth)
    assert (found.scope, found.authority) == ("other/.default", "https://login.example.com")


def test_a_personal_access_token_opens_azure_devops_too(tmp_path: Path) -> None:
    auth = {"scheme": "basic", "password": "${S}"}

    assert read(tmp_path, **DEVOPS_TYPE, auth=auth, environ=ENVIRON).warnings == ()


@pytest.mark.parametrize("members", [ARM, DEVOPS_TYPE])
def test_an_azure_connection_without_a_credential_is_warned_about(
    tmp_path: Path, members: dict[str, object]
) -> None:
    assert connection(tmp_path, environ=None, **members).auth == NoAuth()
    assert read(tmp_path, environ=None, **members).warnings == (
        "connection 'demo': it has no auth, and its target answers nobody it does not know.",
    )


def test_an_identity_of_an_own_cloud_needs_no_authority(tmp_path: Path) -> None:
    found = connection(
        tmp_path,
        environ=None,
        **ARM,
        resourceManagerEndpoint="https://management.local.example",
        audience="https://management.example/guid",
        auth=IDENTITY,
    )

    assert found.auth == ManagedIdentityAuth(scope="https://management.example/guid/.default")


NO_SCOPE = (
    "auth.scope: it is missing; it names what the token is for, such as api://my-api/.default."
)
HTTPS = "it takes an https URL without a query."
EITHER = "auth: it takes either clientSecret or certificate."


@pytest.mark.parametrize(
    ("members", "faults"),
    [
        ({"auth": IDENTITY}, [NO_SCOPE]),
        ({"auth": {"scheme": "azureCli"}}, [NO_SCOPE]),
        ({"auth": PRINCIPAL}, [NO_SCOPE]),
        ({"auth": {**IDENTITY, "scope": ""}}, ["auth.scope: it is empty.", NO_SCOPE]),
        (
            {"auth": {**IDENTITY, "scope": "a", "tenantId": "t"}},
            ["auth: there is no 'tenantId'. Did you mean 'clientId'?"],
        ),
        ({"auth": {**IDENTITY, "scope": "a", "clientId": 1}}, ["auth.clientId: it takes text."]),
        (
            {"auth": {**IDENTITY, "scope": "a", "clientId": "${EMPTY}"}},
            ["auth.clientId: it is empty."],
        ),
        (
            {"auth": {"scheme": "servicePrincipal"}},
            [
                "auth.tenantId: it is missing.",
                "auth.clientId: it is missing.",
                EITHER,
                NO_SCOPE,
            ],
        ),
        ({"auth": {**PRINCIPAL, "scope": "a", "certificate": "own.pem"}}, [EITHER]),
        (
            {"auth": {**PRINCIPAL, "scope": "a", "clientSecret": "${NOTHING}"}},
            ["auth.clientSecret: the setting NOTHING is not set."],
        ),
        (
            {"auth": {**PRINCIPAL, "scope": "a", "tenantId": "a/b"}},
            ["auth.tenantId: it takes the id or a domain of a tenant."],
        ),
        (
            {"auth": {**PRINCIPAL, "scope": "a", "authority": "http://login.example"}},
            [f"auth.authority: {HTTPS}"],
        ),
        (
            {"auth": {**PRINCIPAL, "scope": "a", "authority": "https://login.example?a=b"}},
            [f"auth.authority: {HTTPS}"],
        ),
        (
            {"auth": {**IDENTITY, "scope": "a", "authority": "https://u@login.example"}},
            ["auth.authority: The URL has user information in it ('…@host')."],
        ),
        (
            {"auth": {"scheme": "oauth2ClientCredentials"}},
            [
                "auth.tokenUrl: it is missing.",
                "auth.clientId: it is missing.",
                "auth.clientSecret: it is missing.",
            ],
        ),
        (
            {"auth": {**CLIENT, "tokenUrl": "id.example.com"}},
            ["auth.tokenUrl: it takes an http or https URL with a host."],
        ),
        (
            {**ARM, "url": "https://management.azure.com", "auth": IDENTITY},
            ["there is no 'url'."],
        ),
        (
            {**ARM, "environment": "AzureGovernment", "auth": IDENTITY},
            [
                (
                    "environment: it takes one of AzureCloud, AzureUSGovernment, AzureChinaCloud. "
                    "Did you mean 'AzureUSGovernment'?"
                )
            ],
        ),
        (
            {**ARM, "resourceManagerEndpoint": "https://a.example", "auth": PRINCIPAL},
            [
                "audience: it is missing.",
                "authority: it is missing; it names who issues tokens.",
            ],
        ),
        (
            {**ARM, "environment": "AzureCloud", "audience": "a", "auth": IDENTITY},
            [
                (
                    "environment: it does not go together with resourceManagerEndpoint, audience "
                    "and authority."
                ),
                "resourceManagerEndpoint: it is missing.",
            ],
        ),
        ({"type": "azureDevOps", "url": ..., "auth": IDENTITY}, ["url: it is missing."]),
        (
            {**DEVOPS_TYPE, "environment": "AzureCloud", "auth": IDENTITY},
            ["there is no 'environment'."],
        ),
    ],
)
def test_each_fault_of_a_credential_is_told_at_once(
    tmp_path: Path, members: dict[str, object], faults: list[str]
) -> None:
    (tmp_path / "own.pem").touch()

    assert complaints(tmp_path, environ=ENVIRON, **members) == faults


def test_a_certificate_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    auth = {**PRINCIPAL, "scope": "a", "certificate": "none.pem"}
    del auth["clientSecret"]

    assert complaints(tmp_path, auth=auth) == ["auth.certificate: there is no such file."]


def test_the_azure_cli_is_a_fault_on_azure(tmp_path: Path) -> None:
    auth = {"scheme": "azureCli", "scope": "a"}

    assert complaints(tmp_path, auth=auth, environ=AZURE) == [
        "auth.scheme: azureCli is for work on your own machine; on Azure use managedIdentity."
    ]


@pytest.mark.parametrize("auth", [{**PRINCIPAL, "scope": "a"}, CLIENT])
def test_a_client_secret_that_is_literal_or_short_is_warned_about(
    tmp_path: Path, auth: dict[str, object]
) -> None:
    literal = read(tmp_path, auth={**auth, "clientSecret": "swordfish"})
    short = read(tmp_path, auth=auth, environ={"S": "abc"})

    assert literal.warnings == (
        (
            "connection 'demo': auth.clientSecret stands in the definition itself; "
            "refer to a setting with ${NAME}."
        ),
    )
    assert short.warnings == (
        "connection 'demo': auth.clientSecret is too short to be masked (4 characters are).",
    )


def test_a_token_url_without_tls_is_warned_about_unless_it_stays_here(tmp_path: Path) -> None:
    there = read(tmp_path, auth={**CLIENT, "tokenUrl": "http://id.example"}, environ=ENVIRON)
    here = read(tmp_path, auth={**CLIENT, "tokenUrl": "http://127.0.0.1:1/t"}, environ=ENVIRON)

    assert there.warnings == (
        "connection 'demo': auth.tokenUrl is not https: the client secret travels in the open.",
    )
    assert here.warnings == ()


@pytest.mark.parametrize("auth", [{**PRINCIPAL, "scope": "a"}, CLIENT])
def test_no_client_secret_is_ever_printed(tmp_path: Path, auth: dict[str, object]) -> None:
    assert "swordfish" not in repr(connection(tmp_path, auth=auth, environ=ENVIRON))
