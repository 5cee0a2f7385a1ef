"""The Celery app: finds the tasks of the apps; their timetable stands in settings."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("pushcart")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
