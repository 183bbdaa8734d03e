"""What the page on control options shows is how a step is read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

import pytest

from invoke_core.conditions import STATUS_WORDS
from invoke_core.expressions.functions import CONDITION, CRITERIA
from invoke_core.inputs import Task, read_task
from invoke_core.steps import LONGEST_TIMEOUT_MINUTES, MOST_RETRIES
from invoke_core.web.yaml_documents import read_yaml
from tests.core.build import BOOK, CORRELATION, step

PAGE: Final = (Path(__file__).parents[2] / "docs" / "control-options.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


STATES: Final = re.findall(r"^\| `(.+)` \| `(\w+)` \| (runs|skipped) \|$", PAGE, re.MULTILINE)
STATE_WORDS: Final = PAGE.partition("## The state of your pipeline")[2]
WORDS: Final = {
    word: row[1]
    for row in re.findall(r"^\| ([^|]+) \| [^|]+ \| (\w+) \|$", STATE_WORDS, re.MULTILINE)
    for word in re.findall(r"`(\w+)`", row[0])
}
SKIPPED, CONTINUES = blocks("yaml")


def read(text: str) -> Task:
    return read_task(read_yaml(text), connections=BOOK, correlation=CORRELATION, token="")


def test_the_skipped_example_is_skipped_for_the_reason_shown() -> None:
    (shown,) = [json.loads(block) for block in blocks("json")]
    trace = blocks("text")[0]

    skip = read(SKIPPED).skip

    assert skip is not None
    assert (skip.code, skip.message) == (shown["reason"]["code"], shown["reason"]["message"])
    assert "\n".join(skip.trace) + "\n" == trace


def test_the_other_example_is_read_as_the_page_says() -> None:
    task = read(CONTINUES)

    assert (task.skip, task.continue_on_error, task.retries, task.timeout_s) == (None, True, 3, 300)


@pytest.mark.parametrize(("condition", "status", "outcome"), STATES)
def test_a_condition_of_the_page_has_the_outcome_shown(
    condition: str, status: str, outcome: str
) -> None:
    document = step() | {"condition": condition, "variables": {"Agent.JobStatus": status}}

    task = read_task(document, connections=BOOK, correlation=CORRELATION, token="")

    assert (task.skip is None) == (outcome == "runs")


def test_the_page_shows_every_function_that_only_a_condition_has() -> None:
    shown = " ".join(condition for condition, _, _ in STATES).lower()

    assert [name for name in CONDITION.functions if name in CRITERIA.functions] != []
    assert [
        name
        for name in CONDITION.functions
        if name not in CRITERIA.functions and f"{name}(" not in shown
    ] == []


def test_the_page_has_every_word_for_a_state_and_every_limit() -> None:
    assert WORDS == STATUS_WORDS
    assert f"{MOST_RETRIES} times at most" in PAGE
    assert f"{LONGEST_TIMEOUT_MINUTES:,} at most" in PAGE
