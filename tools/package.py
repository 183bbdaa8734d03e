"""Builds the deployment package as the platform does: ``python -m tools.package``.

The project's files go in, without those that ``.funcignore`` names by the rules of gitignore, and
what ``requirements.txt`` names is installed into ``.python_packages/lib/site-packages``. Azure
Functions does the same in a remote build; this one has the wheels of the machine it runs on.

Needs git, and pip in the interpreter the package is for.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).resolve().parent.parent

PACKAGES: Final = ".python_packages/lib/site-packages"
"""Where the Python worker looks for what an app needs, below the app's folder."""

_PACKAGES_ROOT: Final = PACKAGES.partition("/")[0] + "/"
_SAME_DATE: Final = (1980, 1, 1, 0, 0, 0)
_VERSION: Final = "import sys; print('%d.%d' % sys.version_info[:2])"
_IMPORT: Final = """
import sys, time
sys.path[:0] = sys.argv[1:]
began = time.perf_counter()
import function_app
print(time.perf_counter() - began)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a package is; the platform mounts it, and every cold start reads of it.

    Attributes:
        files: How many files it has.
        bytes_unpacked: Of all files.
        bytes_zipped: Of the package itself.
    """

    files: int
    bytes_unpacked: int
    bytes_zipped: int

    def __str__(self) -> str:
        """Return one phrase for people."""
        unpacked, zipped = self.bytes_unpacked / 1e6, self.bytes_zipped / 1e6
        return f"{self.files} files, {unpacked:.1f} MB, {zipped:.1f} MB zipped"


def app_files(project: Path) -> list[str]:
    """Return the files of a project that are deployed: paths below it, sorted.

    git itself applies the rules of ``.funcignore``; ``.gitignore`` plays no part, as on the
    platform.

    Raises:
        RuntimeError: git failed.
    """
    with tempfile.TemporaryDirectory() as empty:
        repository = ("git", f"--git-dir={empty}/git", f"--work-tree={project}")
        _run("git", "init", "--quiet", "--bare", f"{empty}/git")
        rules = f"--exclude-from={project / '.funcignore'}"
        listed = _run(*repository, "ls-files", "--others", "-z", rules, cwd=project)
    # What an earlier build has installed is installed anew.
    names = (name for name in listed.split("\0") if name)
    return sorted(name for name in names if not name.startswith(_PACKAGES_ROOT))


def installed_packages(python: Path, *, project: Path = ROOT, cache: Path | None = None) -> Path:
    """Return a folder with what ``requirements.txt`` names; install it where it is not there yet.

    Args:
        python: The interpreter the packages are for.
        project: The folder with ``requirements.txt``.
        cache: Where folders are kept, by Python version and content; None: ``.venv``.

    Raises:
        RuntimeError: pip failed.
    """
    requirements = project / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:12]
    kept = cache or project / ".venv"
    folder = kept / f"package-{_run(str(python), '-c', _VERSION).strip()}-{digest}"
    kept.mkdir(exist_ok=True)
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            half_made = folder.with_name(f"{folder.name}.new")
            shutil.rmtree(half_made, ignore_errors=True)
            pip = (str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
            # Bytecode would not outlive the zip: it is tied to the times of its sources.
            _run(*pip, "--no-compile", f"--target={half_made}", f"--requirement={requirements}")
            half_made.rename(folder)
    return folder


def build(package: Path, *, packages: Path, project: Path = ROOT) -> Size:
    """Write a package; the same files make the same package.

    Args:
        package: The zip file to write.
        packages: The folder with what the app needs.
        project: The project's folder.
    """
    contents = {name: project / name for name in app_files(project)}
    contents |= {
        f"{PACKAGES}/{path.relative_to(packages).as_posix()}": path
        for path in sorted(packages.rglob("*"))
        if path.is_file()
    }
    package.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in contents.items():
            entry = zipfile.ZipInfo(name, _SAME_DATE)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return Size(
        files=len(contents),
        bytes_unpacked=sum(path.stat().st_size for path in contents.values()),
        bytes_zipped=package.stat().st_size,
    )


def isolated(python: Path) -> tuple[str, ...]:
    """Return the command of an interpreter that sees no packages and no environment of its own."""
    return (str(python), "-I", "-S")


def import_seconds(python: Path, folder: Path, *, runs: int = 3) -> tuple[float, float]:
    """Measure how long an unpacked package takes to import ``function_app``.

    Args:
        python: The interpreter.
        folder: Where it is unpacked; bytecode is written beside its sources.
        runs: The quickest of so many counts; the others were disturbed.

    Returns:
        Without any bytecode, as at the first start of a package; and with it.

    Raises:
        RuntimeError: It cannot be imported.
    """
    command = (*isolated(python), "-c", _IMPORT, str(folder), str(folder / PACKAGES))
    cold = [float(_run(command[0], "-B", *command[1:])) for _ in range(runs)]
    _run(*command)
    warm = [float(_run(*command)) for _ in range(runs)]
    return min(cold), min(warm)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process in at a time."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)  # noqa: S603  # our own commands
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:4])} failed: {done.stderr.strip()}")
    return done.stdout


def main() -> None:
    """Build the package, and tell its size and how long it takes to import."""
    parser = argparse.ArgumentParser(description="Build the deployment package.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist" / "invoke-rest-api.zip")
    options = parser.parse_args()
    python = Path(sys.executable)
    size = build(options.output, packages=installed_packages(python))
    print(f"{options.output}: {size}")
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(options.output) as archive:
            archive.extractall(folder)
        cold, warm = import_seconds(python, Path(folder))
    print(f"import of function_app: {cold * 1e3:.0f} ms, with bytecode {warm * 1e3:.0f} ms")


if __name__ == "__main__":
    main()
