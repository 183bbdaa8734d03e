"""The service and its target as processes, and clients light enough not to be what is measured."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parent.parent
PASSWORD: Final = "some pass word"  # noqa: S105  # of a target that asks for none

_OURS: Final = re.compile(
    "SERVICE_CONNECTIONS|PUBLIC_BASE_URL|InvokeStorage.*|AzureWebJobsStorage.*|STATE_KEY.*"
)
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_START_S: Final = 30.0
_ANSWER_S: Final = 240.0


class Client:
    """One kept-alive connection over a bare socket: whole requests in, whole answers out."""

    def __init__(self, url: str) -> None:
        """Connect.

        Args:
            url: Scheme, host and port.
        """
        self._host, _, port = url.removeprefix("http://").partition(":")
        self._socket = socket.create_connection((self._host, int(port)), timeout=_ANSWER_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def request(
        self,
        method: str,
        path: str,
        document: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Return a request ready to be sent any number of times."""
        body = b"" if document is None else json.dumps(document).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body

    def send(self, request: bytes) -> tuple[int, bytes]:
        """Send a request; return status and body."""
        self.begin(request)
        return self.answer()

    def begin(self, request: bytes) -> None:
        """Send a request, and do not wait for its answer."""
        self._socket.sendall(request)

    def answer(self) -> tuple[int, bytes]:
        """Return status and body of the answer to the request that was begun."""
        received = self._socket.recv(65536)
        while (end := received.find(b"\r\n\r\n")) < 0:
            received = self._more(received)
        length = _LENGTH.search(received, 0, end)
        whole = end + 4 + (int(length[1]) if length else 0)
        parts, count = [received], len(received)
        while count < whole:
            parts.append(self._more(b""))
            count += len(parts[-1])
        return int(received[9:12]), b"".join(parts)[end + 4 :]

    def call(
        self,
        method: str,
        path: str,
        document: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Send a document; return status and document (None where there is no body)."""
        status, body = self.send(self.request(method, path, document, headers))
        return status, json.loads(body) if body else None

    def fileno(self) -> int:
        """Return the socket's descriptor, for selectors."""
        return self._socket.fileno()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the connection."""
        self.close()

    def _more(self, received: bytes) -> bytes:
        data = self._socket.recv(1024 * 1024)
        if not data:
            raise ConnectionError("the server closed the connection in the middle of an answer")
        return received + data


@dataclass(frozen=True)
class Service:
    """A running service.

    Attributes:
        url: Where it listens.
        process: Its process.
        started_s: `time.perf_counter` just before the process was started.
    """

    url: str
    process: subprocess.Popen[str]
    started_s: float

    def status(self, name: str) -> int:
        """Return a number out of the process's status, such as ``Threads``; memory is in KiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(rf"^{name}:\s+(\d+)", text, re.MULTILINE)
        assert found, name
        return int(found[1])

    def memory_mb(self) -> float:
        """Return the resident memory in MiB."""
        return self.status("VmRSS") / 1024

    def peak_mb(self) -> float:
        """Return the most resident memory since the start, or since ``forget_peak``, in MiB."""
        return self.status("VmHWM") / 1024

    def forget_peak(self) -> None:
        """Let the peak begin anew."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def processor_s(self) -> float:
        """Return the seconds of a processor the process has taken, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        """Return how many files and sockets are open."""
        return sum(1 for _ in Path(f"/proc/{self.process.pid}/fd").iterdir())


def connections(target_url: str) -> str:
    """Return SERVICE_CONNECTIONS with one connection ``demo`` that leads to a target."""
    demo = {
        "type": "generic",
        "url": target_url,
        "auth": {"scheme": "basic", "username": "svc", "password": "${DEMO_PASSWORD}"},
        "allow": {"methods": ["GET", "POST"], "loopback": True},
    }
    return json.dumps({"demo": demo})


def step(path: str, *, method: str = "GET", **inputs: object) -> dict[str, object]:
    """Return a document that invokes a path of the target through ``demo``."""
    given = {"serviceConnection": "demo", "method": method, "urlSuffix": path, **inputs}
    return {"inputs": given}


CHECKED: Final = {"successCriteria": "eq(root['status'], 'succeeded')"}
"""What is asked of an answer of the target where its field is looked at."""


@contextmanager
def target() -> Iterator[str]:
    """Run the target; yield its URL."""
    process = _started("benchmarks.target", {}, sys.stderr.fileno())
    try:
        yield _line(process, "http://").strip()
    finally:
        _end(process)


@contextmanager
def service(
    target_url: str, folder: Path | None = None, *, store: str | None = None, **settings: str
) -> Iterator[Service]:
    """Run the service through its local server.

    Args:
        target_url: Where ``demo`` leads.
        folder: For store and log; without one, a new folder that is removed at the end.
        store: InvokeStorage; without one, SQLite in the folder.
        settings: Further application settings.
    """
    with tempfile.TemporaryDirectory(prefix="invoke-bench-", ignore_cleanup_errors=True) as own:
        place = folder or Path(own)
        environ = {
            "SERVICE_CONNECTIONS": connections(target_url),
            "DEMO_PASSWORD": PASSWORD,
            "InvokeStorage": store or f"sqlite:///{place}/invoke.db",
            **settings,
        }
        with (place / "service.log").open("ab") as log:
            started_s = time.perf_counter()
            process = _started("invoke_core", environ, log.fileno(), "serve", "--port", "0")
            try:
                url = _line(process, "Listening on ").partition("Listening on ")[2].strip()
                yield Service(url=url, process=process, started_s=started_s)
            finally:
                _end(process)


def begin_callback(client: Client, path: str = "/keep", *, minutes: int = 60) -> str:
    """Create an invocation that waits for its callback; return its id."""
    document = step(path, method="POST", waitForCompletion=True) | {"timeoutInMinutes": minutes}
    status, body = client.call("POST", "/api/invocations", document)
    assert status == 202, (status, body)
    return str(body["id"])


def kept(target_url: str) -> dict[str, dict[str, str]]:
    """Return what external services were handed since this was last asked, by plan id."""
    with Client(target_url) as client:
        _, plans = client.call("GET", "/kept")
    return {plan["PlanId"]: plan for plan in plans}


def event(plan: Mapping[str, str], name: str = "TaskCompleted", **members: str) -> bytes:
    """Return the request with which an external service tells an event, ready to be sent."""
    token = base64.b64encode(f":{plan['AuthToken']}".encode()).decode()
    ids = {"jobId": plan["JobId"], "taskId": plan["TaskInstanceId"]}
    body = json.dumps({"name": name, **ids, **members}).encode()
    path = (
        f"/azdo/default/{plan['ProjectId']}/_apis/distributedtask/hubs/build"
        f"/plans/{plan['PlanId']}/events"
    )
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass(frozen=True)
class Answered:
    """An answer.

    Attributes:
        status: Its status.
        body: Its body.
        after_s: Seconds from the first request of all to the end of this answer.
    """

    status: int
    body: bytes
    after_s: float


def all_at_once(url: str, requests: Sequence[bytes]) -> list[Answered]:
    """Send requests on a connection each, all before any answer is read, from this one thread.

    Returns:
        The answers, in the order in which they came.
    """
    answers: list[Answered] = []
    with ExitStack() as stack, DefaultSelector() as selector:
        clients = [stack.enter_context(Client(url)) for _ in requests]
        started_s = time.perf_counter()
        for client, request in zip(clients, requests, strict=True):
            client.begin(request)
            selector.register(client, EVENT_READ)
        while len(answers) < len(requests):
            ready = selector.select(_ANSWER_S)
            if not ready:
                raise TimeoutError("the service does not answer")
            for key, _ in ready:
                assert isinstance(key.fileobj, Client)
                selector.unregister(key.fileobj)
                answers.append(
                    Answered(*key.fileobj.answer(), after_s=time.perf_counter() - started_s)
                )
    return answers


def side_by_side(count: int, action: Callable[[int], T]) -> list[T]:
    """Run an action on as many threads as times; return what they returned, in order."""
    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(action, range(count)))


def _started(
    module: str, environ: Mapping[str, str], errors: int, *arguments: str
) -> subprocess.Popen[str]:
    inherited = os.environ.items()  # noqa: TID251  # a composition root
    kept_back = {name: value for name, value in inherited if not _OURS.fullmatch(name)}
    return subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=kept_back | dict(environ),
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
    )


def _line(process: subprocess.Popen[str], beginning: str) -> str:
    """Return the line that says where a program listens."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(beginning):
            return line
    raise RuntimeError(f"a program ended with {process.wait(_START_S)} before it listened")


def _end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_START_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
