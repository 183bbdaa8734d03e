"""Whatever stands in ``urlSuffix``, nothing reaches another origin or leaves the path prefix.

Seen from what two real servers receive: the connection's target, and one that must stay silent.

Source: HTTP contract, section 7 ("The URL is judged twice").
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest

from tests.api.conftest import demo_connections, make_client
from tests.api.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.api.conftest import Client

PREFIX = "/v1/area"

REFUSED = [
    # User information turns what stands before it into a name.
    "@{other}/",
    ":pw@{other}/",
    "@{other}:80/",
    "%40{other}/../",
    "/a@b/../..",
    # Backslashes are slashes to some parsers.
    "\\",
    "\\..\\..\\",
    "/\\{other}/",
    "\\\\{other}\\",
    "/%5c..%5c..",
    "/%255c..%255c..",
    "/a\\..\\..\\v2",
    "?a=\\",
    # Dots, plain and encoded, once and more often.
    "/..",
    "/../",
    "/../../v2",
    "/.",
    "/./a",
    "/a/../../v2",
    "/a/./../../../v2",
    "/%2e%2e/v2",
    "/%2E%2E/v2",
    "/.%2e/v2",
    "/%2e./v2",
    "/%2e/v2",
    "/%252e%252e/v2",
    "/%25252e%25252e/v2",
    "/a/%2e%2e/%2e%2e/v2",
    "/%2e%2e%2fv2",
    "/%2e%2e%2Fv2",
    "/..%2fv2",
    "/..%2Fv2",
    "/..%252fv2",
    "/%2e%2e%5cv2",
    "/a%2f..%2f..%2fv2",
    "/.%252e/v2",
    # Parameters of a segment, which some servers cut away.
    "/..;/v2",
    "/..;a=b/v2",
    "/..;a=../v2",
    "/.;/v2",
    "/%2e%2e;/v2",
    "/..%3b/v2",
    "/..%3ba=b/v2",
    # White space and control characters, which some parsers drop.
    "/.\t./v2",
    "/.\n./v2",
    "/\r\n\r\nGET /v2 HTTP/1.1",
    "/a%0d%0aX-Evil:%20yes",
    "/a\x00",
    "/a%00",
    "/..\x7f/v2",
    "/.. /v2",
    "/..%20/v2",
    "/..%09/v2",
    "\t/../v2",
    "/a\x85b",
    "/a\u2028b",
    # Fragments.
    "#",
    "/a#b",
    "#@{other}/",
    "?a#b",
    # Characters that become dots and slashes when they are made plain.
    "/\uff0e\uff0e/v2",
    "/\u2024\u2024/v2",
    "/\u2025/v2",
    "/..\uff0fv2",
    "/\uff3c..\uff3cv2",
    "/%ef%bc%8e%ef%bc%8e/v2",
    "/%EF%BC%8E%EF%BC%8E%EF%BC%8Fv2",
    "/\uff05\uff12\uff45\uff05\uff12\uff45/v2",
    # A prefix without its boundary.
    "evil",
    "-other/",
    ".evil.example/",
    "2/a",
    "%2f..%2f..",
    "%2fa",
    ";a=b",
    ".",
    "..",
    "%2e%2e/",
    # Whole URLs and authorities, appended as the text they are.
    "http://{other}/",
    "https://{other}/",
    "//{other}/../",
    ":{port}/",
    "[::1]/",
]
"""Each leads, by some reading, out of origin or prefix; ``{other}`` is the silent server."""

GRANTED = [
    "",
    "/",
    "?a=1",
    "/a",
    "/a/b?c=../../d",
    "/a;v=1/b",
    "/a%20b",
    "/...",
    "/.hidden",
    "/a..b",
    "/ü",
    "//double",
    "//{other}/a",
    "///a//b",
    "/http://{other}/",
    "/a@{other}/",
    "/a:80/",
    "?next=http://{other}/",
    "?@{other}",
    "?a=%5c&b=%00",
    # Overlong UTF-8 is no dot and no slash; it is sent as it is, below the prefix.
    "/%c0%ae%c0%ae/v2",
    "/%c0%ae%c0%ae%c0%afv2",
    "/%e0%80%ae%e0%80%ae/v2",
    "/a%2fb",
]
"""Each stays below the prefix by every reading."""


class Servers:
    """The service, its target and a silent server."""

    def __init__(self, client: Client, target: Target, other: Target) -> None:
        self.client = client
        self.target = target
        self.other = other

    def send(self, suffix: str) -> tuple[int, Any]:
        """Send to a suffix; return the status and the body of the answer."""
        other = self.other.url.removeprefix("http://")
        text = suffix.replace("{other}", other).replace("{port}", other.rpartition(":")[2])
        answered = self.client.step(method="GET", urlSuffix=text)
        return answered.status, answered.json


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with ExitStack() as running:
        target, other = running.enter_context(Target()), running.enter_context(Target())
        connections = demo_connections(target.url + PREFIX)
        yield Servers(make_client(tmp_path, connections), target, other)


@pytest.mark.parametrize("suffix", REFUSED)
def test_suffix_that_leads_away_reaches_nobody(suffix: str, servers: Servers) -> None:
    status, problem = servers.send(suffix)

    assert (status, problem["code"]) == (403, "connectionPolicy")
    assert servers.target.received == []
    assert servers.other.received == []


@pytest.mark.parametrize("suffix", GRANTED)
def test_suffix_below_the_prefix_reaches_the_target_there(suffix: str, servers: Servers) -> None:
    status, _ = servers.send(suffix)

    assert status == 200
    assert servers.other.received == []
    paths = [request.path for request in servers.target.received]
    assert len(paths) == 1
    assert_stays_below(paths[0])


def assert_stays_below(path: str) -> None:
    """Check what stood in the request line, decoded as often as servers may."""
    for _ in range(4):
        before_query = path.partition("?")[0]
        assert before_query.startswith(PREFIX)
        assert before_query[len(PREFIX) :][:1] in {"", "/"}
        assert {".", ".."}.isdisjoint(before_query.split("/"))
        path = unquote(before_query)


def test_the_table_is_as_long_as_it_was_asked_for() -> None:
    assert len(set(REFUSED + GRANTED)) >= 60


@pytest.mark.parametrize("suffix", ["@{other}/", ".{other}/", ":{port}/", "{port}", "\\@{other}"])
def test_origin_without_a_path_is_never_left(suffix: str, servers: Servers, tmp_path: Path) -> None:
    # Without a path there is no slash between the host and what is appended.
    servers.client = make_client(tmp_path, demo_connections(servers.target.url))

    status, _ = servers.send(suffix)

    assert status == 403
    assert servers.target.received == servers.other.received == []


@pytest.mark.parametrize("suffix", [":{port}/", ":{port}", ":{port}?a=b"])
def test_host_without_a_port_is_given_none(suffix: str, servers: Servers, tmp_path: Path) -> None:
    """Nothing else than its port tells the other server from the connection's."""
    host = servers.other.url.rpartition(":")[0]
    servers.client = make_client(tmp_path, demo_connections(host))

    status, _ = servers.send(suffix)

    assert status == 403
    assert servers.other.received == []
