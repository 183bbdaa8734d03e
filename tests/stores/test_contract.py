"""What every store guarantees: the docstrings of ``ports.EntityStore``, sentence by sentence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from invoke_core.errors import EntityConflictError
from invoke_core.ports import (
    LONGEST_VALUE_BYTES,
    LONGEST_WRITE_BYTES,
    MOST_CHANGES,
    Change,
    Entity,
    Insert,
    Put,
    Remove,
    Replace,
    write_in_order,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from invoke_core.ports import EntityStore

PARTITION = "plan-1"
KEYS_IN_ORDER = ["-", "-a", ".", "0", "00", "10", "9", "A", "Z", "_", "a", "a-", "a.b", "aa", "z"]
"""Of every kind of character a key has; ordered by their bytes, in which no locale agrees."""


def everything(store: EntityStore, partition: str = PARTITION) -> list[Entity]:
    return store.read(partition, first="", before="~")


def one(store: EntityStore, row_key: str, partition: str = PARTITION) -> Entity:
    (entity,) = store.read(partition, first=row_key, before=row_key + "-")
    return entity


def fill(store: EntityStore, *row_keys: str, partition: str = PARTITION) -> None:
    for start in range(0, len(row_keys), MOST_CHANGES):
        part = row_keys[start : start + MOST_CHANGES]
        store.write(partition, [Put(key, key.encode()) for key in part])


def test_a_store_never_written_to_is_empty_and_works(store: EntityStore) -> None:
    assert everything(store) == []
    assert store.row_keys(PARTITION, most=10) == []
    assert store.scan(first_partition="", before_partition="~", most=10) == []
    store.check()
    assert everything(store) == []


def test_a_row_is_found_by_its_keys_and_no_other(store: EntityStore) -> None:
    assert store.get(PARTITION, "row") is None

    (etag,) = store.write(PARTITION, [Insert("row", b"value" * 30_000)])

    assert store.get(PARTITION, "row") == Entity("row", b"value" * 30_000, etag)
    assert store.get(PARTITION, "row1") is None
    assert store.get("another", "row") is None


def test_what_was_written_is_there_for_everybody_who_opens_the_store(
    open_store: Callable[[], EntityStore],
) -> None:
    (etag,) = open_store().write(PARTITION, [Insert("row", b"value")])

    assert everything(open_store()) == [Entity("row", b"value", etag)]


def test_an_insert_finds_its_row_there(store: EntityStore) -> None:
    (etag,) = store.write(PARTITION, [Insert("row", b"first")])

    with pytest.raises(EntityConflictError):
        store.write(PARTITION, [Insert("row", b"second")])

    assert everything(store) == [Entity("row", b"first", etag)]


def test_a_replace_changes_the_state_it_names_and_no_other(store: EntityStore) -> None:
    (first,) = store.write(PARTITION, [Insert("row", b"1")])

    (second,) = store.write(PARTITION, [Replace("row", b"2", etag=first)])
    with pytest.raises(EntityConflictError):
        store.write(PARTITION, [Replace("row", b"3", etag=first)])

    assert everything(store) == [Entity("row", b"2", second)]


def test_a_replace_does_not_make_a_row(store: EntityStore) -> None:
    (etag,) = store.write(PARTITION, [Insert("row", b"1")])
    store.write(PARTITION, [Remove("row")])

    with pytest.raises(EntityConflictError):
        store.write(PARTITION, [Replace("row", b"2", etag=etag)])

    assert everything(store) == []


def test_a_replace_in_a_store_never_written_to_is_a_conflict(
    open_store: Callable[[], EntityStore],
) -> None:
    store = open_store()
    fill(store, "other")
    (etag,) = [entity.etag for entity in everything(store)]
    store.write(PARTITION, [Remove("other")])

    with pytest.raises(EntityConflictError):
        store.write("elsewhere", [Replace("row", b"2", etag=etag)])


def test_a_put_writes_whether_the_row_is_there_or_not(store: EntityStore) -> None:
    store.write(PARTITION, [Put("row", b"a longer value")])
    (etag,) = store.write(PARTITION, [Put("row", b"short")])

    assert everything(store) == [Entity("row", b"short", etag)]


def test_any_write_gives_a_row_another_etag(store: EntityStore) -> None:
    etags = []
    etags += store.write(PARTITION, [Insert("row", b"same")])
    etags += store.write(PARTITION, [Put("row", b"same")])
    etags += store.write(PARTITION, [Put("row", b"same")])
    etags += store.write(PARTITION, [Replace("row", b"same", etag=etags[-1])])
    store.write(PARTITION, [Remove("row")])
    etags += store.write(PARTITION, [Insert("row", b"same")])

    assert len(set(etags)) == len(etags)
    assert all(etags)


def test_a_removed_row_is_gone_whether_it_was_there_or_not(store: EntityStore) -> None:
    fill(store, "a", "b")

    assert store.write(PARTITION, [Remove("a")]) == [""]
    assert store.write(PARTITION, [Remove("a")]) == [""]
    assert store.write("never-seen", [Remove("a")]) == [""]

    assert store.row_keys(PARTITION, most=10) == ["b"]


def test_rows_that_are_not_there_may_be_removed_together_with_other_changes(
    store: EntityStore,
) -> None:
    fill(store, "b", "d", "f")

    etags = store.write(
        PARTITION,
        [Remove("a"), Remove("b"), Insert("new", b"1"), Remove("c"), Put("d", b"2"), Remove("f")],
    )

    assert [bool(etag) for etag in etags] == [False, False, True, False, True, False]
    assert [(row.row_key, row.value) for row in everything(store)] == [("d", b"2"), ("new", b"1")]
    assert [etags[4], etags[2]] == [one(store, "d").etag, one(store, "new").etag]


def test_many_rows_that_are_not_there_may_be_removed_at_once(store: EntityStore) -> None:
    fill(store, "r050")

    etags = store.write(PARTITION, [Remove(f"r{n:03}") for n in range(MOST_CHANGES)])

    assert etags == [""] * MOST_CHANGES
    assert everything(store) == []


def test_the_etags_come_in_the_order_of_the_changes(store: EntityStore) -> None:
    fill(store, "a", "m", "z")
    changes: list[Change] = [
        Replace("m", b"1", etag=one(store, "m").etag),
        Insert("b", b"2"),
        Put("z", b"3"),
    ]

    etags = store.write(PARTITION, changes)

    assert etags == [one(store, key).etag for key in ("m", "b", "z")]


CONFLICTS: dict[str, Callable[[str], Change]] = {
    "an insert of a row that is there": lambda _: Insert("there", b"new"),
    "a replace of a state that is over": lambda stale: Replace("there", b"new", etag=stale),
    "a replace of a row that is not there": lambda stale: Replace("absent", b"new", etag=stale),
}


@pytest.mark.parametrize("place", [0, 3, 5])
@pytest.mark.parametrize("conflict", CONFLICTS)
def test_a_conflict_at_any_place_leaves_nothing_of_a_write(
    store: EntityStore, conflict: str, place: int
) -> None:
    (stale,) = store.write(PARTITION, [Insert("there", b"old")])
    fill(store, "there", "removed", "overwritten", "replaced")
    before = everything(store)
    changes: list[Change] = [
        Insert("new", b"x"),
        Put("overwritten", b"x"),
        Put("another", b"x"),
        Remove("removed"),
        Replace("replaced", b"x", etag=one(store, "replaced").etag),
    ]
    changes.insert(place, CONFLICTS[conflict](stale))

    with pytest.raises(EntityConflictError):
        store.write(PARTITION, changes)

    assert everything(store) == before


def test_a_conflict_beside_the_removal_of_a_missing_row_is_one(store: EntityStore) -> None:
    fill(store, "there")
    before = everything(store)

    writes: list[list[Change]] = [
        [Remove("absent"), Insert("there", b"x"), Put("new", b"x")],
        [Put("new", b"x"), Remove("absent"), Replace("gone", b"x", etag=before[0].etag)],
    ]
    for changes in writes:
        with pytest.raises(EntityConflictError):
            store.write(PARTITION, changes)

    assert everything(store) == before


def test_rows_come_in_the_order_of_the_bytes_of_their_keys(store: EntityStore) -> None:
    fill(store, *reversed(KEYS_IN_ORDER))

    assert [entity.row_key for entity in everything(store)] == KEYS_IN_ORDER
    assert store.row_keys(PARTITION, most=100) == KEYS_IN_ORDER


@pytest.mark.parametrize(
    ("first", "before"),
    [("0", "A"), ("0", "0"), ("A", "0"), ("", "-"), ("00", "a-"), ("b", "z"), ("z", "zz")],
)
def test_a_range_has_its_first_key_and_not_its_last(
    store: EntityStore, first: str, before: str
) -> None:
    fill(store, *KEYS_IN_ORDER)

    found = [entity.row_key for entity in store.read(PARTITION, first=first, before=before)]

    assert found == [key for key in KEYS_IN_ORDER if first <= key < before]


@pytest.mark.parametrize("most", [0, 1, 3, 15, 16, None])
def test_no_more_rows_are_read_than_are_wanted(store: EntityStore, most: int | None) -> None:
    fill(store, *KEYS_IN_ORDER)

    found = store.read(PARTITION, first="", before="~", most=most)

    assert [entity.row_key for entity in found] == KEYS_IN_ORDER[:most]
    if most is not None:
        assert store.row_keys(PARTITION, most=most) == KEYS_IN_ORDER[:most]


def test_a_partition_knows_nothing_of_the_others(store: EntityStore) -> None:
    fill(store, "row", partition="a")
    fill(store, "row", partition="a-")
    store.write("a", [Remove("row")])

    assert everything(store, "a") == []
    assert store.row_keys("a-", most=2) == ["row"]
    assert everything(store, "A-") == []


def test_all_rows_come_where_they_are_more_than_one_answer_holds(store: EntityStore) -> None:
    keys = [f"{n:05}" for n in range(1234)]
    fill(store, *keys)

    assert [entity.row_key for entity in everything(store)] == keys
    assert store.row_keys(PARTITION, most=1100) == keys[:1100]
    assert len(store.read(PARTITION, first="00100", before="~", most=1050)) == 1050
    scanned = store.scan(first_partition="", before_partition="~", most=1200)
    assert [entity.row_key for _, entity in scanned] == keys[:1200]


SCANNED = [(partition, row) for partition in ("B", "a", "a.1", "b") for row in ("1", "2", "3")]


def scanned(store: EntityStore, **where: object) -> list[tuple[str, str]]:
    arguments = {"first_partition": "", "before_partition": "~", "most": 100} | where
    rows = store.scan(**arguments)  # type: ignore[arg-type]  # mixed arguments
    for partition, entity in rows:
        assert entity == one(store, entity.row_key, partition)
    return [(partition, entity.row_key) for partition, entity in rows]


@pytest.fixture
def filled(store: EntityStore) -> EntityStore:
    for partition in ("b", "B", "a.1", "a"):
        fill(store, "3", "1", "2", partition=partition)
    return store


def test_a_scan_is_ordered_by_partition_and_row(filled: EntityStore) -> None:
    assert scanned(filled) == SCANNED


@pytest.mark.parametrize(
    ("first", "before"), [("a", "b"), ("a", "a"), ("b", "a"), ("A", "C"), ("a.", "~"), ("c", "d")]
)
def test_a_scan_keeps_to_its_partitions(filled: EntityStore, first: str, before: str) -> None:
    found = scanned(filled, first_partition=first, before_partition=before)

    assert found == [place for place in SCANNED if first <= place[0] < before]


@pytest.mark.parametrize("most", [0, 1, 2, 3, 5, 12, 13])
def test_a_scan_goes_on_where_it_stopped(filled: EntityStore, most: int) -> None:
    for done in range(len(SCANNED)):
        found = scanned(filled, after=SCANNED[done], most=most)

        assert found == SCANNED[done + 1 : done + 1 + most]


@pytest.mark.parametrize(
    "after", [("", ""), ("a", "0"), ("a", "25"), ("a-gone", "2"), ("b", "1"), ("c", "1")]
)
def test_a_scan_goes_on_after_a_row_that_is_not_there(
    filled: EntityStore, after: tuple[str, str]
) -> None:
    found = scanned(filled, after=after, first_partition="a", before_partition="b")

    assert found == [place for place in SCANNED if place > after and "a" <= place[0] < "b"]


@pytest.mark.parametrize("length", [0, 1, 65_535, 65_536, 65_537, 131_072, LONGEST_VALUE_BYTES])
def test_a_value_is_kept_byte_for_byte(store: EntityStore, length: int) -> None:
    value = bytes(n % 251 for n in range(length))
    store.write(PARTITION, [Insert("inserted", value), Put("put", b"x" * 70_000)])
    store.write(PARTITION, [Put("put", value)])
    (etag,) = store.write(PARTITION, [Put("replaced", b"x" * LONGEST_VALUE_BYTES)])
    store.write(PARTITION, [Replace("replaced", value, etag=etag)])

    assert {entity.row_key: entity.value == value for entity in everything(store)} == {
        "inserted": True,
        "put": True,
        "replaced": True,
    }


def test_the_largest_write_is_taken(store: EntityStore) -> None:
    rows = LONGEST_WRITE_BYTES // LONGEST_VALUE_BYTES
    longest = [Insert(f"{n}", bytes([n]) * LONGEST_VALUE_BYTES) for n in range(rows)]
    small = [Insert(f"small{n}", b"") for n in range(MOST_CHANGES - rows)]

    store.write(PARTITION, [*longest, *small])

    found = everything(store)
    assert len(found) == MOST_CHANGES
    assert [entity.value for entity in found[:rows]] == [change.value for change in longest]


TOO_MUCH: dict[str, Sequence[Change]] = {
    "nothing": [],
    "more changes": [Put(f"{n}", b"") for n in range(MOST_CHANGES + 1)],
    "a row twice": [Put("row", b""), Remove("row")],
    "a longer value": [Put("row", b"x" * (LONGEST_VALUE_BYTES + 1))],
    "a longer write": [Put(f"{n}", b"x" * 500_000) for n in range(5)],
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_a_write_outside_the_limits_is_refused_as_a_mistake(store: EntityStore, name: str) -> None:
    with pytest.raises(ValueError, match=r"^(a write|a value) takes"):
        store.write(PARTITION, TOO_MUCH[name])

    assert everything(store) == []


def test_keys_may_be_as_long_as_the_port_says(store: EntityStore) -> None:
    keys = ["k" * 199 + "0", "k" * 199 + "1"]
    partition = "p" * 200
    store.write(partition, [Insert(key, b"") for key in keys])
    (etag,) = store.write(partition, [Put(keys[0], b"1")])
    store.write(partition, [Replace(keys[0], b"2", etag=etag)])

    assert store.row_keys(partition, most=3) == keys
    found = store.scan(
        first_partition=partition, before_partition="q", after=(partition, keys[0]), most=2
    )
    assert [(place, entity.row_key) for place, entity in found] == [(partition, keys[1])]


def test_sixteen_threads_lose_none_of_their_increments(store: EntityStore) -> None:
    store.write(PARTITION, [Insert("counter", b"0")])

    def increment(_: int) -> None:
        for _ in range(4):
            while True:
                entity = one(store, "counter")
                more = str(int(entity.value) + 1).encode()
                try:
                    store.write(PARTITION, [Replace("counter", more, etag=entity.etag)])
                except EntityConflictError:
                    continue
                break

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(increment, range(16)))

    assert one(store, "counter").value == b"64"


def test_of_many_that_insert_a_row_at_once_one_succeeds(store: EntityStore) -> None:
    def insert(n: int) -> bool:
        try:
            store.write(PARTITION, [Insert("row", str(n).encode()), Put(f"by-{n}", b"")])
        except EntityConflictError:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        wins = [n for n, won in enumerate(threads.map(insert, range(16))) if won]

    assert len(wins) == 1
    assert store.row_keys(PARTITION, most=9) == [f"by-{wins[0]}", "row"]
    assert one(store, "row").value == str(wins[0]).encode()


def test_readers_never_see_half_a_write(store: EntityStore) -> None:
    def values() -> list[bytes]:
        return [entity.value for entity in everything(store)]

    store.write(PARTITION, [Put(f"{n}", b"0") for n in range(5)])
    with ThreadPoolExecutor(1) as writer:

        def write() -> None:
            for turn in range(1, 21):
                value = str(turn).encode()
                store.write(PARTITION, [Put(f"{n}", value) for n in range(5)])

        writing = writer.submit(write)
        seen = [values()]
        while not writing.done():
            seen.append(values())
        writing.result()
    seen.append(values())

    assert all(len(set(turn)) == 1 for turn in seen)
    assert all(int(earlier[0]) <= int(later[0]) for earlier, later in pairwise(seen))
    assert seen[-1] == [b"20"] * 5


def test_nothing_of_a_value_is_printed(store: EntityStore) -> None:
    store.write(PARTITION, [Insert("row", b"swordfish")])

    assert "swordfish" not in repr(everything(store))
    assert "swordfish" not in repr([Insert("a", b"swordfish"), Put("b", b"swordfish")])


def test_writes_in_order_are_each_a_write(store: EntityStore) -> None:
    (old,) = store.write("third", [Insert("row", b"0")])

    given = write_in_order(
        store,
        [
            ("first", [Put("a", b"1"), Put("b", b"2")]),
            ("second", [Insert("a", b"3")]),
            ("third", [Replace("row", b"4", etag=old), Remove("none")]),
        ],
    )

    assert everything(store, "first") == [
        Entity("a", b"1", given[0][0]),
        Entity("b", b"2", given[0][1]),
    ]
    assert everything(store, "second") == [Entity("a", b"3", given[1][0])]
    assert everything(store, "third") == [Entity("row", b"4", given[2][0])]
    assert [len(etags) for etags in given] == [2, 1, 2]


def test_of_writes_in_order_none_takes_place_after_one_that_is_refused(store: EntityStore) -> None:
    store.write("second", [Insert("a", b"0")])
    writes = [(partition, [Insert("a", b"1")]) for partition in ("first", "second", "third")]

    with pytest.raises(EntityConflictError):
        write_in_order(store, writes)

    assert [entity.value for entity in everything(store, "second")] == [b"0"]
    assert everything(store, "third") == []


def test_writers_in_order_beside_each_other_get_what_is_theirs(store: EntityStore) -> None:
    store.write("taken", [Insert("3", b""), Insert("7", b"")])

    def write(number: int) -> list[list[str]] | None:
        row = str(number)
        try:
            return write_in_order(
                store,
                [(f"index-{row}", [Put("a", b"1")]), ("taken", [Insert(row, row.encode())])],
            )
        except EntityConflictError:
            return None

    with ThreadPoolExecutor(10) as threads:
        given = list(threads.map(write, range(10)))

    assert [number for number in range(10) if given[number] is None] == [3, 7]
    for number, etags in enumerate(given):
        if etags is not None:
            assert one(store, "a", f"index-{number}").etag == etags[0][0]
            assert store.get("taken", str(number)) == Entity(
                str(number), str(number).encode(), etags[1][0]
            )
