"""What the product costs while nobody uses it: memory and a core's share of every process, against the goals.

Memory is PSS: what a process shares with others is divided among them, so that the sum is what the machine really
gives. The stores are shown, but the goal is for the product's own programs.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import ground
from bench.rounds import Arm, Goal, compare, size

PORT = int(os.environ.get("BENCH_PORT", "8640"))
SETTLE_S = size(20, 2)  # The start's own work (imports, first sweeps) is over by then.
WATCH_S = size(30, 3)
OURS = ("web", "worker", "errands", "beat", "stream")


@dataclass
class Looked:
    """One process: what it is called, what it holds, and what it used in the time."""

    name: str
    pid: int
    pss_mb: float
    cpu_percent: float


def main() -> None:
    with ground.product(PORT) as supervisor:
        time.sleep(SETTLE_S)
        compare(
            "idle",
            [Arm("product", "product", partial(_measure, supervisor), "every program of `make up`, and nobody there")],
            title="At rest",
            unit="seconds",
            figure="memory_mb",
            goals=[
                Goal("at most 400 MB for web, workers, beat and stream", figure="memory_mb", at_most=400),
                Goal("at most 2 % of a core", figure="cpu_percent", at_most=2),
            ],
            notes=[f"{WATCH_S} s a round; memory is PSS, which divides what is shared among those who share it."],
        )


def _measure(supervisor: int) -> dict[str, float]:
    """The sums of our own programs, and the memory of each; every process is printed."""
    looked = _look(supervisor)
    for one in sorted(looked, key=lambda one: one.name):
        print(f"      {one.name:<16} {one.pid:>7} {one.pss_mb:8.1f} MB {one.cpu_percent:6.2f} % of a core")
    memory: dict[str, float] = defaultdict(float)
    for one in looked:
        memory[one.name] += one.pss_mb
    ours = [one for one in looked if one.name in OURS]
    return {
        "memory_mb": sum(one.pss_mb for one in ours),
        "cpu_percent": sum(one.cpu_percent for one in ours),
        **{f"{name}_mb": memory[name] for name in (*OURS, "postgres", "valkey")},
    }


def _look(supervisor: int) -> list[Looked]:
    pids = {pid: _name(pid) for pid in _tree(supervisor)}
    before = {pid: ground.used_by(pid) for pid in pids}
    began = time.perf_counter()
    time.sleep(WATCH_S)
    took = time.perf_counter() - began
    return [
        Looked(name, pid, _pss_mb(pid), (ground.used_by(pid) - before[pid]) / took * 100)
        for pid, name in pids.items()
        if Path(f"/proc/{pid}").exists()
    ]


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
        ("config.clock", "beat"),
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
