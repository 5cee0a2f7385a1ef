"""The worker program, `python -m config.worker`: Celery's own worker, without the rest of Celery's command line.

The `celery` command loads all that it could do, and a library for terminals: ten megabytes in each of its processes.
"""

from __future__ import annotations

import argparse
import gc
import sys

from celery.utils.nodenames import default_nodename, host_format

from config.celery import app


def main() -> int:
    """Works until it is told to stop; the options have the names and meanings that `celery worker` gives them."""
    parser = argparse.ArgumentParser(prog="python -m config.worker", description="Does the tasks of these queues.")
    parser.add_argument("--queues", default="celery,errands", help="which to take from, separated by commas: all")
    parser.add_argument("--pool", choices=("prefork", "solo"), default="prefork", help="solo: no child, no time limits")
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
    gc.collect()
    gc.freeze()  # What was loaded stays: no collection walks through it, so children go on sharing it with us.
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main())
