"""One command runs the whole product on one machine: `python -m config.up` starts it, watches it and stops it.

It claims the data folder, keeps the secrets there, starts PostgreSQL and Valkey (config.embedded), migrates, starts
the web, the worker, the beat, the event stream and the pretend wallet, and says where to go. A child that dies is
started again. Whatever way this process itself ends, nothing it started outlives it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol

from config import embedded, product, running
from config.data_folder import DataFolder, claim
from config.processes import CannotStart, Process, end_group, group_of, spawn, started_at, stop, working_in

READY_LIMIT_S = 90.0
PREPARE_LIMIT_S = 3600.0  # A migration of a large book takes what it takes.
LOG_BYTES_MAX = 20_000_000  # A log larger than this is put aside at the next start.
STEADY_S = 60.0  # A child that lived this long starts again without delay.
BACKOFF_MAX_S = 30.0
LOOK_EVERY_S = 0.1
# Whoever brings work ends before whoever does it, and the stores last.
STOP_ORDER = ("web", "stream", "beat", "worker", "errands", "wallet", embedded.VALKEY, embedded.POSTGRES)


class Child(Protocol):
    """What the supervisor watches: a server of config.embedded, or a program of ours."""

    name: str
    log: Path
    process: Process | None

    def start(self) -> None: ...
    def stop(self) -> None: ...


@dataclass
class Tally:
    """How often a child died of late, and when it may start again."""

    began: float = field(default_factory=time.monotonic)
    deaths: int = 0
    due: float | None = None


class Stop(Exception):
    """Somebody asked the product to stop."""


class Supervisor:
    """Keeps the children of one product running until it is told to stop."""

    def __init__(self, folder: DataFolder, variables: dict[str, str], stopping: Event) -> None:
        self.folder = folder
        self.stopping = stopping  # Looked at wherever we wait.
        self.variables = variables
        self.environment = {**os.environ, **variables, "PYTHONUNBUFFERED": "1"}
        self.logs = folder.path / "logs"
        self.children: list[Child] = []  # In the order of their start.
        self.tallies: dict[str, Tally] = {}
        self.texts = Tail(self.logs / "errands.log")

    def run(self) -> None:
        """Starts everything, says so, and watches until `stopping` is set; then stops everything in order."""
        began = time.monotonic()
        try:
            self._start_all()
            say(product.summary(self.variables, self.folder.path, time.monotonic() - began))
            while True:
                self._look()
                time.sleep(LOOK_EVERY_S)
        except Stop:
            say("Stopping.")
        finally:
            self._stop_all()

    # --- Starting ---

    def _start_all(self) -> None:
        stores = embedded.start(self.folder, say=say)
        for server in stores.servers:
            self._watch(server)
        self.variables.update(DATABASE_URL=stores.database_url, REDIS_URL=stores.redis_url)
        self.environment.update(DATABASE_URL=stores.database_url, REDIS_URL=stores.redis_url)
        programs = {
            program.name: program for program in product.programs(self.folder, self.variables, self.environment)
        }
        self._begin(programs["wallet"])
        self._wait_until(programs["wallet"].ready, programs["wallet"].log)
        # Loading the project takes them longest: these two do it meanwhile, and are not ready before the schema is.
        self._begin(programs["stream"])
        self._begin(programs["web"])
        self._prepare()
        self._begin(programs["worker"])
        self._begin(programs["errands"])
        self._begin(programs["beat"])
        for program in programs.values():
            self._wait_until(program.ready, program.log)
        running.announce(self.folder, {k: v for k, v in self.variables.items() if k != "PROMETHEUS_MULTIPROC_DIR"})

    def _begin(self, program: product.Program) -> None:
        _put_aside(program.log)
        program.start()
        self._watch(program)

    def _watch(self, child: Child) -> None:
        self.children.append(child)
        self.tallies[child.name] = Tally()
        self._remember()

    def _prepare(self) -> None:
        """Migrates, and enables the pretend wallet, before any task of ours can meet an older schema."""
        log = self.logs / "prepare.log"
        log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "config.prepare"]
        process = spawn(command, log=log, environment=self.environment, folder=running.BASE_DIR)
        try:
            self._wait_until(lambda: process.poll() is not None, log, limit_s=PREPARE_LIMIT_S)
        finally:
            stop(process)
        if process.returncode:
            raise CannotStart(f"The database could not be prepared. The end of {log}:\n{embedded.end_of(log)}")

    def _wait_until(self, condition: Callable[[], bool], log: Path, limit_s: float = READY_LIMIT_S) -> None:
        """Waits for what the start needs next; a child that dies meanwhile ends the start."""
        end = time.monotonic() + limit_s
        while not condition():
            if self.stopping.is_set():
                raise Stop
            dead = next((child for child in self.children if child.process and child.process.poll() is not None), None)
            if dead or time.monotonic() > end:
                what, log = (f"{dead.name} ended", dead.log) if dead else (f"{log.stem} took over {limit_s:.0f} s", log)
                raise CannotStart(f"{what} while the product started. The end of {log}:\n{embedded.end_of(log)}")
            time.sleep(0.05)

    # --- Watching ---

    def _look(self) -> None:
        """One look at everything: asked to stop? text messages to show? a child to start again?"""
        if self.stopping.is_set():
            raise Stop
        for line in self.texts.new_lines():
            if line.startswith("SMS"):
                say(line)
        for child in self.children:
            if child.process is not None and child.process.poll() is not None:
                self._start_again(child, child.process.returncode)

    def _start_again(self, child: Child, returncode: int) -> None:
        """Starts a dead child again: at once after a long life, else after a delay that doubles."""
        tally, now = self.tallies[child.name], time.monotonic()
        if tally.due is None:
            tally.deaths = 1 if now - tally.began > STEADY_S else tally.deaths + 1
            delay_s = min(0.5 * 2 ** (tally.deaths - 1), BACKOFF_MAX_S)
            tally.due = now + delay_s
            say(f"{child.name} ended ({_how(returncode)}): it is started again in {delay_s:g} s.")
        if now < tally.due:
            return
        tally.due, tally.began = None, now
        try:
            child.start()
        except CannotStart as error:
            say(str(error))
        self._remember()

    def _remember(self) -> None:
        """Writes down who our children are, for the next start to end them should we be killed where no kernel does."""
        pids = [child.process.pid for child in self.children if child.process and child.name != embedded.POSTGRES]
        alive = [(pid, started_at(pid)) for pid in pids]
        self.folder.write("processes.json", json.dumps(alive))

    # --- Stopping ---

    def _stop_all(self) -> None:
        """Stops the children in their order; a second signal changes nothing, for every step has its limit."""
        running.withdraw(self.folder)
        for child in sorted(self.children, key=lambda child: STOP_ORDER.index(child.name)):
            child.stop()
        (self.folder.path / "processes.json").unlink(missing_ok=True)


class Tail:
    """Reads the lines that are added to a log from now on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = path.stat().st_size if path.exists() else 0

    def new_lines(self) -> list[str]:
        """The whole lines added since the last call."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as log:
            if log.seek(0, os.SEEK_END) < self.position:
                self.position = 0  # The log was put aside and begun again.
            log.seek(self.position)
            text, newline, _ = log.read().rpartition(b"\n")
        self.position += len(text) + len(newline)
        return text.decode(errors="replace").splitlines()


def main() -> int:
    """Runs the product until it is stopped (0), or says why it cannot start (1)."""
    stopping = Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopping.set())
    try:
        port = product.port_of(os.environ.get("PORT") or running.DEFAULT_PORT)
        folder = claim(running.data_dir(os.environ))
        try:
            _end_what_was_left(folder)
            product.refuse_busy_ports(port)
            say(f"Pushcart is starting; its data and logs are in {product.short_path(folder.path)}.")
            Supervisor(folder, product.variables(folder, port), stopping).run()
        finally:
            folder.release()
    except CannotStart as error:
        print(f"\nPushcart cannot start. {error}", file=sys.stderr, flush=True)
        return 1
    say("Stopped. The data is kept for the next start.")
    return 0


def say(sentence: str) -> None:
    """Tells the person at the terminal. A terminal that is gone must not end the product before its children."""
    try:
        print(sentence, flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  It stays open as long as we run.


def _end_what_was_left(folder: DataFolder) -> None:
    """Ends what a killed supervisor left: the kernel told them to end, but one that is still ending holds its port.

    PostgreSQL is not among them: config.embedded ends it in its own way.
    """
    note = folder.path / "processes.json"
    if not note.exists():
        return
    ours = dict(json.loads(note.read_text()))
    for pid, moment in ours.items():
        if started_at(pid) == moment:
            end_group(pid)
    # A process whose leader is gone is known by its group and by the folder it works in: the number alone may be new.
    for pid in working_in(running.BASE_DIR):
        group = group_of(pid)
        if group is not None and group in ours and started_at(group) is None:
            end_group(group)
    note.unlink()


def _put_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".log.1"))


def _how(returncode: int) -> str:
    return f"by {signal.Signals(-returncode).name}" if returncode < 0 else f"exit code {returncode}"


if __name__ == "__main__":
    sys.exit(main())
