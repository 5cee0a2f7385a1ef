"""The networks' own software for Node, as one process that is asked line by line; `make peers` installs it.

What it can do stands in `tests/node/peer.mjs`, and in `codes.mjs` for packages that write and read payment codes. Where
Node or the packages are missing, the tests that need them skip themselves: no other test depends on them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from payments.models import ProviderAccount
from payments.providers import named
from payments.providers.base import Delivery, UnableToVerify

HERE = Path(__file__).resolve().parent.parent / "node"
MANY = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "300")), deadline=None, suppress_health_check=list(HealthCheck)
)
KEYS = st.sampled_from(["current", "current", "previous", "other"])


class Refused(Exception):
    """The package threw; its own words."""


def missing() -> str:
    """What is not there of all that is needed, or ""."""
    if not shutil.which("node"):
        return "node is not installed"
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    absent = [name for name in wanted if not (HERE / "node_modules" / name / "package.json").is_file()]
    return f"`make peers` has not installed {', '.join(absent)}" if absent else ""


class Peer:
    """One process for as many questions as there are. `asked` counts them, by package."""

    def __init__(self, program: str = "peer.mjs") -> None:
        self.asked: dict[str, int] = {}
        self._program = program

    def said(self, sdk: str, do: str, **about: Any) -> Any:
        """What the package answers. Raises Refused when it throws."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self.asked[sdk] = self.asked.get(sdk, 0) + 1
        self._process.stdin.write(json.dumps({"sdk": sdk, "do": do, **about}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the peer has ended: {self._process.wait(10)}"
        answer = json.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["said"]

    def takes(self, sdk: str, do: str, **about: Any) -> bool:
        """Whether the package says yes; that it throws is a no."""
        try:
            return bool(self.said(sdk, do, **about))
        except Refused:
            return False

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            ["node", self._program],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate(timeout=20)  # It ends with its questions.


def verdict(account: ProviderAccount, delivery: Delivery, now: datetime) -> str:
    """What our adapter says of it: the authority it is proved with, or the code of the refusal."""
    try:
        return named(account.provider).verify(account, delivery, now=now).authority
    except UnableToVerify as refusal:
        return refusal.code
