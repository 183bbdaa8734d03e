"""What the page on polling shows is what happens."""

from __future__ import annotations

import json
import re
import shlex
from typing import TYPE_CHECKING, Any, Final

import pytest

from invoke_core.answers import AnswerReading
from invoke_core.inputs import read_task
from invoke_core.polling import (
    PASSING,
    Done,
    Failed,
    GoesOn,
    PollOptions,
    Source,
    progress,
    read_poll,
)
from invoke_core.records import MOST_POLL_FAILURES
from invoke_core.steps import FaultList, Given
from invoke_core.variables import Masker
from invoke_core.verdict import scope_of
from invoke_core.web.yaml_documents import read_yaml
from tests.api.conftest import demo_connections, make_client
from tests.api.target import Reply, Target
from tests.core.build import BOOK, CORRELATION, answer
from tests.process.conftest import ROOT, running_demo, shell
from tests.process.test_docs import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from invoke_core.expressions import Scope
    from tests.api.target import Received

PAGE: Final = (ROOT / "docs" / "polling.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


FIRST, FAILS, UNTIL, TOO_LONG = blocks("sh")
DEPLOYED, ELSEWHERE, FAILED, FOUND, GIVEN_UP, TIMED_OUT, TEMPLATE = map(json.loads, blocks("json"))
(LOG,) = blocks("text")
STEP, ARM = blocks("yaml")
AMOUNTS: Final = re.findall(
    r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ", PAGE, re.MULTILINE
)
JSON: Final = {"Content-Type": "application/json"}
QUICK: Final = {"intervalSeconds": 0.1}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What ``make run`` starts, on free ports; yields its URL."""
    with running_demo(tmp_path_factory.mktemp("store")) as url:
        yield url


def at(demo: str, script: str) -> str:
    return script.replace("http://127.0.0.1:7071", demo)


def answer_of(script: str) -> Any:  # noqa: ANN401  # any invocation
    return json.loads(shell(script).stdout)


def without_times(log: str) -> list[str]:
    plain = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "TIME", log)
    return re.sub(r"127\.0\.0\.1:\d+|d-\d+", "NAME", plain).splitlines()


def polled(root: Path, first: Callable[[Target], Reply], status: Reply) -> Any:  # noqa: ANN401  # any invocation
    """Run a POST whose status requests are all answered alike."""
    with Target() as target:

        def reply(request: Received) -> Reply:
            return first(target) if request.method == "POST" else status

        target.reply = reply
        client = make_client(root, demo_connections(target.url))
        step = {"inputs": {"serviceConnection": "demo"}, "poll": QUICK}
        return client.post(step).json


def test_the_first_example_is_the_file_its_command_sends() -> None:
    assert (ROOT / "examples" / "poll-step.yaml").read_text(encoding="utf-8") == STEP


def test_an_operation_is_waited_for_and_its_last_answer_is_the_tasks(demo: str) -> None:
    ended = answer_of(at(demo, FIRST))

    number = ended["outputs"]["deploymentId"]
    shown = json.loads(json.dumps(DEPLOYED).replace("d-17", number))
    assert holds(shown, ended), ended
    log = shell(f"curl --fail {shlex.quote(ended['links']['log'])}").stdout
    assert without_times(log) == without_times(LOG)


@pytest.mark.parametrize(
    ("script", "shown"), [(FAILS, FAILED), (UNTIL, FOUND), (TOO_LONG, TIMED_OUT)]
)
def test_another_example_ends_as_shown(script: str, shown: Any, demo: str) -> None:  # noqa: ANN401  # any JSON
    ended = answer_of(at(demo, script))

    assert holds(shown, ended), ended


def test_a_status_url_elsewhere_is_refused_in_the_words_shown(tmp_path: Path) -> None:
    elsewhere = {"Operation-Location": "https://elsewhere.example.com/operations/1"}

    ended = polled(tmp_path, lambda _: Reply(status=202, headers=elsewhere), Reply())

    assert holds(ELSEWHERE, ended), ended


def test_five_failures_in_a_row_end_a_task_in_the_words_shown(tmp_path: Path) -> None:
    def first(target: Target) -> Reply:
        return Reply(status=202, headers={"Operation-Location": f"{target.url}/operations/1"})

    ended = polled(tmp_path, first, Reply(status=503))

    assert holds(GIVEN_UP, ended), ended
    assert MOST_POLL_FAILURES == 5
    assert f"an answer {', '.join(map(str, sorted(PASSING)[:-1]))} or {max(PASSING)}," in PAGE


def test_the_example_for_azure_is_a_step_for_its_connections() -> None:
    task = read_task(read_yaml(ARM), connections=BOOK, correlation=CORRELATION, token="")

    assert task.poll == PollOptions()
    assert task.connection == "my-azure"
    assert task.url_suffix.startswith("/subscriptions/11111111-2222-3333-4444-555555555555/")


def test_the_example_for_azure_waits_for_its_deployment(tmp_path: Path) -> None:
    statuses = iter(['{"status": "Running"}', '{"status": "Running"}', '{"status": "Succeeded"}'])
    with Target() as target:

        def reply(request: Received) -> Reply:
            if request.method == "GET":
                return Reply(next(statuses).encode(), headers={**JSON, "Retry-After": "1"})
            deployment, _, version = request.path.partition("?")
            operation = f"{target.url}{deployment}/operationStatuses/08584?{version}"
            return Reply(
                b'{"properties": {"provisioningState": "Accepted"}}',
                201,
                {**JSON, "Azure-AsyncOperation": operation, "Retry-After": "1"},
            )

        target.reply = reply
        connections = {"my-azure": demo_connections(target.url)["demo"]}
        client = make_client(tmp_path, connections)
        generic = ARM.replace("    connectionType: connectedServiceNameARM\n", "").replace(
            "azureServiceConnection", "serviceConnection"
        )
        answered = client.post(generic, headers={"content-type": "application/yaml"})

        assert [request.method for request in target.received] == ["PUT", "GET", "GET", "GET"]
    assert holds(TEMPLATE, answered.json), answered.json


def options_of(members: dict[str, Any]) -> PollOptions | None:
    faults = FaultList()
    poll = read_poll(Given(members, "/poll"), faults, Masker(()))
    assert (poll is None) == bool(faults.faults)
    return poll


def test_the_defaults_of_the_table_are_those_of_the_code() -> None:
    defaults = {name: default for name, default, _, _ in AMOUNTS}

    assert options_of({**defaults, "statusUrl": "auto", "method": "GET"}) == options_of({})


@pytest.mark.parametrize(("name", "default", "least", "most"), AMOUNTS)
def test_an_amount_is_within_the_bounds_of_the_table(
    name: str, default: str, least: str, most: str
) -> None:
    assert all(options_of({name: amount}) for amount in (default, least, most))
    assert options_of({name: str(float(most) + 1)}) is None
    assert options_of({name: str(float(least) / 2)}) is None


SOURCES: Final = {
    "Azure-AsyncOperation": Source.ASYNC_OPERATION,
    "Operation-Location": Source.OPERATION,
    "Location": Source.LOCATION,
    "statusUrl": Source.BODY,
}
MEANINGS: Final = {"has failed": Failed, "goes on": GoesOn, "has ended": Done}


def meanings() -> Iterator[tuple[Source, str, type]]:
    """Yield where a URL was found, the body of an answer, and what the table makes of it."""
    table = PAGE.partition("## Whether it has ended")[2].partition("Words are read")[0]
    found = ""
    for row in re.findall(r"^\| (.*) \|$", table, re.MULTILINE)[2:]:
        *rest, words, meaning = row.split(" | ")
        found = rest[0] if rest and rest[0].strip("| ") else found
        (means,) = [kind for text, kind in MEANINGS.items() if f"it {text}" in meaning]
        bodies = [f'{{"status": "{word}"}}' for word in re.findall(r"`(\w+)`", words)]
        others = {
            "any other word": ['{"status": "Rebooting"}'],
            "none, or no text": ["{}", '{"status": 1}', "plain"],
            "is not looked at": ['{"status": "Failed"}', '{"status": "Running"}'],
        }
        for name in re.findall(r"`([\w-]+)`", found):
            for body in bodies or others[words.strip("| ")]:
                yield SOURCES[name], body, means


@pytest.mark.parametrize(("source", "body", "means"), [*meanings()])
def test_an_answer_means_what_the_table_says(source: Source, body: str, means: type) -> None:
    reading = AnswerReading(answer(body), credential=Masker(()))

    def scope() -> Scope:
        return scope_of(reading, variables={}, task_inputs={})

    came = progress(reading, PollOptions(), scope, asked="/x", source=source, mask=str)

    assert type(came) is means
    assert type(came) is not Failed or "ended with the status" in came.reason.message


def test_the_table_has_every_word_and_place() -> None:
    rows = [*meanings()]

    assert {source for source, _, _ in rows} == set(Source)
    assert len(rows) == 2 * 13 + 1 + 21 + 2 * 2
