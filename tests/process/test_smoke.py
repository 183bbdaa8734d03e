"""``python -m invoke_core smoke`` tells what a deployment does, and never shows a key."""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Final, Self

import pytest
import requests

from examples.demo_api import DemoServer
from invoke_core.errors import ConfigurationError
from invoke_core.smoke import Deployment, Finding, Outcome, smoke_test
from tests.azurite import free_port
from tests.process.conftest import ROOT, run, running, url_in
from tests.sign_in import TOKEN, sign_in

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping
    from pathlib import Path

KEY: Final = "k-7f3c9d0e5a1b2"
NAMES: Final = [
    "health",
    "public address",
    "no key",
    "wrong key",
    "given key",
    "challenge",
    "doubled slashes",
    "discovery",
    "sign-in exclusions",
    "chunked bodies",
    "callback",
]


@contextmanager
def deployed(
    folder: Path, *arguments: str, settings: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Run the service, with a target that completes tasks at ``/work``; yields its URL."""
    with DemoServer(0) as demo:
        Thread(target=demo.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        demo_connection = {
            "type": "generic",
            "url": demo.url,
            "auth": {"scheme": "none"},
            "allow": {"loopback": True},
        }
        with running(
            "invoke_core",
            ["serve", "--port", "0", *arguments],
            settings={
                "SERVICE_CONNECTIONS": json.dumps({"demo": demo_connection}),
                "InvokeStorage": f"sqlite:///{folder}/invoke.db",
                **(settings or {}),
            },
            until="Listening on",
        ) as (_, lines):
            yield url_in(lines)
        demo.shutdown()


def smoke(url: str, *arguments: str, key: str = KEY) -> subprocess.CompletedProcess[str]:
    return run("invoke_core", "smoke", url, "--key", key, *arguments, settings={})


def found(printed: str) -> dict[str, tuple[str, str]]:
    """Return what stands in the lines: outcome and what was seen, by probe."""
    lines = [re.split(r" {2,}", line, maxsplit=2) for line in printed.splitlines()]
    return {name: (outcome, seen) for outcome, name, seen in lines}


def outcomes(findings: list[Finding]) -> dict[str, Outcome]:
    return {one.name: one.outcome for one in findings}


def test_a_deployment_that_works_has_a_line_for_each_probe(tmp_path: Path) -> None:
    with deployed(tmp_path, "--function-key", KEY) as url:
        ended = smoke(url, "--connection", "demo", "--url-suffix", "/work?seconds=0")

    seen = found(ended.stdout)
    assert list(seen) == NAMES
    assert {outcome for outcome, _ in seen.values()} == {"ok"}, ended.stdout
    assert seen["chunked bodies"] == ("ok", "delivered")
    assert seen["callback"][1].startswith("the target completed the task after ")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert KEY not in ended.stdout


def test_the_front_end_that_drops_chunked_bodies_is_told(tmp_path: Path) -> None:
    with deployed(tmp_path, "--function-key", KEY, "--drop-chunked") as url:
        ended = smoke(url + "/")

    seen = found(ended.stdout)
    assert seen["chunked bodies"][0] == "ok"
    assert "dropped by the platform" in seen["chunked bodies"][1]
    assert seen["callback"][0] == "not tried"
    assert ended.returncode == 0


def test_the_key_may_come_from_the_environment_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    with deployed(tmp_path, "--function-key", KEY) as url:
        ended = run("invoke_core", "smoke", url, settings={"INVOKE_KEY": KEY})
        wrong = smoke(url, "--connection", "demo", key="wrong-7f3c")

    assert ended.returncode == 0
    assert found(ended.stdout)["given key"] == ("ok", "status 200")
    seen = found(wrong.stdout)
    assert wrong.returncode == 1
    failed = [name for name, (outcome, _) in seen.items() if outcome == "FAILED"]
    assert failed == ["given key", "chunked bodies", "callback"]
    assert "wrong-7f3c" not in wrong.stdout + wrong.stderr


def test_a_service_that_asks_for_no_key_is_told(tmp_path: Path) -> None:
    with deployed(tmp_path) as url:
        with_key = list(smoke_test(Deployment(url=url, key=KEY)))
        without = list(smoke_test(Deployment(url=url)))

    told = outcomes(with_key)
    assert (told["no key"], told["wrong key"]) == (Outcome.FAILED, Outcome.FAILED)
    assert Outcome.FAILED not in outcomes(without).values()
    seen = {one.name: (one.outcome, one.seen) for one in without}
    for name in ("no key", "wrong key", "given key", "chunked bodies"):
        assert seen[name] == (Outcome.NOT_TRIED, "no key was given")


def test_a_target_that_completes_nothing_fails_the_callback_and_leaves_no_task(
    tmp_path: Path,
) -> None:
    with deployed(tmp_path) as url:
        findings = list(
            smoke_test(Deployment(url=url, connection="demo", url_suffix="/echo"), callback_s=1)
        )
        open_ones = requests.get(f"{url}/api/invocations?state=inProgress", timeout=10).json()
        again = list(smoke_test(Deployment(url=url, connection="demo", url_suffix="/status/500")))

    assert findings[-1].outcome is Outcome.FAILED
    assert "no TaskCompleted came within 1 s" in findings[-1].seen
    assert open_ones["value"] == []
    assert str(again[-1]).endswith("the task failed: statusCode")


def test_an_address_that_callbacks_do_not_lead_to_is_told(tmp_path: Path) -> None:
    other = {"PUBLIC_BASE_URL": "https://elsewhere.example"}
    with deployed(tmp_path, settings=other) as url:
        told = {one.name: one for one in smoke_test(Deployment(url=url))}

    assert told["public address"].outcome is Outcome.FAILED
    assert "PUBLIC_BASE_URL" in told["public address"].seen


def test_a_deployment_behind_a_sign_in_works_with_a_token(tmp_path: Path) -> None:
    with (
        sign_in() as front,
        deployed(tmp_path, "--function-key", KEY, settings={"PUBLIC_BASE_URL": front.url}) as url,
    ):
        front.stand_before(url)
        target = ("--connection", "demo", "--url-suffix", "/work?seconds=0")
        ended = smoke(front.url, "--token", TOKEN, *target)
        shown = list(front.tokens)
        other = run(
            "invoke_core",
            "smoke",
            front.url,
            settings={"INVOKE_KEY": KEY, "INVOKE_TOKEN": TOKEN},
        )

    seen = found(ended.stdout)
    assert {outcome for outcome, _ in seen.values()} == {"ok"}, ended.stdout
    assert (ended.returncode, ended.stderr, other.returncode) == (0, "", 0)
    assert TOKEN not in ended.stdout + other.stdout
    bearers = {path for path, token in shown if token == f"Bearer {TOKEN}"}
    assert bearers == {
        "/api/openapi.json",
        "/api/invocations",
        "/api/criteria/evaluate",
    }


@pytest.mark.parametrize(
    ("token", "said"),
    [(None, "give --token"), ("another-7f3c", "the sign-in does not take the token")],
)
def test_a_sign_in_that_does_not_let_the_caller_in_is_told_from_a_wrong_key(
    tmp_path: Path, token: str | None, said: str
) -> None:
    with deployed(tmp_path, "--function-key", KEY) as url, sign_in(url) as front:
        deployment = Deployment(url=front.url, key=KEY, token=token, connection="demo")
        told = {one.name: one for one in smoke_test(deployment)}

    behind = {"public address", "given key", "chunked bodies", "callback"}
    assert {name for name, one in told.items() if one.outcome is Outcome.FAILED} == behind
    assert all(said in told[name].seen for name in (*behind, "no key", "wrong key"))
    assert told["no key"].outcome is told["wrong key"].outcome is Outcome.NOT_TRIED
    assert told["sign-in exclusions"].outcome is Outcome.OK


class Stranger(ThreadingHTTPServer):
    """Answers everything alike, and keeps the keys it was shown."""

    daemon_threads = True

    def __init__(
        self, status: int, headers: Mapping[str, str], body: bytes, pause_s: float = 0.0
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answer = (status, headers, body)
        self.pause_s = pause_s
        self.keys = set[str | None]()
        self.tokens = set[str | None]()

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Stranger

    def do_GET(self) -> None:
        status, headers, body = self.server.answer
        self.server.keys.add(self.headers["x-functions-key"])
        self.server.tokens.add(self.headers["Authorization"])
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for byte in body:
            self.wfile.write(bytes([byte]))
            time.sleep(self.server.pause_s)

    do_POST = do_OPTIONS = do_GET  # noqa: N815  # names http.server looks for

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.mark.parametrize(
    "stranger",
    [
        (200, {"Content-Type": "text/html"}, b"<html>Welcome</html>"),
        (200, {}, b'{"status": "ok"}'),
        (404, {}, b""),
        (302, {"Location": "https://sign-in.example/"}, b""),
        (401, {"WWW-Authenticate": "Bearer"}, b""),
    ],
    ids=["page", "another health", "nothing", "redirect", "sign-in"],
)
def test_what_is_not_the_service_is_told_and_sees_no_key_and_no_token(
    stranger: tuple[int, dict[str, str], bytes],
) -> None:
    with Stranger(*stranger) as server:
        deployment = Deployment(url=server.url, key=KEY, token=TOKEN, connection="demo")
        findings = list(smoke_test(deployment))

    told = outcomes(findings)
    assert [one.name for one in findings] == NAMES
    assert told["health"] is told["challenge"] is told["discovery"] is Outcome.FAILED
    assert told["given key"] is told["callback"] is Outcome.NOT_TRIED
    assert KEY not in server.keys
    assert f"Bearer {TOKEN}" not in server.tokens


def test_a_sign_in_before_callbacks_and_health_is_told() -> None:
    with Stranger(401, {"WWW-Authenticate": 'Bearer realm="app"'}, b"") as server:
        deployment = Deployment(url=server.url, token=TOKEN)
        told = {one.name: one for one in smoke_test(deployment)}

    assert "no token is shown" in told["public address"].seen
    assert "exclude /api/health" in told["health"].seen
    assert told["sign-in exclusions"].outcome is Outcome.FAILED


def test_what_cannot_be_reached_ends_at_once() -> None:
    ended = smoke(f"http://127.0.0.1:{free_port()}")

    seen = found(ended.stdout)
    assert ended.returncode == 1
    assert seen.pop("health") == ("FAILED", "no connection, or no HTTP")
    assert set(seen.values()) == {("not tried", "the deployment cannot be reached")}


def test_an_answer_that_drips_in_does_not_hold_it_up() -> None:
    with Stranger(200, {}, b"x" * 600, pause_s=0.1) as server:
        began = time.monotonic()
        findings = list(smoke_test(Deployment(url=server.url, key=KEY), budget_s=1))

    assert time.monotonic() - began < 5
    assert findings[0] == Finding("health", Outcome.FAILED, "no answer within 1 s")
    assert {one.outcome for one in findings[1:]} == {Outcome.NOT_TRIED}


def test_what_speaks_no_http_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            client, _ = listener.accept()
            client.close()

        Thread(target=hang_up, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        first = next(iter(smoke_test(Deployment(url=url))))

    assert str(first) == "FAILED     health              no connection, or no HTTP"


@pytest.mark.parametrize(
    "deployment",
    [
        Deployment(url="name.azurewebsites.net"),
        Deployment(url="http://name.azurewebsites.net", key=KEY),
        Deployment(url="https://me@name.azurewebsites.net"),
        Deployment(url="https://name.azurewebsites.net/?code=abc"),
        Deployment(url="https://name.azurewebsites.net", key="a\nb"),
        Deployment(url="https://[", key="k"),
        Deployment(url="https://name.azurewebsites.net", token="a\nb"),
    ],
    ids=["no scheme", "http", "user", "query", "key", "no host", "token"],
)
def test_a_faulty_argument_is_refused_before_anything_is_sent(deployment: Deployment) -> None:
    with pytest.raises(ConfigurationError) as caught:
        list(smoke_test(deployment))

    assert KEY not in caught.value.message


def test_a_faulty_argument_is_one_line_of_the_command() -> None:
    ended = smoke("http://name.azurewebsites.net")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "Without https the key could be read on its way; nothing was sent.\n"


def test_every_probe_is_on_its_page() -> None:
    page = (ROOT / "docs" / "smoke.md").read_text(encoding="utf-8")

    assert list(found(page.partition("```text\n")[2].partition("```")[0])) == NAMES
    assert [name for name in NAMES if f"`{name}`" not in page] == []
