"""What a write to any store has to keep to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke_core.ports import LONGEST_VALUE_BYTES, LONGEST_WRITE_BYTES, MOST_CHANGES, Remove

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke_core.ports import Change


def check_changes(changes: Sequence[Change]) -> None:
    """Refuse what one of the stores could not take, so that each takes the same.

    Args:
        changes: What is to be written together.

    Raises:
        ValueError: There are none or too many, a row is named twice, or values are too long. It
            is the caller's mistake, no state of the store.
    """
    lengths = [0 if isinstance(change, Remove) else len(change.value) for change in changes]
    if not 1 <= len(changes) <= MOST_CHANGES:
        raise ValueError(f"a write takes 1 to {MOST_CHANGES} changes, not {len(changes)}")
    if len({change.row_key for change in changes}) < len(changes):
        raise ValueError("a write takes each row once")
    if max(lengths) > LONGEST_VALUE_BYTES or sum(lengths) > LONGEST_WRITE_BYTES:
        raise ValueError(
            f"a value takes {LONGEST_VALUE_BYTES} bytes and a write {LONGEST_WRITE_BYTES}; "
            f"these have {max(lengths)} and {sum(lengths)}"
        )
