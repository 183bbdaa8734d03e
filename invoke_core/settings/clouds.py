"""The clouds that have a Resource Manager, and what tokens for them are made of.

Source: agentless protocol, section 7; HTTP contract, section 7.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PUBLIC_AUTHORITY: Final = "https://login.microsoftonline.com"

DEVOPS_SCOPE: Final = "499b84ac-1321-427f-aa17-267ca6975798/.default"
"""Azure DevOps, in every tenant."""


@dataclass(frozen=True, slots=True)
class Cloud:
    """One cloud.

    Attributes:
        resource_manager: Base URL of its Resource Manager.
        audience: Whom tokens for that are for.
        authority: Who issues them.
    """

    resource_manager: str
    audience: str
    authority: str


CLOUDS: Final = {
    "AzureCloud": Cloud(
        "https://management.azure.com/",
        "https://management.core.windows.net/",
        PUBLIC_AUTHORITY,
    ),
    "AzureUSGovernment": Cloud(
        "https://management.usgovcloudapi.net/",
        "https://management.core.usgovcloudapi.net/",
        "https://login.microsoftonline.us",
    ),
    "AzureChinaCloud": Cloud(
        "https://management.chinacloudapi.cn/",
        "https://management.core.chinacloudapi.cn/",
        "https://login.chinacloudapi.cn",
    ),
}


def scope_of(audience: str) -> str:
    """Return the scope that asks for a token for an audience.

    Where the audience ends in a slash, the scope has two of them, and that is right.
    """
    return f"{audience}/.default"
