"""The queue's triggers listen to the very account that the store is in, whatever names it.

Source: HTTP contract, section 9 (``InvokeStorage``); design, "Work that outlives the call".
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from typing import TYPE_CHECKING, Final

import pytest

from invoke_core.settings import EmbeddedStore, read_settings
from tests.platform_runtime.environment import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_EMULATOR: Final = "UseDevelopmentStorage=true"
_SERVICES: Final = {
    "__tableServiceUri": "https://t.example",
    "__queueServiceUri": "https://q.example",
}
_FORMS: Final[dict[str, dict[str, str]]] = {
    "not set": {},
    "blank": {"": " ", "__accountName": ""},
    "connection string": {"": _EMULATOR},
    "account name": {"__accountName": "mine"},
    "account name and identity": {"__accountName": "mine", "__credential": "managedidentity"},
    "services": _SERVICES,
    "services and name": {**_SERVICES, "__accountName": "mine"},
    "connection string and name": {"": _EMULATOR, "__accountName": "mine"},
}
_OWN: Final = {
    **_FORMS,
    "sqlite": {"": "sqlite:///x.db"},
    "sqlite and name": {"": "sqlite:///x.db", "__accountName": "mine"},
}
_NONE: Final = ("not set", "blank")

_SCRIPT: Final = """
import json, os, sys
found = []
for settings in json.load(sys.stdin):
    sys.modules.pop("function_app", None)
    os.environ.clear()
    os.environ.update(settings)
    import function_app
    found.append({
        one.get_function_name(): getattr(one.get_trigger(), "connection", None)
        for one in function_app.app.get_functions()
    })
json.dump(found, sys.stdout)
"""


def _environ(own: str, fallback: str) -> dict[str, str]:
    return {
        **{f"InvokeStorage{part}": value for part, value in _OWN[own].items()},
        **{f"AzureWebJobsStorage{part}": value for part, value in _FORMS[fallback].items()},
    }


_CASES: Final = [*product(_OWN, _FORMS)]


@pytest.fixture(scope="module")
def indexed() -> dict[tuple[str, str], dict[str, str | None]]:
    """The functions and the connections of their triggers, by the forms of both settings."""
    done = subprocess.run(  # noqa: S603  # our own interpreter
        [sys.executable, "-c", _SCRIPT],
        input=json.dumps([_environ(*case) for case in _CASES]),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PATH": os.defpath},
        timeout=60,
    )
    return dict(zip(_CASES, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize(("own", "fallback"), _CASES)
def test_the_trigger_listens_where_alarms_are_put(
    tmp_path: Path, indexed: dict[tuple[str, str], dict[str, str | None]], own: str, fallback: str
) -> None:
    if own.startswith("sqlite"):
        expected = None
    elif own not in _NONE:
        expected = "InvokeStorage"
    else:
        expected = None if fallback in _NONE else "AzureWebJobsStorage"

    functions = indexed[own, fallback]

    queues = {name: functions.get(name) for name in ("alarms_ring", "alarms_failed")}
    assert queues == dict.fromkeys(queues, expected)
    assert ("alarms_ring" in functions) == ("alarms_failed" in functions) == (expected is not None)
    assert {"alarms_due", "retention", "events", "invocations_create"} <= set(functions)
    store = read_settings(_environ(own, fallback), root=tmp_path).store
    assert (None if isinstance(store, EmbeddedStore) else store.setting) == expected
