"""Runs the product, a limit and a peer in turn, says how they compare, and keeps what was measured as a small file.

Figures move with the machine by a factor of two and more from hour to hour; ratios inside one run move far less. So all
arms run in every round, in turn and reversed every other round, and what is judged is the median of the rounds' ratios.
A loop that is always the same stands beside each round: where it moves, the machine moved.

    compare(
        "drain",
        [Arm("product", "product", ours), Arm("floor", "limit", floor), Arm("django-hordak", "peer", theirs)],
        unit="events",
        goals=[Goal("at least 40 × django-hordak", against="django-hordak", at_least=40)],
    )

An arm's `measure` does its work once, checks its own sums (it raises when they are wrong, and then nothing is written)
and answers figures by name: `rate` (per second, more is better) and others whose names end in their unit (`p99_ms`,
`cpu_us`, `size_bytes`; less is better).
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Literal

import psycopg

RESULTS = Path(__file__).resolve().parent / "results"
ROUNDS_MIN = 5
# A small run shows that a bench works. It says nothing about speed, so it never writes a result.
QUICK = "--quick" in sys.argv or os.environ.get("BENCH_QUICK", "0") != "0"
DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")

Role = Literal["product", "limit", "peer"]
Figures = dict[str, float]


@dataclass(frozen=True)
class Arm:
    """One way to do the work: ours, as well as anybody could (a limit), or as other people's software does (a peer)."""

    name: str
    role: Role
    measure: Callable[[], Figures]
    what: str = ""  # What it does, in one sentence, for whoever reads the page.


@dataclass(frozen=True)
class Goal:
    """A bound on the median of a figure of an arm (the first one of the product), or on its ratio to another arm.

    The ratio is the product's figure divided by the other arm's: above one is good for a rate, bad for a time.
    """

    sentence: str
    figure: str = "rate"
    arm: str = ""
    against: str = ""
    at_least: float | None = None
    at_most: float | None = None


def size(full: int, quick: int) -> int:
    """How much work to do: `full`, or `quick` in a small run."""
    return quick if QUICK else full


def compare(
    bench: str,
    arms: Sequence[Arm],
    *,
    title: str = "",
    unit: str = "events",
    figure: str = "rate",
    rounds: int = ROUNDS_MIN,
    few: str = "",
    goals: Sequence[Goal] = (),
    notes: Sequence[str] = (),
    durable: bool = True,
) -> dict[str, Any]:
    """Runs every arm in every round, prints and answers the result, and writes it to `bench/results/<bench>.json`.

    `figure` is the one that is looked at first. `few` says why there are fewer rounds than five. `notes` are sentences
    for the page: how the work was made, and what is not shown. `durable` is False where no database takes part; else
    the database must keep what it acknowledges, or no result is written.
    """
    assert rounds >= ROUNDS_MIN or few or QUICK, "say why there are so few rounds"
    rounds = min(rounds, 2) if QUICK else rounds
    database = _database() if durable else None
    _say_conditions(title or bench, database)
    lost = [name for name in DURABILITY if database and database[name] != "on"]
    if lost and not QUICK:
        raise RuntimeError(f"{', '.join(lost)} is off: what was measured so might be lost, so it is no result")
    found: dict[str, list[Figures]] = {arm.name: [] for arm in arms}
    calibration_ms = []
    for number in range(rounds):
        calibration_ms.append(round(calibrate_ms(), 2))
        print(f"  round {number + 1} of {rounds}, calibration {calibration_ms[-1]} ms", flush=True)
        for arm in arms if number % 2 == 0 else reversed(arms):
            found[arm.name].append({name: _rounded(value) for name, value in arm.measure().items()})
            print(f"    {arm.name:<34} {_said(found[arm.name][-1])}", flush=True)
    result: dict[str, Any] = {
        "bench": bench, "title": title or bench, "command": _command(), "measured_at": f"{datetime.now(UTC):%Y-%m-%d}",
        "unit": unit, "figure": figure, "few": few, "notes": list(notes),
        "machine": machine(), "database": database, "calibration_ms": calibration_ms,
        "arms": [
            {"name": arm.name, "role": arm.role, "what": arm.what, "rounds": found[arm.name]} for arm in arms
        ],
    }  # fmt: skip
    result["goals"] = [_judged(goal, result) for goal in goals]
    _print(result)
    if not QUICK:
        _write(result)
    return result


# --- What a result says ----------------------------------------------------------------------------------------------


def figures_of(result: dict[str, Any], arm: str) -> list[Figures]:
    """The figures of an arm, round by round."""
    return next(one["rounds"] for one in result["arms"] if one["name"] == arm)


def products(result: dict[str, Any]) -> list[str]:
    return [arm["name"] for arm in result["arms"] if arm["role"] == "product"]


def values(result: dict[str, Any], arm: str, figure: str) -> list[float]:
    """One figure of an arm, round by round; empty where the arm does not have it."""
    return [one[figure] for one in figures_of(result, arm) if figure in one]


def ratios(result: dict[str, Any], arm: str, figure: str, *, product: str = "") -> list[float]:
    """The product's figure divided by the arm's, round by round; empty where either does not have it."""
    ours, theirs = values(result, product or products(result)[0], figure), values(result, arm, figure)
    return [mine / other for mine, other in zip(ours, theirs, strict=False) if other]


def _judged(goal: Goal, result: dict[str, Any]) -> dict[str, Any]:
    arm = goal.arm or products(result)[0]
    measured = (
        ratios(result, goal.against, goal.figure, product=arm) if goal.against else values(result, arm, goal.figure)
    )
    value = _rounded(median(measured))
    met = (goal.at_least is None or value >= goal.at_least) and (goal.at_most is None or value <= goal.at_most)
    return {**asdict(goal), "arm": arm, "value": value, "met": met}


# --- The machine -----------------------------------------------------------------------------------------------------


def calibrate_ms() -> float:
    """How long a fixed loop and a fixed hash take: the same work on the same machine, whatever we measure beside it."""
    began = time.perf_counter()
    total = 0
    for number in range(100_000):
        total += number & 7
    digest = b"pushcart"
    for _ in range(5_000):
        digest = hashlib.sha256(digest).digest()
    assert total == 350_000
    return (time.perf_counter() - began) * 1000


def machine() -> dict[str, Any]:
    """What a reader must know of the machine to judge a figure."""
    return {
        "cores": os.cpu_count(),
        "processor": _line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _line(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _database() -> dict[str, str]:
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        names = ("server_version", *DURABILITY)
        return {name: str((connection.execute(f"SHOW {name}").fetchone() or ("",))[0]) for name in names}


def _command() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"make bench-{spec.name.removeprefix('bench.')}" if spec else "make bench"


# --- Printing and keeping --------------------------------------------------------------------------------------------


def _say_conditions(title: str, database: dict[str, str] | None) -> None:
    here = machine()
    print(f"{title}: {here['cores']} cores, {here['processor']}, Python {here['python']}", flush=True)
    if database:
        kept = ", ".join(f"{name} {database[name]}" for name in DURABILITY)
        print(f"  PostgreSQL {database['server_version']}: {kept}", flush=True)


def _print(result: dict[str, Any]) -> None:
    figure, product = result["figure"], products(result)[0]
    print(f"  medians of {len(result['calibration_ms'])} rounds (least to most); ratio: {product} ÷ this")
    for arm in result["arms"]:
        measured = values(result, arm["name"], figure)
        compared = [] if arm["role"] == "product" else ratios(result, arm["name"], figure)
        ratio = f"ratio {median(compared):8.2f} ({min(compared):.2f}-{max(compared):.2f})" if compared else ""
        said = f"{median(measured):10.4g} ({min(measured):.4g}-{max(measured):.4g})"
        others = _said({name: median(values(result, arm["name"], name)) for name in arm["rounds"][0] if name != figure})
        print(f"    {arm['name']:<34} {figure} {said} {ratio}  {others}")
    for goal in result["goals"]:
        verdict = "small " if QUICK else "met   " if goal["met"] else "MISSED"  # Nothing is judged by a small run.
        print(f"  {verdict} {goal['sentence']}: {goal['value']:g}", flush=True)


def _said(figures: Figures) -> str:
    return "  ".join(f"{name} {value:g}" for name, value in figures.items())


def _rounded(value: float) -> float:
    """To four digits: more would pretend."""
    short = float(f"{value:.4g}")
    return int(short) if short == int(short) else short


def _write(result: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{result['bench']}.json").write_text(as_text(result))
    print(f"  kept in bench/results/{result['bench']}.json", flush=True)


def as_text(result: dict[str, Any]) -> str:
    """JSON in which whatever holds nothing nested stands on one line: a round is a line."""
    spread = json.dumps(result, indent=2, ensure_ascii=False)
    return re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda flat: re.sub(r"\n\s*", " ", flat[0]), spread) + "\n"
