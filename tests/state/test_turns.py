"""Invocations take turns, and nobody waits for anything in his turn."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

from invoke_core import sending as sending_module
from invoke_core.answers import AnswerReading
from invoke_core.events import TaskCompleted
from invoke_core.model import Result
from tests.api.target import Reply
from tests.state.parts import Clock, call, make_service
from tests.turning import is_free

if TYPE_CHECKING:
    from invoke_core.ports import EntityStore
    from invoke_core.service import InvokeService
    from tests.api.target import Target


@pytest.fixture
def service(store: EntityStore, target: Target) -> InvokeService:
    return make_service(store, url=target.url, now=Clock())


def test_a_draft_is_made_in_turn(service: InvokeService, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    draft = type(service.drafts).draft

    def look(*values: Any, **named: Any) -> Any:  # noqa: ANN401  # passed on as it is
        seen.append(is_free(service.turns))
        return draft(*values, **named)

    monkeypatch.setattr(type(service.drafts), "draft", look)

    service.run(call())

    assert seen == [False]
    assert is_free(service.turns)


def test_a_small_answer_is_judged_in_turn_and_a_large_one_beside_it(
    service: InvokeService, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []

    def look(*values: Any, **named: Any) -> AnswerReading:  # noqa: ANN401  # passed on as it is
        seen.append(is_free(service.turns))
        return AnswerReading(*values, **named)

    monkeypatch.setattr(sending_module, "AnswerReading", look)

    for size in (10, 100_000):
        target.reply = lambda _, size=size: Reply(b'"' + b"x" * size + b'"')  # type: ignore[misc]  # bound now
        assert service.run(call()).invocation.result is Result.SUCCEEDED

    assert seen == [False, True]


def test_large_answers_wait_for_each_other_without_a_turn(
    service: InvokeService, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.reply = lambda _: Reply(b'"' + b"x" * 100_000 + b'"')
    is_judged, ends = threading.Event(), threading.Event()

    def judge_for_long(*values: Any, **named: Any) -> AnswerReading:  # noqa: ANN401
        is_judged.set()
        ends.wait(30)
        return AnswerReading(*values, **named)

    monkeypatch.setattr(sending_module, "AnswerReading", judge_for_long)
    with ThreadPoolExecutor(3) as threads:
        running = [threads.submit(service.run, call()) for _ in range(3)]
        assert is_judged.wait(5)
        sleep(0.3)
        seen = is_free(service.turns)
        ends.set()
        results = [one.result().invocation.result for one in running]

    assert seen
    assert results == [Result.SUCCEEDED] * 3


def test_a_held_reply_has_no_turn(store: EntityStore, target: Target) -> None:
    service = make_service(store, url=target.url, now=Clock())
    waits = replace(call(waitForCompletion="true"), wait_s=30)
    with ThreadPoolExecutor(1) as threads:
        held = threads.submit(service.run, waits)
        until = monotonic() + 5
        while not service.list(state=None, after=None, most=1).items and monotonic() < until:
            sleep(0.01)
        sleep(0.3)
        seen = [is_free(service.turns) for _ in range(3)]
        [item] = service.list(state=None, after=None, most=1).items
        service.transitions.apply(str(item["id"]), TaskCompleted(Result.SUCCEEDED))
        view = held.result()

    assert seen == [True] * 3
    assert view.invocation.result is Result.SUCCEEDED
