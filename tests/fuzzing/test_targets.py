"""What is fuzzed holds on seeds and some chance inputs, and each oracle can fail."""

from __future__ import annotations

import random
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from fuzz import criteria, headers, macros, pipelines, settings, steps, urls
from fuzz.__main__ import NAMES
from invoke_core.errors import Fault, SettingsError
from invoke_core.headers import read_headers
from invoke_core.inputs import read_task
from invoke_core.settings import read_settings
from invoke_core.variables import expand
from tests.pipelines.conftest import call

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fuzz.draw import Target
    from invoke_core.expressions import Criteria, Scope
    from invoke_core.inputs import Task
    from invoke_core.settings import Settings
    from tests.pipelines.conftest import Answered

INPUTS = 300


def inputs(target: Target) -> Iterator[bytes]:
    yield from target.seeds
    chance = random.Random(1)
    for _ in range(INPUTS):
        yield chance.randbytes(chance.randrange(200))


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_found_on_seeds_and_chance_inputs(name: str) -> None:
    target: Target = import_module(f"fuzz.{name}").TARGET

    for data in inputs(target):
        target.check(data)


def lets_framing_through(*given: Any, **named: Any) -> tuple[tuple[str, str], ...]:  # noqa: ANN401  # as the real one
    return (*read_headers(*given, **named), ("Transfer_Encoding", "chunked"))


def splits_a_request(*given: Any, **named: Any) -> tuple[tuple[str, str], ...]:  # noqa: ANN401  # likewise
    return (*read_headers(*given, **named), ("X-Made-Up", "a\r\nb"))


def expands_again(text: str, *given: Any, **named: Any) -> str:  # noqa: ANN401  # likewise
    return expand(expand(text, *given, **named), *given, **named)


def permits_all(*_: Any, **__: Any) -> None:  # noqa: ANN401  # likewise
    return None


def forgets(criteria_: Criteria, scope: Scope) -> bool:
    return not criteria_.test(scope)


def tells_types_apart(document: Any, **named: Any) -> Task:  # noqa: ANN401  # likewise
    task = read_task(document, **named)
    kind = type(document["inputs"].get("validStatusCodes")).__name__
    return replace(task, display_name=kind)


def tells_a_value(environ: dict[str, str], **named: Any) -> Settings:  # noqa: ANN401  # likewise
    read = read_settings(environ, **named)
    told = Fault("SERVICE_CONNECTIONS", environ["SERVICE_CONNECTIONS"])
    if settings.SECRET in told.detail:
        raise SettingsError([told])
    return read


def answers_5xx(*given: Any, **named: Any) -> Answered:  # noqa: ANN401  # likewise
    return replace(call(*given, **named), status=500)


def tells_the_token(*given: Any, **named: Any) -> Answered:  # noqa: ANN401  # likewise
    return replace(call(*given, **named), body=named["headers"]["authorization"].encode())


@pytest.mark.parametrize(
    ("target", "check"),
    [
        (headers.TARGET, lambda data: headers.check(data, read=lets_framing_through)),
        (headers.TARGET, lambda data: headers.check(data, read=splits_a_request)),
        (macros.TARGET, lambda data: macros.check(data, replace=expands_again)),
        (urls.TARGET, lambda data: urls.check(data, judge=permits_all)),
        (criteria.TARGET, lambda data: criteria.check(data, test=forgets)),
        (steps.TARGET, lambda data: steps.check(data, read=tells_types_apart)),
        (settings.TARGET, lambda data: settings.check(data, read=tells_a_value)),
        (pipelines.TARGET, lambda data: pipelines.check(data, send=answers_5xx)),
        (pipelines.TARGET, lambda data: pipelines.check(data, send=tells_the_token)),
    ],
)
def test_a_planted_fault_is_found(target: Target, check: Callable[[bytes], None]) -> None:
    def check_all() -> None:
        for data in inputs(target):
            check(data)

    with pytest.raises(AssertionError):
        check_all()
