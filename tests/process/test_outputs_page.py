"""What the page on outputs shows is what happens."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import pytest

from invoke_core.errors import OutputFormatError
from invoke_core.output_formats import GITLAB_BYTES, OutputFormat, written
from invoke_core.outputs import LONGEST_OUTPUT_BYTES, MOST_OUTPUTS
from tests.process.conftest import ROOT, running_demo, shell
from tests.process.test_docs import holds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE: Final = (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


DEPLOYS, DOTENV, HOSTILE = blocks("sh")
VALUES, REFUSED = map(json.loads, blocks("json"))
GITHUB, AZURE, AZURE_LINES, GITLAB, DOTENV_LINES, JENKINS = blocks("text")
(MEMBER,) = blocks("yaml")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What ``make run`` starts, on free ports; yields its URL."""
    with running_demo(tmp_path_factory.mktemp("store")) as url:
        yield url


@pytest.fixture(scope="module")
def deployed(demo: str) -> tuple[str, dict[str, str]]:
    """A task with outputs; returns their address and values."""
    script = DEPLOYS.replace("http://127.0.0.1:7071", demo)

    ended = shell(f'{script}\necho; echo "$OUTPUTS"')

    assert ended.returncode == 0, ended.stderr
    values, address = ended.stdout.splitlines()
    return address, json.loads(values)


def command_of(block: str) -> str:
    (command,) = re.findall(r"curl --fail .*", block)
    return str(command)


def plain(text: str) -> str:
    return re.sub(r"\bd-\d+", "d-17", text)


def test_the_member_is_the_one_of_the_example() -> None:
    assert MEMBER in (ROOT / "examples" / "poll-step.yaml").read_text(encoding="utf-8")


def test_the_outputs_are_those_shown(deployed: tuple[str, dict[str, str]]) -> None:
    _, values = deployed

    assert json.loads(plain(json.dumps(values))) == VALUES


def test_a_step_of_github_gets_each_value(
    deployed: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    address, values = deployed
    file = tmp_path / "output"

    ended = shell(command_of(GITHUB), OUTPUTS=address, GITHUB_OUTPUT=str(file))

    assert ended.returncode == 0, ended.stderr
    found = re.findall(r"^(\w+)<<(\S+)\n(.*?)\n\2\n", file.read_text(), re.DOTALL | re.MULTILINE)
    assert {name: value for name, _, value in found} == values


def test_a_step_of_azure_pipelines_prints_the_lines_shown(
    deployed: tuple[str, dict[str, str]],
) -> None:
    ended = shell(command_of(AZURE), OUTPUTS=deployed[0])

    assert ended.returncode == 0, ended.stderr
    assert plain(ended.stdout) == AZURE_LINES


def test_a_job_of_gitlab_writes_a_report(
    deployed: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    address, values = deployed
    file = tmp_path / "outputs.env"

    ended = shell(command_of(GITLAB).replace("outputs.env", str(file)), OUTPUTS=address)

    assert ended.returncode == 0, ended.stderr
    assert file.read_text() == "".join(f"{name}={value}\n" for name, value in values.items())


def test_a_shell_has_the_values_as_variables(deployed: tuple[str, dict[str, str]]) -> None:
    address, values = deployed

    ended = shell(DOTENV.replace('rm "$FILE"', 'cat "$FILE"; rm "$FILE"'), OUTPUTS=address)

    assert ended.returncode == 0, ended.stderr
    assert plain(ended.stdout) == f"{DOTENV_LINES}Deployed to {values['endpoint']}\n"


def test_a_stage_of_jenkins_reads_the_values(deployed: tuple[str, dict[str, str]]) -> None:
    address, values = deployed
    (command,) = re.findall(r"script: '([^']*)'", JENKINS)

    ended = shell(command, OUTPUTS=address)

    assert json.loads(ended.stdout) == values


def test_what_a_form_cannot_hold_is_refused_as_shown(demo: str, tmp_path: Path) -> None:
    ended = shell(HOSTILE.replace("http://127.0.0.1:7071", demo))

    assert holds(REFUSED, json.loads(ended.stdout)), ended.stdout
    (address,) = re.findall(r'curl "(.*)\?', HOSTILE)
    file = tmp_path / "outputs.env"
    setup = HOSTILE.replace("http://127.0.0.1:7071", demo).rpartition("curl ")[0]
    stopped = shell(f'{setup}curl --fail "{address}?format=dotenv" > {file}')
    assert stopped.returncode == 22
    assert file.read_text() == ""


def test_the_page_has_every_form_and_limit() -> None:
    for form in OutputFormat:
        assert f"`{form}`" in PAGE
    assert f"{MOST_OUTPUTS} at most" in PAGE
    assert f"more than {LONGEST_OUTPUT_BYTES // 1024} KiB" in PAGE
    assert f"holds {GITLAB_BYTES // 1024} KiB" in PAGE


SAMPLES: Final = {
    "NUL": ["\0"],
    "a lone surrogate": ["\ud800"],
    "a carriage return": ["\r"],
    "`'`": ["'"],
    "`${`": ["${"],
    "`$(`": ["$("],
    "`$`": ["$", "${", "$("],
    "`#`": ["#"],
    "two backslashes in a row": ["\\\\"],
    "one at the end": ["\\"],
    "a backslash": ["\\", "\\\\", "\\b"],
    "anything blank": [" ", "\t"],
    "lines": ["\n"],
    "quotes": ["'", '"', "`"],
    "control characters": ["\x01", "\x1b"],
    "nothing": [],
}
"""Texts with what the table names; each stands at the end of a value."""

HELD: Final = ["%", "%AZP25", "::endgroup::", ";", "]", "=b", "é"]
"""What every form holds as it is."""
ROWS: Final = re.findall(r"^\| `([\w-]+)` \| (.*) \| (.*) \|$", PAGE, re.MULTILINE)


def is_refused(name: str, value: str, form: str) -> bool:
    try:
        written({name: value}, OutputFormat(form), new_delimiter=lambda: "delimiter")
    except OutputFormatError:
        return True
    return False


@pytest.mark.parametrize(("form", "values", "_names"), ROWS)
def test_a_form_refuses_the_values_the_table_says(form: str, values: str, _names: str) -> None:
    named = values.partition("; ")[0].split(", ")
    refused = {sample for name in named for sample in SAMPLES[name]}
    samples = [*{one: 0 for several in SAMPLES.values() for one in several}, *HELD]

    assert {one for one in samples if is_refused("name", f"a{one}", form)} == refused


@pytest.mark.parametrize(("form", "_values", "names"), ROWS)
def test_a_form_refuses_the_names_the_table_says(form: str, _values: str, names: str) -> None:
    refused = [
        name for name in ("a-b", "a.b", "PATH", "path", "UID") if is_refused(name, "1", form)
    ]

    assert ("a-b" in refused) == ("none of a variable" in names)
    assert ("a.b" in refused) == ("a-b" in refused and "dots are allowed" not in names)
    assert ("PATH" in refused) == ("reserved" in names)
    assert ("path" in refused) == ("reserved" in names and "in capitals" not in names)
    assert ("UID" in refused) == ("shells keep" in names)


def test_the_table_has_every_form() -> None:
    assert {form for form, _, _ in ROWS} == {*OutputFormat}
