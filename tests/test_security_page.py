"""What the page on security says is there, is there: each row names tests that pytest runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")

SECTIONS: Final = {
    "Who is trusted with what": 15,
    "One app is one trust domain": 7,
    "Threats": 82,
    "What a proxy changes": 8,
    "Residual risks": 16,
    "Checks of the code": 7,
}
"""The sections with the rows they have at least."""

NAMED = re.compile(r"`([\w/]+\.py(?:::\w+)*::test_\w+(?:\[[^`]*\])?)`")
NOTHING: Final = "nothing"
"""What holds against a risk that nothing is done about."""

EXEMPTION = re.compile(r"#\s*noqa:\s*(?P<rules>[A-Z0-9, ]+)(?P<reason>.*)")


class Row(NamedTuple):
    """A row of a table: its section, and its cells by the names of their columns."""

    section: str
    cells: dict[str, str]

    @property
    def tests(self) -> list[str]:
        return NAMED.findall(self.cells.get("test", ""))

    @property
    def says(self) -> str:
        """What the row says, without its tests and however it is spaced."""
        return " | ".join(cell for name, cell in self.cells.items() if name != "test").lower()


def rows_of(page: str) -> list[Row]:
    """Return the rows of all tables of a page."""
    rows, section, columns = list[Row](), "", list[str]()
    for line in page.splitlines():
        if line.startswith("## "):
            section = line.removeprefix("## ")
        if not line.lstrip().startswith("|"):
            columns = []
            continue
        cells = [" ".join(cell.split()) for cell in line.strip().strip("|").split("|")]
        if not columns:
            columns = cells
        elif not all(re.fullmatch(":?-+:?", cell) for cell in cells):
            rows.append(Row(section, dict(zip(columns, cells, strict=True))))
    return rows


def faults_of(page: str, existing: Collection[str]) -> list[str]:
    """Return a line for each row that names no test, or one that pytest does not run.

    Args:
        page: The text of the page.
        existing: The ids of tests below ``tests``, with and without their parameters.
    """
    rows = rows_of(page)
    faults = [
        f"{section}: fewer than {least} rows"
        for section, least in SECTIONS.items()
        if sum(row.section == section for row in rows) < least
    ]
    # A statement in a list would be one that no column of tests stands beside.
    faults += [
        f"a list: {line}" for line in page.splitlines() if re.match(r"\s*([-*+]|\d+\.) ", line)
    ]
    seen = set[str]()
    for row in rows:
        if not row.tests and row.cells.get("what holds") != NOTHING:
            faults.append(f"no test: {row.says}")
        faults += [f"no such test: {test}" for test in row.tests if test not in existing]
        if len(row.tests) != row.cells.get("test", "").count("`") // 2:
            faults.append(f"what is no name of a test: {row.cells['test']}")
        if row.says in seen and row.section != "Checks of the code":
            faults.append(f"twice: {row.says}")
        seen.add(row.says)
    return faults


def collected(root: Path, files: Iterable[str]) -> set[str]:
    """Return the tests in these files below a folder, as pytest finds them.

    Those that it would skip, or that it expects to fail, show nothing and are left out.
    """
    program = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--import-mode=importlib"]
    options = [
        "-m",
        "not skip and not skipif and not xfail",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
    ]
    found = subprocess.run(  # noqa: S603  # pytest itself
        [*program, *options, f"--rootdir={root}", *sorted(files)],
        cwd=root,
        env={name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    names = {line for line in found.stdout.splitlines() if "::" in line}
    return names | {name.partition("[")[0] for name in names}


def test_every_row_names_tests_that_are_run() -> None:
    named = {test for row in rows_of(PAGE) for test in row.tests}
    files = {f"tests/{test.partition('::')[0]}" for test in named}
    there = {file for file in files if (ROOT / file).is_file()}
    existing = {name.removeprefix("tests/") for name in collected(ROOT, there)}

    assert faults_of(PAGE, existing) == []
    assert len(named) > 250


def test_only_what_runs_counts_as_a_test(tmp_path: Path) -> None:
    (tmp_path / "test_planted.py").write_text(
        "import pytest\n"
        "def test_runs(): pass\n"
        "# def test_commented_out(): pass\n"
        "text = '''\ndef test_in_a_text(): pass\n'''\n"
        "def retest_renamed(): pass\n"
        "def outer():\n    def test_within_a_function(): pass\n"
        "@pytest.mark.skip\ndef test_skipped(): pass\n"
        "@pytest.mark.xfail\ndef test_fails(): assert False\n"
        "@pytest.mark.skipif(True, reason='never')\ndef test_skipped_here(): pass\n"
        "class TestGroup:\n    def test_in_a_class(self): pass\n"
        "@pytest.mark.parametrize('a', [1, 2])\ndef test_with(a): pass\n"
        "def test_twice(): assert False\n"
        "test_twice = None\n",
        encoding="utf-8",
    )

    assert collected(tmp_path, ["test_planted.py"]) == {
        "test_planted.py::test_runs",
        "test_planted.py::TestGroup::test_in_a_class",
        "test_planted.py::test_with",
        "test_planted.py::test_with[1]",
        "test_planted.py::test_with[2]",
    }


ROW = next(line for line in PAGE.splitlines() if line.startswith("| caller | floods a target"))
TESTS = ROW.rpartition(" | ")[2]


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (TESTS, "|", "no test: caller | floods a target"),
        (TESTS, "by eye |", "no test: caller | floods a target"),
        (TESTS, "api/test_limits.py::test_x |", "no test: caller | floods a target"),
        (TESTS, "`api/test_limits.py` |", "no test: caller | floods a target"),
        (TESTS, "`api/test_limits.py::test_x` |", "no such test: api/test_limits.py::test_x"),
        (TESTS, "`api/test_none.py::test_x` |", "no such test: api/test_none.py::test_x"),
        (
            "::test_a_call_beyond_concurrency",
            "::TestLimits::test_a_call_beyond_concurrency",
            "no such test: api/test_limits.py::TestLimits::test_a_call_beyond_concurrency",
        ),
        (
            "told_when_to_come_again`, `api/test_gates.py",
            "told_when_to_come_again[x]`, `api/test_gates.py",
            "no such test: api/test_limits.py::test_a_call_beyond_per_minute_is_told_when_to_come",
        ),
        (TESTS, f"{TESTS[:-1]}, `by eye` |", "what is no name of a test: "),
        (ROW, f"{ROW}\n{ROW}", "twice: caller | floods a target"),
        (ROW, f"{ROW}\n{ROW.replace('floods a', 'Floods  a')}", "twice: caller | floods a target"),
        (ROW, f"{ROW}\n\n- Nobody gets in.", "a list: - Nobody gets in."),
        (
            "## Residual risks\n",
            "| claim | why |\n|---|---|\n| safe | so |\n\n## Residual risks\n",
            "no test: safe | so",
        ),
        ("## Threats", "## Dangers", "Threats: fewer than 82 rows"),
        ("| nothing | |", "| hardly anything | |", "no test: the number and length of answers"),
    ],
)
def test_what_is_planted_is_found(old: str, new: str, fault: str) -> None:
    existing = {test for row in rows_of(PAGE) for test in row.tests}
    assert faults_of(PAGE, existing) == []
    assert PAGE.count(old) == 1

    found = faults_of(PAGE.replace(old, new), existing)

    assert [one for one in found if one.startswith(fault)] != []


def sources() -> list[Path]:
    folders = ("invoke_core", "tests", "benchmarks", "examples", "fuzz", "tools")
    return [
        ROOT / "function_app.py",
        *(path for folder in folders for path in (ROOT / folder).rglob("*.py")),
    ]


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
        (file, rule)
        for file, rule, _ in found
        if not file.startswith(("tests", "bench", "fuzz", "tools"))
    }
    assert in_service == {
        ("invoke_core/wiring.py", "S311"),
        ("invoke_core/local/memory.py", "S606"),
        ("invoke_core/smoke.py", "S105"),
        ("invoke_core/expressions/path_steps.py", "S101"),
        ("invoke_core/expressions/parser.py", "S101"),
    }
