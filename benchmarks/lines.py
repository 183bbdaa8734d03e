"""What every measurement gives: lines of one table, and the spread behind a figure."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True)
class Spread:
    """The median of samples with its quartiles.

    Attributes:
        median: The middle sample.
        low: The first quartile.
        high: The third quartile.
        unit: What they count, for example ``ms``; empty for a bare number.
    """

    median: float
    low: float
    high: float
    unit: str = ""

    def __str__(self) -> str:
        """Return it as the table shows it: ``median (low-high) unit``."""
        shown = f"{_short(self.median)} ({_short(self.low)}-{_short(self.high)})"
        return f"{shown} {self.unit}".strip()


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        what: What was measured.
        ours: What the service took.
        beside: The peer or floor measured in the same run, and its name.
        figure: What the target speaks of, often the ratio of the two, as it is shown.
        target: What was asked for, in words; empty where nothing was.
        is_met: Whether the figure is within the target; None where there is none.
    """

    what: str
    ours: str
    beside: str
    figure: str
    target: str = ""
    is_met: bool | None = None

    def __str__(self) -> str:
        """Return it as a row of a Markdown table."""
        verdict = {None: "", True: "met", False: "**missed**"}[self.is_met]
        cells = (self.what, self.ours, self.beside, self.figure, self.target, verdict)
        return "| " + " | ".join(cells) + " |"


@dataclass(frozen=True)
class Scale:
    """How much a measurement does.

    Attributes:
        is_smoke: Whether it only shows that it works, in a few seconds; its figures mean nothing.
    """

    is_smoke: bool = False

    def of(self, whole: int, smoke: int) -> int:
        """Return how many to do: the whole number, or the one of a smoke."""
        return smoke if self.is_smoke else whole


def spread(samples: Sequence[float], unit: str = "") -> Spread:
    """Return median and quartiles of at least one sample."""
    if len(samples) < 2:
        return Spread(samples[0], samples[0], samples[0], unit)
    low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Spread(median, low, high, unit)


def percentile(samples: Iterable[float], percent: float) -> float:
    """Return the smallest sample that so many percent of all do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _short(value: float) -> str:
    """Return three significant digits, without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
