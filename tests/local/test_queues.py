"""Functions with a queue trigger: what the Functions host does with messages, over the emulator."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import azure.functions as func
import pytest
from azure.functions.queue import QueueMessage

from invoke_core.adapters.queue_requests import QueueRequests
from invoke_core.adapters.queues import AlarmQueue
from invoke_core.errors import SettingsError
from invoke_core.local.errors import LocalServerError
from invoke_core.local.host_json import QueueSettings, read_queue_settings
from invoke_core.local.indexing import index
from invoke_core.local.messages import HeldMessage
from invoke_core.local.queues import Backoff, QueueListener
from invoke_core.local.server import LocalServer
from invoke_core.model import Secret, StorageAccount
from tests.azurite import connection_string
from tests.stores.middleman import Fault, middleman

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.azurite import Azurite

_SETTING = "QUEUES"
_QUICK = {"maxPollingInterval": "00:00:01", "visibilityTimeout": "00:00:01", "maxDequeueCount": 3}
_SOON_S = 8.0


def _until(is_so: Callable[[], bool], *, within_s: float = _SOON_S) -> None:
    give_up_at = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < give_up_at, "it did not come to that"
        time.sleep(0.02)


class Queue:
    """A queue of the test's own, from outside."""

    def __init__(self, text: str) -> None:
        self.name = f"q-{uuid4().hex}"
        self.text = text
        self._account = StorageAccount(_SETTING, Secret(text))
        self._alarms = AlarmQueue(self._account, threads=4, queue=self.name)
        self.here = QueueRequests(self._account, queue=self.name, threads=1)
        self.poison = QueueRequests(self._account, queue=f"{self.name}-poison", threads=1)

    def put(self, text: str, *, delay_s: int = 0) -> None:
        self._alarms.put(text, delay_s=delay_s)

    def is_empty(self) -> bool:
        """Tell whether there is no message, hidden or not."""
        client: Any = self.here._client
        return bool(client.get_queue_properties().approximate_message_count == 0)

    def take_poison(self, *, within_s: float = _SOON_S) -> list[str]:
        """Wait for messages in the poison queue, and return them as they lie there."""
        found: list[str] = []

        def look() -> bool:
            found.extend(one.body for one in self.poison.receive(most=32, hide_s=60))
            return bool(found)

        _until(look, within_s=within_s)
        return found

    def close(self) -> None:
        self._alarms.close()
        self.here.close()
        self.poison.close()


@pytest.fixture
def queue(azurite_queues: Azurite, monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    queue = Queue(azurite_queues.connection_string)
    monkeypatch.setenv(_SETTING, queue.text)
    yield queue
    queue.close()


def _app(queue: str, run: Callable[[QueueMessage], object]) -> func.FunctionApp:
    app = func.FunctionApp()

    @app.queue_trigger(arg_name="message", queue_name=queue, connection=_SETTING)
    def take(message: func.QueueMessage) -> object:
        assert isinstance(message, QueueMessage)
        return run(message)

    return app


def _text(message: QueueMessage) -> str:
    return message.get_body().decode()


def _settings(folder: Path, **queues: object) -> QueueSettings:
    document = {"version": "2.0", "extensions": {"queues": _QUICK | queues}}
    (folder / "host.json").write_text(json.dumps(document))
    return read_queue_settings(folder / "host.json")


@pytest.fixture
def serve(queue: Queue, tmp_path: Path) -> Iterator[Callable[..., LocalServer]]:
    """Starts a server of one queue function; further settings are those of ``host.json``."""
    servers: list[LocalServer] = []

    def serve(run: Callable[[QueueMessage], object], **queues: object) -> LocalServer:
        _settings(tmp_path, **queues)
        server = LocalServer(_app(queue.name, run), app_root=tmp_path, port=0)
        server.start()
        servers.append(server)
        return server

    yield serve
    for server in servers:
        server.stop()


def _listener(
    queue: Queue,
    folder: Path,
    run: Callable[[QueueMessage], object],
    *,
    hide_s: int = 600,
    **queues: object,
) -> QueueListener:
    (function,) = index(_app(queue.name, run))
    environ = {_SETTING: queue.text}
    return QueueListener(function, environ, _settings(folder, **queues), hide_s=hide_s)


def test_a_message_reaches_the_function_as_the_librarys_own_and_is_deleted(
    queue: Queue, serve: Callable[..., LocalServer]
) -> None:
    seen: list[QueueMessage] = []
    serve(seen.append)

    queue.put('{"plan": "é"}')
    _until(queue.is_empty)

    (message,) = seen
    assert message.get_json() == {"plan": "é"}
    assert (message.dequeue_count, bool(message.id), bool(message.pop_receipt)) == (1, True, True)
    assert message.expiration_time.year == 9999
    assert message.insertion_time <= message.time_next_visible
    assert message.time_next_visible.utcoffset().total_seconds() == 0


def test_a_delayed_message_comes_no_earlier_and_soon_after(
    queue: Queue, serve: Callable[..., LocalServer]
) -> None:
    came: list[float] = []
    serve(lambda _: came.append(time.monotonic()))
    sent = time.monotonic()

    queue.put("later", delay_s=3)
    _until(lambda: bool(came))

    # The emulator keeps whole seconds.
    assert 2 < came[0] - sent < 5.5


def test_a_queue_that_is_made_later_is_found(
    queue: Queue, serve: Callable[..., LocalServer]
) -> None:
    seen: list[str] = []
    serve(lambda message: seen.append(_text(message)))
    time.sleep(0.3)

    queue.put("first of all")

    _until(lambda: seen == ["first of all"])


def test_what_fails_is_tried_again_after_a_while_and_ends_in_the_poison_queue(
    queue: Queue, serve: Callable[..., LocalServer], caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[tuple[int, float]] = []

    def fail(message: QueueMessage) -> None:
        tries.append((message.dequeue_count, time.monotonic()))
        raise RuntimeError("it broke")

    serve(fail)
    queue.put("bad")

    assert queue.take_poison(within_s=15) == ["YmFk"]
    _until(queue.is_empty)
    assert [count for count, _ in tries] == [1, 2, 3]
    # The emulator keeps whole seconds, so that a second may be over at once, but two are not.
    assert tries[2][1] - tries[0][1] > 1
    assert caplog.text.count("The queue function 'take' failed.") == 3


def test_a_message_comes_again_no_earlier_than_the_visibility_timeout(
    queue: Queue, serve: Callable[..., LocalServer]
) -> None:
    times: list[float] = []

    def fail_once(_: QueueMessage) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            raise RuntimeError

    serve(fail_once, visibilityTimeout="00:00:03")
    queue.put("once more")

    _until(lambda: len(times) == 2)
    assert 2 < times[1] - times[0] < 5.5
    _until(queue.is_empty)


def test_a_function_that_returns_something_has_failed(
    queue: Queue, serve: Callable[..., LocalServer]
) -> None:
    serve(lambda _: "something", maxDequeueCount=1)
    queue.put("bad")

    assert queue.take_poison() == ["YmFk"]


def test_what_is_no_base64_goes_to_the_poison_queue_unseen(
    queue: Queue, serve: Callable[..., LocalServer]
) -> None:
    seen: list[str] = []
    serve(lambda message: seen.append(_text(message)))

    queue.put("fine")
    queue.here.send("not Base64!")

    assert queue.take_poison() == ["not Base64!"]
    _until(queue.is_empty)
    assert seen == ["fine"]


def test_what_fails_in_a_poison_queue_stays_there(
    azurite_queues: Azurite, tmp_path: Path, queue: Queue
) -> None:
    tried = threading.Event()

    def fail(_: QueueMessage) -> None:
        tried.set()
        raise RuntimeError

    queue.poison.send("YmFk")
    (function,) = index(_app(f"{queue.name}-poison", fail))
    settings = _settings(tmp_path, maxDequeueCount=1)
    listener = QueueListener(
        function, {_SETTING: azurite_queues.connection_string}, settings, hide_s=2
    )
    listener.start()
    assert tried.wait(_SOON_S)
    assert listener.stop(timeout_s=5) == 0

    assert queue.take_poison() == ["YmFk"]


def test_a_message_is_hidden_for_as_long_as_its_function_runs(queue: Queue, tmp_path: Path) -> None:
    seen: list[str] = []

    def run(message: QueueMessage) -> None:
        seen.append(_text(message))
        time.sleep(5)

    listener = _listener(queue, tmp_path, run, hide_s=2)
    listener.start()
    queue.put("long")

    _until(queue.is_empty)
    assert listener.stop(timeout_s=5) == 0
    assert seen == ["long"]


def test_two_listeners_share_the_messages(queue: Queue, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    lock = threading.Lock()
    by_listener: Counter[int] = Counter()

    def run_as(number: int) -> Callable[[QueueMessage], None]:
        def run(message: QueueMessage) -> None:
            time.sleep(0.02)
            with lock:
                seen[_text(message)] += 1
                by_listener[number] += 1

        return run

    texts = [str(n) for n in range(120)]
    for text in texts:
        queue.put(text)
    listeners = [_listener(queue, tmp_path, run_as(n), batchSize=4) for n in range(2)]
    for listener in listeners:
        listener.start()

    _until(queue.is_empty, within_s=20)
    assert [listener.stop(timeout_s=5) for listener in listeners] == [0, 0]
    assert seen == Counter(texts)
    assert set(by_listener) == {0, 1}


def test_no_more_messages_are_taken_than_threads_may_run(queue: Queue, tmp_path: Path) -> None:
    release = threading.Event()
    running: list[str] = []

    def run(message: QueueMessage) -> None:
        running.append(_text(message))
        release.wait(20)

    for n in range(8):
        queue.put(str(n))
    listener = _listener(queue, tmp_path, run, batchSize=2, newBatchThreshold=1)
    listener.start()

    # Two at first; since two are more than the threshold, no others.
    _until(lambda: len(running) == 2)
    time.sleep(1.2)
    assert len(running) == 2
    release.set()
    _until(queue.is_empty)
    assert listener.stop(timeout_s=5) == 0
    assert sorted(running) == [str(n) for n in range(8)]


def test_a_stop_waits_for_what_runs_and_takes_nothing_more(
    queue: Queue, serve: Callable[..., LocalServer]
) -> None:
    begun = threading.Event()
    ended: list[str] = []

    def run(message: QueueMessage) -> None:
        begun.set()
        time.sleep(0.5)
        ended.append(_text(message))

    server = serve(run)
    queue.put("running")
    assert begun.wait(_SOON_S)

    assert server.stop() == 0
    assert ended == ["running"]
    assert queue.is_empty()
    queue.put("too late")
    time.sleep(1.2)
    assert ended == ["running"]


def test_what_outlives_the_grace_is_left_and_its_message_comes_again(
    queue: Queue, tmp_path: Path
) -> None:
    begun, release = threading.Event(), threading.Event()

    def run(_: QueueMessage) -> None:
        begun.set()
        release.wait(20)

    listener = _listener(queue, tmp_path, run, hide_s=2)
    listener.start()
    queue.put("stuck")
    assert begun.wait(_SOON_S)
    started = time.monotonic()

    assert listener.stop(timeout_s=0.2) == 1
    assert time.monotonic() - started < 2
    _until(lambda: [one.text for one in queue.here.receive(most=1, hide_s=60)] == ["stuck"])
    release.set()
    # What was handed out again is not its to delete.
    _until(lambda: listener.stop(timeout_s=1) == 0)
    assert not queue.is_empty()


def test_an_outage_is_told_once_and_survived(
    azurite_queues: Azurite, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []
    caplog.set_level("INFO")
    with middleman(azurite_queues.port) as between:
        queue = Queue(connection_string(queue_port=between.port))
        listener = _listener(queue, tmp_path, lambda message: seen.append(_text(message)))
        between.faults.extend([Fault.BUSY] * 9)
        listener.start()
        _until(lambda: not between.faults, within_s=15)

        queue.put("after it")
        _until(lambda: seen == ["after it"])
        assert listener.stop(timeout_s=5) == 0
        queue.close()

    told = [one for one in caplog.messages if "is tried again and again" in one]
    assert len(told) == 1
    assert "503" in told[0]
    assert f"The queue '{queue.name}' answers again." in caplog.messages


def test_a_message_that_cannot_be_deleted_comes_again(
    azurite_queues: Azurite, tmp_path: Path
) -> None:
    seen: list[str] = []
    with middleman(azurite_queues.port) as between:

        def run(message: QueueMessage) -> None:
            seen.append(_text(message))
            if len(seen) == 1:
                # Enough for all attempts to delete it, and for what the listener asks meanwhile.
                between.faults.extend([Fault.BUSY] * 12)

        queue = Queue(connection_string(queue_port=between.port))
        listener = _listener(queue, tmp_path, run, hide_s=2)
        queue.put("twice")
        listener.start()
        _until(lambda: len(seen) == 2, within_s=15)

        _until(lambda: not between.faults and queue.is_empty())
        assert listener.stop(timeout_s=5) == 0
        queue.close()
    assert seen == ["twice", "twice"]


def test_a_message_that_could_not_be_kept_hidden_is_hidden_soon_after(
    azurite_queues: Azurite, caplog: pytest.LogCaptureFixture
) -> None:
    with middleman(azurite_queues.port) as between:
        queue = Queue(connection_string(queue_port=between.port))
        queue.put("kept")
        (message,) = queue.here.receive(most=1, hide_s=5)
        held = HeldMessage(queue.here, message, hide_s=60)
        between.faults.extend([Fault.BUSY] * 3)

        held.renew()
        assert time.monotonic() < held.renew_at < time.monotonic() + 7
        held.renew()

        assert time.monotonic() + 20 < held.renew_at
        kept = held.let_go()
        assert (kept.next_visible_on - message.next_visible_on).total_seconds() > 30
        assert not queue.here.delete(message)
        assert queue.here.delete(kept)
        queue.close()
    assert caplog.text.count("A message may be handed out once more") == 1


def test_what_arrives_while_the_server_stops_is_given_back_at_once(
    queue: Queue, tmp_path: Path
) -> None:
    seen: list[str] = []
    listener = _listener(queue, tmp_path, lambda message: seen.append(_text(message)))
    queue.put("late")
    # As if the stop had come between the request for messages and its answer.
    listener._stopping = True

    assert listener._poll()

    (message,) = queue.here.receive(most=1, hide_s=60)
    assert (message.text, message.dequeue_count) == ("late", 2)
    assert seen == []
    assert listener.stop(timeout_s=1) == 0


def test_the_longer_a_queue_is_empty_the_longer_is_waited() -> None:
    highest = Backoff(2.0, chance=lambda _, high: high)
    lowest = Backoff(2.0, chance=lambda low, _: low)

    waits = [highest.next_s(found=False) for _ in range(8)]
    assert waits == pytest.approx([0.1, 0.22, 0.34, 0.58, 1.06, 2.0, 2.0, 2.0])
    assert [lowest.next_s(found=False) for _ in range(3)] == pytest.approx([0.1, 0.18, 0.26])
    assert highest.next_s(found=True) == 0
    assert highest.next_s(found=False) == pytest.approx(0.1)
    assert all(0.18 <= _second_wait_by_chance() <= 0.22 for _ in range(100))


def _second_wait_by_chance() -> float:
    backoff = Backoff(60.0)
    backoff.next_s(found=False)
    return backoff.next_s(found=False)


@pytest.mark.parametrize("name", ["UPPER", "ab", "a--b", "-ab", "ab-", "%NAME%", "a" * 64])
def test_a_name_no_queue_can_have_keeps_the_server_from_starting(
    tmp_path: Path, queue: Queue, name: str
) -> None:
    del queue
    _settings(tmp_path)
    with pytest.raises(LocalServerError, match=r"^The function 'take' cannot be run: a queue"):
        LocalServer(_app(name, lambda _: None), app_root=tmp_path, port=0)


def test_a_connection_that_is_not_set_keeps_the_server_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(_SETTING, raising=False)
    _settings(tmp_path)

    with pytest.raises(SettingsError) as caught:
        LocalServer(_app("some-queue", lambda _: None), app_root=tmp_path, port=0)

    named = {fault.pointer for fault in caught.value.faults}
    assert named == {f"{_SETTING}__tableServiceUri", f"{_SETTING}__queueServiceUri"}
