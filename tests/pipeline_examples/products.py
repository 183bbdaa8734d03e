"""How each product runs its file: the shell in it, and the environment that goes with it.

Nothing is copied from the files: what they hold is read, and run as the product documents.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT: Final = Path(__file__).resolve().parents[2]
EXAMPLES: Final = ROOT / "examples" / "pipelines"
SCRIPT: Final = EXAMPLES / "invoke.sh"

_LIMIT_S: Final = 60


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job that is to run one task.

    Attributes:
        folder: Where it runs, with the step in ``step``.
        url: Where the service is.
        key: The function key.
        token: For the sign-in before the service; empty: there is none.
        step: The step's file.
        timeout_s: How long it may wait.
        run: Stands for the run of the pipeline.
        attempt: Of the job, in this run.
        sibling: Tells it from jobs of this run that the product names alike.
        more: Variables beside those of the product.
    """

    folder: Path
    url: str
    key: str
    token: str = ""
    step: str = "step.json"
    timeout_s: int = 30
    run: int = 7
    attempt: int = 1
    sibling: int = 0
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A job that has ended; ``outputs`` is what the product takes up."""

    code: int
    shown: str
    outputs: str


def _run(command: list[str], job: Job, variables: Mapping[str, str]) -> tuple[int, str]:
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LANG") if name in os.environ}
    done = subprocess.run(  # noqa: S603  # our own example
        command,
        cwd=job.folder,
        env={**kept, "HOME": str(job.folder), **variables, **job.more},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=_LIMIT_S,
    )
    return done.returncode, done.stdout.decode()


def _file(job: Job, name: str) -> str:
    path = job.folder / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _plain(shell: str) -> Callable[[Job], Ended]:
    def run(job: Job) -> Ended:
        variables = {
            "INVOKE_URL": job.url,
            "INVOKE_KEY": job.key,
            "INVOKE_TOKEN": job.token,
            "INVOKE_STEP": job.step,
            "INVOKE_TIMEOUT": str(job.timeout_s),
            "INVOKE_IDEMPOTENCY_KEY": f"plain-{job.folder}-{job.run}-{job.attempt}",
            "INVOKE_OUTPUTS": "dotenv",
            "INVOKE_OUTPUTS_FILE": "outputs.env",
        }
        program = shutil.which(shell)
        assert program is not None, f"{shell} has to be on the machine"
        code, shown = _run([program, str(SCRIPT)], job, variables)
        return Ended(code=code, shown=shown, outputs=_file(job, "outputs.env"))

    return run


def read_yaml(name: str) -> Any:  # noqa: ANN401  # any YAML
    """Return the document of a product's file."""
    return yaml.safe_load((EXAMPLES / name).read_text(encoding="utf-8"))


def _rendered(text: object, context: str, values: Mapping[str, object]) -> str:
    """Fill in the template expressions of a text; one that is not known fails."""
    return re.sub(
        r"\$\{\{ (" + context + r")\.([\w-]+) \}\}", lambda found: str(values[found[2]]), str(text)
    )


def azure_pipelines(job: Job) -> Ended:
    """Run the template's step as an agent does."""
    template = read_yaml("azure-pipelines/invoke.yml")
    given = {
        "url": job.url,
        "key": job.key,
        "token": job.token,
        "step": job.step,
        "name": "deploy",
        "timeoutInSeconds": job.timeout_s,
        "script": str(SCRIPT),
    }
    defaults = {one["name"]: one.get("default") for one in template["parameters"]}
    assert given.keys() <= defaults.keys()
    offered = {one["name"]: one["values"] for one in template["parameters"] if "values" in one}
    assert offered == {"outputs": ["azure-pipelines", ""]}
    (step,) = template["steps"]
    variables = {
        name: _rendered(value, "parameters", {**defaults, **given})
        for name, value in step["env"].items()
    }
    agent = {
        "BUILD_BUILDID": str(job.run),
        "SYSTEM_TEAMPROJECTID": str(job.folder),
        "SYSTEM_JOBID": "12f1170f-54f2-53f3-20dd-22fc7dff55f9",
        "SYSTEM_STAGEATTEMPT": "1",
        "SYSTEM_JOBATTEMPT": str(job.attempt),
    }
    code, shown = _run(["bash", "-c", step["bash"]], job, {**agent, **variables})
    commands = [line for line in shown.splitlines() if "##vso[" in line]
    return Ended(code=code, shown=shown, outputs="".join(f"{line}\n" for line in commands))


def github(job: Job) -> Ended:
    """Run the composite action's step as a runner does."""
    action = read_yaml("github/action.yml")
    given = {
        "url": job.url,
        "key": job.key,
        "token": job.token,
        "step": job.step,
        "timeout-in-seconds": job.timeout_s,
        "job-index": 0,
        "check_run_id": 51725241954 + job.sibling,
    }
    inputs = {name: one.get("default") for name, one in action["inputs"].items()}
    (step,) = action["runs"]["steps"]
    assert (action["runs"]["using"], step["shell"]) == ("composite", "sh")
    variables = {
        name: _rendered(value, "inputs|strategy|job", {**inputs, **given})
        for name, value in step["env"].items()
    }
    runner = {
        "GITHUB_REPOSITORY": f"me/{job.folder}",
        "GITHUB_RUN_ID": str(job.run),
        "GITHUB_RUN_ATTEMPT": str(job.attempt),
        "GITHUB_JOB": "deploy",
        "GITHUB_ACTION_PATH": str(EXAMPLES / "github"),
        "GITHUB_OUTPUT": str(job.folder / "github-output"),
    }
    (job.folder / "run.sh").write_text(step["run"], encoding="utf-8")
    code, shown = _run(["sh", "-e", "run.sh"], job, {**runner, **variables})
    return Ended(code=code, shown=shown, outputs=_file(job, "github-output"))


def gitlab(job: Job) -> Ended:
    """Run the job's lines as a runner does: one after the other, until one fails."""
    template = read_yaml("gitlab/invoke.gitlab-ci.yml")[".invoke-rest-api"]
    given = {
        "INVOKE_URL": job.url,
        "INVOKE_KEY": job.key,
        "INVOKE_TOKEN": job.token,
        "INVOKE_STEP": job.step,
        "INVOKE_SCRIPT": str(SCRIPT),
        "INVOKE_TIMEOUT": str(job.timeout_s),
    }
    runner = {
        "CI_SERVER_HOST": "gitlab.example",
        "CI_PROJECT_ID": str(job.folder),
        "CI_PIPELINE_ID": str(job.run),
        "CI_JOB_ID": f"{job.run}{job.attempt:03}",
    }
    variables = {**template["variables"], **given, **runner}
    lines = [*template["before_script"], *template["script"]]
    code, shown = _run(["sh", "-e", "-c", "\n".join(lines)], job, variables)
    assert template["artifacts"]["reports"]["dotenv"] == "$INVOKE_OUTPUTS_FILE"
    return Ended(code=code, shown=shown, outputs=_file(job, variables["INVOKE_OUTPUTS_FILE"]))


def jenkins(job: Job) -> Ended:
    """Run the shared step's shell as an agent does."""
    groovy = (EXAMPLES / "jenkins/vars/invokeRestApi.groovy").read_text(encoding="utf-8")
    written = re.search(r"writeFile file: '([^']+)', text: libraryResource\('([^']+)'\)", groovy)
    credentials = dict(re.findall(r"options\.(\w+), variable: '(\w+)'", groovy))
    environment = re.search(r"withEnv\(\[(.*?)\]\)", groovy, re.DOTALL)
    script = re.search(r"sh label: '[^']+', script: '''(.*?)'''", groovy, re.DOTALL)
    taken_up = re.search(r"readFile\('([^']+)'\)", groovy)
    assert written
    assert environment
    assert script
    assert taken_up
    library = job.folder / written[1]
    library.parent.mkdir(exist_ok=True)
    shutil.copy(EXAMPLES / written[2], library)
    options = {
        "url": job.url,
        "step": job.step,
        "timeoutInSeconds": str(job.timeout_s),
        "name": f"linux-{job.sibling}",
    }

    def option(found: re.Match[str]) -> str:
        return options.get(found[1], (found[2] or "").strip("'"))

    variables = dict(
        re.sub(r"\$\{options\.(\w+)(?: \?: ([^}]*))?\}", option, text).split("=", 1)
        for text in re.findall(r"""["']([A-Z_]+=[^\n]*)["'],""", environment[1])
    )
    agent = {"BUILD_TAG": f"jenkins-{job.folder}-{job.run}{job.attempt:03}", "STAGE_NAME": "deploy"}
    variables |= {credentials["credentialsId"]: job.key}
    variables |= {credentials["tokenCredentialsId"]: job.token} if job.token else {}
    code, shown = _run(["sh", "-xe", "-c", script[1]], job, {**agent, **variables})
    return Ended(code=code, shown=shown, outputs=_file(job, taken_up[1]))


PRODUCTS: Final[Mapping[str, Callable[[Job], Ended]]] = {
    "azure-pipelines": azure_pipelines,
    "github": github,
    "gitlab": gitlab,
    "jenkins": jenkins,
    "dash": _plain("dash"),
    "bash": _plain("bash"),
}
