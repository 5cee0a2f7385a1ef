"""Other people's software as a process of its own: asked in lines of JSON, with what it used of a processor.

A program in `bench/peers/` runs by the Python of `.venv-bench`, which has its packages and none of the product's. It
prints one line when it is ready; then it answers each line it is given by one line. What it prints besides goes to
standard error.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from bench import ground
from config import running

PYTHON = running.BASE_DIR / ".venv-bench" / "bin" / "python"


class Peer:
    """One program of `bench/peers/`, running."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def ask(self, **question: Any) -> dict[str, Any]:
        """Has it do something once, and answers what it says about it."""
        self.tell(**question)
        return self.hear()

    def tell(self, **question: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()

    def used(self) -> float:
        """Seconds of a processor that it has used with its children."""
        return ground.used_by_tree(self.process.pid)

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait(30)}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def environment(**more: str) -> dict[str, str]:
    """What a peer is told: our environment without Django's settings, which are the product's."""
    inherited = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    return {**inherited, "PATH": f"{PYTHON.parent}{os.pathsep}{os.environ['PATH']}", **more}


@contextmanager
def running_peer(program: str, variables: Mapping[str, str] | None = None) -> Iterator[Peer]:
    """Runs the program (a module or a package) `bench/peers/<program>` until the block ends."""
    if not PYTHON.exists():
        raise RuntimeError(f"{PYTHON} does not exist: `make .venv-bench/.peers` installs it")
    with started([str(PYTHON), "-m", f"bench.peers.{program}"], environment(**(variables or {}))) as peer:
        yield peer


@contextmanager
def another_of_us(module: str) -> Iterator[Peer]:
    """Runs a module of the benches in a process of its own, with the product's packages and settings."""
    with started([sys.executable, "-m", module], dict(os.environ)) as peer:
        yield peer


@contextmanager
def started(command: list[str], variables: dict[str, str]) -> Iterator[Peer]:
    """Runs a program that answers in lines, until the block ends."""
    process = subprocess.Popen(
        command,
        env=variables,
        cwd=running.BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    peer = Peer(process)
    try:
        peer.hear()
        yield peer
    finally:
        assert process.stdin is not None
        process.stdin.close()  # Its input ends, and so does it.
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
