"""The site, for any WSGI server; with its Celery app, so that tasks know their broker."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.peers.naive.settings")

from bench.peers.naive.celery import app  # noqa: F401  A task finds the app that was made first.

application = get_wsgi_application()
