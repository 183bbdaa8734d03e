"""What the embedded store adds to the contract: one file, several processes, the disk."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.sqlite import SCHEMA, SqliteStore
from invoke_core.errors import EntityConflictError, StoreUnavailableError
from invoke_core.ports import Entity, Insert, Put, Remove

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTITION = "plan-1"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "made" / "when" / "missing" / "invoke.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(path)
    yield store
    store.close()


def everything(store: SqliteStore) -> list[Entity]:
    return store.read(PARTITION, first="", before="~")


def unavailable(store: SqliteStore, *, within_s: float) -> set[str]:
    """Use the store in every way; return what it said."""
    calls = [
        store.check,
        lambda: everything(store),
        lambda: store.row_keys(PARTITION, most=1),
        lambda: store.scan(first_partition="", before_partition="~", most=1),
        lambda: store.write(PARTITION, [Insert("swordfish", b"swordfish")]),
    ]
    said = set()
    started = monotonic()
    with ThreadPoolExecutor(len(calls)) as threads:
        for call in [threads.submit(call) for call in calls]:
            with pytest.raises(StoreUnavailableError) as caught:
                call.result()
            assert caught.value.setting == "InvokeStorage"
            said.add(caught.value.message.partition("used ")[2])
    assert monotonic() - started < within_s
    assert "swordfish" not in str(said)
    return said


def test_nothing_is_made_before_the_first_use(path: Path) -> None:
    store = SqliteStore(path)

    assert not path.parent.exists()

    assert everything(store) == []
    assert path.exists()
    store.close()


def test_the_files_are_the_owners_alone(store: SqliteStore, path: Path) -> None:
    store.write(PARTITION, [Insert("row", b"value")])

    assert {file.name: oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()} == {
        "invoke.db": "0o600",
        "invoke.db-shm": "0o600",
        "invoke.db-wal": "0o600",
    }


def test_the_layout_is_numbered_in_the_file(store: SqliteStore, path: Path) -> None:
    store.check()

    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_two_who_close_at_once_do_not_wait_for_each_other(path: Path) -> None:
    """While others read; each would hold some of the connections that the other waits for."""
    store = SqliteStore(path)
    is_over = Event()

    def read() -> None:
        while not is_over.is_set():
            store.get(PARTITION, "a")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(6):
            Thread(target=read, daemon=True).start()
        for _ in range(5):
            closers = [Thread(target=store.close, daemon=True) for _ in range(2)]
            for one in closers:
                one.start()
            for one in closers:
                one.join(5)
            assert not any(one.is_alive() for one in closers)
    finally:
        is_over.set()
        sys.setswitchinterval(interval)


def test_a_closed_store_opens_again(store: SqliteStore) -> None:
    (etag,) = store.write(PARTITION, [Insert("row", b"value")])
    store.close()

    assert everything(store) == [Entity("row", b"value", etag)]
    store.write(PARTITION, [Remove("row")])
    assert everything(store) == []


WRITER = """
import sys
from pathlib import Path
from invoke_core.adapters.sqlite import SqliteStore
from invoke_core.errors import EntityConflictError
from invoke_core.ports import Insert, Replace
print("ready", flush=True)
sys.stdin.readline()
store = SqliteStore(Path(sys.argv[1]))
try:
    store.write("plan-1", [Insert("counter", b"0")])
except EntityConflictError:
    pass
for _ in range(100):
    while True:
        (row,) = store.read("plan-1", first="counter", before="counter-")
        try:
            store.write("plan-1", [Replace("counter", b"%d" % (int(row.value) + 1), row.etag)])
            break
        except EntityConflictError:
            pass
print("done", flush=True)
sys.stdin.readline()
"""


def start_writer(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603  # our own line
        [sys.executable, "-c", WRITER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_processes_that_share_a_file_lose_nothing(store: SqliteStore, path: Path) -> None:
    processes = [start_writer(path) for _ in range(3)]
    assert [heard(process) for process in processes] == ["ready"] * 3

    for process in processes:
        tell(process)
    assert [heard(process) for process in processes] == ["done"] * 3
    (counter,) = everything(store)

    assert counter.value == b"300"
    for process in processes:
        process.communicate("\n", timeout=10)


OPENERS = """
import os, sys, time
from pathlib import Path
from invoke_core.adapters.sqlite import SqliteStore
from invoke_core.ports import Insert
for turn in range(40):
    at = time.monotonic() + 0.03
    children = []
    for n in range(4):
        child = os.fork()
        if child == 0:
            while time.monotonic() < at:
                pass
            store = SqliteStore(Path(sys.argv[1]) / f"{turn}.db")
            store.write("plan-1", [Insert(f"{n}", b"")])
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
"""


def test_processes_that_make_a_new_file_at_once_all_work(tmp_path: Path) -> None:
    """Each of many turns is a chance to get into each other's way."""
    ended = subprocess.run(  # noqa: S603  # our own line
        [sys.executable, "-c", OPENERS, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    for path in tmp_path.glob("*.db"):
        with closing(SqliteStore(path)) as store:
            assert store.row_keys(PARTITION, most=9) == ["0", "1", "2", "3"]


def test_a_file_that_somebody_else_is_making_is_waited_for(store: SqliteStore, path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as maker:
        maker.execute("BEGIN EXCLUSIVE")
        with ThreadPoolExecutor(1) as threads:
            opening = threads.submit(store.check)
            sleep(0.3)
            assert not opening.done()
            maker.execute("ROLLBACK")
            opening.result()


def test_what_was_answered_outlives_a_killed_process(store: SqliteStore, path: Path) -> None:
    process = start_writer(path)
    assert heard(process) == "ready"
    tell(process)
    assert heard(process) == "done"

    process.kill()
    process.communicate(timeout=10)

    assert [entity.value for entity in everything(store)] == [b"100"]


def test_writes_that_share_a_commit_share_no_conflict(store: SqliteStore) -> None:
    store.write(PARTITION, [Insert("taken", b"")])

    def write(n: int) -> bool:
        key = "taken" if n % 3 == 0 else f"free{n:03}"
        try:
            store.write(PARTITION, [Put(f"beside{n:03}", b""), Insert(key, b"")])
        except EntityConflictError:
            return False
        return True

    with ThreadPoolExecutor(64) as threads:
        won = list(threads.map(write, range(300)))

    assert won == [n % 3 != 0 for n in range(300)]
    successes = [f"{n:03}" for n, success in enumerate(won) if success]
    assert store.row_keys(PARTITION, most=1000) == [
        *(f"beside{n}" for n in successes),
        *(f"free{n}" for n in successes),
        "taken",
    ]


def test_three_hundred_threads_share_a_few_connections(store: SqliteStore) -> None:
    def work(n: int) -> int:
        store.write(f"p{n}", [Put("row", b"x")])
        return len(store.read(f"p{n}", first="", before="~"))

    with ThreadPoolExecutor(320) as threads:
        assert list(threads.map(work, range(960))) == [1] * 960

    assert len(store._readers.queue) == 8


def test_the_log_stays_short_while_somebody_is_always_reading(
    store: SqliteStore, path: Path
) -> None:
    store.write(PARTITION, [Put("row", b"x")])
    is_over = Event()

    def read() -> None:
        """Begin to read once more, each time, before the last reading ends."""
        with ExitStack() as opened:
            ending, beginning = (
                opened.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
                for _ in range(2)
            )
            ending.execute("BEGIN")
            while not is_over.wait(0.01):
                beginning.execute("BEGIN")
                beginning.execute("SELECT row_key FROM entities").fetchall()
                ending.execute("COMMIT")
                ending, beginning = beginning, ending

    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(read)
        lengths = []
        for _ in range(120):
            store.write(PARTITION, [Put("row", os.urandom(512 * 1024))])
            lengths.append(path.with_name(f"{path.name}-wal").stat().st_size)
        is_over.set()
        reading.result()

    assert max(lengths) < 40 * 1024 * 1024


def test_a_reader_that_stays_holds_no_write_up_for_long(store: SqliteStore, path: Path) -> None:
    store.write(PARTITION, [Put("row", b"x")])
    slowest_s = 0.0
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        before = reader.execute("SELECT value FROM entities").fetchall()
        for _ in range(40):
            started = monotonic()
            store.write(PARTITION, [Put("row", os.urandom(512 * 1024))])
            slowest_s = max(slowest_s, monotonic() - started)
        assert reader.execute("SELECT value FROM entities").fetchall() == before
        reader.execute("COMMIT")

    assert slowest_s < 3
    log = path.with_name(f"{path.name}-wal")
    for _ in range(40):
        store.write(PARTITION, [Put("row", os.urandom(512 * 1024))])
    assert log.stat().st_size < 24 * 1024 * 1024


def test_a_database_that_another_process_keeps_locked_is_unavailable(
    store: SqliteStore, path: Path
) -> None:
    (etag,) = store.write(PARTITION, [Insert("row", b"value")])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        started = monotonic()
        calls = [store.check, lambda: store.write(PARTITION, [Put("row", b"new")])]
        with ThreadPoolExecutor(2) as threads:
            for call in [threads.submit(call) for call in calls]:
                with pytest.raises(StoreUnavailableError, match=r"\((SQLITE_BUSY|Busy)\)"):
                    call.result()
        assert monotonic() - started < 11
        assert everything(store) == [Entity("row", b"value", etag)]

        other.execute("ROLLBACK")

    store.write(PARTITION, [Put("row", b"new")])
    assert [entity.value for entity in everything(store)] == [b"new"]


def test_a_file_that_is_no_database_is_unavailable(store: SqliteStore, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("swordfish" * 1000)

    assert unavailable(store, within_s=2) == {"(SQLITE_NOTADB)."}


def test_a_place_that_is_no_folder_is_unavailable(store: SqliteStore, path: Path) -> None:
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("not a folder")

    assert unavailable(store, within_s=2) == {"(FileExistsError)."}


def test_a_folder_in_place_of_the_file_is_unavailable(store: SqliteStore, path: Path) -> None:
    path.mkdir(parents=True)

    assert unavailable(store, within_s=2) == {"(SQLITE_CANTOPEN)."}


def test_a_folder_that_cannot_be_made_is_unavailable() -> None:
    assert unavailable(SqliteStore(Path("/dev/null/invoke/invoke.db")), within_s=2) == {
        "(NotADirectoryError)."
    }


def test_a_file_of_a_newer_release_is_left_alone(store: SqliteStore, path: Path) -> None:
    store.check()
    store.close()
    with closing(sqlite3.connect(path)) as file:
        file.execute(f"PRAGMA user_version = {SCHEMA + 1}")

    assert unavailable(store, within_s=2) == {"(a newer release of this service made its file)."}


def test_the_database_of_another_program_is_left_alone(store: SqliteStore, path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE theirs (x)")

    assert unavailable(store, within_s=2) == {"(its file is the database of another program)."}


def test_a_store_works_again_once_its_file_was_put_right(store: SqliteStore, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("no database" * 1000)
    unavailable(store, within_s=2)

    path.unlink()

    store.check()
    store.write(PARTITION, [Insert("row", b"")])
    assert store.row_keys(PARTITION, most=2) == ["row"]


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of somebody who is not root, and the rights of that somebody."""
    nobody = 65534
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as name:
        if is_root:
            os.chown(name, nobody, nobody)
            os.seteuid(nobody)
        try:
            yield Path(name)
        finally:
            if is_root:
                os.seteuid(0)


def test_a_file_that_may_only_be_read_is_unavailable(unprivileged: Path) -> None:
    path = unprivileged / "invoke.db"
    store = SqliteStore(path)
    store.write(PARTITION, [Insert("row", b"value")])
    store.close()
    path.chmod(0o400)

    with pytest.raises(StoreUnavailableError, match="SQLITE_READONLY"):
        store.check()
    with pytest.raises(StoreUnavailableError, match="SQLITE_READONLY"):
        store.write(PARTITION, [Put("row", b"new")])
    store.close()


def test_a_folder_that_may_not_be_entered_is_unavailable(unprivileged: Path) -> None:
    folder = unprivileged / "closed"
    folder.mkdir(mode=0o000)

    assert unavailable(SqliteStore(folder / "invoke.db"), within_s=2) == {"(PermissionError)."}


def test_writes_in_order_take_place_together_or_not_at_all(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "invoke.db")) as store:
        store.write("second", [Insert("a", b"0")])

        with pytest.raises(EntityConflictError):
            store.write_in_order([("first", [Put("a", b"1")]), ("second", [Insert("a", b"1")])])

        assert store.get("first", "a") is None
