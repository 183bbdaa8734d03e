from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.campaign import run
from tests.contract.service import serving

if TYPE_CHECKING:
    from pathlib import Path


def test_every_answer_is_as_described(tmp_path: Path) -> None:
    with serving(tmp_path) as service:
        report = run(service, cases=300, seed=1)

    assert report.failures == {}
    assert report.broken == []
    assert report.cases.total() >= 300
    # What was created is read, cancelled and asked for its log by its own id.
    assert report.followed > 0
