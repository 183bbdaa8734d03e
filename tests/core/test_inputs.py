"""A document becomes a task, or every fault in it is told at once (contract, section 2)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from invoke_core.documents import JsonNumber, JsonValue, PlainText, parse_input
from invoke_core.errors import Fault, InvalidInputError
from invoke_core.inputs import Task, read_task
from invoke_core.model import CompletionEvent, Method
from invoke_core.problems import problem_of
from invoke_core.steps import INPUT_ALIASES
from invoke_core.web.yaml_documents import read_yaml
from tests.core.build import BOOK, CORRELATION, step

# The task's own documentation, as printed; the connection is filled in below.
DOCUMENTED_EXAMPLE = """\
steps:
- task: InvokeRESTAPI@1
  displayName: 'Invoke REST API: GET'
  inputs:
    serviceConnection: 'generic_demo'
    method: GET
    successCriteria: 'eq(root[''count''], ''1425'')'
"""
DOCUMENTED_SYNTAX = """\
# Invoke REST API v1
# Invoke a REST API as a part of your pipeline.
- task: InvokeRESTAPI@1
  inputs:
    connectionType: 'connectedServiceName' # 'connectedServiceName' | 'connectedServiceNameARM'. \
Alias: connectedServiceNameSelector. Required. Connection type. Default: connectedServiceName.
    serviceConnection: # string. Alias: connectedServiceName | genericService. Required when \
connectedServiceNameSelector = connectedServiceName. Generic service connection.
    #azureServiceConnection: # string. Alias: connectedServiceNameARM | azureSubscription. \
Required when connectedServiceNameSelector = connectedServiceNameARM. Azure subscription.
    method: 'POST' # 'OPTIONS' | 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'TRACE' | 'PATCH'. \
Required. Method. Default: POST.
    #headers: # string. Headers.
    #body: # string. Optional. Use when method != GET && method != HEAD. Body.
    #urlSuffix: # string. URL suffix and parameters.
  # Advanced
    waitForCompletion: 'false' # 'true' | 'false'. Required. Completion event. Default: false.
    #successCriteria: # string. Optional. Use when waitForCompletion = false. Success criteria.
"""

DEFAULT_HEADERS = (
    ("Content-Type", "application/json"),
    ("PlanUrl", "https://invoke.example.com/azdo/default/"),
    ("ProjectId", "project-1"),
    ("HubName", "build"),
    ("PlanId", "plan-1"),
    ("JobId", "job-1"),
    ("TimelineId", "timeline-1"),
    ("TaskInstanceId", "task-1"),
)
METHODS = "OPTIONS, GET, HEAD, POST, PUT, DELETE, TRACE, PATCH"
TOKEN = "the-token-of-this-task"


def read(document: JsonValue, *, also: tuple[Fault, ...] = ()) -> Task:
    return read_task(document, connections=BOOK, correlation=CORRELATION, token=TOKEN, also=also)


def faults_of(document: JsonValue, *, also: tuple[Fault, ...] = ()) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInputError) as caught:
        read(document, also=also)

    return [(fault.pointer, fault.detail) for fault in caught.value.faults]


def of_inputs(**inputs: JsonValue) -> Task:
    return read(step(**inputs))


def test_a_step_of_nothing_but_a_connection_has_every_default() -> None:
    task = of_inputs()

    assert replace(task, valid_status=read(step()).valid_status) == Task(
        display_name="Invoke REST API: POST",
        connection="generic_demo",
        method=Method.POST,
        headers=DEFAULT_HEADERS,
        body=None,
        url_suffix="",
        criteria=None,
        valid_status=task.valid_status,
        completion_event=CompletionEvent.API_RESPONSE,
        timeout_s=3600,
        condition_text="succeeded()",
        skip=None,
        continue_on_error=False,
        retries=0,
        gate=None,
        poll=None,
        outputs={},
        variables={},
        inputs=task.inputs,
        secrets=(),
        asked=task.asked,
        warnings=(),
    )
    assert task.valid_status.text == "200-299"


def test_the_example_of_the_documentation_is_accepted_as_printed() -> None:
    task = read(read_yaml(DOCUMENTED_EXAMPLE))

    assert task.display_name == "Invoke REST API: GET"
    assert task.connection == "generic_demo"
    assert task.method is Method.GET
    assert task.criteria is not None
    assert task.criteria.source == "eq(root['count'], '1425')"


def test_the_syntax_block_of_the_documentation_is_accepted_with_a_connection() -> None:
    text = DOCUMENTED_SYNTAX.replace("serviceConnection: #", "serviceConnection: generic_demo #")

    task = read(read_yaml(text))

    assert task == replace(of_inputs(), asked=task.asked)


def test_the_syntax_block_with_every_line_uncommented_is_accepted() -> None:
    text = DOCUMENTED_SYNTAX.replace("    #", "    ").replace(
        "serviceConnection: #", "serviceConnection: generic_demo #"
    )

    task = read(read_yaml(text))

    assert task == replace(of_inputs(), asked=task.asked)


def test_the_syntax_block_without_a_connection_lacks_one() -> None:
    assert faults_of(read_yaml(DOCUMENTED_SYNTAX)) == [
        (
            "/0/inputs",
            "The input 'serviceConnection' is required for connectionType 'connectedServiceName'.",
        )
    ]


SAMPLES = {
    "connectionType": "connectedServiceName",
    "method": "PUT",
    "headers": '{"X-a": "1"}',
    "body": "text",
    "urlSuffix": "/a",
    "waitForCompletion": "false",
    "successCriteria": "true",
    "validStatusCodes": "200",
}


@pytest.mark.parametrize("name", [*SAMPLES, "connectedServiceNameSelector"])
@pytest.mark.parametrize("spell", [str, str.upper, str.lower, str.title])
def test_each_input_is_known_in_any_letter_case(name: str, spell: type[str]) -> None:
    value = SAMPLES.get(name, "connectedServiceName")

    task = of_inputs(**{spell(name): value})

    assert task.inputs[name] == value


@pytest.mark.parametrize(
    ("kind", "connection", "names"),
    [
        (
            "connectedServiceName",
            "generic_demo",
            ("serviceConnection", "connectedServiceName", "genericService"),
        ),
        (
            "connectedServiceNameARM",
            "my-azure",
            ("azureServiceConnection", "connectedServiceNameARM", "azureSubscription"),
        ),
        (
            "connectedServiceNameAzureDevOps",
            "my-org",
            ("azureDevOpsServiceConnection", "connectedServiceNameAzureDevOps"),
        ),
    ],
)
def test_each_connection_type_takes_its_connection_under_each_name(
    kind: str, connection: str, names: tuple[str, ...]
) -> None:
    for name in names:
        for written in (name, name.upper()):
            for selected in (kind, kind.lower()):
                task = read({"inputs": {"connectionType": selected, written: connection}})

                assert task.connection == connection
                assert {task.inputs[alias] for alias in names} == {connection}


def test_every_alias_of_the_documentation_is_there() -> None:
    assert INPUT_ALIASES == {
        "connectionType": ("connectedServiceNameSelector",),
        "serviceConnection": ("connectedServiceName", "genericService"),
        "azureServiceConnection": ("connectedServiceNameARM", "azureSubscription"),
        "azureDevOpsServiceConnection": ("connectedServiceNameAzureDevOps",),
        "method": (),
        "headers": (),
        "body": (),
        "urlSuffix": (),
        "waitForCompletion": (),
        "successCriteria": (),
        "validStatusCodes": (),
    }


def test_a_connection_is_found_without_case_and_named_as_its_administrator_wrote_it() -> None:
    assert of_inputs(serviceConnection=" GENERIC_Demo ").connection == "generic_demo"


def test_a_faulty_connection_is_no_fault_of_the_step() -> None:
    assert of_inputs(serviceConnection="broken").connection == "broken"


def test_connections_of_types_that_are_not_selected_are_ignored() -> None:
    task = of_inputs(azureSubscription="$(nobody)", azureDevOpsServiceConnection=[])

    assert task.connection == "generic_demo"
    assert task.warnings == ()


@pytest.mark.parametrize(
    ("inputs", "where", "detail"),
    [
        (
            {"serviceConnection": "generic-demo"},
            "/inputs/serviceConnection",
            "There is no service connection 'generic-demo'. Did you mean 'generic_demo'?",
        ),
        (
            {"genericService": "zzz"},
            "/inputs/genericService",
            "There is no service connection 'zzz'.",
        ),
        (
            {"connectedServiceName": " "},
            "/inputs/connectedServiceName",
            "The input 'serviceConnection' is required for connectionType 'connectedServiceName'.",
        ),
        (
            {},
            "/inputs",
            "The input 'serviceConnection' is required for connectionType 'connectedServiceName'.",
        ),
        (
            {"connectionType": "connectedServiceNameARM", "serviceConnection": "generic_demo"},
            "/inputs",
            (
                "The input 'azureServiceConnection' is required for connectionType "
                "'connectedServiceNameARM'."
            ),
        ),
        (
            {"connectionType": "connectedServiceNameArn"},
            "/inputs/connectionType",
            (
                "The input 'connectionType' is one of connectedServiceName, "
                "connectedServiceNameARM, connectedServiceNameAzureDevOps; "
                "it is 'connectedServiceNameArn'. "
                "Did you mean 'connectedServiceNameARM'?"
            ),
        ),
        (
            {"serviceConnection": "my-azure"},
            "/inputs/serviceConnection",
            (
                "The service connection 'my-azure' is of type azureResourceManager, "
                "and connectionType 'connectedServiceName' takes one of type generic."
            ),
        ),
        (
            {"serviceConnection": {"name": "generic_demo"}},
            "/inputs/serviceConnection",
            "The input 'serviceConnection' is text, not an object or a list.",
        ),
    ],
)
def test_a_connection_that_cannot_be_meant_is_refused(
    inputs: dict[str, JsonValue], where: str, detail: str
) -> None:
    assert faults_of({"inputs": inputs})[0] == (where, detail)


def test_one_fault_is_told_once() -> None:
    assert len(faults_of({"inputs": {"serviceConnection": []}})) == 1
    assert len(faults_of({"inputs": {"serviceConnection": "generic_demo", "method": []}})) == 1


@pytest.mark.parametrize("method", list(Method))
def test_every_method_is_read_in_any_letter_case(method: Method) -> None:
    for written in (method.value, method.lower(), f" {method.title()} "):
        assert of_inputs(method=written).method is method
    assert of_inputs(method=method.lower()).display_name == f"Invoke REST API: {method.value}"


@pytest.mark.parametrize(
    ("method", "near"),
    [("PSOT", " Did you mean 'POST'?"), ("LINK", ""), ("?", "")],
)
def test_another_method_is_refused(method: str, near: str) -> None:
    assert faults_of(step(method=method)) == [
        ("/inputs/method", f"The input 'method' is one of {METHODS}; it is '{method}'.{near}")
    ]


def test_an_empty_choice_is_the_default() -> None:
    task = of_inputs(method="", connectionType=" ", waitForCompletion="", validStatusCodes=" ")

    assert task.method is Method.POST
    assert task.valid_status.text == "200-299"


def test_the_empty_authtoken_of_the_default_headers_is_not_sent() -> None:
    assert "AuthToken" not in dict(of_inputs().headers)
    assert of_inputs(headers='{"AuthToken": "<$(system.AccessToken)>"}').headers == (
        ("AuthToken", "<>"),
    )


def test_headers_given_replace_the_default_and_their_values_are_expanded() -> None:
    document = step(headers='{"X-Plan": "$(SYSTEM.planid)", "$x": "$(q)"}')
    document["variables"] = {"q": 'say "hi"'}

    assert read(document).headers == (("X-Plan", "plan-1"), ("$x", 'say "hi"'))


def test_the_headers_of_a_guarded_connection_are_guarded() -> None:
    headers: JsonValue = {"X-HTTP-Method-Override": "DELETE"}

    assert of_inputs(headers=headers).headers == (("X-HTTP-Method-Override", "DELETE"),)
    assert faults_of(step(serviceConnection="guarded", headers=headers)) == [
        (
            "/inputs/headers/X-HTTP-Method-Override",
            (
                "The header 'X-HTTP-Method-Override' is refused where a connection grants "
                "only some requests."
            ),
        )
    ]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ('{"a": 1.0}', b'{"a": 1.0}'),
        ("  text ", b"  text "),
        ("é😀", "é😀".encode()),
        ("\ud800", "\ufffd".encode()),
        (
            {"b": JsonNumber("1.10"), "a": ["é", None, True]},
            '{"b":1.10,"a":["é",null,true]}'.encode(),
        ),
        ([], b"[]"),
        (JsonNumber("1e999"), b"1e999"),
        (True, b"true"),
        ("", None),
        (None, None),
    ],
)
def test_a_body_is_text_or_serialised_compactly(given: JsonValue, sent: bytes | None) -> None:
    assert of_inputs(body=given).body == sent


@pytest.mark.parametrize("method", list(Method))
def test_a_body_is_dropped_for_get_and_head_and_never_sent_with_trace(method: Method) -> None:
    task = of_inputs(method=method.value, body="text")

    dropped = method in {Method.GET, Method.HEAD, Method.TRACE}
    assert task.body == (None if dropped else b"text")
    assert task.warnings == (
        ("TRACE is never sent with a body; the input 'body' was dropped.",)
        if method is Method.TRACE
        else ()
    )


def test_a_body_and_headers_of_yaml_have_json_types() -> None:
    task = read(
        read_yaml(
            "inputs:\n"
            "  serviceConnection: generic_demo\n"
            "  headers: {X-Count: 1.10, X-On: on, X-True: true, X-Zip: 010, X-None: null}\n"
            "  body:\n"
            "    count: 1.10\n"
            "    zip: 010\n"
            "    text: '7'\n"
            "    on: on\n"
            "    yes: true\n"
            "    none:\n"
            "    at: 1:30\n"
            "    list: [1, ~, false]\n"
        )
    )

    assert task.headers == (
        ("X-Count", "1.10"),
        ("X-On", "on"),
        ("X-True", "true"),
        ("X-Zip", "010"),
    )
    assert task.body == (
        b'{"count":1.10,"zip":"010","text":"7","on":"on","yes":true,"none":null,'
        b'"at":"1:30","list":[1,null,false]}'
    )


def test_scalars_of_yaml_stay_text_in_every_other_input() -> None:
    task = read(
        read_yaml(
            "inputs:\n  serviceConnection: generic_demo\n  body: 010\n  urlSuffix: /1:30\n"
            "  waitForCompletion: FALSE\n  validStatusCodes: 200\n"
            "variables:\n  version: 1.10\n  day: 2026-01-27\n  flag: on"
        )
    )

    assert task.body == b"010"
    assert task.url_suffix == "/1:30"
    assert task.valid_status.text == "200"
    assert task.variables == {"version": "1.10", "day": "2026-01-27", "flag": "on"}


def test_macros_are_expanded_once_in_inputs_and_nowhere_else() -> None:
    document: JsonValue = {
        "displayName": "$(name)",
        "variables": {
            "Name": "Ada",
            "quote": 'a"b',
            "nested": "$(name)",
            "how": "pa",
            "where": "generic_demo",
        },
        "inputs": {
            "serviceConnection": "$(WHERE)",
            "method": "$(how)tch",
            "headers": {"X": "$(nested)"},
            "body": {"$(name)": "$(json:quote)", "n": "$(nested)"},
            "urlSuffix": "/$(NAME)/$(system.PlanId)",
            "successCriteria": "eq('$(name)', 'Ada')",
            "validStatusCodes": "200",
        },
    }

    task = read(document)

    assert task.display_name == "$(name)"
    assert task.connection == "generic_demo"
    assert task.method is Method.PATCH
    assert task.headers == (("X", "$(name)"),)
    assert task.body == b'{"Ada":"a\\"b","n":"$(name)"}'
    assert task.url_suffix == "/Ada/plan-1"
    assert task.criteria is not None
    assert task.criteria.source == "eq('Ada', 'Ada')"
    assert task.variables["nested"] == "$(name)"
    assert task.warnings == ()


def test_the_predefined_variables_are_those_of_the_invocation() -> None:
    names = (
        "CollectionUri",
        "TeamProjectId",
        "HostType",
        "PlanId",
        "JobId",
        "TimelineId",
        "TaskInstanceId",
        "AccessToken",
    )

    task = of_inputs(body="|".join(f"$(System.{name})" for name in names))

    assert task.body == (
        b"https://invoke.example.com/azdo/default/|project-1|build|plan-1|job-1|timeline-1|task-1|"
    )


def test_each_unknown_macro_is_a_warning_and_stays_as_it_is() -> None:
    task = of_inputs(
        body="$(nobody) $(nobody)", urlSuffix="/$(json:Other)", headers={"X": "$(nobody)"}
    )

    assert task.body == b"$(nobody) $(nobody)"
    assert task.url_suffix == "/$(json:Other)"
    assert sorted(task.warnings) == [
        f"The input '{name}' has the macro $({macro}), and there is no such variable; "
        "it was left as it is."
        for name, macro in [("body", "nobody"), ("headers", "nobody"), ("urlSuffix", "Other")]
    ]


@pytest.mark.parametrize("written", ["true", "TRUE", True, " true "])
def test_a_callback_is_asked_for_and_takes_no_criteria(written: JsonValue) -> None:
    task = of_inputs(waitForCompletion=written, successCriteria="")

    assert task.completion_event is CompletionEvent.CALLBACK
    assert faults_of(step(waitForCompletion=written, successCriteria="true")) == [
        (
            "/inputs/successCriteria",
            (
                "'successCriteria' goes with 'waitForCompletion: false'; "
                "a callback's result is never compared with it."
            ),
        ),
    ]


@pytest.mark.parametrize(("waits", "sent"), [("true", TOKEN), ("false", "")])
def test_the_token_is_known_to_a_task_that_waits_and_to_no_other(waits: str, sent: str) -> None:
    variables: JsonValue = {"waits": waits}
    task = read(
        {
            "inputs": {
                "serviceConnection": "generic_demo",
                "waitForCompletion": "$(waits)",
                "body": "<$(system.AccessToken)>",
            },
            "variables": variables,
        }
    )

    assert task.body == f"<{sent}>".encode()
    assert dict(task.headers).get("AuthToken", "") == sent


def test_what_was_asked_is_one_text_however_it_was_written() -> None:
    asked = of_inputs(method="GET", body={"b": JsonNumber("1.0"), "a": True}).asked

    assert (
        asked
        == read(
            {
                "steps": [
                    {
                        "inputs": {
                            "METHOD": "GET",
                            "connectedServiceName": "generic_demo",
                            "body": {"b": PlainText("1.0"), "a": PlainText("true")},
                        }
                    }
                ],
                "variables": {},
            }
        ).asked
    )
    assert asked != of_inputs(method="GET", body={"a": True, "b": JsonNumber("1.0")}).asked
    assert asked != of_inputs(method="PUT", body={"b": JsonNumber("1.0"), "a": True}).asked


@pytest.mark.parametrize("minutes", ["0", "60", "60.0", "6e1"])
def test_a_time_that_is_spelled_out_at_its_default_asks_for_the_same(minutes: str) -> None:
    bare = step()
    assert isinstance(bare, dict)
    spelled_out = read({**bare, "timeoutInMinutes": minutes})

    assert spelled_out.asked == read(bare).asked
    assert spelled_out.asked != read({**bare, "timeoutInMinutes": "59"}).asked


def test_what_was_asked_is_told_before_macros_are_expanded() -> None:
    one = of_inputs(body="$(system.PlanId)")

    assert "$(system.PlanId)" in one.asked


@pytest.mark.parametrize("written", ["yes", "1", "on", "ApiResponse"])
def test_a_completion_event_is_true_or_false(written: str) -> None:
    assert faults_of(step(waitForCompletion=written)) == [
        ("/inputs/waitForCompletion", "This is either true or false.")
    ]


@pytest.mark.parametrize("blank", ["", " \n", None])
def test_a_blank_criteria_is_none(blank: JsonValue) -> None:
    assert of_inputs(successCriteria=blank).criteria is None


@pytest.mark.parametrize("criteria", ["eq(root['a'], 'b'", "foo()", "root.", "eq(1)"])
def test_a_criteria_that_does_not_parse_is_a_fault(criteria: str) -> None:
    [(where, detail)] = faults_of(step(successCriteria=criteria))

    assert where == "/inputs/successCriteria"
    assert criteria in detail


@pytest.mark.parametrize(
    ("text", "valid", "invalid"),
    [
        ("200-299", (200, 204, 299), (199, 300, 404)),
        ("200-299,404", (200, 404), (403, 405)),
        (" 200 , 301 - 302 ,404", (200, 301, 302, 404), (201, 303)),
        ("100-999", (100, 999), ()),
        ("418", (418,), (417, 419)),
    ],
)
def test_valid_status_codes_are_codes_and_ranges(
    text: str, valid: tuple[int, ...], invalid: tuple[int, ...]
) -> None:
    codes = of_inputs(validStatusCodes=text).valid_status

    assert all(status in codes for status in valid)
    assert not any(status in codes for status in invalid)
    assert "200" not in codes


def test_a_status_code_may_be_a_number_of_json() -> None:
    assert 404 in of_inputs(validStatusCodes=JsonNumber("404")).valid_status


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("2xx", "2xx"),
        ("200-", "200-"),
        ("299-200", "299-200"),
        ("200,,404", ""),
        ("200,", ""),
        ("99", "99"),
        ("1000", "1000"),
        ("099", "099"),
        ("200 204", "200 204"),
        ("٢٠٠", "٢٠٠"),
    ],
)
def test_what_is_no_status_code_is_a_fault(text: str, part: str) -> None:
    assert faults_of(step(validStatusCodes=text)) == [
        (
            "/inputs/validStatusCodes",
            (
                f"'{part}' is no status code and no range of them; "
                "codes and ranges stand between commas, as in 200-299,404."
            ),
        )
    ]


@pytest.mark.parametrize(
    ("minutes", "seconds"), [("0", 3600), ("", 3600), ("1", 60), ("0.5", 30), ("43200", 2_592_000)]
)
def test_the_time_limit_is_in_minutes_and_nought_is_the_default(
    minutes: str, seconds: float
) -> None:
    assert read(step() | {"timeoutInMinutes": minutes}).timeout_s == seconds


def test_the_display_name_is_the_callers_or_tells_the_method() -> None:
    assert read(step(method="get") | {"displayName": " Mine "}).display_name == "Mine"
    assert read(step(method="get") | {"displayName": ""}).display_name == "Invoke REST API: GET"


def test_secrets_are_kept_for_masking_and_not_printed() -> None:
    document = step(body="$(key)") | {
        "variables": {
            "key": {"value": "swordfish", "isSecret": True},
            "open": {"value": "plainly", "isSecret": False},
        }
    }

    task = read(document)

    assert task.secrets == ("swordfish",)
    assert task.variables == {"key": "swordfish", "open": "plainly"}
    assert "swordfish" not in repr(task)


def test_inputs_are_kept_under_every_name_for_the_criteria() -> None:
    task = of_inputs(headers='{"a": "b"}', body={"a": JsonNumber("1.0")}, urlSuffix="/$(x)")

    assert task.inputs == {
        "connectionType": "connectedServiceName",
        "connectedServiceNameSelector": "connectedServiceName",
        "serviceConnection": "generic_demo",
        "connectedServiceName": "generic_demo",
        "genericService": "generic_demo",
        "method": "POST",
        "headers": '{"a": "b"}',
        "body": '{"a":1.0}',
        "urlSuffix": "/$(x)",
        "waitForCompletion": "false",
        "successCriteria": "",
        "validStatusCodes": "200-299",
    }


FIVE_FAULTS: JsonValue = {
    "steps": [
        {
            "task": "InvokeRESTAPI@1",
            "gate": {"timeot": JsonNumber("5")},
            "inputs": {
                "ServiceConnection": "generic-demo",
                "metod": "GET",
                "headers": {"Host": "evil", "a/b": "c"},
                "SuccessCriteria": "eq(root['a']",
                "validStatusCodes": "2xx",
            },
        }
    ]
}


def test_every_fault_is_told_at_once_with_its_pointer_and_names_as_typed() -> None:
    faults = faults_of(FIVE_FAULTS, also=(Fault("", "The header 'Prefer' is no preference."),))

    assert [where for where, _ in faults] == [
        "",
        "/steps/0/inputs/metod",
        "/steps/0/inputs/ServiceConnection",
        "/steps/0/inputs/headers/Host",
        "/steps/0/inputs/headers/a~1b",
        "/steps/0/inputs/SuccessCriteria",
        "/steps/0/inputs/validStatusCodes",
        "/steps/0/gate/timeot",
    ]
    assert faults[1][1] == "There is no input 'metod'. Did you mean 'method'?"


def test_every_pointer_leads_to_a_place_in_the_document_as_sent() -> None:
    document = parse_input(json.dumps({"INPUTS": {"Method": "GETT", "headers": {"a b": "c"}}}))

    pointers = [where for where, _ in faults_of(document)]

    assert pointers == ["/INPUTS", "/INPUTS/Method", "/INPUTS/headers/a b"]
    assert faults_of({})[1][0] == ""


def test_a_fault_never_shows_a_secret() -> None:
    document = step(method="$(key)", serviceConnection="swordfish") | {
        "variables": {"key": {"value": "swordfish", "isSecret": True}}
    }

    with pytest.raises(InvalidInputError) as caught:
        read(document)

    problem = problem_of(caught.value, instance="/api/invocations")
    assert "swordfish" not in json.dumps(problem.document, default=str)
    assert problem.document["errors"] == [
        {
            "pointer": "/inputs/serviceConnection",
            "detail": "There is no service connection '***'.",
        },
        {
            "pointer": "/inputs/method",
            "detail": f"The input 'method' is one of {METHODS}; it is '***'.",
        },
    ]
