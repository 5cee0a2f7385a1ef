"""Child processes that cannot outlive us: they die with their parent, and are known again by when they began.

A number alone does not name a process: the kernel gives it out again. A process we remember across our own
death is therefore remembered together with the moment it began.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
HAS_PROC = BOOT_ID.exists()


class CannotStart(Exception):
    """Something a person must change before the product can start; the message is a sentence to them."""


@dataclass(frozen=True)
class Account:
    """The operating system's user that a server runs as when we ourselves are root."""

    name: str
    uid: int
    gid: int


Process = subprocess.Popen[bytes]
Step = tuple[signal.Signals, float]  # A signal, and how many seconds it is given before the next one.

POLITE: tuple[Step, ...] = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    folder: Path,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Starts a program in a session of its own, its output added to `log`. It gets `death_signal` when we do.

    Call it from the main thread only: Linux sends that signal when the *thread* that started the child ends.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=folder,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=_dies_with_parent(death_signal),
        )


def stop(process: subprocess.Popen[bytes], steps: Iterable[Step] = POLITE) -> None:
    """Signals the process step by step until it has ended, then ends whatever it left in its session."""
    for number, limit_s in steps:
        if process.poll() is not None:
            break
        process.send_signal(number)
        try:
            process.wait(limit_s)
        except subprocess.TimeoutExpired:
            continue
    end_group(process.pid)


def end_group(leader: int) -> None:
    """Kills what is left in the group that `leader` led. A group's number is not reused while it has members."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # Nobody is left. (macOS answers EPERM for a group of which only a zombie remains.)
        return


def working_in(folder: Path) -> list[int]:
    """The processes whose current folder is `folder`, of those we may see; none where there is no /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        pid = int(entry.parent.name)
        try:
            if entry.readlink() == folder and started_at(pid):
                found.append(pid)
        except OSError:
            continue  # It ended meanwhile, or it is another user's.
    return found


def group_of(pid: int) -> int | None:
    """The number of the process group this process is in."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def started_at(pid: int) -> str | None:
    """The moment this process began, in the kernel's own words; None when there is none, or only a zombie."""
    if not HAS_PROC:
        return _asked_of_ps(pid, "lstart=")
    state = _state(pid)
    # The kernel counts from its own start, so that moment belongs to the answer.
    return None if state is None or state[0] == "Z" else f"{BOOT_ID.read_text().strip()}+{state[19]}"


def command_of(pid: int) -> str:
    """The command line of a process, or an empty text when it cannot be read."""
    if not HAS_PROC:
        return _asked_of_ps(pid, "command=") or ""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def wait_until(condition: Callable[[], bool], *, limit_s: float, every_s: float = 0.05) -> bool:
    """Asks until the condition holds; False when it did not within the limit."""
    end = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(every_s)
    return True


def _state(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the third on: the name before them may hold spaces and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def _asked_of_ps(pid: int, column: str) -> str | None:
    answer = subprocess.run(["ps", "-o", column, "-p", str(pid)], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None


def _dies_with_parent(death_signal: signal.Signals) -> Callable[[], None] | None:
    """What the child does between fork and exec. Elsewhere than on Linux the next start tidies up."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def prepare() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent:  # It died before it could be watched.
            os._exit(1)

    return prepare
