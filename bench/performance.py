"""Writes `docs/performance.md` from what was measured: the files in `bench/results/`, and nothing else.

`make performance`; a test holds that the page is what this makes of them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench import __main__ as order
from bench import rounds

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
ROLES = {"product": "Pushcart", "limit": "limit", "peer": "peer"}

# Why a goal is missed, by (bench, the goal's sentence): what the profile shows, and what would have to change. A test
# holds that every missed goal has its reason here, and that nothing else has.
_ALONE = (
    "An event that comes alone is a batch of its own, and a batch has a price whatever it holds: 2.6 ms of the worker, "
    "most of it Python of the driver and of Django for fourteen statements, and 2.4 ms of PostgreSQL, of which some "
    "overlap; two commits, one after the other; and the bell, from the web to the worker. Streams and load want the "
    "two cores as well. What would have to change: the lease in the transaction that posts, which "
    "would no longer count the attempts of an event that kills its worker, and a driver that needs no Python for each "
    "statement."
)
_BUSY = (
    "Both cores are busy: an event takes 1.65 ms of them (web 0.54, worker 0.29, PostgreSQL 0.51, stream 0.32), and "
    "the load and sixty listening phones take the rest, so batches wait for a core. What would have to "
    "change: a lower price of a batch, as at 100/s, or a third core."
)
MISSED: dict[tuple[str, str], str] = {
    ("drain", "It posts 40 × as fast as django-hordak"): (
        "Forty times django-hordak is more than what SQL that decides nothing writes into these tables here. Half of "
        "our time is PostgreSQL's, a third of that the payment's row with its nine indexes. What would have to change:"
        " a payment with fewer ways to find it, and JSON read into bare structs."
    ),
    ("intake", "through Django at least 2,000/s"): (
        "Django's own way takes 0.19 ms in one thread without the INSERT, which it shares with others; at 32 "
        "connections it is 0.69 ms, because the loop and its threads hand one interpreter to each other. "
        "What would have to change: more processes and cores, or an interpreter without its one lock. Notifications "
        "of shops' own accounts go this way, and what nobody has signed."
    ),
    ("latency", "2xx to posted: p50 at most 5 ms at 100/s"): _ALONE,
    ("latency", "2xx to posted: p50 at most 5 ms at 1000/s"): _BUSY,
    ("latency", "2xx to posted: p99 at most 25 ms at 1000/s"): "The same as for its median.",
    ("sustained", "backlog at the end of load at most one batch"): (
        "Here the load never rests, and taking has become faster than posting while both share two cores: some "
        "4,600 a second are, and after twelve seconds nearly half a second's work is left. At a fixed 3,500 a second, "
        "with which the product keeps up, it is 374 events. What would have to change: "
        "a third core, or less taken than could be kept, and that we do not want. A web that yields the processor to "
        "the worker (`nice`) was tried and changed nothing."
    ),
}

_INTRODUCTION = """\
# How fast it is, and how that was measured

*Made by `make performance` from the files in `bench/results/`, which `make bench` writes.*

Each table is one run of one command, in which Pushcart, a **limit** (what the same machine can do when nothing but
the hardware, the database or a bare program stands in the way) and a **peer** (other people's software for the same
work, from its own package, used as its documentation says) took turns: every one in every round, in reversed order
every other round. Each checks its own sums afterwards; a wrong one voids the run. Everything shares the machine named
below: what makes the load, the database, the broker, and what is measured.

Absolute figures move with the machine by a factor of two and more between hours; ratios inside one run move far less.
So *Pushcart ÷ this* is the figure to trust: the median over the rounds of the ratio within each, with the least and the
most. For a rate more than one is good; for a time, or what an event uses of a processor, less than one is.
"""
_DURABLE = """\
Wherever a database takes part it keeps what it acknowledges: fsync, full_page_writes and synchronous_commit are on. A
bench that finds one of them off writes no result. Before timing it writes until the write-ahead log has segments to
write over: a log that must grow makes commits several times slower, whoever commits.
"""
_NOT_SHOWN = """\
## What is not shown

- **Other machines.** Everything ran on one small virtual machine with a fast virtual disk. On slower disks a commit
  costs more, and what shares a commit among many gains more than is shown here.
- **A network.** Load comes over the loopback. Real notifications come over TLS, which a proxy in front ends.
- **Providers.** No live or test service of any was reached; notifications are of the pretend wallet's shape and signed
  as its are.
- **Peers at their best.** They are used as their own documentation shows, not as somebody who knows them for years
  would tune them. Some do work that Pushcart does not, and the other way round: read what each did beside its name.
- **A year of running.** A run takes minutes. How figures move with the number of rows is shown where a bench fills
  them.
"""


def page(results: Sequence[dict[str, Any]]) -> str:
    """The whole page, of results in the order in which they are told."""
    parts = [_INTRODUCTION, _goals(results), *(_section(result) for result in results), _machines(results), _NOT_SHOWN]
    return "\n".join(part for part in parts if part)


def stored() -> list[dict[str, Any]]:
    """Every result that is kept, in the order of the benches."""
    found = [json.loads(path.read_text()) for path in sorted(rounds.RESULTS.glob("*.json"))]
    place = {f"make bench-{name}": number for number, name in enumerate(order.names())}
    return sorted(found, key=lambda result: (place.get(result["command"], len(place)), result["bench"]))


def missed(results: Sequence[dict[str, Any]]) -> set[tuple[str, str]]:
    return {
        (result["bench"], goal["sentence"]) for result in results for goal in result["goals"] if not goal["met"]
    }  # fmt: skip


# --- Parts -----------------------------------------------------------------------------------------------------------


def _goals(results: Sequence[dict[str, Any]]) -> str:
    told = {True: "met", False: "**missed**"}
    rows = [
        f"| {goal['sentence']} | {_bound(goal, result)} | {_reached(goal, result)} | {told[goal['met']]} |"
        for result in results
        for goal in result["goals"]
    ]
    if not rows:
        return ""
    met = sum(goal["met"] for result in results for goal in result["goals"])
    head = f"## In short\n\n{met} of {len(rows)} goals are met.\n\n| goal | bound | measured | |\n|-|-|-|-|\n"
    why = [
        f"- *{sentence}* is missed: {MISSED[bench, sentence]}"
        for bench, sentence in sorted(missed(results))
        if (bench, sentence) in MISSED
    ]
    return head + "\n".join(rows) + "\n" + ("\n" + "\n".join(why) + "\n" if why else "")


def _section(result: dict[str, Any]) -> str:
    figure, product = result["figure"], rounds.products(result)[0]
    others = _other_figures(result)
    beside = any(arm["role"] != "product" for arm in result["arms"])
    columns = ["what", "", _heading(figure, result), *(_heading(name, result) for name in others)]
    columns += [f"{product} ÷ this"] if beside else []
    rows = []
    for arm in result["arms"]:
        compared = [] if arm["role"] == "product" else rounds.ratios(result, arm["name"], figure)
        ratio = f"**{_number(median(compared))}** ({_range(compared)})" if compared else ""
        cells = [
            f"**{arm['name']}**" if arm["role"] == "product" else arm["name"],
            ROLES[arm["role"]],
            _measured(rounds.values(result, arm["name"], figure)),
            *(_middle(rounds.values(result, arm["name"], name)) for name in others),
            *([ratio] if beside else []),
        ]
        rows.append("| " + " | ".join(cells) + " |")
    told = [f"- *{arm['name']}*: {arm['what']}" for arm in result["arms"] if arm["what"]]
    told += [f"- {note}" for note in result["notes"]]
    count = len(result["calibration_ms"])
    run = f"`{result['command']}`, {result['measured_at']}, medians of {count} round{'s' if count > 1 else ''}"
    lines = [
        f"## {result['title']}",
        "",
        f"{run} (least to most).{' ' + result['few'] if result['few'] else ''}",
        "",
        "| " + " | ".join(columns) + " |",
        "|-|-|" + "-:|" * (len(columns) - 2),
        *rows,
        "",
        *told,
    ]
    return "\n".join(lines).rstrip() + "\n"


def _other_figures(result: dict[str, Any]) -> list[str]:
    """Every figure besides the first, in the order in which the arms name them."""
    named = [name for arm in result["arms"] for one in arm["rounds"] for name in one]
    return [name for name in dict.fromkeys(named) if name != result["figure"]]


def _machines(results: Sequence[dict[str, Any]]) -> str:
    if not results:
        return "No result is kept yet.\n"
    said = []
    for described in dict.fromkeys(json.dumps(result["machine"], sort_keys=True) for result in results):
        here = [result for result in results if json.dumps(result["machine"], sort_keys=True) == described]
        one = here[0]["machine"]
        loops = [value for result in here for value in result["calibration_ms"]]
        servers = sorted({result["database"]["server_version"] for result in here if result["database"]})
        said.append(
            f"- {one['cores']} cores of {one['processor']}, {one['memory_gb']} GB of memory, {one['kernel']}, Python"
            f" {one['python']}{', PostgreSQL ' + ' and '.join(servers) if servers else ''}. The loop that is always the"
            f" same took {_number(median(loops))} ms there ({_range(loops)}) beside the rounds."
        )
    return "## The machine\n\n" + "\n".join(said) + "\n\n" + _DURABLE


# --- Words -----------------------------------------------------------------------------------------------------------


def _heading(figure: str, result: dict[str, Any]) -> str:
    if figure == "rate":
        return f"{result['unit']}/s"
    name, _, unit = figure.rpartition("_")
    units = {"us": "µs", "bytes": "B", "mb": "MB", "kb": "kB"}
    return f"{name.replace('cpu', 'processor').replace('_', ' ')}, {units.get(unit, unit)}" if name else unit


def _bound(goal: dict[str, Any], result: dict[str, Any]) -> str:
    word, bound = ("≥", goal["at_least"]) if goal["at_least"] is not None else ("≤", goal["at_most"])
    return f"{word} {_with_unit(bound, goal, result)}"


def _reached(goal: dict[str, Any], result: dict[str, Any]) -> str:
    return _with_unit(goal["value"], goal, result)


def _with_unit(value: float, goal: dict[str, Any], result: dict[str, Any]) -> str:
    unit = "×" if goal["against"] else _heading(goal["figure"], result).rpartition(", ")[2]
    return f"{_number(value)} {unit}"


def _measured(values: Sequence[float]) -> str:
    return f"{_number(median(values))} ({_range(values)})" if values else ""


def _middle(values: Sequence[float]) -> str:
    return _number(median(values)) if values else ""


def _range(values: Sequence[float]) -> str:
    return f"{_number(min(values))} to {_number(max(values))}"


def _number(value: float) -> str:
    """Three digits, more where the number is whole: nobody compares by the fourth."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


if __name__ == "__main__":
    PAGE.write_text(page(stored()))
    print(f"{PAGE.relative_to(PAGE.parent.parent)} written")
