"""Outputs in the forms in which pipelines take variables in.

A value comes from a target or an external service, and may be hostile. In each form it is exactly
one variable with exactly that value, or the form is refused: a pipeline that goes on with a
variable missing is worse off than one that stops.

Source: HTTP contract, section 5 (``/outputs``). GitHub: "Workflow commands", multiline strings.
Azure Pipelines: ``task.setvariable``, and the escapes of its command parser. GitLab:
``artifacts:reports:dotenv``. Dotenv: what POSIX shells and the dotenv libraries of Python and Node
read alike.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from invoke_core.documents import dump_json
from invoke_core.errors import Fault, OutputFormatError
from invoke_core.steps import pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

GITLAB_BYTES: Final = 5 * 1024
"""Longest dotenv report that GitLab takes, by default."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_AZURE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*", re.ASCII)
_GITLAB_VALUE: Final = re.compile(r"[^\s\x00-\x1f\x7f-\x9f'\"`$\\#\u2028\u2029]*")
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")

# Variables by which a shell, a loader or a language runs other code, or finds its programs.
_RUNS_CODE: Final = (
    r"PATH|IFS|ENV|BASH_.*|SHELLOPTS|BASHOPTS|POSIXLY_CORRECT|PS[0-4]|PROMPT_COMMAND|CDPATH"
    r"|GLOBIGNORE|HOME|SHELL|LD_.*|DYLD_.*|GLIBC_TUNABLES|GCONV_PATH|LOCPATH|PYTHON.*|PERL.*|RUBY.*"
    r"|NODE_.*|JAVA_.*|JDK_.*|_JAVA_OPTIONS|GIT_.*|SSH_.*|HTTPS?_PROXY|ALL_PROXY|NO_PROXY"
    r"|EDITOR|VISUAL|PAGER|DOTNET_.*|CORECLR_.*|RUST.*|CARGO_.*|NPM_CONFIG_.*|YARN_.*|PIP_.*|UV_.*"
    r"|OPENSSL_.*|SSL_.*|CURL_.*|MAVEN_.*|GRADLE_.*|MAKEFLAGS|MAKEFILES|GOFLAGS|GOPROXY|CGO_.*"
    r"|DOCKER_.*|KUBECONFIG|HELM_.*|TF_.*|TMPDIR|TEMP|TMP"
)
_OF_PIPELINES: Final = r"CI|CI_.*|GITLAB_.*|GITHUB_.*|RUNNER_.*|AZURE_.*|SYSTEM_.*|AGENT_.*"
_RESERVED: Final = re.compile(f"{_RUNS_CODE}|{_OF_PIPELINES}", re.IGNORECASE)
# Their runners take no other value for these; lower-case names are usual among step outputs.
_RESERVED_BY_GITHUB: Final = re.compile(f"{_RUNS_CODE}|GITHUB_.*|RUNNER_.*")
# A shell refuses a value for these, or gives them one of its own; Node has no such member.
_NOT_FREE: Final = re.compile(
    r"_|BASH|BASHPID|E?UID|PPID|GROUPS|DIRSTACK|FUNCNAME|FUNCNEST|HISTCMD|LINENO|OPTIND|PIPESTATUS"
    r"|S?RANDOM|SECONDS|EPOCHSECONDS|EPOCHREALTIME|SHLVL|COMP_WORDBREAKS|__proto__"
)


class OutputFormat(StrEnum):
    """The forms there are."""

    JSON = "json"
    DOTENV = "dotenv"
    GITHUB = "github"
    AZURE_PIPELINES = "azure-pipelines"
    GITLAB = "gitlab"


def written(
    outputs: Mapping[str, str], form: OutputFormat, *, new_delimiter: Callable[[], str]
) -> str:
    """Return outputs in a form.

    Args:
        outputs: Values by name.
        form: The form.
        new_delimiter: Returns a text nobody can guess, of letters, digits and ``_-``.

    Raises:
        OutputFormatError: The form cannot hold a name or a value exactly; every one is named.
    """
    if form is OutputFormat.JSON:
        return dump_json({**outputs})
    faults = [
        Fault(pointer("/outputs", name), fault)
        for name, value in outputs.items()
        if (fault := _fault(name, value, form))
    ]
    if faults:
        raise OutputFormatError(form.value, faults)
    text = "".join(_line(name, value, form, new_delimiter) for name, value in outputs.items())
    if form is OutputFormat.GITLAB and len(text.encode()) > GITLAB_BYTES:
        too_long = f"The outputs have more than the {GITLAB_BYTES:,} bytes that GitLab takes."
        raise OutputFormatError(form.value, [Fault("/outputs", too_long)])
    return text


def _line(name: str, value: str, form: OutputFormat, new_delimiter: Callable[[], str]) -> str:
    if form is OutputFormat.GITHUB:
        delimiter = f"output_{new_delimiter()}"
        while delimiter in value:
            delimiter = f"output_{new_delimiter()}"
        return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"
    if form is OutputFormat.AZURE_PIPELINES:
        return f"##vso[task.setvariable variable={name};isOutput=true]{_escaped(value)}\n"
    return f"{name}='{value}'\n" if form is OutputFormat.DOTENV else f"{name}={value}\n"


def _fault(name: str, value: str, form: OutputFormat) -> str:
    """Return why a form cannot hold an output; empty where it can."""
    names = _AZURE_NAME if form is OutputFormat.AZURE_PIPELINES else _NAME
    if not names.fullmatch(name):
        return "Its name is not the name of a variable there."
    if _is_reserved(name, form):
        return "A variable of its name changes how programs run; it would reach all of them."
    if form is OutputFormat.DOTENV and _NOT_FREE.fullmatch(name):
        return "Shells or dotenv libraries have a variable of its name, with a value of its own."
    if "\0" in value:
        return "Its value has a NUL character in it."
    if _LONE_SURROGATE.search(value):
        return "Its value is no Unicode text."
    return _value_fault(value, form)


def _is_reserved(name: str, form: OutputFormat) -> bool:
    if form is OutputFormat.AZURE_PIPELINES:
        return False
    reserved = _RESERVED_BY_GITHUB if form is OutputFormat.GITHUB else _RESERVED
    return reserved.fullmatch(name) is not None


def _value_fault(value: str, form: OutputFormat) -> str:
    if form is OutputFormat.GITHUB and "\r" in value:
        return "Its value has a carriage return in it, which runners on Windows drop."
    if form is OutputFormat.AZURE_PIPELINES and "$(" in value:
        return "Its value has '$(' in it; agents expand variables inside those of later steps."
    if form is OutputFormat.GITLAB and not _GITLAB_VALUE.fullmatch(value):
        return "GitLab takes one line without blanks, quotes, '$', '#' and backslashes."
    if form is OutputFormat.DOTENV and not _is_read_alike(value):
        return (
            "Shells and dotenv libraries read its value differently: it has a carriage return, "
            "a quote ', a backslash pair or one at its end, or '${' in it."
        )
    return ""


def _is_read_alike(value: str) -> bool:
    if value.endswith("\\"):
        return False
    return not any(part in value for part in ("\r", "'", "\\\\", "${"))


def _escaped(value: str) -> str:
    """Escape a value as the library of Azure Pipelines' own tasks does."""
    return value.replace("%", "%AZP25").replace("\r", "%0D").replace("\n", "%0A")
