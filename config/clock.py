"""The beat's own Celery app: it knows the timetable and the names of tasks, and loads nothing of the product.

Whoever sends a task needs only its name. So the beat is a small process: no model, no view, no library of pictures.
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

# Without the fixups: Celery's own for Django would load every app.
app = Celery("pushcart", fixups=[])
app.config_from_object("django.conf:settings", namespace="CELERY")
