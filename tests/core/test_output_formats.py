"""Outputs in five forms: each is one variable with exactly its value, or it is refused.

Each form is read by what reads it in practice where that is at hand, and else by its documented
rules, written down here a second time.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from itertools import count
from typing import TYPE_CHECKING, Final

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st

from invoke_core.documents import without_lone_surrogates
from invoke_core.errors import OutputFormatError
from invoke_core.output_formats import GITLAB_BYTES, OutputFormat, written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

JSON, DOTENV, GITHUB, AZURE, GITLAB = OutputFormat

LINES: Final = ["a\nb", "\na", "a\n", "\n", "a\n\nEVIL=1", "a\nEVIL<<x\n1\nx", 'a\n"b"\nc']
COMMANDS: Final = [
    "##vso[task.setvariable variable=evil]1",
    "a\n##vso[task.setvariable variable=evil;isOutput=true]1",
    "::set-output name=evil::1",
    "a\n::set-output name=evil::1",
    "::set-env name=evil::1",
    "EOF",
    "a\nEOF\nEVIL=1",
    "output_guess",
    "a\noutput_guess\nEVIL<<x\n1\nx",
    "%0Aevil",
    "%0D%0A",
    "100%",
    "%25",
    "%AZP25",
    "%AZP250A",
    "%3B%5D",
    "x]y;z",
]
QUOTES: Final = ['"', '"a"', "`", "`a`", "`id`", "`a\nb`", '"a\n"b', "\u2018a\u2019", "«a»"]
SHELL: Final = [
    "a b",
    "$",
    "$x",
    "$HOME",
    "$$",
    "a;id",
    "a&&id",
    "a|id",
    "a>b",
    "<(id)",
    "~",
    "*",
    "!!",
    "{a,b}",
    "export A=1",
    "#",
    "a # b",
    "#a",
    "=",
    "a=b",
    "\\a",
    "\\n",
    "a\\b\\c",
    "\\$x",
    "\\\ny",
    "-n",
]
BLANKS: Final = ["", " ", " a", "a ", "\t", "\u00a0", "\u2003a"]
ODD: Final = [
    "\x01",
    "\x0b\x0c",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "a\u2028b",
    "a\u2029b",
    "\ufeff",
    "é",
    "\U0001f600",
    "true",
    "1.10",
    "x" * 32 * 1024,
    "\n" * 1000,
]
PLAIN: Final = ["a", "a-b_c.d:e/f,g", "https://example.com/a?b=c&d=e", "2026-11-24T12:00:00Z", "ü"]
HARMLESS: Final = [*LINES, *COMMANDS, *QUOTES, *SHELL, *BLANKS, *ODD, *PLAIN]

CARRIAGE: Final = ["\r", "a\r", "a\r\nb", "a\rEVIL=1"]
UNREADABLE: Final = ["a\0b", "\0", "\ud800", "a\udfffb"]
MACRO: Final = ["$(x)", "a $(system.accesstoken)", "$(a$(b))", "$("]
BRACED: Final = ["${X}", "${X:-a}", "a${", "\\${X}"]
SINGLE: Final = ["'", "it's", "'a'", "a'; id; '", "\\'"]
BACKSLASHES: Final = ["\\\\", "a\\", "a\\\\b", "\\\\n"]

REFUSED: Final[dict[OutputFormat, list[str]]] = {
    DOTENV: [*CARRIAGE, *UNREADABLE, *BRACED, *SINGLE, *BACKSLASHES],
    GITHUB: [*CARRIAGE, *UNREADABLE],
    AZURE: [*UNREADABLE, *MACRO],
}
TAKEN: Final[dict[OutputFormat, list[str]]] = {
    DOTENV: [*HARMLESS, *MACRO],
    GITHUB: [*HARMLESS, *MACRO, *BRACED, *SINGLE, *BACKSLASHES],
    AZURE: [*HARMLESS, *CARRIAGE, *BRACED, *SINGLE, *BACKSLASHES],
    GITLAB: [*PLAIN, "", "a=b", "=", "{a,b}", "100%", "x]y;z", "::set-output", "é", "\U0001f600"],
}
EVERYTHING: Final = [
    *HARMLESS,
    *CARRIAGE,
    *UNREADABLE,
    *MACRO,
    *BRACED,
    *SINGLE,
    *BACKSLASHES,
]

PRINT_ENVIRONMENT: Final = (
    "import os, sys; sys.stdout.buffer.write("
    "b''.join(name + b'=' + value + b'\\0' for name, value in os.environb.items()))"
)
NODE_READS: Final = (
    "const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'));"
    "const { parseEnv } = require('util');"
    "console.log(JSON.stringify(texts.map((text) => Object.entries(parseEnv(text)))));"
)
SHELLS: Final = [shell for shell in ("sh", "bash", "dash") if shutil.which(shell)]


def in_form(outputs: Mapping[str, str], form: OutputFormat) -> str:
    numbers = count()
    return written(outputs, form, new_delimiter=lambda: f"guess{next(numbers) or ''}")


def is_taken(outputs: Mapping[str, str], form: OutputFormat) -> bool:
    try:
        in_form(outputs, form)
    except OutputFormatError:
        return False
    return True


def numbered(values: list[str]) -> dict[str, str]:
    return {f"out_{number}": value for number, value in enumerate(values)}


def run(program: str, *arguments: str, given: str = "", path: str = "/bin:/usr/bin") -> str:
    """Return what a program prints; it has nothing in its environment, and no complaints."""
    whole = [str(shutil.which(program)), *arguments]
    done = subprocess.run(  # noqa: S603  # programs of this test
        whole, input=given.encode(), env={"PATH": path}, capture_output=True, check=True
    )
    assert done.stderr == b""
    return done.stdout.decode()


def sourced_by(shell: str, text: str, directory: Path) -> dict[str, str]:
    """Return the variables a shell has more once it has sourced a text, as its programs see them.

    Nothing a text could run is on the path.
    """
    file = directory / "outputs.env"
    file.write_bytes(text.encode())
    program = 'set -a; . "$1"; set +a; exec "$2" -I -c "$3"'
    arguments = ["-c", program, shell, str(file), sys.executable, PRINT_ENVIRONMENT]
    printed = run(shell, *arguments, path=str(directory))
    pairs = (pair.split("=", 1) for pair in printed.split("\0")[:-1])
    own = {"PATH", "PWD", "SHLVL", "_", "OLDPWD", "LC_CTYPE"}
    return {name: value for name, value in pairs if name not in own}


def read_by_github(text: str) -> dict[str, str]:
    """Read a file as the runner reads GITHUB_OUTPUT and GITHUB_ENV, and do as it does with names.

    Only a line feed ends a line outside Windows; ``name=value``, or ``name<<delimiter`` and lines
    up to one that is the delimiter.
    """
    assert "\r" not in text, "a runner on Windows ends lines with carriage returns as well"
    read: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        equals, heredoc = line.find("="), line.find("<<")
        if equals >= 0 and (heredoc < 0 or equals < heredoc):
            name, _, value = line.partition("=")
        else:
            assert heredoc >= 0, f"Invalid format '{line}'"
            name, _, delimiter = line.partition("<<")
            assert name, "the name is empty"
            assert delimiter, "the delimiter is empty"
            found: list[str] = []
            for inner in lines:
                if inner == delimiter:
                    break
                found.append(inner)
            else:
                pytest.fail("Matching delimiter not found")
            value = "\n".join(found)
        assert name not in read
        read[name] = value
    return read


def read_by_azure(text: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Read an output as the agent does, and expand the values as it does before each step.

    A command begins at ``##vso[`` anywhere in a line and ends at the next ``]``; properties stand
    between semicolons; data has percent, carriage return and line feed escaped.
    """
    read: dict[str, str] = {}
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        start = line.find("##vso[")
        if start < 0:
            assert not line, "a line that is no command would be lost"
            continue
        end = line.index("]", start)
        command, _, properties = line[start + len("##vso[") : end].partition(" ")
        assert command == "task.setvariable"
        named = dict(pair.split("=", 1) for pair in properties.split(";") if pair)
        assert named == {"variable": named["variable"], "isOutput": "true"}
        data = line[end + 1 :].replace("%0D", "\r").replace("%0A", "\n").replace("%AZP25", "%")
        assert named["variable"] not in read
        read[named["variable"]] = data
    for name, value in read.items():
        before, macro, rest = value.partition("$(")
        inner, closing, after = rest.partition(")")
        if macro and closing and inner in variables:
            read[name] = before + variables[inner] + after
    return read


def read_by_gitlab(text: str) -> dict[str, str]:
    """Read a dotenv report: lines of ``NAME=VALUE``, blanks at their ends dropped.

    Neither empty lines nor comments are taken; quotes are not understood, ``$`` is expanded later.
    """
    assert len(text.encode()) <= GITLAB_BYTES
    read: dict[str, str] = {}
    for line in text.removesuffix("\n").split("\n") if text else []:
        name, mark, value = line.partition("=")
        assert mark, "Invalid Format"
        assert name.strip().replace("_", "a").isalnum()
        assert "$" not in value
        read[name.strip()] = value.strip(" \t\n\v\f\r\0")
    return read


def read_by_python(text: str, *, interpolate: bool) -> dict[str, str | None]:
    return dict(dotenv_values(stream=io.StringIO(text, newline=None), interpolate=interpolate))


READERS: Final[dict[OutputFormat, Callable[[str], Mapping[str, str | None]]]] = {
    JSON: json.loads,
    GITHUB: read_by_github,
    AZURE: lambda text: read_by_azure(text, {"x": "1", "system.accesstoken": "secret"}),
    GITLAB: read_by_gitlab,
    DOTENV: lambda text: read_by_python(text, interpolate=False),
}


@pytest.mark.parametrize("form", OutputFormat)
@pytest.mark.parametrize("value", EVERYTHING)
def test_a_hostile_value_is_one_variable_with_that_value_or_refused_by_name(
    value: str, form: OutputFormat
) -> None:
    outputs = {"before": "1", "hostile": value, "after": "2"}

    if not is_taken(outputs, form):
        with pytest.raises(OutputFormatError) as caught:
            in_form(outputs, form)
        is_long = form is GITLAB and len(value) > GITLAB_BYTES
        pointer = "/outputs" if is_long else "/outputs/hostile"
        assert [fault.pointer for fault in caught.value.faults] == [pointer]
        assert form is not JSON
        return
    text = in_form(outputs, form)
    if form is JSON:
        outputs["hostile"] = without_lone_surrogates(value)
    assert READERS[form](text) == outputs
    if form is DOTENV:
        assert read_by_python(text, interpolate=True) == outputs


@pytest.mark.parametrize(
    ("form", "value"), [(form, value) for form, values in REFUSED.items() for value in values]
)
def test_a_value_that_its_form_cannot_hold_is_refused(form: OutputFormat, value: str) -> None:
    assert not is_taken({"hostile": value}, form)


@pytest.mark.parametrize(
    ("form", "value"), [(form, value) for form, values in TAKEN.items() for value in values]
)
def test_a_value_that_its_form_can_hold_is_not_refused(form: OutputFormat, value: str) -> None:
    assert is_taken({"harmless": value}, form)


def test_gitlab_takes_nothing_that_is_more_than_one_plain_word() -> None:
    taken = [value for value in EVERYTHING if is_taken({"a": value}, GITLAB)]

    assert not any(set(value) & set(" \t\r\n\0'\"`$\\#\u2028\u2029\u00a0") for value in taken)


def test_a_report_for_gitlab_has_5_kib_at_most() -> None:
    value = "x" * (GITLAB_BYTES - len("a=\n"))

    assert len(in_form({"a": value}, GITLAB)) == GITLAB_BYTES
    with pytest.raises(OutputFormatError) as caught:
        in_form({"a": value + "x"}, GITLAB)
    assert [fault.pointer for fault in caught.value.faults] == ["/outputs"]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_that_sources_the_dotenv_form_has_every_value(shell: str, tmp_path: Path) -> None:
    outputs = numbered(TAKEN[DOTENV])

    assert sourced_by(shell, in_form(outputs, DOTENV), tmp_path) == outputs


def test_node_reads_every_value_of_the_dotenv_form() -> None:
    expected = [{"before": "1", "out": value, "after": "2"} for value in TAKEN[DOTENV]]

    assert read_by_node([in_form(outputs, DOTENV) for outputs in expected]) == expected


def read_by_node(texts: list[str]) -> list[dict[str, str]]:
    printed = run("node", "-e", NODE_READS, given=json.dumps(texts))
    return [dict(pairs) for pairs in json.loads(printed)]


def test_a_delimiter_that_stands_in_the_value_is_not_used() -> None:
    value = "a\noutput_guess\nEVIL=1\noutput_guess1"
    delimiters = iter(["guess", "guess1", "other"])

    text = written({"a": value}, GITHUB, new_delimiter=lambda: next(delimiters))

    assert text == f"a<<output_other\n{value}\noutput_other\n"


def test_each_value_has_a_delimiter_of_its_own() -> None:
    delimiters = iter(["1", "2"])

    text = written({"a": "x", "b": ""}, GITHUB, new_delimiter=lambda: next(delimiters))

    assert text == "a<<output_1\nx\noutput_1\nb<<output_2\n\noutput_2\n"


ODD_NAMES: Final = [
    "",
    "a b",
    "x;y",
    "x=y",
    "a\nEVIL",
    "a]##vso[task.complete]",
    "a<<b",
    "1a",
    "a-b",
    "é",
    "а",  # noqa: RUF001  # a Cyrillic letter
    "a\u0301",
    "$(id)",
    "`id`",
    "a'b",
    " a",
    "a ",
    "a\r",
    "a\0",
    "a\ud800",
    "#a",
    "export a",
]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("form", [DOTENV, GITHUB, AZURE, GITLAB])
def test_a_name_that_is_none_of_a_variable_is_refused(name: str, form: OutputFormat) -> None:
    with pytest.raises(OutputFormatError) as caught:
        in_form({name: "x", "fine": "y"}, form)

    assert [fault.detail for fault in caught.value.faults] == [
        "Its name is not the name of a variable there."
    ]


@pytest.mark.parametrize("name", [*ODD_NAMES[:-3], "__proto__", "PATH", "#a"])
def test_the_json_form_holds_any_name(name: str) -> None:
    assert json.loads(in_form({name: "x"}, JSON)) == {name.replace("\ud800", "\ufffd"): "x"}


def test_a_name_with_a_dot_is_one_in_azure_pipelines_only() -> None:
    assert READERS[AZURE](in_form({"a.b": "x"}, AZURE)) == {"a.b": "x"}
    assert not any(is_taken({"a.b": "x"}, form) for form in (DOTENV, GITHUB, GITLAB))


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "IFS", "ENV", "BASH_ENV", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "PYTHONPATH"),
        *("NODE_OPTIONS", "PERL5OPT", "GIT_SSH_COMMAND", "PS4", "PROMPT_COMMAND", "HTTPS_PROXY"),
    ],
)
@pytest.mark.parametrize("form", [DOTENV, GITHUB, GITLAB])
def test_a_name_by_which_programs_run_others_is_refused_where_it_reaches_all_of_them(
    name: str, form: OutputFormat
) -> None:
    assert not is_taken({name: "x"}, form)


def test_whether_a_name_is_free_depends_on_the_form() -> None:
    forms = {DOTENV, GITHUB, AZURE, GITLAB}
    refused_by = {
        "path": {DOTENV, GITLAB},
        "GITHUB_TOKEN": {DOTENV, GITHUB, GITLAB},
        "RUNNER_TEMP": {DOTENV, GITHUB, GITLAB},
        "CI_JOB_TOKEN": {DOTENV, GITLAB},
        "ci": {DOTENV, GITLAB},
        "UID": {DOTENV},
        "uid": set(),
        "PATHS": set(),
        "PATH": {DOTENV, GITHUB, GITLAB},
        "__proto__": {DOTENV},
    }

    for name, expected in refused_by.items():
        assert {form for form in forms if not is_taken({name: "x"}, form)} == expected, name


@pytest.mark.parametrize("shell", SHELLS)
def test_no_variable_of_a_shell_gets_in_the_way_of_an_output(shell: str, tmp_path: Path) -> None:
    """Whatever the shell itself has a variable for holds its output, or is refused."""
    listed = "compgen -v" if shell == "bash" else "set"
    known = run(shell, "-c", listed)
    more = "UID EUID PPID GROUPS RANDOM SECONDS LINENO OPTIND HISTCMD BASHPID TZ TERM COLUMNS _"
    names = sorted({line.partition("=")[0] for line in known.split("\n")} | set(more.split()))
    outputs = {name: f"x {name}" for name in names if is_taken({name: "x"}, DOTENV)}

    assert {"TZ", "TERM", "COLUMNS"} <= outputs.keys()
    read = sourced_by(shell, in_form({**outputs, "last": "y"}, DOTENV), tmp_path)
    own = {"PWD", "OLDPWD", "LC_CTYPE"}
    assert {name: read[name] for name in outputs.keys() - own} == {
        name: outputs[name] for name in outputs.keys() - own
    }
    assert read["last"] == "y"


def test_a_name_that_no_library_keeps_is_refused_in_the_dotenv_form() -> None:
    """Node's libraries make an object of it, whose prototype that would be."""
    assert read_by_node(["__proto__='x'\nconstructor='y'\n"]) == [{"constructor": "y"}]
    assert not is_taken({"__proto__": "x"}, DOTENV)
    assert is_taken({"constructor": "x"}, DOTENV)


def test_every_output_that_cannot_be_held_is_named() -> None:
    with pytest.raises(OutputFormatError) as caught:
        in_form({"a": "x\ry", "b": "fine", "c": "it's", "d/e": "x"}, DOTENV)

    assert [fault.pointer for fault in caught.value.faults] == [
        "/outputs/a",
        "/outputs/c",
        "/outputs/d~1e",
    ]


@pytest.mark.parametrize("form", OutputFormat)
def test_no_outputs_are_no_lines(form: OutputFormat) -> None:
    assert in_form({}, form) == ("{}" if form is JSON else "")


PIECES: Final = st.sampled_from(
    [
        *"ab =#\n\r\t\\$(){}`'\"%;][<>!~*\0\u2028\x85\x0c\ud800é\U0001f600",
        *("##vso[", "]", "EOF\n", "::set-output name=a::", "output_guess", "\noutput_guess\n"),
        *("${a}", "$(x)", "%0A", "%AZP25", "%AZP", "25", "export ", "a=", "\\\\", "\\n"),
    ]
)
VALUES: Final = st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=30)


@settings(max_examples=300, deadline=None)
@given(values=st.lists(VALUES, min_size=1, max_size=5))
def test_any_values_are_variables_with_these_values_or_refused(values: list[str]) -> None:
    for form in (DOTENV, GITHUB, AZURE, GITLAB):
        outputs = {
            name: value for name, value in numbered(values).items() if is_taken({name: value}, form)
        }
        text = in_form(outputs, form)

        assert READERS[form](text) == outputs
        if form is DOTENV:
            assert read_by_python(text, interpolate=True) == outputs


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=15, deadline=None)
@given(values=st.lists(VALUES, min_size=20, max_size=60))
def test_a_shell_has_any_values_that_are_not_refused(
    tmp_path_factory: pytest.TempPathFactory, shell: str, values: list[str]
) -> None:
    outputs = numbered([value for value in values if is_taken({"a": value}, DOTENV)])
    directory = tmp_path_factory.mktemp("sourced")

    assert sourced_by(shell, in_form(outputs, DOTENV), directory) == outputs


@settings(max_examples=15, deadline=None)
@given(values=st.lists(VALUES, min_size=20, max_size=60))
def test_node_reads_any_values_that_are_not_refused(values: list[str]) -> None:
    expected = [
        {"before": "1", "out": value, "after": "2"}
        for value in values
        if is_taken({"a": value}, DOTENV)
    ]

    assert read_by_node([in_form(outputs, DOTENV) for outputs in expected]) == expected
