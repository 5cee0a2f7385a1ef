"""A worker of one process: its tasks are told of their soft time limit, and it ends at their hard one."""

from __future__ import annotations

import subprocess
import sys

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


def test_a_task_is_told_at_its_soft_limit_and_the_worker_ends_at_the_hard_one() -> None:
    ended = subprocess.run([sys.executable, "-c", WORKER], capture_output=True, text=True, check=False, timeout=60)
    said = [line for line in ended.stdout.splitlines() if line in {"done", "done as well", "told"}]
    assert said == ["done", "done as well", "told", "done as well", "told"], ended.stderr
    assert ended.returncode == 1
    assert "Timeout (0:00:01)!" in ended.stderr
    assert "in hangs" in ended.stderr
