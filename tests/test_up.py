"""The whole product under its supervisor, on this machine: started, looked at, wounded, killed and stopped."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psycopg
import pytest
import requests

from config.embedded import end_of
from config.processes import command_of, started_at, wait_until, working_in
from config.product import PORTS

BASE_DIR = Path(__file__).resolve().parent.parent
READY_S = 90.0

pytestmark = [
    pytest.mark.xdist_group("servers"),
    pytest.mark.skipif(not Path("/proc").exists(), reason="processes are counted in /proc"),
]


class Product:
    """A product started as a person starts it, on ports and a data folder of its own."""

    def __init__(self, place: Path, port: int | None = None) -> None:
        self.place = place
        self.port = port or free_ports()
        self.terminal = place.with_name(f"{place.name}.{self.port}.terminal")
        passed_on = ("PATH", "HOME", "LANG", "VIRTUAL_ENV", "TMPDIR", "PYTHONPYCACHEPREFIX")
        self.environment = {name: os.environ[name] for name in passed_on if name in os.environ}
        self.environment.update(PORT=str(self.port), DATA_DIR=str(place))
        with self.terminal.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.up"],
                cwd=BASE_DIR,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def says(self, words: str, *, within_s: float = READY_S) -> bool:
        """Whether these words appear at the terminal in time (or the product ends before)."""
        wait_until(lambda: words in self.said or self.process.poll() is not None, limit_s=within_s)
        return words in self.said

    @property
    def said(self) -> str:
        return self.terminal.read_text()

    @property
    def variables(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.place / "environment.json").read_text())
        return found

    def get(self, path: str, name: str = "web") -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port + PORTS[name]}{path}", timeout=10)

    def manage(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *words]
        return subprocess.run(
            command, cwd=BASE_DIR, env=self.environment, capture_output=True, text=True, check=False, timeout=60
        )

    def child(self, word: str) -> int:
        """The process of ours, started by the supervisor itself, whose command line has this word."""
        for pid in processes_of(self.place):
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                words = Path(f"/proc/{pid}/cmdline").read_text()
            except OSError:
                continue  # It ended meanwhile.
            if int(state[1]) == self.process.pid and word in words:
                return pid
        raise AssertionError(f"no child runs {word}")

    def end(self) -> None:
        """Whatever a test did, nothing of this product is left."""
        self.process.kill()
        self.process.wait()
        for pid in processes_of(self.place):
            with suppress(ProcessLookupError):  # It ended meanwhile.
                os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: processes_of(self.place) == [], limit_s=20), left_by(self)


def processes_of(place: Path) -> list[int]:
    """Every process of the product in `place`: ours are known by their variables, the servers by their folder."""
    found = working_in(place / "servers" / "postgres") + working_in(place / "servers" / "valkey")
    for entry in Path("/proc").glob("[0-9]*/environ"):
        pid = int(entry.parent.name)
        try:
            if f"DATA_DIR={place}".encode() in entry.read_bytes().split(b"\0") and started_at(pid):
                found.append(pid)
        except OSError:
            continue  # It ended meanwhile, or it is another user's.
    return found


def free_ports() -> int:
    """A port that is free with those that follow it; below those the kernel gives to clients."""
    while True:
        port = random.randrange(12_000, 30_000)
        with ExitStack() as probes:
            try:
                for offset in PORTS.values():
                    probes.enter_context(socket.socket()).bind(("127.0.0.1", port + offset))
            except OSError:
                continue
            return port


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="pushcart-up-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def product(folder: Path) -> Iterator[Product]:
    running = Product(folder / "data")
    try:
        assert running.says("Pushcart is ready"), running.said
        yield running
    finally:
        running.end()


def test_every_process_answers_and_the_terminal_says_where(product: Product) -> None:
    assert product.get("/healthz/ready").status_code == 200
    assert product.get("/app/").status_code == 200
    assert product.get("/", "pretend wallet").status_code == 200
    assert product.get("/healthz/live", "internal figures").status_code == 200
    assert product.get("/metrics", "internal figures").status_code == 200
    internal = f"127.0.0.1:{product.port + PORTS['internal figures']}"
    for public in ("/metrics", f"http://{internal}/metrics"):
        assert asked_raw(product.port, public, host=internal).startswith(b"HTTP/1.1 404 ")
    assert product.get("/api/v1/notices/stream", "event stream").status_code == 401
    for line in (
        f"http://127.0.0.1:{product.port}/app/",
        f"http://127.0.0.1:{product.port}/api/docs/",
        f"http://127.0.0.1:{product.port}/dev/outbox",
        "The pretend wallet is on: no real money moves.",
        f"`make demo PORT={product.port}` in another terminal",
    ):
        assert line in product.said


def test_a_sign_in_code_is_printed_at_the_terminal(product: Product) -> None:
    asked = requests.post(
        f"http://127.0.0.1:{product.port}/api/v1/auth/code", json={"phone": "+8613800138000"}, timeout=10
    )
    assert asked.status_code == 202
    assert product.says("SMS +8613800138000", within_s=20)


def test_secrets_are_readable_by_their_owner_only(product: Product) -> None:
    names = ("secret.key", "credential.keys", "sandbox.key", "vapid.key", "postgres.password", "environment.json")
    assert {name: stat.S_IMODE((product.place / name).stat().st_mode) for name in names} == dict.fromkeys(names, 0o600)


def test_a_command_in_another_shell_joins_the_running_product(product: Product) -> None:
    books = product.manage("check_books")
    assert (books.returncode, books.stderr) == (0, "")


def test_without_a_running_product_a_command_says_so_in_one_sentence(folder: Path) -> None:
    command = [sys.executable, "manage.py", "check_books"]
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(folder / "nothing")}
    answer = subprocess.run(command, cwd=BASE_DIR, env=environment, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (
        1,
        f"No product runs with its data in {folder / 'nothing'}. Start it with `make up`, or set DATABASE_URL.\n",
    )


def test_a_port_in_use_is_named_before_anything_starts(product: Product, folder: Path) -> None:
    refused = Product(folder / "refused", product.port - 1)
    assert refused.process.wait(20) == 1
    assert f"Port {product.port} (for the event stream) cannot be used (Address already in use)" in refused.said
    assert sorted(path.name for path in refused.place.iterdir()) == ["lock"]


def test_a_data_folder_in_use_is_refused(product: Product) -> None:
    refused = Product(product.place)
    assert refused.process.wait(20) == 1
    assert f"The data folder {product.place} is in use by another running product" in refused.said
    assert product.get("/healthz/ready").status_code == 200


@pytest.mark.parametrize("word", ["uvicorn", "valkey-server"])
def test_a_child_that_dies_is_started_again(product: Product, word: str) -> None:
    before = product.child(word)
    os.kill(before, signal.SIGKILL)
    name = {"uvicorn": "stream", "valkey-server": "Valkey"}[word]
    assert product.says(f"{name} ended (by SIGKILL): it is started again in 0.5 s.", within_s=10)
    assert wait_until(lambda: any(word in line for line in commands_of(product)), limit_s=10)
    assert product.child(word) != before


def test_killed_it_leaves_nothing_and_the_next_start_goes_on_beside_another_product(
    product: Product, folder: Path
) -> None:
    with psycopg.connect(product.variables["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE kept (price bigint)")
        connection.execute("INSERT INTO kept VALUES (200)")
    secret = product.variables["SECRET_KEY"]
    product.process.kill()
    product.process.wait()
    joined = product.manage("check_books")
    assert (joined.returncode, "was killed and runs no more" in joined.stderr) == (1, True)

    # At once, while the killed one's processes may be still ending; and another one beside it.
    again, other = Product(product.place, product.port), Product(folder / "other")
    try:
        assert again.says("Pushcart is ready"), again.said
        assert other.says("Pushcart is ready"), other.said
        assert again.variables["SECRET_KEY"] == secret != other.variables["SECRET_KEY"]
        with psycopg.connect(again.variables["DATABASE_URL"]) as connection:
            assert connection.execute("SELECT price FROM kept").fetchall() == [(200,)]
        assert [one.get("/healthz/ready").status_code for one in (again, other)] == [200, 200]
        # A database ends when the disk has all that it wrote. What a first start wrote is brought there now: seconds
        # below are those of our processes, and not those of the machine's disk.
        with psycopg.connect(other.variables["DATABASE_URL"]) as connection:
            connection.execute("CHECKPOINT")

        other.process.kill()
        again.process.terminate()
        assert again.process.wait(40) == 0
        assert again.said.endswith("Stopping.\nStopped. The data is kept for the next start.\n")
        assert processes_of(again.place) == []
        assert not (again.place / "environment.json").exists()
        assert wait_until(lambda: processes_of(other.place) == [], limit_s=20), left_by(other)
    finally:
        again.end()
        other.end()


def asked_raw(port: int, target: str, *, host: str) -> bytes:
    """The first line of the answer to a request whose host may be a lie."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return connection.makefile("rb").readline()


def left_by(product: Product) -> str:
    """What runs still, and what each program said last."""
    logs = sorted((product.place / "logs").glob("*.log"))
    return "\n".join([*commands_of(product), *(f"--- {log.name}\n{end_of(log)}" for log in logs)])


def commands_of(product: Product) -> list[str]:
    """Of each that runs; an empty text for one that has ended meanwhile."""
    return [command_of(pid) for pid in processes_of(product.place)]
