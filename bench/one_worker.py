"""A worker for the benches: a process of its own that drains the inbox when told to, and says how many it took."""

from __future__ import annotations

import sys

import django
from django.db import connection
from django.utils import timezone


def main() -> None:
    django.setup()
    from payments import reconcile  # noqa: PLC0415  Django is set up only now.

    connection.ensure_connection()
    print("{}", flush=True)
    for _line in sys.stdin:
        print(f'{{"taken": {reconcile.drain(clock=timezone.now)}}}', flush=True)


if __name__ == "__main__":
    main()
