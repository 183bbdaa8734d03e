"""Tokens of whoever is signed in to the Azure CLI, through azure-identity, from an ``az`` of ours.

Source: HTTP contract, section 7 (``auth.scheme``).
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tests.credentials.conftest import authorizations, demo, failure

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.target import Target

AZ = """#!/bin/sh
{body}
"""


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is all there is on the path, for an Azure CLI of our own."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", str(directory))
    return directory


def write_az(directory: Path, body: str) -> None:
    program = directory / "az"
    program.write_text(AZ.format(body=body))
    program.chmod(0o755)


CLI: dict[str, object] = {"scheme": "azureCli", "scope": "api://demo/.default"}


def test_the_azure_cli_gives_the_token_of_who_is_signed_in(
    tmp_path: Path, api: Target, az: Path
) -> None:
    write_az(az, """echo '{"accessToken": "cli-token-of-mine", "expires_on": 4000000000}'""")

    assert demo(tmp_path, api, CLI).step(method="GET").status == 200

    assert authorizations(api) == ["Bearer cli-token-of-mine"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, "is not installed here"),
        ("echo 'Please run az login to setup account.' >&2; exit 1", "run az login"),
        ("echo 'AADSTS65001: no' >&2; exit 1", "(AADSTS65001)"),
        ("echo broken", "'az account get-access-token'"),
    ],
)
def test_a_cli_that_gives_no_token_is_told_apart(
    tmp_path: Path, api: Target, az: Path, body: str | None, words: str
) -> None:
    if body is not None:
        write_az(az, body)

    assert words in failure(tmp_path, api, CLI)


LATE = "the Azure CLI (az) did not answer within the "


def test_a_cli_that_does_not_answer_is_ended_at_the_deadline(
    tmp_path: Path, api: Target, az: Path
) -> None:
    seen = tmp_path / "pid"
    write_az(az, f"echo $$ >'{seen}'; exec /bin/sleep 30")
    started_at = monotonic()

    message = failure(tmp_path, api, CLI, settings={"API_RESPONSE_TIMEOUT_SECONDS": "1"})

    assert monotonic() - started_at < 3
    assert LATE in message
    with pytest.raises(ProcessLookupError):
        os.kill(int(seen.read_text()), 0)


def test_what_a_cli_started_holds_no_call_past_its_deadline(
    tmp_path: Path, api: Target, az: Path
) -> None:
    # As the packaged az does: a shell script, and the interpreter a process of its own.
    write_az(az, "/bin/sleep 4; echo '{}'")
    started_at = monotonic()

    message = failure(tmp_path, api, CLI, settings={"API_RESPONSE_TIMEOUT_SECONDS": "1"})

    assert monotonic() - started_at < 3
    assert LATE in message
