"""What client libraries ask before their first real call: where which resource is.

Source: agentless protocol, section 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, uuid5

from invoke_core.callback_values import NO_GUID

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

_PLANS: Final = "{scopeIdentifier}/_apis/{area}/hubs/{hubName}"
_PLAN: Final = f"{_PLANS}/plans/{{planId}}"
_TASKS: Final = "distributedtask"
_MAX_VERSION: Final = "7.2"
_RELEASED_VERSION: Final = "7.1"
_MONIKER: Final = "PublicAccessMapping"

_LOCATIONS: Final = (
    (
        "557624af-b29e-4c20-8ab0-0399d2204f3f",
        _TASKS,
        "events",
        f"{_PLAN}/{{resource}}",
        1,
        "2.0",
    ),
    (
        "5cecd946-d704-471e-a45f-3b4064fcfaba",
        _TASKS,
        "plans",
        f"{_PLANS}/{{resource}}/{{planId}}",
        2,
        "2.0",
    ),
    (
        "83597576-cc2c-453c-bea6-2882ae6a1653",
        _TASKS,
        "timelines",
        f"{_PLAN}/{{resource}}/{{timelineId}}",
        2,
        "2.0",
    ),
    (
        "8893bc5b-35b2-4be7-83cb-99e683551db4",
        _TASKS,
        "records",
        f"{_PLAN}/timelines/{{timelineId}}/{{resource}}/{{recordId}}",
        2,
        "2.0",
    ),
    (
        "858983e4-19bd-4c5e-864c-507b59b58b12",
        _TASKS,
        "feed",
        f"{_PLAN}/timelines/{{timelineId}}/records/{{recordId}}/{{resource}}",
        1,
        "2.0",
    ),
    (
        "46f5667d-263a-4684-91b1-dff7fdcf64e2",
        _TASKS,
        "logs",
        f"{_PLAN}/{{resource}}/{{logId}}",
        1,
        "2.0",
    ),
    (
        "00d9565f-ed9c-4a06-9a50-00e7896ccab4",
        "Location",
        "ConnectionData",
        "_apis/{resource}",
        1,
        "1.0",
    ),
    (
        "e81700f7-3be2-46de-8624-2eb35882fcaa",
        "Location",
        "ResourceAreas",
        "_apis/{resource}/{areaId}",
        1,
        "3.2",
    ),
)
"""Each location: id, area, resource, template, resource version, least API version."""


def locations(area: str = "") -> list[dict[str, JsonValue]]:
    """Return the locations of an area, in any letter case; those of all areas without one."""
    return [
        {
            "id": location_id,
            "area": its_area,
            "resourceName": resource,
            "routeTemplate": template,
            "resourceVersion": version,
            "minVersion": least,
            "maxVersion": _MAX_VERSION,
            "releasedVersion": _RELEASED_VERSION,
        }
        for location_id, its_area, resource, template, version, least in _LOCATIONS
        if area.lower() in {"", its_area.lower()}
    ]


def connection_data(base_url: str) -> dict[str, JsonValue]:
    """Return what a client learns of this service when it connects.

    Args:
        base_url: Where this service is reached, without a slash at its end.

    Returns:
        The document. Its ids depend on the address alone: clients keep them in files by address,
        and a changing one confuses later runs.
    """
    plan_url = f"{base_url}/azdo/default/"
    user: JsonValue = {
        "id": _id(plan_url, "user"),
        "providerDisplayName": "External service",
    }
    return {
        "authenticatedUser": user,
        "authorizedUser": user,
        "instanceId": _id(plan_url, "instance"),
        "deploymentId": _id(plan_url, "deployment"),
        "deploymentType": "hosted",
        "locationServiceData": {
            # All zeros is a server of its own: .NET clients then look for no other.
            "serviceOwner": NO_GUID,
            "defaultAccessMappingMoniker": _MONIKER,
            "accessMappings": [
                {
                    "displayName": "Public Access Mapping",
                    "moniker": _MONIKER,
                    "accessPoint": plan_url,
                    "serviceOwner": NO_GUID,
                    "virtualDirectory": "",
                }
            ],
            "lastChangeId": 1,
            "lastChangeId64": 1,
            "clientCacheFresh": False,
            "clientCacheTimeToLive": 3600,
            "serviceDefinitions": [],
        },
    }


def _id(plan_url: str, name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{plan_url}#{name}"))
