"""The key beside the embedded store, made once, where no setting has one."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from invoke_core.errors import Fault, SettingsError
from invoke_core.state_keys import HOW_TO_MAKE, KEY_BYTES, read_state_key, state_key_of

if TYPE_CHECKING:
    from invoke_core.model import Secret

_SETTING: Final = "STATE_KEY"


def kept_key(path: Path) -> Secret:
    """Return the key in a file, which is made with a new one where there is no such file.

    Processes that start at the same time get the same key. The file is readable by its owner
    only, and on the disk before the key is returned. What is there is never replaced: what was
    sealed with its key would be lost.

    Args:
        path: The file; its folder is made as well.

    Raises:
        SettingsError: The file cannot be read, holds no key, or cannot be made.
    """
    try:
        found = _read(path)
    except OSError as error:
        raise _fault(
            f"The key file {path} cannot be read ({type(error).__name__}). "
            "Let the service read it, or set STATE_KEY."
        ) from None
    if found is None:
        try:
            _make(path)
            found = _read(path)
        except OSError as error:
            raise _fault(
                f"The key file {path} cannot be made ({type(error).__name__}). "
                "Let the service write to that folder, or set STATE_KEY."
            ) from None
    key = read_state_key((found or b"").decode("ascii", "replace"))
    if key is None:
        raise _fault(
            f"The key file {path} is damaged; it takes {HOW_TO_MAKE}. Put back a copy of it; or "
            "remove it, and a new key is made, which opens no step that waits now."
        )
    return key


def _read(path: Path) -> bytes | None:
    """Return what is in the file, or None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _make(path: Path) -> None:
    """Make the file with a new key, unless another process does so first.

    It is written under another name and gets its own when it is whole, so nobody reads half of
    it. A link, unlike a new name, replaces nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name ends as that of the key, so that whatever leaves out the one leaves out the other.
    opened, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".key", dir=path.parent)
    try:
        with os.fdopen(opened, "w", encoding="ascii") as file:
            file.write(state_key_of(os.urandom(KEY_BYTES)).reveal() + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk, where the system knows how to."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _fault(detail: str) -> SettingsError:
    return SettingsError([Fault(_SETTING, detail)])
