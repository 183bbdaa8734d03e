"""The package as ``make package`` builds it, for each Python it has to run on."""

from __future__ import annotations

import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.platform_runtime.environment import find_python
from tools.package import Size, build, installed_packages

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSIONS = ("3.11", "3.13")
_FOUND = [found for version in _VERSIONS if (found := find_python(version)) is not None]


def pythons() -> Sequence[tuple[Path, str]]:
    """Return the interpreters on this machine the package has to run on; at least this one."""
    this = "{}.{}".format(*sys.version_info)
    return _FOUND or [(Path(sys.executable), this)]


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """A package, unpacked where nothing else of the project is."""

    python: Path
    version: str
    folder: Path
    size: Size


@pytest.fixture(scope="session", params=pythons(), ids=[version for _, version in pythons()])
def unpacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    python, version = request.param
    folder = tmp_path_factory.mktemp("package")
    size = build(folder / "package.zip", packages=installed_packages(python))
    with zipfile.ZipFile(folder / "package.zip") as archive:
        archive.extractall(folder / "wwwroot")
    return Unpacked(python=python, version=version, folder=folder / "wwwroot", size=size)
