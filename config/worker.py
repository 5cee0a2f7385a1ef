"""The worker program, `python -m config.worker`: Celery's own worker, without the rest of Celery's command line.

The `celery` command loads all that it could do, and a library for terminals: ten megabytes in each of its processes.
Celery holds tasks to their time limits by a parent process that signals and kills its children. A worker of one process
(`--pool=solo`) has none, and is held to the same limits here.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import signal
import sys
from typing import Any, NoReturn

from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import task_postrun, task_prerun
from celery.utils.nodenames import default_nodename, host_format

from config.celery import app


def main() -> int:
    """Works until it is told to stop; the options have the names and meanings that `celery worker` gives them."""
    parser = argparse.ArgumentParser(prog="python -m config.worker", description="Does the tasks of these queues.")
    parser.add_argument("--queues", default="celery,errands", help="which to take from, separated by commas: all")
    parser.add_argument(
        "--pool", choices=("prefork", "solo"), default="prefork", help="solo: does them itself, one by one"
    )
    parser.add_argument("--concurrency", type=int, default=1, help="how many children")
    parser.add_argument("--hostname", help="what the worker is called; %%h stands for this machine")
    asked = parser.parse_args()
    worker = app.Worker(
        hostname=host_format(default_nodename(asked.hostname)),
        queues=asked.queues,
        pool=asked.pool,
        concurrency=asked.concurrency,
        # Workers know nothing of each other: beside the queues there is nothing to tell, and telling it wakes them.
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    if asked.pool == "solo":
        hold_to_limits()
    gc.collect()
    gc.freeze()  # What was loaded stays: no collection walks through it, so children go on sharing it with us.
    worker.start()
    return int(worker.exitcode or 0)


def hold_to_limits() -> None:
    """From now on this process's tasks have time limits: at the soft one it is told, at the hard one we end.

    Whoever keeps us running starts us again; where it hung stands in the log, and the rows wait meanwhile.
    """
    signal.signal(signal.SIGALRM, _told)
    task_prerun.connect(_begin)
    task_postrun.connect(_end)


def _begin(task: Any, **_: Any) -> None:
    signal.setitimer(signal.ITIMER_REAL, task.soft_time_limit or app.conf.task_soft_time_limit)
    # By a thread that needs no interpreter: also for what hangs in a library and never returns to it.
    # It writes where the log is: what Celery has put in the place of sys.stderr is no file.
    faulthandler.dump_traceback_later(task.time_limit or app.conf.task_time_limit, exit=True, file=2)


def _end(**_: Any) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
    faulthandler.cancel_dump_traceback_later()


def _told(*_: Any) -> NoReturn:
    raise SoftTimeLimitExceeded


if __name__ == "__main__":
    sys.exit(main())
