"""The stores that tests of any package may use: both kinds, each test with one of its own."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import settings

from invoke_core.adapters.sqlite import SqliteStore
from invoke_core.adapters.tables import TablesStore
from invoke_core.model import Secret, StorageAccount
from tests.azurite import start_azurite
from tests.counting import Counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from invoke_core.ports import EntityStore
    from tests.azurite import Azurite

    OpenStore = Callable[[], EntityStore]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have measured, wherever they ran."""
    measured = [
        f"{value}"
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "measured"
    ]
    if measured:
        terminalreporter.section("measured")
    for text in measured:
        terminalreporter.write_line(text)


# A busy machine is no fault of an example; what has to be quick says so in its own test.
settings.register_profile("busy machines", deadline=None)
settings.load_profile("busy machines")


@pytest.fixture(scope="session")
def azurite_connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The connection string of an emulator that runs as long as the tests do."""
    azurite = start_azurite(tmp_path_factory.mktemp("azurite"))
    yield azurite.connection_string
    azurite.stop()


@pytest.fixture(scope="session")
def azurite_queues(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A queue server that runs as long as the tests do; each test takes queues of its own."""
    azurite = start_azurite(tmp_path_factory.mktemp("azurite-queues"), kind="queue")
    yield azurite
    azurite.stop()


@pytest.fixture(params=["sqlite", "azurite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    """Opens the test's own store, once more with each call."""
    with ExitStack() as opened:
        if request.param == "sqlite":

            def open_one() -> EntityStore:
                sqlite = SqliteStore(tmp_path / "data" / "invoke.db")
                opened.callback(sqlite.close)
                return sqlite

        else:
            text = request.getfixturevalue("azurite_connection")
            account = StorageAccount("InvokeStorage", Secret(text))
            table = f"t{uuid4().hex}"

            def open_one() -> EntityStore:
                tables = TablesStore(account, threads=32, new_id=lambda: uuid4().hex, table=table)
                opened.callback(tables.close)
                return tables

        yield open_one


@pytest.fixture
def store(open_store: OpenStore) -> EntityStore:
    """The test's own store, of each kind in turn."""
    return open_store()


@pytest.fixture
def counted() -> Iterator[Counted]:
    """What was sent to storage services since it was last cleared."""
    logger = logging.getLogger("urllib3.connectionpool")
    level = logger.level
    handler = Counted()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)
