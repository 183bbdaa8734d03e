"""The backup of the page on operations: what is restored can be read, and sends nothing."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from azure.data.tables import TableClient

from invoke_core.adapters.tables import TablesStore
from invoke_core.model import Result, Secret, State, StorageAccount
from tests.api.target import Target
from tests.state.parts import Clock, alarms_of, call, later, log_of, make_service

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invoke_core.service import InvokeService

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
(SCRIPT,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def stores(azurite_connection: str) -> Iterator[dict[str, TablesStore]]:
    """Two tables, by their names."""
    account = StorageAccount("InvokeStorage", Secret(azurite_connection))
    opened = {
        name: TablesStore(account, threads=2, new_id=lambda: uuid4().hex, table=name)
        for name in (f"t{uuid4().hex}", f"t{uuid4().hex}")
    }
    for store in opened.values():
        store.check()
    yield opened
    for store in opened.values():
        store.close()


def test_a_restored_table_has_every_invocation_and_sends_nothing_again(
    stores: dict[str, TablesStore], azurite_connection: str, tmp_path: Path
) -> None:
    (tmp_path / "backup.py").write_text(SCRIPT, encoding="utf-8")
    script = runpy.run_path(str(tmp_path / "backup.py"))
    (before, after), clock = stores.items(), Clock()
    with Target() as target:

        def service(store: TablesStore) -> InvokeService:
            return make_service(store, url=target.url, now=clock)

        ended = service(before[1]).run(call("key-1", body="x" * 1000)).invocation
        waiting = service(before[1]).run(later(call(body="y"))).invocation
        assert alarms_of(before[1])

        for name, step in ((before[0], "save"), (after[0], "restore")):
            with TableClient.from_connection_string(azurite_connection, name) as table:
                script[step](table, tmp_path / "copy.jsonl")

        restored = service(after[1])
        assert restored.read(ended.id)[0].invocation == ended
        assert log_of(restored.journal, ended.id) == log_of(service(before[1]).journal, ended.id)
        assert restored.run(call("key-1", body="x" * 1000)).is_replay
        assert alarms_of(after[1]) == []
        assert restored.journal.step(waiting.id) == b""
        assert restored.read(waiting.id)[0].invocation.state is State.PENDING
        clock.go_on(hours=2)
        assert restored.read(waiting.id)[0].invocation.result is Result.FAILED
        assert len(restored.list(state=None, after=None, most=10).items) == 2
        assert len(target.received) == 1
