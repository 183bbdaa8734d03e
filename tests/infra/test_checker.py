"""The templates fit the resource types, functions and roles there really are.

A checker of Bicep files tells, where there is one. ``BICEP_CHECKER`` names it; without that, it is
looked for as ``shared/tools/check_bicep.py`` in the folders around the project's. It is a program
that takes ``--strict`` and the folder, and ends with 1 where it found something.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.template import ROOT

_NAMED = os.environ.get("BICEP_CHECKER")  # a setting of the tests
_AROUND = [folder / "shared" / "tools" / "check_bicep.py" for folder in ROOT.parents]
_CHECKER = Path(_NAMED) if _NAMED else next((path for path in _AROUND if path.is_file()), None)

if _CHECKER is None:
    pytest.skip(
        "no checker of Bicep files was found; BICEP_CHECKER names one", allow_module_level=True
    )


def copy_of(folder: Path) -> Path:
    """Copy what is deployed, with the folders that it names; return the copy of ``infra``."""
    shutil.copytree(ROOT / "infra", folder / "infra")
    shutil.copy(ROOT / "azure.yaml", folder)
    return folder / "infra"


def check(infra: Path) -> tuple[int, str]:
    """Return exit code and findings of the checker."""
    ended = subprocess.run(  # noqa: S603  # a program that the environment names
        [sys.executable, str(_CHECKER), "--strict", "infra"],
        cwd=infra.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


def test_templates_parameters_and_services_are_clean() -> None:
    code, findings = check(ROOT / "infra")

    assert code == 0, findings


@pytest.mark.parametrize(
    ("file", "old", "new", "finding"),
    [
        ("app/function.bicep", "httpsOnly: true", "httpOnly: true", "httpOnly"),
        ("app/storage.bicep", "allowSharedKeyAccess: false", "allowSharedKeyAccess: true", "Key"),
        ("app/roles.bicep", "b7e6dc6d-f1e8", "b7e6dc6d-f1e9", "b7e6dc6d-f1e9"),
        (
            "app/roles.bicep",
            "4633458b-17de-408a-b874-0445c86b69e6",
            "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
            "Key Vault Secrets User",
        ),
        ("app/function.bicep", "sites@2024-11-01", "sites@2024-11-02", "2024-11-02"),
        ("app/function.bicep", "keyVaultReferenceIdentity: identityId", "", "keyVault"),
        ("app/function.bicep", "    RETENTION_DAYS: '30'", "    TZ: 'UTC'", "TZ"),
        ("main.bicep", "    tags: tags\n", "    tag: tags\n", "'tag'"),
        ("main.parameters.json", '"vnetEnabled"', '"vnetEnable"', "vnetEnable"),
        (
            "main.bicepparam",
            "param location = readEnvironmentVariable('AZURE_LOCATION')",
            "",
            "location",
        ),
        ("../azure.yaml", "project: .", "project: src", "src"),
    ],
)
def test_a_planted_mistake_is_found(
    tmp_path: Path, file: str, old: str, new: str, finding: str
) -> None:
    infra = copy_of(tmp_path)
    path = infra / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")

    code, findings = check(infra)

    assert code == 1, findings
    assert finding in findings
