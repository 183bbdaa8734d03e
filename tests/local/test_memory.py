"""From how many arenas of the C library the server's threads take memory."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from invoke_core.local.memory import chosen
from tests.process.conftest import running

_ARENA_BYTES = 64 * 1024 * 1024
"""What the GNU C library reserves for an arena that is not the first, at a multiple of it."""

_OURS = "glibc.malloc.arena_max=1:glibc.malloc.tcache_count=0"
_THEIRS = "glibc.malloc.arena_max=8"


def _further_arenas(process: int) -> int:
    maps = Path(f"/proc/{process}/maps").read_text()
    ranges = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ 0 *$", maps, re.MULTILINE)
    found = [(int(start, 16), int(end, 16), rights) for start, end, rights in ranges]
    reserved = {start: end for start, end, rights in found if rights == "---p"}
    return sum(
        start % _ARENA_BYTES == 0 and reserved.get(end) == start + _ARENA_BYTES
        for start, end, rights in found
        if rights == "rw-p"
    )


@pytest.mark.parametrize(
    ("given", "value", "has_one"),
    [
        (None, _OURS, True),
        ("glibc.rtld.nns=4", f"{_OURS}:glibc.rtld.nns=4", True),
        (_THEIRS, _THEIRS, False),
    ],
)
def test_a_server_has_one_arena_unless_somebody_chose(
    given: str | None, value: str, has_one: object, tmp_path: Path
) -> None:
    settings = {"InvokeStorage": f"sqlite:///{tmp_path}/invoke.db"}
    if given is not None:
        settings["GLIBC_TUNABLES"] = given
    serve = ("serve", "--port", "0")

    with running("invoke_core", serve, settings=settings, until="Listening on ") as (process, _):
        # The C library puts zeros between those it has read.
        environ = Path(f"/proc/{process.pid}/environ").read_text().replace("\0", ":")
        threads = list(Path(f"/proc/{process.pid}/task").iterdir())
        further = _further_arenas(process.pid)
        process.terminate()

    assert f":GLIBC_TUNABLES={value}:" in environ
    assert len(threads) > 2
    assert (further == 0) is has_one


@pytest.mark.parametrize("given", [{"GLIBC_TUNABLES": _OURS}, {"MALLOC_ARENA_MAX": "8"}])
def test_who_has_chosen_is_left_alone(given: dict[str, str]) -> None:
    assert chosen(given) is None


def test_a_program_that_came_by_standard_input_is_not_begun_again() -> None:
    code = """
import os, sys
sys.argv = ["x", "serve"]
os.execve = lambda *_: print("began again")
from invoke_core.local.memory import begin_again
begin_again()
print("went on")
"""
    said = {}
    for name, words, given in (("input", ["-"], code), ("words", ["-c", code], "")):
        told = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, *words], input=given, capture_output=True, text=True, check=True
        )
        said[name] = told.stdout.splitlines()

    assert said == {"input": ["went on"], "words": ["began again", "went on"]}
