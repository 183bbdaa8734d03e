"""A short run of the whole; ``make chaos SECONDS=1200`` has a long one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.process.conftest import ROOT


@pytest.mark.parametrize("store", ["sqlite", "azurite"])
def test_nothing_told_is_lost_doubled_or_contradicted_whatever_breaks(store: str) -> None:
    options = ["--store", store, "--seconds", "12", "--settle", "3"]
    ended = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-m", "tests.chaos", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "lost 0, doubled 0, contradictory 0" in ended.stdout
