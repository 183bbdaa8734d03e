"""The header rules (contract, section 2) and the connection's credential."""

from __future__ import annotations

import base64

import pytest

from invoke_core.connections import BasicAuth, BearerAuth, HeaderAuth, NoAuth
from invoke_core.documents import JsonNumber, JsonValue, PlainText
from invoke_core.errors import Fault
from invoke_core.headers import credential_texts, is_ours, read_headers, with_credential
from invoke_core.model import Secret
from invoke_core.steps import FaultList, Given

WHERE = "/inputs/headers"
BASIC = BasicAuth(username="svc", password=Secret("swördfish"))


def read(
    value: JsonValue, *, granted_only: bool = False
) -> tuple[tuple[tuple[str, str], ...], list[Fault]]:
    faults = FaultList()
    headers = read_headers(
        Given(value, WHERE),
        faults,
        expand=lambda text: text.replace("$(x)", "expanded").replace("$(nl)", "\n"),
        granted_only=granted_only,
    )
    return headers, faults.faults


def accepted(value: JsonValue) -> tuple[tuple[str, str], ...]:
    headers, faults = read(value)
    assert faults == []
    return headers


def refusal(name: str, value: str = "v", *, granted_only: bool = False) -> str | None:
    """Return why a header is refused, or None where it is not."""
    headers, faults = read({name: value}, granted_only=granted_only)
    if not faults:
        assert headers == ((name, value),)
        return None
    [fault] = faults
    assert fault.pointer == f"{WHERE}/{name.replace('~', '~0').replace('/', '~1')}"
    assert headers == ()
    return fault.detail


def test_the_default_is_that_of_the_documentation_letter_for_letter() -> None:
    faults = FaultList()

    headers = read_headers(None, faults, expand=str, granted_only=True)

    assert faults.faults == []
    assert headers == (
        ("Content-Type", "application/json"),
        ("PlanUrl", "$(system.CollectionUri)"),
        ("ProjectId", "$(system.TeamProjectId)"),
        ("HubName", "$(system.HostType)"),
        ("PlanId", "$(system.PlanId)"),
        ("JobId", "$(system.JobId)"),
        ("TimelineId", "$(system.TimelineId)"),
        ("TaskInstanceId", "$(system.TaskInstanceId)"),
        ("AuthToken", "$(system.AccessToken)"),
    )


def test_headers_given_replace_the_default() -> None:
    assert accepted('{"X-a": "1"}') == (("X-a", "1"),)
    assert accepted({"X-a": "1"}) == (("X-a", "1"),)


@pytest.mark.parametrize("nothing", ["", "  ", "{}", {}])
def test_headers_given_empty_are_none(nothing: JsonValue) -> None:
    assert accepted(nothing) == ()


def test_names_keep_their_letter_case_and_order() -> None:
    assert accepted('{"x-B": "1", "X-a": "2", "ACCEPT": "3", "accept-language": "4"}') == (
        ("x-B", "1"),
        ("X-a", "2"),
        ("ACCEPT", "3"),
        ("accept-language", "4"),
    )


def test_numbers_and_booleans_are_text_and_null_is_absent() -> None:
    expected = (("a", "1.10"), ("b", "true"), ("c", "010"))

    assert accepted('{"a": 1.10, "b": true, "c": "010", "d": null}') == expected
    assert accepted({"a": JsonNumber("1.10"), "b": True, "c": "010", "d": None}) == expected
    assert accepted({"a": PlainText("1.10"), "b": PlainText("true"), "c": PlainText("010")}) == (
        expected
    )


def test_macros_are_expanded_in_values_only() -> None:
    headers, faults = read('{"X": "<$(x)>", "Y": "$(x)"}')

    assert headers == (("X", "<expanded>"), ("Y", "expanded"))
    assert faults == []
    assert refusal("$(x)") == "'$(x)' is no header name; letters, digits and - are."


def test_blanks_around_a_value_are_not_sent() -> None:
    assert accepted({"a": " \tb c\t "}) == (("a", "b c"),)


@pytest.mark.parametrize("name", ["AuthToken", "authtoken", "AUTHTOKEN"])
def test_an_empty_authtoken_is_not_sent_and_other_empty_headers_are(name: str) -> None:
    assert accepted({name: "", "X-Empty": ""}) == (("X-Empty", ""),)
    assert accepted({name: "mine"}) == ((name, "mine"),)


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "HOST",
        "Content-Length",
        "transfer-encoding",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "Proxy-Authorization",
        "proxy-connection",
        "PROXY-ANYTHING",
        "Content_Length",
        "transfer_encoding",
        "Keep_Alive",
        "Proxy_Authorization",
    ],
)
def test_a_header_of_the_transport_is_not_the_callers_to_set(name: str) -> None:
    assert refusal(name) == f"The header '{name}' is the service's to set, not the caller's."
    assert is_ours(name)


@pytest.mark.parametrize(
    "name",
    ["User-Agent", "Accept", "Accept-Encoding", "Authorization", "Cookie", "traceparent", "Proxy"],
)
def test_other_headers_are_the_callers_to_set(name: str) -> None:
    assert refusal(name, granted_only=True) is None


@pytest.mark.parametrize(
    "name",
    [
        "X-HTTP-Method",
        "X-HTTP-Method-Override",
        "x-method-override",
        "X-Original-URL",
        "X-REWRITE-URL",
        "X_Original_URL",
        "X_HTTP_Method-Override",
    ],
)
def test_headers_that_evade_a_grant_are_refused_where_there_is_one(name: str) -> None:
    assert refusal(name) is None
    assert refusal(name, granted_only=True) == (
        f"The header '{name}' is refused where a connection grants only some requests."
    )


@pytest.mark.parametrize("name", ["", "a b", "a:", "é", "a\r\nb", "(a)", "a/b", "a~\\", "x\x00"])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    assert refusal(name) == f"'{name}' is no header name; letters, digits and - are."


def test_every_character_of_a_token_is_accepted_in_a_name() -> None:
    assert refusal("!#$%&'*+-.^_`|~09azAZ") is None


@pytest.mark.parametrize("value", ["a\r\nX: y", "a\nb", "a\tb", "\x00", "\x7f", "a\x85b"])
def test_a_value_with_a_control_character_is_refused(value: str) -> None:
    assert refusal("X", f"<{value}>") == (
        "The value of the header 'X' has a control character in it."
    )


def test_a_value_is_judged_after_macros_are_expanded() -> None:
    assert refusal("X", "a$(nl)b") == "The value of the header 'X' has a control character in it."


def test_a_value_is_latin_1() -> None:
    assert refusal("X", "naïve ÿ") is None
    for value in ("€", "日本", "\ud800"):
        assert refusal("X", value) == (
            "The value of the header 'X' has a character outside Latin-1 in it."
        )


def test_one_header_in_two_letter_cases_is_refused() -> None:
    headers, faults = read({"X-a": "1", "x-A": "2", "X-B": "3"})

    assert headers == (("X-a", "1"), ("X-B", "3"))
    assert faults == [
        Fault(f"{WHERE}/x-A", "The header 'x-A' stands here twice; names ignore case.")
    ]


def test_every_fault_is_named_and_in_a_text_points_at_the_input() -> None:
    given = '{"Host": "a", "b c": "d", "E": [], "F": {}, "G": "ok"}'

    headers, faults = read(given)

    assert headers == (("G", "ok"),)
    assert faults == [
        Fault(WHERE, "The header 'Host' is the service's to set, not the caller's."),
        Fault(WHERE, "'b c' is no header name; letters, digits and - are."),
        Fault(WHERE, "The value of the header 'E' is text."),
        Fault(WHERE, "The value of the header 'F' is text."),
    ]


def test_headers_that_are_no_json_are_refused_with_line_and_column() -> None:
    _, faults = read('{\n  Content-Type: "a"\n}')

    assert faults == [
        Fault(
            WHERE,
            "'headers' is a JSON object. This is not JSON: Expecting property name enclosed in "
            "double quotes at line 2, column 3. Names and values stand in double quotes.",
        )
    ]


def test_a_header_given_twice_in_a_text_is_refused() -> None:
    _, faults = read('{"a": "1", "a": "2"}')

    assert faults == [
        Fault(
            WHERE,
            "'headers' is a JSON object. The member 'a' stands twice in one object; give it once. "
            "Names and values stand in double quotes.",
        )
    ]


@pytest.mark.parametrize("value", ["[]", '"a"', "1", True, JsonNumber("1"), []])
def test_headers_that_are_no_object_are_refused(value: JsonValue) -> None:
    headers, faults = read(value)

    assert headers == ()
    assert faults == [Fault(WHERE, "'headers' is a JSON object: names with text values.")]


CALLERS = (("X-a", "1"), ("authorization", "mine"), ("x-api-KEY", "mine"))


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        (BASIC, "Authorization", f"Basic {base64.b64encode('svc:swördfish'.encode()).decode()}"),
        (BearerAuth(token=Secret("abcd")), "Authorization", "Bearer abcd"),
        (HeaderAuth(name="X-Api-Key", value=Secret("abcd")), "X-Api-Key", "abcd"),
    ],
)
def test_the_credential_replaces_a_header_of_its_name_with_a_warning(
    auth: BasicAuth | BearerAuth | HeaderAuth, name: str, value: str
) -> None:
    others = tuple(header for header in CALLERS if header[0].lower() != name.lower())

    assert with_credential(others, auth) == ((*others, (name, value)), None)
    headers, warning = with_credential(CALLERS, auth)
    assert headers == (*others, (name, value))
    assert warning == (
        f"The input 'headers' sets {name}, and so does the service connection; "
        "the connection's credential was sent."
    )


@pytest.mark.parametrize("name", ["X_Api_Key", "x-api_key", "X_API-KEY"])
def test_the_credential_replaces_what_a_target_may_read_as_its_name(name: str) -> None:
    auth = HeaderAuth(name="X-Api-Key", value=Secret("abcd"))

    headers, warning = with_credential((("X-a", "1"), (name, "mine")), auth)

    assert headers == (("X-a", "1"), ("X-Api-Key", "abcd"))
    assert warning is not None


def test_an_authorization_goes_beside_a_credential_with_another_name() -> None:
    auth = HeaderAuth(name="X-Api-Key", value=Secret("abcd"))

    assert with_credential((("Authorization", "mine"),), auth) == (
        (("Authorization", "mine"), ("X-Api-Key", "abcd")),
        None,
    )


def test_without_a_credential_the_callers_headers_are_sent() -> None:
    assert with_credential(CALLERS, NoAuth()) == (CALLERS, None)


def test_a_credential_is_known_by_every_text_it_could_appear_as() -> None:
    assert credential_texts(BASIC) == ("swördfish", "svc:swördfish")
    assert credential_texts(BearerAuth(token=Secret("abcd"))) == ("abcd",)
    assert credential_texts(HeaderAuth(name="X", value=Secret("abcd"))) == ("abcd",)
    assert credential_texts(NoAuth()) == ()


def test_a_user_name_without_a_password_is_the_credential() -> None:
    auth = BasicAuth(username="sk_live_1234", password=Secret(""))

    assert credential_texts(auth) == ("sk_live_1234", "sk_live_1234:")


def test_a_credential_is_never_printed() -> None:
    assert repr(BASIC) == "BasicAuth(username='svc', password=***)"
    assert f"{Secret('swordfish')}" == "***"
    assert Secret("a") == Secret("a")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
