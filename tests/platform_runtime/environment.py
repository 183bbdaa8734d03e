"""An environment with the platform's runtime package, made once and kept under ``.venv``."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_REQUIREMENTS = (ROOT / "requirements.txt", Path(__file__).with_name("requirements.txt"))
_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def find_python(*versions: str) -> tuple[Path, str] | None:
    """Return an interpreter of one of these versions, and its version as in ``3.13``.

    Looks at the interpreter that runs the tests, in PATH, and among pyenv's versions, which PATH
    may lead to through shims that do not run.
    """
    named = [shutil.which(f"python{version}") for version in versions]
    found = [Path(one) for one in (sys.executable, *named) if one]
    found += sorted(_pyenv_root().glob("versions/3.*/bin/python3"))
    for candidate in found:
        version = _output(str(candidate), "-c", _VERSION)
        if version in versions:
            return candidate, version
    return None


def make_environment(python: Path, version: str) -> Path:
    """Return the interpreter of the environment; make it where it is not there yet."""
    content = b"".join(path.read_bytes() for path in _REQUIREMENTS)
    folder = ROOT / ".venv" / f"platform-{version}-{hashlib.sha256(content).hexdigest()[:12]}"
    interpreter = folder / "bin" / "python"
    with _locked(folder.with_name(f"{folder.name}.lock")):
        # As in the Makefile, a half-made environment is never taken for a whole one.
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            _run(str(python), "-m", "venv", str(folder))
            pip = (str(interpreter), "-m", "pip", "install", "--disable-pip-version-check")
            _run(*pip, "--quiet", *(f"--requirement={path}" for path in _REQUIREMENTS))
            (folder / "ready").touch()
    return interpreter


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process in at a time: tests run in several."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _pyenv_root() -> Path:
    named = os.environ.get("PYENV_ROOT") or _output("pyenv", "root")
    return Path(named) if named else Path.home() / ".pyenv"


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  # our own command
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
    assert done.returncode == 0, done.stderr
