"""On which processors the server runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.conftest import running


@pytest.mark.parametrize(
    ("arguments", "count"),
    [((), 1), (("--processors", "all"), len(os.sched_getaffinity(0)))],
)
def test_the_server_stays_on_one_processor_unless_told(
    arguments: tuple[str, ...], count: int, tmp_path: Path
) -> None:
    settings = {"InvokeStorage": f"sqlite:///{tmp_path}/invoke.db"}
    serve = ("serve", "--port", "0", *arguments)

    with running("invoke_core", serve, settings=settings, until="Listening on ") as (process, _):
        tasks = [int(one.name) for one in Path(f"/proc/{process.pid}/task").iterdir()]
        assert len(tasks) > 1
        assert {len(os.sched_getaffinity(task)) for task in tasks} == {count}
        process.terminate()


@pytest.mark.parametrize("most", [1, 2])
def test_it_is_one_of_those_the_process_may_use(most: int) -> None:
    allowed = sorted(os.sched_getaffinity(0))[-most:]
    code = (
        "import os; from invoke_core.local.processors import stay_on_one;"
        f"os.sched_setaffinity(0, {allowed}); print(stay_on_one()); print(*os.sched_getaffinity(0))"
    )

    told = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    said, stays_on = told.stdout.splitlines()
    assert int(stays_on) in allowed
    assert said == (stays_on if len(allowed) > 1 else "None")
