from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fuzz.settings import SECRET, SEEDS, TOKENS, judge_error, judge_numbers, judge_told, run
from invoke_core.errors import Fault, SettingsError
from invoke_core.settings import read_settings
from tests.fuzzing.mutations import mutations

if TYPE_CHECKING:
    from pathlib import Path

NAMES = re.compile("RETENTION_DAYS")


@pytest.mark.parametrize("seed", SEEDS)
def test_no_seed_is_a_finding(seed: bytes) -> None:
    run(seed)


def test_nothing_near_the_seeds_is_a_finding() -> None:
    for data in mutations(SEEDS, TOKENS, count=400):
        run(data)


def test_what_an_error_tells_is_returned() -> None:
    error = SettingsError([Fault("RETENTION_DAYS", "It takes a whole number.")])
    assert "It takes a whole number." in judge_error(error, NAMES)


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        (Fault("RETENTION", "It is wrong."), "does not exist"),
        (Fault("RETENTION_DAYS", ""), "no sentence"),
    ],
)
def test_an_error_that_helps_nobody_is_a_finding(fault: Fault, finding: str) -> None:
    with pytest.raises(AssertionError, match=finding):
        judge_error(SettingsError([fault]), NAMES)


def test_an_error_without_a_fault_is_a_finding() -> None:
    with pytest.raises(AssertionError, match="no fault"):
        judge_error(SettingsError([]), NAMES)


def test_an_error_that_does_not_name_its_setting_is_a_finding() -> None:
    error = SettingsError([Fault("RETENTION_DAYS", "It is wrong.")])
    error.message = "Something is wrong."
    with pytest.raises(AssertionError, match="not named"):
        judge_error(error, NAMES)


@pytest.mark.parametrize("told", [f"'{SECRET}' is wrong", repr(f"{SECRET}\n")])
def test_a_secret_that_is_told_is_a_finding(told: str) -> None:
    judge_told(["RETENTION_DAYS is wrong"])
    with pytest.raises(AssertionError, match="a secret"):
        judge_told(["RETENTION_DAYS is wrong", told])


def test_another_number_is_a_finding(tmp_path: Path) -> None:
    environ = {"MAX_RESPONSE_BYTES": "7"}
    settings = read_settings(environ, root=tmp_path)
    judge_numbers(environ, settings)
    with pytest.raises(AssertionError, match="another number"):
        judge_numbers(environ, replace(settings, max_response_bytes=8))
