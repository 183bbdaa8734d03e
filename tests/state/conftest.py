from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def target() -> Iterator[Target]:
    """A real server that counts what reaches it."""
    with Target() as running:
        yield running
