"""A removal may name the one state in which its row may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from invoke_core.errors import EntityConflictError
from invoke_core.ports import Insert, Put, Remove

if TYPE_CHECKING:
    from invoke_core.ports import EntityStore

PARTITION = "plan-1"


def test_a_removal_takes_the_row_in_the_state_it_names(store: EntityStore) -> None:
    (etag,) = store.write(PARTITION, [Insert("row", b"1")])

    assert store.write(PARTITION, [Remove("row", etag)]) == [""]

    assert store.row_keys(PARTITION, most=1) == []


def test_a_removal_leaves_a_row_that_has_changed(store: EntityStore) -> None:
    (etag,) = store.write(PARTITION, [Insert("row", b"1")])
    store.write(PARTITION, [Put("row", b"2")])

    with pytest.raises(EntityConflictError):
        store.write(PARTITION, [Remove("row", etag)])

    assert store.row_keys(PARTITION, most=1) == ["row"]


def test_a_removal_that_is_refused_takes_its_whole_write_with_it(store: EntityStore) -> None:
    (etag,) = store.write(PARTITION, [Insert("row", b"1")])
    store.write(PARTITION, [Put("row", b"2")])

    with pytest.raises(EntityConflictError):
        store.write(PARTITION, [Insert("other", b"1"), Remove("row", etag)])

    assert store.row_keys(PARTITION, most=2) == ["row"]


def test_removing_a_row_that_is_gone_is_no_conflict(store: EntityStore) -> None:
    (etag,) = store.write(PARTITION, [Insert("row", b"1")])
    store.write(PARTITION, [Remove("row")])

    assert store.write(PARTITION, [Remove("row", etag)]) == [""]
