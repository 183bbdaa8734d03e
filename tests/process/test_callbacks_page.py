"""What the page on callbacks shows is what happens."""

from __future__ import annotations

import json
import re
import signal
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.conftest import demo_connections
from tests.api.target import Reply, Target
from tests.process.conftest import ROOT, documents, running, running_demo, shell, url_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = (ROOT / "docs" / "callbacks.md").read_text(encoding="utf-8")
WAITS, REPEATS, CALLS_BACK = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
(SHOWN,) = re.findall(r"^```json\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
HEADERS = {
    "PLAN_URL": "PlanUrl",
    "PROJECT_ID": "ProjectId",
    "HUB_NAME": "HubName",
    "PLAN_ID": "PlanId",
    "JOB_ID": "JobId",
    "TASK_INSTANCE_ID": "TaskInstanceId",
    "TIMELINE_ID": "TimelineId",
    "AUTH_TOKEN": "AuthToken",
}


def read(url: str) -> tuple[int, Any]:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310  # this machine
        return answer.status, json.load(answer)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What ``make run`` starts, on free ports; yields its URL."""
    with running_demo(tmp_path_factory.mktemp("store")) as url:
        yield url


def test_the_example_waits_and_succeeds_with_what_the_service_set(demo: str) -> None:
    ended = shell(WAITS.replace("http://127.0.0.1:7071", demo))

    answer = json.loads(ended.stdout)
    shown = json.loads(SHOWN)
    assert {name: answer[name] for name in shown} == shown
    log = shell(f"curl --fail {answer['links']['log']}").stdout.splitlines()
    assert "Deploying ..." in log
    assert "deployment 17: all 3 hosts answered" in log


def test_a_shell_waits_as_long_as_it_takes_and_sends_once(demo: str) -> None:
    script = REPEATS.replace("http://127.0.0.1:7071", demo).replace("wait=60", "wait=0")

    ended = shell(script, BUILD_ID="17")

    assert ended.returncode == 0, ended.stderr
    # curl prints what each try was answered with.
    answers = list(documents(ended.stdout))
    assert [answer["state"] for answer in answers[:-1]] == ["inProgress"] * (len(answers) - 1)
    assert len(answers) > 1
    assert answers[-1]["result"] == "succeeded"
    assert {answer["id"] for answer in answers} == {answers[0]["id"]}


def test_the_calls_back_in_curl_complete_the_task(tmp_path: Path) -> None:
    with Target() as target:
        target.reply = lambda _: Reply(b"{}", 202)
        settings = {
            "SERVICE_CONNECTIONS": json.dumps(demo_connections(target.url)),
            "DEMO_PASSWORD": "some pass word",
            "InvokeStorage": f"sqlite:///{tmp_path}/invoke.db",
        }
        with running(
            "invoke_core", ["serve", "--port", "0"], settings=settings, until="Listening"
        ) as (process, lines):
            url = url_in(lines)
            step = {"inputs": {"serviceConnection": "demo", "waitForCompletion": True}}
            request = urllib.request.Request(  # noqa: S310  # this machine
                f"{url}/api/invocations",
                json.dumps(step).encode(),
                {"Content-Type": "application/json"},
            )
            with urllib.request.urlopen(request, timeout=20) as accepted:  # noqa: S310  # likewise
                invocation = json.load(accepted)
            sent = {
                name: target.received[0].header(header) or "" for name, header in HEADERS.items()
            }

            ended = shell(CALLS_BACK, **sent)

            assert ended.returncode == 0, ended.stderr
            status, completed = read(invocation["links"]["self"])
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
    assert (status, completed["result"]) == (200, "succeeded")
    assert completed["outputs"] == {"deployedVersion": "1.4.2"}
    assert invocation["links"]["events"].startswith(sent["PLAN_URL"])
