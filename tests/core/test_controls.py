"""Texts without what a terminal does not show."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.controls import without_controls

PIECES = [
    "\x1b[1;31m",
    "\x1b]0;title\x07",
    "\x1b",
    "\x9d",
    "\x9c",
    "\0",
    "a",
    "[",
    "\t",
    "\n",
    "\r",
    "7",
]


@given(parts=st.lists(st.sampled_from(PIECES)), padding=st.integers(65_500, 65_540))
def test_a_long_text_reads_as_its_end_alone_does(parts: list[str], padding: int) -> None:
    end = "\n" + "".join(parts)

    assert without_controls("x" * padding + end) == "x" * padding + without_controls(end)


@pytest.mark.parametrize("length", [10, 65_000, 200_000])
def test_a_sequence_without_an_end_takes_the_rest_of_its_line(length: int) -> None:
    assert without_controls(f"a\x1b]{'x' * length}\nb") == "a\nb"


def test_a_text_of_controls_takes_little_memory() -> None:
    text = "a\0" * 1_000_000

    tracemalloc.start()
    clean = without_controls(text)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert clean == "a" * 1_000_000
    assert peak_bytes < 10_000_000
