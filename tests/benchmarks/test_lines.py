"""What the table of the measurements says."""

from __future__ import annotations

import pytest

from benchmarks.lines import Line, Scale, percentile, spread


def test_a_spread_is_the_median_with_its_quartiles() -> None:
    assert str(spread([5.0, 1.0, 4.0, 2.0, 3.0], "ms")) == "3.00 (2.00-4.00) ms"


def test_one_sample_is_its_own_spread() -> None:
    assert str(spread([7.0])) == "7.00 (7.00-7.00)"


def test_a_figure_has_three_digits_and_no_exponent() -> None:
    assert str(spread([1_234_567.0])).startswith("1,234,567 ")
    assert str(spread([12.345])).startswith("12.3 ")


@pytest.mark.parametrize(("percent", "found"), [(50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_is_a_sample_that_so_many_do_not_exceed(percent: float, found: int) -> None:
    assert percentile(range(100, 0, -1), percent) == found


def test_a_percentile_of_few_samples_is_the_largest() -> None:
    assert percentile([3, 1, 2], 99) == 3


@pytest.mark.parametrize(("is_met", "verdict"), [(True, "met"), (False, "**missed**"), (None, "")])
def test_a_line_says_whether_its_target_was_met(is_met: bool | None, verdict: str) -> None:  # noqa: FBT001
    line = Line("what", "ours", "beside", "figure", "target", is_met)

    assert str(line) == f"| what | ours | beside | figure | target | {verdict} |"


def test_a_smoke_does_less() -> None:
    assert Scale().of(1_000, 5) == 1_000
    assert Scale(is_smoke=True).of(1_000, 5) == 5
