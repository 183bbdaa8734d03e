from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invoke_core.local.errors import LocalServerError
from invoke_core.local.schedules import Cron, parse_schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

# A Wednesday.
_NOW = datetime(2025, 1, 15, 12, 34, 56, 789_000, tzinfo=UTC)


def _next(schedule: str, now: datetime = _NOW) -> str:
    return f"{parse_schedule(schedule, {}).next_after(now):%Y-%m-%d %H:%M:%S}"


@pytest.mark.parametrize(
    ("schedule", "due"),
    [
        ("* * * * * *", "2025-01-15 12:34:57"),
        ("0 * * * * *", "2025-01-15 12:35:00"),
        ("56 34 12 * * *", "2025-01-16 12:34:56"),
        ("57 34 12 * * *", "2025-01-15 12:34:57"),
        ("0 30 3 * * *", "2025-01-16 03:30:00"),
        ("  0   30 3 *  * *  ", "2025-01-16 03:30:00"),
        ("0 */5 * * * *", "2025-01-15 12:35:00"),
        ("0 */25 * * * *", "2025-01-15 12:50:00"),
        ("0 3/15 * * * *", "2025-01-15 12:48:00"),
        ("0 0-10/4 13 * * *", "2025-01-15 13:00:00"),
        ("30,10 0 0 * * *", "2025-01-16 00:00:10"),
        ("0 0 9-17 * * mon-FRI", "2025-01-15 13:00:00"),
        ("0 0 9-17 * * Sat,0", "2025-01-18 09:00:00"),
        ("0 0 0 * * 0", "2025-01-19 00:00:00"),
        ("0 0 0 1 * *", "2025-02-01 00:00:00"),
        ("0 0 0 31 * *", "2025-01-31 00:00:00"),
        ("0 0 0 31 2,4,mar *", "2025-03-31 00:00:00"),
        ("0 0 0 1 jan *", "2026-01-01 00:00:00"),
        ("0 0 0 1 December *", "2025-12-01 00:00:00"),
        ("0 0 0 29 2 *", "2028-02-29 00:00:00"),
        ("59 59 23 31 12 *", "2025-12-31 23:59:59"),
        ("00:00:30", "2025-01-15 12:35:26"),
        ("01:30", "2025-01-15 14:04:56"),
        ("2.00:00:00", "2025-01-17 12:34:56"),
    ],
)
def test_a_schedule_is_due_when_the_host_says(schedule: str, due: str) -> None:
    assert _next(schedule) == due


def test_both_day_fields_have_to_fit() -> None:
    """Unix cron would take either: the 13th of any day, and every Friday."""
    assert _next("0 0 0 13 * fri") == "2025-06-13 00:00:00"


def test_a_range_that_runs_backwards_is_turned_round() -> None:
    """From Monday to Friday: so the host reads it, and not across the weekend."""
    assert _next("0 0 0 * * fri-mon", datetime(2025, 1, 17, 1, tzinfo=UTC)) == "2025-01-20 00:00:00"


def test_the_beginning_of_a_name_is_enough_and_the_first_name_counts() -> None:
    assert _next("0 0 0 1 j *") == "2026-01-01 00:00:00"
    assert _next("0 0 0 1 jul *") == "2025-07-01 00:00:00"


def test_a_leap_day_on_one_day_of_the_week_is_found_across_a_century() -> None:
    after = datetime(2088, 3, 1, tzinfo=UTC)

    assert _next("0 0 0 29 2 sun", after) == "2128-02-29 00:00:00"


@given(
    st.floats(0, 2000).map(lambda days: _NOW + timedelta(days=days)),
    st.sampled_from(["*/7 */20 * * * *", "1,59 0-30/10 */5 * * 1-5", "0 30 3 */9 2-11/3 *"]),
)
def test_what_is_due_next_is_the_first_second_that_fits(now: datetime, text: str) -> None:
    schedule = parse_schedule(text, {})
    assert isinstance(schedule, Cron)

    due = schedule.next_after(now)

    def seconds() -> Iterator[datetime]:
        second = now.replace(microsecond=0)
        while True:
            second += timedelta(seconds=1)
            yield second

    def fits(one: datetime) -> bool:
        return (
            one.second in schedule.seconds
            and one.minute in schedule.minutes
            and one.hour in schedule.hours
            and one.day in schedule.days
            and one.month in schedule.months
            and one.isoweekday() % 7 in schedule.weekdays
        )

    assert now < due
    assert fits(due)
    assert not any(fits(one) for one in islice(seconds(), 20_000) if one < due)


def test_a_setting_stands_in_for_a_schedule_or_a_part_of_it() -> None:
    settings = {"RetentionSchedule": "0 0 4 * * *", "HOUR": "5"}

    whole = parse_schedule("%RETENTIONSCHEDULE%", settings)
    part = parse_schedule("0 0 %HOUR% * * *", settings)

    assert whole == parse_schedule("0 0 4 * * *", {})
    assert part == parse_schedule("0 0 5 * * *", {})


@pytest.mark.parametrize("settings", [{}, {"WHEN": ""}])
def test_a_setting_that_is_missing_is_named(settings: dict[str, str]) -> None:
    with pytest.raises(LocalServerError) as caught:
        parse_schedule("%WHEN%", settings)

    assert caught.value.message == (
        "The schedule '%WHEN%' is refused: the setting 'WHEN' is missing or empty."
    )


_SIX = "it has to have six fields, seconds first, or to be a period like 00:00:30"


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("", _SIX),
        ("* * * * *", _SIX),
        ("* * * * * * *", _SIX),
        ("@daily", _SIX),
        ("60 * * * * *", "'60' is no second from 0 to 59"),
        ("0 60 * * * *", "'60' is no minute from 0 to 59"),
        ("0 0 24 * * *", "'24' is no hour from 0 to 23"),
        ("0 0 0 0 * *", "'0' is no day from 1 to 31"),
        ("0 0 0 1 13 *", "'13' is no month from 1 to 12"),
        ("0 0 0 1 may-foo *", "'foo' is no month from 1 to 12"),
        ("0 0 0 * * 7", "'7' is no day of the week from 0 to 6"),
        ("mon * * * * *", "'mon' is no second from 0 to 59"),
        ("*-5 * * * * *", "'*-5' is no second, nor a range or step of them"),
        ("1, * * * * *", "'' is no second, nor a range or step of them"),
        ("0 0 0 ? * *", "'?' is no day, nor a range or step of them"),
        ("0 0 0 l * *", "'l' is no day from 1 to 31"),
        ("*/x * * * * *", "'*/x' is no second, nor a range or step of them"),
        ("-1 * * * * *", "'-1' is no second, nor a range or step of them"),
        ("0 0 0 31 2,4 *", "none of its months has one of its days"),
        ("00:00:00", "a period of no length is none"),
        ("24:00:00", "a period is written hh:mm:ss, or with days in front as d.hh:mm:ss"),
        ("00:60:00", "a period is written hh:mm:ss, or with days in front as d.hh:mm:ss"),
    ],
)
def test_what_is_no_schedule_is_refused_in_one_sentence(schedule: str, why: str) -> None:
    with pytest.raises(LocalServerError) as caught:
        parse_schedule(schedule, {})

    assert caught.value.message == f"The schedule '{schedule}' is refused: {why}."
