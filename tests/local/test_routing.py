from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.local.errors import LocalServerError
from invoke_core.local.routing import Route, RouteTable, decode_path, parse_template


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("api/health", "/api/health", {}),
        ("api/health", "/API/Health", {}),
        ("/api/health", "/api/health", {}),
        ("api/health/", "/api/health", {}),
        ("api/health", "/api/health/", {}),
        ("api/health", "/api/health//", None),
        ("api/health", "/api//health", None),
        ("api/health", "//api/health", None),
        ("api/health", "/api/health/x", None),
        ("api/health", "/api", None),
        ("api/health", "/", None),
        ("api/straße", "/API/STRAßE", {}),
        ("api/openapi.json", "/api/openapi.json", {}),
        ("a/{id}", "/a/B%2Fc", {"id": "B%2Fc"}),
        ("a/{id}", "/a/", None),
        ("a/{id}", "/a", None),
        ("a/{id?}", "/a", {}),
        ("a/{id?}", "/a/", {}),
        ("a/{id?}", "/a/b", {"id": "b"}),
        ("a/{id?}/{other?}", "/a/b", {"id": "b"}),
        ("a/{id?}/c", "/a/c", None),
        ("azdo/{*path}", "/azdo/default//p/_apis", {"path": "default//p/_apis"}),
        ("azdo/{*path}", "/azdo/default/", {"path": "default/"}),
        ("azdo/{*path}", "/azdo//default", None),
        ("azdo/{*path}", "/azdo/", {}),
        ("azdo/{*path}", "/azdo", {}),
        ("azdo/{**path}", "/azdo/a/b", {"path": "a/b"}),
        ("{*path}", "/", {}),
        ("f/{a}.{b}", "/f/x.y.z", {"a": "x.y", "b": "z"}),
        ("f/{a}.{b}", "/f/.z", None),
        ("f/{a}.{b}", "/f/x.", None),
        ("f/{a}.{b}", "/f/xy", None),
        ("f/{a}.{b?}", "/f/x", {"a": "x"}),
        ("f/{a}.{b?}", "/f/x.", None),
        ("f/{a}.{b?}", "/f/x.y", {"a": "x", "b": "y"}),
        ("f/v{n}", "/f/V2", {"n": "2"}),
        ("f/v{n}", "/f/v", None),
        ("f/{n}px", "/f/10PX", {"n": "10"}),
        ("f/{n}px", "/f/10px2", None),
        ("f/a{x}a{y}", "/f/abab", {"x": "b", "y": "b"}),
        ("f/a{x}a", "/f/aa", None),
        ("f/{{x}}", "/f/{x}", {}),
        ("f/{x:regex(^\\d{{3}}$)}", "/f/123", {"x": "123"}),
        ("f/{x:regex(^\\d{{3}}$)}", "/f/1234", None),
        ("f/{x:regex(a:b)}", "/f/xa:bx", {"x": "xa:bx"}),
        ("f/{x:int:min(5)}", "/f/7", {"x": "7"}),
        ("f/{x:int:min(5)}", "/f/4", None),
        ("f/{x:int?}", "/f", {}),
        ("f/{x:int?}", "/f/a", None),
        ("f/{*x:length(3)}", "/f/a/b", {"x": "a/b"}),
        ("f/{*x:length(3)}", "/f", None),
    ],
)
def test_a_path_is_matched_as_the_host_does(
    template: str, path: str, values: dict[str, str] | None
) -> None:
    assert parse_template(template).match(path) == values


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("a//b", "two slashes stand side by side"),
        ("a/{b", "its braces do not pair up"),
        ("a/b}", "its braces do not pair up"),
        ("a/{}", "its braces do not pair up"),
        ("a/{b=1}", "'{b=1}' is not a parameter the local server can read"),
        ("a/{b:}", "the constraints of '{b:}' cannot be read"),
        ("a/{b:int(}", "the constraints of '{b:int(}' cannot be read"),
        ("a/{*b?}", "a catch-all parameter cannot be optional"),
        ("{*a}/b", "a catch-all parameter has to stand at the end"),
        ("a/x{*b}", "a catch-all parameter has to be a whole segment"),
        ("{a}/{A}", "the parameter 'A' appears twice"),
        ("{a}{b}", "two parameters stand side by side without text between them"),
        ("a?b", "a question mark stands outside a parameter"),
        ("{a}-{b?}", "the optional 'b' has to end its segment, after a dot"),
        ("{a?}.b", "the optional 'a' has to end its segment, after a dot"),
    ],
)
def test_a_template_the_host_would_refuse_is_refused(template: str, why: str) -> None:
    with pytest.raises(LocalServerError) as caught:
        parse_template(template)

    assert caught.value.message == f"The route '{template}' is refused: {why}."


_words = st.text("abcXYZ019_-~é", min_size=1, max_size=6)


@given(st.lists(_words, min_size=1, max_size=5))
def test_every_segment_comes_back_under_its_parameter(words: list[str]) -> None:
    template = parse_template("/".join(f"{{p{index}}}" for index in range(len(words))))

    found = template.match("/" + "/".join(words))

    assert found == {f"p{index}": word for index, word in enumerate(words)}


@given(st.text("ab./%", max_size=12), st.text("ab./%", max_size=12))
def test_a_catch_all_takes_the_rest_unchanged(first: str, rest: str) -> None:
    path = f"/azdo/x{first}/{rest}"

    found = parse_template("azdo/{*path}").match(path)

    assert found == {"path": path.removeprefix("/azdo/")}


@given(st.text("aB.", max_size=8))
def test_two_parameters_split_at_the_last_dot_that_has_text_behind_it(text: str) -> None:
    found = parse_template("{a}.{b}").match(f"/{text}")

    if found is not None:
        assert f"{found['a']}.{found['b']}" == text
        assert "." not in found["b"][:-1]


def _table(*routes: tuple[str, str, str]) -> RouteTable:
    return RouteTable(
        Route(name, parse_template(template), frozenset(methods.split()))
        for name, template, methods in routes
    )


def test_the_first_function_by_name_wins_however_special_the_other_route_is() -> None:
    table = _table(("d_count", "things/count", "GET"), ("B_get", "things/{id}", "GET"))

    assert table.find("GET", "/things/count") == ("B_get", {"id": "count"})


def test_an_underscore_sorts_behind_letters() -> None:
    """Names are compared upper-case, code point by code point (.NET's OrdinalIgnoreCase)."""
    table = _table(("item_x", "{a}", "GET"), ("items", "{b}", "GET"))

    assert table.find("GET", "/1") == ("items", {"b": "1"})


def test_a_wrong_method_does_not_end_the_search() -> None:
    table = _table(("a", "things/{id}", "GET"), ("b", "things/{other}", "DELETE"))

    assert table.find("DELETE", "/things/1") == ("b", {"other": "1"})
    assert table.find("PUT", "/things/1") is None


def test_a_failed_constraint_does_not_end_the_search() -> None:
    table = _table(("a", "things/{id:int}", "GET"), ("b", "things/{name}", "GET"))

    assert table.find("GET", "/things/x") == ("b", {"name": "x"})


def test_no_methods_means_all_of_them() -> None:
    assert _table(("a", "x", "")).find("BREW", "/x") == ("a", {})


def test_a_method_is_compared_without_case() -> None:
    assert _table(("a", "x", "GET")).find("get", "/x") == ("a", {})


@pytest.mark.parametrize(("one", "other"), [("GET PUT", "put POST"), ("", "GET"), ("GET", "")])
def test_the_same_route_with_a_method_in_common_is_refused(one: str, other: str) -> None:
    with pytest.raises(LocalServerError) as caught:
        _table(("a", "X/{y}", one.upper()), ("b", "x/{Y}", other.upper()))

    assert caught.value.message == (
        "The functions 'a' and 'b' have the same route 'x/{Y}' and a method in common."
    )


def test_the_same_route_with_other_methods_is_accepted() -> None:
    table = _table(("a", "x", "GET"), ("b", "x", "POST"))

    assert table.find("POST", "/x") == ("b", {})


@pytest.mark.parametrize(
    ("sent", "decoded"),
    [
        ("/", "/"),
        ("/a%20b", "/a b"),
        ("/a+b", "/a+b"),
        ("/%C3%A9", "/é"),
        ("/a%2Fb%2fc", "/a%2Fb%2fc"),
        ("/a%2520b", "/a%20b"),
        ("/%zz%4", "/%zz%4"),
        ("/%ff%41", "/%FFA"),
        ("/%C3%2F", "/%C3%2F"),
        ("/a%00b", None),
        ("/a//b", "/a//b"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/../../b", "/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/a//../b", "/a/b"),
        ("/.well-known/...", "/.well-known/..."),
    ],
)
def test_a_path_is_decoded_as_the_web_server_under_the_host_does(
    sent: str, decoded: str | None
) -> None:
    assert decode_path(sent) == decoded


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E)))
def test_decoding_never_fails_and_never_leaves_a_dot_segment(text: str) -> None:
    decoded = decode_path(f"/{text}")

    if decoded is not None:
        assert decoded.startswith("/")
        assert not {".", ".."} & set(decoded.split("/"))
