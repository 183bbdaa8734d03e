"""What Azure Table Storage adds to the contract: lost answers, limits of time, requests, access."""

from __future__ import annotations

import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import trustme
from azure.data.tables import TableClient

from invoke_core.adapters.tables import SCHEMA, TablesStore
from invoke_core.errors import EntityConflictError, StoreUnavailableError
from invoke_core.model import AccountIdentity, Secret, StorageAccount
from invoke_core.ports import Entity, Insert, Put, Remove, Replace
from tests.azurite import ACCOUNT, connection_string, free_port, port_of, start_azurite
from tests.stores.identities import MadeUpCredential
from tests.stores.middleman import Fault, middleman

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TypeVar

    from invoke_core.ports import Change
    from tests.stores.middleman import Middleman

    T = TypeVar("T")

PARTITION = "plan-1"
SECRET = "c3dvcmRmaXNo"


def new_id() -> str:
    return uuid4().hex


def make_store(text: str, *, table: str = "", call_limit_s: float = 9.0) -> TablesStore:
    return TablesStore(
        StorageAccount("InvokeStorage", Secret(text)),
        threads=16,
        new_id=new_id,
        table=table or f"t{new_id()}",
        call_limit_s=call_limit_s,
    )


@pytest.fixture
def between(azurite_connection: str) -> Iterator[Middleman]:
    with middleman(port_of(azurite_connection)) as server:
        yield server


@pytest.fixture
def table() -> str:
    return f"t{new_id()}"


@pytest.fixture
def store(between: Middleman, table: str) -> Iterator[TablesStore]:
    """A store behind the middleman; its table is there."""
    store = make_store(connection_string(between.port), table=table)
    store.check()
    between.requests.clear()
    yield store
    store.close()


def everything(store: TablesStore) -> list[Entity]:
    return store.read(PARTITION, first="", before="~")


LOST = pytest.mark.parametrize(
    "fault", [Fault.LOSE_ANSWER, Fault.CUT_ANSWER, Fault.FAIL_AFTERWARDS, Fault.LOSE_REQUEST]
)


@LOST
def test_an_insert_whose_answer_was_lost_counts_as_done(
    store: TablesStore, between: Middleman, fault: Fault
) -> None:
    between.faults.append(fault)

    (etag,) = store.write(PARTITION, [Insert("row", b"value")])

    assert everything(store) == [Entity("row", b"value", etag)]


@pytest.mark.parametrize("cut_at", [share / 16 for share in range(17)])
def test_an_answer_that_breaks_off_within_its_head_counts_as_lost(
    store: TablesStore, between: Middleman, cut_at: float
) -> None:
    between.cut_at = cut_at

    def once(act: Callable[[], T]) -> T:
        between.faults.append(Fault.CUT_HEAD)
        return act()

    once(store.check)
    (etag,) = once(lambda: store.write(PARTITION, [Insert("row", b"1")]))
    (etag,) = once(lambda: store.write(PARTITION, [Replace("row", b"2", etag=etag)]))
    once(lambda: store.write(PARTITION, [Insert("a", b"3"), Insert("b", b"4"), Remove("none")]))
    with pytest.raises(EntityConflictError):
        once(lambda: store.write(PARTITION, [Insert("a", b"5"), Insert("c", b"6")]))
    once(lambda: store.write(PARTITION, [Remove("a")]))

    assert [row.value for row in once(lambda: everything(store))] == [b"4", b"2"]
    assert once(lambda: store.get(PARTITION, "row")) == Entity("row", b"2", etag)


@LOST
def test_a_replace_whose_answer_was_lost_counts_as_done(
    store: TablesStore, between: Middleman, fault: Fault
) -> None:
    (first,) = store.write(PARTITION, [Insert("row", b"1")])
    between.faults.append(fault)

    (second,) = store.write(PARTITION, [Replace("row", b"2", etag=first)])

    assert everything(store) == [Entity("row", b"2", second)]


@LOST
def test_a_transaction_whose_answer_was_lost_counts_as_done(
    store: TablesStore, between: Middleman, fault: Fault
) -> None:
    first, _, _ = store.write(
        PARTITION, [Insert("replaced", b"1"), Insert("put", b"1"), Insert("removed", b"1")]
    )
    between.faults.append(fault)

    etags = store.write(
        PARTITION,
        [
            Remove("absent"),
            Remove("removed"),
            Put("put", b"2"),
            Insert("inserted", b"2"),
            Replace("replaced", b"2", etag=first),
        ],
    )

    assert etags[:2] == ["", ""]
    assert everything(store) == [
        Entity("inserted", b"2", etags[3]),
        Entity("put", b"2", etags[2]),
        Entity("replaced", b"2", etags[4]),
    ]


@LOST
def test_removals_whose_answer_was_lost_count_as_done(
    store: TablesStore, between: Middleman, fault: Fault
) -> None:
    store.write(PARTITION, [Insert("a", b""), Insert("b", b""), Insert("c", b"")])

    between.faults.append(fault)
    assert store.write(PARTITION, [Remove("a")]) == [""]
    between.faults.append(fault)
    assert store.write(PARTITION, [Remove("b"), Remove("c")]) == ["", ""]

    assert everything(store) == []


@LOST
@pytest.mark.parametrize("lost", [0, 1])
def test_making_the_table_survives_a_lost_answer(
    between: Middleman, fault: Fault, lost: int
) -> None:
    store = make_store(connection_string(between.port))
    between.faults.extend([Fault.NONE] * lost + [fault])

    store.write(PARTITION, [Insert("row", b"value")])

    assert [entity.value for entity in everything(store)] == [b"value"]
    store.close()


@LOST
@pytest.mark.parametrize("rows", [1, 2])
def test_a_conflict_stays_one_where_answers_are_lost(
    store: TablesStore, between: Middleman, fault: Fault, rows: int
) -> None:
    store.write(PARTITION, [Insert("row", b"theirs")])
    before = everything(store)
    changes: list[Change] = [Insert("row", b"ours"), Put("other", b"ours")]
    between.faults.append(fault)

    with pytest.raises(EntityConflictError):
        store.write(PARTITION, changes[:rows])

    assert everything(store) == before


def test_what_others_changed_since_a_lost_answer_is_not_ours_to_replace(
    store: TablesStore, between: Middleman, table: str
) -> None:
    """The write took place: its other rows say so, and the changed one gets no valid ETag."""
    other = make_store(connection_string(between.upstream_port), table=table)
    seen: list[str] = []

    class Overtaken(TablesStore):
        """Lets somebody else in between the attempt that was lost and the look at its rows."""

        def _written(self, *arguments: object) -> list[str] | None:
            if not seen:
                seen.extend(other.write(PARTITION, [Put("b", b"theirs")]))
            return super()._written(*arguments)  # type: ignore[arg-type]  # passed on as they are

    ours = Overtaken(
        StorageAccount("InvokeStorage", Secret(connection_string(between.port))),
        threads=1,
        new_id=new_id,
        table=table,
    )
    between.faults.append(Fault.LOSE_ANSWER)

    a, b = ours.write(PARTITION, [Insert("a", b"1"), Insert("b", b"1")])

    assert [entity.etag for entity in everything(store)] == [a, *seen]
    with pytest.raises(EntityConflictError):
        ours.write(PARTITION, [Replace("b", b"2", etag=b)])
    ours.close()
    other.close()


@LOST
def test_a_read_whose_answer_was_lost_is_repeated(
    store: TablesStore, between: Middleman, fault: Fault
) -> None:
    store.write(PARTITION, [Insert("row", b"value")])
    between.faults.append(fault)

    assert [entity.value for entity in everything(store)] == [b"value"]


def test_a_storage_that_is_busy_for_a_moment_is_asked_again_at_once(
    store: TablesStore, between: Middleman
) -> None:
    between.faults.extend([Fault.BUSY, Fault.THROTTLED])

    started = monotonic()
    store.write(PARTITION, [Insert("row", b"value")])

    assert monotonic() - started < 3
    assert len(between.requests) == 3


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Fault.BUSY, r"\(503\)"),
        (Fault.THROTTLED, r"\(429\)"),
        (Fault.LOSE_REQUEST, r"\(ConnectionError\)"),
        (Fault.FAIL_AFTERWARDS, r"\(500\)"),
    ],
)
def test_a_storage_that_stays_busy_is_unavailable(
    store: TablesStore, between: Middleman, fault: Fault, cause: str
) -> None:
    between.faults.extend([fault] * 20)
    calls = [
        store.check,
        lambda: everything(store),
        lambda: store.write(PARTITION, [Put("row", b"")]),
        lambda: store.write(PARTITION, [Put("a", b""), Put("b", b"")]),
    ]

    started = monotonic()
    with ThreadPoolExecutor(len(calls)) as threads:
        for call in [threads.submit(call) for call in calls]:
            with pytest.raises(StoreUnavailableError, match=cause):
                call.result()

    assert monotonic() - started < 4


def test_a_storage_that_is_silent_is_unavailable_within_the_limit(between: Middleman) -> None:
    store = make_store(connection_string(between.port), call_limit_s=1.0)
    between.faults.extend([Fault.SILENCE] * 20)

    for ask in (store.check, lambda: everything(store)):
        started = monotonic()
        with pytest.raises(StoreUnavailableError, match="ReadTimeout"):
            ask()
        assert 0.5 < monotonic() - started < 2

    started = monotonic()
    with pytest.raises(StoreUnavailableError, match="ReadTimeout"):
        store.write(PARTITION, [Put("a", b""), Put("b", b"")])
    assert 0.5 < monotonic() - started < 2
    store.close()


def test_a_storage_that_nobody_listens_for_is_unavailable() -> None:
    text = connection_string(free_port(), key=SECRET)
    store = make_store(text)

    started = monotonic()
    with pytest.raises(StoreUnavailableError) as caught:
        store.check()

    assert monotonic() - started < 5
    assert caught.value.setting == "InvokeStorage"
    assert caught.value.__suppress_context__
    assert caught.value.message == (
        "The store that the setting InvokeStorage names cannot be used (ConnectionError)."
    )
    store.close()


def test_a_wrong_key_is_told_without_the_key(azurite_connection: str) -> None:
    store = make_store(azurite_connection.replace("Eby8", "Eby9"))

    with pytest.raises(StoreUnavailableError, match=r"\(403\b"):
        store.write(PARTITION, [Insert("row", b"value")])
    with pytest.raises(StoreUnavailableError, match=r"\(403\b"):
        store.check()
    store.close()


def test_a_table_that_goes_away_is_made_again(
    store: TablesStore, table: str, azurite_connection: str
) -> None:
    store.write(PARTITION, [Insert("row", b"value")])
    with TableClient.from_connection_string(azurite_connection, table) as client:
        client.delete_table()

        assert everything(store) == []
        store.write(PARTITION, [Insert("a", b""), Insert("b", b"")])

    assert store.row_keys(PARTITION, most=9) == ["a", "b"]


def test_a_row_of_a_newer_release_is_not_taken_for_one_of_ours(
    store: TablesStore, table: str, azurite_connection: str
) -> None:
    (etag,) = store.write(PARTITION, [Insert("row", b"value")])
    with TableClient.from_connection_string(azurite_connection, table) as client:
        client.update_entity({"PartitionKey": PARTITION, "RowKey": "row", "schema": SCHEMA + 1})

    with pytest.raises(StoreUnavailableError, match="newer release"):
        everything(store)
    with pytest.raises(EntityConflictError):
        store.write(PARTITION, [Replace("row", b"2", etag=etag)])


def test_a_row_says_its_layout_and_its_write_in_plain_properties(
    store: TablesStore, table: str, azurite_connection: str
) -> None:
    store.write(PARTITION, [Insert("row", b"x" * 65_536 + b"y")])

    with TableClient.from_connection_string(azurite_connection, table) as client:
        row = dict(client.get_entity(PARTITION, "row"))

    assert len(row.pop("operation")) == 32
    assert row == {
        "PartitionKey": PARTITION,
        "RowKey": "row",
        "schema": SCHEMA,
        "value0": b"x" * 65_536,
        "value1": b"y",
    }


def test_a_call_costs_no_more_requests_than_it_needs(
    store: TablesStore, between: Middleman
) -> None:
    def cost(call: Callable[[], object]) -> int:
        between.requests.clear()
        call()
        return len(between.requests)

    rows = [f"{n:04}" for n in range(1100)]
    for start in range(0, len(rows), 100):
        changes = [Put(row, b"") for row in rows[start : start + 100]]
        assert cost(partial(store.write, PARTITION, changes)) == 1
    etag = everything(store)[0].etag

    assert cost(lambda: store.write(PARTITION, [Insert("new", b"")])) == 1
    assert cost(lambda: store.write(PARTITION, [Replace("0000", b"", etag=etag)])) == 1
    assert cost(lambda: store.write(PARTITION, [Put("new", b"")])) == 1
    assert cost(lambda: store.write(PARTITION, [Remove("new")])) == 1
    assert cost(lambda: store.write(PARTITION, [Remove("new")])) == 1
    assert cost(store.check) == 1
    assert cost(lambda: store.read(PARTITION, first="0001", before="0002")) == 1
    assert cost(lambda: store.read(PARTITION, first="", before="~", most=1000)) == 1
    assert cost(lambda: everything(store)) == 2
    assert cost(lambda: store.read(PARTITION, first="", before="~", most=0)) == 0
    assert cost(lambda: store.row_keys(PARTITION, most=5)) == 1
    for cost_of_scan, after in [
        (1, None),
        (1, (PARTITION, "0005")),
        (2, (PARTITION, "1098")),
    ]:
        scan = partial(store.scan, first_partition="", before_partition="~", after=after, most=5)
        assert cost(scan) == cost_of_scan


def test_a_refused_change_costs_one_request(store: TablesStore, between: Middleman) -> None:
    store.write(PARTITION, [Insert("row", b"")])
    between.requests.clear()

    with pytest.raises(EntityConflictError):
        store.write(PARTITION, [Insert("row", b"")])

    assert between.requests == [f"POST /{ACCOUNT}/{store._table}"]


def test_many_threads_keep_their_connections(
    store: TablesStore, between: Middleman, caplog: pytest.LogCaptureFixture
) -> None:
    """More connections than the pool holds would be thrown away, with a warning for each."""

    def work(n: int) -> None:
        for turn in range(5):
            store.write(f"p{n}", [Put(f"{turn}", b"x")])

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(16)))

    assert len(between.requests) == 80
    assert caplog.messages == []


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure_uri(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An emulator with TLS that takes tokens."""
    folder = tmp_path_factory.mktemp("secure")
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    options = ["--cert", "cert.pem", "--key", "key.pem", "--oauth", "basic"]
    azurite = start_azurite(folder, options=options)
    yield f"https://127.0.0.1:{azurite.port}/{ACCOUNT}"
    azurite.stop()


@pytest.mark.parametrize("audience", ["https://storage.azure.com", "https://other.example"])
def test_an_identity_opens_the_account_with_a_token(
    secure_uri: str, authority: trustme.CA, tmp_path: Path, audience: str
) -> None:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    credential = MadeUpCredential(audience)
    access = AccountIdentity(secure_uri, secure_uri, managed=True, client_id=None)
    store = TablesStore(
        StorageAccount("AzureWebJobsStorage", access),
        threads=4,
        new_id=new_id,
        table=f"t{new_id()}",
        credential=credential,
        ca_file=str(tmp_path / "ca.pem"),
    )

    if audience == "https://storage.azure.com":
        store.write(PARTITION, [Insert("row", b"value")])
        assert [entity.value for entity in everything(store)] == [b"value"]
        assert set(credential.scopes) == {"https://storage.azure.com/.default"}
    else:
        with pytest.raises(StoreUnavailableError, match=r"AzureWebJobsStorage.*\(403"):
            store.check()
    store.close()


def test_a_certificate_nobody_vouches_for_is_refused(secure_uri: str) -> None:
    access = AccountIdentity(secure_uri, secure_uri, managed=True, client_id=None)
    store = TablesStore(
        StorageAccount("InvokeStorage", access),
        threads=4,
        new_id=new_id,
        credential=MadeUpCredential("https://storage.azure.com"),
    )

    with pytest.raises(StoreUnavailableError, match="SSLError"):
        store.check()
    store.close()
    assert ssl.create_default_context().verify_mode is ssl.CERT_REQUIRED


@pytest.mark.parametrize(("managed", "client_id"), [(True, None), (True, "x"), (False, "x")])
def test_an_identity_that_is_not_there_is_a_store_that_is_not(
    *, managed: bool, client_id: str | None
) -> None:
    """Where the code runs tells which identity it has; this machine gives none away."""
    script = f"""
from invoke_core.adapters.tables import TablesStore
from invoke_core.errors import StoreUnavailableError
from invoke_core.model import AccountIdentity, StorageAccount
access = AccountIdentity("https://127.0.0.1:9", "", managed={managed}, client_id={client_id!r})
store = TablesStore(StorageAccount("InvokeStorage", access), threads=1, new_id=lambda: "1")
try:
    store.check()
except StoreUnavailableError as error:
    print(error.message)
"""
    ended = subprocess.run(  # noqa: S603  # our own line
        [sys.executable, "-c", script],
        env={
            # An endpoint on this machine where nothing listens, and no other place to look at.
            "IDENTITY_ENDPOINT": "http://127.0.0.1:9/token",
            "IDENTITY_HEADER": "x",
            "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
            "PATH": "/nonexistent",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ended.stdout.startswith("The store that the setting InvokeStorage names cannot be used")
    assert ended.returncode == 0


def test_nothing_of_azure_storage_is_imported_before_the_store_is_used() -> None:
    """Each start of an instance would pay for it."""
    script = """
import sys
from pathlib import Path
from invoke_core.settings import read_settings
from invoke_core.wiring import build_app, open_store
environ = {"InvokeStorage__accountName": "mine"}
build_app(environ, root=Path("/nonexistent"))
open_store(read_settings(environ, root=Path("/nonexistent")))
print([name for name in ("azure.data", "azure.identity", "azure.core") if name in sys.modules])
"""
    ended = subprocess.run(  # noqa: S603  # our own line
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ended.stdout, ended.stderr, ended.returncode) == ("[]\n", "", 0)
