"""What is deployed is the app, what it needs, and nothing else."""

from __future__ import annotations

import re
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from tools.package import PACKAGES, ROOT, app_files, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.package.conftest import Unpacked

PLANTED = [
    ".azure/prod/.env",
    ".data/invoke.db",
    ".data/invoke.db.key",
    ".env",
    ".git/config",
    ".python_packages/lib/site-packages/old.py",
    ".venv/dev/bin/python",
    "connections.json",
    "data/invoke.db",
    "data/invoke.db-wal",
    "data/invoke.db.key",
    "dist/package.zip",
    "infra/main.bicep",
    "invoke.db",
    "invoke.db-wal",
    "invoke_core/__pycache__/model.cpython-311.pyc",
    "local.settings.json",
    "server.key",
    "server.pem",
    "tests/test_it.py",
]
SECRETS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*[A-Za-z0-9+/]"
    r"|(?:AccountKey|SharedAccessKey|InstrumentationKey|x-functions-key)\s*[=:]\s*['\"]?[A-Za-z0-9+/-]{20}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ"
    r"|[?&](?:sig|code)=[A-Za-z0-9%]{20}"
    r"|(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=(?![A-Za-z0-9=])"
    r"|(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==",
)


def git(*words: str) -> list[str]:
    done = subprocess.run(  # noqa: S603  # our own command
        ["git", *words, "-z"],  # noqa: S607  # wherever it is
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in done.stdout.split("\0") if name]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project as it may lie on a developer's machine, with secrets and leftovers."""
    for name in [*git("ls-files"), *PLANTED]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        source = ROOT / name
        path.write_bytes(b"planted" if name in PLANTED else source.read_bytes())
    return tmp_path


def core_tools_accept(name: str) -> bool:
    """Tell whether Azure Functions Core Tools deploy a file, by their own reading of the rules.

    Every line is matched at the beginning of the path, ``*`` stands for one or more characters
    other than a slash, ``**`` for any, and what follows the match does not matter.

    Source: ``GitIgnoreParser`` of azure-functions-core-tools 4.
    """
    if name.startswith((".git/", ".vscode/")):
        return True
    lines = (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines()
    patterns = [line.removeprefix("/") for line in lines if line and not line.startswith("#")]
    as_regex = (re.escape(one).replace(r"\*\*", ".+").replace(r"\*", "[^/]+") for one in patterns)
    return not any(re.match(one, name) for one in as_regex)


def test_the_app_is_deployed_and_nothing_of_its_surroundings(project: Path) -> None:
    deployed = app_files(project)

    assert {name.partition("/")[0] for name in deployed} == {
        "function_app.py",
        "host.json",
        "invoke_core",
        "requirements.txt",
    }
    assert set(deployed).isdisjoint(PLANTED)
    assert all(name.endswith((".py", ".json", ".txt")) for name in deployed)
    assert {f"invoke_core/{one}" for one in ("wiring.py", "web/api.py")} <= set(deployed)


def test_core_tools_deploy_the_same_files(project: Path) -> None:
    everything = [
        path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file()
    ]
    folders_of_their_own = (".git/", ".python_packages/")

    accepted = [
        name
        for name in everything
        if core_tools_accept(name) and not name.startswith(folders_of_their_own)
    ]

    assert sorted(accepted) == app_files(project)


def test_nothing_that_git_ignores_is_deployed() -> None:
    """What is kept out of the repository, secrets above all, is kept out of the package."""
    deployed = app_files(ROOT)

    assert sorted(set(deployed) - set(git("ls-files", "-co", "--exclude-standard"))) == []


def test_no_file_of_the_app_holds_a_key_a_token_or_a_connection_string(unpacked: Unpacked) -> None:
    found = [
        (path.name, match[0])
        for path in unpacked.folder.rglob("*")
        if path.is_file() and PACKAGES not in path.as_posix()
        for match in SECRETS.finditer(path.read_text(encoding="utf-8"))
    ]

    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        "-----BEGIN PRIVATE KEY-----\nMIIE",
        "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6",
        "token = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln'",
        "https://a.blob.core.windows.net/c?sv=1&sig=abcdefghijklmnopqrstuvwxyz",
        "STATE_KEY=" + "A1b2" * 10 + "A1b=",
    ],
)
def test_a_planted_secret_would_be_found(planted: str) -> None:
    assert SECRETS.search(planted)


def test_the_packages_are_those_of_the_requirements_alone(unpacked: Unpacked) -> None:
    """Nothing that tests or checks need is carried along."""
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    named = {line.partition("==")[0].replace("_", "-") for line in lines if "==" in line}
    packages = unpacked.folder / PACKAGES

    carried = {
        path.name.partition("-")[0].replace("_", "-").lower()
        for path in packages.glob("*.dist-info")
    }

    assert carried == {name.lower() for name in named}


def test_a_package_is_small_and_tells_its_size(
    unpacked: Unpacked, record_property: Callable[[str, object], None]
) -> None:
    record_property("measured", f"the package for Python {unpacked.version}: {unpacked.size}")

    files = [path for path in unpacked.folder.rglob("*") if path.is_file()]
    assert unpacked.size.files == len(files)
    assert unpacked.size.files < 2_500
    assert unpacked.size.bytes_zipped < 25_000_000


def test_the_same_files_make_the_same_package(project: Path, tmp_path: Path) -> None:
    packages = project / "none"
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"

    build(first, packages=packages, project=project)
    (project / "host.json").touch()
    first_bytes = first.read_bytes()
    first.unlink()
    build(second, packages=packages, project=project)

    assert second.read_bytes() == first_bytes
    assert zipfile.is_zipfile(second)
