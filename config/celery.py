"""The Celery app: finds the tasks of the apps; their timetable stands in settings."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# Celery would run Django's checks in each worker and ignore what they say (`manage.py` runs them, and heeds them). Here
# they would load every view, and what draws papers and pictures, into processes that serve nobody.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("pushcart")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
