"""The model, played a while; ``MODEL_EXAMPLES=1000`` plays so many examples, at random."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Model
from tests.model.processes import FastStore

if TYPE_CHECKING:
    from collections.abc import Callable

EXAMPLES = int(os.environ.get("MODEL_EXAMPLES", "0"))
PAGE = Path(__file__).parents[2] / "docs" / "architecture.md"


def test_whatever_happens_the_invariants_hold(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    store = FastStore(tmp_path / "invoke.db")

    class OverSqlite(Model):
        pass

    OverSqlite.store = store
    profile = settings(
        max_examples=EXAMPLES or 40,
        stateful_step_count=50 if EXAMPLES else 30,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(OverSqlite, settings=profile)
    store.close()
    record_property("measured", f"model: {profile.max_examples} examples")


def test_the_invariants_are_those_that_the_architecture_names() -> None:
    section = PAGE.read_text(encoding="utf-8").split("\n### Invariants\n")[1].split("\n#")[0]
    named = re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)

    assert sorted(named) == sorted(one.function.__name__ for one in Model().invariants)
