"""The templates carry the settings that the service reads, and no others."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
from azure.functions import AuthLevel

import function_app
from invoke_core.adapters.queues import ALARM_QUEUE, FAILED_ALARM_QUEUE
from invoke_core.adapters.tables import TABLE
from invoke_core.errors import SettingsError
from invoke_core.local.indexing import HTTP, Indexed, index
from invoke_core.model import AccountIdentity, StorageAccount
from tests.infra.template import (
    INFRA,
    connections_of,
    environment_of,
    faults_of_settings,
    number_of,
    parameters_of,
    read_on_azure,
    settings_of,
)

if TYPE_CHECKING:
    from pathlib import Path

MAIN, RESOURCES = INFRA / "main.bicep", INFRA / "resources.bicep"


def changed(folder: Path, old: str, new: str) -> Path:
    """Return a copy of the templates with one change to the function app."""
    copy = folder / "infra"
    shutil.copytree(INFRA, copy)
    path = copy / "app" / "function.bicep"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return copy


def functions() -> list[Indexed]:
    indexed = index(function_app.app)
    # The library remembers the names it has seen; other tests index the app as well.
    function_app.app.functions_bindings = None
    return indexed


def text_of(name: str) -> str:
    return (INFRA / "app" / name).read_text(encoding="utf-8")


def test_the_settings_of_templates_and_service_are_the_same() -> None:
    assert faults_of_settings() == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("    RETENTION_DAYS: '30'\n", "", "RETENTION_DAYS: not in the templates"),
        ("    RETENTION_DAYS: '30'", "    RETENTION_DAYS: '31'", "RETENTION_DAYS: another default"),
        ("    RETENTION_DAYS: '30'", "    RETENTION_DAYS: '0'", "RETENTION_DAYS: another default"),
        ("    RETENTION_DAYS:", "    RETENTION_DAY:", "RETENTION_DAY: nobody reads it"),
        ("  STATE_KEY: ", "  STATE_KEYS: ", "STATE_KEY: not in the templates"),
        (
            "  InvokeStorage__queueServiceUri: ",
            "  InvokeStorage__queueUri: ",
            "InvokeStorage__queueServiceUri: not in the templates",
        ),
        (
            "  AzureWebJobsStorage__blobServiceUri: ",
            "  AzureWebJobsStorage__blobUri: ",
            "AzureWebJobsStorage__blobServiceUri: the host needs it",
        ),
        (
            "    RETENTION_DAYS: '30'",
            "    RETENTION_DAYS: '30'\n    FUNCTIONS_WORKER_RUNTIME: 'python'",
            "FUNCTIONS_WORKER_RUNTIME: forbidden",
        ),
        (
            "    RETENTION_DAYS: '30'",
            "    RETENTION_DAYS: '30'\n    AzureWebJobsStorage: ''",
            "AzureWebJobsStorage: forbidden",
        ),
    ],
)
def test_a_setting_that_is_wrong_is_found(tmp_path: Path, old: str, new: str, fault: str) -> None:
    assert fault in faults_of_settings(changed(tmp_path, old, new))


def test_what_the_templates_set_is_all_that_the_service_needs() -> None:
    settings = read_on_azure(environment_of())

    assert settings.warnings == ()
    assert len(settings.state_keys) == 2
    assert settings.store == StorageAccount(
        "InvokeStorage",
        AccountIdentity(
            table_uri="https://st.table.core.windows.net",
            queue_uri="https://st.queue.core.windows.net",
            managed=True,
            client_id="11111111-2222-3333-4444-555555555555",
        ),
    )


def test_a_deployment_begins_without_connections() -> None:
    assert connections_of() == {}


def test_the_platform_starts_another_instance_before_one_is_full() -> None:
    cap = int(settings_of()["MAX_CONCURRENT_INVOCATIONS"].strip("'"))

    assert number_of(MAIN, "httpPerInstanceConcurrency") < cap
    assert "min(httpPerInstanceConcurrency, int(ownSettings.MAX_CONCURRENT_INVOCATIONS) - 1)" in (
        text_of("function.bicep")
    )


def test_a_group_and_a_subscription_take_the_same_parameters() -> None:
    outer, inner = parameters_of(MAIN), parameters_of(RESOURCES)
    own_of_outer = {"environmentName", "location", "resourceGroupName"}
    own_of_inner = {"environmentName", "location", "resourceToken"}

    assert len(outer) > 20
    assert {name: outer[name] for name in set(outer) - own_of_outer} == {
        name: inner[name] for name in set(inner) - own_of_inner
    }


def test_every_parameter_reaches_the_group() -> None:
    given = re.search(
        r"module resources .*?params: \{(.*?)\n  \}", MAIN.read_text("utf-8"), re.DOTALL
    )

    assert given is not None
    assert set(re.findall(r"^    (\w+):", given[1], re.MULTILINE)) == set(parameters_of(RESOURCES))


def test_the_group_deploys_alone() -> None:
    assert "subscription().id" not in RESOURCES.read_text("utf-8")
    assert all(" = " in parameter for parameter in parameters_of(RESOURCES).values())


def test_table_and_queues_are_those_of_the_service() -> None:
    names = set(re.findall(r"name: '([^']+)'", text_of("storage.bicep")))

    assert {TABLE, ALARM_QUEUE, FAILED_ALARM_QUEUE} <= names


def test_the_alert_on_references_looks_for_what_the_service_logs() -> None:
    with pytest.raises(SettingsError) as raised:
        read_on_azure({**environment_of(), "STATE_KEY": "@Microsoft.KeyVault(SecretUri=x)"})

    (fault,) = raised.value.faults
    looked_for = re.search(r'Message has "([^"]+)"', text_of("alerts.bicep"))
    assert looked_for is not None
    assert looked_for[1] in fault.detail


def test_alerts_leave_out_what_is_a_pipelines_business() -> None:
    alerts = text_of("alerts.bicep")

    assert "status >= 500" in alerts
    assert 'OperationName == "alarms_due"' in alerts
    assert "alarms_due" in {function.name for function in functions()}


def test_sign_in_leaves_out_health_and_what_external_services_call() -> None:
    listed = re.findall(r"'([^']+)'", parameters_of(MAIN)["excludedAuthPaths"].rpartition("=")[2])
    excluded = tuple(path.removesuffix("/*").strip("/") for path in listed)
    routes = {
        function.trigger.route: function.trigger.auth_level
        for function in functions()
        if function.trigger.type == HTTP
    }
    left_out = {route for route in routes if route.startswith(excluded)}

    assert {route.split("/")[0] for route in left_out} == {"api", "azdo"}
    assert {route for route, level in routes.items() if level is AuthLevel.ANONYMOUS} == {
        *left_out,
        "api/openapi.json",
    }


def test_the_platform_leaves_options_to_the_service() -> None:
    for path in INFRA.rglob("*.bicep"):
        assert not re.search(r"\bcors:|allowedOrigins", path.read_text("utf-8"))
