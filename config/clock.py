"""The beat program, `python -m config.clock`: it knows the timetable and the names of tasks, and loads nothing else.

Whoever sends a task needs only its name. So the beat is a small process: no model, no view, no library of pictures, and
none of what the `celery` command brings.
"""

from __future__ import annotations

import argparse
import os

from celery import Celery
from celery.schedules import crontab

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Without the fixups: Celery's own for Django would load every app.
app = Celery("pushcart", fixups=[])
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = {
    name: {**entry, "schedule": crontab.from_string(when) if isinstance(when := entry["schedule"], str) else when}
    for name, entry in app.conf.beat_schedule.items()
}


def main() -> None:
    """Sends every task when its time has come, until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m config.clock", description="Sends every task at its time.")
    parser.add_argument("--schedule", required=True, help="the file in which it keeps what it sent last")
    app.Beat(schedule=parser.parse_args().schedule).run()


if __name__ == "__main__":
    main()
