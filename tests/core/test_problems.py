"""Errors and their problem documents (RFC 9457; contract, section 1; ``docs/problems.md``)."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from invoke_core import errors
from invoke_core.errors import Fault
from invoke_core.problems import (
    INTERNAL,
    PROBLEM_TYPES,
    ProblemType,
    internal_problem,
    problem_of,
    problem_type,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "problems.md"

FAMILIES: dict[type[errors.InvokeError], set[int]] = {
    errors.RequestError: {400, 401, 403, 404, 409, 411, 413, 415},
    errors.InvocationStateError: {404, 409},
    errors.ConfigurationError: {503},
    errors.DependencyError: {429, 502, 503, 504},
}
"""The statuses of the contract by who can mend it: the caller, the administrator, time."""


def below(base: type[errors.InvokeError]) -> Iterator[type[errors.InvokeError]]:
    for derived in base.__subclasses__():
        yield derived
        yield from below(derived)


def concrete() -> list[type[errors.InvokeError]]:
    """Return every class that is raised: all but the heads of the families."""
    classes = dict.fromkeys(below(errors.InvokeError))
    return [
        each for each in classes if each.__module__ == "invoke_core.errors" and each not in FAMILIES
    ]


def sections() -> dict[str, str]:
    """Return the page's sections by heading."""
    parts = re.split(r"^## (.+)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def types() -> list[ProblemType]:
    return list(dict.fromkeys(PROBLEM_TYPES.values()))


@pytest.mark.parametrize("error", concrete())
def test_every_error_resolves_to_a_problem_of_its_own_family(
    error: type[errors.InvokeError],
) -> None:
    [family] = [head for head in FAMILIES if issubclass(error, head)]

    assert problem_type(error).status in FAMILIES[family]
    assert problem_type(error) is not INTERNAL


def test_there_are_errors_to_speak_of() -> None:
    assert len(concrete()) >= 12


def test_every_problem_has_one_code_of_its_own() -> None:
    codes = [kind.code for kind in types()]

    assert len(codes) == len(set(codes))
    assert all(re.fullmatch("[a-z]+([A-Z][a-z]+)*", code) for code in codes)


def test_every_problem_and_nothing_else_has_a_heading_in_the_documentation() -> None:
    assert sorted(f"`{kind.code}`" for kind in types()) == sorted(sections())


@pytest.mark.parametrize("kind", types(), ids=lambda kind: kind.code)
def test_the_documentation_of_a_problem_tells_its_status_and_shows_it(kind: ProblemType) -> None:
    section = sections()[f"`{kind.code}`"]
    [example] = re.findall(r"```json\n(.*?)```", section, flags=re.DOTALL)
    document = json.loads(example)

    assert section.strip().startswith(f"**{kind.status}** {kind.title}.")
    assert list(document) == ["type", "title", "status", "detail", "instance", "code", "errors"]
    assert document["type"] == f"urn:invoke-rest-api:problem:{kind.code}"
    assert document["title"] == kind.title
    assert document["status"] == kind.status
    assert document["code"] == kind.code
    assert all(list(fault) == ["pointer", "detail"] for fault in document["errors"])


def test_an_error_nobody_named_is_the_services_own() -> None:
    assert problem_type(ValueError) is INTERNAL
    assert problem_type(errors.InvokeError) is INTERNAL


def test_a_problem_document_has_the_members_of_the_contract() -> None:
    problem = problem_of(errors.InvalidBodyError("The body is empty."), instance="/api/invocations")

    assert problem.status == 400
    assert problem.headers == {}
    assert problem.document == {
        "type": "urn:invoke-rest-api:problem:invalidBody",
        "title": "The body cannot be read",
        "status": 400,
        "detail": "The body is empty.",
        "instance": "/api/invocations",
        "code": "invalidBody",
        "errors": [],
    }


def test_every_fault_of_an_input_is_listed_and_secrets_are_masked() -> None:
    error = errors.InvalidInputError(
        [Fault("/a", "It is 'swordfish'."), Fault("/inputs/swordfish", "See /?code=12.")],
        secrets=["swordfish"],
    )

    problem = problem_of(error, instance="/api/invocations")

    assert problem.document["detail"] == "The request has 2 faults."
    assert problem.document["errors"] == [
        {"pointer": "/a", "detail": "It is '***'."},
        {"pointer": "/inputs/***", "detail": "See /?code=***"},
    ]


def test_a_single_fault_is_the_detail() -> None:
    error = errors.InvalidInputError([Fault("/a", "It is 'swordfish'.")], secrets=["swordfish"])

    assert problem_of(error, instance="/").document["detail"] == "It is '***'."


def test_faulty_settings_are_named() -> None:
    error = errors.SettingsError([Fault("B", "One."), Fault("A", "Two."), Fault("B", "Three.")])

    problem = problem_of(error, instance="/")

    assert problem.status == 503
    assert problem.document["detail"] == "The service is not set up correctly; faulty: B, A."
    assert problem.document["errors"] == [
        {"pointer": "B", "detail": "One."},
        {"pointer": "A", "detail": "Two."},
        {"pointer": "B", "detail": "Three."},
    ]


def test_who_is_too_early_is_told_when_to_come_back() -> None:
    problem = problem_of(errors.BusyError("Full.", retry_after_s=2), instance="/")

    assert (problem.status, problem.headers) == (429, {"Retry-After": "2"})


def test_a_store_that_cannot_be_used_is_told_by_its_setting() -> None:
    problem = problem_of(errors.StoreUnavailableError("InvokeStorage", "timeout"), instance="/")

    assert problem.status == 503
    assert problem.document["detail"] == (
        "The store that the setting InvokeStorage names cannot be used (timeout)."
    )


def test_a_faulty_connection_is_told_by_its_name_alone() -> None:
    problem = problem_of(errors.ConnectionUnavailableError("demo"), instance="/")

    assert problem.status == 503
    assert problem.document["code"] == "connectionUnavailable"
    assert problem.document["detail"] == (
        "The service connection 'demo' is faulty and cannot be used; "
        "the service's log names the fault."
    )


def test_what_nobody_foresaw_is_an_incident_and_nothing_else() -> None:
    problem = internal_problem("incident-1", instance="/api/health")

    assert problem.status == 500
    assert problem.headers == {}
    assert problem.document == {
        "type": "urn:invoke-rest-api:problem:internalError",
        "title": "Something broke in the service",
        "status": 500,
        "detail": (
            "The effect of the request is unknown. The service's log has incident incident-1."
        ),
        "instance": "/api/health",
        "code": "internalError",
        "errors": [],
    }


def test_expression_errors_keep_what_the_engine_reports() -> None:
    syntax = errors.ExpressionSyntaxError(
        "m", source="s", kind="UnexpectedSymbol", token=")", position=3
    )
    value = errors.ExpressionValueError(
        "m", source="s", kind="TypeCast", from_kind="Object", to_kind="Number"
    )
    sending = errors.SendError("m", code="timedOut", effect="unknown")

    assert (syntax.source, syntax.kind, syntax.token, syntax.position) == (
        "s",
        "UnexpectedSymbol",
        ")",
        3,
    )
    assert (value.kind, value.from_kind, value.to_kind) == ("TypeCast", "Object", "Number")
    assert (sending.code, sending.effect, str(sending)) == ("timedOut", "unknown", "m")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("metod", " Did you mean 'method'?"),
        ("METHOD", " Did you mean 'method'?"),
        ("zzz", ""),
        ("", ""),
        ("x" * 100_000, ""),
    ],
)
def test_the_nearest_known_word_is_offered(typed: str, sentence: str) -> None:
    assert errors.did_you_mean(typed, ["method", "headers", "body"]) == sentence
