"""What a deployment must not lose: lines that would be as valid with another value, and wrong.

The checker of Bicep files cannot tell, and a deployment would show it late or never.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from tests.infra.template import INFRA

if TYPE_CHECKING:
    from pathlib import Path


class MustHave(NamedTuple):
    """What a pattern finds in a file, in order and whole."""

    file: str
    pattern: str
    values: list[str]


_ENDPOINTS: Final = "storageAccount.properties.primaryEndpoints"
_REQUESTS: Final = 'AppRequests | where AppRoleName =~ "${functionAppName}"'

MUST_HAVES: Final = [
    # A 424 is a pipeline's business, so it is in no query; the whole text is compared.
    MustHave(
        "app/alerts.bicep",
        r"^    query: '(.*)'$",
        [
            (
                f"{_REQUESTS} | extend status = toint(ResultCode)"
                " | where status >= 500 or (Success == false and status < 100)"
            ),
            f'{_REQUESTS} | where OperationName == "alarms_due"',
            (
                'AppTraces | where AppRoleName =~ "${functionAppName}"'
                ' | where Message has "Key Vault reference that was not resolved"'
            ),
        ],
    ),
    MustHave(
        "app/alerts.bicep",
        r"^    operator: '(\w+)'\n    threshold: (\d+)$",
        ["GreaterThan 0", "LessThan 1", "GreaterThan 0"],
    ),
    # Hooks and app speak of the same secret.
    MustHave(
        "app/function.bicep",
        r"^ +\W*(STATE_KEY\w*): '@Microsoft\.KeyVault\(SecretUri=(\S+)\)'",
        [
            "STATE_KEY ${vaultUri}secrets/STATE-KEY",
            "STATE_KEY_PREVIOUS ${vaultUri}secrets/STATE-KEY-PREVIOUS",
        ],
    ),
    *(
        MustHave(
            f"hooks/postprovision.{kind}",
            r"az keyvault secret (\w+) .*?--name (\S+)",
            ["show STATE-KEY", "set STATE-KEY"],
        )
        for kind in ("sh", "ps1")
    ),
    MustHave(
        "app/function.bicep",
        r"^  (\w*Storage__\w+): (.+)$",
        [
            f"AzureWebJobsStorage__blobServiceUri {_ENDPOINTS}.blob",
            "AzureWebJobsStorage__clientId identityClientId",
            "AzureWebJobsStorage__credential 'managedidentity'",
            f"AzureWebJobsStorage__queueServiceUri {_ENDPOINTS}.queue",
            f"AzureWebJobsStorage__tableServiceUri {_ENDPOINTS}.table",
            "InvokeStorage__clientId identityClientId",
            "InvokeStorage__credential 'managedidentity'",
            f"InvokeStorage__queueServiceUri {_ENDPOINTS}.queue",
            f"InvokeStorage__tableServiceUri {_ENDPOINTS}.table",
        ],
    ),
    MustHave(
        "app/function.bicep",
        r"^  (A[A-Z_]+): (.+)$",
        [
            (
                "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
                " 'ClientId=${identityClientId};Authorization=AAD'"
            ),
            "APPLICATIONINSIGHTS_CONNECTION_STRING applicationInsights.properties.ConnectionString",
            "AZURE_CLIENT_ID identityClientId",
        ],
    ),
    # A later set takes the place of an earlier one, so nobody overrides what holds the app up.
    MustHave(
        "app/function.bicep",
        r"^    properties: union\(\s+([^)]*?)\s+\)$",
        [
            (
                "ownSettings, requestSettings, previousKeySettings, addressSettings,"
                " secretReferences, storageSettings, platformSettings"
            )
        ],
    ),
    MustHave("app/function.bicep", r"keyVaultReferenceIdentity: (.+)$", ["identityId"]),
    MustHave("app/function.bicep", r"httpsOnly: (.+)$", ["true"]),
    MustHave(
        "app/function.bicep",
        r"'basicPublishingCredentialsPolicies' = \{\s+name: '(\w+)'\s+properties: (.+?)$",
        ["scm { allow: false }", "ftp { allow: false }"],
    ),
    MustHave(
        "app/function.bicep",
        r"^            (type|userAssignedIdentityResourceId): (.+)$",
        ["type 'UserAssignedIdentity'", "userAssignedIdentityResourceId identityId"],
    ),
    MustHave(
        "app/roles.bicep",
        r"(?s)^resource (\w+) 'Microsoft\.Authorization/.*?scope: (\w+).*?"
        r"roleDefinitions', (\w+)\).*?principalId: (\w+).*?principalType: (\S+)",
        [
            "storageRoles storageAccount roleId identityPrincipalId 'ServicePrincipal'",
            "publisher applicationInsights publisherRoleId identityPrincipalId 'ServicePrincipal'",
            "secretsUser vault secretsUserRoleId identityPrincipalId 'ServicePrincipal'",
            "secretsOfficer vault secretsOfficerRoleId deployerId deployerType",
        ],
    ),
    MustHave("app/monitoring.bicep", r"[Dd]isableLocalAuth: (.+)$", ["true", "true"]),
    MustHave("app/storage.bicep", r"allowSharedKeyAccess: (.+)$", ["false"]),
    MustHave("app/storage.bicep", r"allowBlobPublicAccess: (.+)$", ["false"]),
    MustHave("app/vault.bicep", r"enableRbacAuthorization: (.+)$", ["true"]),
    MustHave(
        "resources.bicep",
        r"(?s)^module functionApp (?:(?!\n\}).)*?dependsOn: (\S+)$",
        ["[roles]"],
    ),
    MustHave("app/sign-in.bicep", r"requireAuthentication: (.+)$", ["true"]),
    MustHave("app/sign-in.bicep", r"unauthenticatedClientAction: (.+)$", ["'Return401'"]),
    MustHave("app/sign-in.bicep", r"allowedAudiences: (.+)$", ["[clientId, 'api://${clientId}']"]),
    MustHave("app/network.bicep", r"serviceName: (.+?) \}$", ["'Microsoft.App/environments'"]),
    MustHave(
        "app/network.bicep",
        r"\{ service: '(\w+)', target: ([\w.]+), zone: '(.+)' \}$",
        [
            "blob storageAccount.id privatelink.blob.${environment().suffixes.storage}",
            "queue storageAccount.id privatelink.queue.${environment().suffixes.storage}",
            "table storageAccount.id privatelink.table.${environment().suffixes.storage}",
            (
                "vault vault.id privatelink"
                "${replace(environment().suffixes.keyvaultDns, '.vault.', '.vaultcore.')}"
            ),
        ],
    ),
    MustHave(
        "main.bicepparam",
        r"^param (environmentName|location) = (.+)$",
        [
            "environmentName readEnvironmentVariable('AZURE_ENV_NAME')",
            "location readEnvironmentVariable('AZURE_LOCATION')",
        ],
    ),
]

PLANTS: Final = [
    ("app/alerts.bicep", "where status >= 500 or", "where status >= 400 or"),
    ("app/alerts.bicep", "operator: 'LessThan'", "operator: 'GreaterThan'"),
    ("app/function.bicep", "secrets/STATE-KEY)", "secrets/STATEKEY)"),
    ("hooks/postprovision.sh", "--name STATE-KEY --query", "--name STATEKEY --query"),
    ("hooks/postprovision.sh", "--name STATE-KEY --file", "--name STATEKEY --file"),
    ("hooks/postprovision.ps1", "--name STATE-KEY --query", "--name STATEKEY --query"),
    ("hooks/postprovision.ps1", "--name STATE-KEY --file", "--name STATEKEY --file"),
    (
        "app/function.bicep",
        "AzureWebJobsStorage__credential: 'managedidentity'",
        "AzureWebJobsStorage__credential: 'x'",
    ),
    (
        "app/function.bicep",
        f"AzureWebJobsStorage__queueServiceUri: {_ENDPOINTS}.queue",
        f"AzureWebJobsStorage__queueServiceUri: {_ENDPOINTS}.table",
    ),
    ("app/function.bicep", ";Authorization=AAD", ";Authorization=Key"),
    (
        "app/function.bicep",
        "keyVaultReferenceIdentity: identityId",
        "keyVaultReferenceIdentity: 'SystemAssigned'",
    ),
    (
        "app/function.bicep",
        "name: 'scm'\n    properties: { allow: false }",
        "name: 'scm'\n    properties: { allow: true }",
    ),
    (
        "app/function.bicep",
        "name: 'ftp'\n    properties: { allow: false }",
        "name: 'ftp'\n    properties: { allow: true }",
    ),
    (
        "app/function.bicep",
        "      platformSettings\n",
        "      platformSettings,\n      appSettings\n",
    ),
    ("app/roles.bicep", "scope: applicationInsights\n", "scope: storageAccount\n"),
    ("app/roles.bicep", "principalId: deployerId", "principalId: identityPrincipalId"),
    ("app/monitoring.bicep", "DisableLocalAuth: true", "DisableLocalAuth: false"),
    ("app/storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true"),
    ("app/vault.bicep", "enableRbacAuthorization: true", "enableRbacAuthorization: false"),
    ("resources.bicep", "dependsOn: [roles]", "dependsOn: [storage]"),
    ("resources.bicep", "  dependsOn: [roles]\n", ""),
    ("resources.bicep", "  dependsOn: [roles]\n", "  // dependsOn: [roles]\n"),
    ("app/sign-in.bicep", "requireAuthentication: true", "requireAuthentication: false"),
    ("app/sign-in.bicep", "'Return401'", "'RedirectToLoginPage'"),
    ("app/network.bicep", "'Microsoft.App/environments'", "'Microsoft.Web/serverFarms'"),
    ("app/network.bicep", "'privatelink.queue.", "'privatelink.que."),
    (
        "main.bicepparam",
        "environmentName = readEnvironmentVariable('AZURE_ENV_NAME')",
        "environmentName = ''",
    ),
]


def lost(infra: Path) -> list[str]:
    """Return a line for each thing that a deployment must have and these templates have not."""
    return [
        f"{file}: {found} where {values} must be"
        for file, pattern, values in MUST_HAVES
        if (found := found_in(infra / file, pattern)) != values
    ]


def found_in(path: Path, pattern: str) -> list[str]:
    """Return what a pattern finds outside of comments, its groups with one space between."""
    comment = "//" if path.suffix.startswith(".bicep") else "#"
    code = re.sub(rf"^\s*{comment}.*\n", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    matches = re.finditer(pattern, code, re.MULTILINE)
    return [" ".join(" ".join(match.groups()).split()) for match in matches]


def test_a_deployment_has_what_it_must_have() -> None:
    assert lost(INFRA) == []


@pytest.mark.parametrize(("file", "old", "new"), PLANTS)
def test_what_is_planted_is_found(tmp_path: Path, file: str, old: str, new: str) -> None:
    copy = tmp_path / "infra"
    shutil.copytree(INFRA, copy)
    text = (copy / file).read_text(encoding="utf-8")
    assert text.count(old) == 1
    (copy / file).write_text(text.replace(old, new), encoding="utf-8")

    assert [line.partition(":")[0] for line in lost(copy)] == [file]
