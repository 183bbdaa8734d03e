"""How a document is read as a step (contract, section 2 "A step")."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from invoke_core.documents import JsonNumber, JsonValue, PlainText, parse_input
from invoke_core.model import Variable
from invoke_core.steps import FaultList, Given, Step, pointer, read_step, typed
from invoke_core.web.yaml_documents import read_yaml

if TYPE_CHECKING:
    from invoke_core.errors import Fault

TASK_GUID = "9c3e8943-130d-4c78-ac63-8af81df62dfb"
TIMEOUT = "'timeoutInMinutes' is a number of minutes from 0 to 43200."


def read(document: JsonValue) -> tuple[Step, list[Fault]]:
    faults = FaultList()
    return read_step(document, faults), faults.faults


def faults_of(document: JsonValue) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.detail) for fault in read(document)[1]]


def accepted(document: JsonValue) -> Step:
    step, faults = read(document)
    assert faults == []
    return step


def test_a_step_stands_alone_in_a_list_or_under_steps() -> None:
    step: JsonValue = {"inputs": {"method": "GET"}}

    alone = accepted(step)
    listed = accepted([step])
    wrapped = accepted({"steps": [step]})

    assert alone.inputs == {"method": Given("GET", "/inputs/method")}
    assert listed.inputs == {"method": Given("GET", "/0/inputs/method")}
    assert wrapped.inputs == {"method": Given("GET", "/steps/0/inputs/method")}


@pytest.mark.parametrize(
    ("document", "faults"),
    [
        ([], [("", "Exactly one step is run at a time; there are 0 here.")]),
        ([{}, {}], [("", "Exactly one step is run at a time; there are 2 here.")]),
        (
            {"steps": [{}, {}, {}]},
            [("/steps", "Exactly one step is run at a time; there are 3 here.")],
        ),
        ({"steps": {}}, [("/steps", "A list with one step belongs here.")]),
        ({"steps": None}, [("/steps", "A list with one step belongs here.")]),
        ("text", [("", "A step belongs here: an object with 'task' and 'inputs'.")]),
        (None, [("", "A step belongs here: an object with 'task' and 'inputs'.")]),
        (["x"], [("/0", "A step belongs here: an object with 'task' and 'inputs'.")]),
        (
            {"steps": [[]]},
            [("/steps/0", "A step belongs here: an object with 'task' and 'inputs'.")],
        ),
        ({}, [("", "The step has no 'inputs'.")]),
        (
            {"inputs": None},
            [("/inputs", "The inputs belong here: an object with names and values.")],
        ),
        (
            {"inputs": [{"name": "method"}]},
            [("/inputs", "The inputs belong here: an object with names and values.")],
        ),
    ],
)
def test_anything_but_one_step_is_refused(
    document: JsonValue, faults: list[tuple[str, str]]
) -> None:
    assert faults_of(document) == faults


def test_unknown_keys_and_inputs_are_named_with_the_nearest_known_name() -> None:
    document: JsonValue = {
        "steps": [
            {
                "tsk": "InvokeRESTAPI@1",
                "Method": "GET",
                "inputs": {"metod": "GET", "a/b~c": "", "genericServise": "x", "zzzzz": 1},
                "<<": {},
            }
        ],
        "variabels": {},
        "pool": "server",
    }

    assert faults_of(document) == [
        ("/variabels", "There is no key 'variabels'. Did you mean 'variables'?"),
        ("/pool", "There is no key 'pool'."),
        ("/steps/0/tsk", "There is no key 'tsk'. Did you mean 'task'?"),
        ("/steps/0/Method", "'Method' is an input; it belongs under 'inputs'."),
        ("/steps/0/inputs/metod", "There is no input 'metod'. Did you mean 'method'?"),
        ("/steps/0/inputs/a~1b~0c", "There is no input 'a/b~c'."),
        (
            "/steps/0/inputs/genericServise",
            "There is no input 'genericServise'. Did you mean 'genericService'?",
        ),
        ("/steps/0/inputs/zzzzz", "There is no input 'zzzzz'."),
        ("/steps/0/<<", "There is no key '<<'."),
    ]


def test_keys_and_inputs_are_known_in_any_letter_case() -> None:
    step = accepted({"TASK": "invokerestapi@1", "DisplayName": "d", "INPUTS": {"URLSuffix": "/a"}})

    assert step.display_name == "d"
    assert step.inputs == {"urlSuffix": Given("/a", "/INPUTS/URLSuffix")}
    assert step.inputs_pointer == "/INPUTS"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("method", "METHOD"),
        ("serviceConnection", "genericService"),
        ("connectedServiceName", "ServiceConnection"),
        ("azureSubscription", "connectedServiceNameARM"),
        ("connectionType", "connectedServiceNameSelector"),
        ("azureDevOpsServiceConnection", "connectedServiceNameAzureDevOps"),
    ],
)
def test_one_input_under_two_names_is_refused(first: str, second: str) -> None:
    assert faults_of({"inputs": {first: "a", second: "a"}}) == [
        (
            f"/inputs/{second}",
            f"'{second}' and '{first}' are the same input; give one of them.",
        )
    ]


def test_one_key_in_two_letter_cases_is_refused() -> None:
    assert faults_of({"inputs": {}, "Inputs": {"method": "GET"}}) == [
        ("/Inputs", "'Inputs' and 'inputs' are the same key; give one of them.")
    ]


def test_null_counts_as_absent() -> None:
    document = parse_input(
        '{"task": null, "displayName": null, "timeoutInMinutes": null, "gate": null, "poll": null,'
        ' "outputs": null, "condition": null, "variables": null, "target": null,'
        ' "inputs": {"method": null, "METHOD": "GET", "headers": null}}'
    )

    step = accepted(document)

    assert step == Step(inputs={"method": Given("GET", "/inputs/METHOD")}, inputs_pointer="/inputs")


def test_nothing_after_a_colon_in_yaml_counts_as_absent() -> None:
    step = accepted(
        read_yaml(
            "task:\ngate: ~\nvariables: null\ninputs:\n  method:\n  body: ''\n  headers: Null"
        )
    )

    assert step.inputs == {"body": Given("", "/inputs/body")}


@pytest.mark.parametrize(
    "task",
    [
        "InvokeRESTAPI@1",
        "InvokeRESTAPI@0",
        "invokerestapi",
        " INVOKERESTAPI@1 ",
        TASK_GUID,
        f"{TASK_GUID.upper()}@1",
    ],
)
def test_the_task_is_known_by_name_and_guid(task: str) -> None:
    accepted({"task": task, "inputs": {}})


@pytest.mark.parametrize(
    "task", ["InvokeRESTAPI@2", "InvokeRESTAPI@", "Bash@3", "InvokeRESTAPI@10"]
)
def test_another_task_is_refused(task: str) -> None:
    assert faults_of({"task": task, "inputs": {}}) == [
        ("/task", "The only task here is InvokeRESTAPI@1.")
    ]


@pytest.mark.parametrize(
    ("value", "minutes"),
    [
        ("0", 0),
        ("5", 5),
        ("0.5", 0.5),
        ("1e3", 1000),
        ("43200", 43_200),
        (" 7 ", 7),
        ("007", 7),
        ("", 0),
    ],
)
def test_the_time_limit_is_read_in_minutes(value: str, minutes: float) -> None:
    assert accepted({"timeoutInMinutes": value, "inputs": {}}).timeout_minutes == minutes
    if value.strip() == value and value not in {"", "007"}:
        number = accepted({"timeoutInMinutes": JsonNumber(value), "inputs": {}})
        assert number.timeout_minutes == minutes


@pytest.mark.parametrize("value", ["-1", "43201", "43200.1", "1e5", "NaN", "an hour", "1,5", "٣"])
def test_a_time_limit_that_is_none_is_refused(value: str) -> None:
    assert faults_of({"timeoutInMinutes": value, "inputs": {}}) == [("/timeoutInMinutes", TIMEOUT)]


@pytest.mark.parametrize("value", ["host", {"container": "c"}])
def test_a_target_is_accepted_and_changes_nothing(value: JsonValue) -> None:
    assert accepted({"target": value, "inputs": {}}) == accepted({"inputs": {}})


@pytest.mark.parametrize(
    ("value", "read_as"), [(True, True), (False, False), (" TRUE ", True), ("fALSE", False)]
)
def test_enabled_and_continue_on_error_are_true_or_false_in_any_case(
    value: JsonValue, *, read_as: bool
) -> None:
    step = accepted({"enabled": value, "continueOnError": value, "inputs": {}})

    assert (step.enabled, step.continue_on_error) == (read_as, read_as)


@pytest.mark.parametrize("blank", ["", " ", None, PlainText("~")])
def test_a_blank_option_is_at_its_default(blank: JsonValue) -> None:
    names = ("condition", "enabled", "continueOnError", "retryCountOnTaskFailure")

    assert accepted({**dict.fromkeys(names, blank), "inputs": {}}) == accepted({"inputs": {}})


@pytest.mark.parametrize("key", ["enabled", "continueOnError"])
@pytest.mark.parametrize("value", ["yes", "1", JsonNumber("0"), "$(x)"])
def test_what_is_neither_true_nor_false_is_refused(key: str, value: JsonValue) -> None:
    assert faults_of({key: value, "inputs": {}}) == [(f"/{key}", "This is either true or false.")]


@pytest.mark.parametrize(
    ("value", "count"), [("0", 0), (JsonNumber("3"), 3), (" 10 ", 10), ("007", 7)]
)
def test_retries_are_counted_in_whole_numbers(value: JsonValue, count: int) -> None:
    assert accepted({"retryCountOnTaskFailure": value, "inputs": {}}).retries == count


@pytest.mark.parametrize(
    "value", ["11", "-1", "1.5", "1.2e0", "2e1", "+1", "three", "٣", JsonNumber("99")]
)
def test_a_number_of_retries_outside_the_range_is_refused(value: JsonValue) -> None:
    assert faults_of({"RetryCountOnTaskFailure": value, "inputs": {}}) == [
        (
            "/RetryCountOnTaskFailure",
            "'retryCountOnTaskFailure' is a whole number of retries from 0 to 10.",
        )
    ]


@pytest.mark.parametrize("key", ["gate", "poll", "outputs"])
def test_what_an_option_of_ours_holds_is_kept_with_its_place(key: str) -> None:
    step = accepted({key.upper(): {"a": JsonNumber("5")}, "inputs": {}})

    assert getattr(step, key) == Given({"a": JsonNumber("5")}, f"/{key.upper()}")
    assert getattr(accepted({key: None, "inputs": {}}), key) is None
    assert getattr(accepted({key: PlainText(""), "inputs": {}}), key) is None
    assert getattr(accepted({key: {}, "inputs": {}}), key) == Given({}, f"/{key}")


@pytest.mark.parametrize(
    "key", ["task", "displayName", "condition", "enabled", "retryCountOnTaskFailure"]
)
def test_an_option_that_is_no_text_is_refused(key: str) -> None:
    values: tuple[JsonValue, ...] = ([], {})
    for value in values:
        assert faults_of({key: value, "inputs": {}}) == [
            (f"/{key}", f"'{key}' takes text, not an object or a list.")
        ]


def test_variables_are_texts_or_objects_and_names_ignore_case() -> None:
    step = accepted(
        {
            "steps": [
                {
                    "inputs": {},
                    "variables": {
                        "Region": "west",
                        "Key": {"value": "swordfish", "isSecret": True},
                    },
                }
            ],
            "variables": {
                "region": "east",
                "Count": JsonNumber("1.10"),
                "On": True,
                "None": None,
                "Empty": {"value": None},
                "Plain": {"value": "abc", "isSecret": "FALSE"},
            },
        }
    )

    assert step.variables == {
        "region": Variable(name="Region", value="west"),
        "key": Variable(name="Key", value="swordfish", is_secret=True),
        "count": Variable(name="Count", value="1.10"),
        "on": Variable(name="On", value="true"),
        "empty": Variable(name="Empty", value=""),
        "plain": Variable(name="Plain", value="abc"),
    }


def test_every_fault_of_the_variables_is_named() -> None:
    document: JsonValue = {
        "inputs": {},
        "variables": {
            "System.ACCESSTOKEN": "x",
            "a": [],
            "B": "1",
            "b": "2",
            "c": {"value": {}, "secret": True},
            "d": {"value": "abc", "isSecret": True},
            "e": {"value": "abcd", "isSecret": "maybe"},
        },
    }

    assert faults_of(document) == [
        ("/variables/System.ACCESSTOKEN", "'system.AccessToken' is set by the service."),
        ("/variables/a", "The value of a variable is text, or {value, isSecret}."),
        ("/variables/b", "The variable 'b' stands here twice; names ignore case."),
        ("/variables/c/secret", "There is no member 'secret'. Did you mean 'isSecret'?"),
        ("/variables/c/value", "The value of a variable is text."),
        (
            "/variables/d/value",
            "A secret has at least 4 characters; a shorter one cannot be masked.",
        ),
        ("/variables/e/isSecret", "This is either true or false."),
    ]


@pytest.mark.parametrize("variables", ["text", [], JsonNumber("1")])
def test_variables_that_are_no_object_are_refused(variables: JsonValue) -> None:
    assert faults_of({"inputs": {}, "variables": variables}) == [
        ("/variables", "Variables are an object: {name: text} or {name: {value, isSecret}}.")
    ]


@pytest.mark.parametrize(
    "name",
    [
        "system.CollectionUri",
        "system.TeamProjectId",
        "system.HostType",
        "system.PlanId",
        "system.JobId",
        "system.TimelineId",
        "system.TaskInstanceId",
        "system.AccessToken",
    ],
)
def test_what_the_service_sets_no_caller_sets(name: str) -> None:
    for written in (name, name.upper()):
        assert faults_of({"inputs": {}, "variables": {written: "x"}}) == [
            (f"/variables/{written}", f"'{name}' is set by the service.")
        ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("false", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("1.10", JsonNumber("1.10")),
        ("-0", JsonNumber("-0")),
        ("1e999", JsonNumber("1e999")),
        ("010", "010"),
        ("+1", "+1"),
        ("0x1F", "0x1F"),
        ("1:30", "1:30"),
        ("on", "on"),
        ("True", "True"),
        ("2026-01-27", "2026-01-27"),
        (".5", ".5"),
        ("٣", "٣"),
    ],
)
def test_json_types_are_read_from_plain_yaml_and_from_nothing_else(
    written: str, value: JsonValue
) -> None:
    assert typed({"a": [PlainText(written)]}) == {"a": [value]}
    assert typed([written]) == [written]
    assert type(typed(PlainText("on"))) is str


def test_pointers_escape_as_rfc_6901_says() -> None:
    assert pointer("/a", "b/c~d") == "/a/b~1c~0d"
    assert pointer("", 0) == "/0"
    assert pointer("", "") == "/"
