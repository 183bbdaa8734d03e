"""When a timer is due: six-field NCRONTAB expressions, seconds first, and plain periods.

A library is not used: the living ones follow Unix cron, where a day that fits either day field is
taken, while the host asks for both; and they would be loaded on Azure too, where nobody needs them.

Source:
    NCrontab (``CrontabFieldImpl``, ``CrontabField.Accumulate``), by which the Functions host reads
    a schedule, and the timer extension (``TimerSchedule.Create``, ``ResolveWholeString``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import TYPE_CHECKING, Final, Protocol

from invoke_core.local.errors import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_FIELDS: Final = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 6, _DAYS),
)
_ITEM: Final = re.compile(
    r"(?P<first>\*|[a-z]+|[0-9]{1,2})(?:-(?P<last>[a-z]+|[0-9]{1,2}))?(?:/(?P<step>[0-9]{1,2}))?"
)
_PERIOD: Final = re.compile(
    r"(?:(?P<days>[0-9]{1,3})\.)?(?P<hours>[0-9]{1,2}):(?P<minutes>[0-9]{1,2})"
    r"(?::(?P<seconds>[0-9]{1,2}))?"
)
_REFERENCE: Final = re.compile("%([^%]*)%")
_A_LEAP_YEAR: Final = 2000


class Schedule(Protocol):
    """A rule for the moments at which something is due."""

    def next_after(self, moment: datetime) -> datetime:
        """Return the first moment that is due after another; both are in UTC."""
        ...


@dataclass(frozen=True, slots=True)
class Period:
    """Due again and again, always as much later."""

    length: timedelta

    def next_after(self, moment: datetime) -> datetime:
        """Return the moment, a period later."""
        return moment + self.length


@dataclass(frozen=True, slots=True)
class Cron:
    """Due where every field of the calendar and the clock has one of its values.

    Attributes:
        seconds: 0 to 59; this and the others in rising order.
        minutes: 0 to 59.
        hours: 0 to 23.
        days: 1 to 31.
        months: 1 to 12.
        weekdays: 0, a Sunday, to 6.
    """

    seconds: tuple[int, ...]
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    @property
    def ever_due(self) -> bool:
        """Whether one of the months has one of the days."""
        return any(_exists(month, day) for month in self.months for day in self.days)

    def next_after(self, moment: datetime) -> datetime:
        """Return the first whole second after the moment whose fields all have one of the values.

        It may be 40 years away: a 29 February on one day of the week, across a year like 2100.
        """
        first = moment.replace(microsecond=0) + timedelta(seconds=1)
        earliest = first.time()
        for later in count():
            day = first.date() + timedelta(days=later)
            if self._takes(day):
                found = self._first_from(earliest)
                if found is not None:
                    return datetime.combine(day, found, UTC)
            earliest = time.min
        raise AssertionError

    def _takes(self, day: date) -> bool:
        return (
            day.month in self.months
            and day.day in self.days
            and day.isoweekday() % 7 in self.weekdays
        )

    def _first_from(self, earliest: time) -> time | None:
        for hour in self.hours:
            if hour >= earliest.hour:
                for minute in self.minutes:
                    if (hour, minute) >= (earliest.hour, earliest.minute):
                        for second in self.seconds:
                            if (found := time(hour, minute, second)) >= earliest:
                                return found
        return None


def parse_schedule(text: str, settings: Mapping[str, str]) -> Schedule:
    """Read the schedule of a timer trigger.

    Args:
        text: Six fields, or a period as in ``00:00:30`` or ``1.12:00:00``; ``%NAME%`` stands for
            the setting of this name, letters without case.
        settings: The app's settings.

    Raises:
        LocalServerError: A setting is missing, the text is no schedule, or it is never due.
    """
    known = {name.upper(): value for name, value in settings.items()}

    def resolve(reference: re.Match[str]) -> str:
        value = known.get(reference[1].upper())
        if not value:
            raise LocalServerError(
                f"The schedule '{text}' is refused: the setting '{reference[1]}' is missing or "
                "empty."
            )
        return value

    resolved = _REFERENCE.sub(resolve, text).strip()
    try:
        return _period(resolved) if _PERIOD.fullmatch(resolved) else _cron(resolved)
    except ValueError as error:
        raise LocalServerError(f"The schedule '{resolved}' is refused: {error}.") from None


def parse_period(text: str) -> timedelta:
    """Read a period as in ``00:00:30`` or ``1.12:00:00``.

    Raises:
        ValueError: It is none; the message says how it is written.
    """
    match = _PERIOD.fullmatch(text)
    parts = {name: int(value or 0) for name, value in match.groupdict().items()} if match else {}
    if not parts or parts["hours"] > 23 or parts["minutes"] > 59 or parts["seconds"] > 59:
        raise ValueError("a period is written hh:mm:ss, or with days in front as d.hh:mm:ss")
    return timedelta(**parts)


def _period(text: str) -> Period:
    length = parse_period(text)
    if not length:
        raise ValueError("a period of no length is none")
    return Period(length)


def _cron(text: str) -> Cron:
    fields = text.lower().split()
    if len(fields) != len(_FIELDS):
        raise ValueError(
            "it has to have six fields, seconds first, or to be a period like 00:00:30"
        )
    found = Cron(*(_values(field, *rule) for field, rule in zip(fields, _FIELDS, strict=True)))
    if not found.ever_due:
        raise ValueError("none of its months has one of its days")
    return found


def _values(
    field: str, name: str, lowest: int, highest: int, names: Sequence[str]
) -> tuple[int, ...]:
    """Return the values a field takes, in rising order.

    Raises:
        ValueError: The field cannot be read; the message says why.
    """

    def value(text: str) -> int:
        if text.isdecimal():
            number = int(text)
        else:
            # The beginning of a name is enough, and the first name that has it counts.
            fits = (at for at, known in enumerate(names, lowest) if known.startswith(text))
            number = next(fits, -1)
        if not lowest <= number <= highest:
            raise ValueError(f"'{text}' is no {name} from {lowest} to {highest}")
        return number

    values: set[int] = set()
    for item in field.split(","):
        match = _ITEM.fullmatch(item)
        if match is None or (match["first"] == "*" and match["last"]):
            raise ValueError(f"'{item}' is no {name}, nor a range or step of them")
        step = max(1, int(match["step"] or 1))
        if match["first"] == "*":
            first, last = lowest, highest
        else:
            first = value(match["first"])
            # With a step, a single value stands for the range from it to the highest.
            last = value(match["last"]) if match["last"] else highest if match["step"] else first
        # The host swaps the ends of a range that runs backwards, and so does this.
        values.update(range(min(first, last), max(first, last) + 1, step))
    return tuple(sorted(values))


def _exists(month: int, day: int) -> bool:
    try:
        date(_A_LEAP_YEAR, month, day)
    except ValueError:
        return False
    return True
