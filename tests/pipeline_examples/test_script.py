"""What the script behind every product does where the network or its set-up is against it."""

from __future__ import annotations

import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.pipeline_examples.conftest import KEY
from tests.pipeline_examples.products import EXAMPLES, PRODUCTS, ROOT, SCRIPT
from tests.sign_in import TOKEN
from tests.stores.middleman import Fault, middleman

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.pipeline_examples.conftest import NewJob, Target
    from tests.pipeline_examples.products import Ended, Job

    Run = Callable[[Job], Ended]

_INVOCATION = b'{"id":"0f1c8a52-6a3c-4d0a-8a8e-2f1f6f0c5a11","state":"inProgress"}'


class Elsewhere(ThreadingHTTPServer):
    """Answers everything with one status and one body: it is not the service, or half of it.

    Attributes:
        later: Statuses for those who ask again for an invocation, one after the other.
    """

    daemon_threads = True

    def __init__(self, status: int, body: bytes, later: tuple[int, ...] = ()) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = status
        self.body = body
        self.later = list(later)
        self.keys: list[str | None] = []


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Elsewhere

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.keys.append(self.headers["x-functions-key"])
        is_later = self.command == "GET" and "/log?" not in self.path and self.server.later
        self.send_response(self.server.later.pop(0) if is_later else self.server.status)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        if self.server.status == HTTPStatus.TOO_MANY_REQUESTS:
            self.send_header("Retry-After", "30")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST  # noqa: N815  # a name http.server looks for

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[Elsewhere]:
    with Elsewhere(*request.param) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def url_of(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(params=["dash", "bash"])
def run(request: pytest.FixtureRequest) -> Run:
    return PRODUCTS[request.param]


@pytest.mark.parametrize(
    "fault", [Fault.LOSE_ANSWER, Fault.CUT_ANSWER, Fault.FAIL_AFTERWARDS, Fault.LOSE_REQUEST]
)
def test_a_call_that_is_repeated_does_not_run_the_task_again(
    run: Run, new_job: NewJob, target: Target, service: str, fault: Fault
) -> None:
    suffix = f"/{new_job().folder.name}"
    with middleman(int(service.rpartition(":")[2])) as between:
        between.faults.append(fault)

        ended = run(new_job({"urlSuffix": suffix}, url=f"http://127.0.0.1:{between.port}"))

    assert ended.code == 0, ended.shown
    assert between.requests.count("POST /api/invocations") == 2
    assert target.asked[suffix] == 1
    assert "trying again" in ended.shown


def test_an_answer_of_the_log_that_is_lost_changes_no_outcome(
    run: Run, new_job: NewJob, service: str
) -> None:
    with middleman(int(service.rpartition(":")[2])) as between:
        between.faults += [Fault.NONE, Fault.NONE, Fault.LOSE_ANSWER]

        ended = run(
            new_job(
                {"urlSuffix": "/broken"},
                members={"retryCountOnTaskFailure": 1},
                url=f"http://127.0.0.1:{between.port}",
            )
        )

    assert ended.code == 1
    assert ended.shown.count("Starting: ") == 1
    assert "The task failed (statusCode)" in ended.shown


@pytest.mark.parametrize("answering", [(202, _INVOCATION, (503, 424))], indirect=True)
def test_a_wait_outlasts_answers_that_say_nothing(
    run: Run, new_job: NewJob, answering: Elsewhere
) -> None:
    ended = run(new_job(url=url_of(answering)))

    assert ended.code == 1
    assert "No usable answer (status 503, curl 0); trying again." in ended.shown


@pytest.mark.parametrize("answering", [(202, _INVOCATION, (401,))], indirect=True)
def test_a_wait_that_is_refused_names_the_task_that_goes_on(
    run: Run, new_job: NewJob, answering: Elsewhere
) -> None:
    ended = run(new_job(url=url_of(answering)))

    assert ended.code == 2
    assert "The service answered 401" in ended.shown
    assert f"The task: {url_of(answering)}/api/invocations/0f1c8a52-" in ended.shown


@pytest.mark.parametrize("answering", [(202, _INVOCATION), (408, _INVOCATION)], indirect=True)
def test_a_task_that_only_waits_never_passes(
    run: Run, new_job: NewJob, answering: Elsewhere
) -> None:
    ended = run(new_job(url=url_of(answering), timeout_s=1))

    assert ended.code == 3
    assert "has not ended after 1 s" in ended.shown


@pytest.mark.parametrize(
    "answering", [(200, b"<html>Please sign in</html>"), (200, b""), (424, b"{}")], indirect=True
)
def test_what_is_not_the_service_never_passes(
    run: Run, new_job: NewJob, answering: Elsewhere
) -> None:
    ended = run(new_job(url=url_of(answering)))

    assert ended.code == 2
    assert "without an invocation" in ended.shown


@pytest.mark.parametrize("answering", [(302, b""), (307, b"")], indirect=True)
def test_key_and_token_follow_no_redirect(run: Run, new_job: NewJob, answering: Elsewhere) -> None:
    (new_job().folder / ".curlrc").write_text("location\nverbose\n")

    ended = run(new_job(url=url_of(answering), token=TOKEN))

    assert ended.code == 2
    assert answering.keys == [KEY]
    assert KEY not in ended.shown
    assert TOKEN not in ended.shown


@pytest.mark.parametrize("answering", [(503, b"##vso[task.complete]\r::error::no")], indirect=True)
def test_what_a_gateway_says_is_shown_and_no_command(
    run: Run, new_job: NewJob, answering: Elsewhere
) -> None:
    ended = run(new_job(url=url_of(answering), timeout_s=1))

    assert ended.code == 3
    assert "| status 503\n  | # #vso[task.complete]\n  | ::error::no" in ended.shown


@pytest.mark.parametrize("answering", [(429, b"{}")], indirect=True)
def test_patience_ends_before_the_pause_that_a_gateway_asks_for(
    run: Run, new_job: NewJob, answering: Elsewhere
) -> None:
    began = time.monotonic()

    ended = run(new_job(url=url_of(answering), more={"INVOKE_PATIENCE": "2"}))

    assert ended.code == 3
    assert time.monotonic() - began < 10
    assert len(answering.keys) == 2


def test_a_method_that_is_not_granted_fails_the_job(run: Run, new_job: NewJob) -> None:
    ended = run(new_job({"serviceConnection": "readable", "method": "DELETE"}))

    assert ended.code == 2
    assert "The service answered 403" in ended.shown
    assert "does not grant DELETE" in ended.shown


def test_a_wrong_address_fails_the_job(run: Run, new_job: NewJob, service: str) -> None:
    ended = run(new_job(url=f"{service}/elsewhere"))

    assert ended.code == 2
    assert "404: there is no such route or task" in ended.shown


def test_key_and_token_stand_in_no_list_of_processes_and_no_file(run: Run, new_job: NewJob) -> None:
    """And curl has them in no environment, where a dump of its state would show it."""
    folder = new_job().folder / "temporary"
    folder.mkdir()
    job = new_job(
        {"urlSuffix": "/slow"}, token=TOKEN, more={"SHELLOPTS": "xtrace", "TMPDIR": str(folder)}
    )
    calls, files = set[bytes](), set[bytes]()
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(run, job)
        while not running.done():
            for process in Path("/proc").glob("[0-9]*"):
                if str(folder).encode() in (command := read(process / "cmdline")):
                    calls |= {command, read(process / "environ")}
            # A walk that bears folders which go away beneath it.
            files |= {
                read(Path(parent) / name) for parent, _, names in os.walk(folder) for name in names
            }

    assert any(b"--data-binary" in one for one in calls)
    assert any(b"Content-Type" in one for one in files)
    secrets = (KEY.encode(), TOKEN.encode())
    assert [one for one in calls | files if any(secret in one for secret in secrets)] == []
    assert running.result().code == 0
    assert KEY not in running.result().shown
    assert TOKEN not in running.result().shown
    assert list(folder.iterdir()) == []


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"INVOKE_URL": ""}, "INVOKE_URL is not set"),
        ({"INVOKE_URL": "http://api.example"}, "https://"),
        ({"INVOKE_STEP": "nothing.yaml"}, "no file nothing.yaml"),
        ({"INVOKE_KEY": "$(invokeKey)"}, "did not find"),
        ({"INVOKE_KEY": "a\nurl = https://elsewhere.example"}, "no key has"),
        ({"INVOKE_TOKEN": "$(invokeToken)"}, "did not find"),
        ({"INVOKE_TOKEN": "a\nurl = https://elsewhere.example"}, "no token has"),
        ({"INVOKE_TIMEOUT": "1h"}, "INVOKE_TIMEOUT takes"),
        ({"INVOKE_OUTPUTS": "xml"}, "INVOKE_OUTPUTS takes"),
        ({"INVOKE_OUTPUTS": "json", "INVOKE_OUTPUTS_FILE": ""}, "INVOKE_OUTPUTS_FILE is not set"),
        ({"INVOKE_OUTPUTS": "dotenv", "INVOKE_OUTPUTS_FILE": ""}, "INVOKE_OUTPUTS_FILE is not set"),
        ({"INVOKE_IDEMPOTENCY_KEY": ""}, "INVOKE_IDEMPOTENCY_KEY is not set"),
    ],
)
def test_a_faulty_setting_is_named(
    run: Run, new_job: NewJob, more: dict[str, str], said: str
) -> None:
    ended = run(new_job(more=more))

    assert ended.code == 2
    assert said in ended.shown


def test_a_task_whose_outputs_cannot_be_handed_on_fails_the_job(run: Run, new_job: NewJob) -> None:
    job = new_job(members={"outputs": {"PATH": "$.id"}})

    ended = run(job)

    assert ended.code == 2
    assert "its outputs cannot be handed on" in ended.shown
    assert "/outputs/PATH" in ended.shown


def test_outputs_end_their_line_and_are_no_command_in_the_log(run: Run, new_job: NewJob) -> None:
    job = new_job(
        members={"outputs": {"note": "$.note"}},
        more={"INVOKE_OUTPUTS": "json"},
    )

    ended = run(job)

    assert ended.code == 0, ended.shown
    assert ended.outputs.endswith("}\n")
    assert "##" not in ended.shown


def test_a_step_may_be_yaml_and_a_name_may_be_long(run: Run, new_job: NewJob) -> None:
    job = new_job(
        step="my step.yaml",
        more={"INVOKE_IDEMPOTENCY_KEY": "", "BUILD_TAG": "jenkins-ünter-" + "x" * 300},
    )
    (job.folder / "my step.yaml").write_text(
        "steps:\n- task: InvokeRESTAPI@1\n  inputs:\n"
        "    serviceConnection: target\n    method: GET\n"
    )

    assert run(job).code == 0


def test_every_setting_and_file_is_on_its_page() -> None:
    page = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
    head = SCRIPT.read_text(encoding="utf-8").partition("\nset -eu")[0]
    settings = set(re.findall(r"^#   (INVOKE_\w+)", head, re.MULTILINE))
    files = [path for path in EXAMPLES.rglob("*") if path.is_file()]

    assert settings == set(re.findall(r"^\| `(INVOKE_\w+)` \|", page, re.MULTILINE))
    assert settings == set(re.findall(r"INVOKE_[A-Z_]*[A-Z]", SCRIPT.read_text(encoding="utf-8")))
    assert [one for one in files if one.relative_to(EXAMPLES).as_posix() not in page] == []
