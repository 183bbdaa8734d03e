"""What the page on gates shows is what happens."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from invoke_core.encoding import shown_form
from invoke_core.events import Begun, Exchanged, Seen
from invoke_core.gates import MOST_EVALUATIONS, GateOptions, read_gate
from invoke_core.lifecycle import advance
from invoke_core.model import (
    CompletionEvent,
    Effect,
    Method,
    Reason,
    ReasonCode,
    RequestView,
    Result,
)
from invoke_core.records import LEASE_GRACE, MOST_INTERRUPTIONS, Gate, Record, Work
from invoke_core.steps import FaultList, Given
from tests.core.records import START, waiting_record
from tests.process.conftest import ROOT, documents, running_demo, shell
from tests.process.test_docs import holds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from invoke_core.documents import JsonValue

PAGE: Final = (ROOT / "docs" / "gates.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


FIRST, NEVER_PASSES, TOO_LATE, WAITS = blocks("sh")
PASSED, REFUSED, TIMED_OUT, LOST = map(json.loads, blocks("json"))
LOG, *PIPELINES = blocks("text")
(STEP,) = blocks("yaml")
MEMBERS: Final = re.findall(
    r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ", PAGE, re.MULTILINE
)
LEASE: Final = timedelta(seconds=20) + LEASE_GRACE
FAILED: Final = Exchanged(
    result=Result.FAILED,
    reason=Reason(ReasonCode.STATUS_CODE, "The target answered 503.", Effect.ANSWERED),
)
SUCCEEDED: Final = Exchanged(result=Result.SUCCEEDED)


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
    return re.sub(r"127\.0\.0\.1:\d+", "HOST", plain).splitlines()


def untimed(evaluations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**each, "at": "TIME"} for each in evaluations]


def test_the_first_example_is_the_file_its_command_sends() -> None:
    assert (ROOT / "examples" / "gate-step.yaml").read_text(encoding="utf-8") == STEP


def test_a_gate_passes_at_the_third_look_and_tells_so(demo: str) -> None:
    answer = answer_of(at(demo, FIRST))

    assert untimed(answer.pop("evaluations")) == untimed(PASSED["evaluations"])
    others = {name: value for name, value in PASSED.items() if name != "evaluations"}
    assert holds(others, answer), answer
    log = shell(f"curl --fail {shlex.quote(answer['links']['log'])}").stdout
    assert without_times(log) == without_times(LOG)


def test_a_gate_that_cannot_pass_is_refused(demo: str) -> None:
    answer = answer_of(at(demo, NEVER_PASSES))

    assert holds(REFUSED, answer), answer


def test_a_gate_ends_at_its_timeout(demo: str) -> None:
    answer = answer_of(at(demo, TOO_LATE))

    assert holds(TIMED_OUT, answer), answer
    assert answer["finishedAt"] == answer["deadline"]


def test_a_shell_waits_for_a_gate(demo: str) -> None:
    script = at(demo, WAITS).replace("wait=60", "wait=0")

    ended = shell(script, BUILD_ID="17")

    assert ended.returncode == 0, ended.stderr
    answers = list(documents(ended.stdout))
    assert answers[0]["state"] in {"pending", "inProgress"}
    assert answers[-1]["result"] == "succeeded"
    assert {answer["id"] for answer in answers} == {answers[0]["id"]}


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_a_pipeline_waits_with_the_command_of_the_shell(pipeline: str) -> None:
    (command,) = re.findall(r"curl .*?strict=true\"", pipeline, re.DOTALL)

    words = shlex.split(command)

    assert [word for word in words if word.startswith("--")] == [
        *("--fail-with-body", "--retry", "--retry-max-time"),
        *(["--output"] if "bash:" in pipeline else []),
        "--data-binary",
    ]
    assert words[words.index("--retry-max-time") + 1] == "7200"
    assert re.search(r"(?:timeoutInMinutes|timeout-minutes|timeout): 125", pipeline)
    assert {"Prefer: wait=60", "Content-Type: application/yaml"} < {*words}


def gate_of(**members: str) -> GateOptions | None:
    faults = FaultList()
    value: JsonValue = {**members}
    gate = read_gate(Given(value, "/gate"), faults)
    assert (gate is None) == bool(faults.faults)
    return gate


def test_the_table_of_members_has_every_one_with_its_default() -> None:
    shown = {name: default for name, default, _, _ in MEMBERS}

    assert gate_of(**shown) == gate_of()
    assert len(shown) == len(GateOptions.__slots__)


@pytest.mark.parametrize(("name", "default", "least", "most"), MEMBERS)
def test_a_member_takes_what_the_table_says(name: str, default: str, least: str, most: str) -> None:
    others = {} if name == "timeout" else {"timeout": "43200"}
    allowed = (
        [least, default]
        if name in {"stabilizationTime", "minimumSuccessDuration"}
        else [
            least,
            default,
            most,
        ]
    )

    assert all(gate_of(**others, **{name: amount}) for amount in allowed)
    assert gate_of(**others, **{name: str(float(most) + 1)}) is None
    assert float(least) == 0 or gate_of(**others, **{name: str(float(least) / 2)}) is None


def gate_record(options: GateOptions, method: Method = Method.GET) -> Record:
    """Return the record of a gate that has just been asked for."""
    waiting = waiting_record()
    request = RequestView(method=method, url="https://api.example.com/", headers={})
    invocation = replace(
        waiting.invocation,
        completion_event=CompletionEvent.API_RESPONSE,
        request=request,
        attempts=0,
        deadline=START + timedelta(seconds=options.timeout_s),
    )
    due_at = START + timedelta(seconds=options.stabilization_s)
    gate = Gate(
        interval=timedelta(seconds=options.interval_s),
        success=timedelta(seconds=options.success_s),
        due_at=due_at,
    )
    return replace(waiting, invocation=invocation, work=Work(due_at=due_at, gate=gate))


def minutes_of(options: GateOptions | None, outcomes: list[Exchanged]) -> list[float]:
    """Return when evaluations with these outcomes take place, until the gate passes."""
    assert options is not None
    record, minutes = gate_record(options), list[float]()
    for number, outcome in enumerate(outcomes):
        assert record.work is not None
        assert record.work.due_at is not None
        now = record.work.due_at
        minutes.append((now - START).total_seconds() / 60)
        record = advance(record, Begun(holder=str(number), lease=LEASE), now)
        late = now + timedelta(seconds=3)
        record = advance(record, replace(outcome, holder=str(number)), late)
    assert record.invocation.result is Result.SUCCEEDED
    return minutes


def test_a_gate_passes_when_the_time_line_says() -> None:
    (text,) = re.findall(r"^With (`stabilizationTime: .*):$", PAGE, re.MULTILINE)
    given = dict(re.findall(r"`(\w+): (\d+)`", text))
    (line,) = re.findall(r"^minutes(.*)$", PAGE, re.MULTILINE)
    (fates,) = re.findall(r"^ +nothing +(.*)$", PAGE, re.MULTILINE)
    outcomes = [SUCCEEDED if fate == "succeeds" else FAILED for fate in fates.split()]

    _, *shown = map(float, line.split())

    assert minutes_of(gate_of(**given), outcomes) == shown[: len(outcomes)]
    assert len(outcomes) == 5


def test_an_interval_that_does_not_divide_the_duration_passes_after_it() -> None:
    assert "an interval of 4 and a duration of 10, at the fourth success in a row, after 12" in PAGE

    options = gate_of(samplingInterval="4", minimumSuccessDuration="10")

    assert minutes_of(options, [SUCCEEDED] * 4) == [0, 4, 8, 12]


def test_a_post_that_is_lost_is_recorded_as_shown() -> None:
    options = gate_of()
    assert options is not None
    begun = advance(gate_record(options, Method.POST), Begun(holder="a", lease=LEASE), START)

    after = advance(begun, Seen(), START + LEASE)

    evaluations = shown_form(after.invocation)["evaluations"]
    assert isinstance(evaluations, list)
    (evaluation,) = evaluations
    assert isinstance(evaluation, dict)
    assert {name: evaluation[name] for name in LOST} == LOST
    assert after.work is not None
    assert after.work.due_at == START + timedelta(minutes=5)


def test_the_page_has_the_numbers_of_the_code() -> None:
    assert f"the last {MOST_EVALUATIONS}" in PAGE
    assert MOST_INTERRUPTIONS == 3
    assert "three times at most, with a warning" in PAGE
    assert timedelta(seconds=40) == LEASE_GRACE
    assert "and 40 seconds more" in PAGE
    default = gate_of()
    assert default is not None
    assert f"makes {default.timeout_s / default.interval_s:.0f} evaluations" in PAGE
