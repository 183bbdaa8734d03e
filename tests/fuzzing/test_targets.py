"""What is fuzzed holds on seeds and some chance inputs, and each oracle can fail."""

from __future__ import annotations

import random
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from fuzz import criteria, headers, macros, steps
from fuzz.__main__ import NAMES
from invoke_core.headers import read_headers
from invoke_core.inputs import read_task
from invoke_core.variables import expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fuzz.draw import Target
    from invoke_core.expressions import Criteria, Scope
    from invoke_core.inputs import Task

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


def forgets(criteria_: Criteria, scope: Scope) -> bool:
    return not criteria_.test(scope)


def tells_types_apart(document: Any, **named: Any) -> Task:  # noqa: ANN401  # likewise
    task = read_task(document, **named)
    kind = type(document["inputs"].get("validStatusCodes")).__name__
    return replace(task, display_name=kind)


@pytest.mark.parametrize(
    ("target", "check"),
    [
        (headers.TARGET, lambda data: headers.check(data, read=lets_framing_through)),
        (headers.TARGET, lambda data: headers.check(data, read=splits_a_request)),
        (macros.TARGET, lambda data: macros.check(data, replace=expands_again)),
        (criteria.TARGET, lambda data: criteria.check(data, test=forgets)),
        (steps.TARGET, lambda data: steps.check(data, read=tells_types_apart)),
    ],
)
def test_a_planted_fault_is_found(target: Target, check: Callable[[bytes], None]) -> None:
    def check_all() -> None:
        for data in inputs(target):
            check(data)

    with pytest.raises(AssertionError):
        check_all()
