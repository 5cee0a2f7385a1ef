"""The worker program, `python -m config.worker`: Celery's own worker, without the rest of Celery's command line.

The `celery` command loads all that it could do, and a library for terminals: ten megabytes in each of its processes.
Celery holds tasks to their time limits by a parent process that signals and kills its children. A worker of one process
(`--pool=solo`) has none, and is held to the same limits here.

Whoever takes from the queue `celery` is such a worker, and hears the bells of `bell.HEARD` besides.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import signal
import sys
from typing import Any, NoReturn

from celery.bootsteps import StartStopStep
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import task_postrun, task_prerun
from celery.utils.nodenames import default_nodename, host_format
from celery.worker.state import maybe_shutdown
from django.db import connections

from config.celery import app
from merchants import bell
from merchants.journal import journal

_log = journal(__name__)


def main() -> int:
    """Works until it is told to stop; the options have the names and meanings that `celery worker` gives them."""
    parser = argparse.ArgumentParser(prog="python -m config.worker", description="Does the tasks of these queues.")
    parser.add_argument("--queues", default="celery,errands", help="which to take from, separated by commas: all")
    parser.add_argument(
        "--pool",
        choices=("prefork", "solo"),
        help="solo: does them itself, one by one, as whoever takes from `celery` must; prefork, else: in its children",
    )
    parser.add_argument("--concurrency", type=int, default=1, help="how many children")
    parser.add_argument("--hostname", help="what the worker is called; %%h stands for this machine")
    asked = parser.parse_args()
    hears = "celery" in asked.queues.split(",")
    pool = asked.pool or ("solo" if hears else "prefork")
    if hears and pool != "solo":
        parser.error("whoever takes from the queue `celery` does so with --pool=solo; start more of them instead")
    if hears:
        app.steps["consumer"].add(Ear)
    worker = app.Worker(
        hostname=host_format(default_nodename(asked.hostname)),
        queues=asked.queues,
        pool=pool,
        concurrency=asked.concurrency,
        # Workers know nothing of each other: beside the queues there is nothing to tell, and telling it wakes them.
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    if pool == "solo":
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


class Ear(StartStopStep):
    """Hears bells in the loop in which the worker waits for Celery's messages: so it still does one thing at a time.

    It is told to stop, loses its broker and finds it again as Celery does: to Celery it is a step of its consumer.
    """

    requires = ("celery.worker.consumer:Tasks",)

    def __init__(self, consumer: Any, **_: Any) -> None:
        self._line: bell.Line | None = None

    def start(self, consumer: Any) -> None:
        self._line = bell.Line()
        self._line.wait()
        consumer.hub.add_reader(self._line, _hear, self._line)

    def stop(self, consumer: Any) -> None:
        if self._line is not None:
            consumer.hub.remove(self._line)
            self._line.close()
            self._line = None


def _hear(line: bell.Line) -> None:
    """Does what was rung for. A ConnectionError is Celery's: it connects again, and so do we."""
    name = line.take()
    try:
        task = app.tasks[name]
        _begin(task)
        task.run()
    except Exception:  # noqa: BLE001  Whatever it was, the rows wait, the sweep finds them, and we hear the next bell.
        _log.exception("heard_task_failed", task=name)
    finally:
        _end()
        connections.close_all()  # As Celery does after its own: they go back to the pool, the dead ones out of it.
    maybe_shutdown()  # What is given to us now would be lost with us.
    line.wait()


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
