"""What the answers of a long operation mean (contract, section 3, "Poll")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from invoke_core.answers import AnswerReading
from invoke_core.expressions import JsonPath, compile_criteria
from invoke_core.model import Effect, ReasonCode
from invoke_core.polling import Done, Failed, GoesOn, PollOptions, Source, begun, progress
from invoke_core.variables import Masker
from invoke_core.verdict import scope_of
from tests.core.build import answer

if TYPE_CHECKING:
    from invoke_core.expressions import Scope
    from invoke_core.polling import Progress

SECRET: Final = "swordfish"
CREDENTIAL: Final = "opensesame"
ASKED: Final = "https://h/v1/op/1"
ASYNC, OPERATION, LOCATION, BODY = (
    Source.ASYNC_OPERATION,
    Source.OPERATION,
    Source.LOCATION,
    Source.BODY,
)

Headers = tuple[tuple[str, str], ...]


def options(
    *, until: str | None = None, fail_when: str | None = None, status_url: str | None = None
) -> PollOptions:
    return PollOptions(
        status_url=JsonPath.parse(status_url) if status_url else None,
        until=compile_criteria(until) if until else None,
        fail_when=compile_criteria(fail_when) if fail_when else None,
    )


def said(
    body: bytes | str,
    *,
    status: int = 200,
    headers: Headers = (),
    poll: PollOptions | None = None,
    source: Source | None = None,
) -> Progress:
    """Return what an answer means: the first one where no source of the status URL is given."""
    masker = Masker([SECRET])
    reading = AnswerReading(
        answer(body, status=status, headers=headers), credential=Masker([CREDENTIAL])
    )

    def scope() -> Scope:
        return scope_of(reading, variables={"Region": "west"}, task_inputs={})

    poll = poll or options()
    if source is None:
        return begun(reading, poll, scope, mask=masker.show)
    return progress(reading, poll, scope, asked=ASKED, source=source, mask=masker.show)


def failure(what: Progress) -> tuple[ReasonCode, str]:
    assert isinstance(what, Failed)
    assert what.reason.effect is Effect.ANSWERED
    return what.reason.code, what.reason.message


STILL: Final = {source: GoesOn(ASKED, source) for source in Source}
NO_URL: Final = (
    ReasonCode.POLL_FAILED,
    (
        "The answer names no status URL: it has none of the headers Operation-Location, "
        "Azure-AsyncOperation and Location. Where it is in the body, give its JSONPath as "
        "poll.statusUrl."
    ),
)


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("Operation-Location", "/op")], GoesOn("/op", OPERATION)),
        ([("operation-location", "/op")], GoesOn("/op", OPERATION)),
        ([("AZURE-ASYNCOPERATION", "/op")], GoesOn("/op", ASYNC)),
        ([("LoCaTiOn", "/op")], GoesOn("/op", LOCATION)),
        ([("Location", "/1"), ("Azure-AsyncOperation", "/2")], GoesOn("/2", ASYNC)),
        (
            [("Location", "/1"), ("Azure-AsyncOperation", "/2"), ("Operation-Location", "/3")],
            GoesOn("/3", OPERATION),
        ),
        ([("Operation-Location", ""), ("Location", "/1")], GoesOn("/1", LOCATION)),
        ([("Location", "/1"), ("location", "/2")], GoesOn("/1, /2", LOCATION)),
    ],
)
def test_the_first_answer_names_the_status_url_in_its_headers(
    status: int, headers: list[tuple[str, str]], expected: GoesOn
) -> None:
    assert said("", status=status, headers=tuple(headers)) == expected


@pytest.mark.parametrize("status", [200, 201, 204])
def test_an_operation_that_is_over_at_once_names_no_status_url(status: int) -> None:
    assert said("", status=status) == Done()


def test_a_202_without_a_status_url_fails() -> None:
    assert failure(said("", status=202)) == NO_URL
    assert failure(said('{"Location": "/op"}', status=202)) == NO_URL


@pytest.mark.parametrize(
    ("body", "expected"), [('{"status": "done"}', True), ('{"status": "x"}', False), ("", False)]
)
def test_until_may_be_true_of_the_first_answer_already(body: str, *, expected: bool) -> None:
    what = said(body, poll=options(until="eq(root.status, 'done')"))

    if expected:
        assert what == Done()
    else:
        assert failure(what) == NO_URL


def test_a_status_url_goes_before_an_until_that_is_true_of_the_first_answer() -> None:
    what = said("{}", headers=(("Location", "/op"),), poll=options(until="eq(1, 1)"))

    assert what == GoesOn("/op", LOCATION)


@pytest.mark.parametrize(
    ("body", "path", "found"),
    [
        ('{"links": {"status": "/op?a=b"}}', "$.links.status", "/op?a=b"),
        ('{"links": [{"u": "/1"}, {"u": "/2"}]}', "$.links[*].u", "/1"),
        ('"https://h/op"', "$", "https://h/op"),
    ],
)
def test_the_status_url_may_stand_in_the_body(body: str, path: str, found: str) -> None:
    headers = (("Operation-Location", "/elsewhere"),)

    what = said(body, headers=headers, poll=options(status_url=path))

    assert what == GoesOn(found, BODY)


@pytest.mark.parametrize(
    "body",
    ["{}", '{"u": null}', '{"u": ""}', '{"u": 5}', '{"u": ["/op"]}', '{"u": {"a": 1}}', "[]"],
)
def test_a_body_without_the_status_url_fails(body: str) -> None:
    what = said(body, status=202, poll=options(status_url="$.u"))

    assert failure(what) == (
        ReasonCode.POLL_FAILED,
        "The answer has no status URL at $.u (poll.statusUrl).",
    )


@pytest.mark.parametrize("body", ["", "<a/>", '{"u": "/op"', "{'u': 1}"])
def test_a_body_that_is_not_json_has_no_status_url(body: str) -> None:
    code, _ = failure(said(body, status=202, poll=options(status_url="$.u")))

    assert code is ReasonCode.RESPONSE_NOT_JSON


@pytest.mark.parametrize("source", Source)
def test_202_means_not_yet_whatever_the_body_says(source: Source) -> None:
    for body in ("", "text", '{"status": "Succeeded"}', '{"status": "Failed"}'):
        assert said(body, status=202, source=source) == STILL[source]


@pytest.mark.parametrize("source", [LOCATION, BODY])
def test_any_other_valid_status_means_done_where_nothing_says_what_a_word_means(
    source: Source,
) -> None:
    for body in ("", "text", '{"status": "Running"}', '{"status": "Failed"}'):
        for status in (200, 201, 204):
            assert said(body, status=status, source=source) == Done()


@pytest.mark.parametrize("source", [ASYNC, OPERATION])
@pytest.mark.parametrize("word", ["Succeeded", "succeeded", "SUCCEEDED", "Completed", "success"])
def test_an_operation_of_azure_is_done_when_it_says_so(source: Source, word: str) -> None:
    assert said(f'{{"status": "{word}"}}', source=source) == Done()


@pytest.mark.parametrize("source", [ASYNC, OPERATION])
@pytest.mark.parametrize("body", ["", "text", "[]", "{}", '{"status": 5}', '{"status": null}'])
def test_an_answer_without_a_word_of_its_status_is_the_last(source: Source, body: str) -> None:
    assert said(body, source=source) == Done()


@pytest.mark.parametrize("source", [ASYNC, OPERATION])
@pytest.mark.parametrize(
    "word",
    [
        *("Running", "running", "InProgress", "in progress", "IN_PROGRESS", "NotStarted"),
        *("Not Started", "Accepted", "Pending", "Queued", "Provisioning", "Updating", "Deleting"),
    ],
)
def test_an_operation_that_runs_goes_on_with_200(source: Source, word: str) -> None:
    assert said(f'{{"status": "{word}"}}', source=source) == STILL[source]


@pytest.mark.parametrize("word", ["Preparing", "Ready to deploy", "…", "Failing"])
def test_every_word_that_is_no_end_goes_on_in_azure_resource_manager_only(word: str) -> None:
    body = f'{{"status": "{word}"}}'

    assert said(body, source=ASYNC) == STILL[ASYNC]
    assert said(body, source=OPERATION) == Done()


@pytest.mark.parametrize("source", [ASYNC, OPERATION])
@pytest.mark.parametrize("word", ["Failed", "failed", "Canceled", "Cancelled", "CANCELED"])
def test_an_operation_that_failed_fails_the_task(source: Source, word: str) -> None:
    assert failure(said(f'{{"status": "{word}"}}', source=source)) == (
        ReasonCode.POLL_FAILED,
        f"The operation ended with the status '{word}'.",
    )


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ('{"code": "Conflict", "message": "It exists."}', " It says Conflict: It exists."),
        ('{"code": "Conflict"}', " It says Conflict"),
        ('{"message": "It exists."}', " It says It exists."),
        ('{"code": 5, "message": null}', ""),
        ('"Conflict"', ""),
        ("null", ""),
        (f'{{"message": "{SECRET} and {CREDENTIAL}"}}', " It says *** and ***"),
        (f'{{"message": "{"x" * 295}{SECRET}"}}', f" It says {'x' * 295}***"),
        (f'{{"message": "{"x" * 400}"}}', f" It says {'x' * 300}"),
    ],
)
def test_what_a_failed_operation_says_is_told_masked_and_cut(error: str, told: str) -> None:
    what = said(f'{{"status": "Failed", "error": {error}}}', source=ASYNC)

    assert failure(what)[1] == f"The operation ended with the status 'Failed'.{told}"


def test_a_word_that_is_no_word_does_not_fill_the_message() -> None:
    what = said(f'{{"status": "{" " * 10_000}failed"}}', source=ASYNC)

    assert len(failure(what)[1]) < 400


UNTIL: Final = "eq(root.state, 'done')"


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("status", [200, 202])
def test_until_decides_over_statuses_and_words(source: Source, status: int) -> None:
    poll = options(until=UNTIL)

    for word in ("Succeeded", "Failed", "Running"):
        body = f'{{"status": "{word}", "state": '
        assert said(body + '"done"}', status=status, poll=poll, source=source) == Done()
        assert said(body + '"x"}', status=status, poll=poll, source=source) == STILL[source]


def test_until_may_read_status_headers_and_variables() -> None:
    poll = options(
        until="and(eq(response.status, 202), eq(response.headers['X-State'], variables.region))"
    )
    headers = (("x-state", "west"),)

    assert said("", status=202, headers=headers, poll=poll, source=LOCATION) == Done()
    assert said("", headers=headers, poll=poll, source=LOCATION) == STILL[LOCATION]


@pytest.mark.parametrize("poll", [options(until=UNTIL), options(fail_when=UNTIL)])
@pytest.mark.parametrize("body", ["", "text"])
def test_expressions_wait_for_a_body_with_202_and_fail_without_one_with_200(
    poll: PollOptions, body: str
) -> None:
    assert said(body, status=202, poll=poll, source=LOCATION) == STILL[LOCATION]
    code, _ = failure(said(body, poll=poll, source=LOCATION))
    assert code is ReasonCode.RESPONSE_NOT_JSON


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("name", ["until", "fail_when"])
def test_an_expression_that_cannot_be_evaluated_fails_the_task(name: str, status: int) -> None:
    poll = options(**{name: "gt(root.count, 'x')"})

    code, message = failure(said('{"count": 1}', status=status, poll=poll, source=LOCATION))

    assert code is ReasonCode.CRITERIA_ERROR
    assert message


@pytest.mark.parametrize("status", [200, 202])
def test_fail_when_comes_before_everything_else(status: int) -> None:
    poll = options(until=UNTIL, fail_when="eq(root.state, 'done')")

    assert failure(said('{"state": "done"}', status=status, poll=poll, source=ASYNC)) == (
        ReasonCode.POLL_FAILED,
        "The operation failed: poll.failWhen is true (eq(root.state, 'done')).",
    )
    assert said('{"state": "x"}', status=status, poll=poll, source=ASYNC) == STILL[ASYNC]


def test_a_fail_when_that_is_false_leaves_the_rest_to_statuses_and_words() -> None:
    poll = options(fail_when="eq(root.state, 'bad')")

    assert said('{"status": "Running"}', poll=poll, source=ASYNC) == STILL[ASYNC]
    assert said('{"status": "Succeeded"}', poll=poll, source=ASYNC) == Done()
    assert isinstance(said('{"status": "Failed"}', poll=poll, source=ASYNC), Failed)


def test_a_fail_when_is_quoted_masked_and_cut() -> None:
    poll = options(fail_when=f"or(eq(1, 1), eq('{SECRET}', '{'x' * 400}'))")

    _, message = failure(said("{}", poll=poll, source=ASYNC))

    assert SECRET not in message
    assert "eq('***', 'xxx" in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("source", "headers", "expected"),
    [
        (OPERATION, [("Operation-Location", "/2")], GoesOn("/2", OPERATION)),
        (OPERATION, [("Location", "/result")], STILL[OPERATION]),
        (OPERATION, [("Azure-AsyncOperation", "/2")], STILL[OPERATION]),
        (ASYNC, [("azure-asyncoperation", "/2"), ("Location", "/3")], GoesOn("/2", ASYNC)),
        (ASYNC, [("Location", "/result")], STILL[ASYNC]),
        (ASYNC, [("Operation-Location", "/2")], GoesOn("/2", OPERATION)),
        (LOCATION, [("Location", "/2")], GoesOn("/2", LOCATION)),
        (LOCATION, [("Azure-AsyncOperation", "/2")], GoesOn("/2", ASYNC)),
    ],
)
def test_a_later_answer_may_lead_on_but_not_from_the_operation_to_its_result(
    source: Source, headers: list[tuple[str, str]], expected: GoesOn
) -> None:
    assert said("", status=202, headers=tuple(headers), source=source) == expected


def test_a_status_url_from_the_body_stays() -> None:
    headers = (("Operation-Location", "/2"), ("Location", "/3"))

    what = said(
        '{"u": "/4"}', status=202, headers=headers, poll=options(status_url="$.u"), source=BODY
    )

    assert what == STILL[BODY]


def test_a_status_url_is_not_in_what_is_printed() -> None:
    assert "sig" not in repr(GoesOn("https://h/op?sig=1", LOCATION))
