"""A small HTTP API to invoke: it counts, echoes, waits, fails, works, and answers any status.

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
LONGEST_WAIT_S = 60.0

_lock = Lock()
_failures: Counter[str] = Counter()
"""How often each query of ``/starting`` has failed since it last did not."""


class DemoApi(BaseHTTPRequestHandler):
    """Answers every method alike."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        """Answer one request."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length).decode("utf-8", "replace")
        target = urlsplit(self.path)
        status, retry_after = HTTPStatus.OK, ""
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
                status, answer, retry_after = HTTPStatus.SERVICE_UNAVAILABLE, STARTING, "1"
        self._send(status, json.dumps(answer).encode(), retry_after)

    do_OPTIONS = do_GET = do_HEAD = do_POST = answer  # noqa: N815  # names http.server looks for
    do_PUT = do_DELETE = do_TRACE = do_PATCH = answer  # noqa: N815  # likewise

    def _take_work(self, seconds: float) -> tuple[HTTPStatus, object]:
        try:
            external_service.take(dict(self.headers.items()), seconds=seconds)
        except (KeyError, ValueError) as error:
            return HTTPStatus.BAD_REQUEST, {"error": f"This is no task that waits: {error}"}
        return HTTPStatus.ACCEPTED, {"status": "working"}

    def _has_started(self, query: str) -> bool:
        failures = int(parse_qs(query).get("failures", ["1"])[0])
        with _lock:
            if _failures[query] < failures:
                _failures[query] += 1
                return False
            del _failures[query]
            return True

    def _send(self, status: HTTPStatus, body: bytes, retry_after: str) -> None:
        self.send_response(status)
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base's own name
        """Stay silent; the service's log is the one to read."""


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
