"""The data folder of one running product: claimed by one process at a time, and the keeper of its secrets.

Everything a product on one machine keeps lies below it; deleting it makes a new product with new secrets.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from config.processes import CannotStart


class DataFolder:
    """A data folder that is ours until `release` (or until our process ends, however it ends)."""

    def __init__(self, path: Path, lock: TextIO) -> None:
        self.path = path
        self._lock = lock

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """The secret kept in the file `name`: made once, at the first call ever; its owner alone reads it."""
        file = self.path / name
        if not file.exists():
            self.write(name, make())
        return file.read_text().strip()

    def write(self, name: str, text: str) -> None:
        """Writes a file only its owner can read: whole or not at all, and on the disk when this returns."""
        draft = self.path / f".{name}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
            output.write(text)
            output.flush()
            os.fsync(output.fileno())
        draft.rename(self.path / name)

    def release(self) -> None:
        """Gives the claim back."""
        self._lock.close()


def claim(path: Path) -> DataFolder:
    """Makes the folder when it is not there and claims it for this process.

    Raises CannotStart when another process holds it, or when it is not ours to write.
    """
    path = path.absolute()
    try:
        # Others may pass through (an unprivileged server must reach its own folder) but not look around.
        path.mkdir(mode=0o711, parents=True, exist_ok=True)
        lock = (path / "lock").open("a+")
    except OSError as error:
        raise CannotStart(
            f"The data folder {path} cannot be used ({error.strerror}): start as the user who owns it, or set DATA_DIR."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise CannotStart(
            f"The data folder {path} is in use by another running product: stop that one first, "
            "or start this one with another PORT or DATA_DIR."
        ) from error
    return DataFolder(path, lock)
