"""When a failed task is tried again, and after how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.model import Effect, Method, Reason, ReasonCode
from invoke_core.retries import may_repeat, pause, told_pause

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
A_YEAR = timedelta(days=365)

NEVER = {
    ReasonCode.CREDENTIAL_FAILED,
    ReasonCode.TLS_FAILED,
    ReasonCode.ADDRESS_REFUSED,
    ReasonCode.REDIRECT_REFUSED,
    ReasonCode.RESPONSE_TOO_LARGE,
}
STATUSES = (None, 200, 302, 400, 401, 403, 404, 408, 409, 429, 500, 502, 503, 504)


@pytest.mark.parametrize("code", ReasonCode)
def test_a_request_is_repeated_unless_that_is_useless_or_might_double_an_effect(
    code: ReasonCode,
) -> None:
    for effect, method, status in product(Effect, Method, STATUSES):
        repeats = may_repeat(method=method, reason=Reason(code, "", effect), status=status)

        is_useless = code in NEVER or status in (401, 403)
        might_double = effect is Effect.UNKNOWN and method in ("POST", "PATCH")
        assert repeats == (not is_useless and not might_double), (effect, method, status)


@pytest.mark.parametrize(
    ("code", "effect", "status", "repeats"),
    [
        (ReasonCode.STATUS_CODE, Effect.ANSWERED, 500, True),
        (ReasonCode.STATUS_CODE, Effect.ANSWERED, 401, False),
        (ReasonCode.CRITERIA_NOT_MET, Effect.ANSWERED, 200, True),
        (ReasonCode.NAME_NOT_RESOLVED, Effect.NONE, None, True),
        (ReasonCode.CONNECTION_FAILED, Effect.NONE, None, True),
        (ReasonCode.CONNECTION_FAILED, Effect.UNKNOWN, None, False),
        (ReasonCode.TIMED_OUT, Effect.UNKNOWN, None, False),
        (ReasonCode.RESPONSE_INVALID, Effect.ANSWERED, None, True),
        (ReasonCode.TLS_FAILED, Effect.NONE, None, False),
    ],
)
def test_a_post_is_repeated_where_its_effect_is_known(
    code: ReasonCode, effect: Effect, status: int | None, *, repeats: bool
) -> None:
    reason = Reason(code, "", effect)

    assert may_repeat(method="POST", reason=reason, status=status) == repeats


def test_pauses_double_up_to_a_minute() -> None:
    pauses = [pause(n, jitter=0.0, told=None).total_seconds() for n in range(1, 11)]

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


@given(st.integers(1, 10), st.floats(0, 1))
def test_a_pause_is_lengthened_by_a_quarter_at_most(failures: int, jitter: float) -> None:
    least = pause(failures, jitter=0.0, told=None)
    spread = pause(failures, jitter=jitter, told=None)

    assert least <= spread <= min(least * 1.25, timedelta(seconds=60))
    assert spread.microseconds % 1000 == 0


@given(st.integers(1, 10), st.floats(0, 1), st.timedeltas(timedelta(), A_YEAR))
def test_a_pause_is_never_shorter_than_was_told(
    failures: int, jitter: float, told: timedelta
) -> None:
    own = pause(failures, jitter=jitter, told=None)

    assert pause(failures, jitter=jitter, told=told) == max(own, told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0", timedelta()),
        ("2", timedelta(seconds=2)),
        (" 120 ", timedelta(seconds=120)),
        ("0000000000000005", timedelta(seconds=5)),
        ("31536000", A_YEAR),
        ("31536001", A_YEAR),
        ("999999999", A_YEAR),
        ("9" * 5000, A_YEAR),
        ("Tue, 24 Nov 2026 12:00:30 GMT", timedelta(seconds=30)),
        ("Tue, 24 Nov 2026 12:00:30 -0000", timedelta(seconds=30)),
        ("Tue, 24 Nov 2026 13:00:30 +0100", timedelta(seconds=30)),
        ("Tuesday, 24-Nov-26 12:00:30 GMT", timedelta(seconds=30)),
        ("Tue, 24 Nov 2026 11:59:59 GMT", timedelta()),
        ("Thu, 01 Jan 1970 00:00:00 GMT", timedelta()),
        ("Fri, 31 Dec 9999 23:59:59 GMT", A_YEAR),
        ("Fri, 31 Dec 9999 23:59:59 -2359", A_YEAR),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("2, 2", None),
        ("١٢", None),
        ("soon", None),
        ("Tue, 32 Nov 2026 12:00:30 GMT", None),
        ("Tue, 24 Nov 99999 12:00:30 GMT", None),
        ("Tue, 24 Nov 2026 12:00:30 +99999999", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_target_says_how_long_it_is_to_be_left_alone(
    text: str, told: timedelta | None, status: int
) -> None:
    assert told_pause(status, {"RETRY-after": text}, NOW) == told


@pytest.mark.parametrize("date", ["Tue, 24 Nov 2026 10:00:00 GMT", "Tue, 24 Nov 2026 10:00:00"])
def test_a_date_is_measured_by_the_clock_of_the_target(date: str) -> None:
    headers = {"Retry-After": "Tue, 24 Nov 2026 10:00:07 GMT", "date": date}

    assert told_pause(503, headers, NOW) == timedelta(seconds=7)


def test_a_date_beside_one_that_cannot_be_read_is_measured_by_our_own_clock() -> None:
    headers = {"Retry-After": "Tue, 24 Nov 2026 12:00:07 GMT", "Date": "today"}

    assert told_pause(503, headers, NOW) == timedelta(seconds=7)


@pytest.mark.parametrize("status", [200, 202, 301, 400, 401, 408, 425, 500, 502, 504])
def test_only_429_and_503_say_it(status: int) -> None:
    assert told_pause(status, {"Retry-After": "2"}, NOW) is None


DATES = st.lists(
    st.sampled_from(
        ["Tue, ", "24", " ", "Nov", "2026", "12:00:00", " GMT", "+9999", "99999", "(", "-", ":"]
    ),
    max_size=12,
).map("".join)


@given(st.text() | DATES, st.text() | DATES)
def test_no_header_of_a_target_can_fail_the_task_in_another_way(text: str, date: str) -> None:
    told = told_pause(429, {"Retry-After": text, "Date": date}, NOW)

    assert told is None or timedelta() <= told <= A_YEAR
