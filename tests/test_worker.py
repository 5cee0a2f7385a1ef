"""A worker of one process: tasks are told of their soft time limit, it ends at their hard one, and it hears bells."""

from __future__ import annotations

import subprocess
import sys

import pytest

from config import worker
from merchants import bell

WORKER = """
import os, sys, time
from celery.exceptions import SoftTimeLimitExceeded
from config import worker

def say(words):
    os.write(1, f"{words}\\n".encode())

@worker.app.task(name="quick", soft_time_limit=0.3, time_limit=0.6)
def quick():
    say("done")

@worker.app.task(name="lasts", soft_time_limit=2, time_limit=3)
def lasts():
    time.sleep(0.7)
    say("done as well")

@worker.app.task(name="hangs", soft_time_limit=0.3, time_limit=1)
def hangs(whatever_it_is_told):
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        say("told")
    while whatever_it_is_told:
        try:
            time.sleep(30)
        except SoftTimeLimitExceeded:
            pass

for task, *arguments in ((quick,), (lasts,), (hangs, False), (lasts,), (hangs, True), (quick,)):
    task.apply_async(arguments, queue="limits")
sys.argv[1:] = ["--pool=solo", "--queues=limits"]
worker.main()
"""

# Each task rings for the next one; whoever breaks, hangs or is cut off goes on hearing.
HEARS = """
import os, signal, sys, time
from celery.exceptions import SoftTimeLimitExceeded
from config import worker
from merchants import bell

def say(words):
    os.write(1, f"{words}\\n".encode())

def ring(task):
    bell.store().zadd("bells", {task: 0})

@worker.app.task(name="breaks")
def breaks():
    ring("waits")
    raise RuntimeError("it breaks")

@worker.app.task(name="waits", soft_time_limit=0.3, time_limit=2)
def waits():
    try:
        time.sleep(30)
    except SoftTimeLimitExceeded:
        say("told")
    ring("is_cut_off")

@worker.app.task(name="is_cut_off")
def is_cut_off():
    database = str(bell.store().connection_pool.connection_kwargs["db"])
    for client in bell.store().client_list():
        if client["db"] == database and client["cmd"] == "bzpopmin":
            bell.store().client_kill_filter(_id=client["id"])
    say("cut off")
    ring("LAST")

@worker.app.task(name="is_stopped")
def is_stopped():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
    ring("comes_too_late")
    say("ended in order")

@worker.app.task(name="comes_too_late")
def comes_too_late():
    say("no")

@worker.app.task(name="hangs", soft_time_limit=0.2, time_limit=0.4)
def hangs():
    while True:
        try:
            time.sleep(30)
        except SoftTimeLimitExceeded:
            say("told again")

sys.argv[1:] = ["--queues=celery"]
sys.exit(worker.main())
"""


def test_a_task_is_told_at_its_soft_limit_and_the_worker_ends_at_the_hard_one() -> None:
    ended = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, check=False, timeout=60)
    said = [line for line in ended.stdout.splitlines() if line in {"done", "done as well", "told"}]
    assert said == ["done", "done as well", "told", "done as well", "told"], ended.stderr
    assert ended.returncode == 1
    assert "Timeout (0:00:01)!" in ended.stderr
    assert "in hangs" in ended.stderr


def test_a_bell_is_heard_after_whatever_befell_the_one_before_and_the_worker_stops_in_order() -> None:
    ended = hear(until="is_stopped")
    assert spoken(ended) == ["told", "cut off", "ended in order"], ended.stderr
    assert ended.returncode == 0
    assert "it breaks" in ended.stderr
    assert bell.store().zrange("bells", 0, -1) == [b"comes_too_late"]  # For whoever works next.


def test_a_task_that_a_bell_began_ends_the_worker_at_its_hard_limit() -> None:
    ended = hear(until="hangs")
    assert spoken(ended) == ["told", "cut off", "told again"], ended.stderr
    assert ended.returncode == 1
    assert "Timeout (0:00:00.4" in ended.stderr
    assert "in hangs" in ended.stderr


def test_whoever_posts_does_it_in_one_process(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["worker", "--queues=errands,celery", "--pool=prefork"])
    with pytest.raises(SystemExit):
        worker.main()
    assert "with --pool=solo" in capsys.readouterr().err


def hear(*, until: str) -> subprocess.CompletedProcess[str]:
    """A worker that has been rung before it began, whose last task is this one."""
    bell.store().zadd("bells", {"breaks": 0})
    command = [sys.executable, "-c", HEARS.replace("LAST", until)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def spoken(ended: subprocess.CompletedProcess[str]) -> list[str]:
    words = {"told", "cut off", "ended in order", "told again", "no"}
    return [line for line in ended.stdout.splitlines() if line in words]
