"""Bodies: every framing and encoding, within bounds of bytes and memory.

Source: HTTP contract, section 9 (``MAX_RESPONSE_BYTES``); section 4 ("a bomb").
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.decoding import PIECE_BYTES, decoded
from tests.http.targets import Peer, answer, answering, chunked

if TYPE_CHECKING:
    from tests.http.conftest import Authority, Client, Start

TEXT = b"".join(b"line %d of a text that packs well\n" % number for number in range(20_000))


def raw_deflate(text: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(text) + packer.flush()


ENCODED = {
    "plain": ([], TEXT),
    "identity": (["Content-Encoding: identity"], TEXT),
    "gzip": (["Content-Encoding: gzip"], gzip.compress(TEXT)),
    "x-gzip, other case": (["content-encoding: X-GZip"], gzip.compress(TEXT)),
    "gzip in two members": (
        ["Content-Encoding: gzip"],
        gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:]),
    ),
    "gzip with padding": (["Content-Encoding: gzip"], gzip.compress(TEXT) + b"\x00" * 100),
    "deflate": (["Content-Encoding: deflate"], zlib.compress(TEXT)),
    "deflate with padding": (["Content-Encoding: deflate"], zlib.compress(TEXT) + b"\x00" * 100),
    "bare deflate": (["Content-Encoding: deflate"], raw_deflate(TEXT)),
    "gzip of deflate": (
        ["Content-Encoding: deflate", "Content-Encoding: gzip"],
        gzip.compress(zlib.compress(TEXT)),
    ),
}


@pytest.mark.parametrize("framing", ["length", "chunked", "closed"])
@pytest.mark.parametrize("encoding", ENCODED)
def test_body_is_read_whole(encoding: str, framing: str, start: Start, client: Client) -> None:
    headers, body = ENCODED[encoding]
    sent = {
        "length": answer(body, headers=headers),
        "chunked": answer(headers=[*headers, "Transfer-Encoding: Chunked"], length=False)
        + chunked(body[:10], body[10:11], body[11:]),
        "closed": answer(headers=headers, length=False) + body,
    }
    target = start(answering(sent[framing]))

    found = client.send(target.origin)

    assert found.body == TEXT


def test_body_is_read_whole_over_tls(start: Start, secure: Client, authority: Authority) -> None:
    target = start(
        answering(answer(gzip.compress(TEXT), headers=ENCODED["gzip"][0])), tls=authority.tls
    )

    found = secure.send(target.origin)

    assert found.body == TEXT


def test_chunk_extensions_and_trailers_are_read_over(start: Start, client: Client) -> None:
    target = start(
        answering(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5;a=b \r\nhello\r\n0;c\r\nX-Trailer: d\r\n\r\n"
        )
    )

    found = client.send(target.origin)

    assert found.body == b"hello"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_empty_body_may_name_an_encoding(encoding: str, start: Start, client: Client) -> None:
    target = start(answering(answer(headers=[f"Content-Encoding: {encoding}"])))

    found = client.send(target.origin)

    assert found.body == b""


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(TEXT)[:-20]),
        ("gzip", gzip.compress(TEXT)[:-4]),
        ("gzip", gzip.compress(TEXT)[:5]),
        ("deflate", zlib.compress(TEXT)[:-3]),
        ("deflate", raw_deflate(TEXT)[:-3]),
        ("deflate", b"\x78"),
    ],
    ids=["gzip data", "gzip checksum", "gzip header", "zlib", "bare deflate", "one byte"],
)
def test_encoding_that_ends_early_is_invalid(
    encoding: str, body: bytes, start: Start, client: Client
) -> None:
    target = start(answering(answer(body, headers=[f"Content-Encoding: {encoding}"])))

    failure = client.fail(target.origin)

    assert (failure.code, failure.effect) == ("responseInvalid", "answered")
    assert f"its body ends in the middle of its {encoding} encoding" in failure.message


def test_body_missing_after_the_end_of_its_encoding_is_invalid(
    start: Start, client: Client
) -> None:
    body = zlib.compress(b"whole")
    headers = ["Content-Encoding: deflate", f"Content-Length: {len(body) + 5}"]
    target = start(answering(answer(headers=headers, length=False) + body))

    failure = client.fail(target.origin)

    assert failure.code == "responseInvalid"


@pytest.mark.parametrize("framing", ["length", "chunked", "closed"])
@pytest.mark.parametrize("encoding", ["plain", "gzip", "deflate"])
def test_body_of_the_limit_is_read_and_one_byte_more_is_too_large(
    encoding: str, framing: str, start: Start, client: Client
) -> None:
    headers, body = ENCODED[encoding]
    sent = {
        "length": answer(body, headers=headers),
        "chunked": answer(headers=[*headers, "Transfer-Encoding: chunked"], length=False)
        + chunked(body),
        "closed": answer(headers=headers, length=False) + body,
    }
    target = start(answering(sent[framing]))
    client.limit_bytes = len(TEXT)
    found = client.send(target.origin)
    client.limit_bytes = len(TEXT) - 1

    failure = client.fail(target.origin)

    assert len(found.body) == len(TEXT)
    assert (failure.code, failure.effect) == ("responseTooLarge", "answered")
    assert failure.message == (
        f"The answer of 127.0.0.1:{target.port} is longer than {len(TEXT) - 1} bytes, "
        "decompressed (MAX_RESPONSE_BYTES); ask for less, a page or single fields, or raise the "
        "setting."
    )


def test_announced_length_past_the_limit_is_refused_unread(start: Start, client: Client) -> None:
    def announces(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000001\r\n\r\n")
        peer.wait()

    target = start(announces)

    failure = client.fail(target.origin)

    assert failure.code == "responseTooLarge"
    assert failure.elapsed_s < 2


def bomb() -> bytes:
    """Return 200 MB of zeros, packed."""
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    zeros = bytes(1 << 20)
    return b"".join(packer.compress(zeros) for _ in range(200)) + packer.flush()


GROWTH = """
import gc, resource, sys
from threading import Thread
from tests.http.conftest import Client

def rounds():
    for _ in range(3 if at_once > 1 else 1):
        threads = [Thread(target=lambda: codes.add(client.fail(url).code)) for _ in range(at_once)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

url, at_once, codes = sys.argv[1], int(sys.argv[2]), set()
client = Client(limit_bytes=10_000_000, timeout_s=20)
client.fail("http://127.0.0.1:1/")
gc.collect()
gc.disable()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rounds()
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(*codes, after - before)
"""


def growth(url: str, *, at_once: int = 1) -> tuple[str, int]:
    """Send to a target from a process of its own; return the reason and how many MB it grew.

    No garbage collector runs: what an answer held has to go when its exchange ends.
    """
    done = subprocess.run(  # noqa: S603  # this Python, a script of ours
        [sys.executable, "-c", GROWTH, url, str(at_once)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    code, kilobytes = done.stdout.split()
    return code, int(kilobytes) // 1024


@pytest.mark.parametrize("encoding", ["gzip", "gzip of gzip", "deflate"])
def test_bomb_is_too_large_with_memory_flat(encoding: str, start: Start) -> None:
    packed = bomb()
    sent = {
        "gzip": (packed, "gzip"),
        "gzip of gzip": (gzip.compress(packed), "gzip, gzip"),
        "deflate": (zlib.compress(bytes(100 << 20)), "deflate"),
    }
    body, named = sent[encoding]
    target = start(answering(answer(body, headers=[f"Content-Encoding: {named}"])))

    code, megabytes = growth(target.origin)

    assert code == "responseTooLarge"
    assert megabytes < 30


@pytest.mark.parametrize("framing", ["chunked", "closed", "gzip"])
def test_endless_body_is_cut_at_the_limit_with_memory_flat(framing: str, start: Start) -> None:
    def floods(peer: Peer) -> None:
        peer.request()
        if framing == "chunked":
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
        elif framing == "closed":
            peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            piece = bytes(0x10000)
        else:
            packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
            peer.send(packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH))
            piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
        while not peer.target.stopping.is_set():
            peer.send(piece)

    target = start(floods)

    code, megabytes = growth(target.origin)

    assert code == "responseTooLarge"
    assert megabytes < 30


@pytest.mark.parametrize("framing", ["chunked", "closed"])
def test_endless_bodies_side_by_side_hold_no_more_than_their_limits(
    framing: str, start: Start
) -> None:
    head = {
        "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "closed": b"HTTP/1.1 200 OK\r\n\r\n",
    }
    piece = {"chunked": b"10000\r\n" + bytes(0x10000) + b"\r\n", "closed": bytes(0x10000)}

    def floods(peer: Peer) -> None:
        peer.request()
        peer.send(head[framing])
        while not peer.target.stopping.is_set():
            peer.send(piece[framing])

    target = start(floods)

    code, megabytes = growth(target.origin, at_once=10)

    assert code == "responseTooLarge"
    assert megabytes < 10 * 10 + 30


FAULTY_HEADS = {
    "10,000 headers": b"HTTP/1.1 200 OK\r\n" + b"X-Name: value\r\n" * 10_000 + b"\r\n",
    "1 MB header": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("fault", FAULTY_HEADS)
def test_faulty_heads_are_invalid_with_memory_flat(fault: str, start: Start) -> None:
    target = start(answering(FAULTY_HEADS[fault]))

    code, megabytes = growth(target.origin)

    assert code == "responseInvalid"
    assert megabytes < 30


def test_what_follows_an_encoding_is_bounded_too(start: Start, client: Client) -> None:
    def floods(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n", zlib.compress(b"whole"))
        while not peer.target.stopping.is_set():
            peer.send(bytes(65536))

    target = start(floods)

    failure = client.fail(target.origin)

    assert failure.code == "responseTooLarge"


@pytest.mark.parametrize("size", [1, 7, 65536, 1 << 20])
def test_decoders_hand_out_bounded_pieces_whatever_comes_in(size: int) -> None:
    packed = gzip.compress(gzip.compress(TEXT * 3))
    received = (packed[at : at + size] for at in range(0, len(packed), size))

    pieces = list(decoded(received, ["gzip", "gzip"], bounded=lambda made: made))

    assert b"".join(pieces) == TEXT * 3
    assert max(map(len, pieces)) <= PIECE_BYTES


def test_encoded_nothing_without_end_is_too_large(start: Start, client: Client) -> None:
    def floods(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        while not peer.target.stopping.is_set():
            peer.send(gzip.compress(b"") * 1000)

    target = start(floods)
    client.limit_bytes = 100_000

    failure = client.fail(target.origin)

    assert failure.code == "responseTooLarge"


def test_unpacking_is_cut_at_the_deadline(start: Start, client: Client) -> None:
    # Eighty kilobytes that unpack to millions of empty members, which unpack to nothing.
    body = gzip.compress(gzip.compress(b"") * 4_000_000)
    target = start(answering(answer(body, headers=["Content-Encoding: gzip, gzip"])))
    client.limit_bytes = 1 << 30
    client.timeout_s = 0.8

    failure = client.fail(target.origin)

    assert failure.code == "timedOut"
    assert failure.elapsed_s == pytest.approx(0.8, abs=0.5)
