"""The repository's workflow runs what contributors run, pinned and with the least of rights."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".github"
WORKFLOW = (FOLDER / "workflows" / "ci.yml").read_text(encoding="utf-8")
DEPENDABOT = (FOLDER / "dependabot.yml").read_text(encoding="utf-8")

PINNED = re.compile(r"(?P<action>[\w./-]+)@(?P<commit>[0-9a-f]{40}) # (?P<version>v\d+\.\d+\.\d+)")
EVENTS: Final = {"push", "pull_request", "schedule", "workflow_dispatch"}
TARGETS: Final = {"check", "test", "bench", "chaos", "fuzz", "contract"}


def read(text: str) -> Any:  # noqa: ANN401  # a test looks at any part of it
    """Return a YAML document, its scalars as they are written: ``on`` is a name, and no yes."""
    return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  # the base loader makes texts


def steps_of(document: Any) -> list[dict[str, Any]]:  # noqa: ANN401  # what `read` returns
    return [step for job in document["jobs"].values() for step in job["steps"]]


def make_targets(document: Any) -> set[str]:  # noqa: ANN401  # what `read` returns
    runs = (step.get("run", "") for step in steps_of(document))
    return {target for run in runs for target in re.findall(r"\bmake ([\w-]+)", run)}


def loose_pins(text: str) -> list[str]:
    """Return the uses of actions that are not pinned to one commit with its version beside it."""
    written = re.findall(r"^\s*(?:- )?uses: (.+)$", text, re.MULTILINE)
    pins = [PINNED.fullmatch(one) for one in written]
    loose = [one for one, pin in zip(written, pins, strict=True) if pin is None]
    commits = {pin["action"]: pin.groups() for pin in pins if pin}
    loose += [pin[0] for pin in pins if pin and commits[pin["action"]] != pin.groups()]
    # A use that is written in another form is one that the lines above have not seen.
    parsed = [step["uses"] for step in steps_of(read(text)) if "uses" in step]
    return loose + [one for one in parsed if one not in {line.split(" ")[0] for line in written}]


def excess_rights(text: str) -> list[str]:
    """Return what lets a run do more than read the repository, or lets others into it."""
    document = read(text)
    jobs = document["jobs"]
    found = [] if document.get("permissions") == {"contents": "read"} else ["permissions"]
    found += [f"permissions of {name}" for name, job in jobs.items() if "permissions" in job]
    found += [f"on {event}" for event in document["on"] if event not in EVENTS]
    found += [f"secrets in {line}" for line in text.splitlines() if "secrets" in line]
    for step in steps_of(document):
        if step.get("uses", "").startswith("actions/checkout@"):
            kept = step.get("with", {}).get("persist-credentials")
            found += [] if kept == "false" else ["persist-credentials"]
        found += [f"expression in {step['run']}"] if "${{" in step.get("run", "") else []
    return found


def endless(text: str) -> list[str]:
    """Return what lets runs pile up, go on for hours or change without a commit."""
    document = read(text)
    stops = document.get("concurrency", {}).get("cancel-in-progress") == "true"
    found = [] if stops else ["concurrency"]
    for name, job in document["jobs"].items():
        if not 0 < int(job.get("timeout-minutes", "0")) <= 180:
            found.append(f"timeout of {name}")
        if not re.fullmatch(r"ubuntu-\d\d\.\d\d", job["runs-on"]):
            found.append(f"machine of {name}")
    return found


def unknown_targets(text: str) -> list[str]:
    """Return what is made here and is not in the Makefile, or is missing here."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    known = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    made = make_targets(read(text))
    return sorted((made - known) | (made ^ TARGETS))


def other_pythons(text: str) -> list[str]:
    """Return the jobs that do not run on each Python that is promised, and where that differs."""
    promised = promised_pythons()
    jobs = read(text)["jobs"]
    return [
        name
        for name in ("test", "bench")
        if jobs[name].get("strategy", {}).get("matrix", {}).get("python") != promised
        or jobs[name].get("env", {}).get("PYTHON") != "python${{ matrix.python }}"
    ]


def promised_pythons() -> list[str]:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(r"on Python ((?:\d\.\d+, )*\d\.\d+) and (\d\.\d+)", readme)
    assert found, "the README has to say on which versions of Python the tests run"
    return [*found[1].split(", "), found[2]]


def test_the_oldest_python_is_the_one_that_is_required() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest = promised_pythons()[0]

    assert project["requires-python"] == f">={oldest}"
    assert f"it needs Python {oldest} or newer" in (ROOT / "README.md").read_text(encoding="utf-8")


FINDERS: Final = (loose_pins, excess_rights, endless, unknown_targets, other_pythons)


@pytest.mark.parametrize("find", FINDERS)
def test_the_workflow_is_as_it_has_to_be(find: Any) -> None:  # noqa: ANN401  # one of `FINDERS`
    assert find(WORKFLOW) == []


def test_hostile_input_is_made_at_night_and_by_hand_only() -> None:
    document = read(WORKFLOW)
    events = [f"github.event_name == '{event}'" for event in ("schedule", "workflow_dispatch")]
    by_night = [name for name, job in document["jobs"].items() if "if" in job]

    assert by_night == ["faults"]
    assert document["jobs"]["faults"]["if"] == " || ".join(events)
    assert make_targets({"jobs": {"faults": document["jobs"]["faults"]}}) == {
        *("chaos", "fuzz", "contract")
    }


CHECKOUT = "actions/checkout@df4cb1c069e1874edd31b4311f1884172cec0e10 # v6.0.3"


@pytest.mark.parametrize(
    ("old", "new", "find"),
    [
        (CHECKOUT, "actions/checkout@v6", loose_pins),
        (CHECKOUT, CHECKOUT.partition(" #")[0], loose_pins),
        (CHECKOUT, CHECKOUT.replace("v6.0.3", "v6"), loose_pins),
        (CHECKOUT, CHECKOUT.replace("@df4", "@0f4"), loose_pins),
        (f"uses: {CHECKOUT}", '"uses": actions/checkout@main', loose_pins),
        ("contents: read", "contents: write", excess_rights),
        ("permissions:\n  contents: read\n", "", excess_rights),
        ("permissions:\n  contents: read\n", "permissions: read-all\n", excess_rights),
        ("    name: make check\n", "    permissions: write-all\n", excess_rights),
        ("persist-credentials: false", "persist-credentials: true", excess_rights),
        ("  pull_request:\n", "  pull_request_target:\n", excess_rights),
        ("run: make test\n", "run: make test KEY=${{ github.head_ref }}\n", excess_rights),
        ("    name: make check\n", "    env: {T: '${{ secrets.T }}'}\n", excess_rights),
        ("cancel-in-progress: true", "cancel-in-progress: false", endless),
        ("    timeout-minutes: 15\n", "", endless),
        ("ubuntu-24.04", "ubuntu-latest", endless),
        ("run: make check\n", "run: make chek\n", unknown_targets),
        ("      - run: make test\n", "", unknown_targets),
        ('["3.11", "3.12", "3.13"]', '["3.11", "3.12"]', other_pythons),
        ("PYTHON: python${{ matrix.python }}", "PYTHON: python3", other_pythons),
    ],
)
def test_what_is_planted_is_found(old: str, new: str, find: Any) -> None:  # noqa: ANN401  # one of `FINDERS`
    assert old in WORKFLOW

    assert find(WORKFLOW.replace(old, new, 1)) != []


def test_updates_of_actions_and_of_every_requirement_file_are_proposed() -> None:
    updates = {one["package-ecosystem"]: one for one in read(DEPENDABOT)["updates"]}
    files = [path for path in ROOT.glob("*/**/requirements.txt") if ".venv" not in path.parts]
    folders = {f"/{path.parent.relative_to(ROOT).as_posix()}" for path in files}

    assert updates["github-actions"]["directory"] == "/"
    assert set(updates["pip"]["directories"]) == {"/", *folders}


def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("zizmor")
    return subprocess.run(  # noqa: S603  # a checker that requirements-dev.txt has
        [
            program,
            "--offline",
            "--persona=pedantic",
            "--no-progress",
            "--strict-collection",
            folder,
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={},
    )


def test_zizmor_finds_nothing() -> None:
    checked = zizmor(FOLDER)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "ci.yml" in checked.stderr
    assert "dependabot.yml" in checked.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "name"),
    [
        ("workflows/ci.yml", "persist-credentials: false", "fetch-depth: 1", "artipacked"),
        ("workflows/ci.yml", CHECKOUT, "actions/checkout@v6", "unpinned-uses"),
        ("workflows/ci.yml", "  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
        (
            "workflows/ci.yml",
            "run: make check\n",
            "run: make check KEY=${{ github.head_ref }}\n",
            "template-injection",
        ),
        ("dependabot.yml", "default-days: 7", "default-days: 1", "dependabot-cooldown"),
    ],
)
def test_what_zizmor_knows_is_found(
    tmp_path: Path, file: str, old: str, new: str, name: str
) -> None:
    shutil.copytree(FOLDER, tmp_path / ".github")
    spoilt = tmp_path / ".github" / file
    text = spoilt.read_text(encoding="utf-8")
    assert old in text
    spoilt.write_text(text.replace(old, new, 1), encoding="utf-8")

    checked = zizmor(tmp_path / ".github")

    assert checked.returncode != 0
    assert name in checked.stdout
