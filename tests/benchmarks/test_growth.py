"""The measurements of growth, completions and soak do what they say, at their smallest."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from benchmarks import completions, growth, processes, soak
from benchmarks.lines import Scale
from benchmarks.stored import WAITS, StoredService

if TYPE_CHECKING:
    from pathlib import Path

SMOKE = Scale(is_smoke=True)


def test_growth_compares_every_operation_over_two_larger_stores_with_the_smallest() -> None:
    lines = [*growth.lines(SMOKE)]

    assert len(lines) == 18
    assert {line.what.partition(",")[0] for line in lines} == {
        "create",
        "event TaskStarted",
        "event TaskCompleted",
        "status",
        "list",
    }
    assert all(line.is_met is not None for line in lines)


def test_completions_are_measured_over_both_stores() -> None:
    on_file, on_tables = completions.lines(SMOKE)

    assert on_file.target == "at least 250/s"
    assert "bare single-entity inserts" in on_tables.beside


def test_a_filled_store_holds_what_was_asked_for_and_a_round_leaves_it_so(tmp_path: Path) -> None:
    service = StoredService(tmp_path / "invoke.db")
    service.fill(40)

    assert service.create(waits=True) == 202
    assert service.create(waits=False) == 200
    assert service.event("TaskCompleted", service.add_waiting()) == 204
    service.forget_new()

    everything = service.journal.page(open_only=False, after=None, most=100)
    waiting = service.journal.page(open_only=True, after=None, most=100)
    assert [one.form["id"] for one in everything] == service.ids
    assert [one.form["id"] for one in waiting] == [one.plan_id for one in reversed(service.waiting)]
    assert len(waiting) == 40 // WAITS


def test_growth_of_a_soak_is_what_the_fitted_line_gains() -> None:
    moments = [0.0, 5.0, 10.0, 15.0]

    assert soak.growth(moments, [7.0, 7.0, 7.0, 7.0]) == pytest.approx(0)
    assert soak.growth(moments, [10.0, 11.0, 12.0, 13.0]) == pytest.approx(3)
    assert soak.growth(moments, [10.0, 30.0, 10.0, 10.0]) < 0


def test_usage_counts_a_process_and_what_it_started() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        together = processes.usage(os.getpid()).memory_mb
        child.communicate()
        alone = processes.usage(os.getpid()).memory_mb

    assert together > alone
