"""A streaming replica of a PostgreSQL that runs on this machine, for benches and tests: made, promoted, killed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from config.embedded import POSTGRES, POSTGRES_STOP, Server
from config.processes import Account, command_of, wait_until, working_in
from config.programs import give, run_as

CATCH_UP_LIMIT_S = 60.0


def running_at(url: str) -> Server:
    """The server on this machine that answers at this address, whoever started it; it is not ours to stop."""
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT current_setting('data_directory')").fetchone()
    folder = Path(row[0] if row else "")
    owner = pwd.getpwuid(folder.stat().st_uid)
    pid = int((folder / "postmaster.pid").read_text().partition("\n")[0])
    return Server(
        name=POSTGRES,
        url=url,
        command=command_of(pid).split(),
        folder=folder,
        log=folder.with_name(f"{folder.name}.log"),
        account=None if owner.pw_uid == os.geteuid() else Account(owner.pw_name, owner.pw_uid, owner.pw_gid),
        death_signal=signal.SIGINT,
        stop_steps=POSTGRES_STOP,
        answers=partial(_answers, url),
    )


def follow(primary: Server, *, name: str) -> Server:
    """Makes a replica of `primary` in a folder beside its own, and starts it; `name` is what the primary calls it."""
    replica = _beside(primary, primary.folder.with_name(name))
    _begin(replica, primary, name)
    return replica


def rejoin(gone: Server, primary: Server, *, name: str) -> None:
    """Makes a replica of what was the primary, in its old place: what it wrote last may be nobody's, so from anew."""
    shutil.rmtree(gone.folder)
    _begin(gone, primary, name)


def _begin(replica: Server, primary: Server, name: str) -> None:
    replica.folder.mkdir(mode=0o700)
    give(replica.folder, primary.account)
    made = run_as(
        [
            _programs(primary) / "pg_basebackup",
            f"--dbname={primary.url}?application_name={name}",
            f"--pgdata={replica.folder}",
            "--checkpoint=fast",
            "--wal-method=stream",
            "--no-sync",  # A folder for some minutes; the server itself syncs as it always does.
            "--write-recovery-conf",
        ],
        primary.account,
    )
    if made.returncode:
        raise RuntimeError(f"no replica: {made.stdout}{made.stderr}")
    replica.start()
    with psycopg.connect(primary.url, autocommit=True) as connection:
        streams = "SELECT count(*) FROM pg_stat_replication WHERE application_name = %s AND state = 'streaming'"
        if not wait_until(lambda: connection.execute(streams, [name]).fetchone() == (1,), limit_s=CATCH_UP_LIMIT_S):
            raise RuntimeError(f"{name} does not follow; see {replica.log}")


def commits_wait_for(primary: Server, name: str) -> None:
    """From now on a commit is only told to whoever made it when that replica has it on its disk.

    Set when the replica has been made: one that was copied with this setting would wait for itself once promoted.
    """
    with psycopg.connect(primary.url, autocommit=True) as connection:
        connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        connection.execute("SELECT pg_reload_conf()")
        waits = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        if not wait_until(lambda: connection.execute(waits).fetchone() == (1,), limit_s=CATCH_UP_LIMIT_S):
            raise RuntimeError("no commit waits for the replica")


def kill(server: Server) -> float:
    """As a machine that is gone: the server and every session of it at once, without a word; answers when it was.

    The moment is of time.perf_counter: looking for the sessions takes longer than killing them.
    """
    assert server.process is not None
    sessions = working_in(server.folder)
    killed_at = time.perf_counter()
    server.process.send_signal(signal.SIGKILL)
    for pid in sessions:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # It noticed the death of its server by itself.
    server.process.wait()
    return killed_at


def promote(replica: Server) -> None:
    """Makes the replica a primary, as `pg_ctl promote` does; it writes when this returns."""
    made = run_as([_programs(replica) / "pg_ctl", "promote", "-w", "-D", replica.folder], replica.account)
    if made.returncode:
        raise RuntimeError(f"not promoted: {made.stdout}{made.stderr}")


def many_hosts(*servers: Server) -> str:
    """One address for all of them, of which libpq takes the one that writes."""
    parts = [urlsplit(server.url) for server in servers]
    user, _, _ = parts[0].netloc.rpartition("@")
    hosts = ",".join(part.netloc.rpartition("@")[2] for part in parts)
    return parts[0]._replace(netloc=f"{user}@{hosts}").geturl()


def _programs(server: Server) -> Path:
    return Path(server.command[0]).parent


def _beside(primary: Server, data: Path) -> Server:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    parts = urlsplit(primary.url)
    url = parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}").geturl()
    command = list(primary.command)
    command[command.index("-D") + 1] = str(data)
    command[command.index("-p") + 1] = str(port)
    log = primary.log.with_name(f"{data.name}.log")
    return replace(
        primary,
        url=url,
        command=command,
        folder=data,
        log=log,
        answers=partial(_answers, url),
        prepare=lambda: None,
        process=None,
    )


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
