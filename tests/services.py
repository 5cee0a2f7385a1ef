"""Starts real PostgreSQL and Valkey for a test run, before Django reads its settings: a conftest is too late.

The process that controls the run starts them once; the workers of pytest-xdist inherit the addresses, and each
takes a Redis database of its own (gw0 → 1, gw1 → 2; the controller alone → 0). Channels of Redis' publish/subscribe
know no databases: a test that listens must use names of its own. `DATABASE_URL` / `REDIS_URL` set in the environment
are used instead. Everything is written below one temporary folder, which is deleted at the end.

`python -m tests.services COMMAND …` runs one command with the same environment.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from cryptography.fernet import Fernet

from config import embedded
from config.data_folder import DataFolder, claim
from config.processes import CannotStart

PREFIX = "pushcart-tests-"
_started: list[tuple[DataFolder, embedded.Stores]] = []


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, Any, Any]:
    """Runs before pytest-django's hook of the same name, which is the first to read the settings."""
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        number = int(worker.removeprefix("gw")) + 1
        os.environ["REDIS_URL"] = urlunsplit(urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{number}"))
    elif not (early_config.known_args_namespace.help or early_config.known_args_namespace.version):
        _start()
    return (yield)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps the tests of an `xdist_group` on one worker.

    xdist 3.8 hands the group to its scheduler by writing it into an attribute that pytest 9.2 reads no more, and
    nothing says so (https://github.com/pytest-dev/pytest-xdist/issues/1386): the item's id is given it here.
    """
    for item in items:
        with_group = getattr(item, "_nodeid", item.nodeid)
        if with_group != item.nodeid:
            item._id = type(item.id).parse(with_group)


def pytest_unconfigure() -> None:
    """Stops what this process started and deletes what it wrote."""
    while _started:
        folder, stores = _started.pop()
        stores.stop()
        _delete(folder, stores.home)


def _start() -> None:
    _delete_what_killed_runs_left()
    path = Path(tempfile.mkdtemp(prefix=PREFIX))
    path.chmod(0o711)  # An unprivileged server passes through to its own folder.
    folder = claim(path)
    try:
        stores = embedded.start(folder)
    except CannotStart as error:
        _delete(folder, None)
        pytest.exit(str(error), returncode=pytest.ExitCode.INTERNAL_ERROR)
    _started.append((folder, stores))
    (path / "static").mkdir()  # Where collected files would lie; WhiteNoise says so when it is missing.
    os.environ.update(
        DATABASE_URL=stores.database_url,
        REDIS_URL=stores.redis_url,
        DATA_DIR=str(path),
        MEDIA_ROOT=str(path / "media"),
        STATIC_ROOT=str(path / "static"),
        SECRET_KEY=secrets.token_urlsafe(48),
        CREDENTIAL_KEYS=Fernet.generate_key().decode(),
        VAPID_PRIVATE_KEY=base64.urlsafe_b64encode(b"\1" * 32).decode(),
        DEBUG="1",
        DEV_OUTBOX="1",
        SMS_BACKEND="console",
        PORT="8000",
        INTERNAL_PORT="8003",
        PUBLIC_URL="http://127.0.0.1:8000",
        STREAM_URL="http://127.0.0.1:8001",
        SANDBOX_URL="http://127.0.0.1:8002",
        SANDBOX_CONTROL_KEY=secrets.token_urlsafe(24),
        ALLOWED_HOSTS="127.0.0.1,localhost,testserver",
        TRUSTED_PROXIES="",
    )
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


def _delete(folder: DataFolder, home: Path | None) -> None:
    for place in {folder.path, home or folder.path}:
        shutil.rmtree(place, ignore_errors=True)
    folder.release()


def _delete_what_killed_runs_left() -> None:
    """A run that was killed could not tidy up. What can be claimed belongs to nobody who lives."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if path.is_symlink() or path.stat().st_uid != os.geteuid():
                continue  # Somebody else's, and not to be believed.
            folder = claim(path)
        except (CannotStart, FileNotFoundError):  # Another run, begun in this moment, may have deleted it already.
            continue
        note = path / "servers.home"
        _delete(folder, Path(note.read_text().strip()) if note.exists() else None)


if __name__ == "__main__":
    try:
        _start()
        sys.exit(subprocess.run(sys.argv[1:], check=False).returncode)
    finally:
        pytest_unconfigure()
