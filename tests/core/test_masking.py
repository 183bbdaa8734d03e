"""Searching long texts for secrets (contract, section 4 "Secrets read ``***`` everywhere")."""

from __future__ import annotations

import base64
import json
import tracemalloc
from time import process_time
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.documents import parse_answer
from invoke_core.masking import Spellings
from invoke_core.variables import Masker

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

SECRET = 'k/ü \\s"1+x😀'
SPELLINGS = [
    SECRET,
    quote(SECRET, safe=""),
    quote_plus(SECRET),
    "".join(f"%{byte:02x}" for byte in SECRET.encode()),
    json.dumps(SECRET)[1:-1],
    json.dumps(SECRET, ensure_ascii=False)[1:-1],
    base64.b64encode(b"u:" + SECRET.encode()).decode(),
    quote(base64.b64encode(SECRET.encode()).decode(), safe=""),
]
NOISE = ["\\", "\\\\", "%", "%C3", "%bc", "\\u00", "\\ud83d", "\\ude00", '"', "+", " ", "k/ü", "/"]

HOSTILE = {
    "percent": "%54",
    "percent, one by one": "%54a",
    "characters of several bytes": "%F0%9F%98%80",
    "escapes of JSON": "\\u0054",
    "JSON in text": '{\\"a\\":1},',
    "backslashes": "\\",
    "parameters": "&sig=a",
    "a secret again and again": "swordfish-x",
    "a secret in escapes": "%73wordfish ",
}


@given(
    parts=st.lists(st.sampled_from([*SPELLINGS, *NOISE]), min_size=20, max_size=60),
    padding=st.integers(min_value=0, max_value=4000),
)
def test_a_text_searched_in_windows_reads_as_one_searched_at_once(
    parts: list[str], padding: int
) -> None:
    text = "." * padding + "".join(parts) * 4

    assert Spellings([SECRET], window=1).hidden(text) == Spellings(
        [SECRET], window=1_000_000
    ).hidden(text)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("filler", [".", "\\", "\\\\", "%2", "%41", "\\u0041", "\\n", "%C3%BC"])
def test_a_secret_is_found_at_the_edge_of_every_window(filler: str, spelling: str) -> None:
    # An odd number of backslashes would escape what begins with one.
    count = 4000 // len(filler) // 2 * 2
    spellings = Spellings([SECRET], window=1)
    alone = spellings.hidden(spelling)

    for after in range(0, count, max(2, count // 100 * 2)):
        text = f"{filler * (count - after)};{spelling};{filler * after}"
        assert f";{alone};" in spellings.hidden(text)


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_a_long_text_is_masked_in_little_memory_and_time(piece: str) -> None:
    text = piece * (500_000 // len(piece))
    masker = Masker(["swordfish"])
    began = process_time()
    masker.show(text)
    took_s = process_time() - began

    tracemalloc.start()
    shown = masker.show(text)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "swordfish" not in shown
    assert took_s < 1
    # What one window takes is the same for texts of any length.
    assert peak_bytes < 4 * len(text) + 8_000_000


def test_a_document_that_holds_no_secret_is_masked_in_little_memory() -> None:
    raw = "[" + '{},"\\u0054wo",' * 100_000 + "{}]"
    document: JsonValue = parse_answer(raw)
    masker = Masker(f"swordfish-{number}" for number in range(100))

    tracemalloc.start()
    masked = masker.hide_in(document, raw=raw)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert masked is document
    assert peak_bytes < 8_000_000
