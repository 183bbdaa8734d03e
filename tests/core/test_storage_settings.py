"""Which store the settings name (contract, section 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from invoke_core.errors import Fault, SettingsError
from invoke_core.model import AccountIdentity, Secret, StorageAccount
from invoke_core.settings import EmbeddedStore, read_account, read_settings
from invoke_core.settings.storage import Store, account_setting

if TYPE_CHECKING:
    from pathlib import Path

AZURE = {"WEBSITE_SITE_NAME": "my-app"}
EMULATOR = "UseDevelopmentStorage=true"
KEY = "c3dvcmRmaXNo"
WITH_KEY = f"DefaultEndpointsProtocol=https;AccountName=mine;AccountKey={KEY}"
WITH_SIGNATURE = (
    "TableEndpoint=https://t.example;QueueEndpoint=https://q.example;"
    "SharedAccessSignature=sv=2024&sig=swordfish%3D"
)
CLIENT_ID = "11111111-2222-3333-4444-555555555555"
TABLES = "https://mine.table.core.windows.net"
QUEUES = "https://mine.queue.core.windows.net"
BOTH = pytest.mark.parametrize("setting", ["InvokeStorage", "AzureWebJobsStorage"])
UNRESOLVED = (
    "It is a Key Vault reference that was not resolved; "
    "the app's identity needs to read that secret."
)
CONNECTION_STRING = "It takes the connection string of a storage account, " + EMULATOR
ENDPOINTS = "Its connection string takes AccountName, or TableEndpoint and QueueEndpoint."
ACCESS = (
    "Its connection string takes AccountKey, in Base64, with AccountName; or SharedAccessSignature."
)


def store_of(environ: dict[str, str], root: Path) -> Store:
    return read_settings(environ, root=root).store


def faults_of(environ: dict[str, str], root: Path) -> list[Fault]:
    with pytest.raises(SettingsError) as caught:
        read_settings(environ, root=root)

    assert "swordfish" not in str(caught.value.faults)
    return list(caught.value.faults)


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({}, ".data/invoke.db"),
        ({"InvokeStorage": " ", "AzureWebJobsStorage": ""}, ".data/invoke.db"),
        ({"InvokeStorage": "sqlite:///a/b.db"}, "a/b.db"),
        ({"InvokeStorage": "sqlite:///a.db", "AzureWebJobsStorage": EMULATOR}, "a.db"),
        ({"AzureWebJobsStorage__blobServiceUri": "https://b.example"}, ".data/invoke.db"),
    ],
)
def test_the_store_is_a_file_unless_an_account_is_named(
    tmp_path: Path, environ: dict[str, str], path: str
) -> None:
    assert store_of(environ, tmp_path) == EmbeddedStore(tmp_path / path)
    assert account_setting(environ) is None


def test_the_embedded_store_may_be_named_from_the_root(tmp_path: Path) -> None:
    environ = {"InvokeStorage": f"sqlite:///{tmp_path / 'mine.db'}"}

    assert store_of(environ, tmp_path / "sub") == EmbeddedStore(tmp_path / "mine.db")


@pytest.mark.parametrize("value", ["sqlite:", "sqlite:///", "sqlite://a.db", "sqlite:a.db"])
def test_an_embedded_store_without_a_path_is_a_fault(tmp_path: Path, value: str) -> None:
    assert faults_of({"InvokeStorage": value}, tmp_path) == [
        Fault(
            "InvokeStorage",
            "An embedded store is sqlite:///path, or sqlite:////path from the root.",
        )
    ]


@pytest.mark.parametrize("environ", [{"InvokeStorage": "sqlite:///a.db"}, {}])
def test_the_embedded_store_is_refused_on_azure(tmp_path: Path, environ: dict[str, str]) -> None:
    assert faults_of(environ | AZURE, tmp_path) == [
        Fault(
            "InvokeStorage",
            "The embedded store is for one machine; on Azure it takes Azure Storage.",
        )
    ]


@BOTH
@pytest.mark.parametrize("text", [WITH_KEY, WITH_SIGNATURE, EMULATOR, f"{WITH_KEY};"])
def test_a_connection_string_is_taken_as_it_is(tmp_path: Path, setting: str, text: str) -> None:
    assert store_of({setting: text}, tmp_path) == StorageAccount(setting, Secret(text))
    assert account_setting({setting: text}) == setting


@pytest.mark.parametrize("text", ["usedevelopmentstorage=True", f" {EMULATOR}; "])
def test_the_emulator_may_be_named_in_other_ways(tmp_path: Path, text: str) -> None:
    store = store_of({"InvokeStorage": text}, tmp_path)

    assert store == StorageAccount("InvokeStorage", Secret(EMULATOR))


@BOTH
def test_an_account_name_stands_for_its_services(tmp_path: Path, setting: str) -> None:
    store = store_of({f"{setting}__accountName": "mine"}, tmp_path)

    access = AccountIdentity(TABLES, QUEUES, managed=False, client_id=None)
    assert store == StorageAccount(setting, access)


@BOTH
def test_the_services_may_be_named_one_by_one(tmp_path: Path, setting: str) -> None:
    environ = {
        f"{setting}__tableServiceUri": "https://t.example/",
        f"{setting}__queueServiceUri": "https://q.example:8443/path",
    }

    access = AccountIdentity(
        "https://t.example", "https://q.example:8443/path", managed=False, client_id=None
    )
    assert store_of(environ, tmp_path) == StorageAccount(setting, access)


def test_a_service_that_is_named_itself_is_not_taken_from_the_account(tmp_path: Path) -> None:
    environ = {
        "InvokeStorage__accountName": "mine",
        "InvokeStorage__tableServiceUri": "https://t.example",
    }

    access = AccountIdentity("https://t.example", QUEUES, managed=False, client_id=None)
    assert store_of(environ, tmp_path) == StorageAccount("InvokeStorage", access)


@BOTH
@pytest.mark.parametrize(("credential", "managed"), [("managedidentity", True), ("", False)])
@pytest.mark.parametrize("client_id", [CLIENT_ID, ""])
def test_an_identity_may_be_chosen(
    tmp_path: Path, setting: str, credential: str, client_id: str, *, managed: bool
) -> None:
    environ = {
        f"{setting}__accountName": "mine",
        f"{setting}__credential": credential,
        f"{setting}__clientId": client_id,
    }

    access = AccountIdentity(TABLES, QUEUES, managed=managed, client_id=client_id or None)
    assert store_of(environ, tmp_path) == StorageAccount(setting, access)


def test_any_form_of_our_own_setting_wins_over_the_platforms(tmp_path: Path) -> None:
    environ = {"AzureWebJobsStorage": WITH_KEY, "InvokeStorage__accountName": "mine"}

    access = AccountIdentity(TABLES, QUEUES, managed=False, client_id=None)
    assert store_of(environ, tmp_path) == StorageAccount("InvokeStorage", access)
    assert account_setting(environ) == "InvokeStorage"


def test_a_connection_string_wins_over_the_other_forms_as_on_the_platform(tmp_path: Path) -> None:
    environ = {"InvokeStorage": EMULATOR, "InvokeStorage__accountName": "mine"}

    assert store_of(environ, tmp_path) == StorageAccount("InvokeStorage", Secret(EMULATOR))


@pytest.mark.parametrize("text", ["x", "AccountName", "AccountName=", "a=1;A=2", f"{WITH_KEY};x"])
def test_what_is_no_connection_string_is_a_fault(tmp_path: Path, text: str) -> None:
    ours = f"{CONNECTION_STRING}, or sqlite:///path."

    assert faults_of({"InvokeStorage": text}, tmp_path) == [Fault("InvokeStorage", ours)]
    assert faults_of({"AzureWebJobsStorage": text}, tmp_path) == [
        Fault("AzureWebJobsStorage", f"{CONNECTION_STRING}.")
    ]


@BOTH
@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (f"AccountKey={KEY}", ENDPOINTS),
        (f"AccountKey={KEY};TableEndpoint=https://t.example", ENDPOINTS),
        ("AccountName=mine", ACCESS),
        ("AccountName=mine;AccountKey=not Base64: swordfish", ACCESS),
        ("AccountName=mine;AccountKey=schlüssel", ACCESS),
        (
            f"TableEndpoint=https://t.example;QueueEndpoint=https://q.example;AccountKey={KEY}",
            "Its connection string takes AccountName beside AccountKey.",
        ),
    ],
)
def test_a_connection_string_that_leads_nowhere_is_a_fault(
    tmp_path: Path, setting: str, text: str, detail: str
) -> None:
    assert faults_of({setting: text}, tmp_path) == [Fault(setting, detail)]


def test_the_platforms_setting_names_no_file(tmp_path: Path) -> None:
    assert faults_of({"AzureWebJobsStorage": "sqlite:///a.db"}, tmp_path) == [
        Fault("AzureWebJobsStorage", f"{CONNECTION_STRING}.")
    ]


@BOTH
@pytest.mark.parametrize(
    ("form", "value", "detail"),
    [
        (
            "accountName",
            "https://swordfish",
            "It takes the name of a storage account: 3 to 24 lower-case letters and digits.",
        ),
        (
            "tableServiceUri",
            "http://t.example/swordfish",
            "It takes the https URL of the table service, without query or fragment.",
        ),
        (
            "queueServiceUri",
            "https://q.example?sig=swordfish",
            "It takes the https URL of the queue service, without query or fragment.",
        ),
        (
            "credential",
            "swordfish",
            "It takes managedidentity; unset, the identity is looked for where the code runs.",
        ),
        ("clientId", "swordfish", "It takes the client id of a managed identity, a GUID."),
    ],
)
def test_each_form_says_what_it_takes(
    tmp_path: Path, setting: str, form: str, value: str, detail: str
) -> None:
    environ = {f"{setting}__accountName": "mine", f"{setting}__{form}": value}

    assert faults_of(environ, tmp_path) == [Fault(f"{setting}__{form}", detail)]


@BOTH
@pytest.mark.parametrize(
    ("form", "missing"),
    [
        ("tableServiceUri", ["queue"]),
        ("queueServiceUri", ["table"]),
        ("credential", ["table", "queue"]),
    ],
)
def test_half_an_account_is_a_fault_that_names_the_other_half(
    tmp_path: Path, setting: str, form: str, missing: list[str]
) -> None:
    value = "managedidentity" if form == "credential" else "https://t.example"

    assert faults_of({f"{setting}__{form}": value}, tmp_path) == [
        Fault(
            f"{setting}__{service}ServiceUri",
            f"It takes the https URL of the {service} service; or set __accountName.",
        )
        for service in missing
    ]


@BOTH
@pytest.mark.parametrize(
    "form", ["", "__accountName", "__tableServiceUri", "__queueServiceUri", "__clientId"]
)
@pytest.mark.parametrize("azure", [AZURE, {}])
@pytest.mark.parametrize("word", ["@Microsoft.KeyVault", "@microsoft.keyvault"])
def test_an_unresolved_reference_is_the_one_fault(
    tmp_path: Path, setting: str, form: str, azure: dict[str, str], word: str
) -> None:
    environ = {
        f"{setting}__{service}ServiceUri": "https://t.example" for service in ("table", "queue")
    }
    environ[setting + form] = f"{word}(SecretUri=https://vault.example/swordfish)"
    if form == "__accountName":
        environ = {setting + form: environ[setting + form]}

    assert faults_of(environ | azure, tmp_path) == [Fault(setting + form, UNRESOLVED)]


@pytest.mark.parametrize("text", [WITH_KEY, WITH_SIGNATURE])
def test_no_key_is_ever_printed(tmp_path: Path, text: str) -> None:
    settings = read_settings({"InvokeStorage": text}, root=tmp_path)

    assert KEY not in repr(settings)
    assert "swordfish" not in repr(settings)


@pytest.mark.parametrize("setting", ["InvokeStorage", "Other"])
def test_an_account_is_read_under_any_name(setting: str) -> None:
    """As the platform reads the connection of a trigger."""
    identity = {f"{setting}__accountName": "mine", f"{setting}__credential": "managedidentity"}

    assert read_account({setting: WITH_KEY}, setting) == StorageAccount(setting, Secret(WITH_KEY))
    assert read_account({setting: EMULATOR}, setting) == StorageAccount(setting, Secret(EMULATOR))
    assert read_account(identity, setting) == StorageAccount(
        setting, AccountIdentity(TABLES, QUEUES, managed=True, client_id=None)
    )


@pytest.mark.parametrize(
    ("environ", "faulty"),
    [
        ({}, ["Other__tableServiceUri", "Other__queueServiceUri"]),
        ({"Other": "sqlite:///a.db"}, ["Other"]),
        ({"Other": "@Microsoft.KeyVault(SecretUri=https://swordfish.example)"}, ["Other"]),
        ({"Other__accountName": "MINE"}, ["Other__accountName"]),
    ],
)
def test_an_account_that_cannot_be_read_is_refused(
    environ: dict[str, str], faulty: list[str]
) -> None:
    with pytest.raises(SettingsError) as caught:
        read_account(environ, "Other")

    assert [fault.pointer for fault in caught.value.faults] == faulty
    assert "swordfish" not in str(caught.value.faults)
