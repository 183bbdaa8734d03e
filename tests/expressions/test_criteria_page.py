"""Every example of ``docs/criteria.md`` does what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from invoke_core.documents import parse_answer
from invoke_core.expressions import answer_scope
from invoke_core.expressions.functions import CRITERIA
from invoke_core.expressions.nodes import format_value

from .support import compiled

PAGE: Final = (Path(__file__).parents[2] / "docs" / "criteria.md").read_text("utf-8")
_BODY = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
BODY: Final = _BODY[1] if _BODY else ""
_ROW: Final = re.compile(r"^\| `(.+?)` \|(?: `(.+?)` \|)? → `(.+?)` \|", re.MULTILINE)
EXAMPLES: Final = [(row[0], row[1] or BODY, row[2]) for row in _ROW.findall(PAGE)]


@pytest.mark.parametrize(("text", "body", "value"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_is_true(text: str, body: str, value: str) -> None:
    root = parse_answer(body)
    scope = answer_scope(
        root=lambda: root,
        content=lambda: root,
        status=200,
        headers={"Content-Type": "application/json"},
        variables={"build.reason": "Manual"},
        task_inputs={"method": "GET"},
    )

    assert format_value(compiled(text).value(scope)) == value


def test_the_page_has_an_example_of_every_function() -> None:
    shown = " ".join(text for text, _, _ in EXAMPLES).lower()

    mentioned = {"le", "gt", "ge"}
    assert {name for name in CRITERIA.functions if f"{name}(" not in shown} <= mentioned
    assert len(EXAMPLES) > 60
