"""A small HTTP API to invoke: it counts, echoes, waits, fails, works, deploys, answers any status.

Run it alone with ``python -m examples.demo_api --port 7072``; ``make run`` starts it beside the
service.

| path | answer |
| --- | --- |
| ``/`` | ``{"count": 1425, …}`` |
| ``/echo`` | the request as it arrived: method, path, header names and values, body |
| ``/slow?seconds=N`` | the count, N seconds later |
| ``/status/404`` | that status |
| ``/starting?failures=N`` | 503 with ``Retry-After: 1``, N times, then the count; and anew |
| ``/work?seconds=N`` | 202; N seconds later it completes the task that waits for it |
| ``/alerts?looks=N`` | ``{"open": N - 1}``, one less at each look down to 0; and anew |
| ``/deployments?looks=N&ends=W`` | 202 with ``Operation-Location``, which ends so at the Nth look |
| ``/operations/{id}`` | how such an operation stands |
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from examples import external_service

COUNT = {"count": 1425, "status": "successful", "value": [{"id": 1, "name": "first"}]}
STARTING = {"status": "starting"}
DEPLOYED = {"version": "1.4.2", "endpoint": "https://shop.example.com/"}
NO_ROOM = {"code": "QuotaExceeded", "message": "No cores are left in this region."}
LONGEST_WAIT_S = 60.0

_lock = Lock()
_failures: Counter[str] = Counter()
"""How often each query of ``/starting`` has failed since it last did not."""

_alerts: Counter[str] = Counter()
"""How often each query of ``/alerts`` was looked at since there were none open."""

_operations: dict[str, tuple[int, str]] = {}
"""How many looks each operation takes until its end, and the status it ends with."""


class DemoApi(BaseHTTPRequestHandler):
    """Answers every method alike."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        """Answer one request."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode("utf-8", "replace")
        target = urlsplit(self.path)
        status, more = HTTPStatus.OK, dict[str, str]()
        answer: object = COUNT
        match target.path.strip("/").split("/"):
            case ["echo"]:
                headers = [list(header) for header in self.headers.items()]
                answer = {
                    "method": self.command,
                    "path": self.path,
                    "headers": headers,
                    "body": body,
                }
            case ["slow"]:
                time.sleep(_seconds(target.query))
            case ["work"]:
                status, answer = self._take_work(_seconds(target.query))
            case ["status", code]:
                status = HTTPStatus(int(code))
            case ["starting"] if not self._has_started(target.query):
                status, answer = HTTPStatus.SERVICE_UNAVAILABLE, STARTING
                more = {"Retry-After": "1"}
            case ["alerts"]:
                answer = self._alerts(target.query)
            case ["deployments"]:
                number, path = _begin_operation(target.query)
                status = HTTPStatus.ACCEPTED
                answer = {"id": number, "status": "NotStarted", "links": {"status": path}}
                url = f"http://{self.headers['Host']}{path}"
                more = {"Operation-Location": url, "Retry-After": "1"}
            case ["operations", number]:
                status, answer = self._look_at_operation(number)
                more = {"Retry-After": "1"}
        self._send(status, json.dumps(answer).encode(), more)

    do_OPTIONS = do_GET = do_HEAD = do_POST = answer  # noqa: N815  # names http.server looks for
    do_PUT = do_DELETE = do_TRACE = do_PATCH = answer  # noqa: N815  # likewise

    def _take_work(self, seconds: float) -> tuple[HTTPStatus, object]:
        try:
            external_service.take(dict(self.headers.items()), seconds=seconds)
        except (KeyError, ValueError) as error:
            return HTTPStatus.BAD_REQUEST, {"error": f"This is no task that waits: {error}"}
        return HTTPStatus.ACCEPTED, {"status": "working"}

    def _has_started(self, query: str) -> bool:
        failures = _count(query, "failures")
        with _lock:
            if _failures[query] < failures:
                _failures[query] += 1
                return False
            del _failures[query]
            return True

    def _alerts(self, query: str) -> object:
        with _lock:
            _alerts[query] += 1
            still_open = max(_count(query, "looks") - _alerts[query], 0)
            if not still_open:
                del _alerts[query]
        return {"open": still_open}

    def _look_at_operation(self, number: str) -> tuple[HTTPStatus, object]:
        with _lock:
            if number not in _operations:
                return HTTPStatus.NOT_FOUND, {"error": "There is no such operation."}
            looks, end = _operations[number]
            _operations[number] = (looks - 1, end)
        if looks > 1:
            return HTTPStatus.OK, {"id": number, "status": "Running"}
        if end != "Succeeded":
            return HTTPStatus.OK, {"id": number, "status": end, "error": NO_ROOM}
        return HTTPStatus.OK, {"id": number, "status": end, "properties": DEPLOYED}

    def _send(self, status: HTTPStatus, body: bytes, more: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's own name
        """Stay silent; the service's log is the one to read."""


def _begin_operation(query: str) -> tuple[str, str]:
    """Begin an operation; return its id, and the path of its status."""
    end = parse_qs(query).get("ends", ["Succeeded"])[0]
    with _lock:
        number = f"d-{17 + len(_operations)}"
        _operations[number] = (_count(query, "looks"), end)
    return number, f"/operations/{number}"


def _count(query: str, name: str) -> int:
    return int(parse_qs(query).get(name, ["1"])[0])


def _seconds(query: str) -> float:
    seconds = float(parse_qs(query).get("seconds", ["1"])[0])
    return min(max(seconds, 0.0), LONGEST_WAIT_S)


class DemoServer(ThreadingHTTPServer):
    """The demo API on one port of this machine."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int) -> None:
        """Take the port; 0 picks a free one."""
        super().__init__(("127.0.0.1", port), DemoApi)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="A small HTTP API to invoke.")
    parser.add_argument("--port", type=int, default=7072)
    with DemoServer(parser.parse_args().port) as server:
        print(f"The demo API listens on {server.url}")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
