"""The queue of alarms: delays, lost answers, the queue that is not there yet, access."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import trustme

from invoke_core.adapters.queue_requests import QueueRequests
from invoke_core.adapters.queues import AlarmQueue
from invoke_core.errors import StoreUnavailableError
from invoke_core.model import AccountIdentity, Secret, StorageAccount
from tests.azurite import ACCOUNT, connection_string, free_port, start_azurite
from tests.stores.identities import MadeUpCredential
from tests.stores.middleman import Fault, middleman

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.azurite import Azurite
    from tests.stores.middleman import Middleman

SECRET = "c3dvcmRmaXNo"
NOBODY_SEES_IT_S = 30


def account(text: str) -> StorageAccount:
    return StorageAccount("InvokeStorage", Secret(text))


def requests_to(text: str, queue: str) -> QueueRequests:
    return QueueRequests(account(text), queue=queue, threads=16)


@pytest.fixture
def name() -> str:
    return f"q-{uuid4().hex}"


@pytest.fixture
def between(azurite_queues: Azurite) -> Iterator[Middleman]:
    with middleman(azurite_queues.port) as server:
        yield server


@pytest.fixture
def alarms(between: Middleman, name: str) -> Iterator[AlarmQueue]:
    """A queue behind the middleman; it is not there yet."""
    text = connection_string(queue_port=between.port)
    alarms = AlarmQueue(account(text), threads=16, queue=name)
    yield alarms
    alarms.close()


@pytest.fixture
def queue(azurite_queues: Azurite, name: str) -> Iterator[QueueRequests]:
    """The same queue, without the middleman."""
    requests = requests_to(azurite_queues.connection_string, name)
    yield requests
    requests.close()


@pytest.fixture
def queue_between(between: Middleman, name: str) -> Iterator[QueueRequests]:
    """The same queue, behind the middleman."""
    requests = requests_to(connection_string(queue_port=between.port), name)
    yield requests
    requests.close()


def texts(queue: QueueRequests) -> list[str | None]:
    """Return every text that is to be seen."""
    found: list[str | None] = []
    while messages := queue.receive(most=32, hide_s=NOBODY_SEES_IT_S):
        found += [message.text for message in messages]
    return found


def test_a_message_lies_in_base64_and_never_expires(
    alarms: AlarmQueue, queue: QueueRequests
) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    alarms.put('{"plan": "é"}', delay_s=0)

    (message,) = queue.receive(most=32, hide_s=NOBODY_SEES_IT_S)

    assert b64decode(message.body).decode() == message.text == '{"plan": "é"}'
    assert (message.dequeue_count, message.expires_on.year) == (1, 9999)
    assert before < message.inserted_on < message.next_visible_on
    assert queue.receive(most=32, hide_s=1) == []


def test_a_message_is_not_seen_before_its_delay_is_over(
    alarms: AlarmQueue, queue: QueueRequests
) -> None:
    started = monotonic()
    alarms.put("later", delay_s=2)
    alarms.put("now", delay_s=0)
    assert texts(queue) == ["now"]

    while not (found := texts(queue)):
        sleep(0.05)

    assert found == ["later"]
    # The emulator keeps whole seconds.
    assert 1 < monotonic() - started < 4


def test_the_queue_is_made_by_the_first_message_that_misses_it(
    alarms: AlarmQueue, between: Middleman, queue: QueueRequests, name: str
) -> None:
    alarms.put("first", delay_s=0)
    path = f"/{ACCOUNT}/{name}"
    assert between.requests == [f"POST {path}/messages", f"PUT {path}", f"POST {path}/messages"]

    alarms.put("second", delay_s=0)
    assert between.requests[3:] == [f"POST {path}/messages"]
    assert texts(queue) == ["first", "second"]


def test_threads_that_all_miss_the_queue_make_it_once_and_lose_nothing(
    azurite_queues: Azurite, queue: QueueRequests, name: str
) -> None:
    """Each with a client of its own, as several processes have."""
    numbers = [str(n) for n in range(12)]

    def put(text: str) -> None:
        alarms = AlarmQueue(account(azurite_queues.connection_string), threads=1, queue=name)
        alarms.put(text, delay_s=0)
        alarms.close()

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(put, numbers))

    assert sorted(texts(queue), key=str) == sorted(numbers)


def test_a_queue_that_is_not_there_has_no_messages(queue: QueueRequests) -> None:
    assert queue.receive(most=32, hide_s=1) == []


@pytest.mark.parametrize(
    ("fault", "times"),
    [
        (Fault.LOSE_REQUEST, 1),
        (Fault.BUSY, 1),
        (Fault.THROTTLED, 1),
        (Fault.LOSE_ANSWER, 2),
        (Fault.CUT_ANSWER, 2),
        (Fault.FAIL_AFTERWARDS, 2),
    ],
)
def test_a_message_is_sent_again_until_it_is_answered(
    alarms: AlarmQueue, between: Middleman, queue: QueueRequests, fault: Fault, times: int
) -> None:
    """So it may lie there twice, which is harmless; never, would not be."""
    alarms.put("first", delay_s=0)
    between.faults.append(fault)
    started = monotonic()

    alarms.put("alarm", delay_s=0)

    assert texts(queue) == ["first", *["alarm"] * times]
    # The Retry-After of a minute is not waited for.
    assert monotonic() - started < 3


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.LOSE_REQUEST])
def test_a_queue_that_goes_on_failing_is_unavailable(
    alarms: AlarmQueue, between: Middleman, fault: Fault
) -> None:
    between.faults.extend([fault] * 3)

    with pytest.raises(StoreUnavailableError, match="InvokeStorage"):
        alarms.put("alarm", delay_s=0)


def test_a_silent_queue_is_given_up_in_time(between: Middleman, name: str) -> None:
    between.faults.extend([Fault.SILENCE] * 3)
    text = connection_string(queue_port=between.port)
    alarms = AlarmQueue(account(text), threads=1, queue=name, call_limit_s=1.5)
    started = monotonic()

    with pytest.raises(StoreUnavailableError):
        alarms.put("alarm", delay_s=0)

    assert monotonic() - started < 2.5
    alarms.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda: connection_string(queue_port=free_port(), key=SECRET),
        lambda: f"AccountName={ACCOUNT};AccountKey=not Base64 {SECRET};QueueEndpoint=http://[",
    ],
    ids=["nobody listens", "no connection string"],
)
def test_a_failure_says_which_setting_and_nothing_secret(make: Callable[[], str]) -> None:
    alarms = AlarmQueue(account(make()), threads=1, call_limit_s=2)

    with pytest.raises(StoreUnavailableError) as caught:
        alarms.put("alarm", delay_s=0)

    assert "InvokeStorage" in caught.value.message
    assert SECRET not in repr(caught.value) + repr(alarms.__dict__)


def test_a_look_at_the_queue_makes_it_and_leaves_its_messages(
    alarms: AlarmQueue, queue: QueueRequests, between: Middleman
) -> None:
    alarms.check()
    assert len(between.requests) == 2
    alarms.put("alarm", delay_s=0)

    alarms.check()
    alarms.check()

    assert len(between.requests) == 5
    (message,) = queue.receive(most=32, hide_s=NOBODY_SEES_IT_S)
    assert (message.text, message.dequeue_count) == ("alarm", 1)


@pytest.mark.parametrize("fault", [Fault.BUSY, Fault.DENIED])
def test_a_look_at_a_queue_that_refuses_fails(
    alarms: AlarmQueue, between: Middleman, fault: Fault
) -> None:
    between.faults.extend([fault] * 3)

    with pytest.raises(StoreUnavailableError, match=r"InvokeStorage .*\(its queue: [45]03"):
        alarms.check()


def test_a_wrong_key_is_not_tried_again(between: Middleman, name: str) -> None:
    text = connection_string(queue_port=between.port, key=SECRET)
    alarms = AlarmQueue(account(text), threads=1, queue=name)

    with pytest.raises(StoreUnavailableError, match="403"):
        alarms.put("alarm", delay_s=0)

    assert len(between.requests) == 1
    alarms.close()


def test_a_message_is_seen_again_unless_it_is_deleted_or_hidden(
    alarms: AlarmQueue, queue: QueueRequests
) -> None:
    for text in ("deleted", "hidden", "released", "left"):
        alarms.put(text, delay_s=0)
    received = {one.text: one for one in queue.receive(most=32, hide_s=1)}

    assert queue.delete(received["deleted"])
    assert queue.hide(received["hidden"], for_s=NOBODY_SEES_IT_S) is not None
    assert queue.hide(received["released"], for_s=0) is not None

    found: list[str | None] = []
    give_up_at = monotonic() + 5
    while len(found) < 2 and monotonic() < give_up_at:
        found += texts(queue)
    assert sorted(found, key=str) == ["left", "released"]


def test_who_hides_a_message_gets_the_receipt_that_counts(
    alarms: AlarmQueue, queue: QueueRequests
) -> None:
    alarms.put("alarm", delay_s=0)
    (received,) = queue.receive(most=1, hide_s=NOBODY_SEES_IT_S)

    hidden = queue.hide(received, for_s=NOBODY_SEES_IT_S)

    assert hidden is not None
    assert not queue.delete(received)
    assert queue.hide(received, for_s=0) is None
    assert queue.delete(hidden)
    assert not queue.delete(hidden)
    assert queue.hide(hidden, for_s=0) is None


def test_a_deletion_whose_answer_was_lost_took_place(
    alarms: AlarmQueue, between: Middleman, queue_between: QueueRequests
) -> None:
    alarms.put("alarm", delay_s=0)
    (received,) = queue_between.receive(most=1, hide_s=NOBODY_SEES_IT_S)
    between.faults.append(Fault.LOSE_ANSWER)

    assert queue_between.delete(received)
    assert not queue_between.delete(received)


def test_what_is_no_base64_has_no_text(queue: QueueRequests) -> None:
    for body in ("not Base64!", "abc", "/w=="):
        queue.send(body)

    assert texts(queue) == [None, None, "\N{REPLACEMENT CHARACTER}"]


def test_as_many_threads_as_announced_share_the_connections(
    alarms: AlarmQueue, between: Middleman, caplog: pytest.LogCaptureFixture
) -> None:
    """More connections than the pool holds would be thrown away, with a warning for each."""
    alarms.put("first", delay_s=0)
    between.requests.clear()

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda n: alarms.put(str(n), delay_s=0), range(48)))

    assert len(between.requests) == 48
    assert caplog.messages == []


def test_requests_do_not_fill_the_log(alarms: AlarmQueue, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    alarms.put("alarm", delay_s=0)

    assert caplog.messages == []


def test_an_identity_opens_the_queue_with_a_token(name: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    options = ["--cert", "cert.pem", "--key", "key.pem", "--oauth", "basic"]
    azurite = start_azurite(tmp_path, kind="queue", options=options)
    credential = MadeUpCredential("https://storage.azure.com")
    uri = f"https://127.0.0.1:{azurite.port}/{ACCOUNT}"
    access = AccountIdentity("https://tables.example", uri, managed=True, client_id=None)
    alarms = AlarmQueue(
        StorageAccount("AzureWebJobsStorage", access),
        threads=1,
        queue=name,
        credential=credential,
        ca_file=str(tmp_path / "ca.pem"),
    )

    alarms.put("alarm", delay_s=0)

    assert set(credential.scopes) == {"https://storage.azure.com/.default"}
    alarms.close()
    azurite.stop()


def test_nothing_of_azure_storage_is_imported_before_the_queue_is_used() -> None:
    """Each start of an instance would pay for it."""
    script = """
import sys
from invoke_core.adapters.queues import AlarmQueue
from invoke_core.model import Secret, StorageAccount
AlarmQueue(StorageAccount("InvokeStorage", Secret("x")), threads=1).close()
print([name for name in ("azure.storage", "azure.identity", "azure.core") if name in sys.modules])
"""
    ended = subprocess.run(  # noqa: S603  # our own line
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )

    assert (ended.stdout, ended.stderr, ended.returncode) == ("[]\n", "", 0)
