"""The hooks of a deployment, run with a stand-in for the Azure CLI.

Those for Windows need PowerShell; ``test_azd`` holds them to the same commands.
"""

from __future__ import annotations

import base64
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.infra.template import INFRA, ROOT
from tests.process.conftest import running, url_in

if TYPE_CHECKING:
    from pathlib import Path

# The vault is a folder; what fails, and how often, is in files beside it.
_AZ = """\
#!/bin/sh
echo "$*" >>"$HOME/calls"
case "$1 $2 $3" in
  'keyvault secret show')
    if [ -s "$HOME/refusals" ]; then
      head -n 1 "$HOME/refusals" >&2
      sed -i 1d "$HOME/refusals"
      exit 1
    fi
    [ -f "$HOME/STATE-KEY" ] || { echo 'ERROR: (SecretNotFound) not found' >&2; exit 3; }
    echo https://vault/secrets/STATE-KEY
    ;;
  'keyvault secret set')
    if [ -f "$HOME/refused-key" ]; then cat "$HOME/refused-key" >&2; exit 1; fi
    while [ "$1" != --file ]; do shift; done
    cp "$2" "$HOME/STATE-KEY"
    ls -l "$2" >"$HOME/rights"
    ;;
  rest*) [ ! -f "$HOME/no-refresh" ] ;;
esac
"""

SETTINGS = {
    "AZURE_FUNCTION_NAME": "func-x",
    "AZURE_KEY_VAULT_NAME": "kv-x",
    "AZURE_RESOURCE_GROUP": "rg-x",
    "AZURE_SUBSCRIPTION_ID": "11111111-2222-3333-4444-555555555555",
    "SERVICE_API_URI": "https://func-x.example.com",
}


@dataclass(frozen=True)
class Desk:
    """The machine that deploys: its home, and a path with nothing but what it is given."""

    home: Path

    def run(self, hook: str, **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603  # our own script
            ["/bin/sh", str(INFRA / "hooks" / f"{hook}.sh")],
            env={
                "HOME": str(self.home),
                "PATH": str(self.home / "bin"),
                "TMPDIR": str(self.home / "tmp"),
                **SETTINGS,
                **settings,
            },
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def calls(self) -> list[str]:
        path = self.home / "calls"
        return path.read_text("utf-8").splitlines() if path.exists() else []

    def key(self) -> bytes:
        return (self.home / "STATE-KEY").read_bytes()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "tmp").mkdir()
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    for tool in ("cat", "cp", "head", "ls", "mktemp", "openssl", "rm", "sed"):
        found = shutil.which(tool)
        assert found is not None, f"the tests need {tool}"
        (bin_ / tool).symlink_to(found)
    for name, text in (("az", _AZ), ("sleep", "#!/bin/sh\n")):
        (bin_ / name).write_text(text)
        (bin_ / name).chmod(0o755)
    return Desk(tmp_path)


def test_a_missing_state_key_is_made_and_never_shown(desk: Desk) -> None:
    ended = desk.run("postprovision")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(base64.b64decode(desk.key(), validate=False)) == 32
    key = desk.key().decode().strip()
    assert key not in ended.stdout + ended.stderr + "\n".join(desk.calls())
    assert list((desk.home / "tmp").iterdir()) == []
    assert (desk.home / "rights").read_text().startswith("-rw-------")


def test_the_app_is_told_to_look_for_the_key_again(desk: Desk) -> None:
    desk.run("postprovision")

    assert desk.calls()[-1].startswith("rest --method post --url /subscriptions/11111111-")
    assert "/sites/func-x/config/configreferences/appsettings/refresh?" in desk.calls()[-1]


def test_an_app_that_could_not_be_told_is_to_be_restarted(desk: Desk) -> None:
    (desk.home / "no-refresh").touch()

    ended = desk.run("postprovision")

    assert ended.returncode == 0
    assert "az functionapp restart" in ended.stdout


def test_a_second_run_keeps_the_key(desk: Desk) -> None:
    desk.run("postprovision")
    before = desk.key(), len(desk.calls())

    ended = desk.run("postprovision")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert (desk.key(), len(desk.calls())) == (before[0], before[1] + 1)


@pytest.mark.parametrize("said", ["Caller is not authorized", "Inner error: ForbiddenByRbac"])
def test_a_role_that_is_not_there_yet_is_waited_for(desk: Desk, said: str) -> None:
    (desk.home / "refusals").write_text(f"ERROR: (Forbidden) {said}\n" * 3)

    ended = desk.run("postprovision")

    assert ended.returncode == 0
    assert len(base64.b64decode(desk.key())) == 32


def test_a_role_that_never_comes_stops_the_deployment_and_is_named(desk: Desk) -> None:
    (desk.home / "refusals").write_text("ERROR: (Forbidden) Caller is not authorized\n" * 30)

    ended = desk.run("postprovision")

    assert ended.returncode == 1
    assert "Caller is not authorized" in ended.stderr
    assert "Key Vault Secrets Officer" in ended.stderr
    assert not (desk.home / "STATE-KEY").exists()


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: Please run 'az login' to setup account.",
        "ERROR: AADSTS70043: The refresh token has expired. Please run: az login --scope x",
    ],
)
def test_whoever_is_not_signed_in_goes_on_without_a_key(desk: Desk, said: str) -> None:
    (desk.home / "refusals").write_text(f"{said}\n")

    ended = desk.run("postprovision")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Nobody is signed in to az" in ended.stdout
    assert "STATE-KEY" in ended.stdout
    assert len(desk.calls()) == 1


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: (VaultNotFound) The vault kv-x was not found",
        "ERROR: (Forbidden) Inner error: ForbiddenByPolicy",
        "ERROR: The command failed with an unexpected error: cannot connect",
    ],
)
def test_what_does_not_pass_stops_at_once_with_what_az_said(desk: Desk, said: str) -> None:
    (desk.home / "refusals").write_text(f"{said}\n" * 3)

    ended = desk.run("postprovision")

    assert ended.returncode == 1
    assert said in ended.stderr
    assert len(desk.calls()) == 1
    assert not (desk.home / "STATE-KEY").exists()


def test_a_key_that_could_not_be_put_in_stops_with_what_az_said(desk: Desk) -> None:
    (desk.home / "refused-key").write_text("ERROR: (Conflict) ObjectIsDeletedButRecoverable\n")

    ended = desk.run("postprovision")

    assert ended.returncode == 1
    assert ended.stderr == "ERROR: (Conflict) ObjectIsDeletedButRecoverable\n"
    assert "Made the state key" not in ended.stdout
    assert list((desk.home / "tmp").iterdir()) == []


def test_a_vault_out_of_reach_is_said_at_once(desk: Desk) -> None:
    (desk.home / "refusals").write_text("ERROR: (Forbidden) Inner: ForbiddenByConnection\n")

    ended = desk.run("postprovision")

    assert ended.returncode == 1
    assert "OPERATOR_IP_ADDRESS" in ended.stderr
    assert len(desk.calls()) == 1


@pytest.mark.parametrize("tool", ["az", "openssl"])
def test_a_missing_tool_stops_nothing_and_is_told(desk: Desk, tool: str) -> None:
    (desk.home / "bin" / tool).unlink()

    ended = desk.run("postprovision")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"no {tool} here" in ended.stdout
    assert "STATE-KEY" in ended.stdout


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        ({}, []),
        ({"VNET_ENABLED": "false"}, []),
        (
            {"VNET_ENABLED": "true"},
            [
                (
                    "provider register --namespace Microsoft.App --subscription "
                    "11111111-2222-3333-4444-555555555555 --wait"
                )
            ],
        ),
    ],
)
def test_a_network_is_prepared_where_one_is_asked_for(
    desk: Desk, settings: dict[str, str], calls: list[str]
) -> None:
    ended = desk.run("preprovision", **settings)

    assert (ended.returncode, desk.calls()) == (0, calls)


def test_a_network_is_prepared_where_no_subscription_is_named(desk: Desk) -> None:
    ended = desk.run("preprovision", VNET_ENABLED="true", AZURE_SUBSCRIPTION_ID="")

    assert (ended.returncode, ended.stderr) == (0, "")
    assert desk.calls() == ["provider register --namespace Microsoft.App --wait"]


def test_the_last_words_of_a_deployment_lead_to_a_first_success(desk: Desk) -> None:
    arguments = ["serve", "--port", "0", "--function-key", "k"]
    with running("invoke_core", arguments, settings={}, until="Listening on ") as (_, lines):
        said = desk.run("postdeploy", SERVICE_API_URI=url_in(lines)).stdout
        commands = re.findall(r"^  (curl .*)$", said, re.MULTILINE)
        answers = [
            subprocess.run(  # noqa: S603  # a command of our own hook
                [*shlex.split(command.replace("$KEY", "k")), "--silent", "--max-time", "20"],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"]},  # where curl is
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            for command in commands
        ]

    assert "az functionapp keys list --resource-group rg-x --name func-x" in said
    assert [answer.returncode for answer in answers] == [0, 0]
    assert '"status":"ok"' in answers[0].stdout.replace(" ", "")
    assert '"result":false' in answers[1].stdout.replace(" ", "")
