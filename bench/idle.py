"""What the product costs while nobody uses it: memory and a core's share of every process, against the goals.

Memory is PSS: what a process shares with others is divided among them, so that the sum is what the machine really
gives. The stores are shown, but the goal is for the product's own programs.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import ground

PORT = int(os.environ.get("BENCH_PORT", "8640"))
SETTLE_S = 20.0  # The start's own work (imports, first sweeps) is over by then.
WATCH_S = 30.0
OURS = ("web", "worker", "errands", "beat", "stream")
MEMORY_MAX_MB = 400
CPU_MAX_PERCENT = 2.0  # Of one core.


@dataclass
class Looked:
    """One process: what it is called, what it holds, and what it used in the time."""

    name: str
    pid: int
    pss_mb: float
    cpu_percent: float = 0.0


def main() -> None:
    with ground.product(PORT):
        time.sleep(SETTLE_S)
        pids = {pid: _name(pid) for pid in _tree(_supervisor())}
        before = {pid: ground.used_by(pid) for pid in pids}
        began = time.perf_counter()
        time.sleep(WATCH_S)
        took = time.perf_counter() - began
        looked = [
            Looked(name, pid, _pss_mb(pid), (ground.used_by(pid) - before[pid]) / took * 100)
            for pid, name in pids.items()
            if Path(f"/proc/{pid}").exists()
        ]
    for one in sorted(looked, key=lambda one: one.name):
        print(f"{one.name:<22} {one.pid:>7} {one.pss_mb:8.1f} MB {one.cpu_percent:6.2f} % of a core")
    ours = [one for one in looked if one.name in OURS]
    memory, cpu = sum(one.pss_mb for one in ours), sum(one.cpu_percent for one in ours)
    print(f"{', '.join(OURS)}: {memory:.0f} MB (goal: {MEMORY_MAX_MB}), {cpu:.2f} % (goal: {CPU_MAX_PERCENT})")
    sys.exit(0 if memory <= MEMORY_MAX_MB and cpu <= CPU_MAX_PERCENT else 1)


def _supervisor() -> int:
    """The process of `config.up` that `ground.product` started: our own child."""
    return next(pid for pid in _children(os.getpid()) if "config.up" in _command(pid))


def _tree(root: int) -> Iterator[int]:
    yield root
    for child in _children(root):
        yield from _tree(child)


def _children(parent: int) -> list[int]:
    tasks = Path(f"/proc/{parent}/task")
    return [int(pid) for task in tasks.iterdir() for pid in (task / "children").read_text().split()]


def _name(pid: int) -> str:
    """The program a process belongs to, by its command line; a store's processes by their own titles."""
    command = _command(pid)
    for word, name in (
        ("config.up", "supervisor"),
        ("payments.sandbox", "pretend wallet"),
        ("config.web", "web"),
        ("--queues=errands", "errands"),
        ("--queues=celery", "worker"),
        (" beat ", "beat"),
        ("uvicorn", "stream"),
        ("valkey", "valkey"),
    ):
        if word in command:
            return name
    return "postgres"


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def _pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("Pss:"))) / 1024


if __name__ == "__main__":
    main()
