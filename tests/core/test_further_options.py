"""How a gate, a poll and outputs are read (contract, section 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from invoke_core.documents import JsonNumber, JsonValue, PlainText, parse_input
from invoke_core.errors import InvalidInputError
from invoke_core.gates import GateOptions
from invoke_core.inputs import Task, read_task
from invoke_core.model import Method
from invoke_core.problems import problem_of
from invoke_core.web.yaml_documents import read_yaml
from tests.core.build import BOOK, CORRELATION

if TYPE_CHECKING:
    from invoke_core.expressions import Criteria

SECRET: Final = "swordfish"
TOKEN: Final = "the-token-of-this-task"


def number(text: str) -> JsonNumber:
    return JsonNumber(text)


def step(**members: JsonValue) -> JsonValue:
    inputs = members.get("inputs")
    given = inputs if isinstance(inputs, dict) else {}
    return {**members, "inputs": {"serviceConnection": "generic_demo", **given}}


def read(document: JsonValue, *, keeps_secrets: bool = True) -> Task:
    return read_task(
        document,
        connections=BOOK,
        correlation=CORRELATION,
        token=TOKEN,
        keeps_secrets=lambda: keeps_secrets,
    )


def faults_of(document: JsonValue, *, keeps_secrets: bool = True) -> dict[str, str]:
    with pytest.raises(InvalidInputError) as caught:
        read(document, keeps_secrets=keeps_secrets)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def gate(**minutes: JsonValue) -> GateOptions:
    options = read(step(gate=minutes)).gate
    assert options is not None
    return options


def source(criteria: Criteria | None) -> str | None:
    return None if criteria is None else criteria.source


DEFAULT_GATE: Final = GateOptions(interval_s=300, timeout_s=86_400, stabilization_s=0, success_s=0)
CALLBACK: Final[JsonValue] = {"waitForCompletion": True}


def test_a_gate_of_nothing_has_the_defaults_of_release_gates() -> None:
    assert gate() == DEFAULT_GATE
    assert gate(timeout=None, samplingInterval=None) == DEFAULT_GATE
    assert read(step(gate={})).timeout_s == 86_400
    assert read(step(gate={})).may_outlive_its_call


@pytest.mark.parametrize(
    "written",
    [
        {
            "samplingInterval": number("0.5"),
            "timeout": number("10"),
            "stabilizationTime": number("1"),
            "minimumSuccessDuration": number("2.0"),
        },
        {
            "SAMPLINGINTERVAL": "0.5",
            "Timeout": " 10 ",
            "stabilizationtime": "1",
            "minimumSuccessDuration": "2",
        },
        {
            "samplingInterval": PlainText("0.50"),
            "timeout": PlainText("10"),
            "stabilizationTime": PlainText("1"),
            "minimumSuccessDuration": PlainText("2"),
        },
    ],
)
def test_a_gate_is_read_in_minutes_from_numbers_and_text(written: dict[str, JsonValue]) -> None:
    assert gate(**written) == GateOptions(
        interval_s=30, timeout_s=600, stabilization_s=60, success_s=120
    )


def test_fractions_have_as_many_digits_as_a_division_gives() -> None:
    options = gate(samplingInterval=number("0.08333333333333333"), timeout=number("1"))

    assert options.interval_s == pytest.approx(5)


@pytest.mark.parametrize("member", ["samplingInterval", "timeout"])
@pytest.mark.parametrize("value", ["0", "0.009", "43201", "-1", "five", "1e5", "", "NaN", "0x10"])
def test_an_interval_or_timeout_that_is_none_is_refused(member: str, value: str) -> None:
    for written in (value, number(value)):
        assert faults_of(step(gate={member: written})) == {
            f"/gate/{member}": f"'{member}' is a number of minutes from 0.01 to 43200."
        }


@pytest.mark.parametrize("member", ["stabilizationTime", "minimumSuccessDuration"])
@pytest.mark.parametrize("value", ["-1", "43201", True, [], {}])
def test_a_duration_that_is_none_is_refused(member: str, value: JsonValue) -> None:
    assert faults_of(step(gate={member: value})) == {
        f"/gate/{member}": f"'{member}' is a number of minutes from 0 to 43200."
    }


NEVER: Final = (
    "The gate can never pass: its timeout ends no later than stabilizationTime and the "
    "evaluations that minimumSuccessDuration takes, one every samplingInterval."
)


@pytest.mark.parametrize(
    ("interval", "timeout", "stabilization", "success", "passes"),
    [
        ("5", "5", "0", "0", True),
        ("5", "5", "5", "0", False),
        ("5", "5.01", "5", "0", True),
        ("5", "5", "0", "5", False),
        ("5", "5", "0", "1", False),
        ("5", "6", "0", "1", True),
        ("5", "10", "0", "6", False),
        ("5", "10.01", "0", "6", True),
        ("5", "10", "4", "5", True),
        ("5", "9", "4", "5", False),
        ("0.1", "0.31", "0", "0.3", True),
        ("0.1", "0.3", "0", "0.3", False),
    ],
)
def test_a_gate_that_could_never_pass_is_refused(
    interval: str, timeout: str, stabilization: str, success: str, *, passes: bool
) -> None:
    document = step(
        gate={
            "samplingInterval": interval,
            "timeout": timeout,
            "stabilizationTime": stabilization,
            "minimumSuccessDuration": success,
        }
    )

    if passes:
        assert read(document).gate
    else:
        assert faults_of(document) == {"/gate": NEVER}


def test_every_fault_of_a_gate_is_told_at_once_with_the_nearest_name() -> None:
    document: JsonValue = {
        "samplinginterval": "x",
        "timeot": "5",
        "Timeout": [],
        "timeout": "5",
        "stabilisationTime": "1",
    }

    assert faults_of(step(gate=document)) == {
        "/gate/samplinginterval": "'samplingInterval' is a number of minutes from 0.01 to 43200.",
        "/gate/timeot": "There is no member of 'gate' named 'timeot'. Did you mean 'timeout'?",
        "/gate/Timeout": "'timeout' is a number of minutes from 0.01 to 43200.",
        "/gate/timeout": "'timeout' stands here twice; names ignore case.",
        "/gate/stabilisationTime": (
            "There is no member of 'gate' named 'stabilisationTime'. "
            "Did you mean 'stabilizationTime'?"
        ),
    }


@pytest.mark.parametrize("value", ["5", number("5"), [], True])
def test_what_should_be_an_object_and_is_none_is_refused(value: JsonValue) -> None:
    faults = faults_of(step(gate=value))
    assert faults["/gate"].startswith("'gate' is an object; it may have samplingInterval, ")
    faults = faults_of(step(poll=value))
    assert faults["/poll"].startswith("'poll' is an object; it may have statusUrl, ")
    assert faults_of(step(outputs=value)) == {
        "/outputs": "Outputs are an object: names with JSONPaths into the answer."
    }


def test_what_is_null_is_not_given() -> None:
    task = read(step(gate=None, poll=None, outputs=None))

    assert (task.gate, task.poll, task.outputs) == (None, None, {})
    assert not task.may_outlive_its_call
    assert task.asked == read(step()).asked


def test_a_poll_of_nothing_has_its_defaults() -> None:
    task = read(step(poll={}))

    assert task.poll is not None
    assert (task.poll.status_url, task.poll.until, task.poll.fail_when) == (None, None, None)
    assert (task.poll.interval_s, task.poll.timeout_s, task.timeout_s) == (10, 3600, 3600)
    assert task.poll.method is Method.GET
    nulls = dict.fromkeys(("statusUrl", "until", "failWhen", "method", "intervalSeconds"), None)
    assert read(step(poll={**nulls, "timeoutMinutes": None})).poll == task.poll


@pytest.mark.parametrize("is_text", [False, True])
def test_a_poll_is_read(is_text: bool) -> None:  # noqa: FBT001  # a case
    task = read(
        step(
            poll={
                "STATUSURL": " $.links.status ",
                "intervalSeconds": "0.5" if is_text else number("0.5"),
                "timeoutMinutes": PlainText("120") if is_text else number("120"),
                "until": "eq(root.a, 1)",
                "failWhen": "eq(root.a, 2)",
                "method": " head ",
            },
            timeoutInMinutes="5",
        )
    )

    poll = task.poll
    assert poll is not None
    assert poll.status_url is not None
    assert poll.status_url.text == "$.links.status"
    assert (source(poll.until), source(poll.fail_when)) == ("eq(root.a, 1)", "eq(root.a, 2)")
    assert (poll.interval_s, poll.timeout_s, task.timeout_s) == (0.5, 7200, 7200)
    assert poll.method is Method.HEAD


@pytest.mark.parametrize("written", ["auto", "AUTO", " Auto "])
def test_the_status_url_is_looked_for_in_headers_when_told_so(written: str) -> None:
    poll = read(step(poll={"statusUrl": written})).poll

    assert poll is not None
    assert poll.status_url is None


def test_blank_expressions_of_a_poll_are_none() -> None:
    poll = read(step(poll={"until": " ", "failWhen": ""})).poll

    assert poll is not None
    assert (poll.until, poll.fail_when) == (None, None)


def test_every_fault_of_a_poll_is_told_at_once_with_the_nearest_name() -> None:
    faults = faults_of(
        step(
            poll={
                "statusUrl": "https://h/op",
                "intervalSeconds": "0",
                "timeoutMinutes": number("43201"),
                "until": "eq(root.a",
                "failWhen": [],
                "method": "DELETE",
                "intervall": "5",
            }
        )
    )

    assert faults["/poll/statusUrl"].startswith("'statusUrl' is auto, or a JSONPath into the body.")
    assert faults["/poll/intervalSeconds"] == (
        "'intervalSeconds' is a number of seconds from 0.1 to 86400."
    )
    assert faults["/poll/timeoutMinutes"] == (
        "'timeoutMinutes' is a number of minutes from 0.01 to 43200."
    )
    assert faults["/poll/until"]
    assert faults["/poll/failWhen"] == "An expression belongs here, as text."
    assert faults["/poll/method"] == (
        "The method of status requests is one of GET, HEAD, POST; it is 'DELETE'."
    )
    assert faults["/poll/intervall"].startswith("There is no member of 'poll' named 'intervall'.")
    assert len(faults) == 7


@pytest.mark.parametrize("value", ["", " ", "links.status", "$[", "$.a[?(@ =~ /x/)]", {}, [], True])
def test_a_status_url_that_is_no_path_is_refused(value: JsonValue) -> None:
    (pointer,) = faults_of(step(poll={"statusUrl": value}))

    assert pointer == "/poll/statusUrl"


def test_a_poll_takes_retries_and_a_gate_does_not() -> None:
    assert read(step(poll={}, retryCountOnTaskFailure="2")).retries == 2
    assert faults_of(step(gate={}, retryCountOnTaskFailure="2")) == {
        "/retryCountOnTaskFailure": (
            "'retryCountOnTaskFailure' does not go with 'gate', which goes on anyway."
        )
    }
    assert read(step(gate={}, retryCountOnTaskFailure="0")).gate == DEFAULT_GATE


def test_a_gate_and_a_poll_do_not_go_together() -> None:
    assert faults_of(step(gate={}, poll={})) == {
        "/gate": "'gate' and 'poll' do not go together; give one."
    }


def test_none_of_them_goes_with_a_callback() -> None:
    assert faults_of(step(inputs=CALLBACK, gate={})) == {
        "/gate": "'gate' goes with 'waitForCompletion: false'; a callback ends the task itself."
    }
    assert faults_of(step(inputs=CALLBACK, poll={"metod": "x"})).keys() == {"/poll", "/poll/metod"}
    assert faults_of(step(inputs=CALLBACK, outputs={"id": "$.id"})) == {
        "/outputs": (
            "'outputs' goes with 'waitForCompletion: false'; a callback puts out the variables "
            "that the external service sets."
        )
    }


def test_outputs_are_read_in_order_with_their_letter_case() -> None:
    task = read(step(outputs={"B_2": "$.b", "a": " $['x y'] "}))

    assert {name: path.text for name, path in task.outputs.items()} == {
        "B_2": "$.b",
        "a": "$['x y']",
    }
    assert not task.may_outlive_its_call
    assert read(step(outputs={})).outputs == {}


NAME: Final = (
    "The name of an output consists of letters, digits and '_', and does not begin with a digit: "
    "it has to be the name of a variable everywhere."
)


@pytest.mark.parametrize("name", ["", "1a", "a b", "a.b", "a-b", "é", "a\n", "$(x)", "x;y", "a/b~"])
def test_an_output_whose_name_is_none_of_a_variable_is_refused(name: str) -> None:
    pointer = "/outputs/" + name.replace("~", "~0").replace("/", "~1")

    assert faults_of(step(outputs={name: "$.a"})) == {pointer: NAME}


@pytest.mark.parametrize("path", ["", "id", "a.b", "$[", "$.a[?(", [], {}, True, number("5")])
def test_an_output_whose_path_is_none_is_refused(path: JsonValue) -> None:
    assert faults_of(step(outputs={"a": path})).keys() == {"/outputs/a"}


def test_every_fault_of_outputs_is_told_at_once() -> None:
    faults = faults_of(step(outputs={"a b": "x", "Id": "$.a", "id": "$.b", "fine": "$.c"}))

    assert faults.keys() == {"/outputs/a b", "/outputs/id"}
    assert faults["/outputs/id"] == "'id' and 'Id' are the same output."


def test_there_are_50_outputs_at_most() -> None:
    outputs: dict[str, JsonValue] = {f"out_{count}": "$.a" for count in range(50)}

    assert len(read(step(outputs=outputs)).outputs) == 50
    assert faults_of(step(outputs={**outputs, "one_more": "$.a"})) == {
        "/outputs": "There may be 50 outputs at most."
    }


@pytest.mark.parametrize(
    "options",
    [
        {"poll": {"statusUrl": f"{SECRET}["}},
        {"poll": {"statusUrl": f"$.{SECRET}["}},
        {"poll": {"until": f"eq('{SECRET}'"}},
        {"poll": {"failWhen": f"{SECRET}(1)"}},
        {"poll": {"method": SECRET}},
        {"poll": {SECRET: "x"}},
        {"gate": {SECRET: "x"}},
        {"gate": {"timeout": SECRET}},
        {"outputs": {"a": f"$.{SECRET}["}},
        {"outputs": {"a": f"$.x[?(@.{SECRET} =~ /x/)]"}},
        {"outputs": {f"{SECRET}-": "$.a"}},
    ],
)
def test_a_fault_never_quotes_a_secret(options: dict[str, JsonValue]) -> None:
    variables: JsonValue = {"key": {"value": SECRET, "isSecret": True}}

    with pytest.raises(InvalidInputError) as caught:
        read(step(variables=variables, **options))

    told = str(problem_of(caught.value, instance="/api/invocations"))
    assert SECRET[:-1] not in told


@pytest.mark.parametrize("options", [{"gate": {}}, {"poll": {}}])
def test_a_step_that_waits_keeps_no_secret_where_there_is_no_key(
    options: dict[str, JsonValue],
) -> None:
    secret = step(variables={"key": {"value": SECRET, "isSecret": True}}, **options)
    header = step(inputs={"headers": {"X-Api-Key": "abc"}}, **options)
    suffix = step(inputs={"urlSuffix": "/x?sig=abc"}, **options)

    assert faults_of(secret, keeps_secrets=False).keys() == {"/variables/key"}
    assert faults_of(header, keeps_secrets=False).keys() == {"/inputs/headers"}
    assert faults_of(suffix, keeps_secrets=False).keys() == {"/inputs/urlSuffix"}
    for document in (secret, header, suffix):
        read(document)
    read(step(variables={"plain": SECRET}, **options), keeps_secrets=False)


def test_outputs_alone_keep_nothing() -> None:
    document = step(variables={"key": {"value": SECRET, "isSecret": True}}, outputs={"a": "$.a"})

    assert read(document, keeps_secrets=False).outputs


JSON: Final = """{
  "inputs": {"serviceConnection": "generic_demo"},
  "gate": {"samplingInterval": 0.5, "timeout": "10", "stabilizationTime": null},
  "outputs": {"id": "$.id", "b": "$.b"}
}"""
YAML: Final = """\
inputs:
  serviceConnection: generic_demo
outputs:
  b: $.b
  id: $.id
gate:
  timeout: 10
  SamplingInterval: 0.5
  minimumSuccessDuration:
"""
JSON_POLL: Final = """{
  "inputs": {"serviceConnection": "generic_demo"},
  "poll": {"statusUrl": "auto", "intervalSeconds": 5, "until": "eq(root.a, true)"}
}"""
YAML_POLL: Final = """\
inputs: {serviceConnection: generic_demo}
poll:
  until: eq(root.a, true)
  intervalSeconds: 5
  statusUrl: auto
"""


@pytest.mark.parametrize(("json", "yaml"), [(JSON, YAML), (JSON_POLL, YAML_POLL)])
def test_json_and_yaml_ask_the_same(json: str, yaml: str) -> None:
    one, other = read(parse_input(json)), read(read_yaml(yaml))

    assert one.asked == other.asked
    assert (one.gate, one.outputs) == (other.gate, other.outputs)


def test_what_was_asked_stays_what_it_was_without_them_and_differs_with_them() -> None:
    """Keys that were stored by an earlier version still match."""
    without = read(step()).asked
    assert "gate" not in without
    assert "poll" not in without
    assert "outputs" not in without

    asked = [
        read(document).asked
        for document in (
            step(gate={}),
            step(gate={"timeout": "5"}),
            step(gate={"timeout": "6"}),
            step(poll={}),
            step(poll={"until": "eq(1, 1)"}),
            step(poll={"failWhen": "eq(1, 1)"}),
            step(outputs={"a": "$.a"}),
            step(outputs={"A": "$.a"}),
            step(outputs={"a": "$.b"}),
        )
    ]
    assert len({without, *asked}) == 10
