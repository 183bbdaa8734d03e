"""The page on deploying tells what the templates take and grant."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from tests.infra.template import FORBIDDEN, HOST_SETTINGS, INFRA, ROOT, parameters_of

PAGE = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_every_parameter_is_told_of() -> None:
    placeholders = re.findall(r"\$\{([A-Z_]+)", (INFRA / "main.parameters.json").read_text("utf-8"))
    given_by_azd = {"AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_PRINCIPAL_ID"}
    names = {*parameters_of(INFRA / "main.bicep"), *placeholders} - given_by_azd

    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []


def test_defaults_are_those_of_the_templates() -> None:
    told = dict(re.findall(r"^\| `(\w+)` \| (?:`([^`|]+)`|\d+) \|", PAGE, re.MULTILINE))
    numbers = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", PAGE, re.MULTILINE))
    declared = {
        name: parameter.rpartition(" = ")[2].strip("'")
        for name, parameter in parameters_of(INFRA / "main.bicep").items()
    }
    compared = {name: text or numbers[name] for name, text in told.items() if name in declared}

    assert len(compared) >= 8
    assert compared == {name: declared[name] for name in compared}


def test_what_must_stay_out_of_the_settings_is_told() -> None:
    (listed,) = re.findall(r"must stay out of(.*?)A `managedIdentity`", PAGE, re.DOTALL)
    told = set(re.findall(r"`(\w+?)(?:__)?…?`", listed))
    stems = {name.partition("__")[0] for name in HOST_SETTINGS}

    assert stems - told == set()
    assert len([name for name in told if FORBIDDEN.fullmatch(name)]) == 15


def test_the_roles_are_those_that_the_templates_grant() -> None:
    granted = re.findall(
        r"// role ([A-Z][\w ]+)", (INFRA / "app" / "roles.bicep").read_text("utf-8")
    )

    assert len(granted) == 6
    assert [role for role in granted if f"| {role} |" not in PAGE] == []


@pytest.mark.parametrize("block", BLOCKS)
def test_what_is_shown_is_a_script(block: str) -> None:
    ended = subprocess.run(["/bin/sh", "-n"], input=block, text=True, check=False)  # nothing is run

    assert ended.returncode == 0


def test_the_package_made_by_hand_is_what_azd_would_send() -> None:
    (command,) = [line for block in BLOCKS for line in block.splitlines() if line.startswith("zip")]
    packed = shlex.split(command.partition(" -x ")[0])[3:]
    left_out = (ROOT / ".funcignore").read_text(encoding="utf-8").split()

    assert packed == ["function_app.py", "host.json", "requirements.txt", "invoke_core"]
    assert [name for name in packed if name in left_out or f"{name}/" in left_out] == []


def test_every_file_it_names_is_there() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE)
    scripts = re.findall(r"infra/[\w./-]+", PAGE)

    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
    assert [path for path in scripts if not (ROOT / path.rstrip(".")).exists()] == []
