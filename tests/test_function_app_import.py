"""Importing the app is part of every cold start, and a failed import takes every function away."""

from __future__ import annotations

import subprocess
import sys

from tests.platform_runtime.environment import ROOT

_LATE = ("azure.identity", "azure.data", "azure.storage", "azure.keyvault", "azure.monitor")
_SCRIPT = """
import sys
import function_app
print(*sorted(sys.modules), sep="\\n")
"""


def test_the_app_is_imported_without_settings_and_without_the_heavy_packages() -> None:
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-W", "error", "-c", _SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={},
        timeout=60,
    )

    assert (done.returncode, done.stderr) == (0, "")
    modules = done.stdout.split()
    assert "azure.functions" in modules
    assert [one for one in modules if one.startswith(_LATE)] == []
