"""The key beside the embedded store."""

from __future__ import annotations

import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from invoke_core.adapters.key_file import kept_key
from invoke_core.adapters.sealing import StateSeal
from invoke_core.errors import Fault, SettingsError
from invoke_core.state_keys import read_state_key, state_key_bytes
from tests.process.conftest import ROOT, run

if TYPE_CHECKING:
    from pathlib import Path

KEY = "q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k="
PLAN = "0f1c8a52-6a3c-4d0a-8a8e-2f1f6f0c5a11"

RACER = """
import sys
from pathlib import Path
from invoke_core.adapters.key_file import kept_key

print("ready", flush=True)
sys.stdin.readline()
print(kept_key(Path(sys.argv[1])).reveal())
"""


def fault_of(path: Path) -> str:
    """Return what is wrong with a key file, which must not be taken."""
    with pytest.raises(SettingsError) as caught:
        kept_key(path)

    [fault] = caught.value.faults
    assert fault == Fault("STATE_KEY", fault.detail)
    assert str(path) in fault.detail
    return fault.detail


def test_the_key_is_made_once_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / ".data" / "invoke.db.key"

    made = kept_key(path)

    assert kept_key(path) == made
    assert len(state_key_bytes(made)) == 32
    assert path.read_text() == made.reveal() + "\n"
    assert list(path.parent.iterdir()) == [path]
    sealed = StateSeal([made]).seal(b"secret", plan_id=PLAN)
    assert StateSeal([kept_key(path)]).unseal(sealed, plan_id=PLAN) == b"secret"


def test_two_stores_have_two_keys(tmp_path: Path) -> None:
    assert kept_key(tmp_path / "a.db.key") != kept_key(tmp_path / "b.db.key")


def test_only_its_owner_may_read_the_file_whatever_the_umask(tmp_path: Path) -> None:
    program = f"import os; os.umask(0)\n{RACER}"
    path = tmp_path / "invoke.db.key"

    subprocess.run(  # noqa: S603  # our own program
        [sys.executable, "-c", program, str(path)], cwd=ROOT, input="\n", text=True, check=True
    )

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_processes_that_start_together_get_one_key(tmp_path: Path) -> None:
    for round_number in range(3):
        path = tmp_path / str(round_number) / "invoke.db.key"
        racers = [
            subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-c", RACER, str(path)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(8)
        ]
        for racer in racers:
            assert racer.stdout is not None
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("\n")
            racer.stdin.flush()
        keys = {racer.communicate(timeout=30)[0].strip() for racer in racers}

        assert [racer.returncode for racer in racers] == [0] * 8
        assert keys == {kept_key(path).reveal()}
        assert list(path.parent.iterdir()) == [path]


def test_a_key_that_was_put_there_by_hand_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "invoke.db.key"
    path.write_bytes(f"{KEY}\r\n".encode())

    assert kept_key(path) == read_state_key(KEY)
    assert path.read_bytes() == f"{KEY}\r\n".encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        KEY[:20].encode(),
        f"{KEY}\n{KEY}\n".encode(),
        b"\xff\xfe" + KEY.encode("utf-16-le"),
        b"\0" * 45,
        KEY.encode() + b" " * 2000 + b"x",
    ],
)
def test_a_damaged_file_is_a_fault_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "invoke.db.key"
    path.write_bytes(content)

    assert fault_of(path) == (
        f"The key file {path} is damaged; it takes 32 random bytes in Base64, as "
        "'openssl rand -base64 32' makes them. Put back a copy of it; or remove it, and a new "
        "key is made, which opens no step that waits now."
    )
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "invoke.db.key"
    path.mkdir()

    assert fault_of(path) == (
        f"The key file {path} cannot be read (IsADirectoryError). "
        "Let the service read it, or set STATE_KEY."
    )


def test_a_link_that_leads_nowhere_is_a_fault_and_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "invoke.db.key"
    path.symlink_to(tmp_path / "gone")

    fault_of(path)

    assert path.is_symlink()
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "gone" / "deeper")
    path = tmp_path / "a" / "invoke.db.key"

    assert fault_of(path) == (
        f"The key file {path} cannot be made (FileExistsError). "
        "Let the service write to that folder, or set STATE_KEY."
    )


def test_a_fault_shows_nothing_of_what_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "invoke.db.key"
    path.write_text(KEY[:-2])

    assert KEY[:8] not in fault_of(path)


def test_checking_the_settings_makes_no_key(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'invoke.db'}"

    ended = run("invoke_core", "check", settings={"InvokeStorage": store, "STATE_KEY": ""})

    assert ended.returncode == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [".gitignore", ".funcignore"])
def test_neither_store_nor_key_is_committed_or_deployed(name: str) -> None:
    patterns = (ROOT / name).read_text(encoding="utf-8").splitlines()

    assert {".data/", "*.db", "*.db-*", "*.db.key*"} <= set(patterns)
