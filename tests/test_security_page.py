"""What the page on security says is there, is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")

NAMED = re.findall(r"`([a-z_/]+\.py)::(\w+)`", PAGE)
EXEMPTION = re.compile(r"#\s*noqa:\s*(?P<rules>[A-Z0-9, ]+)(?P<reason>.*)")


def sources() -> list[Path]:
    folders = ("invoke_core", "tests", "benchmarks", "examples")
    return [
        ROOT / "function_app.py",
        *(path for folder in folders for path in (ROOT / folder).rglob("*.py")),
    ]


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_each_test_the_page_names_exists(file: str, name: str) -> None:
    text = (ROOT / "tests" / file).read_text(encoding="utf-8")

    assert f"\ndef {name}(" in text


def test_every_threat_names_a_test() -> None:
    section = PAGE.partition("## Threats")[2].partition("## What a proxy changes")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")][2:]

    assert len(rows) > 20
    assert [row for row in rows if "::test_" not in row.split(" | ")[-1]] == []


def exemptions() -> list[tuple[str, str, str]]:
    """Return file, rule and reason of each exemption from a rule of security."""
    return [
        (path.relative_to(ROOT).as_posix(), rule, found["reason"].strip(" #-"))
        for path in sources()
        for line in path.read_text(encoding="utf-8").splitlines()
        for found in EXEMPTION.finditer(line)
        for rule in re.findall(r"\bS\d{3}\b", found["rules"])
    ]


def test_every_exemption_from_a_security_rule_has_a_reason_and_is_on_the_page() -> None:
    found = exemptions()
    listed = PAGE.partition("## Checks of the code")[2]

    assert found
    assert [place for place in found if not place[2]] == []
    assert {rule for _, rule, _ in found if rule not in listed} == set()
    in_service = {
        (file, rule) for file, rule, _ in found if not file.startswith(("tests", "bench"))
    }
    assert in_service == {
        ("invoke_core/wiring.py", "S311"),
        ("invoke_core/smoke.py", "S105"),
        ("invoke_core/expressions/path_steps.py", "S101"),
        ("invoke_core/expressions/parser.py", "S101"),
    }
