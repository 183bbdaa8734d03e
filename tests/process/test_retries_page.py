"""What the page on retries and background work shows is what happens."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pytest

from invoke_core.alarms import Alarm
from invoke_core.wiring import build_app
from tests.api.conftest import Client, demo_connections, make_client
from tests.process.conftest import ROOT, documents, running_demo, shell
from tests.process.test_docs import holds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE: Final = (ROOT / "docs" / "retries-and-background.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


RETRIES, UNANSWERED, TOO_LATE, BACKGROUND, REPEATS, TWO_STEPS, LOOP = blocks("sh")
RETRIED, UNKNOWN, ENDED_EARLY, PENDING, REFUSED, *_ = map(json.loads, blocks("json"))
LOG, NOT_AGAIN, HEADERS, GIVEN_UP = blocks("text")
(STEP,) = blocks("yaml")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What ``make run`` starts, where a request may take three seconds; yields its URL."""
    folder = tmp_path_factory.mktemp("store")
    with running_demo(folder, API_RESPONSE_TIMEOUT_SECONDS="3") as url:
        yield url


def at(demo: str, script: str) -> str:
    return script.replace("http://127.0.0.1:7071", demo)


def answer_of(script: str) -> Any:  # noqa: ANN401  # any invocation
    return json.loads(shell(script).stdout)


def without_times(log: str) -> list[str]:
    plain = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", log)
    return re.sub(r"127\.0\.0\.1:\d+", "HOST", plain).splitlines()


def test_the_first_example_is_the_file_its_command_sends() -> None:
    assert (ROOT / "examples" / "retry-step.yaml").read_text(encoding="utf-8") == STEP


def test_a_failed_task_is_tried_again_and_tells_so(demo: str) -> None:
    answer = answer_of(at(demo, RETRIES))

    assert {name: answer[name] for name in RETRIED} == RETRIED
    log = shell(f"curl --fail {shlex.quote(answer['links']['log'])}").stdout
    assert without_times(log) == without_times(LOG)


def test_a_post_without_an_answer_is_not_repeated(demo: str) -> None:
    answer = answer_of(at(demo, UNANSWERED))

    assert holds(UNKNOWN, answer), answer


def test_no_try_comes_after_the_time_of_the_task(demo: str) -> None:
    answer = answer_of(at(demo, TOO_LATE))

    assert holds(ENDED_EARLY, answer), answer
    assert answer["finishedAt"] < answer["deadline"]
    assert answer["issues"][-1] == {"type": "warning", "message": NOT_AGAIN.strip()}
    assert answer["attempts"] == len(answer["issues"]) - 1


def test_a_task_in_the_background_is_pending_at_once(demo: str) -> None:
    head, _, body = shell(at(demo, BACKGROUND)).stdout.partition("\n\n")

    lines = head.replace("\r", "").splitlines()
    answer = json.loads(body)
    shown = at(demo, HEADERS)
    for line in re.sub(r"(?<=invocations/)\S+", answer["id"], shown).splitlines():
        assert line in lines
    assert holds(PENDING, answer), answer


def test_the_same_with_a_wait_is_answered_at_its_end(demo: str) -> None:
    script = at(demo, BACKGROUND).replace("respond-async", "respond-async, wait=10")

    head, _, body = shell(script).stdout.partition("\n\n")

    lines = head.replace("\r", "").splitlines()
    assert lines[0] == "HTTP/1.1 200 OK"
    assert "Preference-Applied: respond-async, wait=10" in lines
    assert json.loads(body)["result"] == "succeeded"


def test_curl_repeats_the_call_until_the_task_has_ended(demo: str) -> None:
    ended = shell(at(demo, REPEATS).replace("wait=60", "wait=0"), BUILD_ID="17")

    assert ended.returncode == 0, ended.stderr
    answers = list(documents(ended.stdout))
    assert answers[0]["state"] in {"pending", "inProgress"}
    assert answers[-1]["result"] == "succeeded"
    assert answers[-1]["attempts"] == 1
    assert {answer["id"] for answer in answers} == {answers[0]["id"]}


def test_one_step_starts_a_task_and_another_waits_for_it(demo: str) -> None:
    ended = shell(at(demo, TWO_STEPS), BUILD_ID="17")

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["result"] == "succeeded"


def test_a_loop_waits_for_a_task(demo: str) -> None:
    start = at(demo, TWO_STEPS).rpartition("curl ")[0]

    ended = shell(start + LOOP.replace("wait=60", "wait=1"), BUILD_ID="18")

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["result"] == "succeeded"


def test_a_loop_fails_where_the_task_failed(demo: str) -> None:
    failed = answer_of(at(demo, TOO_LATE))

    ended = shell(LOOP, TASK=failed["links"]["self"])

    assert ended.returncode == 1
    assert json.loads(ended.stdout)["id"] == failed["id"]


def test_a_secret_that_would_have_to_wait_is_refused_without_a_key(tmp_path: Path) -> None:
    connections = {"generic_demo": demo_connections("http://127.0.0.1:9")["demo"]}
    client = make_client(tmp_path, connections, InvokeStorage="UseDevelopmentStorage=true")
    step = (ROOT / "examples" / "background-step.yaml").read_bytes()

    answered = client.post(
        step, headers={"content-type": "application/yaml", "prefer": "respond-async"}
    )

    assert {name: answered.json[name] for name in REFUSED} == REFUSED


def test_what_cannot_be_done_gets_the_warning_of_the_page(tmp_path: Path) -> None:
    connections = json.dumps(demo_connections("http://127.0.0.1:9"))
    environ = {"SERVICE_CONNECTIONS": connections, "DEMO_PASSWORD": "some pass word"}
    app = build_app(environ, root=tmp_path)
    client = Client(app.handlers)
    step = {"inputs": {"serviceConnection": "demo"}}
    task = client.post(step, headers={"prefer": "respond-async"}).json
    now = datetime.now(UTC)

    assert app.background is not None
    app.background.runs.give_up(Alarm(plan_id=task["id"], at=now, set_at=now))

    told = client.get(f"api/invocations/{task['id']}").json
    assert told["state"] == "pending"
    assert told["issues"] == [{"type": "warning", "message": GIVEN_UP.strip()}]
