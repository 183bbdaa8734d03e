"""Every measurement can be taken; its figures mean nothing here."""

from __future__ import annotations

import importlib

import pytest

from benchmarks.lines import Line, Scale

LINES = {"cold_start": 2, "overhead": 2, "waiting": 2, "memory": 3}
"""How many lines each measurement gives that needs no more than the environment of the tests."""


@pytest.mark.parametrize("name", LINES)
def test_a_measurement_gives_its_lines(name: str) -> None:
    lines = list(importlib.import_module(f"benchmarks.{name}").lines(Scale(is_smoke=True)))

    assert len(lines) == LINES[name]
    for line in lines:
        assert isinstance(line, Line)
        assert line.target
        assert line.is_met is not None
