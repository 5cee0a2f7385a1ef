"""The embedded PostgreSQL and Valkey on this very machine: started, kept, killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from config import embedded
from config.data_folder import DataFolder, claim
from config.processes import CannotStart, started_at, wait_until, working_in

pytestmark = pytest.mark.xdist_group("servers")

# Starts both servers in the folder named, says so, and waits to be killed.
HOLDER = """
import pathlib, sys, time
from config import embedded
from config.data_folder import claim
stores = embedded.start(claim(pathlib.Path(sys.argv[1])), environment={}, say=lambda sentence: None)
print(*(server.process.pid for server in stores.servers), stores.database_url, flush=True)
time.sleep(600)
"""

EXPECTED = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "jit": "off",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "server_encoding": "UTF8",
    "lc_messages": "C.UTF-8",
    "TimeZone": "UTC",
    "max_connections": "100",
}


@pytest.fixture
def place() -> Iterator[Path]:
    """A data folder's place that an unprivileged server can reach: pytest's own folders are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="pushcart-embedded-"))
    folder.chmod(0o711)
    yield folder / "data"
    shutil.rmtree(folder)


@contextmanager
def started(place: Path, said: list[str] | None = None) -> Iterator[embedded.Stores]:
    folder = claim(place)
    stores = embedded.start(folder, environment={}, say=(said if said is not None else []).append)
    try:
        yield stores
    finally:
        stores.stop()
        folder.release()


@contextmanager
def held_by_another(place: Path) -> Iterator[tuple[subprocess.Popen[str], list[int], str]]:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(place)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        *pids, url = holder.stdout.readline().split()
        yield holder, [int(pid) for pid in pids], url
    finally:
        holder.kill()
        holder.wait()
        assert wait_until(lambda: not working_in(place / "servers" / "postgres"), limit_s=20)


def write(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS apple (price bigint)")
        connection.execute("INSERT INTO apple VALUES (200)")


def prices(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        return [row[0] for row in connection.execute("SELECT price FROM apple")]


def test_both_servers_answer_and_durability_is_on(place: Path) -> None:
    with started(place) as stores:
        with psycopg.connect(stores.database_url) as connection:
            rows = connection.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(EXPECTED)])
            assert dict(rows.fetchall()) == EXPECTED
        with redis.Redis.from_url(stores.redis_url) as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("bind") == {"bind": "127.0.0.1"}


def test_servers_of_root_run_as_an_unprivileged_user_and_ours_as_ourselves(place: Path) -> None:
    with started(place) as stores:
        owners = {Path(f"/proc/{server.process.pid}").stat().st_uid for server in stores.servers if server.process}
        assert owners == {place.joinpath("servers").stat().st_uid}
        assert (0 in owners) is False
        if os.geteuid() != 0:
            assert owners == {os.geteuid()}


def test_nobody_else_can_read_the_password_or_the_data(place: Path) -> None:
    with started(place):
        modes = {
            name: stat.S_IMODE((place / name).stat().st_mode)
            for name in ("postgres.password", "servers", "servers/postgres", "servers/valkey/valkey.conf")
        }
    assert modes == {
        "postgres.password": 0o600,
        "servers": 0o700,
        "servers/postgres": 0o700,
        "servers/valkey/valkey.conf": 0o600,
    }


def test_without_the_password_nobody_is_let_in(place: Path) -> None:
    with started(place) as stores:
        database, broker = urlsplit(stores.database_url), urlsplit(stores.redis_url)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(f"postgresql://pushcart:wrong@127.0.0.1:{database.port}/pushcart")
        with redis.Redis(host="127.0.0.1", port=broker.port or 0) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()


def test_data_is_kept_over_a_restart(place: Path) -> None:
    with started(place) as stores:
        write(stores.database_url)
    with started(place) as again:
        assert prices(again.database_url) == [200]


def test_a_server_that_was_killed_starts_again_on_the_same_address_with_its_data(place: Path) -> None:
    with started(place) as stores:
        write(stores.database_url)
        valkey, postgres = stores.servers
        for server in (postgres, valkey):
            assert server.process is not None
            server.process.kill()
            server.process.wait()
            server.start()
        assert prices(stores.database_url) == [200]
        with redis.Redis.from_url(stores.redis_url) as client:
            assert client.ping() is True


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_finds_what_was_committed(place: Path) -> None:
    with held_by_another(place) as (holder, pids, url):
        write(url)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        with started(place) as stores:  # At once: the killed one's servers may be still ending.
            assert prices(stores.database_url) == [200]
        assert wait_until(lambda: not any(map(started_at, pids)), limit_s=5)


def test_a_session_in_a_long_statement_does_not_hold_up_the_next_start(place: Path) -> None:
    with held_by_another(place) as (holder, pids, url):
        write(url)
        busy = psycopg.connect(url, autocommit=True)
        busy.pgconn.send_query(b"SELECT sum(n) FROM generate_series(1, 100000000000) n")
        os.kill(pids[1], signal.SIGKILL)  # The server itself: its sessions learn of it only when they look.
        holder.kill()
        holder.wait()
        with started(place) as stores:
            assert prices(stores.database_url) == [200]
        busy.close()


def test_a_stale_process_number_that_now_belongs_to_another_program_is_not_believed(place: Path) -> None:
    with started(place) as stores:
        write(stores.database_url)
    with subprocess.Popen(["sleep", "60"]) as innocent:
        try:
            place.joinpath("servers/postgres/postmaster.pid").write_text(f"{innocent.pid}\n{place}\n")
            with started(place) as stores:
                assert prices(stores.database_url) == [200]
            assert innocent.poll() is None
        finally:
            innocent.kill()


def test_a_start_that_was_interrupted_while_it_made_the_cluster_is_begun_anew(place: Path) -> None:
    with started(place):
        pass
    place.joinpath("servers/postgres").rename(place / "servers/postgres.new")
    with started(place) as stores:
        write(stores.database_url)
        assert prices(stores.database_url) == [200]
    assert not place.joinpath("servers/postgres.new").exists()


def test_a_data_folder_serves_one_product_at_a_time(place: Path) -> None:
    with started(place) as stores, pytest.raises(CannotStart, match="in use by another running product"):
        write(stores.database_url)
        claim(place)


def test_addresses_in_the_environment_are_used_and_nothing_is_started(place: Path) -> None:
    folder: DataFolder = claim(place)
    given = {"DATABASE_URL": "postgresql://elsewhere/db", "REDIS_URL": "redis://elsewhere"}
    stores = embedded.start(folder, environment=given)
    assert (stores.database_url, stores.redis_url) == ("postgresql://elsewhere/db", "redis://elsewhere")
    assert (stores.servers, stores.home) == ((), None)
    assert sorted(path.name for path in place.iterdir()) == ["lock"]
    folder.release()


def test_data_written_by_another_version_is_refused_in_a_sentence(place: Path) -> None:
    with started(place):
        pass
    place.joinpath("servers/postgres/PG_VERSION").write_text("9\n")
    with pytest.raises(CannotStart, match="was written by PostgreSQL 9, but the program is postgres"), started(place):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has servers that run as somebody else")
def test_root_whose_data_folder_is_closed_to_others_keeps_the_database_elsewhere_and_says_so(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    said: list[str] = []
    with started(closed / "data", said) as stores:
        home = stores.home
        write(stores.database_url)
    assert home is not None
    sentences = len(said)
    try:
        assert home.is_relative_to("/var/lib/pushcart")
        assert said[0] == (
            f"The user nobody, who runs the database, cannot reach {closed / 'data'}: it is kept in {home}."
        )
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        with started(closed / "data", said) as again:
            assert (again.home, prices(again.database_url), len(said)) == (home, [200], sentences)
    finally:
        subprocess.run(["rm", "-r", str(home)], check=True)
