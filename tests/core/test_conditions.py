"""Whether a step is to run, and what else its control options say (contract, section 2)."""

from __future__ import annotations

import json

import pytest

from invoke_core.conditions import STATUS_WORDS, Skip
from invoke_core.documents import JsonNumber, JsonValue
from invoke_core.errors import InvalidInputError
from invoke_core.inputs import Task, read_task
from invoke_core.model import ReasonCode
from invoke_core.problems import problem_of
from tests.core.build import BOOK, CORRELATION, step

WORDS = ", ".join(STATUS_WORDS)
KEY: JsonValue = {"value": "swordfish", "isSecret": True}


def read(document: JsonValue) -> Task:
    return read_task(document, connections=BOOK, correlation=CORRELATION, token="the-token")


def with_condition(condition: JsonValue, **variables: JsonValue) -> dict[str, JsonValue]:
    return step() | {"condition": condition, "variables": variables}


def in_state(condition: JsonValue, status: JsonValue) -> dict[str, JsonValue]:
    return step() | {"condition": condition, "variables": {"Agent.JobStatus": status}}


def skip_of(document: JsonValue) -> Skip:
    skip = read(document).skip
    assert skip is not None
    return skip


def refusal(document: JsonValue) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        read(document)
    return caught.value


def faults_of(document: JsonValue) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.detail) for fault in refusal(document).faults]


FUNCTIONS = ("succeeded", "failed", "canceled", "succeededOrFailed", "always")
HOLD = {
    "succeeded": ("succeeded", "succeededOrFailed", "always"),
    "failed": ("failed", "succeededOrFailed", "always"),
    "canceled": ("canceled", "always"),
}
"""Which status functions are true in each state (expressions reference, section 8)."""


@pytest.mark.parametrize(("word", "status"), STATUS_WORDS.items())
@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_step_runs_where_its_condition_holds_in_the_state_told(
    function: str, word: str, status: str
) -> None:
    for written in (word, word.upper(), f" {word.lower()}\n"):
        task = read(in_state(f"{function.upper()}()", written))

        assert (task.skip is None) == (function in HOLD[status])


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_pipeline_whose_state_is_not_told_has_succeeded(function: str) -> None:
    assert (read(with_condition(f"{function}()")).skip is None) == (function in HOLD["succeeded"])


def test_a_state_is_told_in_json_in_any_letter_case_and_place() -> None:
    document: JsonValue = {
        "steps": [step()],
        "variables": {"AGENT.jobstatus": {"value": "FAILED", "isSecret": False}},
    }

    assert skip_of(document).message == (
        "The condition succeeded() is not met: Agent.JobStatus is FAILED."
    )


def test_a_state_that_is_none_is_a_fault_with_the_choices_and_the_nearest() -> None:
    document: JsonValue = {
        "steps": [step() | {"variables": {"agent.JobStatus": "Succeded"}}],
        "variables": {"Agent.JobStatus": "Failed"},
    }

    assert faults_of(document) == [
        (
            "/steps/0/variables/agent.JobStatus",
            (
                f"The variable 'Agent.JobStatus' is the state of the pipeline, one of {WORDS}; "
                "it is 'Succeded'. Did you mean 'Succeeded'?"
            ),
        )
    ]


@pytest.mark.parametrize("status", ["", " ", "$(Agent.JobStatus)", "0", {"value": None}])
def test_a_state_that_says_nothing_is_no_success(status: JsonValue) -> None:
    [(where, detail)] = faults_of(in_state("always()", status))

    assert where == "/variables/Agent.JobStatus"
    assert WORDS in detail


def test_a_state_that_is_null_is_not_told() -> None:
    assert read(in_state("succeeded()", None)).skip is None


@pytest.mark.parametrize("condition", [None, "", " \n"])
def test_without_a_condition_a_step_runs_after_success_only(condition: JsonValue) -> None:
    task = read(in_state(condition, "Succeeded"))

    assert (task.condition_text, task.skip) == ("succeeded()", None)
    assert skip_of(in_state(condition, "Failed")) == Skip(
        code=ReasonCode.CONDITION_FALSE,
        message="The condition succeeded() is not met: Agent.JobStatus is Failed.",
        trace=("Evaluating: succeeded()", "Expanded: succeeded()", "Result: False"),
    )


@pytest.mark.parametrize(
    ("condition", "runs"),
    [
        (True, True),
        (False, False),
        (JsonNumber("1"), True),
        ("eq(variables['BUILD.reason'], 'manual')", True),
        ("ne(variables.key, 'swordfish')", False),
        ("eq(variables['none'], '')", True),
        ("in(variables['Agent.JobStatus'], 'Succeeded', 'SucceededWithIssues')", True),
        ("and(succeeded(),\n  eq(variables['Build.Reason'], 'PullRequest'))", False),
    ],
)
def test_a_condition_reads_the_variables_of_the_document(
    condition: JsonValue, *, runs: bool
) -> None:
    document: JsonValue = {
        "steps": [step() | {"condition": condition, "variables": {"Key": KEY}}],
        "variables": {"Build.Reason": "Manual"},
    }

    assert (read(document).skip is None) == runs


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            with_condition("failed()"),
            (
                "The condition failed() is not met: "
                "Agent.JobStatus is not given, which counts as Succeeded."
            ),
        ),
        (
            in_state("and(\n  succeeded(),\n  true)", "aborted"),
            (
                "The condition and( succeeded(), true) is not met: `succeeded()` was false. "
                "Agent.JobStatus is aborted."
            ),
        ),
        (
            with_condition("and(succeeded(), eq(variables.env, 'prod'))", env="dev"),
            (
                "The condition and(succeeded(), eq(variables.env, 'prod')) is not met: "
                "`variables.env` was 'dev' (text); expected equal to 'prod'."
            ),
        ),
    ],
)
def test_a_skip_says_what_the_condition_met(document: JsonValue, message: str) -> None:
    assert skip_of(document).message == message


def test_a_long_condition_is_cut_in_the_sentence_and_kept_whole_beside_it() -> None:
    condition = f"eq(variables.env, '{'x' * 5000}')"
    document = with_condition(condition, env="dev")

    assert len(skip_of(document).message) < 2000
    assert read(document).condition_text == condition


@pytest.mark.parametrize("enabled", [False, "false", "FALSE"])
def test_a_disabled_step_is_skipped_whatever_its_condition_says(enabled: JsonValue) -> None:
    for condition in ("always()", "failed()", "lt(5, variables['none.such'])"):
        assert skip_of(with_condition(condition) | {"enabled": enabled}) == Skip(
            code=ReasonCode.DISABLED, message="The step is disabled: 'enabled' is false."
        )


def test_what_is_wrong_with_a_disabled_step_is_told_all_the_same() -> None:
    faults = faults_of(in_state("succeeded(", "Fine") | {"enabled": False})

    assert [where for where, _ in faults] == ["/condition", "/variables/Agent.JobStatus"]


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("succeeded(", "Unclosed function: 'succeeded' at position 1."),
        ("succeded()", "Did you mean 'succeeded'?"),
        ("eq(root.status, 'x')", "It is for success criteria; a condition is evaluated before"),
        ("eq(Response.status, 200)", "It is for success criteria;"),
        ("eq($(env), 'prod')", "Macros are not expanded in a condition; variables['name'] reads"),
        ("succeeded('build')", "it takes no more than 0."),
        ("==", "There are no operators"),
        ("'x", "The text is not closed"),
        ('"x"', "Texts stand in single quotes."),
    ],
)
def test_a_condition_that_does_not_parse_is_a_fault(condition: str, told: str) -> None:
    [(where, detail)] = faults_of({"steps": [step() | {"Condition": condition}]})

    assert where == "/steps/0/Condition"
    assert told in detail


@pytest.mark.parametrize(
    "condition", ["lt(5, variables.env)", "format('{0:d}', 1)", "contains(variables, 'a')"]
)
def test_a_condition_that_cannot_be_evaluated_is_a_fault(condition: str) -> None:
    [(where, detail)] = faults_of(with_condition(condition, env="dev"))

    assert where == "/condition"
    assert detail.startswith("The condition cannot be evaluated: ")


def test_macros_are_not_expanded_in_a_condition() -> None:
    task = read(with_condition("eq('$(env)', variables.text)", env="x", text="$(ENV)"))

    assert (task.condition_text, task.skip) == ("eq('$(env)', variables.text)", None)
    assert task.warnings == ()


@pytest.mark.parametrize(
    "document",
    [
        with_condition("eq(variables.key, 'other')", key=KEY),
        with_condition("eq(format('<{0}>', variables.key), upper('swordfish'))", key=KEY),
        with_condition(
            "eq(variables.key, 'it''s me, too')", key={"value": "it's me", "isSecret": True}
        ),
        in_state("succeeded()", {"value": " Failed ", "isSecret": True}),
    ],
)
def test_a_skip_never_shows_a_secret(document: JsonValue) -> None:
    task = read(document)

    assert task.skip is not None
    shown = repr(task.skip)
    assert "***" in shown
    assert [word for word in ("swordfish", "it's me", "it''s me", "Failed") if word in shown] == []
    assert "swordfish" not in repr(task)


@pytest.mark.parametrize(
    "document",
    [
        with_condition("lt(5, variables.key)", key=KEY),
        with_condition("swordfish(", key=KEY),
        with_condition("my sword fish(", key={"value": "sword fish(", "isSecret": True}),
        in_state("succeeded()", {"value": " sword ", "isSecret": True}),
    ],
)
def test_a_fault_never_shows_a_secret_or_a_piece_of_one(document: JsonValue) -> None:
    error = refusal(document)

    problem = problem_of(error, instance="/api/invocations").document
    assert "sword" not in json.dumps(problem, default=str)


@pytest.mark.parametrize("waits", ["true", "TRUE", "$(waits)"])
def test_a_task_that_waits_for_a_callback_takes_no_retries(waits: str) -> None:
    document = step(waitForCompletion=waits) | {"variables": {"waits": "true"}}

    assert faults_of(document | {"RetryCountOnTaskFailure": "2"}) == [
        (
            "/RetryCountOnTaskFailure",
            (
                "'retryCountOnTaskFailure' goes with 'waitForCompletion: false'; a task that waits "
                "for a callback ends when it fails. Leave it out, and send the step again."
            ),
        )
    ]
    assert read(document | {"retryCountOnTaskFailure": "0"}).retries == 0


def test_the_options_are_in_the_task() -> None:
    task = read(
        step()
        | {"continueOnError": "True", "retryCountOnTaskFailure": "10", "condition": "always()"}
    )

    assert (task.continue_on_error, task.retries, task.condition_text) == (True, 10, "always()")


def test_every_fault_of_the_options_is_told_at_once() -> None:
    document = step(method="GETT") | {
        "condition": "succeeded(",
        "enabled": "yes",
        "continueOnError": "no",
        "retryCountOnTaskFailure": "11",
        "variables": {"Agent.JobStatus": "Fine"},
    }

    assert [where for where, _ in faults_of(document)] == [
        "/enabled",
        "/continueOnError",
        "/retryCountOnTaskFailure",
        "/inputs/method",
        "/condition",
        "/variables/Agent.JobStatus",
    ]


ASKED_BEFORE = '[{"serviceConnection":"generic_demo"},{},null,"0"]'
"""What was stored of a bare step before these options were known."""


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "condition": " Succeeded() ",
            "enabled": "TRUE",
            "continueOnError": "False",
            "retryCountOnTaskFailure": "00",
        },
        {"condition": "", "enabled": None, "continueOnError": " ", "target": "host"},
    ],
)
def test_options_at_their_defaults_say_nothing_to_an_idempotency_key(
    options: dict[str, JsonValue],
) -> None:
    assert read(step() | options).asked == ASKED_BEFORE


def test_each_other_value_of_an_option_is_another_request() -> None:
    others: list[dict[str, JsonValue]] = [
        {},
        {"condition": "always()"},
        {"condition": "failed()"},
        {"enabled": False},
        {"continueOnError": True},
        {"retryCountOnTaskFailure": JsonNumber("1")},
        {"retryCountOnTaskFailure": JsonNumber("2")},
        {"enabled": False, "continueOnError": True},
    ]

    assert len({read(step() | options).asked for options in others}) == len(others)
    assert (
        read(step() | {"enabled": "FALSE", "retryCountOnTaskFailure": "03"}).asked
        == read(step() | {"enabled": False, "retryCountOnTaskFailure": JsonNumber("3")}).asked
    )
