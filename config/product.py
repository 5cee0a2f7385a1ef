"""What the product consists of on one machine: its variables and secrets, its ports, and its programs.

`config.up` starts and watches them; `compose.yaml` names the same programs for production.
"""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import redis
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec

from config import running
from config.data_folder import DataFolder
from config.processes import POLITE, CannotStart, Process, Step, end_group, spawn, stop

# How granian serves us; the Dockerfile says the same. One loop hears every connection, and one process is enough for
# two cores: what waits for a commit costs nothing meanwhile, and Django has threads of its own (merchants.in_threads).
WEB = (
    "config.web:application",
    "--factory",
    "--interface=asginl",  # ASGI without its lifespan.
    "--http=1",
    "--no-ws",
    "--loop=uvloop",
    "--backpressure=1024",  # Connections of one process, idle ones included; others wait to be heard.
    "--http1-buffer-size=65536",  # The head of a request is no longer than this.
    "--http1-header-read-timeout=10000",
    "--workers-kill-timeout=5",
    "--respawn-failed-workers",
    "--log-level=error",
)
# What listens where, counted from PORT.
PORTS = {"web": 0, "event stream": 1, "pretend wallet": 2, "internal figures": 3}


@dataclass
class Program:
    """One of the product's own processes."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    ready: Callable[[], bool]
    stop_steps: tuple[Step, ...] = POLITE
    process: Process | None = None

    def start(self) -> None:
        """Starts the process (again); `ready` tells when it serves."""
        if self.process is not None:
            end_group(self.process.pid)  # What a killed process left holds its port and its tasks.
        self.process = spawn(self.command, log=self.log, environment=self.environment, folder=running.BASE_DIR)

    def stop(self) -> None:
        """Stops the process in order, within the limits of its steps."""
        if self.process is not None:
            stop(self.process, self.stop_steps)


def programs(folder: DataFolder, variables: Mapping[str, str], environment: Mapping[str, str]) -> list[Program]:
    """The product's programs, in the order of their start; they run in `environment`."""
    port = int(variables["PORT"])
    stream, wallet = port + PORTS["event stream"], port + PORTS["pretend wallet"]
    broker = redis.Redis.from_url(variables["REDIS_URL"], socket_timeout=2, socket_connect_timeout=2)

    def program(name: str, module: str, *arguments: str, ready: Callable[[], bool]) -> Program:
        command = [sys.executable, "-m", module, *arguments]
        return Program(name, command, environment, folder.path / "logs" / f"{name}.log", ready)

    def worker(name: str, queue: str) -> Program:
        options = ["--pool=solo", "--concurrency=1", f"--queues={queue}", f"--hostname={name}@%h"]
        return program(name, "config.worker", *options, ready=lambda: _workers_wait(broker))

    return [
        program(
            "wallet",
            "payments.sandbox",
            f"--port={wallet}",
            f"--database={folder.path / 'wallet.sqlite3'}",
            ready=lambda: _answers(wallet, "/", below=500),
        ),
        # One process posts (two would only wait for each other's rows), and one does errands: one after the other is
        # enough for one machine. Neither has a parent: config.worker holds them to their time limits itself.
        worker("worker", "celery"),
        worker("errands", "errands"),
        program(
            "beat",
            "config.clock",
            f"--schedule={folder.path / 'beat-schedule'}",
            ready=lambda: True,
        ),
        program(
            "stream",
            "uvicorn",
            "config.asgi:application",
            f"--port={stream}",
            "--timeout-graceful-shutdown=2",  # An open stream would be waited for otherwise.
            "--no-access-log",
            ready=lambda: _listens(stream),
        ),
        program(
            "web",
            "granian",
            *WEB,
            "--host=127.0.0.1",
            f"--port={port}",
            ready=lambda: _answers(port, "/healthz/ready", below=300),
        ),
    ]


def variables(folder: DataFolder, port: int) -> dict[str, str]:
    """The product's variables: what the environment sets, then the kept secrets, then one machine's defaults."""
    metrics = folder.path / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)  # Figures of processes that are gone.
    metrics.mkdir(mode=0o700)
    (folder.path / "logs").mkdir(mode=0o700, exist_ok=True)
    given = os.environ
    return {
        "PORT": str(port),
        "INTERNAL_PORT": str(port + PORTS["internal figures"]),
        "DATA_DIR": str(folder.path),
        "MEDIA_ROOT": given.get("MEDIA_ROOT") or str(folder.path / "media"),
        "PUBLIC_URL": given.get("PUBLIC_URL") or f"http://127.0.0.1:{port}",
        "STREAM_URL": given.get("STREAM_URL") or f"http://127.0.0.1:{port + PORTS['event stream']}",
        "SANDBOX_URL": given.get("SANDBOX_URL") or f"http://127.0.0.1:{port + PORTS['pretend wallet']}",
        "ALLOWED_HOSTS": given.get("ALLOWED_HOSTS") or "127.0.0.1,localhost",
        "TRUSTED_PROXIES": given.get("TRUSTED_PROXIES", ""),
        "DEBUG": given.get("DEBUG") or "1",
        "DEV_OUTBOX": given.get("DEV_OUTBOX") or "1",
        "SMS_BACKEND": given.get("SMS_BACKEND") or "console",
        "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        "SECRET_KEY": given.get("SECRET_KEY") or folder.secret("secret.key", lambda: secrets.token_urlsafe(48)),
        "CREDENTIAL_KEYS": given.get("CREDENTIAL_KEYS")
        or folder.secret("credential.keys", lambda: Fernet.generate_key().decode()),
        "VAPID_PRIVATE_KEY": given.get("VAPID_PRIVATE_KEY") or folder.secret("vapid.key", _vapid_key),
        "SANDBOX_CONTROL_KEY": given.get("SANDBOX_CONTROL_KEY")
        or folder.secret("sandbox.key", lambda: secrets.token_urlsafe(24)),
    }


def port_of(text: str) -> int:
    """The port the web is to have; raises CannotStart when the text is no port that leaves room for the others."""
    if not text.isdigit() or not 1 <= int(text) <= 65_535 - max(PORTS.values()):
        raise CannotStart(f"PORT={text} is not a usable port number.")
    return int(text)


def refuse_busy_ports(port: int) -> None:
    """Raises CannotStart when another program has one of the product's ports."""
    other = port + 1000 if port < 60_000 else int(running.DEFAULT_PORT)
    for name, offset in PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port + offset))
            except OSError as error:
                raise CannotStart(
                    f"Port {port + offset} (for the {name}) cannot be used ({error.strerror}): "
                    f"stop the program that has it, or choose another: PORT={other} make up"
                ) from error


def summary(variables: Mapping[str, str], data: Path, took_s: float) -> str:
    """What a person at the terminal reads when everything is ready."""
    url = variables["PUBLIC_URL"]
    demo = "make demo" if variables["PORT"] == running.DEFAULT_PORT else f"make demo PORT={variables['PORT']}"
    rows = [
        ("The vendor's app", f"{url}/app/"),
        ("API, to read and try", f"{url}/api/docs/"),
        ("Back office", f"{url}/admin/"),
        ("Text messages (codes)", f"{url}/dev/outbox"),
        ("Pretend wallet", f"{variables['SANDBOX_URL']}/"),
        ("Live figures", f"http://127.0.0.1:{variables['INTERNAL_PORT']}/metrics"),
        ("Data and logs", short_path(data)),
    ]
    lines = [f"  {name:<23}{value}" for name, value in rows]
    return "\n".join(
        [
            "",
            f"Pushcart is ready ({took_s:.1f} s).",
            "",
            *lines,
            "",
            "  The pretend wallet is on: no real money moves.",
            f"  `{demo}` in another terminal plays the whole walk. Ctrl-C stops everything.",
            "",
        ]
    )


def short_path(path: Path) -> str:
    """The path as a person in the checkout would type it."""
    return str(path.relative_to(running.BASE_DIR)) if path.is_relative_to(running.BASE_DIR) else str(path)


def _vapid_key() -> str:
    """The key that signs our pushes: a P-256 scalar, as every tool for web push writes it."""
    scalar = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return base64.urlsafe_b64encode(scalar.to_bytes(32, "big")).decode().rstrip("=")


def _answers(port: int, path: str, *, below: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", path)
        return connection.getresponse().status < below
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _workers_wait(broker: redis.Redis) -> bool:
    """Whether both workers wait at the broker: they do so by BRPOP on their queues, and the broker lists who does."""
    try:
        return sum(client["cmd"] == "brpop" for client in broker.client_list()) >= 2
    except redis.RedisError:
        return False
