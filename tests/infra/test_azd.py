"""``azure.yaml``, the parameter files and ``host.json`` fit the templates and the code."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from tests.infra.template import INFRA, ROOT, parameters_of

AZURE: Any = yaml.safe_load((ROOT / "azure.yaml").read_text(encoding="utf-8"))
HOOKS = ["preprovision", "postprovision", "postdeploy"]
Reading = tuple[str, str | None]
"""A variable and its default; without a variable, what is written there."""

OUTPUTS = {
    "AZURE_LOCATION",
    "AZURE_TENANT_ID",
    "AZURE_RESOURCE_GROUP",
    "AZURE_FUNCTION_NAME",
    "SERVICE_API_NAME",
    "SERVICE_API_URI",
    "SERVICE_API_IDENTITY_PRINCIPAL_ID",
    "AZURE_KEY_VAULT_NAME",
    "AZURE_STORAGE_TABLE_ENDPOINT",
}


def text_of(name: str) -> str:
    return (INFRA / name).read_text(encoding="utf-8")


def az_commands(text: str) -> set[str]:
    """Return the commands of the Azure CLI that a script runs, without their options."""
    return {" ".join(words.split()) for words in re.findall(r"\baz((?: [a-z]+)+) --", text)}


def placeholders_of(text: str) -> dict[str, Reading]:
    """Return variable and default of each parameter that azd fills in, in the JSON file."""
    found: dict[str, Reading] = {}
    for name, given in json.loads(text)["parameters"].items():
        placeholder = re.fullmatch(r"\$\{(\w+)(?:=(.*))?\}", str(given["value"]))
        found[name] = (placeholder[1], placeholder[2]) if placeholder else ("", str(given["value"]))
    return found


def readings_of(text: str) -> dict[str, Reading]:
    """Return variable and default of each parameter, in the Bicep file that azd prefers."""
    found: dict[str, Reading] = {}
    for name, expression in re.findall(r"^param (\w+) = (.+)$", text, re.MULTILINE):
        reading = re.fullmatch(
            r"(?:bool\(|int\()?readEnvironmentVariable\('(\w+)'(?:, '([^']*)')?\)\)?", expression
        )
        found[name] = (reading[1], reading[2]) if reading else ("", expression)
    return found


def test_the_service_of_azd_is_the_app_that_the_templates_tag() -> None:
    tagged = re.findall(r"'azd-service-name': '(\w+)'", text_of("app/function.bicep"))

    assert list(AZURE["services"]) == tagged == ["api"]
    assert AZURE["services"]["api"] == {"project": ".", "language": "python", "host": "function"}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_there_for_every_system(hook: str) -> None:
    assert AZURE["hooks"][hook] == {
        "posix": {"shell": "sh", "run": f"infra/hooks/{hook}.sh"},
        "windows": {"shell": "pwsh", "run": f"infra/hooks/{hook}.ps1"},
    }
    assert (INFRA / "hooks" / f"{hook}.sh").stat().st_mode & 0o111


@pytest.mark.parametrize("hook", HOOKS)
def test_the_twins_of_a_hook_run_the_same_commands(hook: str) -> None:
    posix, windows = text_of(f"hooks/{hook}.sh"), text_of(f"hooks/{hook}.ps1")

    assert az_commands(posix) == az_commands(windows) != set()


def test_the_twins_wait_for_the_same_and_stop_for_the_same() -> None:
    words = r"SecretNotFound|ForbiddenBy\w+|az login|Caller is not authorized"
    posix, windows = (
        set(re.findall(words, text_of(f"hooks/postprovision.{kind}"))) for kind in ("sh", "ps1")
    )

    assert posix == windows
    assert len(posix) == 6


def test_hooks_read_only_what_azd_gives_them() -> None:
    given = OUTPUTS | {"AZURE_SUBSCRIPTION_ID", "VNET_ENABLED"}
    for path in (INFRA / "hooks").iterdir():
        read = re.findall(r"\$(?:env:|\{)?([A-Z][A-Z_]+)\b", path.read_text("utf-8"))

        assert set(read) - {"KEY", "LASTEXITCODE"} <= given


def test_the_outputs_are_those_that_hooks_and_people_read() -> None:
    outputs = re.findall(r"^output (\w+)", text_of("main.bicep"), re.MULTILINE)

    assert set(outputs) == OUTPUTS


def test_what_azd_fills_in_is_a_parameter_with_the_same_default() -> None:
    parameters = json.loads(text_of("main.parameters.json"))["parameters"]
    declared = parameters_of(INFRA / "main.bicep")

    for name, given in parameters.items():
        default = declared[name].rpartition(" = ")[2]
        placeholder = re.fullmatch(r"\$\{[A-Z_]+(?:=(.*))?\}", str(given["value"]))
        if placeholder is None:
            assert given["value"] == {}
            assert default == "{}"
        elif placeholder[1] is not None:
            assert placeholder[1] == default.strip("'")


def test_azd_reads_the_same_from_either_parameter_file() -> None:
    read = readings_of(text_of("main.bicepparam"))

    assert read == placeholders_of(text_of("main.parameters.json"))
    assert {"AZURE_ENV_NAME", "AZURE_LOCATION", "VNET_ENABLED"} <= {
        variable for variable, _ in read.values() if variable
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("readEnvironmentVariable('AZURE_ENV_NAME')", "'invoke'"),
        ("'VNET_ENABLED', 'false'", "'VNET_ENABLED', 'true'"),
        ("'ALERT_EMAIL'", "'ALERT_MAIL'"),
        ("param publicBaseUrl = readEnvironmentVariable('PUBLIC_BASE_URL', '')\n", ""),
        ("param appSettings = {}", "param appSettings = {}\nparam tags = {}"),
    ],
)
def test_a_parameter_file_that_reads_something_else_is_found(old: str, new: str) -> None:
    text = text_of("main.bicepparam")

    assert old in text
    assert readings_of(text.replace(old, new)) != placeholders_of(text_of("main.parameters.json"))


def test_what_is_read_from_the_environment_gets_the_type_of_its_parameter() -> None:
    read = dict(re.findall(r"^param (\w+) = (.+)$", text_of("main.bicepparam"), re.MULTILINE))
    flags = {name for name, expression in read.items() if expression.startswith("bool(")}

    assert flags == {
        name
        for name, declared in parameters_of(INFRA / "main.bicep").items()
        if name in read and "bool = " in declared
    }


def test_the_host_is_set_up_for_flex_consumption() -> None:
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))

    assert host["extensionBundle"] == {
        "id": "Microsoft.Azure.Functions.ExtensionBundle",
        "version": "[4.*, 5.0.0)",
    }
    # Throttles here would not be heeded; the templates say how many requests an instance takes.
    assert host["extensions"]["http"] == {"routePrefix": ""}
    assert host["extensions"]["queues"]["messageEncoding"] == "base64"
    # Alerts count requests, so none may be missing.
    sampling = host["logging"]["applicationInsights"]["samplingSettings"]
    assert "Request" in sampling["excludedTypes"].split(";")
