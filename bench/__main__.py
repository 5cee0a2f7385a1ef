"""Every bench in turn: first each in small, so that a broken one is found in minutes, then each in full.

About an hour on two cores. Nothing else should run meanwhile; then `make performance` writes the page.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from bench.rounds import QUICK

# What a buyer asks first comes first. A bench that is not named here comes after these, by its name.
FIRST = ("intake", "drain", "sustained", "latency", "reads", "pictures", "sheets", "pages", "idle")
_NOT_BENCHES = {
    "__init__",
    "__main__",
    "cast",
    "ears",
    "floors",
    "full_inbox",
    "ground",
    "load",
    "one_worker",
    "peer",
    "performance",
    "planted",
    "receivers",
    "rounds",
    "serving",
    "standby",
    "through_django",
}


def names() -> list[str]:
    """Every module here that measures something, in the order in which they run and are told."""
    found = {
        path.stem
        for path in Path(__file__).parent.glob("*.py")
        if path.stem not in _NOT_BENCHES and '__name__ == "__main__"' in path.read_text()
    }
    return [name for name in FIRST if name in found] + sorted(found - set(FIRST))


def _run(name: str, *, quick: bool) -> None:
    began = time.monotonic()
    print(f"== {name}{', in small' if quick else ''}", flush=True)
    answer = subprocess.run(
        [sys.executable, "-m", f"bench.{name}"], env={**os.environ, "BENCH_QUICK": str(int(quick))}, check=False
    )
    print(f"== {name} took {time.monotonic() - began:.0f} s", flush=True)
    if answer.returncode:
        sys.exit(f"{name} failed: nothing after it was measured")


def main() -> None:
    for name in names():
        _run(name, quick=True)
    for name in names() if not QUICK else []:
        _run(name, quick=False)


if __name__ == "__main__":
    main()
