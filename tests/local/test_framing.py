"""Lines that h11 would refuse after a time that grows with the square of their length."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from invoke_core.local.framing import check_chunk, check_head

if TYPE_CHECKING:
    from tests.local.conftest import RawClient

_HEAD = b"POST /api/echo/x HTTP/1.1\r\nHost: h\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_UNKNOWN = b"POST /none HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
_BLANKS = b" \t" * 16_000

_lines = st.lists(
    st.sampled_from(
        [b"X", b":", b" ", b"\t", b";", b"0", b"A", b"\r\n", b"\n", b"\r", b"\x00", b"\v", b"\f"]
    ),
    max_size=30,
).map(b"".join)


def _is_refused(received: bytes, before: bytes = b"") -> bool:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(before + received)
    try:
        while not isinstance(connection.next_event(), h11.EndOfMessage):
            if connection.trailing_data[0] == b"":
                return False
    except h11.RemoteProtocolError:
        return True
    return False


@pytest.mark.parametrize(
    "sent",
    [
        _HEAD + b"X:" + _BLANKS + b"\x00\r\n\r\n",
        _HEAD + b"X:" + _BLANKS + b"\f",
        _HEAD + b"X:" + _BLANKS + b"\ra\r\n\r\n",
        _HEAD + b"X:" + _BLANKS + b"\r\r\n\r\n",
        _CHUNKED + b"1;" + _BLANKS + b"\n\r\n",
        _CHUNKED + b"1\r\na\r\n1;" + _BLANKS + b"\n\r\n",
        _CHUNKED + b"1\r\na\r\n0\r\nX:" + _BLANKS + b"\f\r\n\r\n",
        _CHUNKED + b"0;\r\nY: 1\nX:" + _BLANKS + b"\x00\r\n\r\n",
    ],
)
def test_a_hostile_line_costs_next_to_nothing(raw: RawClient, sent: bytes) -> None:
    """Unguarded, each of these takes h11 a second or more."""
    spent = time.process_time()

    raw.send(sent)
    answer = raw.read_all()

    assert time.process_time() - spent < 0.4
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "line", [b"1;" + _BLANKS[:30_000] + b"\n", b"0\r\nX:" + _BLANKS[:30_000] + b"\f"]
)
def test_a_hostile_line_behind_another_request_costs_next_to_nothing(
    raw: RawClient, line: bytes
) -> None:
    """A body in chunks is read by more at once than a head, and what follows it comes along."""
    raw.send(_CHUNKED)
    time.sleep(0.1)
    spent = time.process_time()

    raw.send(b"1\r\na\r\n0\r\n\r\n" + _UNKNOWN + line + b"\r\n")
    answer = raw.read_all()

    assert time.process_time() - spent < 0.4
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 400 ") == 1


@pytest.mark.parametrize("start", [b"1;", b"0\r\nX:"])
def test_where_there_is_no_function_a_long_line_is_not_read_to_its_end(
    raw: RawClient, start: bytes
) -> None:
    spent = time.process_time()

    raw.send(_UNKNOWN + start + _BLANKS + b"\x00\r\n\r\n")
    answer = raw.read_all()

    assert time.process_time() - spent < 0.4
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.count(b"HTTP/1.1") == 1


def test_a_hostile_line_in_pieces_costs_next_to_nothing(raw: RawClient) -> None:
    sent = _CHUNKED + b"0\r\nX:" + _BLANKS[:20_000] + b"\x00\r\n\r\n"
    spent = time.process_time()

    for start in range(0, len(sent), 100):
        raw.send(sent[start : start + 100])
    answer = raw.read_all()

    assert time.process_time() - spent < 0.5
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_blanks_where_they_may_stand_are_taken(raw: RawClient) -> None:
    raw.send(
        _CHUNKED.replace(b"Host", b"X:" + _BLANKS[:10_000] + b"a" + _BLANKS[:10_000] + b"\r\nHost")
        + b"3;\t \r\n \x00\n\r\n"
        + b"2\r\n\v\f\r\n0\r\nX:"
        + _BLANKS[:10_000]
        + b"\r\n\r\n"
        + b"GET /api/open HTTP/1.1\r\nHost: h\r\n\r\n"
    )

    answer = raw.read_until(b"\r\n\r\nopen")

    assert rb'"body": " \u0000\n\u000b\f"' in answer
    assert answer.count(b"HTTP/1.1 200") == 2


def test_the_bytes_of_a_chunk_are_no_lines(raw: RawClient) -> None:
    body = b"\x00\v\f\r\r\n" + _BLANKS + b"\x00" * 100
    framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)

    for start in range(0, len(_CHUNKED + framed), 5_000):
        raw.send((_CHUNKED + framed)[start : start + 5_000])

    assert b"HTTP/1.1 200" in raw.read_until(b"}")


@given(_lines)
@example(b"X: 1\r")
@example(b"X: 1\r\n\r\n\x00")
def test_a_head_is_refused_only_where_h11_refuses_it(lines: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nHost: h\r\n" + lines

    try:
        check_head(head)
    except h11.RemoteProtocolError:
        assert _is_refused(head + b"\r\n\r\n")


@given(_lines)
@example(b"0\r\nX: \x00\r\n\r\n")
def test_trailers_are_refused_only_where_h11_refuses_them(lines: bytes) -> None:
    trailers = b"0\r\n" + lines

    try:
        check_chunk(trailers)
    except h11.RemoteProtocolError:
        assert _is_refused(trailers + b"\r\n\r\n", before=_CHUNKED)
