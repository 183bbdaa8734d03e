"""What the README shows is what happens."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
from typing import TYPE_CHECKING, Any, get_args

import pytest

from invoke_core.connections import Auth, ConnectionKind
from invoke_core.model import ReasonCode
from invoke_core.settings.connections import ConnectionReader
from invoke_core.steps import INPUT_ALIASES
from tests.process.conftest import ROOT, environment, running, url_in

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    """What ``make run`` starts, on free ports; yields its URL."""
    with running(
        "examples.first_light",
        ["--port", "0", "--demo-port", "0"],
        settings={},
        until="Ctrl-C",
    ) as (process, lines):
        yield url_in(lines)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def curl(command: str, url: str) -> tuple[int, Any]:
    """Run a curl command of the README against the service; return exit code and body."""
    words = shlex.split(command.replace("http://127.0.0.1:7071", url))
    ended = subprocess.run(  # noqa: S603  # a command of our own README
        [*words, "--silent", "--max-time", "20"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        check=False,
        timeout=30,
    )
    return ended.returncode, json.loads(ended.stdout)


def holds(shown: Any, actual: Any) -> bool:  # noqa: ANN401  # any JSON
    """Tell whether an abridged document is part of the whole one."""
    if isinstance(shown, dict):
        return isinstance(actual, dict) and all(
            name in actual and holds(value, actual[name]) for name, value in shown.items()
        )
    return bool(shown == actual)


def test_the_first_lines_lead_to_a_first_success() -> None:
    first = "\n".join(README.splitlines()[:36])

    for needed in (
        "make run",
        "curl --data-binary @examples/step.yaml",
        '"succeeded"',
        "make test",
    ):
        assert needed in first


def test_every_request_of_the_readme_gets_the_answer_shown_under_it(service: str) -> None:
    commands = [block for block in blocks("sh") if block.startswith("curl")]
    answers = [json.loads(block) for block in blocks("json") if '"result"' in block]
    exits = [22 if "--fail-with-body" in command else 0 for command in commands]

    assert len(commands) == len(answers) == 3
    for command, shown, exit_code in zip(commands, answers, exits, strict=True):
        code, actual = curl(command, service)
        assert code == exit_code
        assert holds(shown, actual), (shown, actual)


def test_the_connection_of_the_readme_is_one_the_service_takes() -> None:
    (definition,) = [json.loads(block) for block in blocks("json") if '"auth"' in block]
    reader = ConnectionReader(
        environ={"GENERIC_DEMO_PASSWORD": "pass/word"}, root=ROOT, on_azure=False
    )

    reader.read(definition)

    assert (reader.faults, reader.common_faults, reader.warnings) == ([], [], [])


def test_every_input_alias_and_reason_is_in_the_readme() -> None:
    names = [alias for name, aliases in INPUT_ALIASES.items() for alias in (name, *aliases)]

    assert [name for name in names if f"`{name}`" not in README] == []
    assert [code for code in ReasonCode if f"`{code}`" not in README] == []


def test_every_connection_of_the_page_on_connections_is_one_the_service_takes() -> None:
    page = (ROOT / "docs" / "connections.md").read_text(encoding="utf-8")
    examples = re.findall(r"^```json\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    environ = dict.fromkeys(re.findall(r"\$\{([A-Z_]+)\}", page), "README.md")
    reader = ConnectionReader(environ=environ, root=ROOT, on_azure=False)

    known = reader.read({name: one for text in examples for name, one in json.loads(text).items()})

    assert (reader.faults, reader.common_faults, reader.warnings) == ([], [], [])
    schemes = {type(entry.connection.auth) for entry in known if entry.connection}
    assert schemes == set(get_args(Auth))
    assert {entry.connection.kind for entry in known if entry.connection} == set(ConnectionKind)


@pytest.mark.parametrize("page", sorted(["README.md", *map(str, ROOT.glob("docs/*.md"))]))
def test_every_link_to_a_file_leads_to_one(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", path.read_text(encoding="utf-8"))

    dead = [link for link in links if "://" not in link and not (path.parent / link).exists()]

    assert dead == []
